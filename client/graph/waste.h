// SPDX-License-Identifier: Apache-2.0
/* waste.h - memory that the same data would not take: copies, room that is not used, a dict for each instance, boxes.
 *
 * Each row is what would be saved if that alone were changed; rows of several kinds may count the same byte. */
#ifndef MA_WASTE_H
#define MA_WASTE_H

#include "graph.h"

/* MA_WASTE_KIND(id, name in JSON and SQL, for people) */
#define MA_WASTE_KINDS(MA_WASTE_KIND)                                                                                  \
	MA_WASTE_KIND(COPIES, "copies", "equal copies")                /* of str and bytes, by their hash */           \
	MA_WASTE_KIND(TUPLES, "equal-tuples", "equal copies")          /* tuples of the very same objects */           \
	MA_WASTE_KIND(ARRAYS, "equal-arrays", "probably equal copies") /* of numpy, by a hash of samples */            \
	MA_WASTE_KIND(ARRAY_LISTS, "array-and-list", "probably in an array, too") /* lists of float or int */          \
	MA_WASTE_KIND(ROOM, "unused-room", "room not in use") /* of list, dict, set: beyond what holds the entries */  \
	MA_WASTE_KIND(EMPTY, "empty", "empty ones")           /* containers without an entry */                        \
	MA_WASTE_KIND(SLOTS, "slots", "with __slots__") /* instances of a class, each with its attributes in a dict */ \
	MA_WASTE_KIND(BOXED, "boxed", "as an array")    /* long lists of nothing but int, or float */

enum ma_waste_kind {
#define MA_WASTE_KIND(id, name, text) MA_WASTE_##id,
	MA_WASTE_KINDS(MA_WASTE_KIND)
#undef MA_WASTE_KIND
		MA_WASTE_KIND_COUNT
};
const char *ma_waste_name(enum ma_waste_kind kind);
const char *ma_waste_text(enum ma_waste_kind kind);

struct ma_waste_row {
	enum ma_waste_kind kind;
	const char *type;         /* belongs to the snapshot; untrusted bytes */
	uint64_t count;           /* objects concerned */
	uint64_t bytes;           /* that would be saved */
	uint64_t each, each_then; /* SLOTS: mean size of an instance with its dict, now and then */
};

struct ma_duplicate {                /* equal str, bytes or arrays */
	uint32_t type_id, example;   /* node */
	uint64_t count, size, bytes; /* size of one; bytes: of all but one */
};
#define MA_DUPLICATES_MAX 20

struct ma_waste {
	struct ma_waste_row *rows; /* most bytes first */
	size_t count;
	bool hashes;                                       /* the snapshot has them: else nothing is known of copies */
	struct ma_duplicate duplicates[MA_DUPLICATES_MAX]; /* most bytes first */
	size_t duplicates_count;
};

/* The graph's books must be open; it need not have edges. One pass over the file; 1 byte an object, 12 for each str,
 * bytes and tuple and 8 for each instance with a dict while it runs. */
MA_CHECK struct ma_error *ma_waste_create(const struct ma_graph *g, struct ma_waste *ret);
/* The same in a thread of its own. Meanwhile the books may be closed and trees made; the graph has to live on. */
struct ma_waste_job;
MA_CHECK struct ma_error *ma_waste_start(const struct ma_graph *g, struct ma_waste_job **ret);
/* Waits for it and frees it. */
MA_CHECK struct ma_error *ma_waste_finish(struct ma_waste_job *job, struct ma_waste *ret);
void ma_waste_deinit(struct ma_waste *w);

#endif
