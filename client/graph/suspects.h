// SPDX-License-Identifier: Apache-2.0
/* suspects.h - what a person should look at first: the holders that stand out, what kind of holder each is, and what it
 * consists of. A program in which nothing stands out has none. */
#ifndef MA_SUSPECTS_H
#define MA_SUSPECTS_H

#include "graph.h"
#include "tree.h"

#define MA_SUSPECTS_MAX 5
#define MA_CONSISTS_MAX 4

/* MA_SUSPECT_KIND(id, name in JSON, advice; NULL = by type of the holder) */
#define MA_SUSPECT_KINDS(MA_SUSPECT_KIND)                                                                             \
	MA_SUSPECT_KIND(PLAIN, "container", NULL)                                                                     \
	MA_SUSPECT_KIND(CALLS, "call-cache", "a cache of calls without a bound: give lru_cache a maxsize")            \
	MA_SUSPECT_KIND(BOUND_CALLS, "bound-call-cache", "a cache of calls with a bound: is its maxsize too large?")  \
	MA_SUSPECT_KIND(EXCEPTIONS, "exceptions",                                                                     \
			"exceptions keep all frames by their traceback: keep the text instead")                       \
	MA_SUSPECT_KIND(GENERATORS, "generators", "generators that wait keep their locals: close() those not needed") \
	MA_SUSPECT_KIND(TASKS, "tasks", "tasks that wait keep their locals: cancel or await them, or limit them")     \
	MA_SUSPECT_KIND(LISTENERS, "listeners", "callbacks that nobody takes out again: unregister them")             \
	MA_SUSPECT_KIND(LOGGERS, "loggers", "loggers live for ever: one for each module, not for each request")       \
	MA_SUSPECT_KIND(CLASSES, "classes", "classes made again and again: make each once and keep it")               \
	MA_SUSPECT_KIND(OUTPUT, "ipython-output",                                                                     \
			"IPython keeps what each cell returned: %reset -f out, or cache_size = 0")                    \
	MA_SUSPECT_KIND(LAST_ERROR, "last-error", "the last exception not caught: del sys.last_traceback frees it")   \
	MA_SUSPECT_KIND(SAVED_GARBAGE, "saved-garbage", "the collector puts garbage there under DEBUG_SAVEALL")       \
	MA_SUSPECT_KIND(THREAD_LOCAL, "thread-local", "lives as long as its thread: bound it, or clear it after use") \
	MA_SUSPECT_KIND(CLASS_ATTRIBUTE, "class-attribute",                                                           \
			"an attribute of a class lives as long as the class: bound it")                               \
	MA_SUSPECT_KIND(CLOSURE, "closure", "a closure keeps it: let go of the function, or bound it")                \
	MA_SUSPECT_KIND(GARBAGE, "garbage", "cycles not collected yet: is gc off, or its threshold high?")            \
	MA_SUSPECT_KIND(FINALISERS, "garbage-with-finalisers",                                                        \
			"cycles with a __del__, not collected yet: is gc off? use a weak reference")                  \
	MA_SUSPECT_KIND(NATIVE, "native", "only C code refers to these: a cache, or a leak, of an extension")

enum ma_suspect_kind {
#define MA_SUSPECT_KIND(id, name, advice) MA_SUSPECT_##id,
	MA_SUSPECT_KINDS(MA_SUSPECT_KIND)
#undef MA_SUSPECT_KIND
		MA_SUSPECT_KIND_COUNT
};
const char *ma_suspect_kind_name(enum ma_suspect_kind kind);
/* One sentence that fits into 72 columns; NULL: it goes by the type of the holder. */
const char *ma_suspect_kind_advice(enum ma_suspect_kind kind);

struct ma_consists {
	uint32_t type_id;
	uint64_t count, bytes;
};

/* What holders.c counted below one holder, or below all that native code or garbage holds. */
struct ma_below {
	struct ma_consists consists[MA_CONSISTS_MAX]; /* most bytes first; at least 1/20 of the bytes each */
	size_t consists_count;
	uint64_t tracebacks, generators, tasks, loggers;
	size_t line; /* position + 1 of the line that allocated most of its bytes (sites.h); 0 = not known */
	uint64_t line_count, line_bytes;
};

struct ma_held;
/* Sets `kind` of each holder at `nodes`, and held->suspects. The paths must be there. */
MA_CHECK struct ma_error *ma_suspects_find(struct ma_graph *g, const struct ma_tree *t, const uint32_t *nodes,
					   struct ma_held *held);
/* Counts `count` objects of type `name` into `below`. */
void ma_below_add(struct ma_below *below, const char *name, uint64_t count);

#endif
