// SPDX-License-Identifier: Apache-2.0
/* stop_copy.h - a copy of a live process's memory without a clone: it stands still while the memory is read. */
#ifndef MA_STOP_COPY_H
#define MA_STOP_COPY_H

#include "channel.h"
#include "runs.h"
#include "space.h"
#include "twin.h"

/* What --stop may take when --max-pause says nothing. */
#define MA_STOP_COPY_DEFAULT_NS 500000000u

/* Of the stop, from what is resident: bytes that have to be read. */
uint64_t ma_stop_copy_estimate_ns(const struct ma_status *status);

struct ma_stop_copy {
	struct ma_space space;     /* pieces lie in `fd` and in the files that were mapped */
	struct ma_runs runs;       /* pages that were read */
	int fd;                    /* a memfd of ours */
	struct ma_thread *threads; /* as they were */
	size_t threads_count;
	struct ma_msg_stopped stopped;
	uint64_t pause_ns;
};

/* Seizes and stops all threads of `t`, reads, and lets them go as after any other stop (tracee.h); nothing is called in
 * them. `room_bytes` are set aside before, so that the stop need not wait for them. Longer than `limit_ns` gives it up:
 * MA_ERR_LIMIT. *ret is to be ended with ma_stop_copy_deinit(), also after an error. */
MA_CHECK struct ma_error *ma_stop_copy_take(struct ma_tracee *t, uint64_t room_bytes, uint64_t stop_timeout_ns,
					    uint64_t limit_ns, struct ma_stop_copy *ret);
void ma_stop_copy_deinit(struct ma_stop_copy *c);

#endif
