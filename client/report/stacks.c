// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include "cleanup.h"
#include "edge_name.h"
#include "human.h"
#include "native.h"
#include "page.h"

#include <inttypes.h>
#include <string.h>

static void frame(const struct ma_page *p, const struct ma_snap *s, const struct ma_snap_frame *f)
{
	struct ma_str fn = ma_snap_name(s, f->function_id), file = ma_snap_name(s, f->file_id);
	fputs("    ", p->out);
	ma_page_cell(p, fn.len ? fn.p : "?", fn.len ? fn.len : 1, 200, false);
	fputs(" (", p->out);
	ma_page_cell(p, file.len ? file.p : "?", file.len ? file.len : 1, 400, false);
	if (f->line)
		fprintf(p->out, ":%u", f->line);
	fputs(")\n", p->out);
}

static void native_frame(const struct ma_page *p, const struct ma_snap_native_frame *f)
{
	const char *module = strrchr(f->module, '/');
	fputs("    C  ", p->out);
	if (f->function[0])
		ma_page_cell(p, f->function, strlen(f->function), 200, false);
	else
		fprintf(p->out, "0x%" PRIx64, f->pc);
	module = module ? module + 1 : f->module;
	if (f->module[0] || f->line)
		fputs(" (", p->out);
	ma_page_cell(p, module, strlen(module), 200, false);
	if (f->line) {
		const char *file = strrchr(f->file, '/');
		file = file ? file + 1 : f->file;
		fputs(f->module[0] ? ", " : "", p->out);
		ma_page_cell(p, file, strlen(file), 200, false);
		fprintf(p->out, ":%u", f->line);
	}
	fputs(f->module[0] || f->line ? ")\n" : "\n", p->out);
}

/* Each Python frame stands in the place of the evaluation loop that runs it. */
static struct ma_error *mixed(const struct ma_page *p, const struct ma_snap *s, const struct ma_snap_thread *th,
			      const struct ma_snap_native *n)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	size_t count = n ? n->frames_end - n->frames_begin : 0;
	_cleanup_free_ uint32_t *begin = calloc(count + 1, sizeof(*begin));
	if (!begin)
		return &ma_enomem;
	if (th && n)
		ma_native_place(tab, th, n, begin);
	else if (th)
		begin[0] = th->frames_begin;
	for (size_t i = 0; i < count; i++) {
		const struct ma_snap_native_frame *f = &tab->native_frames[n->frames_begin + i];
		if (begin[i] == begin[i + 1])
			native_frame(p, f);
		for (uint32_t k = begin[i]; k < begin[i + 1]; k++)
			frame(p, s, &tab->frames[k]);
	}
	if (n && n->cut)
		fputs("    ... the outer native frames are not known\n", p->out);
	for (uint32_t k = begin[count]; th && k < th->frames_end && k < tab->frames_count; k++)
		frame(p, s, &tab->frames[k]);
	return NULL;
}

static struct ma_error *other_threads(const struct ma_page *p, const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	for (size_t i = 0; i < tab->natives_count; i++) {
		const struct ma_snap_native *n = &tab->natives[i];
		const char *name = ma_native_name(tab, n);
		if (ma_native_is_python(tab, n))
			continue;
		fprintf(p->out, "\nThread %" PRIu64 " \"", n->tid);
		ma_page_cell(p, name, strlen(name), 64, false);
		fputs("\" (no Python)\n", p->out);
		MA_TRY(mixed(p, s, NULL, n));
	}
	return NULL;
}

struct ma_error *ma_stacks_text(FILE *out, const struct ma_snap *s, const struct ma_report_options *opt)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	bool any = ma_native_any(tab);
	const struct ma_snap_meta *m = &tab->meta;
	struct ma_page page, *p = &page;
	char b[MA_HUMAN_MAX];
	bool lost;
	ma_page_init(p, out, opt, &lost);
	fprintf(out, "Process %" PRIu64 ": ", m->pid);
	ma_page_cell(p, m->command, strlen(m->command), 400, false);
	fputs("\nCPython ", out);
	ma_page_cell(p, m->python, strlen(m->python), 16, false);
	if (m->source == MA_SOURCE_CORE)
		fputs("   from a core file\n", out);
	else
		fprintf(out, "   stopped %s\n", ma_human_duration(b, m->pause_ns));
	for (size_t i = 0; i < tab->threads_count; i++) {
		const struct ma_snap_thread *th = &tab->threads[i];
		if (th->tid)
			fprintf(out, "\nThread %" PRIu64 " ", th->tid);
		else
			fprintf(out, "\nThread 0x%" PRIx64 " ", th->pthread_id);
		fputc('"', out);
		ma_page_cell(p, th->name, strlen(th->name), 64, false);
		fprintf(out, "\"%s\n", th->holds_gil ? " (holds the GIL)" : "");
		MA_TRY(mixed(p, s, th, any ? ma_native_find(tab, th) : NULL));
	}
	if (any)
		MA_TRY(other_threads(p, s));
	return ma_page_error(p);
}
