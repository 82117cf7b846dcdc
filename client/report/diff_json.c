// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "diff_report.h"
#include "json_util.h"

#include <inttypes.h>

static json_t *types(const struct ma_diff *d, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->types_count; i++) {
		const struct ma_diff_type *t = &d->types[i];
		json_t *o = json_object();
		set(o, "type", text(t->name), failed);
		set(o, "old_count", number(t->old_count), failed);
		set(o, "new_count", number(t->new_count), failed);
		set(o, "old_bytes", number(t->old_bytes), failed);
		set(o, "new_bytes", number(t->new_bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *modules(const struct ma_diff *d, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->modules_count; i++) {
		const struct ma_diff_module *m = &d->modules[i];
		json_t *o = json_object();
		set(o, "module", text(m->name), failed);
		set(o, "old_retained", number(m->old_retained), failed);
		set(o, "new_retained", number(m->new_retained), failed);
		set(o, "old_instances", number(m->old_instances), failed);
		set(o, "new_instances", number(m->new_instances), failed);
		set(o, "old_bytes", number(m->old_bytes), failed);
		set(o, "new_bytes", number(m->new_bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *memory(const struct ma_diff *d, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->memory_count; i++) {
		json_t *o = json_object();
		set(o, "name", json_string(d->memory[i].name), failed);
		set(o, "old_bytes", number(d->memory[i].old_bytes), failed);
		set(o, "new_bytes", number(d->memory[i].new_bytes), failed);
		append(list, o, failed);
	}
	return list;
}

/* The lines that changed. */
static json_t *sites(const struct ma_diff *d, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->sites.count; i++) {
		const struct ma_diff_site *s = &d->sites.rows[i];
		if (s->old_bytes == s->new_bytes && s->old_count == s->new_count)
			continue;
		json_t *o = ma_json_line(s->file, s->line, failed);
		set(o, "old_count", number(s->old_count), failed);
		set(o, "new_count", number(s->new_count), failed);
		set(o, "old_bytes", number(s->old_bytes), failed);
		set(o, "new_bytes", number(s->new_bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *allocated_at(const struct ma_diff *d, size_t growth, int *failed)
{
	const struct ma_diff_allocated *a = d->sites.of_growth ? &d->sites.of_growth[growth] : NULL;
	if (!a || !a->site)
		return json_null();
	const struct ma_diff_site *s = &d->sites.rows[a->site - 1];
	json_t *o = ma_json_line(s->file, s->line, failed);
	set(o, "gained_objects", json_integer(a->count), failed);
	set(o, "gained_bytes", json_integer(a->bytes), failed);
	return o;
}

static json_t *gained_list(const struct ma_gained *types, size_t count, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *o = json_object();
		set(o, "type", text(types[i].type), failed);
		set(o, "count", json_integer(types[i].count), failed);
		set(o, "bytes", json_integer(types[i].bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static void set_trend(json_t *o, const struct ma_trend *t, int *failed)
{
	set(o, "gained_first", t->known ? json_integer(t->first) : json_null(), failed);
	set(o, "gained_second", t->known ? json_integer(t->second) : json_null(), failed);
	set(o, "steady", t->known ? json_boolean(t->steady) : json_null(), failed);
	set(o, "survivor_objects", number(t->objects), failed);
	set(o, "survivor_bytes", number(t->bytes), failed);
}

/* The growth point at position `i`. */
static json_t *growth(const struct ma_diff *d, size_t i, int *failed)
{
	const struct ma_growth *g = &d->growths.points[i];
	char address[24];
	json_t *o = json_object();
	snprintf(address, sizeof(address), "0x%" PRIx64, g->addr);
	set(o, "path", text(g->path), failed);
	set(o, "type", text(g->type), failed);
	set(o, "address", g->addr ? json_string(address) : json_null(), failed);
	set(o, "is_new", json_boolean(g->is_new), failed);
	set(o, "old_retained", number(g->old_retained), failed);
	set(o, "new_retained", number(g->new_retained), failed);
	set(o, "gained_bytes", json_integer(g->bytes), failed);
	set(o, "gained_objects", json_integer(g->objects), failed);
	set(o, "gained_types", gained_list(g->types, g->types_count, failed), failed);
	set(o, "allocated_at", allocated_at(d, i, failed), failed);
	if (d->middle.snap)
		set_trend(o, &d->middle.trends[i], failed);
	return o;
}

struct ma_error *ma_diff_json(FILE *out, const struct ma_diff *d, const struct ma_diff_names *names)
{
	const struct ma_snap_meta *old = &ma_snap_tables(d->old_snap)->meta, *new = &ma_snap_tables(d->new_snap)->meta;
	json_t *root = json_object(), *grew = json_array(), *shrank = json_array();
	char time[MA_HUMAN_MAX];
	int failed = 0;
	for (size_t i = 0; i < d->growths.count && d->growths.points[i].bytes > 0; i++)
		append(grew, growth(d, i, &failed), &failed);
	for (size_t i = d->growths.count; i-- > 0 && d->growths.points[i].bytes <= 0;)
		append(shrank, growth(d, i, &failed), &failed);
	set(root, "schema", json_integer(1), &failed);
	set(root, "old", text(names->old), &failed);
	set(root, "new", text(names->new), &failed);
	set(root, "old_taken_at", json_string(ma_human_time(time, old->taken_realtime_ns)), &failed);
	set(root, "new_taken_at", json_string(ma_human_time(time, new->taken_realtime_ns)), &failed);
	if (d->middle.snap) {
		const struct ma_snap_meta *middle = &ma_snap_tables(d->middle.snap)->meta;
		set(root, "middle", text(names->middle), &failed);
		set(root, "middle_taken_at", json_string(ma_human_time(time, middle->taken_realtime_ns)), &failed);
		set(root, "survivors", gained_list(d->middle.survivors, d->middle.survivors_count, &failed), &failed);
	}
	set(root, "elapsed_s", json_real((double)d->elapsed_ns / 1e9), &failed);
	set(root, "old_pid", number(old->pid), &failed);
	set(root, "new_pid", number(new->pid), &failed);
	set(root, "old_complete", json_boolean(ma_snap_tables(d->old_snap)->complete), &failed);
	set(root, "new_complete", json_boolean(ma_snap_tables(d->new_snap)->complete), &failed);
	set(root, "command", text(new->command), &failed);
	set(root, "same_program", json_boolean(d->same_program), &failed);
	set(root, "matched_by", json_string(d->same_process ? "address" : "path"), &failed);
	set(root, "old_rss_bytes", number(d->old_rss), &failed);
	set(root, "new_rss_bytes", number(d->new_rss), &failed);
	set(root, "old_objects", number(d->old_objects), &failed);
	set(root, "new_objects", number(d->new_objects), &failed);
	set(root, "old_bytes", number(d->old_bytes), &failed);
	set(root, "new_bytes", number(d->new_bytes), &failed);
	set(root, "growth", grew, &failed);
	set(root, "shrank", shrank, &failed);
	set(root, "memory", memory(d, &failed), &failed);
	set(root, "modules", modules(d, &failed), &failed);
	set(root, "types", types(d, &failed), &failed);
	set(root, "sites", d->sites.both ? sites(d, &failed) : json_null(), &failed);
	return ma_json_dump(out, root, failed);
}
