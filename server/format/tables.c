// SPDX-License-Identifier: Apache-2.0
/* Loads all chunks but the objects into tables. A record that is not what wire.h says ends its block: what came
 * before it counts, and `missing` says where. */
#include "cleanup.h"
#include "snap.h"
#include "varint.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct load {
	struct ma_snap *s;
	bool gap; /* a chunk was lost since the last thread record: frames may come that have no thread */
	bool have_thread;
	struct ma_raw_prev raw; /* of the record before in a block of buffers */
};

#define ADD(vec, row, limit) MA_TRY(ma_vec_add(vec, sizeof(**(row)), limit, (void **)(row)))

static const char lost_text[] = "?";

static struct ma_error *text(struct ma_snap *s, const void *p, size_t len, char **ret)
{
	*ret = ma_snap_text(s, p, len);
	return *ret ? NULL : &ma_enomem;
}

static uint32_t varint32(struct ma_cursor *c)
{
	uint64_t v = ma_cursor_varint(c);
	if (v > UINT32_MAX)
		c->bad = true;
	return c->bad ? 0 : (uint32_t)v;
}

/* Ids count up without a gap, except where chunks are lost. `lost` of them were already, of at most `max`. */
static bool id_follows(const struct ma_snap *s, uint64_t id, size_t count, size_t lost, size_t max)
{
	if (id <= count)
		return false;
	return id == count + 1 || (s->lost && id - count - 1 <= max - lost);
}

static struct ma_error *type_record(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_type *t, r = { 0 };
	uint64_t id = ma_cursor_varint(c);
	r.addr = ma_cursor_varint(c);
	r.flags = varint32(c);
	r.basicsize = ma_cursor_varint(c);
	r.itemsize = ma_cursor_varint(c);
	MA_TRY(ma_snap_string(s, c, &r.module));
	MA_TRY(ma_snap_string(s, c, &r.qualname));
	if (c->bad || !id_follows(s, id, s->types.count, s->lost_types, MA_LOST_TYPES_MAX)) {
		c->bad = true;
		return NULL;
	}
	while (s->types.count < id - 1) {
		ADD(&s->types, &t, MA_TYPES_MAX);
		t->module = (struct ma_str){ "", 0 };
		t->qualname = (struct ma_str){ lost_text, 1 };
		s->lost_types++;
	}
	if (r.module.len && !(r.module.len == 8 && memcmp(r.module.p, "builtins", 8) == 0)) {
		size_t len = r.module.len + 1 + (size_t)r.qualname.len;
		_cleanup_free_ char *joined = malloc(len);
		if (!joined)
			return &ma_enomem;
		memcpy(joined, r.module.p, r.module.len);
		joined[r.module.len] = '.';
		memcpy(joined + r.module.len + 1, r.qualname.p, r.qualname.len);
		MA_TRY(text(s, joined, len, &r.name));
	} else {
		MA_TRY(text(s, r.qualname.p, r.qualname.len, &r.name));
	}
	ADD(&s->types, &t, MA_TYPES_MAX);
	*t = r;
	return NULL;
}

static struct ma_error *name_record(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_str *n, r;
	uint64_t id = ma_cursor_varint(c);
	MA_TRY(ma_snap_string(s, c, &r));
	if (c->bad || !id_follows(s, id, s->names.count, s->lost_names, MA_LOST_NAMES_MAX)) {
		c->bad = true;
		return NULL;
	}
	while (s->names.count < id - 1) {
		ADD(&s->names, &n, MA_NAMES_MAX);
		*n = (struct ma_str){ lost_text, 1 };
		s->lost_names++;
	}
	ADD(&s->names, &n, MA_NAMES_MAX);
	*n = r;
	return NULL;
}

static struct ma_error *meta_field(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_meta *m = &s->tables.meta;
	uint64_t tag = ma_cursor_varint(c);
	uint64_t bytes = ma_cursor_varint(c);
	const uint8_t *p = ma_cursor_take(c, bytes);
	if (!p)
		return NULL;
	uint64_t *const numbers[] = {
		[MA_META_TAKEN_REALTIME_NS] = &m->taken_realtime_ns,
		[MA_META_TAKEN_MONOTONIC_NS] = &m->taken_monotonic_ns,
		[MA_META_PID] = &m->pid,
		[MA_META_SOURCE] = &m->source,
		[MA_META_PARENT_PID] = &m->parent_pid,
		[MA_META_START_TIME] = &m->start_time,
		[MA_META_CONSISTENCY] = &m->consistency,
		[MA_META_PAUSE_NS] = &m->pause_ns,
		[MA_META_ATTEMPTS] = &m->attempts,
		[MA_META_TWIN_NS] = &m->twin_ns,
		[MA_META_RSS_ANON] = &m->rss_anon,
		[MA_META_RSS_FILE] = &m->rss_file,
		[MA_META_RSS_SHMEM] = &m->rss_shmem,
		[MA_META_VM_PTE] = &m->vm_pte,
		[MA_META_VALUES] = &m->values,
		[MA_META_VALUES_LIMIT] = &m->values_limit,
		[MA_META_VALUES_STR_BASE] = &m->values_str_base,
		[MA_META_VALUES_KEY_ID] = &m->values_key_id,
		[MA_META_UID] = &m->uid,
		[MA_META_WALK_NS] = &m->walk_ns,
		[MA_META_CALL_NS] = &m->call_ns,
		[MA_META_RAW_BYTES] = &m->raw_bytes,
		[MA_META_RAW_SAVED_NS] = &m->raw_saved_ns,
		[MA_META_LIVE_BYTES] = &m->live_bytes,
		[MA_META_FAULTS] = &m->faults,
		[MA_META_TARGET_FAULTS] = &m->target_faults,
		[MA_META_UPTIME_NS] = &m->uptime_ns,
		[MA_META_CGROUP_LIMIT] = &m->cgroup_limit,
		[MA_META_CGROUP_USAGE] = &m->cgroup_usage,
		[MA_META_SAFE_NS] = &m->safe_ns,
	};
	char **const strings[] = {
		[MA_META_HOST] = &m->host,
		[MA_META_COMMAND] = &m->command,
		[MA_META_PYTHON] = &m->python,
		[MA_META_EXE] = &m->exe,
		[MA_META_BUILD_ID] = &m->build_id,
		[MA_META_TOOL] = &m->tool,
		[MA_META_LAYOUT_SOURCE] = &m->layout_source,
		[MA_META_LIBPYTHON] = &m->libpython,
		[MA_META_ARCH] = &m->arch,
	};
	if (tag < MA_ARRAY_SIZE(numbers) && numbers[tag]) {
		if (bytes != 8)
			c->bad = true;
		else
			memcpy(numbers[tag], p, 8);
	} else if (tag < MA_ARRAY_SIZE(strings) && strings[tag]) {
		return text(s, p, (size_t)bytes, strings[tag]);
	} else if (tag == MA_META_NOTE) {
		char **note;
		ADD(&s->notes, &note, 1u << 16);
		return text(s, p, (size_t)bytes, note);
	} else if (tag == MA_META_TID && bytes >= 16) {
		struct ma_snap_tid *t;
		ADD(&s->tids, &t, MA_ROWS_MAX);
		memcpy(&t->tid, p, 8);
		memcpy(&t->fs_base, p + 8, 8);
		return text(s, p + 16, (size_t)bytes - 16, &t->name);
	} else if (tag == MA_META_INTERP && bytes >= 24) {
		struct ma_snap_interp_state *i;
		ADD(&s->interp_states, &i, MA_INTERPS_MAX);
		memcpy(i, p, sizeof(*i));
	}
	return NULL;
}

static struct ma_error *stat_field(struct ma_snap *s, struct ma_cursor *c)
{
	uint64_t stat = ma_cursor_varint(c);
	uint64_t value = ma_cursor_varint(c);
	if (!c->bad && stat < MA_ARRAY_SIZE(s->tables.stats))
		s->tables.stats[stat] = value;
	return NULL;
}

static struct ma_error *region_record(struct ma_snap *s, struct ma_cursor *c)
{
	struct ma_snap_region *row, r = { 0 };
	struct ma_str path;
	r.start = ma_cursor_varint(c);
	r.end = ma_cursor_varint(c);
	r.prot = varint32(c);
	r.inode = ma_cursor_varint(c);
	MA_TRY(ma_snap_string(s, c, &path));
	uint64_t *const sizes[] = { &r.rss,    &r.pss,       &r.private_dirty, &r.private_clean,
				    &r.shared, &r.anonymous, &r.huge,          &r.swap };
	for (size_t i = 0; i < MA_ARRAY_SIZE(sizes); i++)
		*sizes[i] = ma_cursor_varint(c);
	r.kind = varint32(c);
	if (c->bad)
		return NULL;
	MA_TRY(text(s, path.p, path.len, &r.path));
	ADD(&s->regions, &row, MA_ROWS_MAX);
	*row = r;
	return NULL;
}

static struct ma_error *arena_record(struct ma_snap *s, struct ma_cursor *c)
{
	uint64_t kind = ma_cursor_varint(c);
	if (kind == MA_ARN_ARENA) {
		struct ma_snap_arena *row, r = { 0 };
		r.addr = ma_cursor_varint(c);
		r.bytes = ma_cursor_varint(c);
		r.pools = ma_cursor_varint(c);
		r.free_pools = ma_cursor_varint(c);
		if (c->bad)
			return NULL;
		ADD(&s->arenas, &row, MA_ROWS_MAX);
		*row = r;
	} else if (kind == MA_ARN_CLASS) {
		struct ma_snap_class *row, r = { 0 };
		r.block_bytes = ma_cursor_varint(c);
		r.pools = ma_cursor_varint(c);
		r.used = ma_cursor_varint(c);
		r.free = ma_cursor_varint(c);
		r.objects = ma_cursor_varint(c);
		r.waste_bytes = ma_cursor_varint(c);
		if (c->bad)
			return NULL;
		ADD(&s->classes, &row, MA_ROWS_MAX);
		*row = r;
	} else if (kind == MA_ARN_FREELIST) {
		struct ma_snap_freelist *row, r = { 0 };
		struct ma_str name;
		MA_TRY(ma_snap_string(s, c, &name));
		r.objects = ma_cursor_varint(c);
		r.bytes = ma_cursor_varint(c);
		if (c->bad)
			return NULL;
		MA_TRY(text(s, name.p, name.len, &r.name));
		ADD(&s->freelists, &row, MA_ROWS_MAX);
		*row = r;
	} else {
		c->bad = true;
	}
	return NULL;
}

/* Edges of a frame or an interpreter. */
static struct ma_error *locals(struct ma_snap *s, struct ma_cursor *c, uint64_t base)
{
	uint64_t last = base, v;
	while ((v = ma_cursor_varint(c)) != 0 && !c->bad) {
		struct ma_snap_local *row, r = { 0 };
		v--;
		last += 8 * (uint64_t)ma_unzigzag(v >> 3);
		unsigned kind = v & 7;
		r.dst = last;
		r.borrowed = kind == MA_EDGE_BORROWED;
		if (kind == MA_EDGE_NAMED || kind == MA_EDGE_BORROWED)
			r.name_id = varint32(c);
		else if (kind == MA_EDGE_AT)
			ma_cursor_varint(c);
		if (c->bad)
			break;
		ADD(&s->locals, &row, MA_ROWS_MAX);
		*row = r;
	}
	return NULL;
}

static struct ma_error *thread_record(struct load *l, struct ma_cursor *c)
{
	struct ma_snap *s = l->s;
	uint64_t kind = ma_cursor_varint(c);
	if (kind == MA_THR_THREAD) {
		struct ma_snap_thread *row, r = { .name = "" };
		r.pthread_id = ma_cursor_varint(c);
		r.native_id = ma_cursor_varint(c);
		r.tstate = ma_cursor_varint(c);
		r.interp_id = ma_cursor_varint(c);
		r.holds_gil = ma_cursor_varint(c) != 0;
		c->bad = c->bad || s->threads.count >= MA_THREADS_MAX;
		if (c->bad)
			return NULL;
		r.frames_begin = r.frames_end = (uint32_t)s->frames.count;
		ADD(&s->threads, &row, MA_ROWS_MAX);
		*row = r;
		l->have_thread = true;
	} else if (kind == MA_THR_FRAME) {
		struct ma_snap_frame *row, r = { 0 };
		r.code = ma_cursor_varint(c);
		r.file_id = varint32(c);
		r.function_id = varint32(c);
		r.line = varint32(c);
		r.addr = ma_cursor_varint(c);
		r.locals_begin = (uint32_t)s->locals.count;
		MA_TRY(locals(s, c, r.addr));
		r.locals_end = (uint32_t)s->locals.count;
		/* the frames after a lost chunk belong to a thread that is lost, too */
		if (c->bad || (!l->have_thread && l->gap))
			return NULL;
		if (!l->have_thread || s->frames.count >= MA_FRAMES_MAX) {
			c->bad = true;
			return NULL;
		}
		ADD(&s->frames, &row, MA_ROWS_MAX);
		*row = r;
		((struct ma_snap_thread *)s->threads.data)[s->threads.count - 1].frames_end = (uint32_t)s->frames.count;
	} else if (kind == MA_THR_ENTRY) {
		uint64_t addr = ma_cursor_varint(c);
		struct ma_snap_frame *last = s->frames.data;
		if (!c->bad && l->have_thread && s->frames.count) {
			last[s->frames.count - 1].entry = true;
			last[s->frames.count - 1].entry_addr = addr;
		} else if (!l->gap) {
			c->bad = true;
		}
	} else if (kind == MA_THR_INTERP) {
		struct ma_snap_interp *row, r = { 0 };
		r.id = ma_cursor_varint(c);
		r.addr = ma_cursor_varint(c);
		r.collecting = ma_cursor_varint(c) != 0;
		r.locals_begin = (uint32_t)s->locals.count;
		MA_TRY(locals(s, c, r.addr));
		r.locals_end = (uint32_t)s->locals.count;
		if (c->bad)
			return NULL;
		ADD(&s->interps, &row, MA_ROWS_MAX);
		*row = r;
	} else {
		c->bad = true;
	}
	return NULL;
}

static struct ma_error *record(struct load *l, unsigned kind, bool first, struct ma_cursor *c)
{
	switch (kind) {
	case MA_BLOCK_META:
	case MA_BLOCK_RESULT:
		return meta_field(l->s, c);
	case MA_BLOCK_TYPES:
		return type_record(l->s, c);
	case MA_BLOCK_NAMES:
		return name_record(l->s, c);
	case MA_BLOCK_THREADS:
		return thread_record(l, c);
	case MA_BLOCK_ARENAS:
		return arena_record(l->s, c);
	case MA_BLOCK_REGIONS:
		return region_record(l->s, c);
	case MA_BLOCK_MALLOC:
		return ma_snap_malloc_field(l->s, c);
	case MA_BLOCK_STATS:
		return stat_field(l->s, c);
	case MA_BLOCK_NATIVE:
		return ma_snap_native_record(l->s, c, first);
	case MA_BLOCK_RAW:
		return ma_snap_raw_record(l->s, &l->raw, c);
	case MA_BLOCK_CONTENTS:
		return ma_snap_content_record(l->s, &l->raw, c);
	case MA_BLOCK_SITES:
		return ma_snap_site_record(l->s, c);
	default:
		ma_cursor_take(c, ma_cursor_left(c)); /* of a later version: not ours to judge */
		return NULL;
	}
}

static struct ma_error *load_chunk(struct load *l, const struct ma_snap_chunk *chunk, const void *raw)
{
	struct ma_block_iter it;
	struct ma_block_hdr hdr;
	const uint8_t *payload;
	unsigned kind = chunk->hdr.kind;
	int more;
	ma_block_iter_init(&it, &chunk->hdr, raw);
	while ((more = ma_block_iter_next(&it, &hdr, &payload)) > 0) {
		struct ma_cursor c;
		uint32_t seen = 0;
		ma_cursor_init(&c, payload, hdr.bytes);
		l->raw = (struct ma_raw_prev){ 0 };
		while (ma_cursor_left(&c)) {
			MA_TRY(record(l, kind, !seen, &c));
			seen += !c.bad;
		}
		if (c.bad || (seen != hdr.records && ma_chunk_kind_known(kind)))
			ma_snap_lacks(l->s, "a block of %s in the chunk at byte %llu is malformed at its record %u",
				      ma_chunk_kind_name(kind), (unsigned long long)chunk->off, seen);
	}
	if (more < 0)
		ma_snap_lacks(l->s, "the chunk of %s at byte %llu is malformed", ma_chunk_kind_name(kind),
			      (unsigned long long)chunk->off);
	return NULL;
}

static bool wanted(const struct ma_snap *s, unsigned kind)
{
	if (s->head_only)
		return kind == MA_BLOCK_META || kind == MA_BLOCK_RESULT || kind == MA_BLOCK_STATS;
	return kind != MA_BLOCK_OBJECTS && kind != MA_BLOCK_VALUES && kind != MA_BLOCK_TRACES;
}

/* What compresses well can be small in a file and large here: a chunk may make up to 32 MB of rows. */
static struct ma_error *check_size(const struct ma_snap *s)
{
	const struct ma_vec *const all[] = {
		&s->types,  &s->names,   &s->regions,   &s->threads, &s->frames, &s->interps,     &s->locals,
		&s->arenas, &s->classes, &s->freelists, &s->tids,    &s->notes,  &s->natives,     &s->native_frames,
		&s->raws,   &s->words,   &s->contents,  &s->samples, &s->sites,  &s->site_frames, &s->pages,
		&s->huge,   &s->heaps,   &s->spans,     &s->fills,   &s->zeros,
	};
	uint64_t bytes = s->text_bytes;
	for (size_t i = 0; i < MA_ARRAY_SIZE(all); i++)
		bytes += all[i]->count * all[i]->row_bytes;
	if (bytes > MA_TABLES_MAX && (bytes - MA_TABLES_MAX) / MA_TABLES_PER_BYTE > s->file_bytes)
		return ma_errorf(MA_ERR_BAD_DATA, "%s: its tables take more memory than those of a file of its size do",
				 s->path);
	return NULL;
}

static struct ma_error *load_chunks(struct load *l, void *dctx, void *stored, void *raw)
{
	struct ma_snap *s = l->s;
	uint64_t total = 0;
	for (size_t i = 0; i < s->chunks_count; i++) {
		const struct ma_snap_chunk *chunk = &s->chunks[i];
		uint32_t expected = i ? s->chunks[i - 1].hdr.seq + 1 : 0;
		if (chunk->hdr.seq != expected) {
			l->have_thread = false;
			l->gap = true;
		}
		if (!wanted(s, chunk->hdr.kind))
			continue;
		total += chunk->hdr.raw_bytes;
		if (total > MA_TABLE_RAW_MAX)
			return ma_errorf(MA_ERR_BAD_DATA, "%s: types, names and threads take more than %llu MiB",
					 s->path, (unsigned long long)MA_TABLE_RAW_MAX >> 20);
		MA_TRY(ma_snap_read_chunk(s, chunk, dctx, stored, raw));
		struct ma_error *err = load_chunk(l, chunk, raw);
		if (err)
			return ma_error_prefix(err, "%s", s->path);
		MA_TRY(check_size(s));
	}
	return NULL;
}

static struct ma_error *publish(struct ma_snap *s)
{
	struct ma_snap_tables *t = &s->tables;
	struct ma_snap_meta *m = &t->meta;
	struct ma_snap_type *types = s->types.data;
	char **strings[] = { &m->host,     &m->command,       &m->python, &m->exe, &m->libpython,
			     &m->build_id, &m->layout_source, &m->tool,   &m->arch };
	char *empty, *unknown;
	MA_TRY(text(s, "", 0, &empty));
	MA_TRY(text(s, lost_text, 1, &unknown));
	for (size_t i = 0; i < MA_ARRAY_SIZE(strings); i++)
		if (!*strings[i])
			*strings[i] = empty;
	for (size_t i = 0; i < s->types.count; i++)
		if (!types[i].name)
			types[i].name = unknown;
	MA_TRY(ma_snap_name_threads(s));
	ma_snap_join_interps(s);
	t->types = s->types.data;
	t->types_count = s->types.count;
	t->names = s->names.data;
	t->names_count = s->names.count;
	t->regions = s->regions.data;
	t->regions_count = s->regions.count;
	t->threads = s->threads.data;
	t->threads_count = s->threads.count;
	t->frames = s->frames.data;
	t->frames_count = s->frames.count;
	t->interps = s->interps.data;
	t->interps_count = s->interps.count;
	t->locals = s->locals.data;
	t->locals_count = s->locals.count;
	t->arenas = s->arenas.data;
	t->arenas_count = s->arenas.count;
	t->classes = s->classes.data;
	t->classes_count = s->classes.count;
	t->freelists = s->freelists.data;
	t->freelists_count = s->freelists.count;
	t->natives = s->natives.data;
	t->natives_count = s->natives.count;
	t->native_frames = s->native_frames.data;
	t->native_frames_count = s->native_frames.count;
	t->raws = s->raws.data;
	t->raws_count = s->raws.count;
	t->words = s->words.data;
	t->words_count = s->words.count;
	t->contents = s->contents.data;
	t->contents_count = s->contents.count;
	t->samples = s->samples.data;
	t->samples_count = s->samples.count;
	t->sites = s->sites.data;
	t->sites_count = s->sites.count;
	t->site_frames = s->site_frames.data;
	t->pages = s->pages.data;
	t->pages_count = s->pages.count;
	t->huge = s->huge.data;
	t->huge_count = s->huge.count;
	t->heaps = s->heaps.data;
	t->heaps_count = s->heaps.count;
	t->spans = s->spans.data;
	t->spans_count = s->spans.count;
	t->fills = s->fills.data;
	t->fills_count = s->fills.count;
	t->zeros = s->zeros.data;
	t->zeros_count = s->zeros.count;
	m->tids = s->tids.data;
	m->tids_count = s->tids.count;
	m->interps = s->interp_states.data;
	m->interps_count = s->interp_states.count;
	m->notes = s->notes.data;
	m->notes_count = s->notes.count;
	return NULL;
}

/* A name id in a record may point past the table: in a file that lost the definition, or in a wrong one. */
static void check_ids(struct ma_snap *s)
{
	struct ma_snap_frame *frames = s->frames.data;
	struct ma_snap_local *rows = s->locals.data;
	for (size_t i = 0; i < s->frames.count; i++) {
		if (frames[i].file_id > s->names.count)
			frames[i].file_id = 0;
		if (frames[i].function_id > s->names.count)
			frames[i].function_id = 0;
	}
	for (size_t i = 0; i < s->locals.count; i++)
		if (rows[i].name_id > s->names.count)
			rows[i].name_id = 0;
}

struct ma_error *ma_snap_load(struct ma_snap *s)
{
	struct load l = { .s = s };
	_cleanup_free_ void *stored = malloc(MA_CHUNK_STORED_MAX), *raw = malloc(MA_CHUNK_RAW_MAX);
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	struct ma_error *err = stored && raw && dctx ? load_chunks(&l, dctx, stored, raw) : &ma_enomem;
	ZSTD_freeDCtx(dctx);
	if (err)
		return err;
	check_ids(s);
	return publish(s);
}
