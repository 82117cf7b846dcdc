// SPDX-License-Identifier: Apache-2.0
#include "snapshot_builder.h"

#include "buffer.h"
#include "varint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KINDS 17u

struct snap_builder {
	struct ma_snap_writer *w;
	struct ma_buf body[KINDS]; /* the open block of each kind */
	uint64_t raw_addr, raw_object;
	uint64_t content_object;
	uint32_t records[KINDS];
	struct ma_buf rec; /* the record that edges are still added to */
	unsigned rec_kind; /* 0 = none */
	bool rec_edges;    /* it ends with an edge list */
	struct sb_object object;
	bool object_has_edges;
	struct ma_buf edges;
	uint64_t prev_addr, last_dst;
	uint32_t next_type, next_name, next_site;
	uint64_t stats[64];
	bool stat_given[64];
};

static void must(struct ma_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "snapshot_builder: %s\n", err->message);
	abort();
}

struct snap_builder *sb_create_opt(const char *path, const struct ma_snap_writer_options *opt)
{
	struct snap_builder *b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	must(ma_snap_writer_create(path, opt, &b->w));
	for (unsigned k = 0; k < KINDS; k++)
		b->body[k].limit = MA_BLOCK_PAYLOAD;
	b->rec.limit = b->edges.limit = MA_BLOCK_PAYLOAD;
	b->next_type = b->next_name = b->next_site = 1;
	return b;
}

struct snap_builder *sb_create(const char *path)
{
	return sb_create_opt(path, NULL);
}

static void clear(struct ma_buf *buf)
{
	buf->len = 0;
}

void sb_raw_block(struct snap_builder *b, uint32_t kind, uint32_t records, const void *payload, uint32_t bytes)
{
	struct ma_block_hdr hdr = { .kind = kind, .bytes = bytes, .records = records };
	must(ma_snap_writer_block(b->w, &hdr, payload));
}

static void end_block(struct snap_builder *b, unsigned kind)
{
	struct ma_buf *body = &b->body[kind];
	must(ma_buf_error(body));
	if (b->records[kind])
		sb_raw_block(b, kind, b->records[kind], ma_buf_text(body), (uint32_t)body->len);
	clear(body);
	b->records[kind] = 0;
	if (kind == MA_BLOCK_OBJECTS)
		b->prev_addr = 0;
	if (kind == MA_BLOCK_RAW)
		b->raw_addr = b->raw_object = 0;
	if (kind == MA_BLOCK_CONTENTS)
		b->content_object = 0;
}

/* META comes first, and definitions before what uses them. */
static void end_definitions(struct snap_builder *b)
{
	end_block(b, MA_BLOCK_META);
	end_block(b, MA_BLOCK_TYPES);
	end_block(b, MA_BLOCK_NAMES);
}

static void put(struct snap_builder *b, unsigned kind, const struct ma_buf *rec)
{
	must(ma_buf_error(rec));
	if (b->body[kind].len + rec->len > MA_BLOCK_PAYLOAD) {
		if (kind != MA_BLOCK_TYPES && kind != MA_BLOCK_NAMES)
			end_definitions(b);
		end_block(b, kind);
	}
	ma_buf_add(&b->body[kind], rec->data, rec->len);
	b->records[kind]++;
}

/* The delta to the object before is known only here: the block may have to end first. */
static void end_object(struct snap_builder *b)
{
	const struct sb_object *o = &b->object;
	if (b->body[MA_BLOCK_OBJECTS].len + b->edges.len + 64 > MA_BLOCK_PAYLOAD) {
		end_definitions(b);
		end_block(b, MA_BLOCK_OBJECTS);
	}
	uint32_t flags = (uint32_t)o->place << MA_OF_PLACE_SHIFT;
	flags |= b->object_has_edges ? MA_OF_EDGES : 0;
	flags |= o->gc ? MA_OF_GC : 0;
	flags |= o->buffer ? MA_OF_BUFFER : 0;
	flags |= o->extra ? MA_OF_EXTRA : 0;
	struct ma_buf *r = &b->rec;
	clear(r);
	ma_buf_varint(r, ma_zigzag((int64_t)(o->addr - b->prev_addr) / 8));
	ma_buf_varint(r, (uint64_t)o->type << MA_OF_BITS | flags);
	ma_buf_varint(r, o->size);
	ma_buf_varint(r, o->refcnt);
	if (o->buffer)
		ma_buf_varint(r, o->buffer);
	if (o->extra)
		ma_buf_varint(r, o->extra);
	if (b->object_has_edges) {
		ma_buf_add(r, b->edges.data, b->edges.len);
		ma_buf_u8(r, 0);
	}
	b->prev_addr = o->addr;
	put(b, MA_BLOCK_OBJECTS, r);
}

static void end_record(struct snap_builder *b)
{
	if (b->rec_kind == MA_BLOCK_OBJECTS) {
		end_object(b);
	} else if (b->rec_kind) {
		if (b->rec_edges) {
			must(ma_buf_error(&b->edges));
			ma_buf_add(&b->rec, b->edges.data, b->edges.len);
			ma_buf_u8(&b->rec, 0);
		}
		put(b, b->rec_kind, &b->rec);
	}
	b->rec_kind = 0;
	b->rec_edges = b->object_has_edges = false;
	clear(&b->rec);
	clear(&b->edges);
}

void sb_flush(struct snap_builder *b)
{
	end_record(b);
	end_definitions(b);
	for (unsigned k = 1; k < KINDS; k++)
		if (k != MA_BLOCK_RESULT)
			end_block(b, k);
}

static void string(struct ma_buf *r, const char *text)
{
	ma_buf_varint(r, strlen(text));
	ma_buf_str(r, text);
}

static void field(struct snap_builder *b, unsigned kind, unsigned tag, const void *bytes, size_t len)
{
	end_record(b);
	ma_buf_varint(&b->rec, tag);
	ma_buf_varint(&b->rec, len);
	ma_buf_add(&b->rec, bytes, len);
	put(b, kind, &b->rec);
	clear(&b->rec);
}

void sb_meta_num(struct snap_builder *b, enum ma_meta_tag tag, uint64_t value)
{
	field(b, MA_BLOCK_META, tag, &value, sizeof(value));
}

void sb_result_num(struct snap_builder *b, enum ma_meta_tag tag, uint64_t value)
{
	field(b, MA_BLOCK_RESULT, tag, &value, sizeof(value));
}

void sb_meta_str(struct snap_builder *b, enum ma_meta_tag tag, const char *text)
{
	field(b, MA_BLOCK_META, tag, text, strlen(text));
}

void sb_meta_tid(struct snap_builder *b, uint64_t tid, uint64_t fs_base, const char *comm)
{
	char bytes[16 + 64];
	size_t len = strnlen(comm, 64);
	memcpy(bytes, &tid, 8);
	memcpy(bytes + 8, &fs_base, 8);
	memcpy(bytes + 16, comm, len);
	field(b, MA_BLOCK_META, MA_META_TID, bytes, 16 + len);
}

void sb_meta_default(struct snap_builder *b)
{
	sb_meta_num(b, MA_META_TAKEN_REALTIME_NS, UINT64_C(1763712300123456789)); /* 2025-11-21T08:05:00.123456789Z */
	sb_meta_num(b, MA_META_TAKEN_MONOTONIC_NS, UINT64_C(5000000000));
	sb_meta_num(b, MA_META_UPTIME_NS, UINT64_C(3600000000000));
	sb_meta_num(b, MA_META_PID, 4242);
	sb_meta_num(b, MA_META_UID, 1000);
	sb_meta_num(b, MA_META_START_TIME, 100);
	sb_meta_num(b, MA_META_RSS_ANON, 10000000);
	sb_meta_num(b, MA_META_RSS_FILE, 4000000);
	sb_meta_num(b, MA_META_RSS_SHMEM, 0);
	sb_meta_num(b, MA_META_VM_PTE, 100000);
	sb_meta_str(b, MA_META_HOST, "builder");
	sb_meta_str(b, MA_META_COMMAND, "python3 app.py --port 80");
	sb_meta_str(b, MA_META_PYTHON, "3.11.7");
	sb_meta_str(b, MA_META_EXE, "/usr/bin/python3.11");
	sb_meta_str(b, MA_META_BUILD_ID, "0123456789abcdef");
	sb_meta_str(b, MA_META_LAYOUT_SOURCE, "table");
	sb_meta_str(b, MA_META_ARCH, "x86_64");
	sb_meta_str(b, MA_META_TOOL, "memattach test");
	sb_result_num(b, MA_META_PAUSE_NS, 12000000);
	sb_result_num(b, MA_META_SAFE_NS, 7000000);
	sb_result_num(b, MA_META_TWIN_NS, 90000000);
	sb_result_num(b, MA_META_WALK_NS, 60000000);
	sb_result_num(b, MA_META_ATTEMPTS, 1);
	sb_result_num(b, MA_META_CONSISTENCY, MA_CONS_GIL_FREE);
}

void sb_stat(struct snap_builder *b, enum ma_stat_id stat, uint64_t value)
{
	b->stats[stat & 63] = value;
	b->stat_given[stat & 63] = true;
}

static void count(struct snap_builder *b, enum ma_stat_id stat, uint64_t more)
{
	if (!b->stat_given[stat])
		b->stats[stat] += more;
}

uint32_t sb_type(struct snap_builder *b, const char *module, const char *qualname, uint64_t addr, uint32_t flags,
		 uint64_t basicsize, uint64_t itemsize)
{
	_cleanup_buf_ struct ma_buf r = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	ma_buf_varint(&r, b->next_type);
	ma_buf_varint(&r, addr);
	ma_buf_varint(&r, flags);
	ma_buf_varint(&r, basicsize);
	ma_buf_varint(&r, itemsize);
	string(&r, module);
	string(&r, qualname);
	put(b, MA_BLOCK_TYPES, &r);
	count(b, MA_STAT_TYPES, 1);
	return b->next_type++;
}

uint32_t sb_name(struct snap_builder *b, const char *text)
{
	_cleanup_buf_ struct ma_buf r = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	ma_buf_varint(&r, b->next_name);
	string(&r, text);
	put(b, MA_BLOCK_NAMES, &r);
	count(b, MA_STAT_NAMES, 1);
	return b->next_name++;
}

void sb_skip_type_ids(struct snap_builder *b, uint32_t skip)
{
	end_block(b, MA_BLOCK_META);
	end_block(b, MA_BLOCK_TYPES);
	b->next_type += skip;
}

void sb_skip_name_ids(struct snap_builder *b, uint32_t skip)
{
	end_block(b, MA_BLOCK_NAMES);
	b->next_name += skip;
}

void sb_object(struct snap_builder *b, const struct sb_object *o)
{
	end_record(b);
	b->object = *o;
	b->last_dst = o->addr;
	b->rec_kind = MA_BLOCK_OBJECTS;
	b->rec_edges = true;
	if (!(o->extra & MA_OX_CONT)) {
		count(b, MA_STAT_OBJECTS, 1);
		count(b, MA_STAT_BYTES, o->size);
		count(b, MA_STAT_GC_OBJECTS, o->gc);
	}
}

void sb_edge(struct snap_builder *b, enum ma_edge_kind kind, uint64_t dst, uint64_t arg)
{
	if (!b->rec_edges)
		must(ma_errorf(MA_ERR_USAGE, "an edge belongs to an object, a frame or an interpreter"));
	uint64_t z = ma_zigzag((int64_t)(dst - b->last_dst) / 8);
	ma_buf_varint(&b->edges, (z << 3 | (unsigned)kind) + 1);
	if (kind == MA_EDGE_AT || kind == MA_EDGE_NAMED || kind == MA_EDGE_BORROWED)
		ma_buf_varint(&b->edges, arg);
	b->last_dst = dst;
	b->object_has_edges = true;
	count(b, MA_STAT_EDGES, 1);
}

static void begin(struct snap_builder *b, unsigned kind, bool edges, uint64_t edge_base)
{
	end_record(b);
	b->rec_kind = kind;
	b->rec_edges = edges;
	b->last_dst = edge_base;
}

void sb_thread(struct snap_builder *b, uint64_t pthread_id, uint64_t native_id, uint64_t tstate, uint64_t interp_id,
	       bool holds_gil)
{
	begin(b, MA_BLOCK_THREADS, false, 0);
	const uint64_t f[] = { MA_THR_THREAD, pthread_id, native_id, tstate, interp_id, holds_gil };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
	count(b, MA_STAT_THREADS, 1);
}

void sb_frame(struct snap_builder *b, uint64_t code, uint32_t file_id, uint32_t function_id, uint32_t line,
	      uint64_t addr)
{
	begin(b, MA_BLOCK_THREADS, true, addr);
	const uint64_t f[] = { MA_THR_FRAME, code, file_id, function_id, line, addr };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
	count(b, MA_STAT_FRAMES, 1);
}

void sb_entry(struct snap_builder *b, uint64_t addr)
{
	begin(b, MA_BLOCK_THREADS, false, 0);
	ma_buf_varint(&b->rec, MA_THR_ENTRY);
	ma_buf_varint(&b->rec, addr);
}

void sb_native_thread(struct snap_builder *b, uint64_t tid, uint64_t fs_base, unsigned flags)
{
	begin(b, MA_BLOCK_NATIVE, false, 0);
	const uint64_t f[] = { MA_NAT_THREAD, tid, fs_base, flags };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
}

void sb_native_frame(struct snap_builder *b, uint64_t pc, uint64_t sp, unsigned flags, const char *function,
		     const char *module, const char *file, unsigned line)
{
	begin(b, MA_BLOCK_NATIVE, false, 0);
	const uint64_t f[] = { MA_NAT_FRAME, pc, sp, flags };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
	string(&b->rec, function);
	string(&b->rec, module);
	string(&b->rec, file);
	ma_buf_varint(&b->rec, line);
}

void sb_interp(struct snap_builder *b, uint64_t id, uint64_t addr, bool collecting)
{
	begin(b, MA_BLOCK_THREADS, true, addr);
	const uint64_t f[] = { MA_THR_INTERP, id, addr, collecting };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
}

void sb_arena(struct snap_builder *b, uint64_t addr, uint64_t bytes, uint64_t pools, uint64_t free_pools)
{
	begin(b, MA_BLOCK_ARENAS, false, 0);
	const uint64_t f[] = { MA_ARN_ARENA, addr, bytes, pools, free_pools };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
	count(b, MA_STAT_ARENAS, 1);
}

void sb_class(struct snap_builder *b, uint64_t block_bytes, uint64_t pools, uint64_t used, uint64_t free_blocks,
	      uint64_t objects, uint64_t waste_bytes)
{
	begin(b, MA_BLOCK_ARENAS, false, 0);
	const uint64_t f[] = { MA_ARN_CLASS, block_bytes, pools, used, free_blocks, objects, waste_bytes };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
}

void sb_freelist(struct snap_builder *b, const char *name, uint64_t objects, uint64_t bytes)
{
	begin(b, MA_BLOCK_ARENAS, false, 0);
	ma_buf_varint(&b->rec, MA_ARN_FREELIST);
	string(&b->rec, name);
	ma_buf_varint(&b->rec, objects);
	ma_buf_varint(&b->rec, bytes);
}

void sb_buffer(struct snap_builder *b, enum ma_raw_kind kind, uint64_t addr, uint64_t bytes, uint64_t object)
{
	begin(b, MA_BLOCK_RAW, false, 0);
	if (b->body[MA_BLOCK_RAW].len + 64 > MA_BLOCK_PAYLOAD) {
		end_definitions(b);
		end_block(b, MA_BLOCK_RAW);
	}
	ma_buf_varint(&b->rec, kind);
	ma_buf_varint(&b->rec, ma_zigzag((int64_t)(addr - b->raw_addr)));
	if (kind != MA_RAW_WORD)
		ma_buf_varint(&b->rec, bytes);
	ma_buf_varint(&b->rec, ma_zigzag((int64_t)(object - b->raw_object) / 8));
	b->raw_addr = addr;
	b->raw_object = object;
	count(b, kind == MA_RAW_WORD ? MA_STAT_RAW_WORDS : MA_STAT_RAW, 1);
}

void sb_content(struct snap_builder *b, uint64_t object, uint64_t bytes, uint64_t hash, const uint64_t *samples)
{
	begin(b, MA_BLOCK_CONTENTS, false, 0);
	if (b->body[MA_BLOCK_CONTENTS].len + 256 > MA_BLOCK_PAYLOAD) {
		end_definitions(b);
		end_block(b, MA_BLOCK_CONTENTS);
	}
	ma_buf_varint(&b->rec, ma_zigzag((int64_t)(object - b->content_object) / 8));
	ma_buf_varint(&b->rec, bytes);
	ma_buf_add(&b->rec, &hash, sizeof(hash));
	ma_buf_varint(&b->rec, samples ? MA_CONTENT_INT : MA_CONTENT_NONE);
	if (samples)
		ma_buf_add(&b->rec, samples, MA_CONTENT_SAMPLES * sizeof(*samples));
	b->content_object = object;
	count(b, MA_STAT_CONTENTS, 1);
}

uint32_t sb_site(struct snap_builder *b, const struct ma_snap_site_frame *frames, size_t n, uint32_t total)
{
	begin(b, MA_BLOCK_SITES, false, 0);
	ma_buf_varint(&b->rec, b->next_site);
	ma_buf_varint(&b->rec, total);
	ma_buf_varint(&b->rec, n);
	for (size_t i = 0; i < n; i++) {
		ma_buf_varint(&b->rec, frames[i].file_id);
		ma_buf_varint(&b->rec, frames[i].line);
	}
	count(b, MA_STAT_SITES, 1);
	return b->next_site++;
}

/* A record of its own, since the next need not have a larger address. */
void sb_trace(struct snap_builder *b, const struct ma_snap_trace *t)
{
	unsigned shift = t->addr & 7 ? 0 : 3;
	begin(b, MA_BLOCK_TRACES, false, 0);
	const uint64_t f[] = { t->domain, shift, 1, t->addr >> shift, t->bytes, t->site_id };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		ma_buf_varint(&b->rec, f[i]);
	count(b, MA_STAT_TRACES, 1);
	count(b, MA_STAT_TRACES_BYTES, t->bytes);
}

void sb_region(struct snap_builder *b, const struct ma_snap_region *r)
{
	begin(b, MA_BLOCK_REGIONS, false, 0);
	const uint64_t head[] = { r->start, r->end, r->prot, r->inode };
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		ma_buf_varint(&b->rec, head[i]);
	string(&b->rec, r->path ? r->path : "");
	const uint64_t tail[] = { r->rss,       r->pss,  r->private_dirty, r->private_clean, r->shared,
				  r->anonymous, r->huge, r->swap,          r->kind };
	for (size_t i = 0; i < sizeof(tail) / sizeof(tail[0]); i++)
		ma_buf_varint(&b->rec, tail[i]);
}

uint64_t sb_finish(struct snap_builder *b)
{
	uint64_t bytes = 0;
	sb_flush(b);
	for (unsigned i = 1; i < 64; i++) {
		if (!b->stats[i] && !b->stat_given[i])
			continue;
		ma_buf_varint(&b->rec, i);
		ma_buf_varint(&b->rec, b->stats[i]);
		put(b, MA_BLOCK_STATS, &b->rec);
		clear(&b->rec);
	}
	end_block(b, MA_BLOCK_STATS);
	end_block(b, MA_BLOCK_RESULT);
	must(ma_snap_writer_commit(b->w, &bytes));
	ma_snap_writer_destroy(b->w);
	for (unsigned k = 0; k < KINDS; k++)
		ma_buf_deinit(&b->body[k]);
	ma_buf_deinit(&b->rec);
	ma_buf_deinit(&b->edges);
	free(b);
	return bytes;
}
