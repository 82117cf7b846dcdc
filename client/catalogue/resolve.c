// SPDX-License-Identifier: Apache-2.0
#include "resolve.h"

#include "cleanup.h"
#include "moved.h"
#include "when.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

static struct ma_error *say(struct ma_resolved *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct ma_error *say(struct ma_resolved *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&r->said, fmt, ap);
	va_end(ap);
	if (n >= 0)
		return NULL;
	r->said = NULL;
	return &ma_enomem;
}

static struct ma_error *take_path(struct ma_resolved *r, const char *path)
{
	r->path = strdup(path);
	return r->path ? NULL : &ma_enomem;
}

static struct ma_error *take_row(struct ma_resolved *r, const struct ma_catalogue_row *row)
{
	snprintf(r->id, sizeof(r->id), "%s", row->id);
	return take_path(r, row->path);
}

static struct ma_error *check_row(const struct ma_catalogue_row *row)
{
	if (row->state == MA_FILE_MISSING)
		return ma_errorf(MA_ERR_OS, "snapshot %s: its file %s is no longer there", row->id, row->path);
	if (row->state == MA_FILE_OTHER)
		return ma_errorf(MA_ERR_OS, "snapshot %s: %s is another file now", row->id, row->path);
	return NULL;
}

/* ------------------------------------------------------------------ times */

static struct ma_error *check_one_process(const struct ma_catalogue_rows *rows, const char *word)
{
	for (size_t i = 1; i < rows->count; i++)
		if (!ma_catalogue_same_process(&rows->v[0], &rows->v[i]))
			return ma_errorf(MA_ERR_USAGE, "%s of which process? say --pid or --name (memattach ls)", word);
	return NULL;
}

static const struct ma_catalogue_row *nearest(const struct ma_catalogue_rows *rows, time_t at)
{
	const struct ma_catalogue_row *best = NULL;
	uint64_t wanted = (uint64_t)at * NS_PER_S, best_apart = 0;
	for (size_t i = 0; i < rows->count; i++) {
		const struct ma_catalogue_row *row = &rows->v[i];
		uint64_t apart = row->taken_ns > wanted ? row->taken_ns - wanted : wanted - row->taken_ns;
		if (row->state == MA_FILE_THERE && (!best || apart <= best_apart)) {
			best = row;
			best_apart = apart;
		}
	}
	return best;
}

static struct ma_error *say_time(struct ma_resolved *r, const char *word, const struct ma_catalogue_row *row)
{
	char taken[MA_WHEN_TEXT_MAX];
	return say(r, "%s is %s: taken %s, pid %" PRIu64, word, row->id, ma_when_text(taken, row->taken_ns), row->pid);
}

static struct ma_error *resolve_time(const char *word, const struct ma_catalogue_filter *which, time_t now,
				     struct ma_resolved *r)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	time_t at;
	MA_TRY(ma_when_parse(word + 1, now, &at));
	MA_TRY(ma_catalogue_open_read(&c));
	MA_TRY(ma_catalogue_list(c, which, &rows));
	if (!which->pid && !which->name)
		MA_TRY(check_one_process(&rows, word));
	MA_TRY(ma_moved_find(&rows));
	const struct ma_catalogue_row *row = nearest(&rows, at);
	if (!row)
		return ma_errorf(MA_ERR_OS, "%s: the catalogue has no snapshot%s (memattach ls)", word,
				 which->pid || which->name ? " of that process" : "");
	MA_TRY(take_row(r, row));
	return say_time(r, word, row);
}

/* ------------------------------------------------------------------ ids */

/* Where any of the listed files are, this one may be. */
static struct ma_error *find_moved(struct ma_catalogue *c, struct ma_catalogue_rows *row)
{
	_cleanup_rows_ struct ma_catalogue_rows all = { 0 };
	MA_TRY(ma_catalogue_list(c, &(struct ma_catalogue_filter){ 0 }, &all));
	MA_TRY(ma_moved_find(&all));
	for (size_t i = 0; i < all.count; i++) {
		if (strcmp(all.v[i].id, row->v[0].id) != 0)
			continue;
		struct ma_catalogue_row before = row->v[0];
		row->v[0] = all.v[i];
		all.v[i] = before;
	}
	return NULL;
}

static struct ma_error *resolve_id(const char *word, struct ma_resolved *r)
{
	bool file = access(word, F_OK) == 0;
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	struct ma_error *err = ma_catalogue_open_read(&c);
	if (!err)
		err = ma_catalogue_list(c, &(struct ma_catalogue_filter){ .id = word }, &rows);
	if (file) {
		/* a file needs no catalogue */
		ma_error_free(err);
		MA_TRY(take_path(r, word));
		return rows.count ? say(r, "%s is the file here; the snapshot %s is %s", word, word, rows.v[0].path)
				  : NULL;
	}
	if (err)
		return err;
	if (!rows.count)
		return ma_errorf(MA_ERR_OS, "%s is neither a file nor a snapshot of the catalogue (memattach ls)",
				 word);
	if (rows.v[0].state != MA_FILE_THERE)
		MA_TRY(find_moved(c, &rows));
	MA_TRY(check_row(&rows.v[0]));
	return take_row(r, &rows.v[0]);
}

struct ma_error *ma_resolve(const char *word, const struct ma_catalogue_filter *which, time_t now,
			    struct ma_resolved *ret)
{
	struct ma_resolved r = { 0 };
	struct ma_error *err;
	if (word[0] == '@')
		err = resolve_time(word, which, now, &r);
	else if (ma_catalogue_is_id(word))
		err = resolve_id(word, &r);
	else
		err = take_path(&r, word);
	if (err) {
		ma_resolved_deinit(&r);
		return err;
	}
	if (!r.id[0]) /* reading a file does not depend on the catalogue */
		ma_error_free(ma_moved_seen(r.path));
	*ret = r;
	return NULL;
}

void ma_resolved_deinit(struct ma_resolved *r)
{
	free(r->path);
	free(r->said);
	*r = (struct ma_resolved){ 0 };
}
