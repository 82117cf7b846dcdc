// SPDX-License-Identifier: Apache-2.0
/* catalogue.h - the list of all snapshots that this user took: one SQLite file beside them, a row for each.
 *
 * The files are the truth: the list only finds them. So a snapshot never fails for the list, and a row whose file is
 * gone is shown as such. Several commands may use it at a time. */
#ifndef MA_CATALOGUE_H
#define MA_CATALOGUE_H

#include <memattach/error.h>
#include <memattach/types.h>

struct ma_snap;

#define MA_ID_MAX 16 /* of an id, its NUL included */

enum ma_file_state {
	MA_FILE_THERE,
	MA_FILE_MISSING, /* moved, deleted, or out of reach */
	MA_FILE_OTHER,   /* another file stands in its place */
};

struct ma_catalogue_row {
	char id[MA_ID_MAX];
	char *path; /* absolute */
	char *host, *command, *python;
	uint64_t taken_ns;   /* since 1970 */
	uint64_t start_time; /* of the process: clock ticks after boot */
	uint64_t started_ns; /* the same since 1970, as exact as uptime is */
	uint64_t pid, objects, bytes, rss_bytes, file_bytes;
	uint64_t values_mode, values_limit; /* enum ma_values, N of prefix:N */
	uint64_t tree;                      /* not 0: equal for all processes that were taken together */
	bool complete;
	enum ma_file_state state;
};

struct ma_catalogue_rows { /* in the order in which they were taken */
	struct ma_catalogue_row *v;
	size_t count;
};

/* Which snapshots: all of the given that are not 0 or NULL. */
struct ma_catalogue_filter {
	uint64_t pid;
	const char *name; /* a part of the command line, or a pattern of it where it has *, ? or [ */
	const char *id;
	uint64_t tree, file_bytes;
};

struct ma_catalogue;

/* To add and remove: makes folder and file (0700, 0600) where they are not there. */
MA_CHECK struct ma_error *ma_catalogue_open(struct ma_catalogue **ret);
/* To look only. *ret is NULL when there is no catalogue yet. */
MA_CHECK struct ma_error *ma_catalogue_open_read(struct ma_catalogue **ret);
void ma_catalogue_close(struct ma_catalogue *c); /* NULL is fine */
void ma_catalogue_close_p(struct ma_catalogue **c);
#define _cleanup_catalogue_ __attribute__((__cleanup__(ma_catalogue_close_p)))

/* Lists the snapshot file `path`; a row that had this path goes. `tree`: 0 or the number of a tree. The caller owns
 * *ret (ma_catalogue_row_deinit). */
MA_CHECK struct ma_error *ma_catalogue_add(struct ma_catalogue *c, const char *path, uint64_t tree,
					   struct ma_catalogue_row *ret);
/* What the file `path` says of itself: as a row that is not listed, without id. The caller owns *ret. */
MA_CHECK struct ma_error *ma_catalogue_read(const char *path, struct ma_catalogue_row *ret);
/* Those of `rows` that were `found` are at their path now; rows that had one of these paths go. */
MA_CHECK struct ma_error *ma_catalogue_move(struct ma_catalogue *c, const struct ma_catalogue_rows *rows,
					    const bool *found);
/* c may be NULL: no rows. The states of the files are looked up now. */
MA_CHECK struct ma_error *ma_catalogue_list(struct ma_catalogue *c, const struct ma_catalogue_filter *which,
					    struct ma_catalogue_rows *ret);
/* All listed snapshots of the process of which `s` is, those whose files are gone, too. */
MA_CHECK struct ma_error *ma_catalogue_series(struct ma_catalogue *c, const struct ma_snap *s,
					      struct ma_catalogue_rows *ret);
/* Deletes the file, if it is still the one that was taken, and the row. MA_ERR_BAD_DATA, and nothing is done, when
 * another file stands there. */
MA_CHECK struct ma_error *ma_catalogue_remove(struct ma_catalogue *c, const struct ma_catalogue_row *row);
/* The row alone. */
MA_CHECK struct ma_error *ma_catalogue_forget(struct ma_catalogue *c, const char *id);
/* Are both of one process? */
bool ma_catalogue_same_process(const struct ma_catalogue_row *a, const struct ma_catalogue_row *b);

void ma_catalogue_row_deinit(struct ma_catalogue_row *row);
void ma_catalogue_rows_deinit(struct ma_catalogue_rows *rows);
#define _cleanup_row_ __attribute__((__cleanup__(ma_catalogue_row_deinit)))
#define _cleanup_rows_ __attribute__((__cleanup__(ma_catalogue_rows_deinit)))

/* Has `text` the form of an id: four or more of 0-9a-f, a digit and a letter among them, so that it is never a process
 * id? */
bool ma_catalogue_is_id(const char *text);
/* Does the command line match the name? As in ma_catalogue_filter. */
bool ma_catalogue_name_matches(const char *name, const char *command);

#endif
