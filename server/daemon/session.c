// SPDX-License-Identifier: Apache-2.0
/* One connection: the process that may attach. */
#include "cleanup.h"
#include "daemon.h"
#include "messages.h"
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct session {
	struct ma_daemon *daemon;
	const char *address;
	struct ma_daemon_who who;
	int client;
	/* of the request that is answered: what the audit says of its target */
	char *command;
	unsigned uid;
};

#define FRONT_MS 2000 /* after SIGTERM: for what was said last to reach the client */

static int link_fd; /* for the handler */
static volatile sig_atomic_t ending;

/* SIGTERM looks like the end of the link: what runs is undone, and the session ends. */
static void on_end(int signal)
{
	(void)signal;
	ending = 1;
	shutdown(link_fd, SHUT_RD);
}

/* ------------------------------------------------------------------ rules */

static struct ma_error *look_at(struct session *s, pid_t pid)
{
	char path[32];
	struct ma_status status;
	free(ma_take_ptr(s->command));
	s->uid = 0;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_errorf(MA_ERR_TARGET_GONE, "no such process");
	MA_TRY(ma_status_read(dir, &status));
	s->uid = status.uid[0];
	return ma_cmdline_read(dir, &s->command);
}

static struct ma_error *allow(void *arg, const char *what, pid_t pid)
{
	struct session *s = arg;
	const struct ma_daemon *d = s->daemon;
	(void)what;
	if (s->client < 0) /* of HTTP only: others do not come so far */
		return ma_errorf(MA_ERR_PERMISSION, "'%s' is not in memattachd's list of clients", s->who.name);
	if (!ma_pace(&s->daemon->shared->paid_until[s->client], d->requests))
		return ma_errorf(MA_ERR_LIMIT, "'%s' has made its %u requests of this minute", s->who.name,
				 d->requests);
	if (!pid)
		return NULL;
	struct ma_error *err = look_at(s, pid);
	/* Who may see a part only is told no difference between what is not there and what is not for it. */
	if (err && ma_clients_may_all(d->clients, s->client))
		return err;
	bool may = !err && ma_clients_may(d->clients, s->client, s->uid, s->command);
	ma_error_free(err);
	if (may)
		return NULL;
	return ma_errorf(MA_ERR_PERMISSION, "no rule of memattachd lets '%s' attach to pid %d", s->who.name, (int)pid);
}

static int sees(void *arg, pid_t pid, unsigned uid, const char *command)
{
	const struct session *s = arg;
	(void)pid;
	return s->who.http ? ma_clients_may_watch(s->daemon->clients, s->client, uid, command)
			   : ma_clients_may(s->daemon->clients, s->client, uid, command);
}

static void answered(void *arg, const struct ma_serve_answer *answer)
{
	struct session *s = arg;
	struct ma_metrics *m = &s->daemon->shared->metrics;
	struct ma_audit line;
	ma_metrics_answered(m, answer);
	if (answer->objects)
		ma_metrics_watch(m, answer);
	ma_audit_begin(&line, answer->what);
	ma_audit_text(&line, "client", s->who.name);
	ma_audit_text(&line, "from", s->address);
	if (answer->pid) {
		ma_audit_number(&line, "pid", (uint64_t)answer->pid);
		if (s->command) {
			ma_audit_number(&line, "uid", s->uid);
			ma_audit_text(&line, "command", s->command);
		}
	}
	if (answer->pause_ns) {
		ma_audit_number(&line, "pause_ns", answer->pause_ns);
		ma_audit_number(&line, "bytes", answer->file_bytes);
	}
	ma_audit_text(&line, "result", answer->failed ? answer->failed->message : "done");
	ma_audit_write(&line);
	free(ma_take_ptr(s->command));
}

/* ------------------------------------------------------------------ for a client that comes back */

static int keep(void *arg, const struct ma_serve_kept *k)
{
	const struct session *s = arg;
	return ma_kept_put(s->daemon->shared->kept, s->client, k);
}

static int kept(void *arg, const unsigned char key[16], struct ma_serve_kept *ret, int *fd)
{
	const struct session *s = arg;
	return ma_kept_get(s->daemon->shared->kept, s->client, key, ret, fd);
}

static void fetched(void *arg, const unsigned char key[16])
{
	const struct session *s = arg;
	ma_kept_fetched(s->daemon->shared->kept, s->client, key);
}

static void unkeep(void *arg, const unsigned char key[16], int wait)
{
	const struct session *s = arg;
	ma_kept_drop(s->daemon->shared->kept, s->client, key, wait ? s->daemon->keep_ms : 0, &ending);
}

/* ------------------------------------------------------------------ life */

/* False when the front found nobody to serve; it has said why. */
static bool receive_who(int fd, struct ma_daemon_who *ret)
{
	size_t got = 0;
	while (got < sizeof(*ret)) {
		ssize_t n = recv(fd, (char *)ret + got, sizeof(*ret) - got, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	ret->name[sizeof(ret->name) - 1] = '\0';
	return true;
}

static struct ma_error *serve(struct session *s, int fd, unsigned slot)
{
	const struct ma_serve_rules rules = { s, allow, sees, answered, keep, kept, fetched, unkeep, &ending };
	struct ma_fd_stream fds = { fd, fd };
	const struct ma_stream stream = ma_fd_stream(&fds);
	struct ma_audit line;
	MA_TRY(ma_confine_session());
	if (!receive_who(fd, &s->who))
		return NULL;
	s->client = ma_clients_find(s->daemon->clients, s->who.name);
	ma_audit_begin(&line, s->client < 0 ? "refused" : "connected");
	ma_audit_text(&line, "client", s->who.name);
	ma_audit_text(&line, "from", s->address);
	if (s->client < 0)
		ma_audit_text(&line, "why", "not in the list of clients");
	ma_audit_write(&line);
	if (s->client < 0 && !s->who.http) {
		_cleanup_error_ struct ma_error *no =
			ma_errorf(MA_ERR_PERMISSION, "'%s' is not in memattachd's list of clients", s->who.name);
		return ma_error_send(&stream, no, s->daemon->handshake_ms);
	}
	s->daemon->shared->known[slot] = s->client >= 0;
	if (s->who.http)
		return ma_http_serve(&stream, &s->daemon->shared->metrics, &rules, s->daemon->handshake_ms);
	return ma_session_serve(fd, fd, &rules);
}

/* What we have said is on its way through the front. It ends by itself when that is through, or its client takes
 * nothing for the idle time; when the daemon ends there is not so much time. */
static void wait_for_front(pid_t front)
{
	for (unsigned waited = 0;;) {
		pid_t got = waitpid(front, NULL, WNOHANG);
		if (got == front || (got < 0 && errno != EINTR))
			return;
		if (waited >= FRONT_MS)
			kill(front, SIGKILL);
		poll(NULL, 0, 20);
		waited += ending ? 20 : 0;
	}
}

_Noreturn void ma_daemon_session(struct ma_daemon *d, int socket, const char *address, unsigned slot)
{
	struct session s = { .daemon = d, .address = address, .client = -1 };
	struct sigaction act = { .sa_handler = on_end };
	int pair[2];
	const pid_t us = getpid();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		_exit(1);
	link_fd = pair[0];
	sigaction(SIGTERM, &act, NULL);
	signal(SIGINT, SIG_IGN); /* a terminal's: the listener sends us SIGTERM */
	signal(SIGHUP, SIG_IGN); /* the listener's business */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	pid_t front = fork();
	if (front < 0)
		_exit(1);
	if (!front) {
		signal(SIGTERM, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != us)
			_exit(1);
		close(pair[0]);
		ma_daemon_front(d, socket, pair[1], address);
	}
	close(socket);
	close(pair[1]);
	ma_tls_context_destroy(ma_take_ptr(d->tls)); /* the key is the front's business */
	struct ma_error *err = serve(&s, pair[0], slot);
	if (err && err->code != MA_ERR_OS) {
		struct ma_audit line;
		ma_audit_begin(&line, "ended");
		ma_audit_text(&line, "client", s.who.name);
		ma_audit_text(&line, "from", address);
		ma_audit_text(&line, "why", err->message);
		ma_audit_write(&line);
	}
	ma_error_free(err);
	shutdown(pair[0], SHUT_RDWR);
	close(pair[0]);
	wait_for_front(front);
	_exit(0);
}
