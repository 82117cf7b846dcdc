// SPDX-License-Identifier: Apache-2.0
/* middle.h - a third snapshot between two of the same process: what was born before it and still lives, and whether
 * what grew did so all the time. */
#ifndef MA_MIDDLE_H
#define MA_MIDDLE_H

#include "growth.h"

/* Of each growth point. */
struct ma_trend {
	bool known;              /* it was there at the same address in the middle */
	bool steady;             /* it gained in both spans, and in none more than twice as fast as in the other */
	int64_t first, second;   /* bytes held that it gained up to the middle, and after it */
	uint64_t objects, bytes; /* of what it gained: born up to the middle, alive at the end */
};

struct ma_middle {
	const struct ma_snap *snap;
	int64_t first_ns, second_ns; /* how long the spans were */
	struct ma_trend *trends;     /* one for each growth point */
	struct ma_gained *survivors; /* of all objects, born up to the middle and alive at the end; most bytes first */
	size_t survivors_count;
	uint64_t objects, bytes; /* of these */
};

/* `m` matches the two others, `g` is what grew between them; first_ns and second_ns of `ret` must be set. An object is
 * the same when its address, its type and the address of what it hangs on are. */
MA_CHECK struct ma_error *ma_middle_compute(const struct ma_match *m, const struct ma_growths *g,
					    const struct ma_side *middle, struct ma_middle *ret);
void ma_middle_deinit(struct ma_middle *mid);

#endif
