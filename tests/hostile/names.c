// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"
#include "hostile.h"
#include "snapshot_builder.h"
#include "varint.h"

#include <stdio.h>
#include <string.h>

#define ARENA UINT64_C(0x7f0000000000)
#define STATIC UINT64_C(0x555555000000)
#define MIB UINT64_C(0x100000)
#define LONG_NAME 20000u

static const char *const evil[] = {
	"\x1b[31mred\x1b[0m",
	"\x1b]0;title\x07",
	"\x9b"
	"31m one byte",
	"\xc2\x9b"
	"31m two bytes",
	"line\nfeed\vtab\fform",
	"carriage\rreturn",
	"back\b\b\b\bspace",
	"\x7f del",
	"\tleading tab",
	"\rleading return",
	"\nleading line feed",
	"=cmd|' /C calc'!A0",
	"+1+cmd|' /C calc'!A0",
	"-2+cmd|' /C calc'!A0",
	"@SUM(1+1)*cmd|' /C calc'!A0",
	"\xef\xbc\x9d"
	"1+1 full width",
	"\xef\xbc\xa0sum(1) full width",
	"</script><script>window.broken = 1</script>",
	"<!--<script>",
	"<img src=x onerror=window.broken=1>",
	"]]>&amp;\"'`<",
	"\xe2\x80\xaegnp.exe",
	"\xe2\x81\xa6isolate\xe2\x81\xa9 \xe2\x80\x8e \xe2\x80\x8f",
	"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad embedded",
	"\xe2\x80\xa8line \xe2\x80\xa9paragraph",
	"\xff\xfe no \xed\xa0\x80 UTF-8 \xc0\xaf \xf5\x80\x80\x80",
	"cut \xe2\x80",
	"\xc2\xad\xd8\x9c\xe1\xa0\x8e\xef\xbb\xbf\xe2\x80\x8b hidden",
	"%s%n%x\\u202e\\",
	"a,b;c \"d\" 7",
	"$(touch pwned)`touch pwned`",
	" blank ",
	"",
	"../../../../etc/passwd",
	"\xf3\xa0\x81\x81tags",
};
#define EVIL (sizeof(evil) / sizeof(evil[0]))

struct names {
	struct snap_builder *b;
	unsigned next, step, modules, grown;
	char long_name[LONG_NAME + 1];
	uint32_t t_dict, t_list, t_str, t_module, t_type, names, types;
};

/* The next string for a place; each file begins elsewhere in the list. */
static const char *text(struct names *n)
{
	return evil[n->next++ % EVIL];
}

static uint32_t name(struct names *n, const char *p)
{
	return n->names = sb_name(n->b, p);
}

static uint32_t type(struct names *n, const char *module, const char *qualname, uint32_t flags, uint64_t size)
{
	return n->types = sb_type(n->b, module, qualname, STATIC + 0x1000 * (n->types + 1), flags, size, 0);
}

/* What the builder takes no string for: with a NUL in it. */
static uint32_t nul_name(struct names *n)
{
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(64);
	sb_flush(n->b);
	ma_buf_varint(&p, ++n->names);
	ma_buf_varint(&p, 6);
	ma_buf_add(&p, "nul\0=1", 6);
	sb_raw_block(n->b, MA_BLOCK_NAMES, 1, p.data, (uint32_t)p.len);
	sb_skip_name_ids(n->b, 1);
	return n->names;
}

static uint32_t nul_type(struct names *n)
{
	static const char tail[] = "\0\1\20\0\3m\0m\5=\0\x1b[q";
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(64);
	sb_flush(n->b);
	ma_buf_varint(&p, ++n->types);
	ma_buf_varint(&p, STATIC + 0x1000 * n->types);
	ma_buf_add(&p, tail + 1, sizeof(tail) - 2);
	sb_raw_block(n->b, MA_BLOCK_TYPES, 1, p.data, (uint32_t)p.len);
	sb_skip_type_ids(n->b, 1);
	return n->types;
}

static void meta(struct names *n)
{
	static const enum ma_meta_tag tags[] = {
		MA_META_HOST, MA_META_COMMAND, MA_META_PYTHON,    MA_META_EXE,  MA_META_BUILD_ID, MA_META_LAYOUT_SOURCE,
		MA_META_ARCH, MA_META_TOOL,    MA_META_LIBPYTHON, MA_META_NOTE, MA_META_NOTE,     MA_META_NOTE
	};
	struct snap_builder *b = n->b;
	sb_meta_default(b);
	sb_meta_num(b, MA_META_TAKEN_REALTIME_NS, UINT64_C(1763712300000000000) + n->grown * UINT64_C(9000000000));
	for (unsigned i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		sb_meta_str(b, tags[i], text(n));
	sb_meta_num(b, MA_META_RSS_ANON, 64 * MIB);
	sb_meta_num(b, MA_META_RSS_FILE, MIB);
	sb_meta_num(b, MA_META_VALUES, MA_VALUES_ALL);
	sb_meta_num(b, MA_META_VALUES_STR_BASE, 49);
	for (unsigned i = 0; i < 12; i++)
		sb_meta_tid(b, 4242 + i, 0x7f2000000740 + i * MIB, text(n));
}

static void regions(struct names *n)
{
	char path[64];
	sb_region(n->b, &(struct ma_snap_region){ .start = ARENA,
						  .end = ARENA + 32 * MIB,
						  .prot = 3,
						  .rss = 32 * MIB,
						  .anonymous = 32 * MIB,
						  .kind = MA_RGN_ARENA });
	for (unsigned i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "%s", text(n));
		sb_region(n->b, &(struct ma_snap_region){ .start = STATIC + 64 * MIB * (i + 1),
							  .end = STATIC + 64 * MIB * (i + 1) + 4 * MIB,
							  .prot = 3,
							  .inode = 7 + i,
							  .path = path,
							  .rss = 3 * MIB,
							  .anonymous = 3 * MIB,
							  .kind = i % 2 ? MA_RGN_DATA : MA_RGN_ANON });
	}
	sb_arena(n->b, ARENA, 32 * MIB, 2048, 3);
	sb_freelist(n->b, text(n), 12, 288);
	sb_freelist(n->b, text(n), 1200, 28800);
}

/* Python stacks, and native ones of the same threads. */
static void threads(struct names *n, uint64_t local)
{
	for (unsigned i = 0; i < 12; i++) {
		sb_thread(n->b, 0x7f2000000740 + i * MIB, 4242 + i, STATIC + i, 0, !i);
		uint32_t file = name(n, text(n)), function = name(n, text(n));
		sb_frame(n->b, ARENA + 0x800, file, function, 17, 0x9000 + i);
		sb_edge(n->b, MA_EDGE_NAMED, local, name(n, text(n)));
		sb_frame(n->b, ARENA + 0x900, nul_name(n), name(n, n->long_name), 40, 0x9100 + i);
		sb_entry(n->b, 0);
	}
	for (unsigned i = 0; i < 12; i++) {
		sb_native_thread(n->b, 4242 + i, 0x7f2000000740 + i * MIB, 0);
		sb_native_frame(n->b, 0x7f1000, 0x10100, MA_NF_EXACT, text(n), text(n), text(n), 12);
		sb_native_frame(n->b, 0x401000, 0x10200, MA_NF_EVAL, "_PyEval_EvalFrameDefault", text(n), text(n), 5);
	}
}

static void object(struct names *n, uint64_t at, uint32_t t, uint64_t bytes)
{
	sb_object(n->b, &(struct sb_object){ .addr = at, .type = t, .size = bytes, .refcnt = 1, .gc = t != n->t_str });
}

/* Strings with these texts, one behind the other from `at` on. */
static void strings(struct names *n, uint64_t at)
{
	_cleanup_buf_ struct ma_buf p = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	sb_flush(n->b);
	ma_buf_varint(&p, at / 8);
	ma_buf_varint(&p, 0);
	ma_buf_varint(&p, EVIL + 1);
	ma_buf_varint(&p, EVIL + 1);
	for (size_t i = 0; i <= EVIL; i++)
		ma_buf_u8(&p, 0);
	for (size_t i = 0; i <= EVIL; i++)
		ma_buf_add(&p, "\1\2\3\4\5", 5);
	for (size_t i = 0; i <= EVIL; i++) {
		const char *s = i < EVIL ? evil[i] : "=nul\0\x1b[x";
		size_t bytes = i < EVIL ? strlen(s) : 8;
		ma_buf_varint(&p, bytes << 1);
		ma_buf_add(&p, s, bytes);
	}
	sb_raw_block(n->b, MA_BLOCK_VALUES, EVIL + 1, p.data, (uint32_t)p.len);
	for (size_t i = 0; i <= EVIL; i++)
		object(n, at + 128 * i, n->t_str, 49 + (i < EVIL ? strlen(evil[i]) : 8));
	sb_flush(n->b);
}

/* A module: its namespace has a dict, keyed by the strings, of instances; and what they have in turn. */
static void module(struct names *n, uint64_t at, uint64_t keys, const char *in)
{
	const uint64_t globals = at + 0x100, cache = at + 0x200, first = at + 0x1000;
	uint32_t t_item = type(n, in, text(n), MA_TF_HEAP, 56);
	unsigned items = 60 + n->grown;
	object(n, at, n->t_module, 72);
	sb_edge(n->b, MA_EDGE_NAMED, globals, name(n, "__dict__"));
	object(n, globals, n->t_dict, 360);
	sb_edge(n->b, MA_EDGE_NAMED, cache, name(n, text(n)));
	object(n, cache, n->t_dict, 64 + 104 * items);
	for (unsigned i = 0; i < items; i++) {
		sb_edge(n->b, MA_EDGE_KEY, keys + 128 * (i % (EVIL + 1)), 0);
		sb_edge(n->b, MA_EDGE_VALUE, first + 0x100 * i, 0);
	}
	uint32_t attribute = name(n, text(n)), other = name(n, text(n));
	for (unsigned i = 0; i < items; i++) {
		object(n, first + 0x100 * i, t_item, 56);
		sb_edge(n->b, MA_EDGE_NAMED, first + 0x100 * i + 0x80, i % 2 ? attribute : other);
		object(n, first + 0x100 * i + 0x80, n->t_list, 100);
	}
}

static void sites(struct names *n, uint64_t at)
{
	for (unsigned i = 0; i < EVIL; i++) {
		const struct ma_snap_site_frame frames[] = { { name(n, evil[i]), 12 }, { name(n, text(n)), 30 } };
		uint32_t site = sb_site(n->b, frames, 2, 5);
		sb_trace(n->b, &(struct ma_snap_trace){ at + 0x100 * i, 56, site, 0 });
		sb_trace(n->b, &(struct ma_snap_trace){ STATIC + 0x9000000 + 0x100 * i, 560, site, i % 2 * 389047 });
	}
}

void hostile_names(const char *path, unsigned file, unsigned of, unsigned grown)
{
	static struct names n;
	const uint64_t modules = ARENA + 0x100, keys = ARENA + 0x10000, first = ARENA + MIB;
	n = (struct names){ .b = sb_create(path), .next = file * (unsigned)EVIL / of, .modules = EVIL, .grown = grown };
	memset(n.long_name, 'x', LONG_NAME);
	meta(&n);
	const uint32_t own = MA_TF_SIZER | MA_TF_VISITOR;
	n.t_type = type(&n, "", "type", own, 880);
	n.t_dict = type(&n, "", "dict", own, 64);
	n.t_list = type(&n, "", "list", own, 56);
	n.t_str = type(&n, "", "str", MA_TF_SIZER | MA_TF_VALUES | MA_VALUE_STR << MA_TF_VALUE_KIND_SHIFT, 80);
	n.t_module = type(&n, "", "module", own, 72);
	uint32_t t_nul = nul_type(&n), t_long = type(&n, n.long_name, n.long_name, MA_TF_HEAP, 16);
	uint32_t t_shell = type(&n, "x", "$(touch pwned)`touch pwned`\"; touch pwned; '", MA_TF_HEAP, 48);
	sb_interp(n.b, 0, STATIC + 0x420000, false);
	sb_edge(n.b, MA_EDGE_NAMED, modules, name(&n, "sys.modules"));
	threads(&n, first + 0x200);
	strings(&n, keys);
	object(&n, modules, n.t_dict, 8000);
	for (unsigned i = 0; i < n.modules; i++) {
		sb_edge(n.b, MA_EDGE_KEY, keys + 128 * i, 0);
		sb_edge(n.b, MA_EDGE_NAMED, first + i * MIB / 4, name(&n, evil[i]));
	}
	for (unsigned i = 0; i < n.modules; i++)
		module(&n, first + i * MIB / 4, keys, evil[i]);
	for (unsigned i = 0; i < 50; i++)
		object(&n, ARENA + 0x20000 + 64 * i, i % 2 ? t_nul : t_long, 48);
	for (unsigned i = 0; i < 80; i++) /* the largest: a report proposes a query for it */
		object(&n, ARENA + 0x40000 + 0x1000 * i, t_shell, 0x1000);
	sites(&n, first + 0x1000);
	regions(&n);
	sb_stat(n.b, MA_STAT_NAMES, n.names);
	sb_stat(n.b, MA_STAT_TYPES, n.types);
	sb_finish(n.b);
}
