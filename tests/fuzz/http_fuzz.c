// SPDX-License-Identifier: Apache-2.0
/* The input is what a client sends to memattachd that has asked for HTTP; its first byte says in which pieces it comes.
 */
#include "byte_stream.h"
#include "cleanup.h"
#include "daemon.h"
#include "fuzz.h"
#include "stream.h"

#include <string.h>

static struct ma_error *write_bytes(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	(void)arg;
	(void)timeout_ms;
	if (bytes < 12 || memcmp(data, "HTTP/1.1 ", 9))
		abort();
	return NULL;
}

static struct ma_error *allow(void *arg, const char *what, pid_t pid)
{
	(void)arg;
	(void)what;
	(void)pid;
	return NULL;
}

static int sees(void *arg, pid_t pid, unsigned uid, const char *command)
{
	(void)arg;
	(void)pid;
	(void)uid;
	(void)command;
	return 1;
}

static void answered(void *arg, const struct ma_serve_answer *answer)
{
	(void)arg;
	(void)answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ma_metrics m;
	const struct ma_serve_rules rules = { .allow = allow, .sees = sees, .answered = answered };
	if (!size)
		return 0;
	struct byte_stream b = { data + 1, size - 1, 1u + data[0] * 32u };
	const struct ma_stream s = { &b, byte_stream_read, write_bytes };
	ma_error_free(ma_http_serve(&s, &m, &rules, 1000));
	return 0;
}
