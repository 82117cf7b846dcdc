// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "raw_internal.h"
#include "remote_call.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define TRIES 16

static bool give_back_registers(struct ma_thread *th)
{
	struct ma_error *err = ma_regs_set(th->tid, &th->saved);
	th->regs_changed = err != NULL;
	ma_error_free(err);
	return !th->regs_changed;
}

struct ma_error *ma_raw_advise(struct ma_thread *th, ma_raddr gadget, uint64_t start, uint64_t end, int advice)
{
	const struct ma_syscall call = { SYS_madvise, { start, end - start, (uint64_t)advice, 0, 0, 0 } };
	long result = 0;
	MA_TRY(ma_thread_block_signals(th));
	struct ma_error *err = ma_remote_call(th, gadget, &call, &result, NULL);
	if (!th->gone && !give_back_registers(th) && !err)
		err = ma_errorf(MA_ERR_OS, "the registers of thread %d could not be given back", th->tid);
	if (err)
		return err;
	return result ? ma_error_os((int)-result, "madvise failed in the target") : NULL;
}

/* Behind the last call of a row. What fails here is tried again at the release, which says so. */
static void done(struct ma_thread *th)
{
	if (!th->gone)
		ma_error_free(ma_thread_restore(th));
}

/* Whose ranges they are: one that we changed is a mapping of its own now, one that the program had kept out of its
 * children before is a part of one as before. */
static struct ma_error *drop_its_own(struct ma_tracee *t, struct ma_raw *raw)
{
	struct ma_maps maps = { 0 };
	MA_TRY(ma_maps_read(t->live_dir, "maps", &maps));
	for (size_t i = raw->count; i-- > 0;) {
		const struct ma_map *m = ma_maps_find(&maps, raw->v[i].start);
		if (m && m->start < raw->v[i].start && m->end > raw->v[i].end)
			ma_raw_drop(raw, i);
	}
	ma_maps_deinit(&maps);
	return NULL;
}

struct ma_error *ma_raw_keep_out(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw)
{
	struct ma_error *err = NULL;
	for (size_t i = 0; i < raw->count && !err; i++) {
		raw->v[i].set = true; /* before it is: an error may come after the change */
		err = ma_raw_advise(th, gadget, raw->v[i].start, raw->v[i].end, MADV_DONTFORK);
	}
	done(th);
	/* Also after an error: what was the program's own may not be given back. */
	struct ma_error *own = raw->count ? drop_its_own(t, raw) : NULL;
	if (err)
		ma_error_free(own);
	return err ? err : own;
}

struct ma_error *ma_raw_give_back(struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw)
{
	struct ma_error *first = NULL;
	for (size_t i = 0; i < raw->count; i++) {
		struct ma_error *err = NULL;
		if (!raw->v[i].set)
			continue;
		for (unsigned k = 0; k < TRIES && !th->gone; k++) {
			ma_error_free(err);
			err = ma_raw_advise(th, gadget, raw->v[i].start, raw->v[i].end, MADV_DOFORK);
			if (!err)
				break;
		}
		if (!err || th->gone) /* with the process its memory is gone */
			raw->v[i].set = false;
		if (first)
			ma_error_free(err);
		else
			first = err;
	}
	done(th);
	return first;
}
