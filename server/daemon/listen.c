// SPDX-License-Identifier: Apache-2.0
/* The listener: accepts, counts, forks. It never reads a byte from a client. */
#include "cleanup.h"
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct connection {
	pid_t pid; /* of its session; 0: free */
	struct in6_addr from;
	char address[MA_DAEMON_ADDRESS_MAX];
	uint64_t number; /* the larger, the younger */
};

static volatile sig_atomic_t ending, again;

static void on_end(int signal)
{
	(void)signal;
	ending = 1;
}

static void on_again(int signal)
{
	(void)signal;
	again = 1;
}

static void on_child(int signal)
{
	(void)signal; /* only to end ppoll() */
}

/* ------------------------------------------------------------------ sockets */

static void address_text(const struct sockaddr_storage *a, char ret[MA_DAEMON_ADDRESS_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)a;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(ret, MA_DAEMON_ADDRESS_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)a;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret, MA_DAEMON_ADDRESS_MAX, "%s:%u", host, ntohs(in->sin_port));
	}
}

static struct ma_error *open_one(const struct addrinfo *a, int *fd_ret)
{
	const int on = 1;
	struct sockaddr_storage bound = { 0 };
	socklen_t bytes = sizeof(bound);
	char text[MA_DAEMON_ADDRESS_MAX];
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ma_error_os(errno, "no socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN) ||
	    getsockname(fd, (struct sockaddr *)&bound, &bytes))
		return ma_error_os(errno, "cannot listen");
	address_text(&bound, text);
	struct ma_audit line;
	ma_audit_begin(&line, "listens");
	ma_audit_text(&line, "on", text);
	ma_audit_write(&line);
	*fd_ret = ma_take_fd(fd);
	return NULL;
}

/* HOST:PORT, [HOST]:PORT */
static struct ma_error *open_all(const char *text, int *fds, size_t most, size_t *count)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return &ma_enomem;
	char *host = copy, *colon = strrchr(copy, ':');
	if (!colon || colon == copy || !colon[1])
		return ma_errorf(MA_ERR_USAGE, "not HOST:PORT");
	*colon = '\0';
	if (*host == '[' && colon[-1] == ']') {
		host++;
		colon[-1] = '\0';
	}
	int failed = getaddrinfo(host, colon + 1, &hints, &found);
	if (failed)
		return ma_errorf(MA_ERR_USAGE, "%s", gai_strerror(failed));
	struct ma_error *err = NULL;
	for (const struct addrinfo *a = found; a && !err && *count < most; a = a->ai_next) {
		err = open_one(a, &fds[*count]);
		if (!err)
			++*count;
	}
	freeaddrinfo(found);
	return err;
}

struct ma_error *ma_daemon_listen(const struct ma_daemon *d, int *fds, size_t most, size_t *count_ret)
{
	size_t count = 0;
	for (const char *const *l = d->listen; *l; l++) {
		struct ma_error *err = open_all(*l, fds, most, &count);
		if (err) {
			while (count)
				close(fds[--count]);
			return ma_error_prefix(err, "--listen %s", *l);
		}
	}
	*count_ret = count;
	return NULL;
}

/* ------------------------------------------------------------------ connections */

static void reap(const struct ma_daemon *d, struct connection *all)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < d->connections; i++)
			if (all[i].pid == pid)
				all[i].pid = 0;
}

static void say_refused(const struct ma_daemon *d, const char *address, const char *why)
{
	struct ma_audit line;
	ma_metrics_refused(&d->shared->metrics);
	ma_audit_begin(&line, "refused");
	ma_audit_text(&line, "from", address);
	ma_audit_text(&line, "why", why);
	ma_audit_write(&line);
}

/* One too many is told so by an alert of TLS, internal_error (RFC 8446, sections 5.1 and 6), which costs us nothing. */
static void turn_away(const struct ma_daemon *d, int fd, const char *address, const char *why)
{
	static const unsigned char alert[] = { 0x15, 3, 3, 0, 2, 2, 80 };
	if (send(fd, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* it will see that we hang up */
	}
	shutdown(fd, SHUT_WR);
	say_refused(d, address, why);
}

static void from_of(const struct sockaddr_storage *a, struct in6_addr *ret)
{
	*ret = (struct in6_addr){ 0 };
	if (a->ss_family == AF_INET6) {
		*ret = ((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
		memset(ret->s6_addr + 8, 0, 8); /* one client has a whole /64 of them */
	} else {
		memcpy(ret->s6_addr + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	}
}

/* The number of a free connection, or why there is none. When all are taken, the oldest one whose client has not
 * shown who it is has to go, so that nobody can hold all places without a certificate. */
static const char *find_free(const struct ma_daemon *d, struct connection *all, const struct in6_addr *from,
			     unsigned *slot_ret)
{
	struct connection *oldest = NULL;
	unsigned same = 0, slot = d->connections;
	for (unsigned i = 0; i < d->connections; i++) {
		if (!all[i].pid)
			slot = i;
		else if (!d->shared->known[i] && (!oldest || all[i].number < oldest->number))
			oldest = &all[i];
		same += all[i].pid && !memcmp(&all[i].from, from, sizeof(*from));
	}
	if (same >= d->per_address)
		return "too many connections from there";
	if (slot == d->connections) {
		if (!oldest)
			return "too many connections";
		/* It has no twin, and its front ends with it. */
		kill(oldest->pid, SIGKILL);
		while (waitpid(oldest->pid, NULL, 0) < 0 && errno == EINTR)
			;
		oldest->pid = 0;
		slot = (unsigned)(oldest - all);
		say_refused(d, oldest->address, "too many connections, and it did not show who it is");
	}
	*slot_ret = slot;
	return NULL;
}

static void accept_one(struct ma_daemon *d, const int *fds, size_t count, int listening, struct connection *all,
		       const sigset_t *mask)
{
	static uint64_t number;
	const int on = 1;
	struct sockaddr_storage peer = { 0 };
	socklen_t bytes = sizeof(peer);
	char address[MA_DAEMON_ADDRESS_MAX];
	struct in6_addr from;
	unsigned slot = 0;
	_cleanup_close_ int fd = accept4(listening, (struct sockaddr *)&peer, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	address_text(&peer, address);
	from_of(&peer, &from);
	const char *why = ma_arrivals_may(d->arrivals, &from, d->new_connections)
				  ? find_free(d, all, &from, &slot)
				  : "too many new connections from there";
	if (why) {
		turn_away(d, fd, address, why);
		return;
	}
	d->shared->known[slot] = 0;
	const pid_t listener = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		turn_away(d, fd, address, "no process could be made");
		return;
	}
	if (!pid) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != listener)
			_exit(1);
		sigprocmask(SIG_SETMASK, mask, NULL);
		ma_daemon_session(d, ma_take_fd(fd), address, slot);
	}
	all[slot] = (struct connection){ .pid = pid, .from = from, .number = ++number };
	memcpy(all[slot].address, address, sizeof(address));
}

static void end_all(const struct ma_daemon *d, struct connection *all)
{
	for (unsigned i = 0; i < d->connections; i++)
		if (all[i].pid)
			kill(all[i].pid, SIGTERM);
	for (unsigned i = 0; i < d->connections; i++)
		while (all[i].pid && waitpid(all[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* For the connections from now on. */
static void read_again(struct ma_daemon *d)
{
	struct ma_audit line;
	again = 0;
	_cleanup_error_ struct ma_error *err = ma_daemon_load(d);
	ma_audit_begin(&line, "reload");
	ma_audit_text(&line, "dir", d->dir);
	ma_audit_text(&line, "result", err ? err->message : "done");
	if (err)
		ma_audit_text(&line, "in_force", "what was read before");
	ma_audit_write(&line);
}

struct ma_error *ma_daemon_run(struct ma_daemon *d, const int *fds, size_t count)
{
	static const int ends[] = { SIGTERM, SIGINT };
	_cleanup_free_ struct connection *all = calloc(d->connections, sizeof(*all));
	_cleanup_free_ struct pollfd *p = calloc(count, sizeof(*p));
	struct sigaction act = { .sa_handler = on_child };
	sigset_t blocked, open_mask;
	if (!all || !p)
		return &ma_enomem;
	/* Signals come only while we wait, so that none is missed between a look and the wait. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigaction(SIGCHLD, &act, NULL);
	sigaddset(&blocked, SIGHUP);
	act.sa_handler = on_again;
	sigaction(SIGHUP, &act, NULL);
	act.sa_handler = on_end;
	for (size_t i = 0; i < MA_ARRAY_SIZE(ends); i++) {
		sigaddset(&blocked, ends[i]);
		sigaction(ends[i], &act, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, &open_mask);
	for (size_t i = 0; i < count; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	while (!ending) {
		int n = ppoll(p, count, NULL, &open_mask);
		reap(d, all);
		if (again)
			read_again(d);
		for (size_t i = 0; n > 0 && i < count; i++)
			if (p[i].revents)
				accept_one(d, fds, count, fds[i], all, &open_mask);
	}
	end_all(d, all);
	return NULL;
}
