// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "tls_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct ma_error *check_key(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		return ma_error_os(errno, "%s", path);
	if (st.st_mode & S_IRWXO)
		return ma_errorf(MA_ERR_PERMISSION, "%s may be read by everybody: chmod 600 %s", path, path);
	return NULL;
}

static struct ma_error *load(SSL_CTX *ctx, const struct ma_tls_files *f)
{
	struct stat st;
	if (stat(f->ca, &st))
		return ma_error_os(errno, "%s", f->ca);
	if (stat(f->cert, &st))
		return ma_error_os(errno, "%s", f->cert);
	MA_TRY(check_key(f->key));
	if (SSL_CTX_load_verify_file(ctx, f->ca) != 1)
		return ma_tls_library_error(MA_ERR_BAD_DATA, "no CA in", f->ca);
	if (SSL_CTX_use_certificate_chain_file(ctx, f->cert) != 1)
		return ma_tls_library_error(MA_ERR_BAD_DATA, "no certificate in", f->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, f->key, SSL_FILETYPE_PEM) != 1)
		return ma_tls_library_error(MA_ERR_BAD_DATA, "no key of that certificate in", f->key);
	return NULL;
}

/* A key with a passphrase would ask on the terminal of a daemon. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes, const unsigned char *in,
			   unsigned in_bytes, void *arg)
{
	static const unsigned char http[] = "\x08http/1.1";
	unsigned char *chosen, bytes;
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, &bytes, http, sizeof(http) - 1, in, in_bytes) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	*out_bytes = bytes;
	return SSL_TLSEXT_ERR_OK;
}

bool ma_tls_wants_http(const struct ma_tls *t)
{
	const unsigned char *name = NULL;
	unsigned bytes = 0;
	SSL_get0_alpn_selected(t->ssl, &name, &bytes);
	return bytes > 0;
}

struct ma_error *ma_tls_context_create(const struct ma_tls_files *files, bool server, struct ma_tls_context **ret)
{
	struct ma_tls_context *c = calloc(1, sizeof(*c));
	if (!c)
		return &ma_enomem;
	c->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	c->ca = strdup(files->ca);
	struct ma_error *err = c->ctx && c->ca ? NULL : &ma_enomem;
	if (!err && SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION) != 1)
		err = ma_tls_library_error(MA_ERR_UNSUPPORTED, "no", "TLS 1.3");
	if (!err) {
		SSL_CTX_set_default_passwd_cb(c->ctx, no_passphrase);
		SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_set_verify_depth(c->ctx, 3);
		SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		/* Each connection is checked from the start: nothing of an earlier one is taken up again. */
		SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
		SSL_CTX_set_num_tickets(c->ctx, 0);
		if (server)
			SSL_CTX_set_alpn_select_cb(c->ctx, choose_protocol, NULL);
		err = load(c->ctx, files);
	}
	if (err) {
		ma_tls_context_destroy(c);
		return err;
	}
	*ret = c;
	return NULL;
}

void ma_tls_context_destroy(struct ma_tls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	free(c->ca);
	free(c);
}

/* ------------------------------------------------------------------ what does not wait */

/* NULL and *events_ret for what only has to wait. */
static struct ma_error *outcome(struct ma_tls *t, int got, int errnum, const char *doing, short *events_ret)
{
	switch (SSL_get_error(t->ssl, got)) {
	case SSL_ERROR_WANT_READ:
		*events_ret = POLLIN;
		return NULL;
	case SSL_ERROR_WANT_WRITE:
		*events_ret = POLLOUT;
		return NULL;
	default:
		t->broken = true;
		return ma_tls_error(t, got, errnum, doing);
	}
}

struct ma_error *ma_tls_read_now(struct ma_tls *t, void *data, size_t bytes, size_t *done_ret, short *events_ret,
				 bool *ended_ret)
{
	*done_ret = 0;
	ERR_clear_error();
	errno = 0;
	int got = SSL_read_ex(t->ssl, data, bytes, done_ret);
	if (got == 1)
		return NULL;
	*done_ret = 0;
	if (SSL_get_error(t->ssl, got) == SSL_ERROR_ZERO_RETURN) {
		*ended_ret = true;
		return NULL;
	}
	return outcome(t, got, errno, "cannot read from the other side", events_ret);
}

struct ma_error *ma_tls_write_now(struct ma_tls *t, const void *data, size_t bytes, size_t *done_ret, short *events_ret)
{
	*done_ret = 0;
	ERR_clear_error();
	errno = 0;
	int got = SSL_write_ex(t->ssl, data, bytes, done_ret);
	if (got == 1)
		return NULL;
	*done_ret = 0;
	return outcome(t, got, errno, "cannot write to the other side", events_ret);
}

/* ------------------------------------------------------------------ what waits */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits at most until `end`; end below 0: no limit. False when the time is up or a signal came. */
static bool wait_for(int fd, short events, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = end - now_ms();
	if (end < 0)
		left = -1;
	else if (left < 0)
		left = 0;
	return poll(&p, 1, (int)left) > 0;
}

static struct ma_error *tls_read(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	struct ma_tls *t = arg;
	const int64_t end = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	for (;;) {
		bool ended = false;
		short events = 0;
		MA_TRY(ma_tls_read_now(t, data, bytes, got_ret, &events, &ended));
		if (*got_ret || ended)
			return NULL;
		if (!wait_for(t->fd, events, end))
			return ma_errorf(MA_ERR_TIMEOUT, "nothing came from the other side for %d s",
					 timeout_ms / 1000);
	}
}

static struct ma_error *tls_write(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	struct ma_tls *t = arg;
	const char *p = data;
	while (bytes) {
		size_t done = 0;
		short events = 0;
		MA_TRY(ma_tls_write_now(t, p, bytes, &done, &events));
		p += done;
		bytes -= done;
		if (!done && !wait_for(t->fd, events, timeout_ms < 0 ? -1 : now_ms() + timeout_ms))
			return ma_errorf(MA_ERR_TIMEOUT, "the other side took nothing for %d s", timeout_ms / 1000);
	}
	return NULL;
}

struct ma_stream ma_tls_stream(struct ma_tls *t)
{
	return (struct ma_stream){ t, tls_read, tls_write };
}

/* ------------------------------------------------------------------ a connection */

static struct ma_error *shake_hands(struct ma_tls *t, int timeout_ms)
{
	const int64_t end = now_ms() + timeout_ms;
	for (;;) {
		short events = 0;
		ERR_clear_error();
		errno = 0;
		int got = SSL_do_handshake(t->ssl);
		if (got == 1)
			return NULL;
		MA_TRY(outcome(t, got, errno, "no TLS with the other side", &events));
		if (!wait_for(t->fd, events, end) && now_ms() >= end)
			return ma_errorf(MA_ERR_TIMEOUT, "the other side does not answer by TLS within %d s",
					 timeout_ms / 1000);
	}
}

static struct ma_error *create(struct ma_tls_context *c, int fd, struct ma_tls **ret)
{
	struct ma_tls *t = calloc(1, sizeof(*t));
	if (!t)
		return &ma_enomem;
	*t = (struct ma_tls){ .ssl = SSL_new(c->ctx), .fd = fd, .ca = c->ca };
	int flags = fcntl(fd, F_GETFL);
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		ma_tls_close(t);
		return &ma_enomem;
	}
	*ret = t;
	return NULL;
}

struct ma_error *ma_tls_accept(struct ma_tls_context *c, int fd, int timeout_ms, struct ma_tls **ret)
{
	struct ma_tls *t;
	MA_TRY(create(c, fd, &t));
	SSL_set_accept_state(t->ssl);
	struct ma_error *err = shake_hands(t, timeout_ms);
	if (err) {
		ma_tls_close(t);
		return err;
	}
	*ret = t;
	return NULL;
}

/* The name is checked by OpenSSL against the certificate's alternative names; an address only against addresses. */
static struct ma_error *expect_host(struct ma_tls *t, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1) {
		ERR_clear_error();
		return NULL;
	}
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (SSL_set1_host(t->ssl, host) != 1 || SSL_set_tlsext_host_name(t->ssl, host) != 1)
		return ma_errorf(MA_ERR_USAGE, "'%s' is no name of a host", host);
	ERR_clear_error();
	return NULL;
}

struct ma_error *ma_tls_connect_fd(struct ma_tls_context *c, int fd, const char *host, int timeout_ms,
				   struct ma_tls **ret)
{
	struct ma_tls *t;
	MA_TRY(create(c, fd, &t));
	SSL_set_connect_state(t->ssl);
	struct ma_error *err = expect_host(t, host);
	if (!err)
		err = shake_hands(t, timeout_ms);
	if (err) {
		ma_tls_close(t);
		return err;
	}
	t->own_fd = true;
	*ret = t;
	return NULL;
}

void ma_tls_close(struct ma_tls *t)
{
	if (!t)
		return;
	if (t->ssl && !t->broken && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	ERR_clear_error();
	if (t->own_fd)
		close(t->fd);
	free(t);
}

bool ma_tls_name_ok(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-";
	size_t bytes = strlen(name);
	return bytes && bytes < MA_TLS_NAME_MAX && name[0] != '-' && name[0] != '.' && strspn(name, ok) == bytes;
}

struct ma_error *ma_tls_peer(const struct ma_tls *t, char name_ret[MA_TLS_NAME_MAX])
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
	/* Of several common names none is believed. */
	int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side has not one common name");
	unsigned char *text = NULL;
	int bytes = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	bool ok = bytes > 0 && bytes < MA_TLS_NAME_MAX && !memchr(text, 0, (size_t)bytes);
	if (ok) {
		memcpy(name_ret, text, (size_t)bytes);
		name_ret[bytes] = '\0';
		ok = ma_tls_name_ok(name_ret);
	}
	OPENSSL_free(text);
	return ok ? NULL : ma_errorf(MA_ERR_PERMISSION, "the common name in the certificate of the other side is none");
}
