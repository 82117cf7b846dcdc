// link: ma_tls ma_stream ma_base
// SPDX-License-Identifier: Apache-2.0
/* Both halves of a connection over a socket pair, in two threads, and certificates that are not the right ones. */
#include "cleanup.h"
#include "tls.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SECOND 1000
#define LONG_MS (60 * SECOND)

static char folder[64], other[72];

static void file_in(const char *dir, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

static void make(const char *dir)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", NULL };
	cr_assert_null(ma_tls_make_ca(dir));
	cr_assert_null(ma_tls_make_server(dir, hosts));
	cr_assert_null(ma_tls_make_client(dir, "alice"));
}

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	snprintf(folder, sizeof(folder), "/tmp/tls_test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(other, sizeof(other), "%s/other", folder);
	make(folder);
	make(other);
}

static void teardown(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(tls, .init = setup, .fini = teardown, .timeout = 100);

static struct ma_tls_context *context(const char *dir, const char *name, bool server)
{
	char ca[128], cert[128], key[128], word[64];
	struct ma_tls_context *c = NULL;
	snprintf(word, sizeof(word), "%s.crt", name);
	file_in(dir, word, cert);
	snprintf(word, sizeof(word), "%s.key", name);
	file_in(dir, word, key);
	file_in(folder, "ca.crt", ca);
	const struct ma_tls_files files = { ca, cert, key };
	cr_assert_null(ma_tls_context_create(&files, server, &c));
	return c;
}

struct server {
	pthread_t thread;
	int fd, timeout_ms;
	struct ma_tls_context *context;
	struct ma_error *err;
	char name[MA_TLS_NAME_MAX];
	bool http;
};

/* Greets, says back what comes, and ends with the other side. */
static void *serve(void *arg)
{
	struct server *s = arg;
	struct ma_tls *t = NULL;
	char data[4096];
	size_t got = 1;
	s->err = ma_tls_accept(s->context, s->fd, s->timeout_ms, &t);
	if (!s->err)
		s->err = ma_tls_peer(t, s->name);
	if (!s->err) {
		const struct ma_stream stream = ma_tls_stream(t);
		s->http = ma_tls_wants_http(t);
		while (!s->err && got) {
			s->err = stream.read(stream.arg, data, sizeof(data), LONG_MS, &got);
			if (!s->err && got)
				s->err = stream.write(stream.arg, data, got, LONG_MS);
		}
	}
	ma_tls_close(t);
	shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

static int listen_here(unsigned *port_ret)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 4) &&
		  !getsockname(fd, (struct sockaddr *)&a, &bytes));
	*port_ret = ntohs(a.sin_port);
	return fd;
}

static void *accept_and_serve(void *arg)
{
	struct server *s = arg;
	int listening = s->fd;
	s->fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	return serve(s);
}

/* The error of the client, or NULL and a connection. */
static struct ma_error *meet(struct server *s, struct ma_tls_context *ours, const char *host, struct ma_tls **ret)
{
	unsigned port;
	s->fd = listen_here(&port);
	cr_assert_eq(pthread_create(&s->thread, NULL, accept_and_serve, s), 0);
	return ma_tls_connect(ours, host, port, LONG_MS, ret);
}

Test(tls, both_halves)
{
	struct server s = { .timeout_ms = LONG_MS, .context = context(folder, "server", true) };
	struct ma_tls_context *ours = context(folder, "alice", false);
	struct ma_tls *t = NULL;
	cr_assert_null(meet(&s, ours, "127.0.0.1", &t));
	const struct ma_stream stream = ma_tls_stream(t);
	static char said[100000], heard[100000];
	for (size_t i = 0; i < sizeof(said); i++)
		said[i] = (char)(i * 7);
	/* in pieces: what comes back must not wait for what is not read */
	for (size_t at = 0; at < sizeof(said);) {
		size_t n = sizeof(said) - at < 3000 ? sizeof(said) - at : 3000, back = 0;
		cr_assert_null(stream.write(stream.arg, said + at, n, LONG_MS));
		while (back < n) {
			size_t got = 0;
			cr_assert_null(stream.read(stream.arg, heard + at + back, n - back, LONG_MS, &got));
			cr_assert_gt(got, 0);
			back += got;
		}
		at += n;
	}
	cr_expect_arr_eq(said, heard, sizeof(said));
	size_t got;
	_cleanup_error_ struct ma_error *silent = stream.read(stream.arg, heard, 1, 50, &got);
	cr_assert_not_null(silent);
	cr_expect_eq(silent->code, MA_ERR_TIMEOUT);
	ma_tls_close(t);
	pthread_join(s.thread, NULL);
	cr_expect_null(s.err, "%s", s.err ? s.err->message : "");
	cr_expect_str_eq(s.name, "alice");
	cr_expect_not(s.http, "our clients offer nothing");
	ma_tls_context_destroy(ours);
	ma_tls_context_destroy(s.context);
}

static void refused(const char *server_dir, const char *server, const char *client_dir, const char *client,
		    const char *host, const char *ours_says, const char *theirs_says)
{
	struct server s = { .timeout_ms = LONG_MS, .context = context(server_dir, server, true) };
	struct ma_tls_context *ours = context(client_dir, client, false);
	struct ma_tls *t = NULL;
	struct ma_error *err = meet(&s, ours, host, &t);
	if (!err) { /* in TLS 1.3 the client is through before the server has looked at its certificate */
		size_t got = 0;
		char byte;
		const struct ma_stream stream = ma_tls_stream(t);
		err = stream.read(stream.arg, &byte, 1, LONG_MS, &got);
	}
	ma_tls_close(t);
	pthread_join(s.thread, NULL);
	cr_assert_not_null(err, "%s %s", server, client);
	cr_expect_not_null(strstr(err->message, ours_says), "%s", err->message);
	cr_assert_not_null(s.err);
	cr_expect_not_null(strstr(s.err->message, theirs_says), "%s", s.err->message);
	ma_error_free(err);
	ma_error_free(s.err);
	ma_tls_context_destroy(ours);
	ma_tls_context_destroy(s.context);
}

Test(tls, certificates)
{
	refused(other, "server", folder, "alice", "127.0.0.1", "is not signed by the CA of", "");
	refused(folder, "server", other, "alice", "127.0.0.1", "our certificate is not signed", "not signed");
	refused(folder, "alice", folder, "alice", "127.0.0.1", "is refused", ""); /* no server's */
	refused(folder, "server", folder, "server", "127.0.0.1", "refuses our certificate",
		"refused"); /* no client's */
}

/* A server that accepts and is silent, and one that is not there. */
Test(tls, timeouts)
{
	unsigned port;
	struct ma_tls_context *ours = context(folder, "alice", false);
	struct ma_tls *t = NULL;
	_cleanup_close_ int fd = listen_here(&port);
	_cleanup_error_ struct ma_error *silent = ma_tls_connect(ours, "127.0.0.1", port, 200, &t);
	cr_assert_not_null(silent);
	cr_expect_eq(silent->code, MA_ERR_TIMEOUT, "%s", silent->message);
	close(ma_take_fd(fd));
	_cleanup_error_ struct ma_error *nobody = ma_tls_connect(ours, "127.0.0.1", port, LONG_MS, &t);
	cr_assert_not_null(nobody);
	cr_expect_eq(nobody->code, MA_ERR_OS, "%s", nobody->message);
	ma_tls_context_destroy(ours);
}

/* What a client may send in place of TLS; the beginning of a hello that never goes on. */
Test(tls, garbage_for_a_server)
{
	static const struct {
		const char *data;
		size_t bytes;
		enum ma_error_code code;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18, MA_ERR_BAD_DATA },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, MA_ERR_BAD_DATA },
		{ "\xff\xff\xff\xff\1\0\0\0", 8, MA_ERR_BAD_DATA },
		{ "\x16\3\1\x40\0\1", 6, MA_ERR_TIMEOUT },
		{ "\x16\3\1\0\4\1\xff\xff\xff", 9, MA_ERR_BAD_DATA },
		{ "\x15\3\3\0\2\2\x50", 7, MA_ERR_BAD_DATA },
		{ "\x16", 1, MA_ERR_TIMEOUT },
		{ "", 0, MA_ERR_TIMEOUT },
	};
	struct ma_tls_context *c = context(folder, "server", true);
	for (size_t i = 0; i < MA_ARRAY_SIZE(cases); i++) {
		int pair[2];
		struct ma_tls *t = NULL;
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		cr_assert_eq(write(pair[1], cases[i].data, cases[i].bytes), (ssize_t)cases[i].bytes);
		_cleanup_error_ struct ma_error *err = ma_tls_accept(c, pair[0], 200, &t);
		cr_assert_not_null(err, "case %zu", i);
		cr_expect_eq(err->code, cases[i].code, "case %zu: %d, %s", i, err->code, err->message);
		close(pair[0]);
		close(pair[1]);
	}
	ma_tls_context_destroy(c);
}

Test(tls, files)
{
	char ca[128], cert[128], key[128];
	struct ma_tls_context *c = NULL;
	file_in(folder, "ca.crt", ca);
	file_in(folder, "server.crt", cert);
	file_in(folder, "server.key", key);
	struct ma_tls_files files = { ca, cert, key };
	cr_expect_eq(chmod(key, 0644), 0);
	_cleanup_error_ struct ma_error *readable = ma_tls_context_create(&files, true, &c);
	cr_assert_not_null(readable);
	cr_expect_eq(readable->code, MA_ERR_PERMISSION);
	chmod(key, 0600);
	files.key = cert;
	_cleanup_error_ struct ma_error *no_key = ma_tls_context_create(&files, true, &c);
	cr_assert_not_null(no_key);
	files = (struct ma_tls_files){ key, cert, key };
	_cleanup_error_ struct ma_error *no_ca = ma_tls_context_create(&files, true, &c);
	cr_assert_not_null(no_ca);
	_cleanup_error_ struct ma_error *again = ma_tls_make_ca(folder);
	cr_assert_not_null(again, "nothing is overwritten");
	static const char *const bad[] = { "", "a b", "../x", "-x", ".x", "a/b", "\xc3\xa9", "a\nb" };
	for (size_t i = 0; i < MA_ARRAY_SIZE(bad); i++) {
		cr_expect_not(ma_tls_name_ok(bad[i]), "%s", bad[i]);
		_cleanup_error_ struct ma_error *err = ma_tls_make_client(folder, bad[i]);
		cr_expect_not_null(err, "%s", bad[i]);
	}
}
