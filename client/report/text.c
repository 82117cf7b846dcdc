// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "report.h"

#include "detail.h"
#include "edge_name.h"
#include "escape.h"
#include "human.h"
#include "page.h"
#include "text_held.h"
#include "text_memory.h"
#include "text_sites.h"
#include "text_waste.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#define TYPES_SHOWN 12
#define CLASSES_SHOWN 6
#define THREADS_SHOWN 8
#define NAME_COLUMNS 40u
#define THREAD_FIXED 25 /* columns of its number, of GIL, of a line, and between them */
#define PATH_LEAST 16

const char *ma_source_name(uint64_t source)
{
	return source == MA_SOURCE_CORE ? "core" : source == MA_SOURCE_STOPPED ? "stopped" : "process";
}

const char *ma_consistency_name(uint64_t consistency)
{
	return consistency == MA_CONS_SAFE_POINT ? "safe-point"
	       : consistency == MA_CONS_GIL_FREE ? "gil-free"
						 : "arbitrary";
}

const char *ma_values_name(char text[MA_HUMAN_MAX], const struct ma_snap_meta *m)
{
	switch (m->values) {
	case MA_VALUES_NONE:
		return "none";
	case MA_VALUES_HASH:
		return "hash";
	case MA_VALUES_PREFIX:
		snprintf(text, MA_HUMAN_MAX, "prefix:%" PRIu64, m->values_limit);
		return text;
	case MA_VALUES_ALL:
		return "all";
	default:
		return "unknown";
	}
}

/* Columns of a name when `fixed` columns of numbers stand behind it. */
static size_t name_columns(const struct ma_page *p, size_t fixed)
{
	size_t columns = p->columns - fixed;
	return columns > NAME_COLUMNS + 20 ? NAME_COLUMNS + 20 : columns;
}

static void head(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_snap_tables *tab = ma_snap_tables(a->snap);
	const struct ma_snap_meta *m = &tab->meta;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	char right[128];
	const char *what = ma_human_program(m->command[0] ? m->command : m->exe);
	int n = snprintf(right, sizeof(right), "    pid %" PRIu64 "   CPython ", m->pid);
	size_t rest = (size_t)n + strlen(m->python) + strlen(m->host) + 20;
	ma_page_cell(p, what, strlen(what), p->columns > rest + 16 ? p->columns - rest : 16, false);
	fputs(right, p->out);
	ma_page_cell(p, m->python, strlen(m->python), 16, false);
	if (m->uptime_ns)
		fprintf(p->out, "   up %s", ma_human_uptime(b1, m->uptime_ns));
	fputs("   ", p->out);
	ma_page_cell(p, m->host, strlen(m->host), 24, false);

	if (m->source == MA_SOURCE_CORE)
		fputs("\nfrom a core file   ", p->out);
	else
		fprintf(p->out, "\nstopped %s   %s", ma_human_duration(b1, m->pause_ns),
			m->source == MA_SOURCE_STOPPED ? "while it was copied   " : "");
	if (m->raw_bytes)
		fprintf(p->out, "%s of raw data not copied (-%s)   ", ma_human_bytes(b1, m->raw_bytes, p->opt->bytes),
			ma_human_duration(b2, m->raw_saved_ns));
	if (m->target_faults)
		fprintf(p->out, "then %s page fault%s   ", ma_human_count(b1, m->target_faults),
			m->target_faults == 1 ? "" : "s");
	if (m->consistency == MA_CONS_SAFE_POINT)
		fputs("at a safe point", p->out);
	else if (m->consistency == MA_CONS_GIL_FREE)
		fputs("GIL free", p->out);
	else
		ma_page_warn(p, "NOT at a safe point");
	if (m->attempts > 1)
		fprintf(p->out, " (attempt %" PRIu64 ")", m->attempts);
	fprintf(p->out, "   %s objects   ", ma_human_count(b1, a->graph->totals.objects));
	if (!a->books.excess) {
		fputs("books balance", p->out);
	} else {
		char text[64];
		snprintf(text, sizeof(text), "books do not balance: %s objects", ma_human_count(b1, a->books.excess));
		ma_page_warn(p, text);
	}
	if (m->faults) {
		fprintf(p->out, "   ");
		char text[64];
		snprintf(text, sizeof(text), "%s faults", ma_human_count(b1, m->faults));
		ma_page_warn(p, text);
	}
	fputs("\nsnapshot ", p->out);
	ma_page_cell(p, p->opt->path, strlen(p->opt->path), 200, false);
	fprintf(p->out, "   %s", ma_human_bytes(b1, tab->file_bytes, p->opt->bytes));
	if (p->opt->taken_ns)
		fprintf(p->out, "   %s", ma_human_duration(b1, p->opt->taken_ns));
	else
		fprintf(p->out, "   %s", ma_human_time(b2, m->taken_realtime_ns));
	fprintf(p->out, "   values %s\n", ma_values_name(b1, m));
	if (!tab->complete) {
		ma_page_sentence(p, "INCOMPLETE", tab->missing ? tab->missing : "the file is damaged");
	}
}

static void table_head(const struct ma_page *p, const char *title, size_t columns, unsigned wide, const char *last)
{
	char beside[320];
	int pad = (int)(columns + 2 - strlen(title));
	snprintf(beside, sizeof(beside), "%*s %13s %*s%s", pad > 0 ? pad : 0, "", "count", wide, "bytes", last);
	ma_page_title(p, title, beside);
}

static void classes(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_held *held = &a->held;
	uint64_t total = a->graph->totals.bytes;
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = name_columns(p, wide * 2 + 24);
	char b[MA_HUMAN_MAX];
	size_t shown = 0;
	for (size_t i = 0; i < held->classes_count && shown < CLASSES_SHOWN; i++, shown++) {
		const struct ma_class_share *c = &held->classes[i];
		if (c->bytes < total / 200)
			break;
		if (!i) {
			char last[64];
			snprintf(last, sizeof(last), " %*s", wide, "with attrs");
			table_head(p, "CLASSES", columns, wide, last);
		}
		fputs("  ", p->out);
		ma_page_cell(p, c->name, strlen(c->name), columns, true);
		fprintf(p->out, " %13s", ma_human_count(b, c->count));
		fprintf(p->out, " %*s", wide, ma_human_bytes(b, c->own_bytes, p->opt->bytes));
		fprintf(p->out, " %*s %3u %%\n", wide, ma_human_bytes(b, c->bytes, p->opt->bytes),
			ma_percent(c->bytes, total));
	}
}

static void types(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_totals *t = &a->graph->totals;
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = name_columns(p, wide + 26 + (a->with_held ? wide + 1 : 0));
	char b[MA_HUMAN_MAX], last[64] = "     %";
	size_t shown = 0, left = 0;
	uint64_t left_bytes = 0;
	if (a->with_held)
		snprintf(last, sizeof(last), "     %% %*s", wide, "retained");
	table_head(p, "TYPES", columns, wide, last);
	for (size_t i = 0; i < t->types_count; i++) {
		const struct ma_type_total *type = &t->types[i];
		if (p->opt->type_glob && fnmatch(p->opt->type_glob, type->name, 0))
			continue;
		if (!p->opt->type_glob && shown == TYPES_SHOWN) {
			left++;
			left_bytes += type->bytes;
			continue;
		}
		shown++;
		fputs("  ", p->out);
		ma_page_cell(p, type->name, strlen(type->name), columns, true);
		fprintf(p->out, " %13s", ma_human_count(b, type->count));
		fprintf(p->out, " %*s", wide, ma_human_bytes(b, type->bytes, p->opt->bytes));
		fprintf(p->out, " %3u %%", ma_percent(type->bytes, t->bytes));
		if (a->with_held)
			fprintf(p->out, " %*s", wide, ma_human_bytes(b, type->retained, p->opt->bytes));
		fputc('\n', p->out);
	}
	if (left)
		fprintf(p->out, "  %zu more types, %s: --type '*' shows all\n", left,
			ma_human_bytes(b, left_bytes, p->opt->bytes));
	if (p->opt->type_glob && !shown)
		fputs("  no type has such a name\n", p->out);
}

static void unreached(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_totals *t = &a->graph->totals;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	char beside[160];
	if (!t->unreached)
		return;
	snprintf(beside, sizeof(beside), "  %s objects, %s, to which no known reference leads",
		 ma_human_count(b1, t->unreached), ma_human_bytes(b2, t->unreached_bytes, p->opt->bytes));
	ma_page_title(p, "UNREACHED", beside);
	unsigned shown = 0;
	for (size_t i = 0; i < t->types_count && shown < 3; i++) {
		const struct ma_type_total *type = &t->types[i];
		if (!type->unreached || type->unreached_bytes < t->unreached_bytes / 10)
			continue;
		shown++;
		fputs("  ", p->out);
		ma_page_cell(p, type->name, strlen(type->name), NAME_COLUMNS, true);
		fprintf(p->out, " %13s %s\n", ma_human_count(b1, type->unreached),
			ma_human_bytes(b2, type->unreached_bytes, p->opt->bytes));
	}
}

/* Memory that objects of extensions own outside Python's own structures. */
static void buffers(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_buffers *b = &a->buffers;
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = name_columns(p, wide + 26);
	char text[MA_HUMAN_MAX];
	uint64_t all = 0;
	for (unsigned i = 0; i < MA_BUFFER_COUNT; i++)
		all += b->rows[i].counted;
	if (all < a->memory.rss / 200)
		return;
	table_head(p, "BUFFERS", columns, wide, "");
	for (unsigned i = 0; i < MA_BUFFER_COUNT; i++) {
		if (!b->rows[i].count)
			continue;
		fputs("  ", p->out);
		ma_page_cell(p, ma_buffer_text(i), strlen(ma_buffer_text(i)), columns, true);
		fprintf(p->out, " %13s", ma_human_count(text, b->rows[i].count));
		fprintf(p->out, " %*s%s\n", wide, ma_human_bytes(text, b->rows[i].counted, p->opt->bytes),
			ma_buffer_in_sizes(i)   ? "  in the sizes above"
			: ma_buffer_estimate(i) ? " ~"
						: "");
	}
}

#define NATIVE_SHOWN 4

/* What is held by references that no object has. */
static void native(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_native_held *n = &a->native;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX], beside[128];
	if (!n->objects)
		return;
	snprintf(beside, sizeof(beside), "  %s objects are held by native code, by %s references",
		 ma_human_count(b1, n->objects), ma_human_count(b2, n->references));
	ma_page_title(p, "NATIVE", beside);
	for (size_t i = 0; i < n->rows_count && i < NATIVE_SHOWN; i++) {
		const struct ma_native_held_row *r = &n->rows[i];
		const char *slash = r->library ? strrchr(r->library, '/') : NULL;
		const char *by = slash ? slash + 1 : "not found by whom";
		fputs("  ", p->out);
		ma_page_cell(p, r->type, strlen(r->type), NAME_COLUMNS, true);
		fprintf(p->out, " %13s  ", ma_human_count(b1, r->objects));
		ma_page_cell(p, by, strlen(by), p->columns - NAME_COLUMNS - 20, false);
		fputc('\n', p->out);
	}
}

static const struct ma_snap_frame *innermost(const struct ma_snap_tables *tab, const struct ma_snap_thread *th)
{
	return th->frames_begin < th->frames_end && th->frames_begin < tab->frames_count
		       ? &tab->frames[th->frames_begin]
		       : NULL;
}

/* Columns for the names of the threads shown and of their functions: what the longest takes, and no more than leaves
 * room for the end of a path. */
static void thread_columns(const struct ma_page *p, const struct ma_snap *s, size_t *name_ret, size_t *function_ret)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	size_t name = 8, function = 8, room = p->columns - THREAD_FIXED - PATH_LEAST;
	for (size_t i = 0; i < tab->threads_count && i < THREADS_SHOWN; i++) {
		const struct ma_snap_frame *f = innermost(tab, &tab->threads[i]);
		size_t n = ma_text_columns(tab->threads[i].name), m = f ? ma_snap_name(s, f->function_id).len : 0;
		name = n > name ? n : name;
		function = m > function ? m : function;
	}
	*name_ret = name < room / 2 ? name : room / 2;
	*function_ret = function < room - *name_ret ? function : room - *name_ret;
}

static void threads(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_snap_tables *tab = ma_snap_tables(a->snap);
	size_t name_columns, function_columns;
	char beside[32];
	thread_columns(p, a->snap, &name_columns, &function_columns);
	snprintf(beside, sizeof(beside), "  %zu", tab->threads_count);
	ma_page_title(p, "THREADS", beside);
	for (size_t i = 0; i < tab->threads_count && i < THREADS_SHOWN; i++) {
		const struct ma_snap_thread *th = &tab->threads[i];
		fprintf(p->out, "  %8" PRIu64 "  ", th->tid);
		ma_page_cell(p, th->name, strlen(th->name), name_columns, true);
		fputs(th->holds_gil ? " GIL  " : "      ", p->out);
		const struct ma_snap_frame *f = innermost(tab, th);
		if (f) {
			struct ma_str fn = ma_snap_name(a->snap, f->function_id);
			struct ma_str file = ma_snap_name(a->snap, f->file_id);
			ma_page_cell(p, fn.p, fn.len, function_columns, true);
			fputs("  ", p->out);
			ma_page_path(p, file.p, file.len, p->columns - THREAD_FIXED - name_columns - function_columns,
				     false);
			fprintf(p->out, ":%u", f->line);
		}
		fputc('\n', p->out);
	}
	if (tab->threads_count > THREADS_SHOWN)
		fprintf(p->out, "  %zu more threads: --json shows all\n", tab->threads_count - THREADS_SHOWN);
}

static void notes(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_snap_meta *m = &ma_snap_tables(a->snap)->meta;
	for (size_t i = 0; i < m->notes_count; i++) {
		fputs(i ? "" : "\n", p->out);
		ma_page_sentence(p, "note", m->notes[i]);
	}
	for (size_t i = 0; i < a->books.worst_count && i < 3; i++) {
		const struct ma_books_excess *e = &a->books.worst[i];
		const char *type = ma_type_name(a->snap, e->type_id);
		fprintf(p->out, "%sbooks  0x%" PRIx64 " ", i ? "" : "\n", e->addr);
		ma_page_cell(p, type, strlen(type), NAME_COLUMNS, false);
		fprintf(p->out, ": reference count %u, references found %u\n", e->refcnt, e->found);
	}
}

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,"

/* `text` as one word of a shell, on the way to the terminal. */
static void shell_word(const struct ma_page *p, const char *text)
{
	if (text[0] && !text[strspn(text, PLAIN)]) {
		fputs(text, p->out);
		return;
	}
	fputc('\'', p->out);
	for (; *text; text += *text == '\'') {
		size_t n = strcspn(text, "'");
		ma_page_cell(p, text, n, 4096, false);
		text += n;
		if (*text)
			fputs("'\\''", p->out);
	}
	fputc('\'', p->out);
}

/* Goes on in a new line of the same command when the path is long. */
static void next_line(const struct ma_page *p, size_t columns)
{
	fputs(columns > p->columns ? " \\\n          " : " ", p->out);
}

static void next(const struct ma_page *p, const struct ma_analysis *a)
{
	if (!a->with_held) { /* the section that is missing has the answer */
		fputs("\nnext  memattach report ", p->out);
		shell_word(p, p->opt->path);
		fputs("    who holds it, here or on another machine\n", p->out);
		return;
	}
	const struct ma_totals *t = &a->graph->totals;
	bool class = a->held.classes_count && a->held.classes[0].bytes >= t->bytes / 200;
	const char *type = class ? a->held.classes[0].name : t->types_count ? t->types[0].name : "dict";
	if (type[strspn(type, PLAIN "<>[] ")] || strlen(type) > 200) /* `$(...)` in a type's name is not for a shell */
		type = "dict";
	size_t path = ma_text_columns(p->opt->path);
	fputs("\nnext  memattach report ", p->out);
	shell_word(p, p->opt->path);
	next_line(p, 34 + path);
	fputs("--type '*'\n      memattach query ", p->out);
	shell_word(p, p->opt->path);
	next_line(p, 70 + path + strlen(type));
	fputs("\"SELECT * FROM objects WHERE type = '", p->out);
	fprintf(p->out, "%s' LIMIT 9\"\n", type);
}

struct ma_error *ma_report_text(FILE *out, const struct ma_analysis *a, const struct ma_report_options *opt)
{
	struct ma_page page;
	bool lost;
	ma_page_init(&page, out, opt, &lost);
	head(&page, a);
	if (opt->type_glob) {
		types(&page, a);
		MA_TRY(ma_text_type(&page, a->snap));
		return ma_page_error(&page);
	}
	ma_text_most(&page, a);
	ma_text_memory(&page, a);
	ma_text_held(&page, a);
	classes(&page, a);
	types(&page, a);
	ma_text_sites(&page, a);
	ma_text_waste(&page, a);
	buffers(&page, a);
	native(&page, a);
	threads(&page, a);
	unreached(&page, a);
	notes(&page, a);
	next(&page, a);
	return ma_page_error(&page);
}
