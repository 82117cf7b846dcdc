// SPDX-License-Identifier: Apache-2.0
/* advice.h - one sentence about what to do with an object that holds much. */
#ifndef MA_ADVICE_H
#define MA_ADVICE_H

#include "analysis.h"

/* Fits into 72 columns; a constant. */
const char *ma_advice(const struct ma_analysis *a, const struct ma_holder *h);

#endif
