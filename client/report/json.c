// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include "advice.h"
#include "cleanup.h"
#include "detail.h"
#include "edge_name.h"
#include "human.h"
#include "json_util.h"
#include "native.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

static json_t *native_frame(const struct ma_snap_native_frame *f, int *failed)
{
	char pc[24];
	json_t *o = json_object();
	snprintf(pc, sizeof(pc), "0x%" PRIx64, f->pc);
	set(o, "pc", json_string(pc), failed);
	set(o, "function", text(f->function), failed);
	set(o, "module", text(f->module), failed);
	set(o, "file", text(f->file), failed);
	set(o, "line", number(f->line), failed);
	return o;
}

/* th: the Python thread that runs on it, or NULL. */
static json_t *native(const struct ma_snap_tables *tab, const struct ma_snap_thread *th, const struct ma_snap_native *n,
		      int *failed)
{
	json_t *list = json_array();
	size_t count = n ? n->frames_end - n->frames_begin : 0;
	_cleanup_free_ uint32_t *begin = calloc(count + 1, sizeof(*begin));
	if (!begin)
		*failed = 1;
	if (begin && th && n)
		ma_native_place(tab, th, n, begin);
	for (size_t i = 0; begin && i < count; i++) {
		const struct ma_snap_native_frame *f = &tab->native_frames[n->frames_begin + i];
		json_t *o = native_frame(f, failed), *python = json_array();
		for (uint32_t k = begin[i]; k < begin[i + 1]; k++)
			append(python, number(k - th->frames_begin), failed);
		set(o, "python", python, failed);
		append(list, o, failed);
	}
	return list;
}

/* Threads that no Python runs on: with native stacks only. */
static void other_threads(const struct ma_snap_tables *tab, json_t *list, int *failed)
{
	for (size_t i = 0; i < tab->natives_count; i++) {
		const struct ma_snap_native *n = &tab->natives[i];
		if (ma_native_is_python(tab, n))
			continue;
		json_t *t = json_object();
		set(t, "tid", number(n->tid), failed);
		set(t, "name", text(ma_native_name(tab, n)), failed);
		set(t, "holds_gil", json_false(), failed);
		set(t, "frames", json_array(), failed);
		set(t, "native", native(tab, NULL, n, failed), failed);
		append(list, t, failed);
	}
}

static json_t *threads(const struct ma_snap *s, int *failed)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	bool any = ma_native_any(tab);
	json_t *list = json_array();
	for (size_t i = 0; i < tab->threads_count; i++) {
		const struct ma_snap_thread *th = &tab->threads[i];
		json_t *frames = json_array(), *t = json_object();
		for (size_t f = th->frames_begin; f < th->frames_end && f < tab->frames_count; f++) {
			struct ma_str file = ma_snap_name(s, tab->frames[f].file_id);
			struct ma_str fn = ma_snap_name(s, tab->frames[f].function_id);
			json_t *frame = json_object();
			set(frame, "file", text_bytes(file.p, file.len), failed);
			set(frame, "function", text_bytes(fn.p, fn.len), failed);
			set(frame, "line", number(tab->frames[f].line), failed);
			append(frames, frame, failed);
		}
		set(t, "tid", number(th->tid), failed);
		set(t, "name", text(th->name), failed);
		set(t, "holds_gil", json_boolean(th->holds_gil), failed);
		set(t, "interpreter", number(th->interp_id), failed);
		set(t, "frames", frames, failed);
		if (any)
			set(t, "native", native(tab, th, ma_native_find(tab, th), failed), failed);
		append(list, t, failed);
	}
	if (any)
		other_threads(tab, list, failed);
	return list;
}

static json_t *interpreters(const struct ma_snap_tables *tab, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < tab->interps_count; i++) {
		const struct ma_snap_interp *in = &tab->interps[i];
		json_t *o = json_object();
		set(o, "id", number(in->id), failed);
		set(o, "own_gil", json_boolean(in->own_gil), failed);
		set(o, "consistency", json_string(ma_consistency_name(in->consistency)), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *types(const struct ma_totals *totals, const char *glob, bool retained, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < totals->types_count; i++) {
		const struct ma_type_total *type = &totals->types[i];
		if (glob && fnmatch(glob, type->name, 0))
			continue;
		json_t *t = json_object();
		set(t, "type", text(type->name), failed);
		set(t, "count", number(type->count), failed);
		set(t, "bytes", number(type->bytes), failed);
		if (retained)
			set(t, "retained", number(type->retained), failed);
		append(list, t, failed);
	}
	return list;
}

/* What a holder and a suspect have in common: a suspect may be a group of objects without a holder, then h is NULL. */
static json_t *holder(const struct ma_analysis *a, const struct ma_holder *h, const char *path, int *failed)
{
	char address[24];
	json_t *o = json_object();
	set(o, "path", text(path), failed);
	set(o, "type", h ? text(ma_type_name(a->snap, h->type_id)) : json_null(), failed);
	if (h)
		snprintf(address, sizeof(address), "0x%" PRIx64, h->addr);
	set(o, "address", h ? json_string(address) : json_null(), failed);
	set(o, "elements", number(h ? h->elements : 0), failed);
	set(o, "mostly", h && h->mostly ? text(ma_type_name(a->snap, h->mostly)) : json_null(), failed);
	return o;
}

static json_t *holders(const struct ma_analysis *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->held.holders_count; i++) {
		const struct ma_holder *h = &a->held.holders[i];
		json_t *o = holder(a, h, h->path, failed);
		set(o, "retained", number(h->retained), failed);
		set(o, "held", number(h->bytes), failed);
		set(o, "share", number(ma_percent(h->bytes, a->graph->totals.bytes)), failed);
		set(o, "objects", number(h->objects), failed);
		append(list, o, failed);
	}
	return list;
}

/* Where most of a suspect was allocated. */
static json_t *allocated_at(const struct ma_analysis *a, const struct ma_below *below, int *failed)
{
	if (!below->line || below->line > a->sites.lines_count)
		return json_null();
	const struct ma_site_line *line = &a->sites.lines[below->line - 1];
	json_t *o = ma_json_line(line->file, line->line, failed);
	set(o, "count", number(below->line_count), failed);
	set(o, "bytes", number(below->line_bytes), failed);
	return o;
}

static json_t *suspects(const struct ma_analysis *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->held.suspects_count; i++) {
		const struct ma_suspect *s = &a->held.suspects[i];
		const struct ma_holder *h = s->holder < 0 ? NULL : &a->held.holders[s->holder];
		json_t *o = holder(a, h, s->path, failed);
		set(o, "kind", json_string(ma_suspect_kind_name(s->kind)), failed);
		set(o, "retained", number(s->retained), failed);
		set(o, "held", number(h ? h->bytes : s->bytes), failed);
		set(o, "share", number(ma_percent(s->bytes, a->graph->totals.bytes)), failed);
		set(o, "objects", number(s->objects), failed);
		set(o, "consists", ma_json_consists(a->snap, s->below.consists, s->below.consists_count, failed),
		    failed);
		set(o, "allocated_at", allocated_at(a, &s->below, failed), failed);
		set(o, "advice", json_string(h ? ma_advice(a, h) : ma_suspect_kind_advice(s->kind)), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *buffers(const struct ma_buffers *b, int *failed)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < MA_BUFFER_COUNT; i++) {
		if (!b->rows[i].count)
			continue;
		json_t *row = json_object();
		set(row, "kind", json_string(ma_buffer_name(i)), failed);
		set(row, "count", number(b->rows[i].count), failed);
		set(row, "bytes", number(b->rows[i].counted), failed);
		set(row, "in_sizes", json_boolean(ma_buffer_in_sizes(i)), failed);
		set(row, "estimate", json_boolean(ma_buffer_estimate(i)), failed);
		append(list, row, failed);
	}
	return list;
}

static json_t *native_held(const struct ma_native_held *n, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n->rows_count; i++) {
		json_t *row = json_object();
		set(row, "type", text(n->rows[i].type), failed);
		set(row, "library", n->rows[i].library ? text(n->rows[i].library) : json_null(), failed);
		set(row, "objects", number(n->rows[i].objects), failed);
		set(row, "references", number(n->rows[i].references), failed);
		append(list, row, failed);
	}
	return list;
}

static json_t *roots(const struct ma_analysis *a, int *failed)
{
	json_t *o = json_object();
	for (unsigned i = 0; i < MA_ROOT_KIND_COUNT; i++)
		set(o, ma_root_kind_name(i), number(a->roots[i]), failed);
	return o;
}

static json_t *shared_keys(const struct ma_snap_tables *tab, int *failed)
{
	json_t *o = json_object();
	set(o, "tables", number(tab->stats[MA_STAT_SHARED_KEYS]), failed);
	set(o, "bytes", number(tab->stats[MA_STAT_SHARED_KEYS_BYTES]), failed);
	set(o, "loose_bytes", number(tab->stats[MA_STAT_LOOSE_KEYS_BYTES]), failed);
	return o;
}

static json_t *notes(const struct ma_snap_tables *tab, int *failed)
{
	json_t *list = json_array();
	if (tab->missing)
		append(list, text(tab->missing), failed);
	for (size_t i = 0; i < tab->meta.notes_count; i++)
		append(list, text(tab->meta.notes[i]), failed);
	return list;
}

/* The fields that every output about a process begins with. */
static void set_process(json_t *root, const struct ma_snap_meta *m, int *failed)
{
	char time[MA_HUMAN_MAX];
	set(root, "taken_at", json_string(ma_human_time(time, m->taken_realtime_ns)), failed);
	set(root, "host", text(m->host), failed);
	set(root, "pid", number(m->pid), failed);
	set(root, "command", text(m->command), failed);
	set(root, "python", text(m->python), failed);
	set(root, "schema", json_integer(1), failed);
	set(root, "source", json_string(ma_source_name(m->source)), failed);
	set(root, "consistency", json_string(ma_consistency_name(m->consistency)), failed);
	set(root, "pause_ns", number(m->pause_ns), failed);
	set(root, "attempts", number(m->attempts), failed);
	set(root, "twin_ns", number(m->twin_ns), failed);
	set(root, "walk_ns", number(m->walk_ns), failed);
	set(root, "call_ns", number(m->call_ns), failed);
	set(root, "raw_bytes", number(m->raw_bytes), failed);
	set(root, "raw_saved_ns", number(m->raw_saved_ns), failed);
	set(root, "live_bytes", number(m->live_bytes), failed);
	set(root, "target_faults", number(m->target_faults), failed);
}

struct ma_error *ma_json_dump(FILE *out, json_t *root, int failed)
{
	if (failed || !root) {
		json_decref(root);
		return &ma_enomem;
	}
	failed = json_dumpf(root, out, JSON_INDENT(2));
	json_decref(root);
	if (failed && !ferror(out))
		return &ma_enomem;
	fputc('\n', out);
	return NULL;
}

struct ma_error *ma_report_json(FILE *out, const struct ma_analysis *a, const struct ma_report_options *opt)
{
	const struct ma_snap_tables *tab = ma_snap_tables(a->snap);
	const struct ma_totals *t = &a->graph->totals;
	json_t *root = json_object();
	char values[MA_HUMAN_MAX];
	int failed = 0;
	set(root, "snapshot", text(opt->path), &failed);
	set_process(root, &tab->meta, &failed);
	set(root, "values", json_string(ma_values_name(values, &tab->meta)), &failed);
	set(root, "complete", json_boolean(tab->complete), &failed);
	set(root, "rss_bytes", number(a->memory.rss), &failed);
	set(root, "explained_bytes", number(a->memory.rss - a->memory.rows[MA_MEM_UNKNOWN]), &failed);
	set(root, "objects", number(t->objects), &failed);
	set(root, "edges", number(t->edges), &failed);
	set(root, "bytes", number(t->bytes), &failed);
	set(root, "refcount_excess", number(a->books.excess), &failed);
	set(root, "faults", number(tab->meta.faults), &failed);
	set(root, "types", types(t, opt->type_glob, a->with_held, &failed), &failed);
	set(root, "analysed", json_boolean(a->with_held), &failed);
	if (a->with_held) {
		set(root, "suspects", suspects(a, &failed), &failed);
		set(root, "holders", holders(a, &failed), &failed);
		ma_json_waste(root, a, &failed);
		ma_json_sites(root, a, &failed);
	}
	set(root, "threads", threads(a->snap, &failed), &failed);
	set(root, "interpreters", interpreters(tab, &failed), &failed);
	ma_json_memory(root, a, &failed);
	set(root, "buffers", buffers(&a->buffers, &failed), &failed);
	set(root, "shared_keys", shared_keys(tab, &failed), &failed);
	set(root, "roots", roots(a, &failed), &failed);
	set(root, "native_held", native_held(&a->native, &failed), &failed);
	set(root, "notes", notes(tab, &failed), &failed);
	struct ma_error *err = opt->type_glob ? ma_json_type(root, a->snap, opt->type_glob, &failed) : NULL;
	if (err) {
		json_decref(root);
		return err;
	}
	return ma_json_dump(out, root, failed);
}

struct ma_error *ma_stacks_json(FILE *out, const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	json_t *root = json_object();
	int failed = 0;
	set_process(root, &tab->meta, &failed);
	set(root, "threads", threads(s, &failed), &failed);
	set(root, "notes", notes(tab, &failed), &failed);
	return ma_json_dump(out, root, failed);
}
