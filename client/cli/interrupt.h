// SPDX-License-Identifier: Apache-2.0
/* interrupt.h - Ctrl-C (SIGTERM, SIGHUP) while snapshots are taken. */
#ifndef MA_INTERRUPT_H
#define MA_INTERRUPT_H

#include <memattach/types.h>
#include <signal.h>

/* From here to ma_interrupt_release() the signals are noted; those that are ignored (nohup, a shell's background job)
 * stay ignored. Pairs may be nested: the outer one rules. `patient`: the first signal only asks for the end after the
 * snapshot under way, and the second undoes that snapshot; else the first does. */
void ma_interrupt_catch(bool patient);
void ma_interrupt_release(void);
/* Not 0: the snapshot under way is to be undone (ma_attach_options.cancel). */
const volatile int *ma_interrupt_cancel(void);
/* Did a signal come since the outermost catch? */
bool ma_interrupt_asked(void);
/* Keeps the signals back, so that none comes between a look at ma_interrupt_asked() and ppoll() with *old_ret. */
void ma_interrupt_hold(sigset_t *old_ret);

#endif
