// SPDX-License-Identifier: Apache-2.0
/* messages.h - what the frames carry, as structs. Everything that comes from the other side is checked here. */
#ifndef MA_MESSAGES_H
#define MA_MESSAGES_H

#include "frame.h"
#include "record.h"

#include <memattach/session.h>

struct ma_hello {
	uint64_t magic;
	uint32_t protocol, wire; /* MA_PROTOCOL_VERSION, MA_WIRE_VERSION */
	char *version;           /* of the program */
	char *arch;              /* of the machine, as uname -m says */
};

struct ma_snapshot_request {
	pid_t pid;
	bool threads_only, native, raw_live;
	uint32_t values, values_limit; /* enum ma_values; MA_VALUES_PREFIX */
	uint8_t key[MA_SIPHASH_KEY_BYTES];
	char *note;
	uint64_t max_pause_ns, stop_timeout_ns, safe_timeout_ns, walk_timeout_ns;
	uint32_t zstd_level;
	uint64_t rate;                        /* bytes a second at most; 0 = no limit */
	uint8_t resume[MA_SIPHASH_KEY_BYTES]; /* not 0: by which the client may come back for the rest */
	uint32_t keep_s;                      /* for how long after a cut link; memattachd has a time of its own */
};

struct ma_resume_request {
	uint8_t key[MA_SIPHASH_KEY_BYTES];
	uint64_t offset; /* bytes of the file that came */
	uint64_t rate;   /* as in ma_snapshot_request */
};

struct ma_snapshot_done {
	uint64_t pause_ns, safe_ns, twin_ns, walk_ns, total_ns, faults, file_bytes;
	uint32_t attempts, consistency;
	char *left_behind;
};

struct ma_progress_message {
	char *phase;
	uint64_t objects, edges, elapsed_ns;
	uint32_t ring_percent;
};

struct ma_list_request { /* neither: every process */
	pid_t tree;
	char *cgroup; /* as in struct ma_family */
};

struct ma_process {
	pid_t pid;
	uint32_t uid;
	char *command, *python; /* the command line; "3.11.7" */
	uint64_t rss_bytes;
};

#define MA_HELLO_MAGIC 0x0a1a0d506b61416dULL /* "mAkaP\r\x1a\n" */

/* A request for a diagnosis is a struct ma_doctor with its pid only. */
extern const struct ma_field ma_hello_fields[], ma_snapshot_request_fields[], ma_snapshot_done_fields[],
	ma_progress_fields[], ma_process_fields[], ma_doctor_fields[], ma_list_request_fields[],
	ma_resume_request_fields[];
extern const size_t ma_hello_count, ma_snapshot_request_count, ma_snapshot_done_count, ma_progress_count,
	ma_process_count, ma_doctor_count, ma_list_request_count, ma_resume_request_count;

/* Sends `record` as a frame of that kind. */
MA_CHECK struct ma_error *ma_message_send(const struct ma_stream *s, enum ma_frame_kind kind,
					  const struct ma_field *fields, size_t count, const void *record,
					  int timeout_ms);
MA_CHECK struct ma_error *ma_hello_send(const struct ma_stream *s, int timeout_ms);
/* The HELLO of the other side. MA_ERR_UNSUPPORTED for another version of the protocol or of the records, by name. */
MA_CHECK struct ma_error *ma_hello_check(const struct ma_frame_reader *r, struct ma_hello *ret);
/* Sends `err`, which stays the caller's. */
MA_CHECK struct ma_error *ma_error_send(const struct ma_stream *s, const struct ma_error *err, int timeout_ms);
/* The error that a MA_FRAME_ERROR carries, or that it carries none. Never NULL. */
MA_CHECK struct ma_error *ma_error_of_frame(const struct ma_frame_reader *r);

#endif
