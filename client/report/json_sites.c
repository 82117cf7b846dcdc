// SPDX-License-Identifier: Apache-2.0
#include "json_util.h"

json_t *ma_json_line(struct ma_str file, uint32_t line, int *failed)
{
	json_t *o = json_object();
	set(o, "file", file.len ? text_bytes(file.p, file.len) : json_null(), failed);
	set(o, "line", number(line), failed);
	return o;
}

json_t *ma_json_consists(const struct ma_snap *s, const struct ma_consists *types, size_t count, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *o = json_object();
		set(o, "type", text(ma_type_name(s, types[i].type_id)), failed);
		set(o, "count", number(types[i].count), failed);
		set(o, "bytes", number(types[i].bytes), failed);
		append(list, o, failed);
	}
	return list;
}

void ma_json_sites(json_t *root, const struct ma_analysis *a, int *failed)
{
	const struct ma_sites *x = &a->sites;
	json_t *list = json_array();
	for (size_t i = 0; i < x->top_count; i++) {
		const struct ma_site_line *line = &x->lines[i];
		json_t *o = ma_json_line(line->file, line->line, failed);
		set(o, "count", number(line->count), failed);
		set(o, "bytes", number(line->bytes), failed);
		set(o, "objects", number(line->objects), failed);
		set(o, "types", ma_json_consists(a->snap, x->top[i].types, x->top[i].count, failed), failed);
		append(list, o, failed);
	}
	if (!x->lines_count) {
		json_decref(list);
		list = json_null();
	}
	set(root, "sites", list, failed);
	set(root, "traced_blocks", x->lines_count ? number(x->count) : json_null(), failed);
	set(root, "traced_bytes", x->lines_count ? number(x->bytes) : json_null(), failed);
	set(root, "untraced_objects", x->lines_count ? number(x->untraced_objects) : json_null(), failed);
	set(root, "untraced_bytes", x->lines_count ? number(x->untraced_bytes) : json_null(), failed);
	uint64_t own = ma_snap_tables(a->snap)->stats[MA_STAT_TRACES_OWN];
	set(root, "tracemalloc_bytes", x->lines_count ? number(own) : json_null(), failed);
}
