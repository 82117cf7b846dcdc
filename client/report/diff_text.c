// SPDX-License-Identifier: Apache-2.0
#include "diff_report.h"
#include "page.h"
#include "saturate.h"
#include "text_sites.h"

#include <inttypes.h>
#include <string.h>

#define GROWTHS_SHOWN 8
#define SHRANK_SHOWN 3
#define TYPES_SHOWN 12
#define MODULES_SHOWN 5
#define GAINED_SHOWN 5
#define SITES_SHOWN 8
#define HOUR_NS 3600e9

struct out {
	struct ma_page page;
	const struct ma_diff *d;
	bool exact;
	unsigned wide; /* columns of a number of bytes */
};

static const char *signed_bytes(char buf[MA_HUMAN_MAX + 1], int64_t bytes, bool exact)
{
	char b[MA_HUMAN_MAX];
	uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
	snprintf(buf, MA_HUMAN_MAX + 1, "%s%s", bytes < 0 ? "-" : bytes ? "+" : "", ma_human_bytes(b, size, exact));
	return buf;
}

static const char *signed_count(char buf[MA_HUMAN_MAX + 1], int64_t n)
{
	char b[MA_HUMAN_MAX];
	uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
	snprintf(buf, MA_HUMAN_MAX + 1, "%s%s", n < 0 ? "-" : n ? "+" : "", ma_human_count(b, size));
	return buf;
}

static int64_t change(uint64_t now, uint64_t then)
{
	int64_t d;
	return __builtin_sub_overflow(now, then, &d) ? (now > then ? INT64_MAX : INT64_MIN) : d;
}

/* Less than a second says nothing about an hour. */
static bool has_rate(const struct ma_diff *d)
{
	return d->elapsed_ns >= 1000000000;
}

static int64_t an_hour(const struct ma_diff *d, int64_t bytes)
{
	double rate = (double)bytes * HOUR_NS / (double)d->elapsed_ns;
	return rate > 9e18 ? INT64_MAX : rate < -9e18 ? INT64_MIN : (int64_t)rate;
}

/* "/usr/bin/python3 app.py" as "python3 app.py" */
static const char *program(const char *command)
{
	const char *end = command + strcspn(command, " "), *p = end;
	while (p > command && p[-1] != '/')
		p--;
	return p < end ? p : command;
}

static void head(const struct out *o, const struct ma_diff_names *names)
{
	const struct ma_diff *d = o->d;
	const struct ma_snap_meta *old = &ma_snap_tables(d->old_snap)->meta, *new = &ma_snap_tables(d->new_snap)->meta;
	FILE *out = o->page.out;
	char b[MA_HUMAN_MAX + 1], b2[MA_HUMAN_MAX];
	const char *what = program(new->command[0] ? new->command : new->exe);
	ma_page_cell(&o->page, what, strlen(what), o->page.columns - 30, false);
	fprintf(out, "   pid %" PRIu64, old->pid);
	if (!d->same_process)
		fprintf(out, " -> %" PRIu64, new->pid);
	fprintf(out, "\n%s -> %s", ma_human_time(b, old->taken_realtime_ns), ma_human_time(b2, new->taken_realtime_ns));
	if (d->elapsed_ns > 0)
		fprintf(out, "   %s",
			d->elapsed_ns < INT64_C(60000000000) ? ma_human_duration(b, (uint64_t)d->elapsed_ns)
							     : ma_human_uptime(b, (uint64_t)d->elapsed_ns));
	fputs("\n", out);
	ma_page_cell(&o->page, names->old, strlen(names->old), 200, false);
	if (names->middle) {
		fputs(" -> ", out);
		ma_page_cell(&o->page, names->middle, strlen(names->middle), 200, false);
	}
	fputs(" -> ", out);
	ma_page_cell(&o->page, names->new, strlen(names->new), 200, false);
	fputc('\n', out);
	const struct ma_snap *const all[] = { d->old_snap, d->middle.snap, d->new_snap };
	for (size_t i = 0; i < 3; i++) {
		const struct ma_snap_tables *tab = all[i] ? ma_snap_tables(all[i]) : NULL;
		if (tab && !tab->complete)
			ma_page_sentence(&o->page,
					 i == 2 ? "NEW INCOMPLETE"
					 : i    ? "MIDDLE INCOMPLETE"
						: "OLD INCOMPLETE",
					 tab->missing ? tab->missing : "the file is damaged");
	}
	if (d->elapsed_ns <= 0)
		ma_page_sentence(&o->page, "ORDER", "the first snapshot is not older than the second");
	if (!d->same_program)
		ma_page_sentence(&o->page, "OTHER PROGRAM", "the command lines of the two differ");
	if (!d->same_process)
		ma_page_sentence(&o->page, "OTHER PROCESS",
				 "containers are matched by their paths, not by their addresses");
}

static void change_cells(const struct out *o, uint64_t then, uint64_t now)
{
	char b[MA_HUMAN_MAX + 1];
	int64_t by = change(now, then);
	fprintf(o->page.out, " %*s", o->wide, ma_human_bytes(b, then, o->exact));
	fprintf(o->page.out, " %*s", o->wide, ma_human_bytes(b, now, o->exact));
	fprintf(o->page.out, " %*s", o->wide, signed_bytes(b, by, o->exact));
	if (has_rate(o->d))
		fprintf(o->page.out, " %*s", o->wide, signed_bytes(b, an_hour(o->d, by), o->exact));
	fputc('\n', o->page.out);
}

static size_t name_columns(const struct out *o, size_t fixed)
{
	size_t all = o->page.columns, columns = fixed + 16 < all ? all - fixed : 16;
	return columns > 60 ? 60 : columns;
}

static void change_title(const struct out *o, const char *title, size_t columns, const char *count)
{
	char beside[320];
	int pad = (int)(columns + 2 - strlen(title));
	snprintf(beside, sizeof(beside), "%*s%s %*s %*s %*s%s%*s", pad > 0 ? pad : 0, "", count, o->wide, "before",
		 o->wide, "after", o->wide, "change", has_rate(o->d) ? " " : "", has_rate(o->d) ? (int)o->wide : 0,
		 has_rate(o->d) ? "an hour" : "");
	ma_page_title(&o->page, title, beside);
}

/* Rows that changed much, in their order; the others together. */
static void memory(const struct out *o)
{
	size_t columns = name_columns(o, (o->wide + 1) * (has_rate(o->d) ? 4 : 3) + 2);
	uint64_t least = 32 * 1024, other_then = 0, other_now = 0;
	change_title(o, "MEMORY", columns, "");
	fputs("  ", o->page.out);
	ma_page_cell(&o->page, "resident", 8, columns, true);
	change_cells(o, o->d->old_rss, o->d->new_rss);
	for (size_t i = 0; i < o->d->memory_count; i++) {
		const struct ma_diff_memory *row = &o->d->memory[i];
		uint64_t then = row->old_bytes, now = row->new_bytes;
		if ((then > now ? then - now : now - then) < least) {
			other_then += then;
			other_now += now;
			continue;
		}
		fputs("    ", o->page.out);
		ma_page_cell(&o->page, row->text, strlen(row->text), columns - 2, true);
		change_cells(o, then, now);
	}
	fputs("    ", o->page.out);
	ma_page_cell(&o->page, "all other", 9, columns - 2, true);
	change_cells(o, other_then, other_now);
}

static void gained(const struct out *o, const struct ma_growth *g)
{
	char b[MA_HUMAN_MAX + 1];
	size_t shown = 0;
	for (size_t i = 0; i < g->types_count && shown < GAINED_SHOWN; i++) {
		const struct ma_gained *t = &g->types[i];
		if (t->count <= 0)
			continue;
		fprintf(o->page.out, "%s%s ", shown++ ? ", " : "      ", signed_count(b, t->count));
		ma_page_cell(&o->page, t->type, strlen(t->type), 40, false);
	}
	if (shown)
		fputc('\n', o->page.out);
}

/* Where most of what growth point `i` gained was allocated. */
static void allocated(const struct out *o, size_t i)
{
	const struct ma_diff_sites *sites = &o->d->sites;
	const struct ma_diff_allocated *a = sites->of_growth ? &sites->of_growth[i] : NULL;
	char b[MA_HUMAN_MAX + 1];
	if (!a || !a->site)
		return;
	fprintf(o->page.out, "      %s of it allocated at ", signed_bytes(b, a->bytes, o->exact));
	ma_text_line(&o->page, sites->rows[a->site - 1].file, sites->rows[a->site - 1].line, o->page.columns - 40,
		     false);
	fputc('\n', o->page.out);
}

/* "steady: +6.5 MB, then +6.4 MB; 60,312 of its objects, 9.65 MB, were born up to the middle and are still there" */
static void trend(const struct out *o, size_t i)
{
	char b1[MA_HUMAN_MAX + 1], b2[MA_HUMAN_MAX + 1];
	const struct ma_trend *t = o->d->middle.snap ? &o->d->middle.trends[i] : NULL;
	if (t && t->known)
		fprintf(o->page.out, "      %s: %s up to the middle, %s after it\n",
			t->steady ? "steady" : "not steady", signed_bytes(b1, t->first, o->exact),
			signed_bytes(b2, t->second, o->exact));
	if (t && t->objects)
		fprintf(o->page.out, "      %s objects, %s, born up to the middle are still there\n",
			ma_human_count(b1, t->objects), ma_human_bytes(b2, t->bytes, o->exact));
}

static void grew(const struct out *o)
{
	const struct ma_growths *all = &o->d->growths;
	size_t columns = name_columns(o, o->wide + 20);
	char b[MA_HUMAN_MAX + 1], beside[320];
	snprintf(beside, sizeof(beside), "%*s %13s", (int)(columns + o->wide + 2), "by", "objects");
	ma_page_title(&o->page, "GREW", beside);
	if (!all->count || all->points[0].bytes <= 0)
		fputs("  no container gained much\n", o->page.out);
	for (size_t i = 0; i < all->count && i < GROWTHS_SHOWN && all->points[i].bytes > 0; i++) {
		const struct ma_growth *g = &all->points[i];
		fprintf(o->page.out, " %2zu  ", i + 1);
		ma_page_cell(&o->page, g->path, strlen(g->path), columns, true);
		fprintf(o->page.out, " %*s", o->wide, signed_bytes(b, g->bytes, o->exact));
		fprintf(o->page.out, " %13s\n", signed_count(b, g->objects));
		if (g->addr) {
			fputs("      ", o->page.out);
			ma_page_cell(&o->page, g->type, strlen(g->type), 40, false);
			fputs(g->is_new ? ", new: retains " : ", retains ", o->page.out);
			if (!g->is_new)
				fprintf(o->page.out, "%s -> ", ma_human_bytes(b, g->old_retained, o->exact));
			fprintf(o->page.out, "%s\n", ma_human_bytes(b, g->new_retained, o->exact));
		}
		gained(o, g);
		allocated(o, i);
		trend(o, i);
	}
	for (size_t i = all->count, shown = 0; i-- > 0 && shown < SHRANK_SHOWN && all->points[i].bytes < 0; shown++) {
		const struct ma_growth *g = &all->points[i];
		fputs(shown ? "        " : "SHRANK  ", o->page.out);
		ma_page_cell(&o->page, g->path, strlen(g->path), columns, true);
		fprintf(o->page.out, " %s\n", signed_bytes(b, g->bytes, o->exact));
	}
}

struct module_gain {
	const struct ma_diff_module *m;
	bool instances; /* of its classes, else what is retained by it */
	uint64_t then, now;
};

/* Among the first MODULES_SHOWN of `top`, most gained first. */
static void take_gain(struct module_gain *top, struct module_gain g)
{
	size_t i = MODULES_SHOWN;
	while (i && (!top[i - 1].m || top[i - 1].now - top[i - 1].then < g.now - g.then))
		i--;
	if (i == MODULES_SHOWN)
		return;
	memmove(&top[i + 1], &top[i], (MODULES_SHOWN - 1 - i) * sizeof(*top));
	top[i] = g;
}

/* What modules retain, and the instances of their classes; those of built-in types are in types(). */
static void modules(const struct out *o)
{
	const struct ma_diff *d = o->d;
	size_t columns = name_columns(o, (o->wide + 1) * (has_rate(d) ? 4 : 3) + 2);
	uint64_t least = d->new_bytes > d->old_bytes ? (d->new_bytes - d->old_bytes) / 100 : 0;
	struct module_gain top[MODULES_SHOWN] = { 0 };
	if (least < 4096)
		least = 4096;
	for (size_t i = 0; i < d->modules_count; i++) {
		const struct ma_diff_module *m = &d->modules[i];
		if (m->new_retained > m->old_retained && m->new_retained - m->old_retained >= least)
			take_gain(top, (struct module_gain){ m, false, m->old_retained, m->new_retained });
		if (m->new_bytes > m->old_bytes && m->new_bytes - m->old_bytes >= least && strcmp(m->name, "builtins"))
			take_gain(top, (struct module_gain){ m, true, m->old_bytes, m->new_bytes });
	}
	if (top[0].m)
		change_title(o, "MODULES", columns, "");
	for (size_t i = 0; i < MODULES_SHOWN && top[i].m; i++) {
		const char *name = top[i].m->name, *what = top[i].instances ? "instances of " : "retained by  ";
		fprintf(o->page.out, "  %s", what);
		ma_page_cell(&o->page, name, strlen(name), columns - strlen(what), true);
		change_cells(o, top[i].then, top[i].now);
	}
}

static void types(const struct out *o)
{
	const struct ma_diff *d = o->d;
	size_t columns = name_columns(o, 14 + (o->wide + 1) * (has_rate(d) ? 4 : 3) + 2);
	char b[MA_HUMAN_MAX + 1];
	uint64_t all = 0; /* what the types that grew gained */
	for (size_t i = 0; i < d->types_count && d->types[i].new_bytes > d->types[i].old_bytes; i++)
		all = add(all, d->types[i].new_bytes - d->types[i].old_bytes);
	change_title(o, "TYPES", columns, "         count");
	for (size_t i = 0; i < d->types_count && i < TYPES_SHOWN; i++) {
		const struct ma_diff_type *t = &d->types[i];
		if (t->new_bytes <= t->old_bytes || t->new_bytes - t->old_bytes < all / 1000)
			break;
		fputs("  ", o->page.out);
		ma_page_cell(&o->page, t->name, strlen(t->name), columns, true);
		fprintf(o->page.out, " %13s", signed_count(b, change(t->new_count, t->old_count)));
		change_cells(o, t->old_bytes, t->new_bytes);
	}
}

static void sites(const struct out *o)
{
	const struct ma_diff_sites *x = &o->d->sites;
	size_t columns = name_columns(o, 14 + (o->wide + 1) * (has_rate(o->d) ? 4 : 3) + 2);
	char b[MA_HUMAN_MAX + 1];
	uint64_t all = 0; /* what the lines that grew gained */
	for (size_t i = 0; i < x->count && x->rows[i].new_bytes > x->rows[i].old_bytes; i++)
		all = add(all, x->rows[i].new_bytes - x->rows[i].old_bytes);
	if (!x->both || !all)
		return;
	change_title(o, "ALLOCATED AT", columns, "        blocks");
	for (size_t i = 0; i < x->count && i < SITES_SHOWN; i++) {
		const struct ma_diff_site *s = &x->rows[i];
		if (s->new_bytes <= s->old_bytes || s->new_bytes - s->old_bytes < all / 1000)
			break;
		fputs("  ", o->page.out);
		ma_text_line(&o->page, s->file, s->line, columns, true);
		fprintf(o->page.out, " %13s", signed_count(b, change(s->new_count, s->old_count)));
		change_cells(o, s->old_bytes, s->new_bytes);
	}
}

struct ma_error *ma_diff_text(FILE *out, const struct ma_diff *d, const struct ma_diff_names *names,
			      const struct ma_report_options *opt)
{
	bool lost;
	struct out o = { .d = d, .exact = opt->bytes, .wide = opt->bytes ? 16 : 9 };
	ma_page_init(&o.page, out, opt, &lost);
	head(&o, names);
	grew(&o);
	memory(&o);
	modules(&o);
	types(&o);
	sites(&o);
	return ma_page_error(&o.page);
}
