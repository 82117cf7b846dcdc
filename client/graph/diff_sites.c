// SPDX-License-Identifier: Apache-2.0
#include "diff_sites.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 8192u /* that growth points are explained by */

struct row {
	struct ma_diff_site site;
	uint32_t old, new; /* position + 1 in the lines of each side */
};

struct work {
	const struct ma_match *m;
	const struct ma_growths *growths;
	struct ma_sites old, new;
	struct row *rows;
	size_t count;
	uint32_t *row_of[2]; /* by position + 1 of a line, old and new: position + 1 of its row */
};

static int compare_places(const struct ma_diff_site *a, const struct ma_diff_site *b)
{
	size_t n = a->file.len < b->file.len ? a->file.len : b->file.len;
	int by = n ? memcmp(a->file.p, b->file.p, n) : 0;
	if (by || a->file.len != b->file.len)
		return by ? by : a->file.len < b->file.len ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int by_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int by = compare_places(&x->site, &y->site);
	return by ? by : (x->new != 0) - (y->new != 0); /* the old one first */
}

/* What was gained from the largest down, then what was lost up to the largest. */
static int by_gain(const void *a, const void *b)
{
	const struct ma_diff_site *x = &((const struct row *)a)->site, *y = &((const struct row *)b)->site;
	bool x_grew = x->new_bytes >= x->old_bytes, y_grew = y->new_bytes >= y->old_bytes;
	uint64_t x_by = x_grew ? x->new_bytes - x->old_bytes : x->old_bytes - x->new_bytes;
	uint64_t y_by = y_grew ? y->new_bytes - y->old_bytes : y->old_bytes - y->new_bytes;
	if (x_grew != y_grew)
		return x_grew ? -1 : 1;
	if (x_by != y_by)
		return (x_by < y_by) == x_grew ? 1 : -1;
	return compare_places(x, y);
}

static struct ma_error *join(struct work *w)
{
	size_t n = 0, out = 0;
	w->rows = calloc(w->old.lines_count + w->new.lines_count + 1, sizeof(*w->rows));
	if (!w->rows)
		return &ma_enomem;
	for (size_t i = 0; i < w->old.lines_count; i++) {
		const struct ma_site_line *l = &w->old.lines[i];
		w->rows[n++] = (struct row){ { l->file, l->line, l->count, 0, l->bytes, 0 }, (uint32_t)i + 1, 0 };
	}
	for (size_t i = 0; i < w->new.lines_count; i++) {
		const struct ma_site_line *l = &w->new.lines[i];
		w->rows[n++] = (struct row){ { l->file, l->line, 0, l->count, 0, l->bytes }, 0, (uint32_t)i + 1 };
	}
	qsort(w->rows, n, sizeof(*w->rows), by_place);
	for (size_t i = 0; i < n; i++) { /* a line stands there once for each side at most */
		struct row *before = out ? &w->rows[out - 1] : NULL;
		if (!before || before->new || compare_places(&before->site, &w->rows[i].site)) {
			w->rows[out++] = w->rows[i];
			continue;
		}
		before->new = w->rows[i].new;
		before->site.new_count = w->rows[i].site.new_count;
		before->site.new_bytes = w->rows[i].site.new_bytes;
	}
	qsort(w->rows, out, sizeof(*w->rows), by_gain);
	w->count = out;
	return NULL;
}

/* Positions change hands: from each side's lines to rows. */
static struct ma_error *number(struct work *w)
{
	w->row_of[0] = calloc(w->old.lines_count + 1, sizeof(*w->row_of[0]));
	w->row_of[1] = calloc(w->new.lines_count + 1, sizeof(*w->row_of[1]));
	if (!w->row_of[0] || !w->row_of[1])
		return &ma_enomem;
	for (size_t i = 0; i < w->count; i++) {
		w->row_of[0][w->rows[i].old] = (uint32_t)i + 1;
		w->row_of[1][w->rows[i].new] = (uint32_t)i + 1;
	}
	w->row_of[0][0] = w->row_of[1][0] = 0;
	return NULL;
}

/* Adds the objects of one side to the sums of the growth point that has them. */
static void count_side(const struct work *w, bool new, struct ma_diff_allocated *sums, size_t rows)
{
	const struct ma_side *side = new ? w->m->new : w->m->old;
	const struct ma_sites *sites = new ? &w->new : &w->old;
	const uint32_t *near = new ? w->m->new_near : w->m->old_near;
	for (uint32_t node = 0; sites->line_of && node < side->graph->count; node++) {
		uint32_t point = w->growths->point_of[near[node]], row = w->row_of[new][sites->line_of[node]];
		if (point >= w->growths->count || !row || row > rows)
			continue;
		struct ma_diff_allocated *s = &sums[point * rows + row - 1];
		int64_t bytes = (int64_t)(ma_graph_size(side->graph, node) & INT64_MAX);
		s->count += new ? 1 : -1;
		if (__builtin_add_overflow(s->bytes, new ? bytes : -bytes, &s->bytes))
			s->bytes = new ? INT64_MAX : INT64_MIN;
	}
}

static struct ma_error *explain(const struct work *w, struct ma_diff_sites *ret)
{
	size_t rows = w->count < ROWS_MAX ? w->count : ROWS_MAX;
	_cleanup_free_ struct ma_diff_allocated *sums = calloc(w->growths->count * rows + 1, sizeof(*sums));
	ret->of_growth = calloc(w->growths->count + 1, sizeof(*ret->of_growth));
	if (!sums || !ret->of_growth)
		return &ma_enomem;
	count_side(w, true, sums, rows);
	count_side(w, false, sums, rows);
	for (size_t k = 0; k < w->growths->count; k++)
		for (size_t i = 0; i < rows; i++) {
			const struct ma_diff_allocated *s = &sums[k * rows + i];
			if (s->bytes <= ret->of_growth[k].bytes)
				continue;
			ret->of_growth[k] = *s;
			ret->of_growth[k].site = i + 1;
		}
	return NULL;
}

static struct ma_error *build(struct work *w, struct ma_diff_sites *ret)
{
	MA_TRY(ma_sites_create(w->m->new->snap, w->m->new->graph, &w->new));
	if (!w->new.lines_count)
		return NULL;
	MA_TRY(ma_sites_create(w->m->old->snap, w->m->old->graph, &w->old));
	MA_TRY(join(w));
	MA_TRY(number(w));
	MA_TRY(explain(w, ret));
	ret->rows = calloc(w->count + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return &ma_enomem;
	for (size_t i = 0; i < w->count; i++)
		ret->rows[i] = w->rows[i].site;
	ret->count = w->count;
	ret->both = w->old.lines_count != 0;
	return NULL;
}

struct ma_error *ma_diff_sites_create(const struct ma_match *m, const struct ma_growths *growths,
				      struct ma_diff_sites *ret)
{
	struct work w = { .m = m, .growths = growths };
	struct ma_diff_sites x = { 0 };
	struct ma_error *err = build(&w, &x);
	ma_sites_deinit(&w.old);
	ma_sites_deinit(&w.new);
	free(w.rows);
	free(w.row_of[0]);
	free(w.row_of[1]);
	if (err) {
		ma_diff_sites_deinit(&x);
		return err;
	}
	*ret = x;
	return NULL;
}

void ma_diff_sites_deinit(struct ma_diff_sites *x)
{
	free(x->rows);
	free(x->of_growth);
	memset(x, 0, sizeof(*x));
}
