// SPDX-License-Identifier: Apache-2.0
/* diff_report.h - a diff as text for a person, or as JSON for a program (docs/json.md). */
#ifndef MA_DIFF_REPORT_H
#define MA_DIFF_REPORT_H

#include "report.h"

#include <memattach/diff.h>

struct ma_diff_names {                  /* of the snapshots, as the user would type them */
	const char *old, *middle, *new; /* middle: NULL of two */
};

/* Of `opt` bytes, colour and columns are used. Write errors show in ferror(out). */
MA_CHECK struct ma_error *ma_diff_text(FILE *out, const struct ma_diff *d, const struct ma_diff_names *names,
				       const struct ma_report_options *opt);
MA_CHECK struct ma_error *ma_diff_json(FILE *out, const struct ma_diff *d, const struct ma_diff_names *names);

#endif
