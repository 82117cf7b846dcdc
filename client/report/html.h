// SPDX-License-Identifier: Apache-2.0
/* html.h - the report as one HTML file that loads nothing. */
#ifndef MA_HTML_H
#define MA_HTML_H

#include "path_groups.h"
#include "report.h"

/* What the graph of the page shows; made before the analysis, so that two graphs are never in memory. */
MA_CHECK struct ma_error *ma_html_groups(const struct ma_snap *s, struct ma_path_groups *ret);
/* Write errors show in ferror(out). */
MA_CHECK struct ma_error *ma_report_html(FILE *out, const struct ma_analysis *a, const struct ma_path_groups *p,
					 const struct ma_report_options *opt);

#endif
