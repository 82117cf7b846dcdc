// SPDX-License-Identifier: Apache-2.0
#include "text_waste.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_SHOWN 8
#define LEAST_SHARE 200
#define LEAST_BYTES 65536

static void row(const struct ma_page *p, const struct ma_waste_row *r, uint64_t total)
{
	char b[MA_HUMAN_MAX], what[MA_NAME_MAX + 128];
	unsigned wide = p->opt->bytes ? 18 : 10;
	size_t columns = p->columns - wide - 24;
	if (r->kind == MA_WASTE_SLOTS)
		snprintf(what, sizeof(what), "%.*s %s: %" PRIu64 " -> %" PRIu64 " B", MA_NAME_MAX, r->type,
			 ma_waste_text(r->kind), r->each, r->each_then);
	else
		snprintf(what, sizeof(what), "%.*s: %s", MA_NAME_MAX, r->type, ma_waste_text(r->kind));
	fputs("  ", p->out);
	ma_page_cell(p, what, strlen(what), columns, true);
	fprintf(p->out, " %13s", ma_human_count(b, r->count));
	fprintf(p->out, " %*s %3u %%\n", wide, ma_human_bytes(b, r->bytes, p->opt->bytes), ma_percent(r->bytes, total));
}

void ma_text_waste(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_waste *w = &a->waste;
	uint64_t total = a->graph->totals.bytes;
	unsigned wide = p->opt->bytes ? 18 : 10;
	for (size_t i = 0; i < w->count && i < ROWS_SHOWN; i++) {
		if (w->rows[i].bytes < total / LEAST_SHARE || w->rows[i].bytes < LEAST_BYTES)
			break;
		if (!i) {
			char beside[320];
			snprintf(beside, sizeof(beside), "%*s %*s", (int)(p->columns - wide - 24 + 2 + 14 - 5), "count",
				 wide, "saves");
			ma_page_title(p, "WASTE", beside);
		}
		row(p, &w->rows[i], total);
	}
}
