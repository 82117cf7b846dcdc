// SPDX-License-Identifier: Apache-2.0
/* html.h - the report as one HTML file that loads nothing. */
#ifndef MA_HTML_H
#define MA_HTML_H

#include "diff_report.h"
#include "path_groups.h"

/* What the graph of the page shows; made before the analysis, so that two graphs are never in memory. */
MA_CHECK struct ma_error *ma_html_groups(const struct ma_snap *s, struct ma_path_groups *ret);
struct ma_html_point { /* a snapshot of the same process */
	uint64_t taken_ns, rss_bytes, bytes;
};

struct ma_html_more {
	const struct ma_html_point *series; /* in the order in which they were taken */
	size_t series_count;
	const struct ma_diff *diff;        /* to the snapshot of the report, from an earlier one; NULL = none */
	const struct ma_diff_names *names; /* with it */
};

/* Write errors show in ferror(out). */
MA_CHECK struct ma_error *ma_report_html(FILE *out, const struct ma_analysis *a, const struct ma_path_groups *p,
					 const struct ma_html_more *more, const struct ma_report_options *opt);

#endif
