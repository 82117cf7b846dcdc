// SPDX-License-Identifier: Apache-2.0
#include "page.h"

#include "escape.h"

#include <string.h>

void ma_page_init(struct ma_page *p, FILE *out, const struct ma_report_options *opt, bool *lost)
{
	p->out = out;
	p->opt = opt;
	p->lost = lost;
	*lost = false;
	p->columns = opt->columns < 60 ? 60 : opt->columns > 200 ? 200 : opt->columns;
}

struct ma_error *ma_page_error(const struct ma_page *p)
{
	return *p->lost ? &ma_enomem : NULL;
}

void ma_page_uses(const struct ma_page *p, const struct ma_buf *b)
{
	*p->lost |= b->no_memory;
}

void ma_page_title(const struct ma_page *p, const char *title, const char *beside)
{
	fprintf(p->out, "\n%s%s%s", p->opt->colour ? "\033[1m" : "", title, p->opt->colour ? "\033[0m" : "");
	if (beside)
		fprintf(p->out, "%s", beside);
	fputc('\n', p->out);
}

void ma_page_cell(const struct ma_page *p, const char *text, size_t bytes, size_t columns, bool pad)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_escape_text(&b, text, bytes);
	ma_page_uses(p, &b);
	size_t used = 0;
	if (b.data) {
		ma_text_fit(b.data, columns);
		used = ma_text_columns(b.data);
		fputs(b.data, p->out);
	}
	for (; pad && used < columns; used++)
		fputc(' ', p->out);
}

void ma_page_path(const struct ma_page *p, const char *text, size_t bytes, size_t columns, bool pad)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_escape_text(&b, text, bytes);
	ma_page_uses(p, &b);
	const char *tail = ma_buf_text(&b);
	size_t used = 0;
	if (ma_text_columns(tail) > columns) {
		while (*tail && ma_text_columns(tail) + 3 > columns)
			for (tail++; ((unsigned char)*tail & 0xc0) == 0x80;) /* to the next character */
				tail++;
		const char *slash = strchr(tail, '/');
		fputs("...", p->out);
		used = 3;
		tail = slash ? slash : tail;
	}
	fputs(tail, p->out);
	for (used += ma_text_columns(tail); pad && used < columns; used++)
		fputc(' ', p->out);
}

void ma_page_sentence(const struct ma_page *p, const char *head, const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_escape_text(&b, text, strlen(text));
	ma_page_uses(p, &b);
	char *rest = b.data, *word;
	size_t indent = ma_text_columns(head) + 2, used = indent;
	fprintf(p->out, "%s  ", head);
	for (bool first = true; (word = strsep(&rest, " ")); first = false) {
		size_t columns = ma_text_columns(word);
		if (!first && used + 1 + columns > p->columns) {
			fprintf(p->out, "\n%*s", (int)indent, "");
			used = indent;
		} else if (!first) {
			fputc(' ', p->out);
			used++;
		}
		fputs(word, p->out);
		used += columns;
	}
	fputc('\n', p->out);
}

void ma_page_bar(const struct ma_page *p, uint64_t part, uint64_t whole, size_t columns)
{
	/* eighths of a block: U+2588 full to U+258F one eighth */
	if (!p->opt->colour || !whole)
		return;
	size_t eighths = (size_t)((double)part / (double)whole * (double)columns * 8 + 0.5);
	fputs("  \033[36m", p->out);
	for (; eighths >= 8; eighths -= 8)
		fputs("\xe2\x96\x88", p->out);
	if (eighths)
		fprintf(p->out, "\xe2\x96%c", (char)(0x90 - eighths));
	fputs("\033[0m", p->out);
}

void ma_page_warn(const struct ma_page *p, const char *text)
{
	fprintf(p->out, "%s%s%s", p->opt->colour ? "\033[31m" : "", text, p->opt->colour ? "\033[0m" : "");
}
