// SPDX-License-Identifier: Apache-2.0
#include "tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

struct ma_error *ma_tls_library_error(enum ma_error_code code, const char *doing, const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;
	ERR_clear_error();
	return ma_errorf(code, "%s %s: %s", doing, what, why ? why : "OpenSSL gives no reason");
}

/* The check of the other side's certificate that failed. */
static struct ma_error *certificate_error(const struct ma_tls *t, long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side has expired");
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side is not valid yet: is the clock "
						    "right?");
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side is for another host");
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side is not signed by the CA of %s",
				 t->ca);
	default:
		return ma_errorf(MA_ERR_PERMISSION, "the certificate of the other side is refused: %s",
				 X509_verify_cert_error_string(result));
	}
}

/* What the other side says before it hangs up (RFC 8446, section 6.2). Its checks are as strict as ours. */
static struct ma_error *alert_error(int reason)
{
	switch (reason) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return ma_errorf(MA_ERR_PERMISSION, "the other side wants a certificate of ours");
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return ma_errorf(MA_ERR_PERMISSION, "our certificate is not signed by the CA of the other side");
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return ma_errorf(MA_ERR_PERMISSION, "our certificate has expired, says the other side");
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
		return ma_errorf(MA_ERR_PERMISSION, "the other side refuses our certificate");
	case SSL_R_TLSV1_ALERT_INTERNAL_ERROR: /* what memattachd says to one too many */
		return ma_errorf(MA_ERR_LIMIT, "the other side is busy: it has too many connections");
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return ma_errorf(MA_ERR_UNSUPPORTED, "one side does not speak TLS 1.3");
	default:
		return NULL;
	}
}

struct ma_error *ma_tls_error(const struct ma_tls *t, int ret, int errnum, const char *doing)
{
	const int kind = SSL_get_error(t->ssl, ret);
	const unsigned long e = ERR_peek_last_error();
	const int reason = ERR_GET_REASON(e);
	const long verified = SSL_get_verify_result(t->ssl);
	const char *why = e ? ERR_reason_error_string(e) : NULL;
	struct ma_error *err = NULL;
	if (kind == SSL_ERROR_SYSCALL)
		err = errnum && errnum != ECONNRESET && errnum != EPIPE
			      ? ma_error_os(errnum, "%s", doing)
			      : ma_errorf(MA_ERR_OS, "%s: the other side hung up", doing);
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		err = certificate_error(t, verified);
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		err = ma_errorf(MA_ERR_PERMISSION, "the other side shows no certificate");
	else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		err = ma_errorf(MA_ERR_OS, "%s: the other side hung up", doing);
	else
		err = alert_error(reason);
	if (!err && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
		     reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_BAD_PACKET_LENGTH))
		err = ma_errorf(MA_ERR_BAD_DATA, "%s: what comes from the other side is not TLS", doing);
	if (!err)
		err = ma_errorf(MA_ERR_BAD_DATA, "%s: %s", doing, why ? why : "OpenSSL gives no reason");
	ERR_clear_error();
	return err;
}
