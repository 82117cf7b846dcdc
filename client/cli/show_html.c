// SPDX-License-Identifier: Apache-2.0
#include "show_html.h"

#include "catalogue.h"
#include "cleanup.h"
#include "html.h"
#include "out_file.h"
#include "spinner.h"

#include <stdlib.h>
#include <string.h>

#define AT_HAND 3 /* snapshots of a diff at most */

static struct ma_html_point point_of(const struct ma_snap *s)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	const struct ma_snap_meta *m = &tab->meta;
	return (struct ma_html_point){ m->taken_realtime_ns, m->rss_anon + m->rss_file + m->rss_shmem,
				       tab->stats[MA_STAT_BYTES] };
}

static int by_time(const void *a, const void *b)
{
	const struct ma_html_point *x = a, *y = b;
	return x->taken_ns < y->taken_ns ? -1 : x->taken_ns > y->taken_ns;
}

/* Those of the catalogue, and those at hand, which need not be in it. A report does without a catalogue. */
static struct ma_error *find_series(const struct ma_snap *s, const struct ma_diff *diff, struct ma_html_point **ret,
				    size_t *count_ret)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	_cleanup_error_ struct ma_error *err = ma_catalogue_open_read(&c);
	if (!err)
		err = ma_catalogue_series(c, s, &rows);
	if (err && err->code == MA_ERR_NO_MEMORY)
		return ma_take_ptr(err);
	struct ma_html_point *points = calloc(rows.count + AT_HAND, sizeof(*points));
	if (!points)
		return &ma_enomem;
	size_t n = 0, out = 0;
	for (size_t i = 0; i < rows.count; i++)
		points[n++] = (struct ma_html_point){ rows.v[i].taken_ns, rows.v[i].rss_bytes, rows.v[i].bytes };
	points[n++] = point_of(s);
	if (diff && diff->same_process)
		points[n++] = point_of(diff->old_snap);
	if (diff && diff->middle.snap)
		points[n++] = point_of(diff->middle.snap);
	qsort(points, n, sizeof(*points), by_time);
	for (size_t i = 0; i < n; i++)
		if (!out || points[out - 1].taken_ns != points[i].taken_ns)
			points[out++] = points[i];
	*ret = points;
	*count_ret = out;
	return NULL;
}

static struct ma_error *write_html(FILE *out, const struct ma_snap *s, const char *name,
				   const struct ma_html_more *more)
{
	const struct ma_report_options opt = { .path = name };
	struct ma_path_groups groups;
	struct ma_analysis a;
	MA_TRY(ma_html_groups(s, &groups));
	struct ma_error *err = ma_analysis_create(s, true, &a);
	if (!err) {
		err = ma_report_html(out, &a, &groups, more, &opt);
		ma_analysis_deinit(&a);
	}
	ma_path_groups_deinit(&groups);
	return err;
}

struct ma_error *ma_show_html(const struct ma_cli *cli, const struct ma_snap *s, const char *path, const char *id,
			      const struct ma_diff *diff, const struct ma_diff_names *names)
{
	const char *const others[] = { path, names ? names->old : NULL, names ? names->middle : NULL, NULL };
	struct ma_out_file o = { 0 };
	_cleanup_free_ struct ma_html_point *series = NULL;
	struct ma_html_more more = { .diff = diff, .names = names };
	uint64_t bytes;
	MA_TRY(find_series(s, diff, &series, &more.series_count));
	more.series = series;
	MA_TRY(ma_out_file_open(cli->html, others, &o));
	ma_spinner_start("reading the snapshot");
	struct ma_error *err = write_html(o.f, s, *id ? id : path, &more);
	ma_spinner_stop();
	if (!err)
		err = ma_out_file_commit(&o, &bytes);
	if (!err)
		err = ma_out_file_say(cli->out, &o, bytes, cli->bytes);
	ma_out_file_deinit(&o);
	return err;
}
