// SPDX-License-Identifier: Apache-2.0
/* memattach/wire.h - what the agent writes, the ring carries and the snapshot file stores: blocks of
 * packed records. The agent, the format writer and the reader share this header and nothing else;
 * it needs <stdint.h> only. Everything is little-endian.
 *
 * A BLOCK is a header and at most MA_BLOCK_PAYLOAD bytes of records of one kind. Every block can be
 * read alone: delta state starts at zero in each, and a type or name is defined in a TYPES or NAMES
 * block that comes before the first block which uses its id. So a lost block costs only itself.
 *
 * In the records below `v` is an unsigned LEB128 varint, `z` a zigzag varint, `s` a string: v length
 * in bytes, then the bytes (UTF-8 as the target had it, untrusted, no NUL at the end).
 */
#ifndef MEMATTACH_WIRE_H
#define MEMATTACH_WIRE_H

#include <stdint.h>

#ifdef __cplusplus
#define MA_WIRE_ASSERT static_assert
#else
#define MA_WIRE_ASSERT _Static_assert
#endif

#define MA_WIRE_VERSION 1u

#define MA_SLOT_BYTES (256u * 1024u)
#define MA_BLOCK_PAYLOAD (MA_SLOT_BYTES - 16u)
#define MA_FRAMES_MAX (1u << 20) /* of all threads: the agent writes no more, and a reader takes no more */
#define MA_RING_SLOTS 31u /* 31 slots and one page of control: under 8 MB in all */

enum ma_block_kind {
	MA_BLOCK_META = 1,    /* by the tool: enum ma_meta_tag fields */
	MA_BLOCK_TYPES = 2,   /* by the agent: type records */
	MA_BLOCK_NAMES = 3,   /* by the agent: name records */
	MA_BLOCK_OBJECTS = 4, /* by the agent: object records */
	MA_BLOCK_THREADS = 5, /* by the agent: thread and frame records */
	MA_BLOCK_ARENAS = 6,  /* by the agent: arena and pool records */
	MA_BLOCK_REGIONS = 7, /* by the tool: the twin's smaps */
	MA_BLOCK_STATS = 8,   /* by the agent, last: enum ma_stat_id counters */
	MA_BLOCK_RESULT = 9,  /* by the tool, after the agent ended: meta fields known only then */
	MA_BLOCK_MALLOC = 10, /* by the tool and the agent: what the rest of the memory is, enum ma_malloc_tag fields */
	MA_BLOCK_NATIVE = 11, /* by the tool, on request: native stacks */
	MA_BLOCK_RAW = 12,    /* by the agent: buffers of native code, and native words that hold objects */
	MA_BLOCK_VALUES = 13, /* by the agent, before the OBJECTS block they belong to: a column of its own */
	MA_BLOCK_SITES = 14,  /* by the agent, where tracemalloc was on: places in the source that allocated */
	MA_BLOCK_TRACES = 15, /* by the agent, after the SITES they name: what was allocated there */
	MA_BLOCK_CONTENTS = 16, /* by the agent, with values: hashes of the data of arrays */
};

struct ma_block_hdr {
	uint32_t kind;     /* enum ma_block_kind */
	uint32_t bytes;    /* of payload after this header, at most MA_BLOCK_PAYLOAD */
	uint32_t records;  /* how many records begin in it */
	uint32_t reserved; /* 0 */
};
MA_WIRE_ASSERT(sizeof(struct ma_block_hdr) == 16, "block header");

/* ---- TYPES: one record for each type the first time an object of it is written.
 * v id (1, 2, 3, ... in order), v address, v flags (MA_TF_*), v basicsize, v itemsize,
 * s module (empty for built-ins), s qualified name. Strings are cut at MA_NAME_MAX bytes. */
#define MA_TF_HEAP 1u    /* heap type: each instance holds a counted reference to it */
#define MA_TF_SIZER 2u   /* sizes of its instances are exact, not a lower bound */
#define MA_TF_VISITOR 4u /* its edges come from a visitor of ours alone, not from tp_traverse */
#define MA_TF_VALUES 8u  /* each record of it has an entry in VALUES, of this kind: */
#define MA_TF_VALUE_KIND(flags) ((flags) >> 8 & 3)
#define MA_TF_VALUE_KIND_SHIFT 8
enum ma_value_kind { MA_VALUE_STR = 0, MA_VALUE_BYTES = 1, MA_VALUE_INT = 2, MA_VALUE_FLOAT = 3 };
#define MA_TF_GUESSED 16u /* its instances are searched word by word: of an extension beside tp_traverse, and in what is no
			   * twin (MA_META_SOURCE) all whose edges tp_traverse would have told */

/* ---- NAMES: v id (1, 2, 3, ... in order), s text. Names of attributes, globals, functions and files:
 * they belong to code. Dict keys that are data are never names. */
#define MA_NAME_MAX 1024u

/* ---- OBJECTS. prev = 0 at the start of each block; address = prev + 8 * z.
 *   z  (address - prev) / 8
 *   v  type id << 6 | MA_OF_* flags
 *   v  size in bytes, as sys.getsizeof would say, GC header and owned buffers included
 *   v  reference count; 0 = immortal
 *  [v  bytes of `size` that lie in buffers outside the object's own block]   with MA_OF_BUFFER
 *  [v  MA_OX_* flags]                                                        with MA_OF_EXTRA
 *  [edges, ended by a 0]                                                     with MA_OF_EDGES
 * An edge is v ((zigzag((dst - last) / 8) << 3 | enum ma_edge_kind) + 1), where last is the dst of the
 * edge before in this record, at first the object's own address; then what its kind asks for.
 * The edge to the object's own type is implied, not written, where the type has MA_TF_HEAP. */
#define MA_OF_EDGES 1u
#define MA_OF_GC 2u         /* has a GC header */
#define MA_OF_PLACE_SHIFT 2 /* two bits, enum ma_place */
#define MA_OF_BUFFER 16u
#define MA_OF_EXTRA 32u
#define MA_OF_BITS 6

enum ma_place {
	MA_PLACE_ARENA = 0,  /* a pymalloc block */
	MA_PLACE_MALLOC = 1, /* outside the arenas, in private anonymous memory or [heap] */
	MA_PLACE_STATIC = 2, /* in the data of an executable or library */
	MA_PLACE_OTHER = 3,
};

/* CONT is not an object: more edges of the object with this address, from an earlier record; size and
 * refcount are 0; the index starts anew (MA_EDGE_AT). */
#define MA_OX_CONT 1u
#define MA_OX_FAULT 2u     /* reading it faulted: size or edges may be missing */
#define MA_OX_UNREACHED 4u /* found in an arena or GC list only; nothing that was walked points to it */
#define MA_OX_ZEROREF 8u   /* its reference count was 0 */
#define MA_OX_TRACKED 16u  /* reserved: a GC object that the collector tracks */

enum ma_edge_kind {
	MA_EDGE_PLAIN = 0,    /* a counted reference without a name */
	MA_EDGE_NEXT = 1,     /* element [i], i = the index before + 1; the first is [0] */
	MA_EDGE_AT = 2,       /* element [i]; v i follows */
	MA_EDGE_NAMED = 3,    /* attribute or global; v name id follows */
	MA_EDGE_KEY = 4,      /* a dict or set key */
	MA_EDGE_VALUE = 5,    /* the value of the key edge just before it */
	MA_EDGE_BORROWED = 6, /* not counted in the refcount; v name id follows, 0 = none */
	MA_EDGE_GUESSED = 7,  /* a word that looks like a reference; not counted in the books */
};

/* ---- VALUES: what is known of the contents of str and bytes, and of int and float where it was asked for
 * (MA_META_VALUES). It stands apart from the records, since hashes do not compress and would keep the records from it, and
 * so that whoever does not want values need not read them. The entries of one OBJECTS block stand in its order in one or
 * more VALUES blocks ("parts") between it and the OBJECTS block before, one entry for each record of a type with
 * MA_TF_VALUES but those with MA_OX_CONT. A part:
 *   v  address / 8 of the first record of the OBJECTS block
 *   v  part: 0, 1, 2, ...
 *   v  n: entries of str and bytes that begin in it
 *   v  bytes of the lengths
 *   n times z  length - (size - base): 0 for most. length is in characters (bytes: in bytes), size is that of the object's
 *              record, base is MA_META_VALUES_STR_BASE, for bytes the basicsize of its type
 *   n times 5 bytes  the low 40 bits of the hash. 0, or with MA_OX_FAULT: it could not be read, and length and hash
 *              say nothing
 *   with MA_VALUES_PREFIX and MA_VALUES_ALL, to the end, for each entry that begins in it:
 *     v (bytes << 1 | 1 if more of it follows at the start of the next part's texts), then the bytes. str: UTF-8, cut
 *     after MA_META_VALUES_LIMIT characters; bytes: as they are, cut the same; int: two's complement, little-endian,
 *     none when it takes more than MA_VALUE_INT_MAX bytes; float: 8 bytes, IEEE 754
 * The hash is SipHash-1-3 of the characters as CPython stores them (1, 2 or 4 bytes each, the narrowest that holds all of
 * them, so that equal strings have equal bytes; Latin-1 is 1), little-endian, with a key for each width: see
 * memattach/siphash.h. A content of more than MA_VALUE_HASH_MAX bytes is hashed as its first half of that, its last
 * half, and its length in bytes as 8 bytes. */
#define MA_VALUE_HASH_BYTES 5u
#define MA_VALUE_HASH_MAX (1u << 20)
#define MA_VALUE_TEXT_MAX (1u << 20) /* bytes of one text, all its pieces together */
#define MA_VALUE_INT_MAX 1024u
#define MA_VALUES_PREFIX_MAX 65536u /* largest N of --values=prefix:N */

enum ma_values { MA_VALUES_NONE = 0, MA_VALUES_HASH = 1, MA_VALUES_PREFIX = 2, MA_VALUES_ALL = 3 };

/* ---- THREADS. Thread: v 1, v pthread id (tstate->thread_id), v native id (0 = not known),
 * v tstate address, v interpreter id, v 1 if it holds the GIL.
 * Frame of the thread before it, innermost first: v 2, v code address, v name id of file,
 * v name id of function, v line (0 = not known), v frame address, then its locals: edges as in OBJECTS
 * (last starts at the frame address), ended by 0.
 * A frame that is a generator's or coroutine's own, or that has a frame object, carries no edges here
 * when the object already does: each reference is written once.
 * Interpreter: v 3, v interpreter id, v address, v gc collecting, then edges to the objects it holds
 * (modules, sysdict, builtins, ...; last starts at its address), ended by 0.
 * Entry: v 4, v an address on the C stack within the native frame of the evaluation loop, 0 = not known (up to 3.11).
 * The frame before it was entered from C: that one native frame runs it and the frames before it, back to the last
 * Entry. Only together with NATIVE blocks. */
enum ma_thread_rec { MA_THR_THREAD = 1, MA_THR_FRAME = 2, MA_THR_INTERP = 3, MA_THR_ENTRY = 4 };

/* ---- ARENAS. Arena: v 1, v address, v bytes, v pools in it, v pools never or no longer used (free).
 * Size class totals, for all arenas together: v 2, v block bytes, v pools, v used blocks, v free blocks,
 * v used blocks that hold an object which was written, v bytes of pool headers and ends too small for a
 * block. Free list: v 3, s name, v objects, v bytes. */
enum ma_arena_rec { MA_ARN_ARENA = 1, MA_ARN_CLASS = 2, MA_ARN_FREELIST = 3 };

/* ---- RAW. prev address and prev object = 0 at the start of each block. Buffer: v enum ma_raw_kind, z (address - prev
 * address) in bytes, v bytes, z (owner - prev object) / 8; the owner is the object that the memory belongs to. Ranges may
 * overlap, and one may be written for several owners: who adds them up counts each byte once.
 * Word: v MA_RAW_WORD, z (address - prev address), z (object - prev object) / 8: a word in the writable data of a
 * library, outside of all Python objects, that holds the address of an object in memory that was allocated. */
enum ma_raw_kind {
	MA_RAW_NUMPY = 1,   /* what an array of numpy owns, from 1 KiB on; also in the size of the array */
	MA_RAW_FOREIGN = 2, /* what an array of numpy shows and no object owns (base is NULL or a capsule) */
	MA_RAW_ARROW = 3,   /* a buffer of Arrow */
	MA_RAW_PANDAS = 4,  /* a hash table of pandas */
	MA_RAW_CHUNK = 5,   /* a block of malloc that an object of an extension type points to: an estimate */
	MA_RAW_STRINGS = 6, /* the text of arrays of numpy.dtypes.StringDType */
	MA_RAW_WORD = 64,
};

/* ---- CONTENTS: arrays of numpy that own 1 KiB of data or more, where contents were asked for (MA_META_VALUES) and the
 * words below are not all 0. prev object = 0 at the start of each block: z (object - prev object) / 8, v bytes of data, 8
 * bytes hash: SipHash-1-3, with the key of width 0, of words of 8 bytes: the array's type_num, its bytes an item, its
 * number of dimensions and these; then of its data MA_CONTENT_WORDS words (all, when there are fewer), the i-th at i *
 * words / MA_CONTENT_WORDS, and its last 8 bytes. Arrays with equal hashes are probably equal; not for certain, since what
 * stands between the words is not looked at. */
#define MA_CONTENT_WORDS 64u
/* Then v enum ma_content_kind, and unless it is NONE MA_CONTENT_SAMPLES items of 8 bytes as they are in the array, the i-th
 * at i * items / MA_CONTENT_SAMPLES: with MA_VALUES_PREFIX and MA_VALUES_ALL, for arrays of one dimension of float64 or
 * int64 in the byte order of the machine. */
#define MA_CONTENT_SAMPLES 16u
enum ma_content_kind { MA_CONTENT_NONE = 0, MA_CONTENT_FLOAT = 1, MA_CONTENT_INT = 2 };

/* ---- SITES: the tracebacks of tracemalloc. v id (1, 2, 3, ... in order), v frames that the traceback had when it was
 * taken, v frames that follow, then for each, innermost first: v name id of the file (0 = not known), v line.
 * tracemalloc keeps as many frames as it was told to, at first 1; of them MA_SITE_FRAMES_MAX are written. */
#define MA_SITE_FRAMES_MAX 128u

/* ---- TRACES: the blocks of memory that tracemalloc knows. A record is a run of them, sorted by address: v domain (0 =
 * Python's allocators), v shift (0 or 3), v n, then n times: v (address - that of the one before, at first 0) >> shift,
 * v bytes as they were asked for, v site id (0 = not known). An object is in the block that its address lies in: before it
 * may stand a GC header. */

/* ---- REGIONS, by the tool from the twin's smaps: v start, v end, v prot (1 r, 2 w, 4 x, 8 shared),
 * v inode, s path, then in bytes: v rss, v pss, v private dirty, v private clean, v shared, v anonymous,
 * v huge pages, v swap, v enum ma_region_kind. */
enum ma_region_kind {
	MA_RGN_OTHER = 0,
	MA_RGN_ARENA = 1,
	MA_RGN_HEAP = 2 /* [heap] or a glibc arena */,
	MA_RGN_STACK = 3,
	MA_RGN_CODE = 4,
	MA_RGN_DATA = 5 /* writable data of a file */,
	MA_RGN_FILE = 6,
	MA_RGN_SHARED = 7,
	MA_RGN_ANON = 8 /* anonymous mapping */,
	MA_RGN_KERNEL = 9 /* vdso, vvar */,
};

/* ---- MALLOC: fields of v tag, v bytes, the bytes, in which varints stand. An unknown tag is skipped, and what stands
 * behind the varints that a reader knows.
 * PAGES, by the tool: which pages of the mappings without a file were resident: v address, then pairs of v absent and v
 *   present, in units of 4096 bytes. Fields come in the order of addresses. Without any, it is not known.
 * HUGE, by the tool: the same for the pages that were huge.
 * HEAP, by the tool: a heap of glibc: v address of its arena, v 1 if that is main_arena, v start, v bytes, then in
 *   chunks, bytes and resident bytes: in use, kept in a thread's cache or fastbin, free, top; then resident bytes that
 *   malloc_trim(0) would return, and resident bytes in which no chunks could be made out.
 * SPAN, by the tool: v start, v bytes, v enum ma_malloc_span, v thread id (0 = none).
 * FILL, by the agent: an arena of pymalloc: v address, v bytes of it that were ever handed out in pools, v bytes in used
 *   blocks, v bytes in free blocks of used pools, v used pools.
 * ZERO, by the tool: v start, v bytes, v bytes of huge pages in it that hold nothing but zeros and lie in free memory.
 * LIVE, by the tool: v start, v bytes: raw data that was kept out of the copy. What is said of its contents (VALUES,
 *   CONTENTS, SPAN) and of its pages was read from the process while it ran on. */
enum ma_malloc_tag {
	MA_MAL_PAGES = 1,
	MA_MAL_HUGE = 2,
	MA_MAL_HEAP = 3,
	MA_MAL_SPAN = 4,
	MA_MAL_FILL = 5,
	MA_MAL_ZERO = 6,
	MA_MAL_LIVE = 7,
};

enum ma_malloc_span {
	MA_SPAN_MMAPPED = 1, /* a chunk of malloc with a mapping of its own */
	MA_SPAN_STACK = 2,   /* of a thread; thread id 0: it ended and its stack is kept for the next */
	MA_SPAN_FRAMES = 3,  /* Python frames (3.11+, pycore_frame.h _PyStackChunk) */
};

/* ---- NATIVE. Thread: v 1, v tid (as the machine that took the snapshot sees it), v thread pointer, v MA_NT_* flags.
 * A thread whose frames go on in another block has its record again there.
 * Frame of the thread before it, innermost first: v 2, v pc, v stack pointer, v MA_NF_* flags, s function, s module (path of the image),
 * s source file, v line; empty or 0 where not known. They are as they were at the stop. */
enum ma_native_rec { MA_NAT_THREAD = 1, MA_NAT_FRAME = 2 };
#define MA_NT_CUT 1u   /* the outermost frames are missing */
#define MA_NF_EVAL 1u  /* the evaluation loop: Python frames run in it */
#define MA_NF_EXACT 2u /* pc is the next instruction there, else a return address */

/* ---- META and RESULT: fields of v tag, v bytes, the bytes. Numbers are 8 bytes little-endian. An
 * unknown tag is skipped. */
enum ma_meta_tag {
	MA_META_TAKEN_REALTIME_NS = 1,
	MA_META_TAKEN_MONOTONIC_NS = 2,
	MA_META_HOST = 3,
	MA_META_PID = 4,
	MA_META_COMMAND = 5 /* arguments joined by one blank */,
	MA_META_PYTHON = 6 /* "3.11.7" */,
	MA_META_START_TIME = 7 /* clock ticks after boot, /proc/PID/stat 22 */,
	MA_META_EXE = 8,
	MA_META_BUILD_ID = 9,
	MA_META_CONSISTENCY = 10 /* enum ma_consistency */,
	MA_META_PAUSE_NS = 11,
	MA_META_ATTEMPTS = 12,
	MA_META_TWIN_NS = 13,
	MA_META_RSS_ANON = 14,
	MA_META_RSS_FILE = 15,
	MA_META_RSS_SHMEM = 16,
	MA_META_VM_PTE = 17,
	MA_META_VALUES = 18 /* enum ma_values */,
	MA_META_UID = 19,
	MA_META_TOOL = 20 /* "memattach 0.1.0" */,
	MA_META_WALK_NS = 21,
	MA_META_FAULTS = 22,
	MA_META_TID = 23 /* repeated: 8 bytes tid, 8 bytes fs_base, then the thread's name (comm) */,
	MA_META_UPTIME_NS = 24 /* age of the process */,
	MA_META_LAYOUT_SOURCE = 25 /* "dwarf", "debug-offsets", "table" */,
	MA_META_NOTE = 26 /* repeated: one sentence about what is missing or not as it should be */,
	MA_META_CGROUP_LIMIT = 27 /* memory limit in bytes */,
	MA_META_CGROUP_USAGE = 28,
	MA_META_LIBPYTHON = 29,
	MA_META_SAFE_NS = 30 /* time to the safe point */,
	MA_META_ARCH = 31,
	MA_META_CALL_NS = 33 /* the injected clone calls alone: the time in which the tracer may not be killed */,
	MA_META_TARGET_FAULTS = 34 /* minor page faults of the process while the twin lived: most are copies on write */,
	MA_META_RAW_BYTES = 35 /* resident bytes of raw data that were kept out of the copy, MALLOC's LIVE says where; absent: none */,
	MA_META_RAW_SAVED_NS = 36 /* about what that saved of the stop */,
	MA_META_LIVE_BYTES = 37 /* of them read from the process while it ran, for contents */,
	MA_META_VALUES_LIMIT = 55 /* N of prefix:N; of `all` MA_VALUE_TEXT_MAX */,
	MA_META_VALUES_STR_BASE = 56 /* size of a str in ASCII less its length */,
	MA_META_VALUES_KEY_ID = 57 /* hashes of two snapshots can be compared when it is the same */,
	MA_META_PARENT_PID = 70 /* of the process at that time, as the machine that took the snapshot sees it; 0 = none seen */,
	MA_META_SOURCE = 71 /* enum ma_source */,
	MA_META_INTERP = 60 /* repeated: 8 bytes each: id, 1 if it has a GIL that the main one does not share, enum
			     * ma_consistency */,
};

/* Of what the walk was. Of what is no twin nothing was called: where there is no visitor of ours, edges are guessed. */
enum ma_source { MA_SOURCE_TWIN = 0, MA_SOURCE_CORE = 1, MA_SOURCE_STOPPED = 2 };

enum ma_consistency { MA_CONS_ARBITRARY = 0, MA_CONS_GIL_FREE = 1, MA_CONS_SAFE_POINT = 2 };

/* ---- STATS: fields of v enum ma_stat_id, v value. */
enum ma_stat_id {
	MA_STAT_OBJECTS = 1,
	MA_STAT_EDGES = 2 /* written; implied type edges are not counted */,
	MA_STAT_BYTES = 3,
	MA_STAT_FAULTS = 4,
	MA_STAT_GC_OBJECTS = 5,
	MA_STAT_UNREACHED = 6,
	MA_STAT_UNREACHED_BYTES = 7,
	MA_STAT_TYPES = 8,
	MA_STAT_NAMES = 9,
	MA_STAT_THREADS = 10,
	MA_STAT_FRAMES = 11,
	MA_STAT_ARENAS = 12,
	MA_STAT_SCRATCH_PEAK = 13 /* bytes of private memory the agent used */,
	MA_STAT_WAIT_NS = 14 /* ring full */,
	MA_STAT_COLLECTING = 15,
	MA_STAT_SKIPPED = 16 /* candidates in arenas that were no objects */,
	MA_STAT_VALUES = 25 /* entries in VALUES */,
	MA_STAT_RAW = 28 /* buffers in RAW blocks */,
	MA_STAT_RAW_WORDS = 29 /* words in RAW blocks */,
	MA_STAT_SHARED_KEYS = 34 /* tables of keys that the instances of a class share, in the size of the class */,
	MA_STAT_SHARED_KEYS_BYTES = 35,
	MA_STAT_LOOSE_KEYS_BYTES = 36 /* of tables that several dicts share and no class has any more: in no size */,
	MA_STAT_SITES = 37,
	MA_STAT_TRACES = 38 /* blocks in TRACES */,
	MA_STAT_TRACES_BYTES = 39,
	MA_STAT_TRACES_OWN = 41 /* what tracemalloc itself takes for what was written, as malloc rounds it */,
	MA_STAT_CONTENTS = 40 /* records in CONTENTS */,
	MA_STAT_RAW_UNSEEN = 30 /* bytes of library data that were not looked through */,
};

/* ---- The ring: a memfd of MA_RING_BYTES that the twin makes and shares with the tool alone. Control page
 * first, slots after it. One producer (agent), one consumer (tool). The other end may write anything at
 * any time: each end copies what it checks. */
struct ma_ring {
	uint32_t magic; /* MA_RING_MAGIC */
	uint32_t abi;   /* MA_WIRE_VERSION */
	uint32_t head;  /* slots published by the agent since the start; futex word of the consumer */
	uint32_t pad0[13];
	uint32_t tail; /* slots taken by the tool since the start; futex word of the agent */
	uint32_t pad1[15];
	uint32_t done;    /* by the agent: 1 = all is written, 2 = gave up (err says why) */
	int32_t err;      /* negative errno */
	uint64_t objects; /* progress, for the screen and the watchdog */
	uint64_t edges;
	uint32_t heartbeat; /* changes at least every 100 ms while the agent makes progress */
	uint32_t pad2[9];
};
MA_WIRE_ASSERT(sizeof(struct ma_ring) == 192, "ring control");
#define MA_RING_MAGIC 0x4d415231u
#define MA_RING_CONTROL 4096u
#define MA_RING_BYTES (MA_RING_CONTROL + MA_RING_SLOTS * MA_SLOT_BYTES)

#endif
