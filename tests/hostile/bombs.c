// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "hostile.h"
#include "snapshot_bytes.h"
#include "varint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define FILE_MAX (1u << 20)
#define CHUNKS 512u /* as a rule: 128 MiB of records */
#define TEXT(s) (s), sizeof(s) - 1
#define ZEROS8 "\0\0\0\0\0\0\0\0"

struct bomb {
	struct ma_buf file;
	uint32_t seq;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void begin(struct bomb *b)
{
	*b = (struct bomb){ .file = MA_BUF_INIT(FILE_MAX) };
	snap_put_header(&b->file);
}

static void save(struct bomb *b, const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/bomb-%s.mem", folder, name);
	_cleanup_fclose_ FILE *f = fopen(path, "wb");
	must(f && !b->file.failed && fwrite(b->file.data, 1, b->file.len, f) == b->file.len, path);
	ma_buf_deinit(&b->file);
}

/* Chunks of one block with this payload, as many as there is room for in a small file. */
static void put(struct bomb *b, unsigned kind, const struct ma_buf *payload, uint32_t records, unsigned times)
{
	static uint8_t raw[MA_CHUNK_RAW_MAX], packed[MA_CHUNK_STORED_MAX];
	const struct ma_block_hdr block = { .kind = kind, .bytes = (uint32_t)payload->len, .records = records };
	memcpy(raw, &block, sizeof(block));
	memcpy(raw + sizeof(block), payload->data, payload->len);
	struct ma_chunk_hdr h = { .kind = (uint16_t)kind, .codec = MA_CODEC_ZSTD, .blocks = 1, .records = records };
	h.raw_bytes = (uint32_t)(sizeof(block) + payload->len);
	size_t n = ZSTD_compress(packed, sizeof(packed), raw, h.raw_bytes, 5);
	must(!ZSTD_isError(n) && n < h.raw_bytes, "zstd");
	h.stored_bytes = (uint32_t)n;
	for (; times && b->file.len + sizeof(h) + n <= FILE_MAX; times--) {
		h.seq = b->seq++;
		snap_put_chunk(&b->file, h, packed);
	}
}

/* `first`, then the same record again and again. */
static void repeat(struct bomb *b, unsigned kind, const char *first, size_t first_bytes, const char *record,
		   size_t bytes, unsigned times)
{
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	uint32_t records = first_bytes ? 1 : 0;
	ma_buf_add(&p, first, first_bytes);
	for (; p.len + bytes <= MA_BLOCK_PAYLOAD; records++)
		ma_buf_add(&p, record, bytes);
	put(b, kind, &p, records, times);
}

static void tables(const char *folder)
{
	static const struct {
		const char *name;
		unsigned kind;
		const char *first;
		size_t first_bytes;
		const char *record;
		size_t bytes;
	} all[] = {
		{ "regions", MA_BLOCK_REGIONS, TEXT(""), TEXT("\1\2\3\4\0\1\1\1\1\1\1\1\1\1") },
		{ "frames", MA_BLOCK_THREADS, TEXT("\1\1\1\1\1\1"), TEXT("\2\1\0\0\1\1\0") },
		{ "threads", MA_BLOCK_THREADS, TEXT(""), TEXT("\1\1\1\1\1\1") },
		{ "interps", MA_BLOCK_THREADS, TEXT(""), TEXT("\3\1\1\1\0") },
		{ "tids", MA_BLOCK_META, TEXT(""), TEXT("\27\20" ZEROS8 ZEROS8) },
		{ "notes", MA_BLOCK_META, TEXT(""), TEXT("\32\0") },
		{ "arenas", MA_BLOCK_ARENAS, TEXT(""), TEXT("\1\1\1\1\1") },
		{ "freelists", MA_BLOCK_ARENAS, TEXT(""), TEXT("\3\0\1\1") },
		{ "heaps", MA_BLOCK_MALLOC, TEXT(""), TEXT("\3\22\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1") },
		{ "spans", MA_BLOCK_MALLOC, TEXT(""), TEXT("\4\4\1\1\1\1") },
		{ "zeros", MA_BLOCK_MALLOC, TEXT(""), TEXT("\6\3\1\1\1") },
		{ "buffers", MA_BLOCK_RAW, TEXT(""), TEXT("\1\2\3\4") },
		{ "words", MA_BLOCK_RAW, TEXT(""), TEXT("\100\2\4") },
		{ "contents", MA_BLOCK_CONTENTS, TEXT(""), TEXT("\2\10abcdefgh\0") },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct bomb b;
		begin(&b);
		repeat(&b, all[i].kind, all[i].first, all[i].first_bytes, all[i].record, all[i].bytes, CHUNKS);
		save(&b, folder, all[i].name);
	}
}

/* Types or names with ids that count up, which compress less. */
static void counted(const char *folder, const char *name, unsigned kind, const char *rest, size_t bytes)
{
	struct bomb b;
	uint64_t id = 1;
	begin(&b);
	for (size_t before = 0; b.file.len > before;) {
		_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
		uint32_t records = 0;
		for (; p.len + MA_VARINT_MAX + bytes <= MA_BLOCK_PAYLOAD; records++) {
			ma_buf_varint(&p, id++);
			ma_buf_add(&p, rest, bytes);
		}
		before = b.file.len;
		put(&b, kind, &p, records, 1);
	}
	save(&b, folder, name);
}

/* One far id, behind a chunk that is lost: everything before it is, too. */
static void far_id(const char *folder, const char *name, unsigned kind, uint64_t id, const char *rest, size_t bytes)
{
	struct bomb b;
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(64);
	begin(&b);
	ma_buf_varint(&p, id);
	ma_buf_add(&p, rest, bytes);
	snap_put_block(&b.file, 1, kind, 1, p.data, (uint32_t)p.len);
	save(&b, folder, name);
}

static void others(const char *folder)
{
	static char text[200000];
	struct bomb b;
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	begin(&b); /* the name of the host, again and again */
	ma_buf_u8(&p, MA_META_HOST);
	ma_buf_varint(&p, sizeof(text));
	ma_buf_add(&p, text, sizeof(text));
	put(&b, MA_BLOCK_META, &p, 1, 2 * CHUNKS);
	save(&b, folder, "host");

	begin(&b); /* threads, each of which looks for its name among as many */
	repeat(&b, MA_BLOCK_META, TEXT(""),
	       TEXT("\27\20"
		    "\1" ZEROS8 "\1\1\1\1\1\1\1"),
	       40);
	repeat(&b, MA_BLOCK_THREADS, TEXT(""), TEXT("\1\2\3\1\1\1"), 10);
	save(&b, folder, "names-of-threads");
}

/* What report and diff make arrays of. */
static void objects(const char *folder)
{
	static const char type[] = "\1\1\1\1\1\1m\1T";
	struct bomb b;
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	begin(&b);
	snap_put_block(&b.file, b.seq++, MA_BLOCK_TYPES, 1, type, sizeof(type) - 1);
	for (unsigned i = 0; i < CHUNKS / 4; i++) { /* each elsewhere */
		uint8_t first[MA_VARINT_MAX + 3];
		size_t n = (size_t)(ma_varint_put(first, (uint64_t)(i + 1) << 20) - first);
		memcpy(first + n, "\100\1\1", 3);
		repeat(&b, MA_BLOCK_OBJECTS, (const char *)first, n + 3, TEXT("\2\100\1\1"), 1);
	}
	save(&b, folder, "objects");

	begin(&b);
	snap_put_block(&b.file, b.seq++, MA_BLOCK_TYPES, 1, type, sizeof(type) - 1);
	ma_buf_add(&p, TEXT("\2\101\1\1"));
	while (p.len + 1 < MA_BLOCK_PAYLOAD)
		ma_buf_u8(&p, 1);
	ma_buf_u8(&p, 0);
	put(&b, MA_BLOCK_OBJECTS, &p, 1, CHUNKS / 4);
	save(&b, folder, "edges");
}

void hostile_bombs(const char *folder)
{
	tables(folder);
	counted(folder, "types", MA_BLOCK_TYPES, TEXT("\1\1\1\1\0\0"));
	counted(folder, "names", MA_BLOCK_NAMES, TEXT("\0"));
	far_id(folder, "lost-types", MA_BLOCK_TYPES, 65537, TEXT("\1\1\1\1\0\0"));
	far_id(folder, "lost-names", MA_BLOCK_NAMES, 4194305, TEXT("\0"));
	others(folder);
	objects(folder);
}
