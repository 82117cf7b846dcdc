// SPDX-License-Identifier: Apache-2.0
/* detail.h - parts of the report about what a name chooses: types, modules. */
#ifndef MA_DETAIL_H
#define MA_DETAIL_H

#include "json_util.h"
#include "page.h"

/* `memattach report --type`: sizes, ways and examples of the objects of all types whose name matches. Nothing when
 * there is no such type, or the pattern is for all of them ("*"). */
MA_CHECK struct ma_error *ma_text_type(const struct ma_page *p, const struct ma_snap *s);
/* The same as `detail` in `root`. */
MA_CHECK struct ma_error *ma_json_type(json_t *root, const struct ma_snap *s, const char *glob, int *failed);

#endif
