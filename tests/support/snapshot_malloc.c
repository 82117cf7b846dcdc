// SPDX-License-Identifier: Apache-2.0
#include "snapshot_builder.h"

#include "buffer.h"

#include <string.h>

#define ARENA UINT64_C(0x7f0000000000)
#define HEAP UINT64_C(0x555556000000)
#define CHUNK UINT64_C(0x7f1000000000)
#define STACK UINT64_C(0x7f2000000000)
#define NAMELESS UINT64_C(0x7f3000000000)
#define EXE UINT64_C(0x555555000000)
#define MIB UINT64_C(0x100000)

void sb_malloc_field(struct snap_builder *b, enum ma_malloc_tag tag, const uint64_t *v, size_t count)
{
	_cleanup_buf_ struct ma_buf field = MA_BUF_INIT(1 << 16), block = MA_BUF_INIT(1 << 16);
	for (size_t i = 0; i < count; i++)
		ma_buf_varint(&field, v[i]);
	ma_buf_varint(&block, tag);
	ma_buf_varint(&block, field.len);
	ma_buf_add(&block, ma_buf_text(&field), field.len);
	sb_raw_block(b, MA_BLOCK_MALLOC, 1, block.data, (uint32_t)block.len);
}

#define FIELD(b, tag, ...)                                               \
	do {                                                             \
		const uint64_t v_[] = { __VA_ARGS__ };                   \
		sb_malloc_field(b, tag, v_, sizeof(v_) / sizeof(v_[0])); \
	} while (0)

static void region(struct snap_builder *b, uint64_t start, uint64_t bytes, uint32_t prot, char *path, uint64_t rss,
		   uint64_t anonymous, uint32_t kind)
{
	sb_region(b, &(struct ma_snap_region){ .start = start,
					       .end = start + bytes,
					       .prot = prot,
					       .path = path,
					       .rss = rss,
					       .anonymous = anonymous,
					       .kind = kind });
}

static void regions(struct snap_builder *b, bool foreign)
{
	char exe[] = "/usr/bin/python3.11", heap[] = "[heap]", libc[] = "/lib/libc.so.6";
	char jemalloc[] = "/usr/lib/libjemalloc.so.2", none[] = "";
	region(b, EXE, 4 * MIB, 5, exe, MIB, 0, MA_RGN_CODE);
	region(b, EXE + 4 * MIB, MIB, 3, exe, 0x80000, 0x60000, MA_RGN_DATA);
	region(b, HEAP, 4 * MIB, 3, heap, 3 * MIB, 3 * MIB, MA_RGN_HEAP);
	region(b, ARENA, MIB, 3, none, 0xa0000, 0xa0000, MA_RGN_ANON);
	region(b, CHUNK, MIB, 3, none, 0x80000, 0x80000, MA_RGN_ANON);
	region(b, CHUNK + 2 * MIB, 0x41000, 3, none, 0x11000, 0x11000, MA_RGN_ANON);
	region(b, STACK, 8 * MIB, 3, none, 0x3000, 0x3000, MA_RGN_ANON);
	region(b, NAMELESS, 0x10000, 3, none, 0x10000, 0x10000, MA_RGN_ANON);
	region(b, NAMELESS + MIB, 0x1000, 5, libc, 0x1000, 0, MA_RGN_CODE);
	if (foreign)
		region(b, NAMELESS + 2 * MIB, 0x1000, 5, jemalloc, 0x1000, 0, MA_RGN_CODE);
	sb_meta_num(b, MA_META_RSS_ANON, 0x60000 + 3 * MIB + 0xa0000 + 0x80000 + 0x11000 + 0x3000 + 0x10000);
	sb_meta_num(b, MA_META_RSS_FILE, MIB + 0x20000 + 0x1000);
	sb_meta_num(b, MA_META_RSS_SHMEM, 0x7000);
}

static void survey(struct snap_builder *b, unsigned what)
{
	if (what & SB_MALLOC_PAGES) {
		FIELD(b, MA_MAL_PAGES, HEAP, 0, 3 * MIB / 4096);
		FIELD(b, MA_MAL_PAGES, ARENA, 0, 0xa0);
		FIELD(b, MA_MAL_PAGES, CHUNK, 0x80, 0x80);
		FIELD(b, MA_MAL_PAGES, CHUNK + 2 * MIB, 0, 0x11);
		FIELD(b, MA_MAL_PAGES, STACK, 8 * MIB / 4096 - 3, 1, 0, 2);
		FIELD(b, MA_MAL_PAGES, NAMELESS, 0, 0x10);
	}
	if (what & SB_MALLOC_HEAPS) {
		FIELD(b, MA_MAL_HEAP, 0x7f4000000c60, 1, HEAP, 4 * MIB, 2000, 2200000, 2000000, 10, 1000, 1000, 5,
		      500000, 400000, 1, 300000, 200000, 350000, 0);
		FIELD(b, MA_MAL_ZERO, HEAP + 2 * MIB, 0x20000, 0x18000);
		FIELD(b, MA_MAL_SPAN, CHUNK, MIB, MA_SPAN_MMAPPED, 0);
		FIELD(b, MA_MAL_SPAN, CHUNK + 2 * MIB, 0x41000, MA_SPAN_MMAPPED, 0);
		FIELD(b, MA_MAL_SPAN, STACK, 8 * MIB, MA_SPAN_STACK, 7);
	}
	FIELD(b, MA_MAL_FILL, ARENA, MIB, 52800, 24000, 44);
	FIELD(b, 99, 1, 2, 3); /* of a later version */
}

void sb_malloc_sample(const char *path, unsigned what)
{
	struct snap_builder *b = sb_create(path);
	sb_meta_default(b);
	regions(b, what & SB_MALLOC_FOREIGN);
	uint32_t thing = sb_type(b, "", "thing", 0x1000, 0, 48, 0), bytes = sb_type(b, "", "bytes", 0x2000, 0, 33, 1);
	sb_arena(b, ARENA, MIB, 64, 20);
	sb_class(b, 48, 5, 1100, 500, 1000, 2000);
	for (unsigned i = 0; i < 1000; i++)
		sb_object(b,
			  &(struct sb_object){ .addr = ARENA + 48 + i * 48, .type = thing, .size = 48, .refcnt = 1 });
	for (unsigned i = 0; i < 10; i++)
		sb_object(b, &(struct sb_object){ .addr = HEAP + 16 + i * 1008,
						  .type = bytes,
						  .size = 1000,
						  .refcnt = 1,
						  .place = MA_PLACE_MALLOC });
	sb_object(b, &(struct sb_object){ .addr = CHUNK + 2 * MIB + 16,
					  .type = bytes,
					  .size = 0x40000,
					  .refcnt = 1,
					  .place = MA_PLACE_MALLOC });
	survey(b, what);
	sb_finish(b);
}
