// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "edge_labels.h"
#include "hprof.h"

#define HEADER 16 /* of an object, as MAT counts it with 8-byte references; so has an object of Python */
#define FIELD 8

static void add_name(struct ma_hprof_class *c, uint32_t name)
{
	for (uint32_t i = 0; i < c->names_count; i++)
		if (c->names[i] == name)
			return;
	if (c->names_count < MA_HPROF_NAMES)
		c->names[c->names_count++] = name;
}

static void add_edges(const struct ma_graph *g, const uint32_t *labels, uint32_t node, struct ma_hprof_class *c)
{
	uint32_t dst, label;
	struct ma_graph_iter it = ma_graph_edges(g, node);
	while (ma_labelled_next(&it, labels, &dst, &label)) {
		c->items = true; /* also where each has a name: one may stand there twice */
		if (ma_label_kind(label) == MA_LABEL_NAMED)
			add_name(c, ma_label_number(label));
	}
}

uint64_t ma_hprof_fixed_bytes(const struct ma_hprof_class *c)
{
	return HEADER + FIELD * ((uint64_t)c->names_count + c->items + c->data + c->pads);
}

/* As many names as fit into the smallest instance, then fill it up. */
static void decide(struct ma_hprof_class *c)
{
	uint64_t room = c->least > HEADER ? (c->least - HEADER) / FIELD : 0;
	c->data = c->most > c->least + FIELD;
	uint64_t used = (uint64_t)c->items + c->data;
	if (c->names_count > (room > used ? room - used : 0))
		c->names_count = (uint32_t)(room > used ? room - used : 0);
	used += c->names_count;
	c->pads = room > used ? (uint32_t)(room - used < 4096 ? room - used : 4096) : 0;
}

struct ma_error *ma_hprof_classes(const struct ma_graph *g, const uint32_t *labels, struct ma_hprof_class **ret)
{
	size_t n = g->totals.by_id_count;
	struct ma_hprof_class *classes = calloc(n ? n : 1, sizeof(*classes));
	if (!classes)
		return &ma_enomem;
	for (uint32_t i = 0; i < g->count; i++) {
		struct ma_hprof_class *c = &classes[g->type[i]];
		uint64_t size = ma_graph_size(g, i);
		if (!c->count++ || size < c->least)
			c->least = size;
		if (size > c->most)
			c->most = size;
		add_edges(g, labels, i, c);
	}
	for (size_t i = 0; i < n; i++)
		decide(&classes[i]);
	*ret = classes;
	return NULL;
}
