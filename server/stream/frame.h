// SPDX-License-Identifier: Apache-2.0
/* frame.h - the protocol between a memattach and the one on the far side: what docs/protocol.md says.
 *
 * A frame is a header of 8 bytes (length of the payload, kind, 0; little-endian) and its payload. No length is believed
 * above MA_FRAME_MAX. */
#ifndef MA_FRAME_H
#define MA_FRAME_H

#include "stream.h"

#include <stdbool.h>

#define MA_PROTOCOL_VERSION 1u
#define MA_FRAME_HDR 8u
#define MA_FRAME_MAX (1u << 20)      /* bytes of a payload */
#define MA_FRAME_DATA_MAX (1u << 16) /* of MA_FRAME_DATA: what is sent at once on a slow link */

enum ma_frame_kind {
	MA_FRAME_HELLO = 1,    /* both ways, first */
	MA_FRAME_ERROR = 2,    /* answer: the request failed */
	MA_FRAME_DONE = 3,     /* answer: the request is through; with MA_FRAME_SNAPSHOT, what became of it */
	MA_FRAME_CANCEL = 4,   /* ends the request that runs */
	MA_FRAME_RECEIVED = 5, /* the snapshot that could be fetched again is here: it need not be kept */

	MA_FRAME_LIST = 16,     /* request: MA_FRAME_PROCESS for each, then DONE */
	MA_FRAME_SNAPSHOT = 17, /* request: MA_FRAME_PROGRESS and MA_FRAME_DATA, then DONE */
	MA_FRAME_DOCTOR = 18,   /* request: MA_FRAME_DIAGNOSIS, then DONE */
	MA_FRAME_RESUME = 19,   /* request: the rest of a snapshot; as MA_FRAME_SNAPSHOT */

	MA_FRAME_PROCESS = 32,
	MA_FRAME_PROGRESS = 33,
	MA_FRAME_DATA = 34, /* bytes of the snapshot file, in order */
	MA_FRAME_DIAGNOSIS = 35,
};

struct ma_frame_reader {
	uint8_t hdr[MA_FRAME_HDR];
	size_t hdr_got, got;
	uint32_t bytes, kind; /* of the frame that is being read or was read last */
	uint8_t *payload;     /* MA_FRAME_MAX bytes */
};

MA_CHECK struct ma_error *ma_frame_reader_init(struct ma_frame_reader *r);
void ma_frame_reader_deinit(struct ma_frame_reader *r);

/* The next frame: r->kind, r->bytes, r->payload (valid until the next call). *ended_ret: the other side has ended,
 * between two frames. MA_ERR_TIMEOUT when nothing came within timeout_ms; the call may be made again, nothing is lost.
 * MA_ERR_BAD_DATA when it is no frame or ends within one. */
MA_CHECK struct ma_error *ma_frame_receive(const struct ma_stream *s, struct ma_frame_reader *r, int timeout_ms,
					   bool *ended_ret);
/* One frame, of at most MA_FRAME_MAX bytes. */
MA_CHECK struct ma_error *ma_frame_send(const struct ma_stream *s, enum ma_frame_kind kind, const void *payload,
					size_t bytes, int timeout_ms);

#endif
