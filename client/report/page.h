// SPDX-License-Identifier: Apache-2.0
/* page.h - lines of text that fit the terminal: what the text reports share. */
#ifndef MA_PAGE_H
#define MA_PAGE_H

#include "buffer.h"
#include "report.h"

struct ma_page {
	FILE *out;
	const struct ma_report_options *opt;
	unsigned columns; /* 60 to 200 */
	bool *lost;       /* set when memory ran out and something is missing */
};

void ma_page_init(struct ma_page *p, FILE *out, const struct ma_report_options *opt, bool *lost);
/* NULL, or that something is missing. */
MA_CHECK struct ma_error *ma_page_error(const struct ma_page *p);
/* Something that was made of `b` goes to the page. At its limit it is cut, which is no failure. */
void ma_page_uses(const struct ma_page *p, const struct ma_buf *b);
/* A section's title in bold, and what stands beside it (may be NULL). */
void ma_page_title(const struct ma_page *p, const char *title, const char *beside);
/* `text`, untrusted, escaped, cut to `columns` and, when `pad`, filled with blanks up to them. */
void ma_page_cell(const struct ma_page *p, const char *text, size_t bytes, size_t columns, bool pad);
/* A path, cut at its beginning; `pad` as above. */
void ma_page_path(const struct ma_page *p, const char *text, size_t bytes, size_t columns, bool pad);
/* A sentence after `head`, broken at blanks where the terminal ends; the lines after the first stand under the text. */
void ma_page_sentence(const struct ma_page *p, const char *head, const char *text);
/* A bar of `part` of `whole` in at most `columns` columns, on a terminal only. */
void ma_page_bar(const struct ma_page *p, uint64_t part, uint64_t whole, size_t columns);
/* A word that needs attention, in red on a terminal. */
void ma_page_warn(const struct ma_page *p, const char *text);

#endif
