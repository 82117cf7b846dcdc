// SPDX-License-Identifier: Apache-2.0
/* tls.h - TLS 1.3 with certificates on both sides, by OpenSSL: the only files that include it are in this folder.
 *
 * Both sides trust one CA, that of a file, and no other: not those of the system. What fails ends the connection. */
#ifndef MA_TLS_H
#define MA_TLS_H

#include "stream.h"

#include <stdbool.h>

#define MA_TLS_NAME_MAX 65 /* a common name has at most 64 characters (RFC 5280, ub-common-name) */

struct ma_tls_files {
	const char *ca, *cert, *key; /* PEM */
};

struct ma_tls_context;
struct ma_tls;

/* Reads the files. A key that everybody may read is refused: MA_ERR_PERMISSION. */
MA_CHECK struct ma_error *ma_tls_context_create(const struct ma_tls_files *files, bool server,
						struct ma_tls_context **ret);
void ma_tls_context_destroy(struct ma_tls_context *c);

/* Connects, and checks that the certificate there is signed by our CA, valid now, made for a server, and for `host`.
 * MA_ERR_PERMISSION names the check that failed. */
MA_CHECK struct ma_error *ma_tls_connect(struct ma_tls_context *c, const char *host, unsigned port, int timeout_ms,
					 struct ma_tls **ret);
/* The server's half of the handshake on `fd`, which stays the caller's and becomes one that does not block. */
MA_CHECK struct ma_error *ma_tls_accept(struct ma_tls_context *c, int fd, int timeout_ms, struct ma_tls **ret);
/* The common name in the certificate of the other side: letters, digits and ._@+- only, else MA_ERR_PERMISSION. */
MA_CHECK struct ma_error *ma_tls_peer(const struct ma_tls *t, char name_ret[MA_TLS_NAME_MAX]);
/* Of a server: whether the client has offered http/1.1 (ALPN, RFC 7301). Clients of ours offer nothing. */
bool ma_tls_wants_http(const struct ma_tls *t);
struct ma_stream ma_tls_stream(struct ma_tls *t);
/* Says goodbye without waiting for an answer. NULL is allowed. */
void ma_tls_close(struct ma_tls *t);

/* What can be done without waiting. *done_ret: bytes that went through; 0: wait for *events_ret (POLLIN, POLLOUT) on
 * the socket. A write that went through in part or not at all is to be made again with the same rest. */
MA_CHECK struct ma_error *ma_tls_read_now(struct ma_tls *t, void *data, size_t bytes, size_t *done_ret,
					  short *events_ret, bool *ended_ret);
MA_CHECK struct ma_error *ma_tls_write_now(struct ma_tls *t, const void *data, size_t bytes, size_t *done_ret,
					   short *events_ret);

/* Certificates. Makes the folder (0700) and in it a CA and a pair of a server for `hosts` (names or addresses; NULL at
 * the end). Nothing that is there is overwritten. */
MA_CHECK struct ma_error *ma_tls_make_ca(const char *folder);
MA_CHECK struct ma_error *ma_tls_make_server(const char *folder, const char *const *hosts);
/* The pair NAME.crt and NAME.key of a client, whose common name is `name`. */
MA_CHECK struct ma_error *ma_tls_make_client(const char *folder, const char *name);
/* Whether a common name may be `name`. */
bool ma_tls_name_ok(const char *name);

#endif
