// SPDX-License-Identifier: Apache-2.0
#include "snapshot_dump.h"

#include "cleanup.h"

#include <inttypes.h>
#include <string.h>

static void text(struct ma_buf *out, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)p[i];
		if (c < 32 || c > 126 || c == '\\')
			ma_buf_printf(out, "\\x%02x", c);
		else
			ma_buf_u8(out, c);
	}
}

static void line(struct ma_buf *out, const char *label, const char *p, size_t len)
{
	ma_buf_printf(out, "%s ", label);
	text(out, p, len);
	ma_buf_u8(out, '\n');
}

static void dump_meta(const struct ma_snap_meta *m, struct ma_buf *out)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "taken_realtime_ns", m->taken_realtime_ns },
		{ "taken_monotonic_ns", m->taken_monotonic_ns },
		{ "pid", m->pid },
		{ "uid", m->uid },
		{ "start_time", m->start_time },
		{ "uptime_ns", m->uptime_ns },
		{ "pause_ns", m->pause_ns },
		{ "safe_ns", m->safe_ns },
		{ "twin_ns", m->twin_ns },
		{ "walk_ns", m->walk_ns },
		{ "attempts", m->attempts },
		{ "faults", m->faults },
		{ "rss_anon", m->rss_anon },
		{ "rss_file", m->rss_file },
		{ "rss_shmem", m->rss_shmem },
		{ "vm_pte", m->vm_pte },
		{ "cgroup_limit", m->cgroup_limit },
		{ "cgroup_usage", m->cgroup_usage },
		{ "consistency", m->consistency },
		{ "values", m->values },
	};
	const struct {
		const char *name, *value;
	} strings[] = {
		{ "host", m->host },
		{ "command", m->command },
		{ "python", m->python },
		{ "exe", m->exe },
		{ "libpython", m->libpython },
		{ "build_id", m->build_id },
		{ "layout_source", m->layout_source },
		{ "tool", m->tool },
		{ "arch", m->arch },
	};
	for (size_t i = 0; i < MA_ARRAY_SIZE(numbers); i++)
		ma_buf_printf(out, "%s %" PRIu64 "\n", numbers[i].name, numbers[i].value);
	for (size_t i = 0; i < MA_ARRAY_SIZE(strings); i++)
		line(out, strings[i].name, strings[i].value, strlen(strings[i].value));
	for (size_t i = 0; i < m->tids_count; i++) {
		ma_buf_printf(out, "tid %" PRIu64 " fs_base %" PRIx64, m->tids[i].tid, m->tids[i].fs_base);
		line(out, "", m->tids[i].name, strlen(m->tids[i].name));
	}
	for (size_t i = 0; i < m->notes_count; i++)
		line(out, "note", m->notes[i], strlen(m->notes[i]));
}

static void dump_locals(const struct ma_snap_tables *t, uint32_t begin, uint32_t end, struct ma_buf *out)
{
	for (uint32_t i = begin; i < end; i++)
		ma_buf_printf(out, "  local %" PRIx64 " name %u%s\n", t->locals[i].dst, t->locals[i].name_id,
			      t->locals[i].borrowed ? " borrowed" : "");
}

static void dump_threads(const struct ma_snap_tables *t, struct ma_buf *out)
{
	for (size_t i = 0; i < t->interps_count; i++) {
		const struct ma_snap_interp *p = &t->interps[i];
		ma_buf_printf(out, "interp %" PRIu64 " at %" PRIx64 "%s\n", p->id, p->addr,
			      p->collecting ? " collecting" : "");
		dump_locals(t, p->locals_begin, p->locals_end, out);
	}
	for (size_t i = 0; i < t->threads_count; i++) {
		const struct ma_snap_thread *p = &t->threads[i];
		ma_buf_printf(out,
			      "thread %" PRIx64 " native %" PRIu64 " tstate %" PRIx64 " interp %" PRIu64 " tid %" PRIu64
			      "%s",
			      p->pthread_id, p->native_id, p->tstate, p->interp_id, p->tid, p->holds_gil ? " gil" : "");
		line(out, "", p->name, strlen(p->name));
		for (uint32_t k = p->frames_begin; k < p->frames_end; k++) {
			const struct ma_snap_frame *f = &t->frames[k];
			ma_buf_printf(out, " frame %" PRIx64 " code %" PRIx64 " file %u function %u line %u%s", f->addr,
				      f->code, f->file_id, f->function_id, f->line, f->entry ? " entry" : "");
			ma_buf_printf(out, f->entry_addr ? " %" PRIx64 "\n" : "\n", f->entry_addr);
			dump_locals(t, f->locals_begin, f->locals_end, out);
		}
	}
}

static void dump_natives(const struct ma_snap_tables *t, struct ma_buf *out)
{
	for (size_t i = 0; i < t->natives_count; i++) {
		const struct ma_snap_native *n = &t->natives[i];
		ma_buf_printf(out, "native %" PRIu64 " fs_base %" PRIx64 "%s\n", n->tid, n->fs_base,
			      n->cut ? " cut" : "");
		for (uint32_t k = n->frames_begin; k < n->frames_end; k++) {
			const struct ma_snap_native_frame *f = &t->native_frames[k];
			ma_buf_printf(out, " pc %" PRIx64 " sp %" PRIx64 " flags %u line %u", f->pc, f->sp, f->flags,
				      f->line);
			line(out, "", f->function, strlen(f->function));
			line(out, "  module", f->module, strlen(f->module));
			line(out, "  file", f->file, strlen(f->file));
		}
	}
}

static void dump_malloc(const struct ma_snap_tables *t, struct ma_buf *out)
{
	for (size_t i = 0; i < t->pages_count; i++)
		ma_buf_printf(out, "pages %" PRIx64 "-%" PRIx64 "\n", t->pages[i].start, t->pages[i].end);
	for (size_t i = 0; i < t->huge_count; i++)
		ma_buf_printf(out, "huge %" PRIx64 "-%" PRIx64 "\n", t->huge[i].start, t->huge[i].end);
	for (size_t i = 0; i < t->heaps_count; i++) {
		const struct ma_snap_heap *h = &t->heaps[i];
		const struct ma_snap_chunks *sums[] = { &h->used, &h->cached, &h->free, &h->top };
		ma_buf_printf(out, "heap %" PRIx64 "-%" PRIx64 " arena %" PRIx64 "%s", h->start, h->end, h->arena,
			      h->main ? " main" : "");
		for (size_t k = 0; k < MA_ARRAY_SIZE(sums); k++)
			ma_buf_printf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64, sums[k]->chunks, sums[k]->bytes,
				      sums[k]->resident);
		ma_buf_printf(out, " trimmable %" PRIu64 " unread %" PRIu64 "\n", h->trimmable, h->unread);
	}
	for (size_t i = 0; i < t->spans_count; i++)
		ma_buf_printf(out, "span %" PRIx64 "-%" PRIx64 " kind %u tid %" PRIu64 "\n", t->spans[i].start,
			      t->spans[i].end, t->spans[i].kind, t->spans[i].tid);
	for (size_t i = 0; i < t->fills_count; i++)
		ma_buf_printf(out, "fill %" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			      t->fills[i].addr, t->fills[i].carved, t->fills[i].used, t->fills[i].free,
			      t->fills[i].used_pools);
	for (size_t i = 0; i < t->zeros_count; i++)
		ma_buf_printf(out, "zeros %" PRIx64 "-%" PRIx64 " %" PRIu64 "\n", t->zeros[i].start, t->zeros[i].end,
			      t->zeros[i].zeros);
}

static struct ma_error *dump_sites(const struct ma_snap *s, struct ma_buf *out)
{
	const struct ma_snap_tables *t = ma_snap_tables(s);
	struct ma_trace_cursor *c;
	struct ma_snap_trace row;
	for (size_t i = 0; i < t->sites_count; i++) {
		ma_buf_printf(out, "site %zu of %u", i + 1, t->sites[i].total);
		for (uint32_t k = t->sites[i].frames_begin; k < t->sites[i].frames_end; k++)
			ma_buf_printf(out, " %u:%u", t->site_frames[k].file_id, t->site_frames[k].line);
		ma_buf_u8(out, '\n');
	}
	MA_TRY(ma_trace_cursor_create(s, &c));
	while (ma_trace_next(c, &row))
		ma_buf_printf(out, "trace %" PRIx64 " bytes %" PRIu64 " site %u domain %u\n", row.addr, row.bytes,
			      row.site_id, row.domain);
	struct ma_error *err = ma_trace_cursor_error(c);
	ma_trace_cursor_destroy(c);
	return err;
}

static void dump_memory(const struct ma_snap_tables *t, struct ma_buf *out)
{
	for (size_t i = 0; i < t->arenas_count; i++)
		ma_buf_printf(out, "arena %" PRIx64 " bytes %" PRIu64 " pools %" PRIu64 " free %" PRIu64 "\n",
			      t->arenas[i].addr, t->arenas[i].bytes, t->arenas[i].pools, t->arenas[i].free_pools);
	for (size_t i = 0; i < t->classes_count; i++) {
		const struct ma_snap_class *c = &t->classes[i];
		ma_buf_printf(out,
			      "class %" PRIu64 " pools %" PRIu64 " used %" PRIu64 " free %" PRIu64 " objects %" PRIu64
			      " waste %" PRIu64 "\n",
			      c->block_bytes, c->pools, c->used, c->free, c->objects, c->waste_bytes);
	}
	for (size_t i = 0; i < t->freelists_count; i++) {
		ma_buf_printf(out, "freelist %" PRIu64 " %" PRIu64, t->freelists[i].objects, t->freelists[i].bytes);
		line(out, "", t->freelists[i].name, strlen(t->freelists[i].name));
	}
	for (size_t i = 0; i < t->raws_count; i++)
		ma_buf_printf(out, "buffer %" PRIx64 " kind %u bytes %" PRIu64 " owner %" PRIx64 "\n", t->raws[i].addr,
			      t->raws[i].kind, t->raws[i].bytes, t->raws[i].owner);
	for (size_t i = 0; i < t->words_count; i++)
		ma_buf_printf(out, "word %" PRIx64 " object %" PRIx64 "\n", t->words[i].addr, t->words[i].object);
	for (size_t i = 0; i < t->contents_count; i++)
		ma_buf_printf(out, "content of %" PRIx64 " bytes %" PRIu64 " hash %016" PRIx64 " kind %u\n",
			      t->contents[i].object, t->contents[i].bytes, t->contents[i].hash, t->contents[i].kind);
	dump_malloc(t, out);
	for (size_t i = 0; i < t->regions_count; i++) {
		const struct ma_snap_region *r = &t->regions[i];
		ma_buf_printf(out, "region %" PRIx64 "-%" PRIx64 " prot %u kind %u inode %" PRIu64, r->start, r->end,
			      r->prot, r->kind, r->inode);
		const uint64_t sizes[] = { r->rss,    r->pss,       r->private_dirty, r->private_clean,
					   r->shared, r->anonymous, r->huge,          r->swap };
		for (size_t k = 0; k < MA_ARRAY_SIZE(sizes); k++)
			ma_buf_printf(out, " %" PRIu64, sizes[k]);
		line(out, "", r->path, strlen(r->path));
	}
}

static void dump_types(const struct ma_snap_tables *t, struct ma_buf *out)
{
	for (size_t i = 0; i < t->types_count; i++) {
		const struct ma_snap_type *p = &t->types[i];
		ma_buf_printf(out, "type %zu at %" PRIx64 " flags %u sizes %" PRIu64 " %" PRIu64, i + 1, p->addr,
			      p->flags, p->basicsize, p->itemsize);
		line(out, "", p->name, strlen(p->name));
	}
	for (size_t i = 0; i < t->names_count; i++) {
		ma_buf_printf(out, "name %zu", i + 1);
		line(out, "", t->names[i].p, t->names[i].len);
	}
}

static void dump_value(const struct ma_snap_value *v, struct ma_buf *out)
{
	static const char *const kinds[] = { "str", "bytes", "int", "float" };
	ma_buf_printf(out, " value %s", kinds[v->kind]);
	if (!v->known)
		ma_buf_str(out, " unknown");
	else if (v->kind == MA_VALUE_STR || v->kind == MA_VALUE_BYTES)
		ma_buf_printf(out, " length %" PRIu64 " hash %010" PRIx64, v->length, v->hash);
	line(out, v->has_text && v->known ? " text" : "", (const char *)v->text,
	     v->has_text && v->known ? v->text_bytes : 0);
}

struct ma_error *snap_dump(const struct ma_snap *s, struct ma_buf *out)
{
	static const char *const kinds[] = { "plain", "next", "at", "named", "key", "value", "borrowed", "guessed" };
	const struct ma_snap_tables *t = ma_snap_tables(s);
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	struct ma_snap_value v;
	dump_meta(&t->meta, out);
	dump_types(t, out);
	dump_threads(t, out);
	dump_natives(t, out);
	dump_memory(t, out);
	MA_TRY(dump_sites(s, out));
	for (size_t i = 0; i < MA_ARRAY_SIZE(t->stats); i++)
		if (t->stats[i])
			ma_buf_printf(out, "stat %zu %" PRIu64 "\n", i, t->stats[i]);
	if (t->missing)
		line(out, "missing", t->missing, strlen(t->missing));
	MA_TRY(ma_snap_cursor_create(s, &c));
	struct ma_error *err = ma_snap_cursor_values(c);
	while (!err && ma_snap_next_object(c, &o)) {
		ma_buf_printf(out,
			      "object %" PRIx64 " type %u size %" PRIu64 " refcnt %" PRIu64 " buffer %" PRIu64
			      " place %d extra %u%s%s\n",
			      o.addr, o.type_id, o.size, o.refcnt, o.buffer, (int)o.place, o.extra, o.gc ? " gc" : "",
			      o.immortal ? " immortal" : "");
		if (ma_snap_value(c, &v))
			dump_value(&v, out);
		while (ma_snap_next_edge(c, &e))
			ma_buf_printf(out, " edge %" PRIx64 " %s index %" PRIu64 " name %u key %" PRIx64 "\n", e.dst,
				      kinds[e.kind], e.index, e.name_id, e.key);
	}
	if (!err)
		err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err ? err : ma_buf_error(out);
}
