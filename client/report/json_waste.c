// SPDX-License-Identifier: Apache-2.0
#include "json_util.h"
#include "merged.h"

static json_t *duplicates(const struct ma_analysis *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->waste.duplicates_count; i++) {
		const struct ma_duplicate *d = &a->waste.duplicates[i];
		json_t *o = json_object();
		set(o, "type", text(ma_type_name(a->snap, d->type_id)), failed);
		set(o, "size", number(d->size), failed);
		set(o, "count", number(d->count), failed);
		set(o, "bytes", number(d->bytes), failed);
		set(o, "example", ma_json_address(ma_addr_index_addr(&a->graph->index, d->example)), failed);
		append(list, o, failed);
	}
	return list;
}

void ma_json_waste(json_t *root, const struct ma_analysis *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->waste.count; i++) {
		const struct ma_waste_row *r = &a->waste.rows[i];
		json_t *o = json_object();
		set(o, "kind", json_string(ma_waste_name(r->kind)), failed);
		set(o, "type", text(r->type), failed);
		set(o, "count", number(r->count), failed);
		set(o, "bytes", number(r->bytes), failed);
		set(o, "share", number(ma_percent(r->bytes, a->graph->totals.bytes)), failed);
		if (r->kind == MA_WASTE_SLOTS) {
			set(o, "each", number(r->each), failed);
			set(o, "each_then", number(r->each_then), failed);
		}
		append(list, o, failed);
	}
	set(root, "waste", list, failed);
	set(root, "duplicates", a->waste.hashes ? duplicates(a, failed) : json_null(), failed);
}
