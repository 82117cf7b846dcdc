// SPDX-License-Identifier: Apache-2.0
/* merged.h - merged ways and addresses as text and JSON: for the reports of one type, of one module, of paths. */
#ifndef MA_MERGED_H
#define MA_MERGED_H

#include "json_util.h"
#include "merged_ways.h"
#include "page.h"

/* A line for each way, with a heading. */
void ma_text_merged(const struct ma_page *p, const struct ma_merged_ways *m);
json_t *ma_json_merged(const struct ma_graph *g, const struct ma_merged_ways *m, int *failed);
/* "0x7f31c2a41e50" */
json_t *ma_json_address(uint64_t addr);

#endif
