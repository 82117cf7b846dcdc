// SPDX-License-Identifier: Apache-2.0
#include "detail.h"

#include "cleanup.h"
#include "holder_path.h"
#include "merged.h"
#include "modules.h"

#include <fnmatch.h>
#include <stdlib.h>

#define ROWS_SHOWN 20
#define GLOBALS_MAX 15

struct globals { /* of one module, most retained first */
	struct ma_way ways[GLOBALS_MAX];
	size_t count;
};

static void take(const struct ma_trees *t, struct globals *v, uint32_t node)
{
	size_t i = v->count;
	for (size_t k = 0; k < v->count; k++)
		if (v->ways[k].node == node)
			return;
	while (i && t->dom.retained[v->ways[i - 1].node] < t->dom.retained[node])
		i--;
	if (i == GLOBALS_MAX)
		return;
	if (v->count < GLOBALS_MAX)
		v->count++;
	memmove(&v->ways[i + 1], &v->ways[i], (v->count - 1 - i) * sizeof(v->ways[0]));
	v->ways[i] = (struct ma_way){ .node = node };
}

/* What the namespace of the module refers to and nothing else holds. */
static struct ma_error *find_globals(const struct ma_trees *t, uint32_t module, struct globals *v)
{
	uint32_t dict, dst;
	struct ma_graph_iter it = ma_graph_edges(t->graph, module);
	while (ma_graph_next(&it, &dict)) {
		if (t->dom.idom[dict] != module)
			continue;
		struct ma_graph_iter in = ma_graph_edges(t->graph, dict);
		while (ma_graph_next(&in, &dst))
			if (t->dom.idom[dst] == dict && t->tree.parent[dst] == dict)
				take(t, v, dst);
	}
	return ma_ways_name(t->graph, &t->tree, v->ways, v->count);
}

static void row(const struct ma_page *p, const char *name, size_t bytes, const struct ma_module *m)
{
	char b[MA_HUMAN_MAX];
	unsigned wide = p->opt->bytes ? 18 : 10;
	fputs("  ", p->out);
	ma_page_cell(p, name, bytes, p->columns - 2 * wide - 20, true);
	fprintf(p->out, " %*s", wide, ma_human_bytes(b, m->retained, p->opt->bytes));
	fprintf(p->out, " %13s", ma_human_count(b, m->count));
	fprintf(p->out, " %*s\n", wide, ma_human_bytes(b, m->bytes, p->opt->bytes));
}

static void heading(const struct ma_page *p, const char *title)
{
	char beside[320];
	unsigned wide = p->opt->bytes ? 18 : 10;
	int columns = (int)(p->columns - wide - 17 - strlen(title));
	snprintf(beside, sizeof(beside), "%*s %13s %*s", columns, "retained", "instances", wide, "bytes");
	ma_page_title(p, title, beside);
}

static void modules_text(const struct ma_page *p, const char *title, const struct ma_modules *m)
{
	char b[MA_HUMAN_MAX];
	heading(p, title);
	for (size_t i = 0; i < m->count && i < ROWS_SHOWN; i++)
		row(p, m->rows[i].name, strlen(m->rows[i].name), &m->rows[i]);
	if (m->count > ROWS_SHOWN)
		fprintf(p->out, "  %s more: --json shows all\n", ma_human_count(b, m->count - ROWS_SHOWN));
}

static void globals_text(const struct ma_page *p, const struct ma_trees *t, const struct globals *v)
{
	char b[MA_HUMAN_MAX];
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = p->columns - wide - 30;
	char beside[320];
	snprintf(beside, sizeof(beside), "%*s", (int)(columns + wide - 4), "retained");
	ma_page_title(p, "GLOBALS", beside);
	for (size_t i = 0; i < v->count; i++) {
		const char *type = ma_type_name(t->graph->snap, t->graph->type[v->ways[i].node]);
		fputs("  ", p->out);
		ma_page_cell(p, v->ways[i].path, strlen(v->ways[i].path), columns, true);
		fprintf(p->out, " %*s  ", wide, ma_human_bytes(b, t->dom.retained[v->ways[i].node], p->opt->bytes));
		ma_page_cell(p, type, strlen(type), 24, false);
		fputc('\n', p->out);
	}
}

static json_t *modules_json(const struct ma_modules *m, const char *name, bool package, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->count; i++) {
		json_t *o = json_object();
		set(o, name, text(m->rows[i].name), failed);
		if (package)
			set(o, "package", text_bytes(m->rows[i].name, m->rows[i].package), failed);
		set(o, "retained", number(m->rows[i].retained), failed);
		set(o, "instances", number(m->rows[i].count), failed);
		set(o, "bytes", number(m->rows[i].bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *globals_json(const struct ma_trees *t, const struct globals *v, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < v->count; i++) {
		uint32_t node = v->ways[i].node;
		json_t *o = json_object();
		set(o, "path", text(v->ways[i].path), failed);
		set(o, "type", text(ma_type_name(t->graph->snap, t->graph->type[node])), failed);
		set(o, "address", ma_json_address(ma_addr_index_addr(&t->graph->index, node)), failed);
		set(o, "retained", number(t->dom.retained[node]), failed);
		append(list, o, failed);
	}
	return list;
}

static struct ma_error *print(FILE *out, const struct ma_trees *t, const struct ma_modules *m,
			      const struct ma_modules *packages, const struct globals *v, bool json,
			      const struct ma_report_options *opt)
{
	int failed = 0;
	if (json) {
		json_t *root = json_object();
		set(root, "modules", modules_json(m, "module", true, &failed), &failed);
		set(root, "packages", modules_json(packages, "package", false, &failed), &failed);
		if (v->count)
			set(root, "globals", globals_json(t, v, &failed), &failed);
		return ma_json_dump(out, root, failed);
	}
	struct ma_page p;
	bool lost;
	ma_page_init(&p, out, opt, &lost);
	if (packages->count > 1)
		modules_text(&p, "PACKAGES", packages);
	modules_text(&p, "MODULES", m);
	if (v->count)
		globals_text(&p, t, v);
	return ma_page_error(&p);
}

/* Drops the rows whose name does not match; a name also matches the modules below it. */
static void choose(struct ma_modules *m, const char *glob)
{
	size_t out = 0, n = strlen(glob);
	for (size_t i = 0; i < m->count; i++) {
		const char *name = m->rows[i].name;
		if (!fnmatch(glob, name, 0) || (!strncmp(name, glob, n) && name[n] == '.'))
			m->rows[out++] = m->rows[i];
		else
			free(m->rows[i].name);
	}
	m->count = out;
}

struct ma_error *ma_report_modules(FILE *out, const struct ma_snap *s, const char *glob, bool json,
				   const struct ma_report_options *opt)
{
	_cleanup_trees_ struct ma_trees t = { 0 };
	struct ma_modules m = { 0 }, packages = { 0 };
	struct globals v = { 0 };
	MA_TRY(ma_trees_create(s, &t));
	MA_TRY(ma_modules_create(&t, &m));
	choose(&m, glob);
	struct ma_error *err = m.count ? ma_modules_packages(&m, &packages)
				       : ma_errorf(MA_ERR_USAGE, "no module has the name '%s'", glob);
	for (size_t i = 0, found = 0; i < m.count && !err; i++) /* one with that very name, or the only one */
		if (m.rows[i].node != MA_NO_INDEX && (m.count == 1 || !strcmp(m.rows[i].name, glob)) && !found++)
			err = find_globals(&t, m.rows[i].node, &v);
	if (!err)
		err = print(out, &t, &m, &packages, &v, json, opt);
	ma_ways_deinit(v.ways, v.count);
	ma_modules_deinit(&packages);
	ma_modules_deinit(&m);
	return err;
}
