// SPDX-License-Identifier: Apache-2.0
/* channel.h - the socket between the command and its tracer: sequenced packets, one message each, at most one
 * descriptor beside it. When the command's end closes the tracer undoes everything and leaves. */
#ifndef MA_CHANNEL_H
#define MA_CHANNEL_H

#include "tracee.h"

#include <memattach/error.h>
#include <memattach/types.h>

enum ma_msg_kind {
	MA_MSG_PHASE = 1, /* text: what begins now */
	MA_MSG_STOPPED,   /* struct ma_msg_stopped: the target runs again */
	MA_MSG_TIDS,      /* MA_META_TID fields, ready for the META block */
	MA_MSG_NOTE,      /* text: a MA_META_NOTE */
	MA_MSG_RING,      /* + fd of the ring; META can be written now */
	MA_MSG_SMAPS,     /* + memfd with the text of the twin's smaps */
	MA_MSG_INTERPS,   /* MA_META_INTERP fields, ready for the RESULT block */
	MA_MSG_NATIVE,    /* + memfd with NATIVE blocks */
	MA_MSG_RAW,       /* struct ma_msg_raw[]: what was kept out of the copy, before MA_MSG_SMAPS */
	MA_MSG_MEMORY,    /* + memfd with blocks of kind MALLOC */
	MA_MSG_UNDO,      /* struct ma_undo: what is to be undone should the tracer be killed from here on */
	MA_MSG_META,      /* fields, ready for the META block */
	MA_MSG_DONE,      /* struct ma_msg_done: all is undone */
	MA_MSG_ERROR,     /* struct ma_msg_error and text: all is undone */
};

#define MA_MSG_MAX 65536u

struct ma_msg_stopped {
	uint64_t realtime_ns, monotonic_ns, rss_anon, rss_file, rss_shmem, vm_pte;
};

struct ma_msg_done {
	uint64_t pause_ns, safe_ns, twin_ns, walk_ns, call_ns, faults, target_faults;
	uint64_t raw_bytes, raw_saved_ns, live_bytes; /* kept out of the copy; read from the live process later */
	uint32_t attempts, consistency;
};

struct ma_msg_raw {
	uint64_t start, end, resident, huge;
};

struct ma_msg_error {
	int32_t code, errnum;
};

struct ma_msg {
	enum ma_msg_kind kind;
	size_t bytes;
	int fd; /* -1 if none; the receiver owns it */
	union {
		char text[MA_MSG_MAX]; /* NUL-terminated where it is text */
		struct ma_msg_stopped stopped;
		struct ma_msg_done done;
		struct ma_undo undo;
		struct ma_msg_raw raw[1];  /* more follow */
		struct ma_msg_error error; /* its text follows */
	} u;
};

/* ends[0] is the command's, ends[1] the tracer's. */
MA_CHECK struct ma_error *ma_channel_create(int ends[2]);
/* fd < 0: none. False when the other end is gone. `data` is at most MA_MSG_MAX - 1 bytes. */
bool ma_channel_send(int end, enum ma_msg_kind kind, const void *data, size_t bytes, int fd);
bool ma_channel_send_error(int end, const struct ma_error *err);
/* The threads of the process `dir` with their names, as MA_MSG_TIDS. */
MA_CHECK struct ma_error *ma_channel_send_tids(int end, int dir, const struct ma_thread *threads, size_t count);
/* 1: a message. 0: none within timeout_ms. -1: the other end is gone. */
int ma_channel_receive(int end, int timeout_ms, struct ma_msg *ret);
struct ma_error *ma_channel_error(const struct ma_msg *msg);
/* The other end is gone? */
bool ma_channel_closed(int end);

#endif
