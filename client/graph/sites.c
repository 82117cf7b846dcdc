// SPDX-License-Identifier: Apache-2.0
#include "sites.h"

#include "cleanup.h"
#include "edge_name.h"
#include "saturate.h"

#include <stdlib.h>
#include <string.h>

#define TYPES_BYTES_MAX \
	(64u << 20) /* for the counters of types; a file with very many types has fewer lines with them */
#define NO_LINE UINT32_MAX

struct file { /* a name that is the file of a site */
	struct ma_str text;
	uint32_t id;
};

struct place {        /* the innermost frame of a site; 0 = no site */
	uint64_t key; /* number of the file << 32 | line */
	uint32_t site;
};

struct share {
	uint64_t count, bytes;
};

struct work {
	const struct ma_snap *snap;
	struct ma_graph *g;
	struct ma_sites *sites;
	struct file *files; /* sorted; names of the same text are one */
	size_t files_count;
	uint32_t *file_of; /* by name id: position in files */
	uint32_t *line_of; /* by site id: position in lines */
};

static int compare_str(struct ma_str a, struct ma_str b)
{
	int by = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
	return by ? by : a.len < b.len ? -1 : a.len > b.len;
}

static int by_text(const void *a, const void *b)
{
	return compare_str(((const struct file *)a)->text, ((const struct file *)b)->text);
}

static int by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

static int by_bytes(const void *a, const void *b)
{
	const struct ma_site_line *x = a, *y = b;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	int by = compare_str(x->file, y->file);
	return by ? by : x->line < y->line ? -1 : x->line > y->line;
}

/* NULL for site 0 and one without frames. */
static const struct ma_snap_site_frame *innermost(const struct ma_snap_tables *tab, size_t site)
{
	const struct ma_snap_site *s = site ? &tab->sites[site - 1] : NULL;
	return s && s->frames_begin < s->frames_end ? &tab->site_frames[s->frames_begin] : NULL;
}

/* Numbers the files in the order of their names: two strings may have the same text. */
static struct ma_error *number_files(struct work *w)
{
	const struct ma_snap_tables *tab = ma_snap_tables(w->snap);
	w->file_of = calloc(tab->names_count + 1, sizeof(*w->file_of));
	w->files = calloc(tab->names_count + 1, sizeof(*w->files));
	if (!w->file_of || !w->files)
		return &ma_enomem;
	w->files[w->files_count++] = (struct file){ { "", 0 }, 0 };
	for (size_t i = 1; i <= tab->sites_count; i++) {
		const struct ma_snap_site_frame *f = innermost(tab, i);
		if (!f || !f->file_id || w->file_of[f->file_id])
			continue;
		w->file_of[f->file_id] = 1;
		w->files[w->files_count++] = (struct file){ ma_snap_name(w->snap, f->file_id), f->file_id };
	}
	qsort(w->files, w->files_count, sizeof(*w->files), by_text);
	for (size_t i = 1, first = 0; i < w->files_count; i++) {
		if (compare_str(w->files[i].text, w->files[first].text))
			first = i;
		w->file_of[w->files[i].id] = (uint32_t)first;
	}
	return NULL;
}

static struct ma_error *number_lines(struct work *w)
{
	const struct ma_snap_tables *tab = ma_snap_tables(w->snap);
	size_t n = tab->sites_count + 1;
	_cleanup_free_ struct place *places = calloc(n, sizeof(*places));
	w->line_of = calloc(n, sizeof(*w->line_of));
	w->sites->lines = calloc(n, sizeof(*w->sites->lines));
	if (!places || !w->line_of || !w->sites->lines)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++) {
		const struct ma_snap_site_frame *f = innermost(tab, i);
		places[i].site = (uint32_t)i;
		places[i].key = f ? (uint64_t)w->file_of[f->file_id] << 32 | f->line : 0;
	}
	qsort(places, n, sizeof(*places), by_key);
	size_t lines = 0;
	for (size_t i = 0; i < n; i++) {
		if (!i || places[i].key != places[i - 1].key) {
			struct ma_site_line *line = &w->sites->lines[lines++];
			line->file = w->files[places[i].key >> 32].text;
			line->line = (uint32_t)places[i].key;
		}
		w->line_of[places[i].site] = (uint32_t)lines - 1;
	}
	w->sites->lines_count = lines;
	return NULL;
}

/* At the start of the block, or behind a GC header and what a class puts before that (3.11+). */
uint32_t ma_sites_object(struct ma_addr_index *x, const struct ma_snap_trace *t)
{
	uint32_t node = MA_NO_INDEX;
	for (unsigned off = 0; off <= 32 && off < t->bytes && node == MA_NO_INDEX && !t->domain; off += 16)
		node = ma_addr_index_find(x, t->addr + off);
	return node;
}

static struct ma_error *add_up(struct work *w)
{
	struct ma_sites *x = w->sites;
	struct ma_trace_cursor *c;
	struct ma_snap_trace t;
	MA_TRY(ma_trace_cursor_create(w->snap, &c));
	while (ma_trace_next(c, &t)) {
		uint32_t at = w->line_of[t.site_id];
		struct ma_site_line *line = &x->lines[at];
		line->count++;
		line->bytes = add(line->bytes, t.bytes);
		x->count++;
		x->bytes = add(x->bytes, t.bytes);
		uint32_t node = w->g ? ma_sites_object(&w->g->index, &t) : MA_NO_INDEX;
		if (node == MA_NO_INDEX || x->line_of[node] != NO_LINE)
			continue;
		x->line_of[node] = at;
		line->objects++;
	}
	struct ma_error *err = ma_trace_cursor_error(c);
	ma_trace_cursor_destroy(c);
	return err;
}

/* Most bytes first, without lines that have none left; line_of follows. */
static struct ma_error *order(struct work *w)
{
	struct ma_sites *x = w->sites;
	size_t n = x->lines_count, kept = 0;
	_cleanup_free_ uint32_t *now = calloc(n, sizeof(*now));
	if (!now)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++) {
		if (!x->lines[i].count)
			continue;
		x->lines[kept] = x->lines[i];
		x->lines[kept++].was = (uint32_t)i;
	}
	if (kept)
		qsort(x->lines, kept, sizeof(*x->lines), by_bytes);
	for (size_t i = 0; i < kept; i++)
		now[x->lines[i].was] = (uint32_t)i + 1;
	x->lines_count = kept;
	for (uint32_t node = 0; w->g && node < w->g->count; node++)
		x->line_of[node] = x->line_of[node] == NO_LINE ? 0 : now[x->line_of[node]];
	return NULL;
}

static void take_types(struct ma_site_types *top, const struct share *shares, size_t types)
{
	for (size_t i = 0; i < types; i++) {
		size_t at = top->count;
		while (at && top->types[at - 1].bytes < shares[i].bytes)
			at--;
		if (!shares[i].count || at == MA_CONSISTS_MAX)
			continue;
		if (top->count < MA_CONSISTS_MAX)
			top->count++;
		memmove(&top->types[at + 1], &top->types[at], (top->count - 1 - at) * sizeof(top->types[0]));
		top->types[at] = (struct ma_consists){ (uint32_t)i, shares[i].count, shares[i].bytes };
	}
}

static struct ma_error *find_types(struct work *w)
{
	struct ma_sites *x = w->sites;
	size_t types = w->g->totals.by_id_count, top = TYPES_BYTES_MAX / sizeof(struct share) / (types + 1);
	top = min(min(top, MA_SITES_TOP), x->lines_count);
	_cleanup_free_ struct share *shares = calloc(top * types + 1, sizeof(*shares));
	x->top = calloc(top + 1, sizeof(*x->top));
	if (!shares || !x->top)
		return &ma_enomem;
	x->top_count = top;
	for (uint32_t node = 0; node < w->g->count; node++) {
		uint32_t line = x->line_of[node];
		if (!line) {
			x->untraced_objects++;
			x->untraced_bytes = add(x->untraced_bytes, ma_graph_size(w->g, node));
		}
		if (!line || line > top || w->g->type[node] >= types)
			continue;
		struct share *s = &shares[(line - 1) * types + w->g->type[node]];
		s->count++;
		s->bytes = add(s->bytes, ma_graph_size(w->g, node));
	}
	for (size_t i = 0; i < top; i++)
		take_types(&x->top[i], &shares[i * types], types);
	return NULL;
}

static struct ma_error *build(struct work *w)
{
	MA_TRY(number_files(w));
	MA_TRY(number_lines(w));
	if (w->g) {
		size_t bytes = (w->g->count ? w->g->count : 1) * sizeof(*w->sites->line_of);
		w->sites->line_of = malloc(bytes);
		if (!w->sites->line_of)
			return &ma_enomem;
		memset(w->sites->line_of, 0xff, bytes); /* NO_LINE */
	}
	MA_TRY(add_up(w));
	MA_TRY(order(w));
	return w->g ? find_types(w) : NULL;
}

struct ma_error *ma_sites_create(const struct ma_snap *s, struct ma_graph *g, struct ma_sites *ret)
{
	struct ma_sites x = { 0 };
	struct work w = { .snap = s, .g = g, .sites = &x };
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	bool on = tab->sites_count || tab->stats[MA_STAT_TRACES];
	struct ma_error *err = on ? build(&w) : NULL;
	free(w.files);
	free(w.file_of);
	free(w.line_of);
	if (err) {
		ma_sites_deinit(&x);
		return err;
	}
	*ret = x;
	return NULL;
}

void ma_sites_deinit(struct ma_sites *x)
{
	free(x->lines);
	free(x->line_of);
	free(x->top);
	memset(x, 0, sizeof(*x));
}
