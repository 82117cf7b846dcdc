// SPDX-License-Identifier: Apache-2.0
#include "text_sites.h"

#include "buffer.h"
#include "escape.h"

#include <string.h>

#define ROWS_SHOWN 8
#define LEAST_SHARE 200
#define NAME_MOST 40
#define NUMBERS 26 /* columns of count, share, and what is between them */

void ma_text_line(const struct ma_page *p, struct ma_str file, uint32_t line, size_t columns, bool pad)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	if (file.len) {
		ma_buf_add(&b, file.p, file.len);
		ma_buf_printf(&b, ":%u", line);
	} else {
		ma_buf_str(&b, "not known where");
	}
	ma_page_uses(p, &b);
	ma_page_path(p, ma_buf_text(&b), b.len, columns, pad);
}

/* "4,000 bytes, 1 list" */
static void types(const struct ma_page *p, const struct ma_analysis *a, const struct ma_site_types *top)
{
	char b[MA_HUMAN_MAX];
	size_t used = 0;
	for (size_t i = 0; i < top->count; i++) {
		const struct ma_consists *c = &top->types[i];
		const char *type = ma_type_name(a->snap, c->type_id), *count = ma_human_count(b, c->count);
		size_t columns = ma_text_columns(type);
		columns = (columns < NAME_MOST ? columns : NAME_MOST) + strlen(count) + 3;
		if (used && used + columns > p->columns - 6)
			break;
		fprintf(p->out, "%s%s ", used ? ", " : "      ", count);
		ma_page_cell(p, type, strlen(type), NAME_MOST, false);
		used += columns;
	}
	if (used)
		fputc('\n', p->out);
}

static void row(const struct ma_page *p, const struct ma_site_line *line, uint64_t total, size_t columns)
{
	char b[MA_HUMAN_MAX];
	unsigned wide = p->opt->bytes ? 18 : 10;
	fputs("  ", p->out);
	ma_text_line(p, line->file, line->line, columns, true);
	fprintf(p->out, " %13s", ma_human_count(b, line->count));
	fprintf(p->out, " %*s %3u %%\n", wide, ma_human_bytes(b, line->bytes, p->opt->bytes),
		ma_percent(line->bytes, total));
}

void ma_text_sites(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_sites *x = &a->sites;
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = p->columns - wide - NUMBERS, shown = 0;
	uint64_t left = x->bytes;
	char beside[320], b[MA_HUMAN_MAX];
	if (!x->lines_count)
		return;
	snprintf(beside, sizeof(beside), "%*s %*s     %%", (int)(columns + 2 + 14 - strlen("ALLOCATED AT")), "blocks",
		 wide, "bytes");
	ma_page_title(p, "ALLOCATED AT", beside);
	for (; shown < x->lines_count && shown < ROWS_SHOWN; shown++) {
		if (shown && x->lines[shown].bytes < x->bytes / LEAST_SHARE)
			break;
		row(p, &x->lines[shown], x->bytes, columns);
		left -= x->lines[shown].bytes < left ? x->lines[shown].bytes : left;
		if (shown < x->top_count)
			types(p, a, &x->top[shown]);
	}
	if (shown < x->lines_count)
		fprintf(p->out, "  %zu more lines, %s\n", x->lines_count - shown,
			ma_human_bytes(b, left, p->opt->bytes));
	if (x->untraced_bytes > a->graph->totals.bytes / LEAST_SHARE) {
		fprintf(p->out, "  %s objects", ma_human_count(b, x->untraced_objects));
		fprintf(p->out, ", %s, are older than tracemalloc\n",
			ma_human_bytes(b, x->untraced_bytes, p->opt->bytes));
	}
}
