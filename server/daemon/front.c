// SPDX-License-Identifier: Apache-2.0
/* The front of a connection: between the network and the session. All that an unknown client sends is read here first,
 * by a process that can do nothing. */
#include "cleanup.h"
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define BUFFER_BYTES 65536
#define LINGER_MS 1000 /* for a client to read why it is hung up on */

struct way {
	char data[BUFFER_BYTES];
	size_t at, bytes; /* at to bytes is to be passed on */
	bool ended;       /* nothing more comes */
};

struct front {
	const struct ma_daemon *daemon;
	struct ma_tls *tls;
	int socket, session;
	struct way in, out;        /* from the client, to the client */
	short tls_wait, pair_wait; /* what to wait for on the two */
	bool moved;
};

/* ------------------------------------------------------------------ one step each; none waits */

static struct ma_error *from_client(struct front *f)
{
	size_t done;
	short events = 0;
	if (f->in.bytes || f->in.ended)
		return NULL;
	MA_TRY(ma_tls_read_now(f->tls, f->in.data, BUFFER_BYTES, &done, &events, &f->in.ended));
	f->in.bytes = done;
	f->tls_wait |= events;
	f->moved |= done || f->in.ended;
	return NULL;
}

static struct ma_error *to_session(struct front *f)
{
	if (!f->in.bytes)
		return NULL;
	ssize_t n = send(f->session, f->in.data + f->in.at, f->in.bytes - f->in.at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN) {
		f->pair_wait |= POLLOUT;
		return NULL;
	}
	if (n < 0) { /* it has ended; what it said last is still to be passed on */
		f->in.at = f->in.bytes = 0;
		f->in.ended = true;
		return NULL;
	}
	f->moved = true;
	f->in.at += (size_t)n;
	if (f->in.at == f->in.bytes)
		f->in.at = f->in.bytes = 0;
	return NULL;
}

static struct ma_error *from_session(struct front *f)
{
	if (f->out.bytes || f->out.ended)
		return NULL;
	ssize_t n = recv(f->session, f->out.data, BUFFER_BYTES, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		f->pair_wait |= POLLIN;
		return NULL;
	}
	f->moved = true;
	f->out.ended = n <= 0;
	f->out.bytes = n > 0 ? (size_t)n : 0;
	return NULL;
}

static struct ma_error *to_client(struct front *f)
{
	size_t done;
	short events = 0;
	if (!f->out.bytes)
		return NULL;
	MA_TRY(ma_tls_write_now(f->tls, f->out.data + f->out.at, f->out.bytes - f->out.at, &done, &events));
	f->tls_wait |= events;
	f->moved |= done > 0;
	f->out.at += done;
	if (f->out.at == f->out.bytes)
		f->out.at = f->out.bytes = 0;
	return NULL;
}

/* Until one side has ended. The end of the client's stream ends the session (docs/protocol.md); what the session said
 * before it ended is passed on. */
static struct ma_error *pass_on(struct front *f)
{
	static struct ma_error *(*const steps[])(struct front *) = { from_client, to_session, from_session, to_client };
	while (!(f->in.ended && !f->in.bytes && !f->out.bytes && f->out.ended)) {
		f->tls_wait = f->pair_wait = 0;
		f->moved = false;
		for (size_t i = 0; i < MA_ARRAY_SIZE(steps); i++)
			MA_TRY(steps[i](f));
		if (f->in.ended && !f->in.bytes)
			shutdown(f->session, SHUT_WR);
		if (f->out.ended && !f->out.bytes)
			return NULL;
		if (f->moved)
			continue;
		struct pollfd p[] = { { f->socket, f->tls_wait, 0 }, { f->session, f->pair_wait, 0 } };
		int n = poll(p, 2, f->daemon->idle_ms);
		if (n < 0 && errno != EINTR)
			return ma_error_os(errno, "cannot wait");
		if (!n)
			return ma_errorf(MA_ERR_TIMEOUT, "nothing was sent or taken for %d s",
					 f->daemon->idle_ms / 1000);
	}
	return NULL;
}

/* A socket that is closed while it has unread bytes is reset, and then our last words are lost with it. */
static void linger(int socket)
{
	char bin[4096];
	struct pollfd p = { .fd = socket, .events = POLLIN };
	shutdown(socket, SHUT_WR);
	for (int i = 0; i < 256 && poll(&p, 1, LINGER_MS) > 0; i++)
		if (recv(socket, bin, sizeof(bin), MSG_DONTWAIT) <= 0)
			break;
}

static struct ma_error *run(struct front *f)
{
	struct ma_daemon_who who = { 0 };
	MA_TRY(ma_confine_front());
	MA_TRY(ma_tls_accept(f->daemon->tls, f->socket, f->daemon->handshake_ms, &f->tls));
	MA_TRY(ma_tls_peer(f->tls, who.name));
	who.http = ma_tls_wants_http(f->tls);
	if (send(f->session, &who, sizeof(who), MSG_NOSIGNAL) != sizeof(who))
		return ma_errorf(MA_ERR_OS, "the session has ended");
	return pass_on(f);
}

_Noreturn void ma_daemon_front(struct ma_daemon *d, int socket, int session, const char *address)
{
	static struct front f; /* too large for a stack */
	f = (struct front){ .daemon = d, .socket = socket, .session = session };
	prctl(PR_SET_NAME, "memattachd-tls");
	struct ma_error *err = run(&f);
	if (err) {
		struct ma_audit line;
		ma_audit_begin(&line, f.tls ? "cut" : "refused");
		ma_audit_text(&line, "from", address);
		ma_audit_text(&line, "why", err->message);
		ma_audit_write(&line);
	}
	close(session);
	ma_tls_close(f.tls);
	linger(socket);
	_exit(0);
}
