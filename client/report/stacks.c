// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include "edge_name.h"
#include "human.h"
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

struct ma_error *ma_stacks_text(FILE *out, const struct ma_snap *s, const struct ma_report_options *opt)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	const struct ma_snap_meta *m = &tab->meta;
	struct ma_page page, *p = &page;
	char b[MA_HUMAN_MAX];
	ma_page_init(p, out, opt);
	fprintf(out, "Process %" PRIu64 ": ", m->pid);
	ma_page_cell(p, m->command, strlen(m->command), 400, false);
	fputs("\nCPython ", out);
	ma_page_cell(p, m->python, strlen(m->python), 16, false);
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
		for (size_t f = th->frames_begin; f < th->frames_end && f < tab->frames_count; f++)
			frame(p, s, &tab->frames[f]);
	}
	return NULL;
}
