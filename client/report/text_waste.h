// SPDX-License-Identifier: Apache-2.0
/* text_waste.h - the section WASTE of the report: what the same data would not take. */
#ifndef MA_TEXT_WASTE_H
#define MA_TEXT_WASTE_H

#include "page.h"

/* Nothing when no row has 1/200 of the heap and 64 kB. */
void ma_text_waste(const struct ma_page *p, const struct ma_analysis *a);

#endif
