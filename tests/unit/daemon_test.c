// link: ma_daemon ma_tls ma_stream ma_base ma_test_support
// SPDX-License-Identifier: Apache-2.0
/* The parts of memattachd: its list of clients, the audit, the pace, metrics over HTTP; and the whole of it, started
 * and spoken to over TLS. */
#include "byte_stream.h"
#include "cleanup.h"
#include "daemon.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LONG_MS 60000

static char folder[64];

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	snprintf(folder, sizeof(folder), "/tmp/daemon_test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(daemon, .init = setup, .fini = teardown, .timeout = 100);

/* ------------------------------------------------------------------ the list of clients */

static struct ma_error *read_clients(const char *text, size_t bytes, unsigned mode, struct ma_clients **ret)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/clients", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes && !fchmod(fd, mode));
	close(fd);
	return ma_clients_read(path, NULL, ret);
}

Test(daemon, clients)
{
	static const char text[] = "# none\n\n  alice 1000  *gunicorn* \nalice root exactly this\nbob * *\n"
				   "carol - *shown*\n\tdave\t0\tx\r\n";
	struct ma_clients *c = NULL;
	cr_assert_null(read_clients(text, sizeof(text) - 1, 0644, &c));
	int alice = ma_clients_find(c, "alice"), bob = ma_clients_find(c, "bob"), carol = ma_clients_find(c, "carol");
	cr_assert(alice >= 0 && bob >= 0 && carol >= 0 && ma_clients_find(c, "dave") >= 0);
	cr_expect_lt(ma_clients_find(c, "ali"), 0);
	cr_expect(ma_clients_may(c, alice, 1000, "python gunicorn app"));
	cr_expect_not(ma_clients_may(c, alice, 1001, "python gunicorn app"));
	cr_expect(ma_clients_may(c, alice, 0, "exactly this"));
	cr_expect_not(ma_clients_may(c, alice, 0, "exactly this and more"));
	cr_expect_not(ma_clients_may_all(c, alice));
	cr_expect(ma_clients_may_all(c, bob) && ma_clients_may(c, bob, 7, ""));
	cr_expect_not(ma_clients_may(c, carol, 0, "it is shown"), "it may attach to nothing");
	cr_expect(ma_clients_may_watch(c, carol, 0, "it is shown") && !ma_clients_may_watch(c, carol, 0, "hidden"));
	cr_expect(ma_clients_may_watch(c, bob, 0, "anything"));
	cr_expect_not(ma_clients_may(c, ma_clients_find(c, "dave"), 0, "x\r"), "the end of a line is no part of it");
	ma_clients_destroy(c);
}

Test(daemon, wrong_clients)
{
	static const char *const wrong[] = { "alice\n",
					     "alice root\n",
					     "../x root *\n",
					     "alice no-such-user-here *\n",
					     "alice -1 *\n",
					     "alice 4294967296 *\n",
					     "a b c\xff\nal\xffice root *\n" };
	struct ma_clients *c = NULL;
	for (size_t i = 0; i < MA_ARRAY_SIZE(wrong); i++) {
		_cleanup_error_ struct ma_error *err = read_clients(wrong[i], strlen(wrong[i]), 0600, &c);
		cr_assert_not_null(err, "%s", wrong[i]);
		cr_expect_not_null(strstr(err->message, "line "), "%s", err->message);
	}
	_cleanup_error_ struct ma_error *writable = read_clients("a * *\n", 6, 0666, &c);
	cr_assert_not_null(writable);
	cr_expect_eq(writable->code, MA_ERR_PERMISSION);
	char path[128];
	snprintf(path, sizeof(path), "%s/many", folder);
	FILE *f = fopen(path, "we");
	for (int i = 0; i < 300; i++)
		fprintf(f, "client%d * *\n", i);
	fclose(f);
	chmod(path, 0600);
	_cleanup_error_ struct ma_error *many = ma_clients_read(path, NULL, &c);
	cr_assert_not_null(many);
	cr_expect_eq(many->code, MA_ERR_LIMIT);
}

/* What is remembered of a client by its number stays its own when the list is read again. */
Test(daemon, numbers_of_clients)
{
	static const char first[] = "alice * *\nbob * *\n", second[] = "carol * *\nbob * x\n";
	struct ma_clients *before = NULL, *c = NULL;
	char path[128];
	cr_assert_null(read_clients(first, sizeof(first) - 1, 0600, &before));
	snprintf(path, sizeof(path), "%s/second", folder);
	FILE *f = fopen(path, "we");
	fputs(second, f);
	fclose(f);
	chmod(path, 0600);
	cr_assert_null(ma_clients_read(path, before, &c));
	cr_expect_eq(ma_clients_find(c, "bob"), ma_clients_find(before, "bob"));
	cr_expect_eq(ma_clients_find(c, "alice"), -1, "it is not in the list any more");
	cr_expect_eq(ma_clients_find(c, "carol"), 2);
	cr_expect_not(ma_clients_may_all(c, ma_clients_find(c, "bob")));
	ma_clients_destroy(before);
	ma_clients_destroy(c);
}

/* ------------------------------------------------------------------ audit, pace */

Test(daemon, audit)
{
	struct ma_audit a;
	static char longest[5000];
	memset(longest, '"', sizeof(longest) - 1);
	ma_audit_begin(&a, "event");
	for (int i = 0; i < 20; i++)
		ma_audit_text(&a, "name", longest);
	cr_expect_lt(a.bytes, sizeof(a.text), "there is room for the newline");
	ma_audit_begin(&a, "event");
	ma_audit_text(&a, "name", "a\nb\"\\\x1b\xff");
	ma_audit_number(&a, "n", UINT64_MAX);
	cr_expect_arr_eq(a.text, "memattachd: event name=\"a\\x0ab\\x22\\x5c\\x1b\\xff\" n=18446744073709551615",
			 a.bytes);
}

Test(daemon, pace)
{
	uint64_t clock = 0;
	unsigned may = 0;
	while (ma_pace(&clock, 7) && may < 100)
		may++;
	cr_expect_eq(may, 7);
	struct ma_arrivals *a = NULL;
	cr_assert_null(ma_arrivals_create(&a));
	struct in6_addr one = { .s6_addr = { 1 } };
	for (may = 0; ma_arrivals_may(a, &one, 10) && may < 100;)
		may++;
	cr_expect_eq(may, 10);
	unsigned others = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct in6_addr from = { .s6_addr = { 2, (uint8_t)i } };
		others += ma_arrivals_may(a, &from, 10);
	}
	cr_expect_geq(others, 98, "others are not held up by one (two of 4096 clocks may meet)");
	ma_arrivals_destroy(a);
}

/* ------------------------------------------------------------------ metrics */

struct http {
	struct byte_stream in; /* the first, so that this is one, too */
	struct ma_buf out;
};

static struct ma_error *write_all(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	struct http *h = arg;
	(void)timeout_ms;
	ma_buf_add(&h->out, data, bytes);
	return ma_buf_error(&h->out);
}

static struct ma_error *allow(void *arg, const char *what, pid_t pid)
{
	(void)what;
	(void)pid;
	return arg ? ma_errorf(*(enum ma_error_code *)arg, "no") : NULL;
}

static int sees(void *arg, pid_t pid, unsigned uid, const char *command)
{
	(void)arg;
	(void)uid;
	(void)command;
	return pid == getpid();
}

static void answered(void *arg, const struct ma_serve_answer *a)
{
	(void)arg;
	cr_expect_str_eq(a->what, "metrics");
}

static void ask(struct ma_metrics *m, enum ma_error_code *no, const char *request, size_t most, const char *says)
{
	const struct ma_serve_rules rules = { .arg = no, .allow = allow, .sees = sees, .answered = answered };
	struct http h = { { (const uint8_t *)request, strlen(request), most }, MA_BUF_INIT(1 << 20) };
	const struct ma_stream s = { &h, byte_stream_read, write_all };
	cr_assert_null(ma_http_serve(&s, m, &rules, 1000));
	cr_expect_not_null(strstr(ma_buf_text(&h.out), says), "%s: %s", request, ma_buf_text(&h.out));
	ma_buf_deinit(&h.out);
}

Test(daemon, metrics)
{
	static struct ma_metrics m;
	_cleanup_error_ struct ma_error *gone = ma_errorf(MA_ERR_TARGET_GONE, "gone");
	const struct ma_serve_answer done = { .what = "snapshot",
					      .pid = getpid(),
					      .file_bytes = 1000,
					      .pause_ns = 3000000,
					      .objects = 5,
					      .object_bytes = 500 },
				     failed = { .what = "snapshot", .pid = 1, .failed = gone },
				     unknown = { .what = "something" };
	ma_metrics_answered(&m, &done);
	ma_metrics_watch(&m, &done);
	ma_metrics_answered(&m, &failed);
	ma_metrics_answered(&m, &unknown);
	ma_metrics_answered(&m, &(struct ma_serve_answer){ .what = "resume", .pause_ns = 3000000, .file_bytes = 1000 });
	for (int i = 0; i < 200; i++) /* more than there are places; the first ones are gone by then, or are not seen */
		ma_metrics_watch(&m, &(struct ma_serve_answer){ .what = "snapshot", .pid = 1 + i % 100, .objects = 1 });
	ma_metrics_watch(&m, &done);
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	enum ma_error_code limit = MA_ERR_LIMIT, permission = MA_ERR_PERMISSION;
	for (size_t most = 1; most < 40; most += 13) {
		ask(&m, NULL, get, most, "HTTP/1.1 200 OK\r\n");
		ask(&m, NULL, get, most, "\nmemattachd_snapshots_total{kind=\"heap\"} 1\n");
		ask(&m, NULL, get, most, "reason=\"target_gone\"} 1\n");
		ask(&m, NULL, get, most, "\nmemattachd_requests_total{request=\"resume\"} 1\n");
		ask(&m, NULL, get, most, "\nmemattachd_pause_seconds_count 1\n"); /* a rest is no second pause */
		ask(&m, NULL, get, most, "bucket{le=\"0.0025\"} 0\nmemattachd_pause_seconds_bucket{le=\"0.005\"} 1\n");
		ask(&m, NULL, get, most, "\nmemattachd_process_object_bytes{pid=\"");
		ask(&m, &limit, get, most, "HTTP/1.1 429 ");
		ask(&m, &permission, get, most, "HTTP/1.1 403 ");
		ask(&m, NULL, "GET /metrics HTTP/1.1\r\nHost", most, "HTTP/1.1 408 ");
		ask(&m, NULL, "DELETE /metrics HTTP/1.1\r\n\r\n", most, "HTTP/1.1 405 ");
		ask(&m, NULL, "nonsense\r\n\r\n", most, "HTTP/1.1 400 ");
	}
}

/* ------------------------------------------------------------------ what waits for a client */

static struct ma_serve_kept kept_of(unsigned char byte, int fd)
{
	struct ma_serve_kept k = { .fd = fd };
	memset(k.key, byte, sizeof(k.key));
	return k;
}

Test(daemon, kept)
{
	static struct ma_kept all[MA_KEPT_MAX];
	static const volatile sig_atomic_t going;
	struct ma_serve_kept found, k = kept_of(1, -1);
	int fd = -1, file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	cr_assert_geq(file, 0);
	k.fd = file;
	cr_expect(ma_kept_put(all, 3, &k));
	cr_expect_not(ma_kept_get(all, 4, k.key, &found, &fd), "of another client");
	cr_expect_not(ma_kept_get(all, 3, kept_of(2, 0).key, &found, &fd), "of another key");
	if (ma_kept_get(all, 3, k.key, &found, &fd)) { /* where a process may take a descriptor of its own */
		struct stat a, b;
		cr_expect(!found.whole && fd >= 0 && fd != file && !fstat(fd, &a) && !fstat(file, &b));
		cr_expect_eq(a.st_ino, b.st_ino);
		close(fd);
	}
	k.whole = 1;
	k.result.file_bytes = 77;
	cr_expect(ma_kept_put(all, 3, &k));
	fd = dup(file);
	cr_expect(ma_kept_get(all, 3, k.key, &found, &fd) && found.whole && found.result.file_bytes == 77);
	close(fd);
	ma_kept_fetched(all, 4, k.key); /* not its own */
	ma_kept_fetched(all, 3, k.key);
	ma_kept_drop(all, 3, k.key, LONG_MS, &going); /* does not wait: it was fetched */
	cr_expect_not(ma_kept_get(all, 3, k.key, &found, &fd));
	/* a descriptor that is no such file is not taken */
	int named = open(TEST_BIN_DIR "/memattachd", O_RDONLY | O_CLOEXEC);
	k = kept_of(5, named);
	cr_expect(ma_kept_put(all, 3, &k));
	fd = -1;
	cr_expect_not(ma_kept_get(all, 3, k.key, &found, &fd));
	/* there are so many places; those of a session that was killed are free again */
	unsigned more = 0;
	for (unsigned char i = 10; i < 100; i++) {
		k = kept_of(i, file);
		more += ma_kept_put(all, 3, &k);
	}
	cr_expect_eq(more, MA_KEPT_MAX - 1);
	pid_t dead = fork();
	if (!dead)
		_exit(0);
	cr_assert_eq(waitpid(dead, NULL, 0), dead);
	all[7].session = dead;
	k = kept_of(200, file);
	cr_expect(ma_kept_put(all, 3, &k) && !ma_kept_put(all, 3, &(struct ma_serve_kept){ .fd = file }));
	close(file);
	close(named);
}

/* ------------------------------------------------------------------ the whole */

static pid_t start(int *err_ret)
{
	char dir[128];
	int pipe_[2];
	cr_assert_eq(pipe2(pipe_, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (!pid) {
		snprintf(dir, sizeof(dir), "%s/etc", folder);
		dup2(pipe_[1], 2);
		const char *args[] = {
			"memattachd", "--listen", "127.0.0.1:0", "--dir", dir, "--user", "nobody", NULL
		};
		if (geteuid())
			args[5] = NULL;
		execv(TEST_BIN_DIR "/memattachd", (char **)args);
		_exit(127);
	}
	close(pipe_[1]);
	*err_ret = pipe_[0];
	return pid;
}

static void run(const char *command)
{
	char text[512];
	snprintf(text, sizeof(text), "%s/memattachd %s %s/etc >/dev/null", TEST_BIN_DIR, command, folder);
	cr_assert_eq(system(text), 0, "%s", text);
}

static unsigned port_of(int err)
{
	char text[4096];
	size_t n = 0;
	unsigned port = 0;
	while (!port && n < sizeof(text) - 1 && read(err, text + n, 1) == 1) {
		text[++n] = '\0';
		char *at = text[n - 1] == '\n' ? strstr(text, "listens on=\"127.0.0.1:") : NULL;
		if (at)
			port = (unsigned)strtoul(at + 22, NULL, 10);
	}
	cr_assert(port, "%.*s", (int)n, text);
	return port;
}

static struct ma_tls_context *client(void)
{
	char ca[128], cert[128], key[128];
	struct ma_tls_context *c = NULL;
	snprintf(ca, sizeof(ca), "%s/etc/ca.crt", folder);
	snprintf(cert, sizeof(cert), "%s/etc/client.crt", folder);
	snprintf(key, sizeof(key), "%s/etc/client.key", folder);
	const struct ma_tls_files files = { ca, cert, key };
	cr_assert_null(ma_tls_context_create(&files, false, &c));
	return c;
}

/* The kind of the last frame of an answer; 0: the other side has hung up. */
static unsigned last_kind(const struct ma_stream *s, struct ma_frame_reader *r)
{
	bool ended = false;
	do {
		_cleanup_error_ struct ma_error *err = ma_frame_receive(s, r, LONG_MS, &ended);
		if (err || ended)
			return 0;
	} while (r->kind != MA_FRAME_DONE && r->kind != MA_FRAME_ERROR);
	return r->kind;
}

/* Greets, lists, asks for what is not there, sends garbage, hangs up. */
static void talk(struct ma_tls_context *c, unsigned port, unsigned garbage)
{
	static const struct ma_snapshot_request nobody = { .pid = 1 << 22 };
	const struct ma_list_request tree = { .tree = getpid() };
	struct ma_tls *t = NULL;
	struct ma_frame_reader r;
	bool ended = false;
	cr_assert_null(ma_tls_connect(c, "127.0.0.1", port, LONG_MS, &t));
	const struct ma_stream s = ma_tls_stream(t);
	cr_assert_null(ma_frame_reader_init(&r));
	cr_assert_null(ma_hello_send(&s, LONG_MS));
	cr_assert_null(ma_frame_receive(&s, &r, LONG_MS, &ended));
	cr_expect_eq(r.kind, MA_FRAME_HELLO);
	cr_assert_null(
		ma_message_send(&s, MA_FRAME_LIST, ma_list_request_fields, ma_list_request_count, &tree, LONG_MS));
	cr_expect_eq(last_kind(&s, &r), MA_FRAME_DONE);
	cr_assert_null(ma_message_send(&s, MA_FRAME_SNAPSHOT, ma_snapshot_request_fields, ma_snapshot_request_count,
				       &nobody, LONG_MS));
	cr_expect_eq(last_kind(&s, &r), MA_FRAME_ERROR);
	cr_assert_null(ma_message_send(&s, MA_FRAME_DOCTOR, ma_doctor_fields, ma_doctor_count,
				       &(struct ma_doctor){ .pid = getpid() }, LONG_MS));
	unsigned kind = last_kind(&s, &r);
	cr_expect(kind == MA_FRAME_DONE || kind == MA_FRAME_ERROR);
	if (garbage) {
		static const char bad[] = "\xff\xff\xff\xff\1\0\0\0";
		cr_assert_null(s.write(s.arg, bad, sizeof(bad) - 1, LONG_MS));
		cr_expect_eq(last_kind(&s, &r), MA_FRAME_ERROR);
		cr_expect_eq(last_kind(&s, &r), 0);
	}
	ma_frame_reader_deinit(&r);
	ma_tls_close(t);
}

Test(daemon, whole)
{
	int err, status;
	run("init");
	pid_t pid = start(&err);
	unsigned port = port_of(err);
	struct ma_tls_context *c = client();
	for (unsigned i = 0; i < 4; i++)
		talk(c, port, i % 2);
	kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* whatever a sanitizer has to say of one of its processes is in what it wrote */
	static char text[1 << 16];
	size_t n = 0;
	for (ssize_t got; n < sizeof(text) - 1 && (got = read(err, text + n, sizeof(text) - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	cr_expect(WIFEXITED(status) && !WEXITSTATUS(status), "%s", text);
	cr_expect_null(strstr(text, "Sanitizer"), "%s", text);
	cr_expect_null(strstr(text, "runtime error"), "%s", text);
	close(err);
	ma_tls_context_destroy(c);
}
