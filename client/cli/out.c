// SPDX-License-Identifier: Apache-2.0
#include "out.h"

#include <errno.h>
#include <unistd.h>

struct cookie {
	int fd;
	int *errnum;
};

/* One process has one standard output. */
static struct cookie cookie;

static ssize_t write_all(void *arg, const char *data, size_t bytes)
{
	struct cookie *c = arg;
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = write(c->fd, data + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (!*c->errnum)
				*c->errnum = errno;
			return 0; /* 0 is failure to fopencookie */
		}
		done += (size_t)n;
	}
	return (ssize_t)bytes;
}

FILE *ma_out_open(int fd, int *errnum)
{
	cookie = (struct cookie){ fd, errnum };
	*errnum = 0;
	FILE *f = fopencookie(&cookie, "w", (cookie_io_functions_t){ .write = write_all });
	if (f)
		setvbuf(f, NULL, _IOFBF, 1 << 16);
	return f;
}

struct ma_error *ma_out_close(FILE *out, const int *errnum)
{
	int failed = ferror(out) | fclose(out);
	if (!failed && !*errnum)
		return NULL;
	return ma_error_os(*errnum ? *errnum : EIO, "cannot write the output");
}
