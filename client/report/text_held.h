// SPDX-License-Identifier: Apache-2.0
/* text_held.h - who holds the memory, for people: what stands out, and what to do about it. */
#ifndef MA_TEXT_HELD_H
#define MA_TEXT_HELD_H

#include "page.h"

/* The answer in one line, when something holds a tenth or more. */
void ma_text_most(const struct ma_page *p, const struct ma_analysis *a);
/* The section HELD BY. */
void ma_text_held(const struct ma_page *p, const struct ma_analysis *a);

#endif
