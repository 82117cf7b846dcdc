// SPDX-License-Identifier: Apache-2.0
#include "modules.h"

#include "cleanup.h"
#include "holder_path.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct ma_module *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int by_retained(const void *a, const void *b)
{
	const struct ma_module *x = a, *y = b;
	if (x->retained != y->retained)
		return x->retained < y->retained ? 1 : -1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* A row for each module object. */
static struct ma_error *add_objects(const struct ma_trees *t, struct ma_modules *m)
{
	struct ma_graph *g = t->graph;
	size_t n = 0;
	for (uint32_t i = 0; i < g->count; i++)
		n += t->tree.parent[i] == MA_ROOT_MODULE;
	_cleanup_free_ struct ma_way *ways = calloc(n + 1, sizeof(*ways));
	m->rows = calloc(n + g->totals.by_id_count, sizeof(*m->rows));
	if (!ways || !m->rows)
		return &ma_enomem;
	n = 0;
	for (uint32_t i = 0; i < g->count; i++)
		if (t->tree.parent[i] == MA_ROOT_MODULE)
			ways[n++].node = i;
	struct ma_error *err = ma_ways_name_modules(g, &t->tree, ways, n);
	for (size_t i = 0; i < n; i++) {
		if (!err)
			m->rows[m->count++] = (struct ma_module){ .name = ways[i].path,
								  .node = ways[i].node,
								  .retained = t->dom.retained[ways[i].node] };
		else
			free(ways[i].path);
	}
	return err;
}

/* A row for each type with instances: the module of its name. */
static struct ma_error *add_types(const struct ma_trees *t, struct ma_modules *m)
{
	const struct ma_snap_tables *tab = ma_snap_tables(t->graph->snap);
	const struct ma_totals *totals = &t->graph->totals;
	for (size_t i = 1; i < totals->by_id_count; i++) {
		if (!totals->by_id[i].count)
			continue;
		struct ma_str module = tab->types[i - 1].module;
		char *name = module.len ? strndup(module.p, module.len) : strdup("builtins");
		if (!name)
			return &ma_enomem;
		m->rows[m->count++] = (struct ma_module){ .name = name,
							  .node = MA_NO_INDEX,
							  .bytes = totals->by_id[i].bytes,
							  .count = totals->by_id[i].count };
	}
	return NULL;
}

/* Rows of one name become one, but for modules of the same name: each has its row. */
static void join(struct ma_modules *m)
{
	size_t out = 0;
	qsort(m->rows, m->count, sizeof(*m->rows), by_name);
	for (size_t i = 0; i < m->count; i++) {
		struct ma_module *to = out ? &m->rows[out - 1] : NULL, *from = &m->rows[i];
		bool both = from->node != MA_NO_INDEX && to && to->node != MA_NO_INDEX;
		if (!to || both || strcmp(to->name, from->name) != 0) {
			m->rows[out++] = *from;
			continue;
		}
		to->bytes = add(to->bytes, from->bytes);
		to->count += from->count;
		to->retained = add(to->retained, from->retained);
		to->node = to->node == MA_NO_INDEX ? from->node : to->node;
		free(from->name);
	}
	m->count = out;
	for (size_t i = 0; i < out; i++)
		m->rows[i].package = strcspn(m->rows[i].name, ".");
	qsort(m->rows, m->count, sizeof(*m->rows), by_retained);
}

struct ma_error *ma_modules_create(const struct ma_trees *t, struct ma_modules *ret)
{
	struct ma_modules m = { 0 };
	struct ma_error *err = add_objects(t, &m);
	if (!err)
		err = add_types(t, &m);
	if (err) {
		ma_modules_deinit(&m);
		return err;
	}
	join(&m);
	*ret = m;
	return NULL;
}

struct ma_error *ma_modules_packages(const struct ma_modules *m, struct ma_modules *ret)
{
	struct ma_modules packages = { .rows = calloc(m->count + 1, sizeof(*packages.rows)) };
	if (!packages.rows)
		return &ma_enomem;
	for (size_t i = 0; i < m->count; i++) {
		struct ma_module *row = &packages.rows[packages.count];
		*row = m->rows[i];
		row->node = MA_NO_INDEX;
		row->name = strndup(m->rows[i].name, m->rows[i].package);
		if (!row->name) {
			ma_modules_deinit(&packages);
			return &ma_enomem;
		}
		packages.count++;
	}
	join(&packages);
	*ret = packages;
	return NULL;
}

void ma_modules_deinit(struct ma_modules *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->rows[i].name);
	free(m->rows);
	memset(m, 0, sizeof(*m));
}
