// SPDX-License-Identifier: Apache-2.0
/* profile.proto of pprof: a sample for each path, its frames from the last to the root. Field numbers are those of
 * https://github.com/google/pprof/blob/main/proto/profile.proto */
#include "buffer.h"
#include "cleanup.h"
#include "escape.h"
#include "paths.h"

#include <string.h>

#define MESSAGE_BYTES (1u << 20)

enum { VARINT = 0, BYTES = 2 };

/* ---- gzip (RFC 1952) of blocks as they are: the reader asks for the frame, not for its compression */
struct gzip {
	FILE *out;
	uint32_t crc, bytes;
	unsigned char block[65535];
	size_t used;
};

static uint32_t crc32_byte(uint32_t crc, unsigned char byte)
{
	crc ^= byte;
	for (int i = 0; i < 8; i++)
		crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	return crc;
}

static void gzip_block(struct gzip *z, bool last)
{
	const unsigned char head[5] = { last, z->used & 0xff, (unsigned char)(z->used >> 8), ~z->used & 0xff,
					(unsigned char)(~z->used >> 8) };
	fwrite(head, 1, sizeof(head), z->out);
	fwrite(z->block, 1, z->used, z->out);
	z->used = 0;
}

static void gzip_add(struct gzip *z, const void *data, size_t bytes)
{
	const unsigned char *p = data;
	z->bytes += (uint32_t)bytes;
	for (size_t i = 0; i < bytes; i++) {
		z->crc = crc32_byte(z->crc, p[i]);
		z->block[z->used++] = p[i];
		if (z->used == sizeof(z->block))
			gzip_block(z, false);
	}
}

static void gzip_begin(struct gzip *z, FILE *out)
{
	static const unsigned char head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff };
	z->out = out;
	z->crc = 0xffffffffu;
	z->bytes = 0;
	z->used = 0;
	fwrite(head, 1, sizeof(head), out);
}

static void gzip_end(struct gzip *z)
{
	uint32_t tail[2] = { htole32(~z->crc), htole32(z->bytes) };
	gzip_block(z, true);
	fwrite(tail, 1, sizeof(tail), z->out);
}

/* ---- protobuf */
static void field(struct ma_buf *b, unsigned number, uint64_t v)
{
	ma_buf_varint(b, number << 3 | VARINT);
	ma_buf_varint(b, v);
}

static void message(struct ma_buf *b, unsigned number, const struct ma_buf *inner)
{
	ma_buf_varint(b, number << 3 | BYTES);
	ma_buf_varint(b, inner->len);
	ma_buf_add(b, inner->data, inner->len);
}

/* A field of the profile itself goes out at once. */
static struct ma_error *put(struct gzip *z, unsigned number, const struct ma_buf *inner)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MESSAGE_BYTES + 32);
	MA_TRY(ma_buf_error(inner));
	message(&b, number, inner);
	MA_TRY(ma_buf_error(&b));
	gzip_add(z, b.data, b.len);
	return NULL;
}

static struct ma_error *put_string(struct gzip *z, const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MESSAGE_BYTES);
	ma_escape_text(&b, text, strlen(text));
	return put(z, 6, &b);
}

static struct ma_error *put_value_type(struct gzip *z, uint64_t type, uint64_t unit)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64);
	field(&b, 1, type);
	field(&b, 2, unit);
	return put(z, 1, &b);
}

static struct ma_error *put_sample(struct gzip *z, const struct ma_path_groups *p, const struct ma_export_frames *f,
				   uint32_t group)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MESSAGE_BYTES);
	_cleanup_buf_ struct ma_buf locations = MA_BUF_INIT(MESSAGE_BYTES);
	_cleanup_buf_ struct ma_buf values = MA_BUF_INIT(64);
	uint32_t way[MA_GROUP_DEPTH_MAX];
	uint32_t n = ma_export_way(p, group, way);
	for (uint32_t i = 0; i < n; i++)
		ma_buf_varint(&locations, f->of_group[way[i]] + UINT64_C(1));
	ma_buf_varint(&values, p->groups[group].objects);
	ma_buf_varint(&values, p->groups[group].bytes);
	MA_TRY(ma_buf_error(&locations));
	MA_TRY(ma_buf_error(&values));
	message(&b, 1, &locations);
	message(&b, 2, &values);
	return put(z, 2, &b);
}

/* Each frame is a function and a location of the same number. */
static struct ma_error *put_frame(struct gzip *z, uint64_t id, uint64_t name)
{
	_cleanup_buf_ struct ma_buf line = MA_BUF_INIT(64);
	_cleanup_buf_ struct ma_buf location = MA_BUF_INIT(128);
	_cleanup_buf_ struct ma_buf function = MA_BUF_INIT(64);
	field(&line, 1, id);
	field(&location, 1, id);
	MA_TRY(ma_buf_error(&line));
	message(&location, 4, &line);
	MA_TRY(put(z, 4, &location));
	field(&function, 1, id);
	field(&function, 2, name);
	return put(z, 5, &function);
}

static struct ma_error *write_profile(struct gzip *z, const struct ma_path_groups *p, const struct ma_export_frames *f,
				      uint64_t realtime_ns)
{
	static const char *const strings[] = { "", "inuse_objects", "count", "inuse_space", "bytes" };
	_cleanup_buf_ struct ma_buf last = MA_BUF_INIT(64);
	MA_TRY(put_value_type(z, 1, 2));
	MA_TRY(put_value_type(z, 3, 4)); /* viewers show the last one first */
	for (uint32_t i = 0; i < p->count; i++)
		if (p->groups[i].objects)
			MA_TRY(put_sample(z, p, f, i));
	for (uint32_t i = 0; i < f->count; i++)
		MA_TRY(put_frame(z, i + UINT64_C(1), i + MA_ARRAY_SIZE(strings)));
	for (size_t i = 0; i < MA_ARRAY_SIZE(strings); i++)
		MA_TRY(put_string(z, strings[i]));
	for (uint32_t i = 0; i < f->count; i++)
		MA_TRY(put_string(z, f->texts[i]));
	field(&last, 9, realtime_ns);
	field(&last, 14, 3);
	MA_TRY(ma_buf_error(&last));
	gzip_add(z, last.data, last.len);
	return NULL;
}

struct ma_error *ma_export_pprof(FILE *out, const struct ma_path_groups *p, uint64_t realtime_ns)
{
	struct ma_export_frames f;
	_cleanup_free_ struct gzip *z = malloc(sizeof(*z));
	if (!z)
		return &ma_enomem;
	MA_TRY(ma_export_frames(p, &f));
	gzip_begin(z, out);
	struct ma_error *err = write_profile(z, p, &f, realtime_ns);
	if (!err)
		gzip_end(z);
	ma_export_frames_deinit(&f);
	return err;
}
