// SPDX-License-Identifier: Apache-2.0
/* torture.c - commands on files, again and again, of which each time one allocation more fails, or one call for a file.
 * Each run must end as well as an undisturbed one, or with one line that says what is wrong and an exit code; never by
 * a signal or too late; it must give its memory back, and leave nothing half-written.
 *
 *	torture [--every | --share N] [--files] [--show] [--plant leak|crash|silence|rest] [NAME...]
 *
 * Without --every only two calls of each way to an allocation (by return addresses) fail: an error branch is taken as
 * often as it is reached from somewhere else. --share: of those one in N. --show prints every failure and who called
 * (addr2line -fie torture). */
#include "cleanup.h"
#include "faulty.h"
#include "leaky_snapshot.h"
#include "snapshot_builder.h"

#include <catalogue.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX (1u << 20)
#define ARGS_MAX 8
#define RUN_SECONDS 60

int memattach_main(int argc, char **argv); /* main() of client/cli */

struct torture_case {
	const char *name;
	const char *args[ARGS_MAX];
	bool lists; /* not a command: lists a snapshot in the catalogue and looks for it */
};

#define QUERY(name, sql, ...)                                          \
	{                                                              \
		name, { "query", "a.snap", sql, ##__VA_ARGS__ }, false \
	}
static const struct torture_case cases[] = {
	{ "check", { "check", "all.snap" }, false },
	{ "report", { "report", "a.snap" }, false },
	{ "report-json", { "report", "--json", "a.snap" }, false },
	{ "report-html", { "report", "--html", "out", "a.snap" }, false },
	{ "report-type", { "report", "--type", "leaky.*", "a.snap" }, false },
	{ "report-module", { "report", "--module", "leaky", "--json", "a.snap" }, false },
	{ "report-sites", { "report", "sites.snap" }, false },
	{ "report-malloc", { "report", "--json", "malloc.snap" }, false },
	{ "report-native", { "report", "native.snap" }, false },
	{ "report-tree", { "report", "a.snap", "b.snap", "--tree" }, false },
	{ "report-damaged", { "report", "damaged.snap" }, false },
	{ "paths", { "paths", "a.snap", "leaky.Session" }, false },
	{ "paths-json", { "paths", "--json", "a.snap", "str" }, false },
	{ "diff", { "diff", "a.snap", "b.snap" }, false },
	{ "diff-json", { "diff", "--json", "a.snap", "b.snap", "c.snap" }, false },
	{ "diff-html", { "diff", "--html", "out", "a.snap", "b.snap" }, false },
	QUERY("query-objects", "SELECT *, retained, dominator FROM objects ORDER BY retained DESC LIMIT 20"),
	QUERY("query-groups", "SELECT type, count(*), sum(size) FROM objects GROUP BY 1", "--csv"),
	QUERY("query-edges", "SELECT o.addr, e.* FROM objects o JOIN edges e ON e.dst = o.addr LIMIT 30", "--json"),
	QUERY("query-modules", "SELECT * FROM modules"),
	QUERY("query-waste", "SELECT * FROM waste UNION ALL SELECT type, '', size, count FROM duplicates"),
	{ "query-sites",
	  { "query", "sites.snap", "SELECT a.*, s.* FROM allocations a JOIN sites s ON s.id = a.site" },
	  false },
	{ "query-frames", { "query", "native.snap", "SELECT * FROM frames, memory LIMIT 40" }, false },
	QUERY("query-wrong", "SELECT nothing FROM nowhere"),
	{ "export-json", { "export", "a.snap", "-o", "out", "--format", "json" }, false },
	{ "export-csv", { "export", "a.snap", "-o", "out", "--format", "csv" }, false },
	{ "export-arrow", { "export", "a.snap", "-o", "out", "--format", "arrow" }, false },
	{ "export-collapsed", { "export", "a.snap", "-o", "out", "--format", "collapsed" }, false },
	{ "export-speedscope", { "export", "a.snap", "-o", "out", "--format", "speedscope" }, false },
	{ "export-pprof", { "export", "a.snap", "-o", "out", "--format", "pprof" }, false },
	{ "export-heapsnapshot", { "export", "a.snap", "-o", "out", "--format", "heapsnapshot" }, false },
	{ "export-hprof", { "export", "a.snap", "-o", "out", "--format", "hprof" }, false },
	{ "ls", { "ls" }, false },
	{ "ls-json", { "ls", "--json", "--name", "leaky" }, false },
	{ "ls-prune", { "ls", "--prune" }, false },
	{ "report-time", { "report", "@now", "--pid", "4242" }, false },
	{ "rm-keep", { "rm", "--keep", "1" }, false },
	{ "catalogue-add", { NULL }, true },
};

static const char *const inputs[] = { "a.snap",     "b.snap",      "c.snap",      "all.snap",
				      "sites.snap", "malloc.snap", "native.snap", "damaged.snap" };
#define INPUTS (sizeof(inputs) / sizeof(inputs[0]))

struct outcome { /* shared with the child */
	int rc;
	bool hit;
	int64_t leaked;
	uint64_t calls;
};

static struct outcome *outcome;
static uint64_t *ways;
static char top[] = "/tmp/ma-torture-XXXXXX"; /* in/: inputs, data/ as it is at first; run/: what a run sees */
static const char *plant = "";
static bool show;
static unsigned share = 1;
static unsigned entries_before; /* of run/, before a command */

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void in_top(char path[static 300], const char *folder, const char *name)
{
	snprintf(path, 300, "%s/%s/%s", top, folder, name);
}

static void copy(const char *from, const char *to)
{
	static char bytes[1 << 20];
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC),
			    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	must(in >= 0 && out >= 0, from);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		must(write(out, bytes, (size_t)n) == n, to);
}

/* ---- the folders */
static void wipe(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char path[600];
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_type == DT_DIR)
			wipe(path);
		else
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(folder);
}

/* run/ anew, with the inputs; the command's folder of data is run/data/memattach. */
static void fresh(void)
{
	char from[300], to[300];
	in_top(to, "run", "");
	wipe(to);
	mkdir(to, 0700);
	for (size_t i = 0; i < INPUTS; i++) {
		in_top(from, "in", inputs[i]);
		in_top(to, "run", inputs[i]);
		must(link(from, to) == 0, to);
	}
	in_top(to, "run", "data");
	must(mkdir(to, 0700) == 0, to);
	in_top(to, "run", "data/memattach");
	must(mkdir(to, 0700) == 0, to);
	in_top(from, "in", "catalogue.db");
	in_top(to, "run", "data/memattach/catalogue.db");
	if (!access(from, F_OK))
		copy(from, to);
}

/* How many entries run/ has: what a failed run must not change. */
static unsigned entries(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned n = 0;
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.'))
			continue;
		if (strncmp(e->d_name, "catalogue.db-", 13)) /* SQLite's own: of use to whoever opens it next */
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

static unsigned entries_of_run(void)
{
	char path[300];
	in_top(path, "run", "");
	unsigned n = entries(path);
	in_top(path, "run", "data/memattach");
	return n + entries(path);
}

/* ---- one run */
static int list_one(void)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_row_ struct ma_catalogue_row row = { 0 };
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	struct ma_error *err = ma_catalogue_open(&c);
	if (!err)
		err = ma_catalogue_add(c, "sites.snap", 0, &row);
	if (!err)
		err = ma_catalogue_list(c, &(struct ma_catalogue_filter){ .id = row.id }, &rows);
	if (!err)
		return rows.count == 1 ? 0 : 99;
	int rc = ma_error_exit_code(err);
	fprintf(stderr, "memattach: %s\n", err->message);
	ma_error_free(err);
	return rc;
}

static int command(const struct torture_case *t)
{
	char *args[ARGS_MAX + 2] = { (char *)"memattach" };
	int count = 1;
	if (t->lists)
		return list_one();
	for (int i = 0; i < ARGS_MAX && t->args[i]; i++)
		args[count++] = (char *)t->args[i];
	optind = 0;
	return memattach_main(count, args);
}

static void planted(void)
{
	if (!faulty_hit())
		return;
	if (!strcmp(plant, "leak")) {
		char *volatile lost = malloc(100);
		must(lost != NULL, "plant");
		lost = NULL;
	} else if (!strcmp(plant, "crash"))
		raise(SIGSEGV);
	else if (!strcmp(plant, "silence"))
		outcome->rc = 1;
	else if (!strcmp(plant, "rest"))
		close(open("rest.tmp", O_CREAT | O_WRONLY, 0600));
}

static void redirect(int fd, const char *name)
{
	char path[300];
	in_top(path, ".", name);
	int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(to >= 0 && dup2(to, fd) == fd, path);
	close(to);
}

static void child(const struct torture_case *t, enum faulty_kind kind, uint64_t n, bool all_after, bool recorded)
{
	char path[300];
	in_top(path, "run", "");
	must(chdir(path) == 0, path);
	redirect(1, "stdout");
	redirect(2, "stderr");
	alarm(RUN_SECONDS);
	*outcome = (struct outcome){ 0 };
	int64_t live = faulty_live();
	faulty_arm(kind, n, all_after);
	if (recorded)
		faulty_record(ways, CALLS_MAX);
	outcome->rc = command(t);
	outcome->calls = faulty_calls();
	outcome->hit = faulty_hit();
	faulty_disarm();
	planted();
	outcome->leaked = faulty_live() - live;
	/* exit() and not _exit(): LeakSanitizer looks then */
	exit(outcome->rc);
}

static int run(const struct torture_case *t, enum faulty_kind kind, uint64_t n, bool all_after, bool recorded)
{
	int status;
	fresh();
	entries_before = entries_of_run();
	fflush(NULL); /* the child must not write it again */
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (!pid)
		child(t, kind, n, all_after, recorded);
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

/* ---- what must hold */
struct reference { /* of the undisturbed run */
	int rc;
	unsigned entries;
	int64_t leaked; /* libraries keep something for the life of a process */
	char *out, *file;
	size_t out_bytes, file_bytes;
};

static char *slurp(const char *folder, const char *name, size_t *bytes_ret)
{
	char path[300];
	struct stat st;
	in_top(path, folder, name);
	*bytes_ret = 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return NULL;
	char *p = malloc((size_t)st.st_size + 1);
	must(p && read(fd, p, (size_t)st.st_size) == st.st_size, path);
	p[st.st_size] = 0;
	*bytes_ret = (size_t)st.st_size;
	return p;
}

static bool same(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	return a && b && a_bytes == b_bytes && !memcmp(a, b, a_bytes);
}

/* NULL, or what is wrong with how a run ended. */
static const char *wrong(const struct torture_case *t, const struct reference *r, int status, enum faulty_kind kind)
{
	/* a report does without a catalogue: the series in it is shorter then */
	bool shorter = kind == FAULTY_FILE && outcome->rc == r->rc && strstr(t->name, "-html");
	size_t bytes, err_bytes;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? "does not end" : "ended by a signal";
	if (WEXITSTATUS(status) != outcome->rc)
		return "a sanitizer ended it";
	if (outcome->leaked > r->leaked)
		return "memory was not given back";
	_cleanup_free_ char *file = slurp("run", "out", &bytes);
	unsigned left = entries_of_run() - (file ? 1 : 0), expected = r->entries - (r->file ? 1 : 0);
	if (file && r->file && !shorter && !same(file, bytes, r->file, r->file_bytes))
		return "the file is half-written";
	_cleanup_free_ char *err = slurp(".", "stderr", &err_bytes);
	if (outcome->rc == r->rc) {
		_cleanup_free_ char *out = slurp(".", "stdout", &bytes);
		if (kind == FAULTY_MALLOC && !same(out, bytes, r->out, r->out_bytes))
			return "says that all is well, and the output is another one";
		if (r->file && !file)
			return "says that all is well, and there is no file";
		return left > expected ? "leaves a file behind" : NULL;
	}
	if (!err || !err_bytes || strncmp(err, "memattach: ", 11))
		return "failed without a word";
	if (kind == FAULTY_MALLOC && !strstr(err, "memory"))
		return "does not say that memory ran out";
	return left > entries_before ? "leaves a file behind" : NULL;
}

static void refer(const struct torture_case *t, enum faulty_kind kind, struct reference *r)
{
	int status = run(t, kind, 0, false, true);
	must(WIFEXITED(status), t->name);
	*r = (struct reference){ .rc = outcome->rc, .entries = entries_of_run(), .leaked = outcome->leaked };
	r->out = slurp(".", "stdout", &r->out_bytes);
	r->file = slurp("run", "out", &r->file_bytes);
}

/* Is call `n` the first or the second of its way? */
static bool chosen(uint64_t n)
{
	unsigned before = 0;
	for (uint64_t i = n - 1; i-- && before < 2;)
		before += ways[i] == ways[n - 1];
	return before < 2;
}

static unsigned torture(const struct torture_case *t, enum faulty_kind kind, bool every)
{
	struct reference r;
	unsigned runs = 0, failed = 0, bad = 0, turn = (unsigned)(t - cases);
	refer(t, kind, &r);
	uint64_t calls = outcome->calls < CALLS_MAX ? outcome->calls : CALLS_MAX;
	for (uint64_t n = 1; n <= calls; n++) {
		if ((!every && !chosen(n)) || turn++ % share)
			continue;
		for (int all_after = 0; all_after < 2; all_after++) {
			int status = run(t, kind, n, all_after, false);
			const char *what = wrong(t, &r, status, kind);
			runs++;
			failed += outcome->rc != r.rc;
			if (!what)
				continue;
			if (bad++ < 5 || show) {
				size_t bytes;
				_cleanup_free_ char *err = slurp(".", show ? "way" : "stderr", &bytes);
				printf("%s: call %lu%s: %s (status %#x, exit code %d, %ld blocks, undisturbed %ld): "
				       "%.2000s\n",
				       t->name, (unsigned long)n, all_after ? " and all after it" : "", what,
				       (unsigned)status, outcome->rc, (long)outcome->leaked, (long)r.leaked,
				       err ? err : "");
			}
		}
	}
	printf("%-20s %7lu calls %6u runs %6u with an error %4u wrong\n", t->name, (unsigned long)calls, runs, failed,
	       bad);
	fflush(stdout);
	free(r.out);
	free(r.file);
	return bad;
}

/* ---- inputs */
static void damage(const char *name)
{
	char path[300];
	in_top(path, "in", name);
	struct stat st;
	must(stat(path, &st) == 0 && truncate(path, st.st_size * 2 / 3) == 0, path);
}

static const char *input(char path[static 300], const char *name)
{
	in_top(path, "in", name);
	return path;
}

static void make_inputs(void)
{
	char path[300];
	struct leaky_facts facts;
	in_top(path, "in", "");
	must(mkdir(path, 0700) == 0, path);
	leaky_snapshot(input(path, "a.snap"), &(struct leaky_options){ .sessions = 20 }, &facts);
	leaky_snapshot(input(path, "b.snap"), &(struct leaky_options){ .sessions = 60, .hostile = true }, &facts);
	leaky_snapshot(input(path, "c.snap"), &(struct leaky_options){ .sessions = 90 }, &facts);
	leaky_snapshot(input(path, "damaged.snap"), &(struct leaky_options){ .sessions = 50 }, &facts);
	damage("damaged.snap");
	sb_values_sample(input(path, "all.snap"), MA_VALUES_ALL);
	sb_sites_sample(input(path, "sites.snap"));
	sb_malloc_sample(input(path, "malloc.snap"), SB_MALLOC_PAGES | SB_MALLOC_HEAPS);
	sb_native_sample(input(path, "native.snap"));
}

/* A catalogue that knows two snapshots where they will lie, and a third that is not there any more. */
static void make_catalogue(void)
{
	static const char *const listed[] = { "a.snap", "b.snap", "gone.snap" };
	char from[300], to[300];
	fresh();
	in_top(from, "run", "");
	must(chdir(from) == 0, from);
	must(link("c.snap", "gone.snap") == 0, "gone.snap");
	for (size_t i = 0; i < 3; i++) {
		_cleanup_catalogue_ struct ma_catalogue *c = NULL;
		_cleanup_row_ struct ma_catalogue_row row = { 0 };
		struct ma_error *err = ma_catalogue_open(&c);
		if (!err)
			err = ma_catalogue_add(c, listed[i], 0, &row);
		must(!err, err ? err->message : "");
	}
	in_top(from, "run", "data/memattach/catalogue.db");
	in_top(to, "in", "catalogue.db");
	copy(from, to);
}

/* nanoarrow and flatcc lose memory, and nanoarrow follows NULL, when there is none: runs only where it is named. */
static bool is_not_ours(const char *name)
{
	return !strcmp(name, "export-arrow");
}

static bool wanted(const char *name, int count, char *const *names)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return !count;
}

int main(int argc, char **argv)
{
	enum faulty_kind kind = FAULTY_MALLOC;
	bool every = false;
	int i = 1;
	unsigned bad = 0;
	char data[300];
	for (; i < argc && argv[i][0] == '-'; i++) {
		every |= !strcmp(argv[i], "--every");
		show |= !strcmp(argv[i], "--show");
		if (!strcmp(argv[i], "--files"))
			kind = FAULTY_FILE;
		if (!strcmp(argv[i], "--share") && i + 1 < argc)
			share = (unsigned)strtoul(argv[++i], NULL, 10);
		if (!strcmp(argv[i], "--plant") && i + 1 < argc)
			plant = argv[++i];
	}
	share = share ? share : 1;
	if (kind == FAULTY_FILE && faulty_sanitized()) {
		printf("files: not in a build with a sanitizer\n");
		return 0;
	}
	void *shared = mmap(NULL, sizeof(*outcome) + CALLS_MAX * sizeof(*ways), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(shared != MAP_FAILED && mkdtemp(top), "torture");
	outcome = shared;
	ways = (void *)((char *)shared + sizeof(*outcome));
	if (show) {
		in_top(data, ".", "way");
		setenv("FAULTY_SHOW", data, 1);
	}
	in_top(data, "run", "data");
	setenv("XDG_DATA_HOME", data, 1);
	setenv("TZ", "UTC", 1);
	tzset(); /* libc allocates for it, once */
	(void)localtime(&(time_t){ 0 });
	make_inputs();
	make_catalogue();
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
		if ((i < argc || !is_not_ours(cases[k].name)) && wanted(cases[k].name, argc - i, argv + i))
			bad += torture(&cases[k], kind, every);
	must(chdir("/") == 0, "/");
	wipe(top);
	return bad ? 1 : 0;
}
