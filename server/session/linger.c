// SPDX-License-Identifier: Apache-2.0
#include "linger.h"

#include "cleanup.h"
#include "outbox.h"

#include <errno.h>
#include <memattach/siphash.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 2000 /* for the other process to ask, or to answer */
#define WAITING 16

enum { ASK, FETCHED };

void ma_linger_init(struct ma_linger *l)
{
	*l = (struct ma_linger){ .at = -1, .over = -1, .quit = -1 };
	pthread_mutex_init(&l->lock, NULL);
}

/* Where the snapshot with that key is to be had, from a memattach of this version. Everyone may read the names of
 * sockets, so it tells nothing of the key. */
static struct sockaddr_un address_of(const unsigned char key[16], socklen_t *bytes_ret)
{
	static const char version[] = "kept by memattach " MA_VERSION;
	const struct ma_siphash_key k = ma_siphash_key_of(key);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "memattach-%016llx%016llx",
			 (unsigned long long)ma_siphash(&k, version, sizeof(version) - 1, 2, 4),
			 (unsigned long long)ma_siphash(&k, version, sizeof(version), 2, 4));
	*bytes_ret = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return a;
}

/* The other end is a process of our user. */
static bool is_ours(int fd)
{
	struct ucred who;
	socklen_t bytes = sizeof(who);
	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) && who.uid == geteuid();
}

/* ------------------------------------------------------------------ who holds it */

static void send_kept(int to, const struct ma_serve_kept *k)
{
	struct iovec iov = { (void *)(uintptr_t)k, sizeof(*k) };
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.data, .msg_controllen = sizeof(control.data)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &k->fd, sizeof(int));
	if (sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		/* who asked has gone */
	}
}

static void serve_one(struct ma_linger *l)
{
	char what;
	_cleanup_close_ int fd = accept4(l->at, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd p = { fd, POLLIN, 0 };
	if (fd < 0 || !is_ours(fd) || poll(&p, 1, ANSWER_MS) != 1 || recv(fd, &what, 1, MSG_DONTWAIT) != 1)
		return;
	pthread_mutex_lock(&l->lock);
	const struct ma_serve_kept k = l->k;
	pthread_mutex_unlock(&l->lock);
	if (what == ASK)
		send_kept(fd, &k);
	else if (what == FETCHED && k.whole)
		(void)!eventfd_write(l->over, 1);
}

static void *run(void *arg)
{
	struct ma_linger *l = arg;
	struct pollfd p[] = { { l->at, POLLIN, 0 }, { l->quit, POLLIN, 0 } };
	while (!p[1].revents) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			serve_one(l);
	}
	return NULL;
}

static bool start(struct ma_linger *l)
{
	sigset_t all, old;
	socklen_t bytes;
	const struct sockaddr_un a = address_of(l->k.key, &bytes);
	l->at = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	l->over = eventfd(0, EFD_CLOEXEC);
	l->quit = eventfd(0, EFD_CLOEXEC);
	if (l->at < 0 || l->over < 0 || l->quit < 0 || bind(l->at, (const struct sockaddr *)&a, bytes) ||
	    listen(l->at, WAITING))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	l->running = !pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return l->running;
}

static void stop(struct ma_linger *l)
{
	if (l->running && !eventfd_write(l->quit, 1))
		pthread_join(l->thread, NULL);
	l->running = false;
	int *const fds[] = { &l->at, &l->over, &l->quit };
	for (size_t i = 0; i < MA_ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void ma_linger_deinit(struct ma_linger *l)
{
	stop(l);
	pthread_mutex_destroy(&l->lock);
}

static int keep(void *arg, const struct ma_serve_kept *k)
{
	struct ma_linger *l = arg;
	if (!k->seconds)
		return false;
	pthread_mutex_lock(&l->lock);
	l->k = *k;
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		return true;
	if (start(l)) {
		/* not what ends with the login: we end by ourselves */
		(void)setsid();
		signal(SIGHUP, SIG_IGN);
		return true;
	}
	stop(l);
	return false;
}

static void unkeep(void *arg, const unsigned char key[16], int wait)
{
	struct ma_linger *l = arg;
	struct pollfd p = { l->over, POLLIN, 0 };
	(void)key;
	if (wait && l->running)
		(void)poll(&p, 1, (int)(l->k.seconds * 1000u));
	stop(l);
}

/* ------------------------------------------------------------------ who wants it */

/* A socket on which that was said, or -1. */
static int say(const unsigned char key[16], char what)
{
	socklen_t bytes;
	const struct sockaddr_un a = address_of(key, &bytes);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, bytes) || !is_ours(fd) ||
	    send(fd, &what, 1, MSG_NOSIGNAL) != 1)
		return -1;
	return ma_take_fd(fd);
}

/* What it says, and the descriptor that comes with it, or -1. */
static int receive_kept(int from, struct ma_serve_kept *ret)
{
	struct iovec iov = { ret, sizeof(*ret) };
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.data, .msg_controllen = sizeof(control.data)
	};
	struct pollfd p = { from, POLLIN, 0 };
	int fd = -1;
	ssize_t got = poll(&p, 1, ANSWER_MS) == 1 ? recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) : -1;
	const struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	if (fd >= 0 && (got != (ssize_t)sizeof(*ret) || !ma_outbox_is_kept(fd))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int kept(void *arg, const unsigned char key[16], struct ma_serve_kept *ret, int *fd)
{
	struct ma_serve_kept k = { 0 };
	(void)arg;
	_cleanup_close_ int from = say(key, ASK);
	_cleanup_close_ int file = from < 0 ? -1 : receive_kept(from, &k);
	if (file < 0 || memcmp(k.key, key, sizeof(k.key)) != 0)
		return false;
	k.result.attach.left_behind = NULL; /* a pointer of another process */
	*ret = k;
	if (*fd < 0)
		*fd = ma_take_fd(file);
	return true;
}

static void fetched(void *arg, const unsigned char key[16])
{
	(void)arg;
	_cleanup_close_ int to = say(key, FETCHED);
}

static struct ma_error *allow(void *arg, const char *what, pid_t pid)
{
	(void)arg;
	(void)what;
	(void)pid;
	return NULL;
}

static int sees(void *arg, pid_t pid, unsigned uid, const char *command)
{
	(void)arg;
	(void)pid;
	(void)uid;
	(void)command;
	return true;
}

static void answered(void *arg, const struct ma_serve_answer *answer)
{
	(void)arg;
	(void)answer;
}

struct ma_serve_rules ma_linger_rules(struct ma_linger *l)
{
	return (struct ma_serve_rules){ l, allow, sees, answered, keep, kept, fetched, unkeep, &l->ending };
}
