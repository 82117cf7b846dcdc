// link: ma_test_support ma_catalogue ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* The catalogue on disk: rows, files that are gone, other commands at the same time, damage; and what SNAP means. */
#include "catalogue.h"
#include "cleanup.h"
#include "resolve.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define T0 UINT64_C(1795255500) /* 2026-11-21T10:05:00Z */

static char folder[64], db_path[160];

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/catalogue_test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	setenv("XDG_DATA_HOME", folder, 1);
	setenv("TZ", "UTC", 1);
	tzset();
	snprintf(db_path, sizeof(db_path), "%s/memattach/catalogue.db", folder);
	cr_assert_eq(chdir(folder), 0);
}

static void teardown(void)
{
	cr_assert_eq(chdir("/"), 0);
	char *command;
	cr_assert(asprintf(&command, "rm -rf '%s'", folder) > 0);
	cr_assert_eq(system(command), 0);
	free(command);
}

TestSuite(catalogue, .init = setup, .fini = teardown);

static const char *file_of(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, 128, "%s/%s", folder, name);
	return p;
}

static void write_snapshot(const char *name, uint64_t pid, uint64_t taken_s, const char *command)
{
	struct snap_builder *b = sb_create(file_of(name));
	sb_meta_num(b, MA_META_PID, pid);
	sb_meta_num(b, MA_META_TAKEN_REALTIME_NS, taken_s * SECOND);
	sb_meta_num(b, MA_META_UPTIME_NS, (taken_s - T0 + 100) * SECOND);
	sb_meta_num(b, MA_META_START_TIME, 1000 + pid);
	sb_meta_num(b, MA_META_RSS_ANON, 5000);
	sb_meta_num(b, MA_META_RSS_FILE, 300);
	sb_meta_num(b, MA_META_RSS_SHMEM, 20);
	sb_meta_num(b, MA_META_VALUES, MA_VALUES_PREFIX);
	sb_meta_num(b, MA_META_VALUES_LIMIT, 20);
	sb_meta_str(b, MA_META_HOST, "web-3");
	sb_meta_str(b, MA_META_COMMAND, command);
	sb_meta_str(b, MA_META_PYTHON, "3.11.7");
	uint32_t type = sb_type(b, "", "object", 0x1000, 0, 16, 0);
	for (uint64_t i = 0; i < pid % 7 + 1; i++)
		sb_object(b, &(struct sb_object){ .addr = 0x2000 + i * 16, .type = type, .size = 16, .refcnt = 1 });
	sb_finish(b);
}

static void must(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

/* Writes and lists a snapshot; its id. */
static const char *add(const char *name, uint64_t pid, uint64_t taken_s, const char *command)
{
	static char ids[8][MA_ID_MAX];
	static unsigned turn;
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_row_ struct ma_catalogue_row row = { 0 };
	write_snapshot(name, pid, taken_s, command);
	must(ma_catalogue_open(&c));
	must(ma_catalogue_add(c, file_of(name), 0, &row));
	return strcpy(ids[turn++ % 8], row.id);
}

static struct ma_catalogue_rows list(struct ma_catalogue_filter which)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	struct ma_catalogue_rows rows;
	must(ma_catalogue_open_read(&c));
	must(ma_catalogue_list(c, &which, &rows));
	return rows;
}

static size_t count(struct ma_catalogue_filter which)
{
	_cleanup_rows_ struct ma_catalogue_rows rows = list(which);
	return rows.count;
}

static void expect_error(struct ma_error *err, enum ma_error_code code, const char *says)
{
	cr_assert_not_null(err, "no error, wanted one that says '%s'", says);
	cr_expect_eq(err->code, code, "code %d: %s", err->code, err->message);
	cr_expect_not_null(strstr(err->message, says), "'%s' does not say '%s'", err->message, says);
	ma_error_free(err);
}

Test(catalogue, has_what_the_file_says)
{
	const char *id = add("a.mem", 4242, T0 + 60, "/usr/bin/python3 app.py --port 80");
	cr_expect(ma_catalogue_is_id(id), "%s", id);
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_assert_eq(rows.count, 1);
	const struct ma_catalogue_row *r = &rows.v[0];
	struct stat st;
	cr_assert_eq(stat(file_of("a.mem"), &st), 0);
	cr_expect_str_eq(r->id, id);
	cr_expect_str_eq(r->path, file_of("a.mem"));
	cr_expect_str_eq(r->host, "web-3");
	cr_expect_str_eq(r->command, "/usr/bin/python3 app.py --port 80");
	cr_expect_str_eq(r->python, "3.11.7");
	cr_expect_eq(r->taken_ns, (T0 + 60) * SECOND);
	cr_expect_eq(r->started_ns, (T0 - 100) * SECOND);
	cr_expect_eq(r->start_time, 5242);
	cr_expect_eq(r->pid, 4242);
	cr_expect_eq(r->objects, 4242 % 7 + 1);
	cr_expect_eq(r->rss_bytes, 5320);
	cr_expect_eq(r->file_bytes, (uint64_t)st.st_size);
	cr_expect_eq(r->values_mode, MA_VALUES_PREFIX);
	cr_expect_eq(r->values_limit, 20);
	cr_expect(r->complete);
	cr_expect_eq(r->state, MA_FILE_THERE);
	cr_assert_eq(stat(db_path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(stat(file_of("memattach"), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
}

Test(catalogue, is_sorted_by_time_and_filtered)
{
	add("b.mem", 2, T0 + 20, "python3 worker.py");
	add("c.mem", 1, T0 + 30, "python3 web.py");
	add("a.mem", 1, T0 + 10, "python3 web.py");
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_assert_eq(rows.count, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(rows.v[i].taken_ns, (T0 + 10 + 10 * i) * SECOND);
	cr_expect(ma_catalogue_same_process(&rows.v[0], &rows.v[2]));
	cr_expect_not(ma_catalogue_same_process(&rows.v[0], &rows.v[1]));
	cr_expect_eq(count((struct ma_catalogue_filter){ .pid = 1 }), 2);
	cr_expect_eq(count((struct ma_catalogue_filter){ .pid = 3 }), 0);
	cr_expect_eq(count((struct ma_catalogue_filter){ .name = "work" }), 1);
	cr_expect_eq(count((struct ma_catalogue_filter){ .name = "*web.py" }), 2);
	cr_expect_eq(count((struct ma_catalogue_filter){ .name = "web*" }), 0);
	cr_expect_eq(count((struct ma_catalogue_filter){ .name = "python", .pid = 2 }), 1);
	cr_expect_eq(count((struct ma_catalogue_filter){ .id = rows.v[1].id }), 1);
}

Test(catalogue, a_path_has_one_row)
{
	const char *first = add("a.mem", 1, T0, "python3 a.py"), *second = add("a.mem", 1, T0 + 5, "python3 a.py");
	cr_expect_str_neq(first, second);
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_assert_eq(rows.count, 1);
	cr_expect_str_eq(rows.v[0].id, second);
}

Test(catalogue, notices_moved_and_replaced_files)
{
	const char *a = add("a.mem", 1, T0, "python3 a.py"), *b = add("b.mem", 1, T0 + 1, "python3 a.py");
	struct ma_resolved r;
	cr_assert_eq(mkdir(file_of("away"), 0700), 0);
	cr_assert_eq(rename(file_of("a.mem"), file_of("away/moved.mem")), 0);
	write_snapshot("b.mem", 6, T0 + 999, "python3 something else, and longer");
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_expect_eq(rows.v[0].state, MA_FILE_MISSING);
	cr_expect_eq(rows.v[1].state, MA_FILE_OTHER);
	expect_error(ma_resolve(a, &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_OS, "no longer there");
	expect_error(ma_resolve(b, &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_OS, "another file");
	expect_error(ma_resolve("@now", &(struct ma_catalogue_filter){ .pid = 1 }, T0, &r), MA_ERR_OS, "no snapshot");
}

static void expect_at(const char *id, const char *name)
{
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ .id = id });
	cr_assert_eq(rows.count, 1, "%s", id);
	cr_expect_str_eq(rows.v[0].path, file_of(name));
	cr_expect_eq(rows.v[0].state, MA_FILE_THERE);
}

Test(catalogue, finds_moved_files_in_the_folders_it_knows)
{
	const char *a = add("a.mem", 1, T0, "python3 a.py"), *b = add("b.mem", 1, T0 + 1, "python3 a.py, and longer");
	const char *c = add("c.mem", 1, T0 + 2, "python3 a.py");
	struct ma_resolved r;
	/* two change places, one gets another name; beside it lies a snapshot of the same size */
	cr_assert_eq(rename(file_of("a.mem"), file_of("x")), 0);
	cr_assert_eq(rename(file_of("b.mem"), file_of("a.mem")), 0);
	cr_assert_eq(rename(file_of("x"), file_of("b.mem")), 0);
	cr_assert_eq(rename(file_of("c.mem"), file_of("new name.mem")), 0);
	write_snapshot("another.mem", 1, T0 + 3, "python3 a.py");
	must(ma_resolve(c, &(struct ma_catalogue_filter){ 0 }, T0, &r));
	cr_expect_str_eq(r.path, file_of("new name.mem"));
	ma_resolved_deinit(&r);
	expect_at(a, "b.mem");
	expect_at(b, "a.mem");
	expect_at(c, "new name.mem");
	/* by time, too: the row of the file that was there goes when another takes its place */
	cr_assert_eq(rename(file_of("new name.mem"), file_of("a.mem")), 0);
	must(ma_resolve("@now", &(struct ma_catalogue_filter){ .pid = 1 }, T0 + 99, &r));
	cr_expect_str_eq(r.path, file_of("a.mem"));
	cr_expect_str_eq(r.id, c);
	ma_resolved_deinit(&r);
	cr_expect_eq(count((struct ma_catalogue_filter){ .id = b }), 0);
	expect_at(a, "b.mem");
}

Test(catalogue, finds_a_moved_file_when_it_is_read)
{
	const char *a = add("a.mem", 1, T0, "python3 a.py");
	struct ma_resolved r;
	cr_assert_eq(mkdir(file_of("away"), 0700), 0);
	cr_assert_eq(rename(file_of("a.mem"), file_of("away/a.mem")), 0);
	expect_error(ma_resolve(a, &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_OS, "no longer there");
	must(ma_resolve("away/a.mem", &(struct ma_catalogue_filter){ 0 }, T0, &r));
	ma_resolved_deinit(&r);
	expect_at(a, "away/a.mem");
	/* another snapshot of the same size is not it */
	cr_assert_eq(rename(file_of("away/a.mem"), file_of("away/b.mem")), 0);
	write_snapshot("c.mem", 1, T0 + 7, "python3 a.py");
	must(ma_resolve("c.mem", &(struct ma_catalogue_filter){ 0 }, T0, &r));
	ma_resolved_deinit(&r);
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_assert_eq(rows.count, 1);
	cr_expect_eq(rows.v[0].state, MA_FILE_MISSING);
}

/* Who may not write the catalogue is told where the file is all the same. */
Test(catalogue, finds_moved_files_where_it_can_not_write)
{
	const char *a = add("a.mem", 1, T0, "python3 a.py");
	struct ma_resolved r;
	sqlite3 *db;
	cr_assert_eq(rename(file_of("a.mem"), file_of("b.mem")), 0);
	cr_assert_eq(sqlite3_open(db_path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	must(ma_resolve(a, &(struct ma_catalogue_filter){ 0 }, T0, &r));
	sqlite3_close(db);
	cr_expect_str_eq(r.path, file_of("b.mem"));
	ma_resolved_deinit(&r);
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_expect_str_eq(rows.v[0].path, file_of("a.mem"));
}

Test(catalogue, removes_only_what_it_listed)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	add("a.mem", 1, T0, "python3 a.py");
	add("b.mem", 1, T0 + 1, "python3 a.py");
	add("c.mem", 1, T0 + 2, "python3 a.py");
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	/* another snapshot of the same size, and a file that is none of that size, in the place of two */
	write_snapshot("b.mem", 1, T0 + 7, "python3 a.py");
	cr_assert_eq(rows.v[2].state, MA_FILE_THERE);
	int fd = open(file_of("c.mem"), O_WRONLY | O_TRUNC);
	cr_assert_eq(ftruncate(fd, (off_t)rows.v[2].file_bytes), 0);
	close(fd);
	must(ma_catalogue_open(&c));
	must(ma_catalogue_remove(c, &rows.v[0]));
	cr_expect_eq(access(file_of("a.mem"), F_OK), -1);
	expect_error(ma_catalogue_remove(c, &rows.v[1]), MA_ERR_BAD_DATA, "left alone");
	expect_error(ma_catalogue_remove(c, &rows.v[2]), MA_ERR_BAD_DATA, "left alone");
	cr_expect_eq(access(file_of("b.mem"), F_OK), 0);
	cr_expect_eq(access(file_of("c.mem"), F_OK), 0);
	cr_expect_eq(count((struct ma_catalogue_filter){ 0 }), 2);
	/* one whose file is gone: the row goes */
	unlink(file_of("b.mem"));
	must(ma_catalogue_remove(c, &rows.v[1]));
	cr_expect_eq(count((struct ma_catalogue_filter){ 0 }), 1);
}

Test(catalogue, ids_are_no_process_ids)
{
	static const char *const good[] = { "3f2a", "a000", "12345f" }, *const bad[] = {
		"4242", "beef", "3F2a", "3f2", "3f2g", "", "3f2a.mem", "0123456789abcdef"
	};
	for (size_t i = 0; i < MA_ARRAY_SIZE(good); i++)
		cr_expect(ma_catalogue_is_id(good[i]), "%s", good[i]);
	for (size_t i = 0; i < MA_ARRAY_SIZE(bad); i++)
		cr_expect_not(ma_catalogue_is_id(bad[i]), "%s", bad[i]);
}

/* Eight processes write at the same time; one of them makes the file. */
Test(catalogue, many_writers)
{
	enum { WRITERS = 8, EACH = 5 };
	pid_t pids[WRITERS];
	int gate[2];
	char byte;
	for (int i = 0; i < WRITERS; i++) {
		char name[32];
		for (int k = 0; k < EACH; k++) {
			snprintf(name, sizeof(name), "%d-%d.mem", i, k);
			write_snapshot(name, 10 + (uint64_t)i, T0 + (uint64_t)k, "python3 a.py");
		}
	}
	cr_assert_eq(pipe(gate), 0);
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		cr_assert_geq(pids[i], 0);
		if (pids[i])
			continue;
		close(gate[1]);
		(void)!read(gate[0], &byte, 1); /* until all are there */
		for (int k = 0; k < EACH; k++) {
			char name[32];
			struct ma_catalogue *c = NULL;
			struct ma_catalogue_row row = { 0 };
			snprintf(name, sizeof(name), "%d-%d.mem", i, k);
			struct ma_error *err = ma_catalogue_open(&c);
			if (!err)
				err = ma_catalogue_add(c, file_of(name), 0, &row);
			if (err) {
				fprintf(stderr, "%s\n", err->message);
				_exit(1);
			}
			ma_catalogue_row_deinit(&row);
			ma_catalogue_close(c);
		}
		_exit(0);
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < WRITERS; i++) {
		int status;
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect_eq(status, 0);
	}
	_cleanup_rows_ struct ma_catalogue_rows rows = list((struct ma_catalogue_filter){ 0 });
	cr_expect_eq(rows.count, WRITERS * EACH);
	for (size_t i = 0; i < rows.count; i++)
		for (size_t k = 0; k < i; k++)
			cr_expect_str_neq(rows.v[i].id, rows.v[k].id);
}

Test(catalogue, locked_by_another, .timeout = 30)
{
	sqlite3 *other;
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	struct ma_catalogue_row row;
	add("a.mem", 1, T0, "python3 a.py");
	write_snapshot("b.mem", 1, T0, "python3 a.py");
	cr_assert_eq(sqlite3_open(db_path, &other), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	struct ma_error *err = ma_catalogue_open(&c);
	if (!err)
		err = ma_catalogue_add(c, file_of("b.mem"), 0, &row);
	expect_error(err, MA_ERR_TIMEOUT, "locked");
	sqlite3_close(other);
}

static void write_db(const char *bytes)
{
	FILE *f = fopen(db_path, "w");
	cr_assert_not_null(f);
	fputs(bytes, f);
	fclose(f);
}

Test(catalogue, damaged_or_of_a_later_version)
{
	struct ma_catalogue *c;
	char text[256];
	sqlite3 *db;
	add("a.mem", 1, T0, "python3 a.py");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	write_db(text);
	expect_error(ma_catalogue_open(&c), MA_ERR_BAD_DATA, "damaged");
	expect_error(ma_catalogue_open_read(&c), MA_ERR_BAD_DATA, "damaged");
	write_db(""); /* as a command leaves it that was killed between open and the first write */
	must(ma_catalogue_open_read(&c));
	cr_expect_null(c);
	add("a.mem", 1, T0, "python3 a.py");
	cr_expect_eq(count((struct ma_catalogue_filter){ 0 }), 1);
	cr_assert_eq(sqlite3_open(db_path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	expect_error(ma_catalogue_open(&c), MA_ERR_UNSUPPORTED, "later");
	expect_error(ma_catalogue_open_read(&c), MA_ERR_UNSUPPORTED, "later");
	unlink(db_path);
	cr_assert_eq(symlink("/etc/passwd", db_path), 0);
	expect_error(ma_catalogue_open(&c), MA_ERR_OS, "catalogue.db");
	expect_error(ma_catalogue_open_read(&c), MA_ERR_BAD_DATA, "regular");
}

Test(catalogue, none_yet)
{
	struct ma_catalogue *c;
	struct ma_resolved r;
	must(ma_catalogue_open_read(&c));
	cr_expect_null(c);
	cr_expect_eq(access(file_of("memattach"), F_OK), -1, "looking makes nothing");
	expect_error(ma_resolve("3f2a", &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_OS, "neither a file nor");
	expect_error(ma_resolve("@now", &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_OS, "no snapshot");
}

static void expect_path(const char *word, struct ma_catalogue_filter which, const char *name, const char *says)
{
	struct ma_resolved r;
	must(ma_resolve(word, &which, (time_t)T0 + 3600, &r));
	cr_expect_str_eq(r.path, name[0] == '/' ? file_of(name + 1) : name, "%s", word);
	cr_expect(says ? r.said && strstr(r.said, says) : !r.said, "%s: %s", word, r.said ? r.said : "nothing said");
	ma_resolved_deinit(&r);
}

Test(catalogue, what_a_word_means)
{
	const char *id = add("a.mem", 1, T0, "python3 a.py");
	char here[64];
	expect_path(id, (struct ma_catalogue_filter){ 0 }, "/a.mem", NULL);
	expect_path("a.mem", (struct ma_catalogue_filter){ 0 }, "a.mem", NULL);
	expect_path("not/there", (struct ma_catalogue_filter){ 0 }, "not/there", NULL);
	expect_path("4242", (struct ma_catalogue_filter){ 0 }, "4242", NULL);
	snprintf(here, sizeof(here), "./%s", id);
	expect_path(here, (struct ma_catalogue_filter){ 0 }, here, NULL);
	/* a file of that name here */
	write_snapshot(id, 1, T0, "python3 a.py");
	expect_path(id, (struct ma_catalogue_filter){ 0 }, id, "the file here");
	unlink(file_of(id));
	/* a file that looks like an id needs no catalogue */
	write_snapshot("0abc", 1, T0, "python3 a.py");
	write_db("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxx");
	expect_path("0abc", (struct ma_catalogue_filter){ 0 }, "0abc", NULL);
}

Test(catalogue, nearest_in_time)
{
	struct ma_resolved r;
	add("five.mem", 1, T0 + 2, "python3 web.py");
	add("thirty.mem", 1, T0 + 1800, "python3 web.py");
	expect_path("@10:05", (struct ma_catalogue_filter){ 0 }, "/five.mem", "taken 2026-11-21 10:05:02, pid 1");
	add("other.mem", 2, T0 + 1000, "python3 worker.py");
	add("last.mem", 1, T0 + 3000, "python3 web.py");
	expect_error(ma_resolve("@10:05", &(struct ma_catalogue_filter){ 0 }, T0, &r), MA_ERR_USAGE, "which process");
	expect_path("@now", (struct ma_catalogue_filter){ .pid = 1 }, "/last.mem", "10:55:00");
	expect_path("@1h", (struct ma_catalogue_filter){ .pid = 1 }, "/five.mem", "10:05:02");
	expect_path("@30m", (struct ma_catalogue_filter){ .name = "web" }, "/thirty.mem", "10:35:00");
	expect_path("@2026-11-21T10:45:00Z", (struct ma_catalogue_filter){ .pid = 1 }, "/last.mem",
		    "10:55:00"); /* a tie */
	expect_path("@2026-11-21T10:44:59Z", (struct ma_catalogue_filter){ .pid = 1 }, "/thirty.mem", "10:35:00");
	expect_path("@now", (struct ma_catalogue_filter){ .name = "worker" }, "/other.mem", "pid 2");
	expect_error(ma_resolve("@now", &(struct ma_catalogue_filter){ .pid = 3 }, T0, &r), MA_ERR_OS,
		     "of that process");
	expect_error(ma_resolve("@soon", &(struct ma_catalogue_filter){ .pid = 1 }, T0, &r), MA_ERR_USAGE, "soon");
	unlink(file_of("last.mem"));
	expect_path("@now", (struct ma_catalogue_filter){ .pid = 1 }, "/thirty.mem", "10:35:00");
}
