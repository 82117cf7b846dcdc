// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <stdlib.h>
#include <string.h>

struct ma_error *ma_frame_reader_init(struct ma_frame_reader *r)
{
	memset(r, 0, sizeof(*r));
	r->payload = malloc(MA_FRAME_MAX);
	return r->payload ? NULL : &ma_enomem;
}

void ma_frame_reader_deinit(struct ma_frame_reader *r)
{
	free(r->payload);
	memset(r, 0, sizeof(*r));
}

/* Up to `want` bytes at `to`, of which *got are there. *ended_ret: the other side ended before the first. */
static struct ma_error *fill(const struct ma_stream *s, uint8_t *to, size_t want, size_t *got, int timeout_ms,
			     bool *ended_ret)
{
	while (*got < want) {
		size_t n = 0;
		struct ma_error *err = s->read(s->arg, to + *got, want - *got, timeout_ms, &n);
		if (err)
			return err;
		if (!n) {
			*ended_ret = true;
			return NULL;
		}
		*got += n;
	}
	return NULL;
}

static struct ma_error *parse_header(struct ma_frame_reader *r)
{
	uint16_t kind, zero;
	memcpy(&r->bytes, r->hdr, 4);
	memcpy(&kind, r->hdr + 4, 2);
	memcpy(&zero, r->hdr + 6, 2);
	r->kind = kind;
	if (r->bytes > MA_FRAME_MAX)
		return ma_errorf(MA_ERR_BAD_DATA, "a frame of %u bytes: this is not memattach's protocol, or damaged",
				 r->bytes);
	if (zero)
		return ma_errorf(MA_ERR_BAD_DATA, "a frame with a wrong header: this is not memattach's protocol");
	return NULL;
}

struct ma_error *ma_frame_receive(const struct ma_stream *s, struct ma_frame_reader *r, int timeout_ms, bool *ended_ret)
{
	bool ended = false;
	bool new_header = r->hdr_got < MA_FRAME_HDR;
	struct ma_error *err = fill(s, r->hdr, MA_FRAME_HDR, &r->hdr_got, timeout_ms, &ended);
	if (!err && ended && !r->hdr_got) {
		*ended_ret = true;
		return NULL;
	}
	if (!err && !ended && new_header)
		err = parse_header(r);
	if (!err && !ended)
		err = fill(s, r->payload, r->bytes, &r->got, timeout_ms, &ended);
	if (err)
		return err;
	if (ended)
		return ma_errorf(MA_ERR_BAD_DATA, "the other side ended within a frame");
	r->hdr_got = r->got = 0;
	*ended_ret = false;
	return NULL;
}

struct ma_error *ma_frame_send(const struct ma_stream *s, enum ma_frame_kind kind, const void *payload, size_t bytes,
			       int timeout_ms)
{
	uint8_t hdr[MA_FRAME_HDR] = { 0 };
	if (bytes > MA_FRAME_MAX)
		return ma_errorf(MA_ERR_LIMIT, "a message of %zu bytes is too long for the protocol", bytes);
	uint32_t length = (uint32_t)bytes;
	uint16_t word = (uint16_t)kind;
	memcpy(hdr, &length, 4);
	memcpy(hdr + 4, &word, 2);
	struct ma_error *err = s->write(s->arg, hdr, sizeof(hdr), timeout_ms);
	if (!err && bytes)
		err = s->write(s->arg, payload, bytes, timeout_ms);
	return err;
}
