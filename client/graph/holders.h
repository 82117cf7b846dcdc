// SPDX-License-Identifier: Apache-2.0
/* holders.h - who holds the memory: the objects below which it spreads out, and the classes of the program.
 *
 * Each object counts once in `bytes`: for the nearest holder that dominates it, else, where several objects share it,
 * for the nearest one on the shortest way to it (tree.h). `retained` is what would be freed with the holder, holders
 * below it included and what it shares with others left out (dominators.h). */
#ifndef MA_HOLDERS_H
#define MA_HOLDERS_H

#include "sites.h"

#define MA_HELD_MAX 12

struct ma_holder {
	uint64_t addr;
	uint32_t type_id;
	uint64_t bytes, objects; /* held, itself included, other holders and what they hold not */
	uint64_t retained;
	uint64_t elements; /* entries of a dict, items, attributes */
	uint32_t mostly;   /* type id of most of its elements, by bytes with what hangs below; 0 = none */
	uint64_t mostly_count, mostly_bytes;
	bool namespace;    /* of a module */
	bool native, lost; /* it hangs below what only native code holds, or in cycles that nothing reaches */
	enum ma_suspect_kind kind;
	struct ma_below below; /* all that `bytes` counts */
	char *path;            /* "app.cache.items"; untrusted bytes, NUL-terminated */
};

/* A class (heap type with a module): its instances with what only hangs below them. */
struct ma_class_share {
	const char *name; /* belongs to the snapshot */
	uint64_t count, own_bytes;
	uint64_t bytes; /* own_bytes + attributes and what hangs below, up to the next instance of a class */
};

struct ma_suspect {
	int holder; /* position in `holders`; -1: a group of objects without one */
	enum ma_suspect_kind kind;
	const char *path; /* belongs to the holder, or a constant */
	uint64_t bytes;   /* held or retained, whichever is more */
	uint64_t retained, objects;
	struct ma_below below;
};

struct ma_held {
	struct ma_holder holders[MA_HELD_MAX]; /* most bytes first */
	size_t holders_count;
	struct ma_class_share *classes; /* most bytes first */
	size_t classes_count;
	uint64_t native_bytes, native_objects; /* below what only native code holds */
	uint64_t lost_bytes, lost_objects;     /* in cycles that nothing reaches */
	struct ma_below native, lost;
	struct ma_suspect suspects[MA_SUSPECTS_MAX]; /* most bytes first */
	size_t suspects_count;
};

/* `sites` (with its line_of) says where objects were allocated. The graph's books must be open; they are closed by it.
 * Sets `retained` of the types in g->totals, too. 17 bytes an object while it runs, or what dominators.h says. */
MA_CHECK struct ma_error *ma_held_create(struct ma_graph *g, const struct ma_sites *sites, struct ma_held *ret);
void ma_held_deinit(struct ma_held *h);

#endif
