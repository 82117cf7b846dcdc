// SPDX-License-Identifier: Apache-2.0
/* ways.h - how objects are held: the shortest way to one, all ways to the objects of a type. */
#ifndef MA_WAYS_H
#define MA_WAYS_H

#include "report.h"
#include "trees.h"

/* `memattach paths`: what is an address ("0x7f...") or the name of a type, with * and ? for several. MA_ERR_USAGE when
 * there is none such. */
MA_CHECK struct ma_error *ma_report_ways(FILE *out, const struct ma_snap *s, const char *what, bool json,
					 const struct ma_report_options *opt);

#endif
