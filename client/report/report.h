// SPDX-License-Identifier: Apache-2.0
/* report.h - a snapshot as text for a person, or as JSON for a program (docs/json.md). */
#ifndef MA_REPORT_H
#define MA_REPORT_H

#include "analysis.h"
#include "human.h"

#include <stdio.h>

struct ma_report_options {
	const char *path;         /* of the snapshot, as the user would type it */
	const char *type_glob;    /* only types whose name matches; NULL = all (JSON), the largest (text) */
	bool bytes;               /* exact numbers */
	bool colour;              /* bars and colour */
	unsigned columns;         /* of the terminal */
	const char *not_analysed; /* why who holds what is not in it, "" or NULL: because the user said so */
	uint64_t taken_ns;        /* how long taking it took; 0 = it is an old file */
};

/* Write errors show in ferror(out). */
MA_CHECK struct ma_error *ma_report_text(FILE *out, const struct ma_analysis *a, const struct ma_report_options *opt);
MA_CHECK struct ma_error *ma_report_json(FILE *out, const struct ma_analysis *a, const struct ma_report_options *opt);

/* What the modules whose name matches keep, by package, and of a single one what in its namespace keeps how much. */
MA_CHECK struct ma_error *ma_report_modules(FILE *out, const struct ma_snap *s, const char *glob, bool json,
					    const struct ma_report_options *opt);

/* The threads and frames alone, for `memattach stacks`. */
MA_CHECK struct ma_error *ma_stacks_text(FILE *out, const struct ma_snap *s, const struct ma_report_options *opt);
MA_CHECK struct ma_error *ma_stacks_json(FILE *out, const struct ma_snap *s);

/* "gil-free", "safe-point" or "arbitrary" */
/* "process", "core", "stopped". */
const char *ma_source_name(uint64_t source);
const char *ma_consistency_name(uint64_t consistency);
/* "none", "hash", "prefix:20" or "all", in `text` where it has to be made. */
const char *ma_values_name(char text[MA_HUMAN_MAX], const struct ma_snap_meta *m);

#endif
