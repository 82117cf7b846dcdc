// SPDX-License-Identifier: Apache-2.0
#include <memattach/session.h>
#include <memattach/snapshot.h>

#include "cleanup.h"
#include "varint.h"

#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct out {
	struct ma_snap_writer *writer;
	struct ma_session_result *result;
};

static void read_stats(const struct ma_block_hdr *hdr, const void *payload, struct ma_session_result *r)
{
	struct ma_cursor c;
	ma_cursor_init(&c, payload, hdr->bytes);
	while (ma_cursor_left(&c)) {
		uint64_t id = ma_cursor_varint(&c), value = ma_cursor_varint(&c);
		if (id == MA_STAT_OBJECTS && !c.bad)
			r->objects = value;
		else if (id == MA_STAT_BYTES && !c.bad)
			r->object_bytes = value;
	}
}

static struct ma_error *write_block(void *arg, const struct ma_block_hdr *hdr, const void *payload)
{
	const struct out *o = arg;
	if (hdr->kind == MA_BLOCK_STATS)
		read_stats(hdr, payload, o->result);
	return ma_snap_writer_block(o->writer, hdr, payload);
}

struct ma_error *ma_session_snapshot(const struct ma_session_options *options, struct ma_session_result *ret)
{
	uint64_t began = now_ns();
	struct ma_snap_writer *w = NULL;
	struct ma_session_result result;
	memset(&result, 0, sizeof(result));
	/* The file first: an unwritable place shows before the target is touched. */
	const struct ma_snap_writer_options writer = { .zstd_level = options->zstd_level };
	struct ma_error *err = options->output
				       ? ma_snap_writer_create_output(options->output, options->path, &writer, &w)
				       : ma_snap_writer_create(options->path, &writer, &w);
	if (!err) {
		struct out out = { w, &result };
		struct ma_sink sink = { &out, write_block };
		err = ma_attach_snapshot(&options->attach, &sink, &result.attach);
	}
	if (!err)
		err = ma_snap_writer_commit(w, &result.file_bytes);
	ma_snap_writer_destroy(w);
	if (err) {
		free(result.attach.left_behind);
		return err;
	}
	result.total_ns = now_ns() - began;
	*ret = result;
	return NULL;
}
