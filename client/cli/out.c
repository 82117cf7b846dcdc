// SPDX-License-Identifier: Apache-2.0
#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct cookie {
	int fd;
	int *errnum;
};

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

static int release(void *arg)
{
	free(arg);
	return 0;
}

FILE *ma_out_open(int fd, int *errnum)
{
	struct cookie *c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct cookie){ fd, errnum };
	*errnum = 0;
	FILE *f = fopencookie(c, "w", (cookie_io_functions_t){ .write = write_all, .close = release });
	if (f)
		setvbuf(f, NULL, _IOFBF, 1 << 16);
	else
		free(c);
	return f;
}

struct ma_error *ma_out_close(FILE *out, const int *errnum)
{
	int failed = ferror(out) | fclose(out);
	if (!failed && !*errnum)
		return NULL;
	return ma_error_os(*errnum ? *errnum : EIO, "cannot write the output");
}
