// SPDX-License-Identifier: Apache-2.0
/* The input is what a far side's shell says on standard output and standard error; its first byte says what the client
 * wants and in which pieces it comes. */
#include "byte_stream.h"
#include "fuzz.h"
#include "ssh_talk.h"

#include <stdlib.h>
#include <string.h>

/* What the client tells the script is one of two lines, then the helper. */
static struct ma_error *write_bytes(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	unsigned *told = arg;
	(void)timeout_ms;
	if (!(*told)++ && (bytes < 10 || (memcmp(data, "run ", 4) && memcmp(data, "copy ", 5))))
		abort();
	return NULL;
}

struct far {
	unsigned told; /* first: it is what write_bytes() gets */
	struct byte_stream says;
};

static struct ma_error *read_bytes(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	struct far *f = arg;
	return byte_stream_read(&f->says, data, bytes, timeout_ms, got_ret);
}

static void explain(const uint8_t *data, size_t size, size_t step, bool sudo)
{
	struct ma_ssh_said said = { .bytes = 0 };
	for (size_t at = 0; at < size; at += step)
		ma_ssh_said_add(&said, (const char *)data + at, size - at < step ? size - at : step);
	ma_error_free(ma_ssh_said_explain(&said, sudo, ma_errorf(MA_ERR_OS, "the link is cut")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool copied = false;
	if (!size)
		return 0;
	const bool sudo = data[0] & 1, copy = data[0] & 2;
	struct far f = { 0, { data + 1, size - 1, 0 } };
	const struct ma_stream s = { &f, read_bytes, write_bytes };
	struct ma_error *err = ma_ssh_talk(&s, sudo, copy, &copied);
	if (!err && copied != (copy || f.told > 1))
		abort();
	ma_error_free(err);
	explain(data + 1, size - 1, 1u + (data[0] >> 2) * 16u, sudo);
	return 0;
}
