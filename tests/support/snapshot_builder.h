// SPDX-License-Identifier: Apache-2.0
/* snapshot_builder.h - makes snapshot files for tests, record by record, as the agent and the tool would.
 * Link `ma_test_support`. Any failure prints a line and aborts: a test that can not build its input is broken.
 *
 * Types and names may be added at any time before they are used; ids count from 1. Edges belong to the
 * object, frame or interpreter added last. Example:
 *
 *	struct snap_builder *b = sb_create("/tmp/x.masnap");
 *	uint32_t t_dict = sb_type(b, "", "dict", 0x1000, 0, 64, 0);
 *	sb_object(b, &(struct sb_object){ .addr = 0x2000, .type = t_dict, .size = 232, .refcnt = 1, .gc = true });
 *	sb_edge(b, MA_EDGE_KEY, 0x3000, 0);
 *	sb_edge(b, MA_EDGE_VALUE, 0x4000, 0);
 *	sb_finish(b);
 */
#ifndef MA_TEST_SNAPSHOT_BUILDER_H
#define MA_TEST_SNAPSHOT_BUILDER_H

#include <memattach/snapshot.h>

struct snap_builder;

/* A builder that writes to `path`. */
struct snap_builder *sb_create(const char *path);
/* The same with options of the writer. */
struct snap_builder *sb_create_opt(const char *path, const struct ma_snap_writer_options *opt);
/* Writes STATS (objects, edges, types, names, threads, frames, arenas as counted, unless sb_stat gave
 * another value) and RESULT, commits and frees. Returns the size of the file. */
uint64_t sb_finish(struct snap_builder *b);
/* Ends every open block, so that what follows stands in another block. */
void sb_flush(struct snap_builder *b);

void sb_meta_num(struct snap_builder *b, enum ma_meta_tag tag, uint64_t value);
void sb_meta_str(struct snap_builder *b, enum ma_meta_tag tag, const char *text);
void sb_meta_tid(struct snap_builder *b, uint64_t tid, uint64_t fs_base, const char *comm);
/* The META fields that a report wants: pid 4242, host "builder", Python 3.11.7, 10 MB RssAnon, ... */
void sb_meta_default(struct snap_builder *b);
/* The same fields as sb_meta_num, but in the RESULT block at the end. */
void sb_result_num(struct snap_builder *b, enum ma_meta_tag tag, uint64_t value);
void sb_stat(struct snap_builder *b, enum ma_stat_id stat, uint64_t value);

uint32_t sb_type(struct snap_builder *b, const char *module, const char *qualname, uint64_t addr, uint32_t flags,
		 uint64_t basicsize, uint64_t itemsize);
uint32_t sb_name(struct snap_builder *b, const char *text);
/* The next type or name defined gets this id: makes a gap, as a lost chunk would. */
void sb_skip_type_ids(struct snap_builder *b, uint32_t count);
void sb_skip_name_ids(struct snap_builder *b, uint32_t count);

struct sb_object {
	uint64_t addr; /* a multiple of 8 */
	uint32_t type;
	uint64_t size, refcnt /* 0 = immortal */, buffer;
	uint32_t extra; /* MA_OX_* */
	enum ma_place place;
	bool gc;
};
void sb_object(struct snap_builder *b, const struct sb_object *o);
/* `arg`: the index of MA_EDGE_AT, the name id of MA_EDGE_NAMED and MA_EDGE_BORROWED, else not used. */
void sb_edge(struct snap_builder *b, enum ma_edge_kind kind, uint64_t dst, uint64_t arg);

void sb_thread(struct snap_builder *b, uint64_t pthread_id, uint64_t native_id, uint64_t tstate, uint64_t interp_id,
	       bool holds_gil);
/* Innermost first, of the thread before; edges that follow are its locals. */
void sb_frame(struct snap_builder *b, uint64_t code, uint32_t file_id, uint32_t function_id, uint32_t line,
	      uint64_t addr);
/* The frame added last was entered from C; `addr` lies in the native frame that runs it, 0 = not known. */
void sb_entry(struct snap_builder *b, uint64_t addr);
/* Native stacks: a thread, then its frames, innermost first. */
void sb_native_thread(struct snap_builder *b, uint64_t tid, uint64_t fs_base, unsigned flags);
void sb_native_frame(struct snap_builder *b, uint64_t pc, uint64_t sp, unsigned flags, const char *function,
		     const char *module, const char *file, unsigned line);
void sb_interp(struct snap_builder *b, uint64_t id, uint64_t addr, bool collecting);

void sb_arena(struct snap_builder *b, uint64_t addr, uint64_t bytes, uint64_t pools, uint64_t free_pools);
void sb_class(struct snap_builder *b, uint64_t block_bytes, uint64_t pools, uint64_t used, uint64_t free_blocks,
	      uint64_t objects, uint64_t waste_bytes);
void sb_freelist(struct snap_builder *b, const char *name, uint64_t objects, uint64_t bytes);
/* A buffer that `object` owns; with MA_RAW_WORD a word at `addr` that is the address of `object` (`bytes` not used). */
void sb_buffer(struct snap_builder *b, enum ma_raw_kind kind, uint64_t addr, uint64_t bytes, uint64_t object);
/* A site with `count` frames, innermost first, of `total`; returns its id. */
uint32_t sb_site(struct snap_builder *b, const struct ma_snap_site_frame *frames, size_t count, uint32_t total);
/* A block of memory that tracemalloc knows. */
void sb_trace(struct snap_builder *b, const struct ma_snap_trace *t);
/* The hash of what an array has: `bytes` of data; MA_CONTENT_SAMPLES items of int64, or NULL. */
void sb_content(struct snap_builder *b, uint64_t object, uint64_t bytes, uint64_t hash, const uint64_t *samples);
void sb_region(struct snap_builder *b, const struct ma_snap_region *r); /* r->path may be NULL */

/* A block of any bytes, as they are. */
void sb_raw_block(struct snap_builder *b, uint32_t kind, uint32_t records, const void *payload, uint32_t bytes);

/* A file with some of every record kind (6 types, 7 names, 2 threads, 3 frames, ...), for readers. `objects` is
 * the number of instances in a list that a local holds. */
void sb_sample(const char *path, unsigned objects);
/* Threads 4242 and 4243, native stacks of those and of 4244: two Python frames run by one evaluation loop, a C function
 * that called Python back, a loop that has no frame yet, a thread that goes on in another block, one without Python. */
void sb_native_sample(const char *path);
/* A dict with keys and values of every kind of value, their texts cut at 20 characters. */
void sb_values_sample(const char *path, enum ma_values mode);
/* A list of floats and bytes, with tracemalloc on: five sites, and blocks of which some hold no object. */
void sb_sites_sample(const char *path);

/* One field of a MALLOC block, in a block of its own. */
void sb_malloc_field(struct snap_builder *b, enum ma_malloc_tag tag, const uint64_t *v, size_t count);
#define SB_MALLOC_PAGES 1u   /* which pages were resident is known */
#define SB_MALLOC_HEAPS 2u   /* the heap of glibc was read */
#define SB_MALLOC_FOREIGN 4u /* jemalloc is mapped */
/* A file in which the place of every resident byte is known (snapshot_malloc.c). */
void sb_malloc_sample(const char *path, unsigned what);

#endif
