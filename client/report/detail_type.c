// SPDX-License-Identifier: Apache-2.0
#include "detail.h"

#include "cleanup.h"
#include "merged.h"
#include "type_detail.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>

/* false when there is nothing to say. */
static struct ma_error *make(const struct ma_snap *s, const char *glob, struct ma_trees *t, struct ma_type_detail *d,
			     bool *any_ret)
{
	*any_ret = false;
	if (!strcmp(glob, "*"))
		return NULL;
	MA_TRY(ma_trees_create(s, t));
	const struct ma_totals *totals = &t->graph->totals;
	_cleanup_free_ bool *wanted = calloc(totals->by_id_count, sizeof(*wanted));
	if (!wanted)
		return &ma_enomem;
	for (size_t i = 0; i < totals->by_id_count; i++) {
		wanted[i] = totals->by_id[i].count && !fnmatch(glob, totals->by_id[i].name, 0);
		*any_ret |= wanted[i];
	}
	return *any_ret ? ma_type_detail_create(t, wanted, d) : NULL;
}

static void sizes(const struct ma_page *p, const struct ma_type_detail *d)
{
	char b[MA_HUMAN_MAX], from[MA_HUMAN_MAX];
	unsigned wide = p->opt->bytes ? 18 : 10;
	ma_page_title(p, "SIZES", "");
	for (size_t i = 0; i < MA_SIZE_CLASSES; i++) {
		if (!d->sizes[i].count)
			continue;
		ma_human_bytes(from, UINT64_C(1) << i, false);
		fprintf(p->out, "  from %-10s %13s", from, ma_human_count(b, d->sizes[i].count));
		fprintf(p->out, " %*s", wide, ma_human_bytes(b, d->sizes[i].bytes, p->opt->bytes));
		ma_page_bar(p, d->sizes[i].count, d->merged.count, p->columns > 70 ? p->columns - 50 : 20);
		fputc('\n', p->out);
	}
}

static void examples(const struct ma_page *p, const struct ma_trees *t, const struct ma_type_detail *d)
{
	char b[MA_HUMAN_MAX];
	ma_page_title(p, "LARGEST", "                       retained");
	for (size_t i = 0; i < d->examples_count; i++) {
		uint32_t node = d->examples[i];
		fprintf(p->out, "  0x%-14" PRIx64, ma_addr_index_addr(&t->graph->index, node));
		fprintf(p->out, " %18s  ", ma_human_bytes(b, t->dom.retained[node], p->opt->bytes));
		ma_page_cell(p, d->paths[i], strlen(d->paths[i]), p->columns - 39, false);
		fputc('\n', p->out);
	}
}

struct ma_error *ma_text_type(const struct ma_page *p, const struct ma_snap *s)
{
	_cleanup_trees_ struct ma_trees t = { 0 };
	struct ma_type_detail d;
	bool any;
	MA_TRY(make(s, p->opt->type_glob, &t, &d, &any));
	if (!any)
		return NULL;
	sizes(p, &d);
	ma_page_title(p, "HELD THROUGH", "");
	ma_text_merged(p, &d.merged);
	examples(p, &t, &d);
	ma_type_detail_deinit(&d);
	return NULL;
}

struct ma_error *ma_json_type(json_t *root, const struct ma_snap *s, const char *glob, int *failed)
{
	_cleanup_trees_ struct ma_trees t = { 0 };
	struct ma_type_detail d;
	bool any;
	MA_TRY(make(s, glob, &t, &d, &any));
	if (!any)
		return NULL;
	json_t *detail = json_object(), *list = json_array(), *largest = json_array();
	for (size_t i = 0; i < MA_SIZE_CLASSES; i++) {
		if (!d.sizes[i].count)
			continue;
		json_t *o = json_object();
		set(o, "from", number(UINT64_C(1) << i), failed);
		set(o, "count", number(d.sizes[i].count), failed);
		set(o, "bytes", number(d.sizes[i].bytes), failed);
		append(list, o, failed);
	}
	for (size_t i = 0; i < d.examples_count; i++) {
		json_t *o = json_object();
		set(o, "address", ma_json_address(ma_addr_index_addr(&t.graph->index, d.examples[i])), failed);
		set(o, "path", text(d.paths[i]), failed);
		set(o, "size", number(ma_graph_size(t.graph, d.examples[i])), failed);
		set(o, "retained", number(t.dom.retained[d.examples[i]]), failed);
		append(largest, o, failed);
	}
	set(detail, "sizes", list, failed);
	set(detail, "ways", ma_json_merged(t.graph, &d.merged, failed), failed);
	set(detail, "other_ways", number(d.merged.others), failed);
	set(detail, "other_count", number(d.merged.others_count), failed);
	set(detail, "largest", largest, failed);
	set(root, "detail", detail, failed);
	ma_type_detail_deinit(&d);
	return NULL;
}
