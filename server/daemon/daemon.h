// SPDX-License-Identifier: Apache-2.0
/* daemon.h - memattachd, in three kinds of process:
 *
 *   the listener   accepts and counts connections; one for each of them is
 *   a session      with CAP_SYS_PTRACE: knows the rules, answers requests (ma_session_serve), writes the audit;
 *                  it reads nothing from the network, but from a socket pair to its
 *   front          without capabilities, files or new sockets (seccomp): TLS and certificates.
 */
#ifndef MA_DAEMON_H
#define MA_DAEMON_H

#include "buffer.h"
#include "tls.h"

#include <memattach/session.h>
#include <netdb.h>
#include <signal.h>

#define MA_DAEMON_ADDRESS_MAX (INET6_ADDRSTRLEN + 16)

/* ------------------------------------------------------------------ clients.c: who may attach to what */

struct ma_clients;
/* Reads the list of clients: lines of the name in the certificate, a user, and a pattern for the command line. Names of
 * the list `before`, if any, keep their numbers. */
MA_CHECK struct ma_error *ma_clients_read(const char *path, const struct ma_clients *before, struct ma_clients **ret);
void ma_clients_destroy(struct ma_clients *c);
/* A number for a name that stands in the list, from 0 to MA_CLIENTS_MAX - 1; -1 for another one. */
#define MA_CLIENTS_MAX 256
int ma_clients_find(const struct ma_clients *c, const char *name);
bool ma_clients_may(const struct ma_clients *c, int client, unsigned uid, const char *command);
/* Whether it may see numbers of the process in /metrics: also by a rule that lets it attach to nothing. */
bool ma_clients_may_watch(const struct ma_clients *c, int client, unsigned uid, const char *command);
/* Whether there is a rule that lets the client attach to everything. */
bool ma_clients_may_all(const struct ma_clients *c, int client);

/* ------------------------------------------------------------------ audit.c */

/* One line on stderr, in one write(): "memattachd: " and words NAME=VALUE; values are quoted and escaped. */
struct ma_audit {
	char text[2048];
	size_t bytes;
};
void ma_audit_begin(struct ma_audit *a, const char *event);
void ma_audit_text(struct ma_audit *a, const char *name, const char *value);
void ma_audit_number(struct ma_audit *a, const char *name, uint64_t value);
void ma_audit_write(struct ma_audit *a);

/* ------------------------------------------------------------------ pace.c */

/* One more within a minute? Each moves the clock on by a share of a minute; it may be a minute ahead of ours and no
 * more. Several processes may do so at once. */
bool ma_pace(uint64_t *clock, unsigned per_minute);

/* When which address connected. */
struct ma_arrivals;
MA_CHECK struct ma_error *ma_arrivals_create(struct ma_arrivals **ret);
void ma_arrivals_destroy(struct ma_arrivals *a);
bool ma_arrivals_may(struct ma_arrivals *a, const struct in6_addr *from, unsigned per_minute);

/* ------------------------------------------------------------------ confine.c */

/* Leaves root, if we are it, for `user`, and gives up every capability but CAP_SYS_PTRACE, and what a process could
 * gain by executing others. */
MA_CHECK struct ma_error *ma_confine_daemon(const char *user);
/* Of a session: no programs, no network. */
MA_CHECK struct ma_error *ma_confine_session(void);
/* Of a front: nothing but what moves bytes between descriptors that are open. */
MA_CHECK struct ma_error *ma_confine_front(void);

/* ------------------------------------------------------------------ listen.c */

struct ma_daemon {
	const char *dir;           /* of the files */
	const char *const *listen; /* HOST:PORT, NULL at the end */
	struct ma_tls_context *tls;
	struct ma_clients *clients;
	unsigned connections, per_address; /* at once */
	unsigned requests;                 /* of one client within a minute */
	unsigned new_connections;          /* of one address within a minute */
	struct ma_arrivals *arrivals;
	int handshake_ms, idle_ms, keep_ms;
	struct ma_daemon_shared *shared;
};

/* ------------------------------------------------------------------ files.c */

/* Reads certificates and the list of clients in d->dir, in place of those that were read before. After an error these
 * stay in force. */
MA_CHECK struct ma_error *ma_daemon_load(struct ma_daemon *d);

/* ------------------------------------------------------------------ metrics.c, http.c: GET /metrics */

#define MA_METRIC_KINDS 6u
#define MA_METRIC_REASONS (MA_ERR_CANCELLED + 1u)
#define MA_METRIC_PAUSES 12u
#define MA_WATCHED_MAX 64u

struct ma_watched {
	pid_t pid; /* 0: free, or being written */
	uint64_t start_time, objects, object_bytes, taken_ms;
};

/* Counted by all sessions at once, without a lock: one of them may be killed at any time. */
struct ma_metrics {
	uint64_t requests[MA_METRIC_KINDS], failures[MA_METRIC_KINDS][MA_METRIC_REASONS];
	uint64_t taken[2], bytes, refused;
	uint64_t pauses[MA_METRIC_PAUSES + 1], pause_ns;
	struct ma_watched watched[MA_WATCHED_MAX];
};

void ma_metrics_answered(struct ma_metrics *m, const struct ma_serve_answer *a);
void ma_metrics_refused(struct ma_metrics *m);
/* From now on the process of that answer is shown. */
void ma_metrics_watch(struct ma_metrics *m, const struct ma_serve_answer *a);
/* The page; rules->sees() says of which processes. */
void ma_metrics_show(struct ma_buf *b, const struct ma_metrics *m, const struct ma_serve_rules *rules);

struct ma_stream;
/* Answers one request, which must be there within timeout_ms. The error is that of the link. */
MA_CHECK struct ma_error *ma_http_serve(const struct ma_stream *s, struct ma_metrics *m,
					const struct ma_serve_rules *rules, int timeout_ms);

/* ------------------------------------------------------------------ kept.c: for clients that come back */

#define MA_KEPT_MAX 16u

struct ma_kept {
	unsigned state;
	int client;
	pid_t session; /* that has it, as descriptor k.fd */
	struct ma_serve_kept k;
};

/* This session has that file; called again when it is whole. False: there are too many. */
bool ma_kept_put(struct ma_kept *all, int client, const struct ma_serve_kept *k);
/* That of the client with this key, and in *fd a descriptor of the file, unless there is one. */
bool ma_kept_get(struct ma_kept *all, int client, const unsigned char key[16], struct ma_serve_kept *ret, int *fd);
void ma_kept_fetched(struct ma_kept *all, int client, const unsigned char key[16]);
/* Of this session: forgets it, once it was fetched, wait_ms are over, or all ends. */
void ma_kept_drop(struct ma_kept *all, int client, const unsigned char key[16], int wait_ms,
		  const volatile sig_atomic_t *ending);

/* What the processes share: memory that all of them may write, so nothing in it is believed beyond what it is for. */
struct ma_daemon_shared {
	uint64_t paid_until[MA_CLIENTS_MAX]; /* ns: the clocks of ma_pace() */
	struct ma_metrics metrics;
	struct ma_kept kept[MA_KEPT_MAX];
	uint8_t known[]; /* by connection: its client has shown who it is */
};

/* Opens the sockets; `fds` has room for `most`. Says on stderr where it listens. */
MA_CHECK struct ma_error *ma_daemon_listen(const struct ma_daemon *d, int *fds, size_t most, size_t *count_ret);
/* Serves until SIGTERM or SIGINT, and then until every session has ended. After SIGHUP it reads its files again. */
MA_CHECK struct ma_error *ma_daemon_run(struct ma_daemon *d, const int *fds, size_t count);

/* ------------------------------------------------------------------ session.c, front.c */

/* Both end the process that calls them. `slot`: the connection's number. */
_Noreturn void ma_daemon_session(struct ma_daemon *d, int socket, const char *address, unsigned slot);
_Noreturn void ma_daemon_front(struct ma_daemon *d, int socket, int session, const char *address);

/* What the front tells the session first. */
struct ma_daemon_who {
	char name[MA_TLS_NAME_MAX];
	bool http; /* the client wants to speak that, not docs/protocol.md */
};

#endif
