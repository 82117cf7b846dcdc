// SPDX-License-Identifier: Apache-2.0
#ifndef MA_TLS_PRIVATE_H
#define MA_TLS_PRIVATE_H

#include "tls.h"

#include <openssl/ssl.h>

struct ma_tls {
	SSL *ssl;
	int fd;
	bool own_fd, broken;
	const char *ca; /* the context's: for messages */
};

struct ma_tls_context {
	SSL_CTX *ctx;
	char *ca;
};

/* What OpenSSL's queue of errors and errno say, in our words; `ret` is of an SSL_*() call. Clears the queue. */
MA_CHECK struct ma_error *ma_tls_error(const struct ma_tls *t, int ret, int errnum, const char *doing);
/* The same for calls that have no connection. */
MA_CHECK struct ma_error *ma_tls_library_error(enum ma_error_code code, const char *doing, const char *what);

/* The client's half on a connected socket, which is *ret's from then on. */
MA_CHECK struct ma_error *ma_tls_connect_fd(struct ma_tls_context *c, int fd, const char *host, int timeout_ms,
					    struct ma_tls **ret);

#endif
