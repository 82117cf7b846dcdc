// SPDX-License-Identifier: Apache-2.0
#include <memattach/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody writes to it, and so that nobody can: read-only once the addresses in it are relocated. */
struct ma_error ma_enomem
	__attribute__((section(".data.rel.ro"))) = { MA_ERR_NO_MEMORY, ENOMEM, (char *)"out of memory" };

int ma_error_exit_code(const struct ma_error *err)
{
	if (!err)
		return 0;
	switch (err->code) {
	case MA_ERR_USAGE:
		return 2;
	case MA_ERR_TARGET_GONE:
		return 3;
	case MA_ERR_PERMISSION:
		return 4;
	case MA_ERR_UNSUPPORTED:
		return 5;
	case MA_ERR_BAD_DATA:
		return 6;
	case MA_ERR_LIMIT:
		return 7;
	case MA_ERR_OS:
	case MA_ERR_NO_MEMORY:
	case MA_ERR_TIMEOUT:
	case MA_ERR_CANCELLED:
		break;
	}
	return 1;
}

static struct ma_error *make(enum ma_error_code code, int errnum, char *message)
{
	struct ma_error *err = message ? malloc(sizeof(*err)) : NULL;
	if (!err) {
		free(message);
		return &ma_enomem;
	}
	*err = (struct ma_error){ code, errnum, message };
	return err;
}

struct ma_error *ma_errorf(enum ma_error_code code, const char *fmt, ...)
{
	char *message;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&message, fmt, ap);
	va_end(ap);
	return make(code, 0, n < 0 ? NULL : message);
}

struct ma_error *ma_error_os(int errnum, const char *fmt, ...)
{
	char *text, *message;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return &ma_enomem;
	n = asprintf(&message, "%s: %s", text, strerror(errnum));
	free(text);
	enum ma_error_code code = errnum == ESRCH    ? MA_ERR_TARGET_GONE
				  : errnum == ENOMEM ? MA_ERR_NO_MEMORY
						     : MA_ERR_OS;
	return make(code, errnum, n < 0 ? NULL : message);
}

struct ma_error *ma_error_prefix(struct ma_error *err, const char *fmt, ...)
{
	char *text, *message;
	va_list ap;
	if (!err || err == &ma_enomem)
		return err;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err;
	n = asprintf(&message, "%s: %s", text, err->message);
	free(text);
	if (n >= 0) {
		free(err->message);
		err->message = message;
	}
	return err;
}

void ma_error_free(struct ma_error *err)
{
	if (!err || err == &ma_enomem)
		return;
	free(err->message);
	free(err);
}
