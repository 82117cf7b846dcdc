// SPDX-License-Identifier: Apache-2.0
/* text_memory.h - the section MEMORY of the report: the rows, and a sentence about those that are large. */
#ifndef MA_TEXT_MEMORY_H
#define MA_TEXT_MEMORY_H

#include "analysis.h"
#include "page.h"

void ma_text_memory(const struct ma_page *p, const struct ma_analysis *a);

#endif
