// SPDX-License-Identifier: Apache-2.0
/* drain.h - the consumer's end of the ring. The twin's memory is untrusted: every header is copied, then checked. */
#ifndef MA_DRAIN_H
#define MA_DRAIN_H

#include <memattach/attach.h>

struct ma_drain {
	struct ma_ring *ring; /* NULL: none yet */
	uint32_t tail;
};

/* Maps the ring behind fd (checked for its size). The fd may be closed afterwards. */
MA_CHECK struct ma_error *ma_drain_open(int fd, struct ma_drain *ret);
void ma_drain_close(struct ma_drain *d);
/* Waits at most timeout_ms for a slot, hands all that are full to the sink and frees them. *moved_ret: how many. */
MA_CHECK struct ma_error *ma_drain_step(struct ma_drain *d, int timeout_ms, struct ma_sink *sink, unsigned *moved_ret);
/* The agent wrote all it had and all of it was taken. An agent that gave up is an error. */
MA_CHECK struct ma_error *ma_drain_finished(const struct ma_drain *d, bool *ret);

#endif
