// SPDX-License-Identifier: Apache-2.0
/* show_html.h - the report as one HTML file: cli->html. */
#ifndef MA_SHOW_HTML_H
#define MA_SHOW_HTML_H

#include "cli.h"
#include "diff_report.h"

/* Of the snapshot `path`, open as `s`, with its `id` or "", and with the other listed snapshots of its process. `diff`:
 * one that ends at it, with the names of its files, or NULL twice. None of these files can be the HTML file. */
MA_CHECK struct ma_error *ma_show_html(const struct ma_cli *cli, const struct ma_snap *s, const char *path,
				       const char *id, const struct ma_diff *diff, const struct ma_diff_names *names);

#endif
