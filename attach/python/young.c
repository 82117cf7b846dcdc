// SPDX-License-Identifier: Apache-2.0
#include "python_internal.h"

#include <string.h>
#include <time.h>

#define YOUNG_NS 1000000000u
#define PAUSE_NS 10000000u

uint64_t ma_boot_ns(void)
{
	struct timespec now;
	return clock_gettime(CLOCK_BOOTTIME, &now) ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_young(int task_dir)
{
	struct ma_stat st;
	struct ma_error *err = ma_stat_read(task_dir, &st);
	long hz = sysconf(_SC_CLK_TCK);
	if (err || hz <= 0) {
		ma_error_free(err);
		return false;
	}
	uint64_t began = st.start_time * (1000000000u / (uint64_t)hz), at = ma_boot_ns();
	/* a clock of another time namespace may say that it is not born yet */
	return at >= began && at - began <= YOUNG_NS;
}

/* glibc's dynamic linker is mapped by the kernel; it maps what the program needs in the order of breadth, so libc after
 * whatever needs it. (musl's linker is its libc.) */
static bool is_linking(int task_dir)
{
	struct ma_maps maps;
	bool linker = false, libc = false;
	struct ma_error *err = ma_maps_read(task_dir, "maps", &maps);
	if (err) {
		ma_error_free(err);
		return false;
	}
	for (size_t i = 0; i < maps.count; i++) {
		const char *name = strrchr(maps.v[i].path, '/');
		if (!name)
			continue;
		linker |= !strncmp(name, "/ld-linux", 9) || !strncmp(name, "/ld-2.", 6);
		libc |= !strncmp(name, "/libc.so", 8) || !strncmp(name, "/libc-2.", 8);
	}
	ma_maps_deinit(&maps);
	return linker && !libc;
}

bool ma_wait_while_young(int task_dir, const struct ma_error *err, uint64_t began_ns)
{
	const struct timespec pause = { 0, PAUSE_NS };
	bool may_pass = err->code == MA_ERR_BAD_DATA || err->errnum == MA_STARTING || is_linking(task_dir);
	if (!is_young(task_dir) && !(may_pass && ma_boot_ns() - began_ns < YOUNG_NS))
		return false;
	nanosleep(&pause, NULL);
	return true;
}
