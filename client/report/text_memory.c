// SPDX-License-Identifier: Apache-2.0
#include "text_memory.h"

#include "causes.h"
#include "human.h"

#include <string.h>

static void row(const struct ma_page *p, const char *name, uint64_t bytes, uint64_t rss, unsigned cause)
{
	char b[MA_HUMAN_MAX];
	fputs("  ", p->out);
	ma_page_cell(p, name, strlen(name), 34, true);
	fprintf(p->out, "%*s %3u %%", p->opt->bytes ? 18 : 10, ma_human_bytes(b, bytes, p->opt->bytes),
		ma_percent(bytes, rss));
	ma_page_bar(p, bytes, rss, 20);
	if (cause)
		fprintf(p->out, "  (%u)", cause);
	fputc('\n', p->out);
}

void ma_text_memory(const struct ma_page *p, const struct ma_analysis *a)
{
	const struct ma_memory *m = &a->memory;
	struct ma_buf causes[MA_MEM_COUNT];
	char b[MA_HUMAN_MAX], beside[96], label[64], head[16];
	unsigned number = 0;
	uint64_t small = 0;
	snprintf(beside, sizeof(beside), "%*s resident", p->opt->bytes ? 48 : 40,
		 ma_human_bytes(b, m->rss, p->opt->bytes));
	ma_page_title(p, "MEMORY", beside);
	for (unsigned i = 0; i < MA_MEM_COUNT; i++) {
		causes[i] = (struct ma_buf)MA_BUF_INIT(1 << 16);
		ma_cause(&causes[i], a, i);
		ma_page_uses(p, &causes[i]);
		number += causes[i].len != 0;
		if (m->rows[i] && (p->opt->bytes || causes[i].len || m->rows[i] >= m->rss / 100))
			row(p, ma_memory_label(m, i, label), m->rows[i], m->rss, causes[i].len ? number : 0);
		else
			small += m->rows[i];
	}
	if (small)
		row(p, "all other", small, m->rss, 0);
	number = 0;
	for (unsigned i = 0; i < MA_MEM_COUNT; i++) {
		if (causes[i].len) {
			snprintf(head, sizeof(head), "  (%u)", ++number);
			ma_page_sentence(p, head, ma_buf_text(&causes[i]));
		}
		ma_buf_deinit(&causes[i]);
	}
}
