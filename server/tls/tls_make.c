// SPDX-License-Identifier: Apache-2.0
/* Keys and certificates of a small fleet: one CA, servers and clients below it. */
#include "cleanup.h"
#include "tls_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#define DAY (24L * 60 * 60)
#define CA_DAYS 1826    /* five years */
#define LEAF_DAYS 397   /* what the world has agreed on for servers */
#define SKEW (60L * 60) /* of the other side's clock */

struct pair {
	EVP_PKEY *key;
	X509 *cert;
};

static void pair_deinit(struct pair *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
}
#define _cleanup_pair_ __attribute__((__cleanup__(pair_deinit)))

static char *path_of(const char *folder, const char *name, const char *suffix)
{
	char *path;
	return asprintf(&path, "%s/%s%s", folder, name, suffix) < 0 ? NULL : path;
}

/* A new file; one that is there is never overwritten. */
static struct ma_error *create_file(const char *path, mode_t mode, FILE **ret)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return ma_error_os(errno, "cannot make %s", path);
	*ret = fdopen(fd, "w");
	if (!*ret)
		return &ma_enomem;
	(void)ma_take_fd(fd);
	return NULL;
}

static struct ma_error *close_file(FILE *f, bool written, const char *path)
{
	written = !fflush(f) && written && !fsync(fileno(f));
	if (fclose(f) || !written)
		return ma_errorf(MA_ERR_OS, "cannot write %s", path);
	return NULL;
}

static struct ma_error *write_pair(const char *folder, const char *name, const struct pair *p)
{
	_cleanup_free_ char *key = path_of(folder, name, ".key"), *cert = path_of(folder, name, ".crt");
	FILE *f;
	if (!key || !cert)
		return &ma_enomem;
	MA_TRY(create_file(key, 0600, &f));
	MA_TRY(close_file(f, PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL) == 1, key));
	MA_TRY(create_file(cert, 0644, &f));
	return close_file(f, PEM_write_X509(f, p->cert) == 1, cert);
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool set_serial(X509 *cert)
{
	unsigned char bytes[16];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of one length */
	BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

/* A key, and a certificate of it that is filled in but for its extensions and the signature. */
static struct ma_error *start_pair(const char *name, long days, const struct pair *issuer, struct pair *p)
{
	p->key = EVP_EC_gen("P-256");
	p->cert = X509_new();
	if (!p->key || !p->cert)
		return ma_tls_library_error(MA_ERR_OS, "cannot make", "a key");
	X509_NAME *subject = X509_get_subject_name(p->cert);
	bool ok =
		X509_set_version(p->cert, X509_VERSION_3) == 1 && set_serial(p->cert) &&
		X509_gmtime_adj(X509_getm_notBefore(p->cert), -SKEW) &&
		X509_gmtime_adj(X509_getm_notAfter(p->cert), days * DAY) &&
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1 &&
		X509_set_issuer_name(p->cert, X509_get_subject_name(issuer ? issuer->cert : p->cert)) == 1 &&
		X509_set_pubkey(p->cert, p->key) == 1 &&
		add_extension(p->cert, p->cert, NID_subject_key_identifier, "hash");
	return ok ? NULL : ma_tls_library_error(MA_ERR_OS, "cannot make", "a certificate");
}

static struct ma_error *sign(struct pair *p, const struct pair *issuer)
{
	bool ok = add_extension(p->cert, issuer->cert, NID_authority_key_identifier, "keyid:always") &&
		  X509_sign(p->cert, issuer->key, EVP_sha256()) > 0;
	return ok ? NULL : ma_tls_library_error(MA_ERR_OS, "cannot sign", "a certificate");
}

struct ma_error *ma_tls_make_ca(const char *folder)
{
	_cleanup_pair_ struct pair ca = { 0 };
	char name[MA_TLS_NAME_MAX];
	unsigned char id[4];
	if (mkdir(folder, 0700) && errno != EEXIST)
		return ma_error_os(errno, "cannot make %s", folder);
	/* Two CAs of one name would be taken for each other. */
	if (RAND_bytes(id, sizeof(id)) != 1)
		return ma_tls_library_error(MA_ERR_OS, "no", "random bytes");
	snprintf(name, sizeof(name), "memattach CA %02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	MA_TRY(start_pair(name, CA_DAYS, NULL, &ca));
	if (!add_extension(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign"))
		return ma_tls_library_error(MA_ERR_OS, "cannot make", "a CA");
	MA_TRY(sign(&ca, &ca));
	return write_pair(folder, "ca", &ca);
}

static struct ma_error *read_ca(const char *folder, struct pair *ca)
{
	_cleanup_free_ char *key = path_of(folder, "ca", ".key"), *cert = path_of(folder, "ca", ".crt");
	if (!key || !cert)
		return &ma_enomem;
	_cleanup_fclose_ FILE *k = fopen(key, "re"), *c = fopen(cert, "re");
	if (!k || !c)
		return ma_error_os(errno, "cannot read %s (memattachd init makes one)", k ? cert : key);
	ca->key = PEM_read_PrivateKey(k, NULL, NULL, NULL);
	ca->cert = PEM_read_X509(c, NULL, NULL, NULL);
	if (!ca->key || !ca->cert || X509_check_private_key(ca->cert, ca->key) != 1)
		return ma_tls_library_error(MA_ERR_BAD_DATA, "no CA in", folder);
	return NULL;
}

static struct ma_error *make_leaf(const char *folder, const char *file, const char *name, const char *usage,
				  const char *alternatives)
{
	_cleanup_pair_ struct pair ca = { 0 }, p = { 0 };
	MA_TRY(read_ca(folder, &ca));
	MA_TRY(start_pair(name, LEAF_DAYS, &ca, &p));
	if (!add_extension(p.cert, ca.cert, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(p.cert, ca.cert, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(p.cert, ca.cert, NID_ext_key_usage, usage) ||
	    (alternatives && !add_extension(p.cert, ca.cert, NID_subject_alt_name, alternatives)))
		return ma_tls_library_error(MA_ERR_OS, "cannot make a certificate for", name);
	MA_TRY(sign(&p, &ca));
	return write_pair(folder, file, &p);
}

struct ma_error *ma_tls_make_server(const char *folder, const char *const *hosts)
{
	_cleanup_free_ char *list = NULL;
	for (const char *const *h = hosts; *h; h++) {
		unsigned char address[sizeof(struct in6_addr)];
		bool is_address = inet_pton(AF_INET, *h, address) == 1 || inet_pton(AF_INET6, *h, address) == 1;
		char *longer;
		/* a comma would begin another name */
		if (!is_address &&
		    (!**h ||
		     strspn(*h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*") != strlen(*h)))
			return ma_errorf(MA_ERR_USAGE, "'%s' is no name of a host and no address", *h);
		if (asprintf(&longer, "%s%s%s:%s", list ? list : "", list ? "," : "", is_address ? "IP" : "DNS", *h) <
		    0)
			return &ma_enomem;
		free(list);
		list = longer;
	}
	return make_leaf(folder, "server", "memattachd", "serverAuth", list);
}

struct ma_error *ma_tls_make_client(const char *folder, const char *name)
{
	if (!ma_tls_name_ok(name) || !strcmp(name, "ca") || !strcmp(name, "server"))
		return ma_errorf(MA_ERR_USAGE, "'%s' is no name of a client: 1 to 64 letters, digits and ._@+-", name);
	return make_leaf(folder, name, name, "clientAuth", NULL);
}
