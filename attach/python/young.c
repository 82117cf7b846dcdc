// SPDX-License-Identifier: Apache-2.0
#include "python_internal.h"

#include <time.h>

#define YOUNG_NS 1000000000u
#define PAUSE_NS 10000000u

bool ma_wait_while_young(int task_dir)
{
	struct ma_stat st;
	struct timespec now, pause = { 0, PAUSE_NS };
	struct ma_error *err = ma_stat_read(task_dir, &st);
	long hz = sysconf(_SC_CLK_TCK);
	if (err || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &now)) {
		ma_error_free(err);
		return false;
	}
	uint64_t began = st.start_time * (1000000000u / (uint64_t)hz);
	uint64_t at = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	/* a clock of another time namespace may say that it is not born yet */
	if (at < began || at - began > YOUNG_NS)
		return false;
	nanosleep(&pause, NULL);
	return true;
}
