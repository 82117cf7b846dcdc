// SPDX-License-Identifier: Apache-2.0
/* memattach/snapshot.h - the snapshot file: written in constant memory, read with bounds on everything.
 * The layout is docs/snapshot-format.md; server/format is its only reader and writer. */
#ifndef MEMATTACH_SNAPSHOT_H
#define MEMATTACH_SNAPSHOT_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <memattach/wire.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* what libmemattach.so exports */

/* ------------------------------------------------------------------ writing */
struct ma_snap_writer;

struct ma_snap_writer_options {
	int zstd_level;       /* 0 = 1 */
	unsigned threads;     /* compressing threads beside the caller; 0 = 1 */
	size_t backlog_bytes; /* raw chunks waiting for compression before they are written uncompressed; 0 = 16 MiB */
};

/* Where the bytes of a snapshot go when not into a file: in order, each byte once. `write` may wait; an error that it
 * returns ends the writer. */
struct ma_snap_output {
	void *arg;
	struct ma_error *(*write)(void *arg, const void *data, size_t bytes);
};

/* Opens "PATH.tmp-XXXXXX" beside `path` (mode 0600, O_EXCL), so that an unwritable place shows before a
 * target is touched. Nothing ever stands half-written under `path` itself. */
MA_CHECK struct ma_error *ma_snap_writer_create(const char *path, const struct ma_snap_writer_options *opt,
						struct ma_snap_writer **ret);
/* The same into `output`, which is copied. Chunks that wait for compression may need an unnamed file in `folder`. */
MA_CHECK struct ma_error *ma_snap_writer_create_output(const struct ma_snap_output *output, const char *folder,
						       const struct ma_snap_writer_options *opt,
						       struct ma_snap_writer **ret);
/* One block. Copies the payload; waits for nothing but the disk: when compression falls behind, the chunk
 * is written uncompressed and rewritten by commit. */
MA_CHECK struct ma_error *ma_snap_writer_block(struct ma_snap_writer *w, const struct ma_block_hdr *hdr,
					       const void *payload);
/* Ends compression, rewrites what was left uncompressed, writes index and trailer, and, of a file, syncs and renames to `path`.
 * An existing file of that name is replaced. */
MA_CHECK struct ma_error *ma_snap_writer_commit(struct ma_snap_writer *w, uint64_t *file_bytes_ret);
/* Removes the temporary file unless committed. NULL is allowed. */
void ma_snap_writer_destroy(struct ma_snap_writer *w);

/* ------------------------------------------------------------------ reading */
struct ma_snap;

struct ma_str {
	const char *p; /* not NUL-terminated; untrusted bytes */
	uint32_t len;
};

struct ma_snap_type { /* index = type id - 1 */
	uint64_t addr;
	uint32_t flags; /* MA_TF_* */
	uint64_t basicsize, itemsize;
	struct ma_str module, qualname;
	char *name; /* "module.qualname", built-ins bare; NUL-terminated, control bytes still in it */
};

struct ma_snap_tid {
	uint64_t tid, fs_base;
	char *name;
};

struct ma_snap_interp_state {
	uint64_t id, own_gil, consistency;
};

struct ma_snap_meta { /* absent numbers are 0, absent strings are "" */
	uint64_t taken_realtime_ns, taken_monotonic_ns, pid, parent_pid, uid, start_time, uptime_ns;
	uint64_t raw_bytes, raw_saved_ns, live_bytes; /* kept out of the copy; 0 = nothing was */
	uint64_t pause_ns, safe_ns, twin_ns, walk_ns, call_ns, attempts, faults, target_faults;
	uint64_t rss_anon, rss_file, rss_shmem, vm_pte, cgroup_limit, cgroup_usage;
	uint64_t source; /* enum ma_source */
	uint64_t consistency, values, values_limit, values_str_base, values_key_id;
	char *host, *command, *python, *exe, *libpython, *build_id, *layout_source, *tool, *arch;
	struct ma_snap_tid *tids;
	size_t tids_count;
	struct ma_snap_interp_state *interps;
	size_t interps_count;
	char **notes;
	size_t notes_count;
};

struct ma_snap_region {
	uint64_t start, end, inode, rss, pss, private_dirty, private_clean, shared, anonymous, huge, swap;
	uint32_t prot, kind;
	char *path;
};

struct ma_snap_local {
	uint64_t dst;
	uint32_t name_id; /* 0 = none */
	bool borrowed;
};

struct ma_snap_frame {
	uint64_t code, addr;
	uint32_t file_id, function_id, line;
	uint32_t locals_begin, locals_end; /* in ma_snap.locals */
	uint64_t entry_addr; /* an address within the native frame that runs it, 0 = not known */
	bool entry;          /* entered from C: one native frame runs it and the frames before it, back to the last entry */
};

/* Native stacks, where they were asked for: as they were at the stop. */
struct ma_snap_native_frame {
	uint64_t pc, sp;                      /* sp 0 = not known */
	uint32_t flags, line;                 /* MA_NF_*; line 0 = not known */
	const char *function, *module, *file; /* "" where not known */
};

struct ma_snap_native {
	uint64_t tid, fs_base;
	bool cut;                          /* the outermost frames are missing */
	uint32_t frames_begin, frames_end; /* in native_frames, innermost first */
};

struct ma_snap_thread {
	uint64_t pthread_id, native_id, tstate, interp_id;
	uint64_t tid;     /* as the machine that took the snapshot sees it; 0 = not known */
	const char *name; /* never NULL */
	bool holds_gil;
	uint32_t frames_begin, frames_end; /* innermost first */
};

struct ma_snap_interp {
	uint64_t id, addr;
	bool collecting;
	uint32_t locals_begin, locals_end; /* the objects it holds */
	bool own_gil;                      /* one that the main interpreter does not share */
	uint64_t consistency;              /* enum ma_consistency; of the file as a whole where it says nothing more */
};

struct ma_snap_arena {
	uint64_t addr, bytes, pools, free_pools;
};

struct ma_snap_class {
	uint64_t block_bytes, pools, used, free, objects, waste_bytes;
};

struct ma_snap_freelist {
	char *name;
	uint64_t objects, bytes;
};

struct ma_snap_raw { /* a buffer */
	uint64_t addr, bytes, owner;
	uint32_t kind; /* enum ma_raw_kind */
};

struct ma_snap_word { /* a word of a library's data */
	uint64_t addr, object;
};

/* ---- where memory was allocated, where tracemalloc was on */
struct ma_snap_site_frame {
	uint32_t file_id, line; /* a name; 0 = not known */
};

struct ma_snap_site { /* index = site id - 1 */
	uint32_t frames_begin, frames_end; /* in site_frames, innermost first; none when its definition is lost */
	uint32_t total; /* frames that the traceback had; tracemalloc keeps the innermost ones */
};

struct ma_snap_trace { /* a block of memory */
	uint64_t addr, bytes; /* as they were asked for */
	uint32_t site_id;     /* checked; 0 = not known */
	uint32_t domain;      /* 0 = Python's allocators */
};

struct ma_snap_content { /* of an array: the same hash and bytes, probably the same data */
	uint64_t object, bytes, hash;
	uint32_t kind;    /* enum ma_content_kind; NONE: there are no samples */
	uint32_t samples; /* position in `samples` */
};

struct ma_snap_samples { /* items of an array */
	uint64_t words[MA_CONTENT_SAMPLES];
};

/* ---- what the rest of the memory is: MA_BLOCK_MALLOC. Ranges lie below 2^47 and are not empty. */
struct ma_snap_run { /* resident pages; sorted, apart from each other */
	uint64_t start, end;
};

struct ma_snap_chunks {
	uint64_t chunks, bytes, resident;
};

struct ma_snap_heap { /* of glibc */
	uint64_t arena, start, end;
	bool main;
	struct ma_snap_chunks used, cached, free, top;
	uint64_t trimmable, unread;
};

struct ma_snap_span {
	uint64_t start, end, tid;
	uint32_t kind; /* enum ma_malloc_span, or one of a later version */
};

struct ma_snap_fill { /* of an arena of pymalloc */
	uint64_t addr, carved, used, free, used_pools;
};

struct ma_snap_zero {
	uint64_t start, end, zeros;
};

/* Everything but the objects, loaded by open. All pointers belong to the snapshot. */
struct ma_snap_tables {
	struct ma_snap_meta meta;
	const struct ma_snap_type *types;
	size_t types_count;
	const struct ma_str *names; /* index = name id - 1 */
	size_t names_count;
	const struct ma_snap_region *regions;
	size_t regions_count;
	const struct ma_snap_thread *threads;
	size_t threads_count;
	const struct ma_snap_frame *frames;
	size_t frames_count;
	const struct ma_snap_interp *interps;
	size_t interps_count;
	const struct ma_snap_local *locals;
	size_t locals_count;
	const struct ma_snap_native *natives;
	size_t natives_count;
	const struct ma_snap_native_frame *native_frames;
	size_t native_frames_count;
	const struct ma_snap_arena *arenas;
	size_t arenas_count;
	const struct ma_snap_class *classes;
	size_t classes_count;
	const struct ma_snap_freelist *freelists;
	size_t freelists_count;
	const struct ma_snap_raw *raws;
	size_t raws_count;
	const struct ma_snap_word *words;
	size_t words_count;
	const struct ma_snap_content *contents;
	size_t contents_count;
	const struct ma_snap_samples *samples;
	size_t samples_count;
	const struct ma_snap_site *sites;
	size_t sites_count;
	const struct ma_snap_site_frame *site_frames;
	const struct ma_snap_run *pages; /* none: it is not known which pages were resident */
	size_t pages_count;
	const struct ma_snap_run *huge;
	size_t huge_count;
	const struct ma_snap_heap *heaps;
	size_t heaps_count;
	const struct ma_snap_span *spans;
	size_t spans_count;
	const struct ma_snap_fill *fills;
	size_t fills_count;
	const struct ma_snap_zero *zeros;
	size_t zeros_count;
	uint64_t stats[64]; /* by enum ma_stat_id */
	uint64_t file_bytes, chunks, damaged_chunks;
	bool complete; /* trailer and index were there and every chunk is whole */
	char *missing; /* one sentence when not complete, else NULL */
};

/* Opens a file. A foreign file gives MA_ERR_BAD_DATA. A truncated or damaged one opens up to what is whole:
 * tables->complete is false and `missing` says what is not there. */
MA_CHECK struct ma_error *ma_snap_open(const char *path, struct ma_snap **ret);
/* The same, but of the tables only `meta`, `stats` and what says whether the file is whole: constant memory. For whoever
 * wants to know what a file is; not for a cursor. */
MA_CHECK struct ma_error *ma_snap_open_head(const char *path, struct ma_snap **ret);
const struct ma_snap_tables *ma_snap_tables(const struct ma_snap *s);
void ma_snap_close(struct ma_snap *s);
#define _cleanup_snap_ __attribute__((__cleanup__(ma_snap_close_p)))
void ma_snap_close_p(struct ma_snap **s);

struct ma_snap_object {
	uint64_t addr, size, refcnt /* 0 with immortal */, buffer;
	uint32_t type_id; /* checked: 1 .. types_count, or 0 when its definition is lost */
	bool gc, immortal, has_edges;
	uint32_t extra; /* MA_OX_* */
	enum ma_place place;
};

struct ma_snap_edge {
	uint64_t src, dst;
	enum ma_edge_kind kind;
	uint64_t index;   /* MA_EDGE_NEXT and MA_EDGE_AT */
	uint32_t name_id; /* MA_EDGE_NAMED and MA_EDGE_BORROWED; 0 = none */
	uint64_t key;     /* MA_EDGE_VALUE: address of its key */
};

/* What the snapshot has of the contents of an object. */
struct ma_snap_value {
	enum ma_value_kind kind;
	bool known;       /* false: it could not be read, or is lost */
	bool read_failed; /* the first of these */
	uint64_t length; /* str: characters, bytes: bytes */
	uint64_t hash;   /* str and bytes: 40 bits */
	bool has_text;   /* the next two, with --values=prefix:N and all */
	const uint8_t *text; /* as wire.h says; untrusted; valid until the next object */
	uint32_t text_bytes;
};

/* A pass over all objects in file order, one chunk in memory at a time. A record with MA_OX_CONT is handed out
 * like an object; most callers skip it but read its edges. Edges not read are skipped by the next
 * ma_snap_next_object(). */
struct ma_snap_cursor;
MA_CHECK struct ma_error *ma_snap_cursor_create(const struct ma_snap *s, struct ma_snap_cursor **ret);
void ma_snap_cursor_destroy(struct ma_snap_cursor *c);
/* Makes the pass read values, too: before its first object. */
MA_CHECK struct ma_error *ma_snap_cursor_values(struct ma_snap_cursor *c);
/* The value of the object that came last; false when there is none. */
bool ma_snap_value(const struct ma_snap_cursor *c, struct ma_snap_value *ret);
/* Chunks of the file are numbered from 0 to ma_snap_chunks() - 1, in the order of the pass. */
size_t ma_snap_chunks(const struct ma_snap *s);
/* Records of objects in a chunk. */
uint32_t ma_snap_chunk_objects(const struct ma_snap *s, size_t chunk);
/* The chunk of the object that came last. */
size_t ma_snap_cursor_chunk(const struct ma_snap_cursor *c);
/* Passes over the objects of chunks for which `wanted`, by number, is 0. It must live as long as the cursor does. */
void ma_snap_cursor_only(struct ma_snap_cursor *c, const uint8_t *wanted);
/* true and *ret, or false at the end (or when an error was met: see ma_snap_cursor_error). */
bool ma_snap_next_object(struct ma_snap_cursor *c, struct ma_snap_object *ret);
bool ma_snap_next_edge(struct ma_snap_cursor *c, struct ma_snap_edge *ret);
/* Passes over the edges that were not read and adds how many there are, and how many of them are MA_EDGE_BORROWED. */
void ma_snap_count_edges(struct ma_snap_cursor *c, uint64_t *edges, uint64_t *borrowed);
/* Damaged chunks are passed over and counted in tables->damaged_chunks at open time; an error here means that
 * memory ran out, the file changed while it was read, or a record behind a right checksum is malformed. */
MA_CHECK struct ma_error *ma_snap_cursor_error(struct ma_snap_cursor *c);

/* A pass over the blocks of memory that tracemalloc knew, in file order, which is nearly that of their addresses. It goes
 * as the pass over the objects does. */
struct ma_trace_cursor;
MA_CHECK struct ma_error *ma_trace_cursor_create(const struct ma_snap *s, struct ma_trace_cursor **ret);
void ma_trace_cursor_destroy(struct ma_trace_cursor *c);
bool ma_trace_next(struct ma_trace_cursor *c, struct ma_snap_trace *ret);
MA_CHECK struct ma_error *ma_trace_cursor_error(struct ma_trace_cursor *c);

/* `memattach check`: reads every byte, checks every checksum and every record. NULL when whole; MA_ERR_BAD_DATA
 * with the first thing that is wrong and where. */
MA_CHECK struct ma_error *ma_snap_check(const char *path, uint64_t *objects_ret, uint64_t *edges_ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
