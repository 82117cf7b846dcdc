// SPDX-License-Identifier: Apache-2.0
/* memattach/agent.h - how attach/twin starts the agent, and how it recovers it from a fault.
 *
 * The twin's loader maps, in the twin only: the blob (read-execute, at any address), a stack, the ring
 * (shared memfd), zeroed scratch (private, MAP_NORESERVE: only what is touched costs), and the
 * arguments (private, read-write). It sets rdi = address of the arguments, rsp = end of the stack
 * (16-byte aligned, the blob's entry makes its own call frame), rip = blob + entry offset, and lets it
 * run. The agent ends by `ring->done = 1 or 2` and then the trap instruction at args->exit_pc: the
 * tracer sees SIGTRAP and knows the place.
 *
 * On SIGSEGV, SIGBUS, SIGFPE or SIGILL inside the twin the tracer sets rip = args->recover_pc and
 * rsp = args->recover_sp (as read from the arguments at that time) and goes on: the agent counts the
 * fault and skips the object. recover_pc == 0 means that it can not recover now: the walk ends there.
 * A heartbeat that stands still for 2 s while the ring is not full is handled the same way.
 */
#ifndef MEMATTACH_AGENT_H
#define MEMATTACH_AGENT_H

#include <memattach/layout.h>
#include <memattach/values.h>
#include <memattach/wire.h>
#include <stdint.h>

/* A mapping of the twin, from /proc/PID/maps, sorted by start; so that the agent checks a pointer before
 * it follows it and knows what place an object is in. */
struct maa_map {
	uint64_t start, end;
	uint32_t flags; /* MAA_MAP_* */
	uint32_t reserved;
};
#define MAA_MAP_READ 1u
#define MAA_MAP_WRITE 2u
#define MAA_MAP_EXEC 4u
#define MAA_MAP_FILE 8u /* of a file that is an ELF image: static objects live here */
#define MAA_MAP_SHARED 16u
#define MAA_MAP_STACK 32u

#define MAA_FLAG_THREADS_ONLY 1u /* `memattach stacks`: threads and frames without locals, no heap */
#define MAA_FLAG_NO_CALLS 8u     /* nothing of the target is called: tp_traverse is replaced by a look at the words */
#define MAA_FLAG_ENTRIES 4u      /* frames that were entered from C are marked: MA_THR_ENTRY */

struct maa_args {
	uint32_t abi;       /* MA_WIRE_VERSION */
	uint32_t flags;     /* MAA_FLAG_* */
	uint64_t runtime;   /* address of _PyRuntime */
	uint64_t arenas;    /* 3.8-3.11: address of the variable `arenas` (struct arena_object *), 0 = not found */
	uint64_t maxarenas; /* 3.8-3.11: address of the variable `maxarenas`, 0 = not found */
	uint64_t ring;      /* MA_RING_BYTES, shared with the tool */
	uint64_t scratch, scratch_bytes;
	uint64_t maps; /* struct maa_map[maps_count] */
	uint64_t maps_count;
	uint64_t gil_holder;            /* tstate that held the GIL at the stop, 0 if none */
	uint64_t known[MA_KNOWN_COUNT]; /* address of each built-in type (layout.h), 0 where absent */
	struct ma_layout layout;
	struct ma_values_wish values;
	/* written by the agent */
	uint64_t recover_pc, recover_sp, exit_pc;
	uint64_t current; /* the object being walked, for the message about a fault */
	uint64_t arena_ranges, arena_ranges_count; /* where pymalloc's arenas are: pairs of start and end, sorted */
	/* written by the tool: how often it brought the agent back because nothing moved */
	uint64_t standstills;
};

/* The linked blob, embedded in ma_agent_blob. */
struct ma_agent_blob {
	const unsigned char *data;
	uint32_t bytes;
	uint32_t entry; /* offset of the first instruction */
};
const struct ma_agent_blob *ma_agent_blob_get(void);

#endif
