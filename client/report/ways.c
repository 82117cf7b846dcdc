// SPDX-License-Identifier: Apache-2.0
#include "ways.h"

#include "cleanup.h"
#include "edge_name.h"
#include "merged.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>

#define STEPS_SHOWN 24
#define REFERRERS_MAX 10

struct step {
	uint32_t node;
	uint64_t elements;
	char *text; /* what this step adds to the path */
};

struct referrer {
	uint64_t addr;
	uint32_t type_id;
	struct ma_buf name;
};

struct answer {
	const struct ma_trees *t;
	struct ma_merged_ways merged; /* of a type */
	uint32_t node;                /* to which `steps` lead */
	char *path;
	struct step steps[STEPS_SHOWN];
	size_t steps_count;
	struct referrer referrers[REFERRERS_MAX]; /* of an address: who refers to it directly */
	size_t referrers_count;
	uint64_t references; /* all of them */
};

static void answer_deinit(struct answer *a)
{
	ma_merged_ways_deinit(&a->merged);
	free(a->path);
	for (size_t i = 0; i < a->steps_count; i++)
		free(a->steps[i].text);
	for (size_t i = 0; i < a->referrers_count; i++)
		ma_buf_deinit(&a->referrers[i].name);
}

static const char *type_at(const struct answer *a, uint32_t node)
{
	return ma_type_name(a->t->graph->snap, a->t->graph->type[node]);
}

/* The steps of the shortest way. A step that a person would not write (x.__dict__) is not among them. */
static struct ma_error *find_steps(struct answer *a)
{
	uint32_t nodes[STEPS_SHOWN];
	struct ma_way ways[STEPS_SHOWN] = { 0 };
	size_t n = ma_way_nodes(&a->t->tree, a->node, nodes, STEPS_SHOWN);
	for (size_t i = 0; i < n; i++)
		ways[i].node = nodes[i];
	struct ma_error *err = ma_ways_name(a->t->graph, &a->t->tree, ways, n);
	const char *before = "";
	for (size_t i = 0; i < n && !err; i++) {
		size_t common = strlen(before);
		if (strncmp(ways[i].path, before, common) != 0)
			common = 0;
		if (!ways[i].path[common] && i + 1 < n)
			continue;
		struct step *s = &a->steps[a->steps_count];
		*s = (struct step){ nodes[i], ways[i].elements, strdup(ways[i].path + common) };
		if (!s->text)
			err = &ma_enomem;
		else
			a->steps_count++;
		before = ways[i].path;
	}
	if (!err) {
		a->path = strdup(ways[n - 1].path);
		err = a->path ? NULL : &ma_enomem;
	}
	ma_ways_deinit(ways, n);
	return err;
}

static struct ma_error *find_referrers(struct answer *a)
{
	const struct ma_snap *s = a->t->graph->snap;
	uint64_t wanted = ma_addr_index_addr(&a->t->graph->index, a->node);
	struct ma_snap_cursor *c;
	MA_TRY(ma_snap_cursor_create(s, &c));
	struct ma_snap_object o;
	struct ma_snap_edge e;
	while (ma_snap_next_object(c, &o)) {
		while (o.has_edges && ma_snap_next_edge(c, &e)) {
			if (e.dst != wanted)
				continue;
			if (a->references++ >= REFERRERS_MAX)
				continue;
			struct referrer *r = &a->referrers[a->referrers_count++];
			*r = (struct referrer){ o.addr, o.type_id, MA_BUF_INIT(1 << 16) };
			uint32_t key =
				e.kind == MA_EDGE_VALUE ? ma_addr_index_find(&a->t->graph->index, e.key) : MA_NO_INDEX;
			ma_edge_name(&r->name, s, &e, key == MA_NO_INDEX ? NULL : type_at(a, key), NULL);
		}
	}
	struct ma_error *err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

static void print_steps(const struct ma_page *p, const struct answer *a)
{
	char b[MA_HUMAN_MAX];
	size_t columns = p->columns / 2;
	for (size_t i = 0; i < a->steps_count; i++) {
		const struct step *s = &a->steps[i];
		const char *type = type_at(a, s->node);
		unsigned indent = 2 + 2 * (unsigned)(i < 8 ? i : 8);
		fprintf(p->out, "%*s", (int)indent, "");
		ma_page_cell(p, s->text, strlen(s->text), columns > indent ? columns - indent : 8, true);
		fputs("  ", p->out);
		ma_page_cell(p, type, strlen(type), columns - 24, false);
		if (s->elements)
			fprintf(p->out, ", %s %s", ma_human_count(b, s->elements),
				s->elements == 1        ? "reference"
				: !strcmp(type, "dict") ? "entries"
							: "references");
		fputc('\n', p->out);
	}
}

static void print_object(const struct ma_page *p, const struct answer *a)
{
	const struct ma_graph *g = a->t->graph;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	fprintf(p->out, "0x%" PRIx64 "  ", ma_addr_index_addr(&g->index, a->node));
	ma_page_cell(p, type_at(a, a->node), strlen(type_at(a, a->node)), p->columns - 50, false);
	fprintf(p->out, ", %s, retains %s\n", ma_human_bytes(b1, ma_graph_size(g, a->node), p->opt->bytes),
		ma_human_bytes(b2, a->t->dom.retained[a->node], p->opt->bytes));
	ma_page_sentence(p, "", a->path);
	fputc('\n', p->out);
	print_steps(p, a);
	if (!a->references)
		return;
	fprintf(p->out, "\nreferred to by %s\n", ma_human_count(b1, a->references));
	for (size_t i = 0; i < a->referrers_count; i++) {
		const struct referrer *r = &a->referrers[i];
		fprintf(p->out, "  0x%-14" PRIx64, r->addr);
		const char *type = ma_type_name(g->snap, r->type_id);
		ma_page_cell(p, type, strlen(type), p->columns / 3, true);
		fputs("  ", p->out);
		ma_page_uses(p, &r->name);
		ma_page_cell(p, ma_buf_text(&r->name), r->name.len, p->columns / 3, false);
		fputc('\n', p->out);
	}
	if (a->references > a->referrers_count)
		fprintf(p->out, "  and %s more\n", ma_human_count(b1, a->references - a->referrers_count));
}

void ma_text_merged(const struct ma_page *p, const struct ma_merged_ways *m)
{
	char b[MA_HUMAN_MAX];
	unsigned wide = p->opt->bytes ? 18 : 10;
	fprintf(p->out, "%13s %*s\n", "count", wide, "retained");
	for (size_t i = 0; i < m->ways_count; i++) {
		const struct ma_merged *w = &m->ways[i];
		fprintf(p->out, "%13s ", ma_human_count(b, w->count));
		fprintf(p->out, "%*s  ", wide, ma_human_bytes(b, w->retained, p->opt->bytes));
		/* no single holder: the path is that of one of them */
		bool like = MA_IS_ROOT(w->holder) && w->count > 1;
		fputs(like ? "like " : "", p->out);
		ma_page_cell(p, w->path, strlen(w->path), p->columns - wide - (like ? 21 : 16), false);
		fputc('\n', p->out);
	}
	if (m->others) {
		fprintf(p->out, "%13s ", ma_human_count(b, m->others_count));
		fprintf(p->out, "%*s  through %s other ways\n", wide, "", ma_human_count(b, m->others));
	}
}

static void print_merged(const struct ma_page *p, const struct answer *a, const char *what)
{
	const struct ma_merged_ways *m = &a->merged;
	char b[MA_HUMAN_MAX];
	fprintf(p->out, "%s ", ma_human_count(b, m->count));
	ma_page_cell(p, what, strlen(what), p->columns / 2, false);
	fprintf(p->out, ", %s, ", ma_human_bytes(b, m->bytes, p->opt->bytes));
	fprintf(p->out, "%s retained, held through\n", ma_human_bytes(b, m->retained, p->opt->bytes));
	ma_text_merged(p, m);
	fprintf(p->out, "\nshortest for one of them (0x%" PRIx64 "):\n",
		ma_addr_index_addr(&a->t->graph->index, a->node));
	print_steps(p, a);
}

json_t *ma_json_address(uint64_t addr)
{
	char b[24];
	snprintf(b, sizeof(b), "0x%" PRIx64, addr);
	return json_string(b);
}

static json_t *steps_json(const struct answer *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->steps_count; i++) {
		json_t *o = json_object();
		set(o, "step", text(a->steps[i].text), failed);
		set(o, "type", text(type_at(a, a->steps[i].node)), failed);
		set(o, "address", ma_json_address(ma_addr_index_addr(&a->t->graph->index, a->steps[i].node)), failed);
		set(o, "elements", number(a->steps[i].elements), failed);
		append(list, o, failed);
	}
	return list;
}

json_t *ma_json_merged(const struct ma_graph *g, const struct ma_merged_ways *m, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->ways_count; i++) {
		const struct ma_merged *w = &m->ways[i];
		json_t *o = json_object();
		set(o, "path", text(w->path), failed);
		set(o, "count", number(w->count), failed);
		set(o, "bytes", number(w->bytes), failed);
		set(o, "retained", number(w->retained), failed);
		set(o, "holder", MA_IS_ROOT(w->holder) ? json_null() : text(ma_type_name(g->snap, g->type[w->holder])),
		    failed);
		set(o, "example", ma_json_address(ma_addr_index_addr(&g->index, w->example)), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *referrers_json(const struct answer *a, int *failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->referrers_count; i++) {
		const struct referrer *r = &a->referrers[i];
		json_t *o = json_object();
		set(o, "address", ma_json_address(r->addr), failed);
		set(o, "type", text(ma_type_name(a->t->graph->snap, r->type_id)), failed);
		set(o, "name", text_bytes(ma_buf_text(&r->name), r->name.len), failed);
		append(list, o, failed);
	}
	return list;
}

static struct ma_error *print_json(FILE *out, const struct answer *a, bool one)
{
	const struct ma_graph *g = a->t->graph;
	int failed = 0;
	json_t *root = json_object();
	if (one) {
		set(root, "address", ma_json_address(ma_addr_index_addr(&g->index, a->node)), &failed);
		set(root, "type", text(type_at(a, a->node)), &failed);
		set(root, "size", number(ma_graph_size(g, a->node)), &failed);
		set(root, "retained", number(a->t->dom.retained[a->node]), &failed);
		set(root, "references", number(a->references), &failed);
		set(root, "referrers", referrers_json(a, &failed), &failed);
	} else {
		set(root, "count", number(a->merged.count), &failed);
		set(root, "bytes", number(a->merged.bytes), &failed);
		set(root, "retained", number(a->merged.retained), &failed);
		set(root, "ways", ma_json_merged(g, &a->merged, &failed), &failed);
		set(root, "other_ways", number(a->merged.others), &failed);
		set(root, "other_count", number(a->merged.others_count), &failed);
	}
	set(root, "path", text(a->path), &failed);
	set(root, "steps", steps_json(a, &failed), &failed);
	return ma_json_dump(out, root, failed);
}

/* true and *ret when `what` is an address. */
static bool parse_address(const char *what, uint64_t *ret)
{
	char *end;
	errno = 0;
	if (what[0] != '0' || (what[1] | 32) != 'x')
		return false;
	*ret = strtoull(what, &end, 16);
	return !errno && !*end && end > what + 2;
}

static struct ma_error *find(struct answer *a, const char *what, bool *one_ret)
{
	struct ma_graph *g = a->t->graph;
	uint64_t addr;
	*one_ret = parse_address(what, &addr);
	if (*one_ret) {
		a->node = ma_addr_index_find(&g->index, addr);
		if (a->node == MA_NO_INDEX)
			return ma_errorf(MA_ERR_USAGE, "no object is at %s", what);
		MA_TRY(find_steps(a));
		return find_referrers(a);
	}
	_cleanup_free_ bool *wanted = calloc(g->totals.by_id_count, sizeof(*wanted));
	if (!wanted)
		return &ma_enomem;
	for (size_t i = 0; i < g->totals.by_id_count; i++)
		wanted[i] = !fnmatch(what, g->totals.by_id[i].name, 0);
	MA_TRY(ma_merged_ways_create(a->t, wanted, &a->merged));
	if (!a->merged.count)
		return ma_errorf(MA_ERR_USAGE, "no object has a type '%s', and it is no address (0x...)", what);
	a->node = a->merged.example;
	return find_steps(a);
}

struct ma_error *ma_report_ways(FILE *out, const struct ma_snap *s, const char *what, bool json,
				const struct ma_report_options *opt)
{
	_cleanup_trees_ struct ma_trees t = { 0 };
	MA_TRY(ma_trees_create(s, &t));
	struct answer a = { .t = &t };
	bool one;
	struct ma_error *err = find(&a, what, &one);
	if (!err && json) {
		err = print_json(out, &a, one);
	} else if (!err) {
		struct ma_page page;
		bool lost;
		ma_page_init(&page, out, opt, &lost);
		if (one)
			print_object(&page, &a);
		else
			print_merged(&page, &a, what);
		err = ma_page_error(&page);
	}
	answer_deinit(&a);
	return err;
}
