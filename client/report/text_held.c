// SPDX-License-Identifier: Apache-2.0
#include "text_held.h"

#include "advice.h"
#include "text_sites.h"

#include <string.h>

#define MOST_PERCENT 10

static const struct ma_holder *holder_of(const struct ma_analysis *a, const struct ma_suspect *s)
{
	return s->holder < 0 ? NULL : &a->held.holders[s->holder];
}

/* "20,000 app.Session" */
static void count_of(const struct ma_page *p, const struct ma_analysis *a, uint64_t count, uint32_t type_id)
{
	char b[MA_HUMAN_MAX];
	const char *type = ma_type_name(a->snap, type_id);
	fprintf(p->out, "%s ", ma_human_count(b, count));
	ma_page_cell(p, type, strlen(type), p->columns / 2, false);
}

void ma_text_most(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_suspect *s = &a->held.suspects[0];
	char b[MA_HUMAN_MAX];
	unsigned percent = a->held.suspects_count ? ma_percent(s->bytes, a->graph->totals.bytes) : 0;
	if (percent < MOST_PERCENT)
		return;
	const struct ma_holder *h = holder_of(a, s);
	fputs("largest  ", p->out);
	ma_page_cell(p, s->path, strlen(s->path), p->columns - 40, false);
	fprintf(p->out, "%s %s, %u %%: ", h ? " holds" : ":", ma_human_bytes(b, s->bytes, p->opt->bytes), percent);
	if (h && h->mostly)
		count_of(p, a, h->mostly_count, h->mostly);
	else if (s->below.consists_count)
		count_of(p, a, s->below.consists[0].count, s->below.consists[0].type_id);
	else if (h)
		ma_page_cell(p, ma_type_name(a->snap, h->type_id), strlen(ma_type_name(a->snap, h->type_id)), 60,
			     false);
	fputc('\n', p->out);
}

/* "dict, 120,000 entries", or how many objects a group has. */
static void what_it_is(const struct ma_page *p, const struct ma_analysis *a, const struct ma_suspect *s)
{
	const struct ma_holder *h = holder_of(a, s);
	char b[MA_HUMAN_MAX];
	fputs("      ", p->out);
	if (!h) {
		fprintf(p->out, "%s objects\n", ma_human_count(b, s->objects));
		return;
	}
	const char *type = ma_type_name(a->snap, h->type_id);
	ma_page_cell(p, type, strlen(type), 40, false);
	if (h->elements)
		fprintf(p->out, ", %s %s", ma_human_count(b, h->elements),
			!strcmp(type, "dict") ? "entries" : "references");
	/* part of it is retained by nothing but the program as a whole, or by holders below, which may be listed, too
	 */
	uint64_t least = a->graph->totals.bytes / 100;
	if (h->bytes > h->retained && h->bytes - h->retained > least)
		fprintf(p->out, "; others hold %s of it, too",
			ma_human_bytes(b, h->bytes - h->retained, p->opt->bytes));
	else if (h->retained > h->bytes && h->retained - h->bytes > least)
		fprintf(p->out, "; %s of it by holders below it",
			ma_human_bytes(b, h->retained - h->bytes, p->opt->bytes));
	fputc('\n', p->out);
}

/* Its elements first, then the rest, most bytes first. */
static void consists(const struct ma_page *p, const struct ma_analysis *a, const struct ma_suspect *s)
{
	const struct ma_holder *h = holder_of(a, s);
	const char *before = "      of ";
	if (h && h->mostly) {
		fputs(before, p->out);
		count_of(p, a, h->mostly_count, h->mostly);
		before = ", ";
	}
	for (size_t i = 0; i < s->below.consists_count; i++) {
		const struct ma_consists *c = &s->below.consists[i];
		if (h && c->type_id == h->mostly)
			continue;
		fputs(before, p->out);
		count_of(p, a, c->count, c->type_id);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', p->out);
}

/* Where most of it was allocated, where tracemalloc was on. */
static void allocated(const struct ma_page *p, const struct ma_analysis *a, const struct ma_suspect *s)
{
	const struct ma_below *below = &s->below;
	if (!below->line || below->line > a->sites.lines_count)
		return;
	const struct ma_site_line *line = &a->sites.lines[below->line - 1];
	char b[MA_HUMAN_MAX];
	fprintf(p->out, "      %s of it allocated at ", ma_human_bytes(b, below->line_bytes, p->opt->bytes));
	ma_text_line(p, line->file, line->line, p->columns - 40, false);
	fputc('\n', p->out);
}

static const char *advice(const struct ma_analysis *a, const struct ma_suspect *s)
{
	return s->holder < 0 ? ma_suspect_kind_advice(s->kind) : ma_advice(a, &a->held.holders[s->holder]);
}

/* Where there is no suspect: the largest holder, so that it is clear that there was a look. */
static void nothing(const struct ma_page *p, const struct ma_analysis *a)
{
	char b[MA_HUMAN_MAX];
	ma_page_title(p, "HELD BY", "  nothing stands out");
	if (!a->held.holders_count)
		return;
	const struct ma_holder *h = &a->held.holders[0];
	fputs("      most has ", p->out);
	ma_page_cell(p, h->path, strlen(h->path), p->columns - 40, false);
	fprintf(p->out, ": %s, %u %%\n", ma_human_bytes(b, h->bytes, p->opt->bytes),
		ma_percent(h->bytes, a->graph->totals.bytes));
}

void ma_text_held(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_held *held = &a->held;
	uint64_t total = a->graph->totals.bytes;
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = p->columns - wide - 12;
	char b[MA_HUMAN_MAX], beside[320];
	if (!a->with_held) {
		if (p->opt->not_analysed && p->opt->not_analysed[0]) {
			ma_page_title(p, "HELD BY", "  not analysed");
			ma_page_sentence(p, "    ", p->opt->not_analysed);
		}
		return;
	}
	if (!held->suspects_count) {
		nothing(p, a);
		return;
	}
	snprintf(beside, sizeof(beside), "%*s", (int)(columns + wide - 2), "retained");
	ma_page_title(p, "HELD BY", beside);
	for (size_t i = 0; i < held->suspects_count; i++) {
		const struct ma_suspect *s = &held->suspects[i];
		fprintf(p->out, " %2zu  ", i + 1);
		ma_page_cell(p, s->path, strlen(s->path), columns, true);
		fprintf(p->out, " %*s %3u %%\n", wide, ma_human_bytes(b, s->bytes, p->opt->bytes),
			ma_percent(s->bytes, total));
		what_it_is(p, a, s);
		consists(p, a, s);
		allocated(p, a, s);
		ma_page_sentence(p, "    ", advice(a, s));
	}
}
