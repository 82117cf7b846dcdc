// SPDX-License-Identifier: Apache-2.0
/* load.h - brings the agent into the twin, lets it run, and catches its faults. */
#ifndef MA_LOAD_H
#define MA_LOAD_H

#include "gil.h"
#include "twin.h"

#include <memattach/agent.h>

struct ma_loaded {
	ma_raddr args, ring, scratch;
	uint64_t scratch_bytes;
	int ring_fd; /* ours; the caller closes it */
	uint64_t entry, stack_end;
	/* where our own mappings lie in the twin, so that they are not counted as the target's */
	struct {
		ma_raddr start, end;
	} own[6];
	unsigned own_count;
};

/* Maps blob, stack, arguments, scratch and ring. Precondition: the twin has descriptors and memory of its own. */
MA_CHECK struct ma_error *ma_agent_load(struct ma_twin *w, const struct ma_python *py, const struct ma_gil *gil,
					uint32_t flags, const struct ma_values_wish *values, struct ma_loaded *ret);

/* Runs the agent to its end. `pace`: the part of one core that it may use, for a twin that spends the target's CPU
 * quota; 0 = all. *faults_ret: how often it was set back after a fault or a standstill. */
MA_CHECK struct ma_error *ma_agent_run(struct ma_twin *w, const struct ma_loaded *l, uint64_t timeout_ns, double pace,
				       ma_watch watch, void *arg, uint64_t *faults_ret);

#endif
