// SPDX-License-Identifier: Apache-2.0
/* watch.h - the decision of a watch, apart from the waiting; used inside server/session and by its tests. */
#ifndef MA_SESSION_WATCH_H
#define MA_SESSION_WATCH_H

#include "proc.h"

#include <memattach/session.h>

/* Of the cgroup and the machine, the one that is nearer to its point. `pace`: bytes that are taken in a second. */
void ma_watch_judge(const struct ma_watch_options *options, const struct ma_room *room, uint64_t pace,
		    struct ma_watch_look *ret);

/* How long to sleep until the next look: a quarter of the time until the point at the pace of the last look, 5 ms to
 * 250 ms. */
uint64_t ma_watch_sleep_ns(const struct ma_watch_look *look, uint64_t pace);

#endif
