// SPDX-License-Identifier: Apache-2.0
/* text_sites.h - the section ALLOCATED AT of the report: the lines that allocated most, where tracemalloc was on. */
#ifndef MA_TEXT_SITES_H
#define MA_TEXT_SITES_H

#include "page.h"

/* Nothing where tracemalloc was off. */
void ma_text_sites(const struct ma_page *p, const struct ma_analysis *a);
/* "/srv/app.py:12" in `columns` columns, cut at its beginning; `pad` as in ma_page_cell(). */
void ma_text_line(const struct ma_page *p, struct ma_str file, uint32_t line, size_t columns, bool pad);

#endif
