// SPDX-License-Identifier: Apache-2.0
/* twin.h - the frozen copy of the target: its birth, what is done to it before it may run, its end. */
#ifndef MA_TWIN_H
#define MA_TWIN_H

#include "fill.h"
#include "remote_call.h"

struct ma_twin {
	pid_t pid;             /* as we see it; 0 = there is none */
	pid_t pid_inside;      /* in the target's pid namespace: what clone returned */
	struct ma_thread th;   /* its one thread; th.saved are the registers that injected calls start from */
	struct ma_regs origin; /* the registers of the thread it is a copy of, at the stop */
	ma_raddr gadget;
	ma_raddr page;        /* one private page of its own for strings and small structs */
	struct ma_maps maps;  /* of the twin, without anything of ours, and as if nothing had been kept out */
	struct ma_fill *fill; /* what was kept out; the caller's, NULL = none */
	bool moved;           /* it is in our cgroups: its work is not charged to the target */
	uint64_t call_ns;     /* from the first change of the target's registers to their restoration */
	uint64_t born_ns;
};

/* Called while the twin runs, at least every 50 ms. An error it returns ends what is under way and is returned. */
typedef struct ma_error *(*ma_watch)(void *arg);

#define MA_TWIN_PAGE 4096u

/* What may help where no clone may be made, at the end of a refusal. */
#define MA_STOP_HINT "; --stop does without one, and stops it for longer"

/* The name of twins in /proc: what a killed run left is found by it. */
#define MA_TWIN_NAME "memattach-twin"

/* In the stopped target: `th` performs clone(CLONE_FILES, exit signal 0). The twin then gives up the shared descriptor
 * table before it does anything else, and offers itself to the OOM killer. When it fails nothing is left. `raw` is kept
 * out of it, as far as the target lets us: raw->v[i].set afterwards is what could not be given back; `fill` says where
 * the twin has nothing.
 * Precondition: all threads of t are stopped; th is one of them. */
MA_CHECK struct ma_error *ma_twin_create(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw,
					 struct ma_fill *fill, struct ma_twin *ret);

/* After the target runs again: session, name, no core file, lowest priority; every writable shared mapping is made
 * read-only. `cgroups`: of the target, the twin leaves them for ours; *why_ret says why if that failed (caller frees).
 */
MA_CHECK struct ma_error *ma_twin_isolate(struct ma_twin *w, const char *cgroups, char **why_ret);

/* Unmaps what the twin shares with the target: from here on it sees private memory only. */
MA_CHECK struct ma_error *ma_twin_unshare_memory(struct ma_twin *w);

/* One call made by the twin. */
MA_CHECK struct ma_error *ma_twin_call(struct ma_twin *w, const char *what, long *result, long nr, uint64_t a,
				       uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* Kills the twin and waits for its death; what is left is a zombie of the target (reap.h). Safe half-built. */
void ma_twin_end(struct ma_twin *w);

/* For the one that clears up after a tracer that was killed: until the twin t->undo.twin is dead, 3 s at most. */
void ma_twin_wait_dead(const struct ma_tracee *t);

/* The target's zombie children that are twins of ours, from this or an earlier run: gives the one that is waited for
 * with `pid_inside` in the target's pid namespace. Stops one thread for a moment and lets it make wait4. *pause_ns is
 * added to. Nothing to reap is no error. */
MA_CHECK struct ma_error *ma_twin_reap(struct ma_tracee *t, ma_raddr gadget, uint64_t *pause_ns);

#endif
