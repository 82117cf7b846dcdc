// SPDX-License-Identifier: Apache-2.0
/* The input is what a far side says to the client's half of the protocol, which asks for one thing after the other. */
#include "byte_stream.h"
#include "cleanup.h"
#include "fuzz.h"
#include "remote.h"

#include <string.h>
#include <unistd.h>

static struct ma_error *write_bytes(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	(void)arg;
	(void)data;
	(void)bytes;
	(void)timeout_ms;
	return NULL;
}

static void ask(struct ma_remote *r, const char *path)
{
	const struct ma_session_options options = { .attach = { .pid = 1, .threads_only = true }, .path = path };
	struct ma_session_result result = { 0 };
	struct ma_doctor d = { 0 };
	pid_t pid, *pids = NULL;
	size_t count;
	ma_error_free(ma_remote_snapshot(r, &options, &(struct ma_remote_link){ 0 }, &result));
	free(result.attach.left_behind);
	unlink(path);
	ma_error_free(ma_remote_doctor(r, 1, &d));
	ma_doctor_deinit(&d);
	ma_error_free(ma_remote_family(r, &(struct ma_family){ .tree = 1 }, &pids, &count));
	free(pids);
	ma_error_free(ma_remote_find(r, "a*", true, &pid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct byte_stream b = { data, size, 0 };
	const struct ma_stream s = { &b, byte_stream_read, write_bytes };
	struct ma_remote r;
	char path[64];
	snprintf(path, sizeof(path), "/tmp/remote_fuzz-%d", (int)getpid());
	struct ma_error *err = ma_remote_greet(&s, &r);
	if (!err) {
		ask(&r, path);
		ma_remote_deinit(&r);
	}
	ma_error_free(err);
	return 0;
}
