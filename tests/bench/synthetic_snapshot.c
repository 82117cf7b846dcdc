// SPDX-License-Identifier: Apache-2.0
/* Writes a snapshot of a program that never ran:
 *
 *	synthetic_snapshot FILE OBJECTS
 *
 * A table of about OBJECTS / 13 entries, in lists of 500 that hang on one list in the module: instances of 200 classes
 *with attributes, a dict, a list and a tuple each, which share some strings, refer to the first of their eight, and in
 *every tenth list make a chain. Strings have hashes, some of them equal. Every reference is counted, so the books
 *balance. The time and memory that an analysis takes of it should grow with OBJECTS and with nothing else. */
#include "buffer.h"
#include "snapshot_builder.h"
#include "varint.h"

#include <stdio.h>
#include <stdlib.h>

#define CLASSES 200u
#define SHARED 1000u
#define IN_LIST 500u
#define PER_ENTRY 13u
#define HEAP UINT64_C(0x7f1000000000)  /* entries, one after the other */
#define ENTRY_BYTES UINT64_C(0x3a0)    /* of one entry, buffers included */
#define LISTS UINT64_C(0x7e0000000000) /* the lists */
#define LIST_BYTES UINT64_C(0x40)      /* of one list, whose items stand elsewhere */
#define CODE UINT64_C(0x7d0000000000)  /* module, classes, shared strings */

enum type { STR, INT, FLOAT, LIST, TUPLE, DICT, TYPE, MODULE, CLASS };

struct program {
	struct snap_builder *b;
	uint32_t ids[CLASS + CLASSES];
	uint32_t name, number, tags, first, next, kind, key, table, main, dict;
	uint64_t entries, lists;
};

static uint64_t shared_str(uint64_t i)
{
	return CODE + 0x100000 + i % SHARED * 64;
}

static uint64_t class_at(uint64_t i)
{
	return CODE + 0x10000 + i % CLASSES * 1088;
}

/* The part that is `at` in the entry `i`; 0 is the instance. */
static uint64_t part(uint64_t i, unsigned at)
{
	/* blocks of pymalloc, in steps of 16; objects of the collector stand behind its head */
	static const unsigned places[PER_ENTRY] = { 16, 112, 176, 224, 272, 304, 384, 432, 464, 544, 592, 624, 656 };
	return HEAP + i * ENTRY_BYTES + places[at];
}

static void object(struct program *p, uint64_t addr, unsigned type, uint64_t size, uint64_t refcnt)
{
	sb_object(p->b, &(struct sb_object){ .addr = addr,
					     .type = p->ids[type],
					     .size = size,
					     .refcnt = refcnt,
					     .gc = type > FLOAT,
					     .buffer = type == LIST ? size - 56 : 0 });
}

static void define(struct program *p)
{
	static const char *const names[] = { "str", "int", "float", "list", "tuple", "dict", "type", "module" };
	char class[32];
	sb_meta_default(p->b);
	sb_meta_num(p->b, MA_META_VALUES, MA_VALUES_HASH);
	sb_meta_num(p->b, MA_META_VALUES_STR_BASE, 49);
	for (unsigned t = 0; t < CLASS; t++)
		p->ids[t] = sb_type(p->b, "", names[t], CODE + t * UINT64_C(512), t == STR ? MA_TF_VALUES : 0, 48,
				    t == TUPLE ? 8 : 0);
	for (unsigned c = 0; c < CLASSES; c++) {
		snprintf(class, sizeof(class), "Record%u", c);
		p->ids[CLASS + c] = sb_type(p->b, "__main__", class, class_at(c), MA_TF_HEAP, 48, 0);
	}
	p->name = sb_name(p->b, "name");
	p->number = sb_name(p->b, "number");
	p->tags = sb_name(p->b, "tags");
	p->first = sb_name(p->b, "first");
	p->next = sb_name(p->b, "next");
	p->kind = sb_name(p->b, "kind");
	p->key = sb_name(p->b, "key");
	p->table = sb_name(p->b, "table");
	p->main = sb_name(p->b, "__main__");
	p->dict = sb_name(p->b, "__dict__");
}

/* The hashes of the strings of a block of objects that begins at `first`. */
static void values(struct program *p, uint64_t first, uint64_t strings, uint64_t from)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	ma_buf_varint(&b, first / 8);
	ma_buf_varint(&b, 0);
	ma_buf_varint(&b, strings);
	ma_buf_varint(&b, strings);
	for (uint64_t i = 0; i < strings; i++)
		ma_buf_u8(&b, 0); /* as long as its size says */
	for (uint64_t i = 0; i < strings; i++) {
		uint64_t hash = (from + i - (i % 16 == 4 ? 4 : 0)) * UINT64_C(0x9e3779b97f4a7c15) >> 24 | 1;
		ma_buf_add(&b, &hash, MA_VALUE_HASH_BYTES);
	}
	if (ma_buf_error(&b))
		abort();
	sb_raw_block(p->b, MA_BLOCK_VALUES, (uint32_t)strings, b.data, (uint32_t)b.len);
}

static void program_itself(struct program *p)
{
	const uint64_t module = CODE + 0x8000, globals = CODE + 0x8100, modules = CODE + 0x8200, table = LISTS - 0x1000;
	object(p, modules, DICT, 232, 1);
	sb_edge(p->b, MA_EDGE_NAMED, module, p->main);
	object(p, module, MODULE, 72, 1);
	sb_edge(p->b, MA_EDGE_NAMED, globals, p->dict);
	object(p, globals, DICT, 9304, 1);
	sb_edge(p->b, MA_EDGE_NAMED, table, p->table);
	for (unsigned c = 0; c < CLASSES; c++)
		sb_edge(p->b, MA_EDGE_NAMED, class_at(c), p->kind);
	for (unsigned t = 0; t < CLASS; t++)
		object(p, CODE + t * UINT64_C(512), TYPE, 408, 0);
	for (unsigned c = 0; c < CLASSES; c++)
		object(p, class_at(c), TYPE, 1064, 0);
	sb_flush(p->b);
	values(p, shared_str(0), SHARED, 1);
	for (unsigned s = 0; s < SHARED; s++)
		object(p, shared_str(s), STR, 57, 0);
	sb_flush(p->b);
	/* a long record and its rest */
	for (uint64_t l = 0; l < p->lists; l++) {
		if (l % 10000 == 0)
			sb_object(p->b, &(struct sb_object){ .addr = table,
							     .type = p->ids[LIST],
							     .size = l ? 0 : 56 + p->lists * 8,
							     .buffer = l ? 0 : p->lists * 8,
							     .refcnt = !l,
							     .extra = l ? MA_OX_CONT : 0,
							     .place = MA_PLACE_MALLOC,
							     .gc = true });
		sb_edge(p->b, l % 10000 ? MA_EDGE_NEXT : MA_EDGE_AT, LISTS + l * LIST_BYTES, l);
	}
	sb_flush(p->b);
	sb_interp(p->b, 0, CODE + 0x9000, false);
	sb_edge(p->b, MA_EDGE_NAMED, modules, sb_name(p->b, "sys.modules"));
	sb_flush(p->b);
}

static void entry(struct program *p, uint64_t i, bool chained, bool last)
{
	bool head = i % 8 == 0;
	uint64_t firsts = head ? (p->entries - i < 8 ? p->entries - i : 8) - 1 : 0;
	object(p, part(i, 0), (unsigned)(CLASS + i / 7 % CLASSES), 104, 1 + firsts + (chained && i % IN_LIST));
	sb_edge(p->b, MA_EDGE_NAMED, part(i, 1), p->name);
	sb_edge(p->b, MA_EDGE_NAMED, part(i, 2), p->number);
	sb_edge(p->b, MA_EDGE_NAMED, part(i, 3), p->tags);
	sb_edge(p->b, MA_EDGE_NAMED, shared_str(i), p->kind);
	sb_edge(p->b, MA_EDGE_NAMED, part(i, 6), p->key);
	sb_edge(p->b, MA_EDGE_NAMED, part(i, 9), p->main);
	if (!head)
		sb_edge(p->b, MA_EDGE_NAMED, part(i - i % 8, 0), p->first);
	if (chained && !last)
		sb_edge(p->b, MA_EDGE_NAMED, part(i + 1, 0), p->next);
	object(p, part(i, 1), STR, 49 + 13, 1);
	object(p, part(i, 2), INT, 28, 1);
	object(p, part(i, 3), LIST, 56 + 32, 1);
	sb_edge(p->b, MA_EDGE_NEXT, part(i, 4), 0);
	sb_edge(p->b, MA_EDGE_NEXT, shared_str(i / 3), 0);
	sb_edge(p->b, MA_EDGE_NEXT, part(i, 5), 0);
	object(p, part(i, 4), FLOAT, 24, 1);
	object(p, part(i, 5), STR, 49 + 7, 1);
	object(p, part(i, 6), TUPLE, 56, 1);
	sb_edge(p->b, MA_EDGE_NEXT, part(i, 7), 0);
	sb_edge(p->b, MA_EDGE_NEXT, part(i, 8), 0);
	object(p, part(i, 7), INT, 28, 1);
	object(p, part(i, 8), STR, 49 + 13, 1);
	object(p, part(i, 9), DICT, 232, 1);
	for (unsigned k = 0; k < 3; k++) {
		sb_edge(p->b, MA_EDGE_KEY, shared_str(k), 0);
		sb_edge(p->b, MA_EDGE_VALUE, part(i, 10 + k), 0);
	}
	object(p, part(i, 10), INT, 28, 1);
	object(p, part(i, 11), FLOAT, 24, 1);
	object(p, part(i, 12), STR, 49 + 9, 1);
}

static void list(struct program *p, uint64_t l)
{
	uint64_t from = l * IN_LIST, to = from + IN_LIST < p->entries ? from + IN_LIST : p->entries;
	values(p, part(from, 0), (to - from) * 4, from * 4 + SHARED);
	for (uint64_t i = from; i < to; i++)
		entry(p, i, l % 10 == 0, i + 1 == to);
	sb_flush(p->b);
	object(p, LISTS + l * LIST_BYTES, LIST, 56 + IN_LIST * 8, 1);
	for (uint64_t i = from; i < to; i++)
		sb_edge(p->b, MA_EDGE_NEXT, part(i, 0), 0);
	sb_flush(p->b);
}

int main(int argc, char **argv)
{
	unsigned long long objects = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	if (objects < PER_ENTRY || objects > 1000000000) {
		fprintf(stderr, "usage: synthetic_snapshot FILE OBJECTS\n");
		return 2;
	}
	struct program p = { .b = sb_create(argv[1]), .entries = objects / PER_ENTRY };
	p.lists = (p.entries + IN_LIST - 1) / IN_LIST;
	define(&p);
	program_itself(&p);
	for (uint64_t l = 0; l < p.lists; l++)
		list(&p, l);
	sb_finish(p.b);
	return 0;
}
