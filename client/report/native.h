// SPDX-License-Identifier: Apache-2.0
/* native.h - native stacks and Python stacks of the same threads, put together: a Python frame belongs where its
 * evaluation loop runs. */
#ifndef MA_REPORT_NATIVE_H
#define MA_REPORT_NATIVE_H

#include <memattach/snapshot.h>

/* Are there native stacks, and not so many that putting them to the threads would take minutes (a hostile file)? */
bool ma_native_any(const struct ma_snap_tables *tab);
/* The native stack of a thread, NULL when there is none. */
const struct ma_snap_native *ma_native_find(const struct ma_snap_tables *tab, const struct ma_snap_thread *th);
/* Does a Python thread (a tstate) run on it? */
bool ma_native_is_python(const struct ma_snap_tables *tab, const struct ma_snap_native *n);
/* The name of the thread, "" when not known. */
const char *ma_native_name(const struct ma_snap_tables *tab, const struct ma_snap_native *n);

/* For each native frame of `n` from the innermost on, where the Python frames of `th` that it runs begin in
 * tab->frames: they go up to the begin of the next one that runs any. begin[i] == begin[i + 1] for all other frames.
 * `begin` has frames_end - frames_begin + 1 numbers; frames from the last number on could not be placed. */
void ma_native_place(const struct ma_snap_tables *tab, const struct ma_snap_thread *th, const struct ma_snap_native *n,
		     uint32_t *begin);

#endif
