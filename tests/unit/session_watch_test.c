// link: ma_session ma_twin
// SPDX-License-Identifier: Apache-2.0
/* When a watch ends, on numbers. */
#include "watch.h"

#include <criterion/criterion.h>

#define MB 1000000ull

static struct ma_watch_look judge(const struct ma_room *room, unsigned percent)
{
	struct ma_watch_options o = { .at_percent = percent };
	struct ma_watch_look look;
	ma_watch_judge(&o, room, 0, &look);
	return look;
}

Test(watch, the_nearer_of_group_and_machine)
{
	struct ma_room room = {
		.machine_limit = 1000 * MB, .machine_usage = 500 * MB, .group_limit = 400 * MB, .group_usage = 100 * MB
	};
	struct ma_watch_look look = judge(&room, 90);
	cr_expect_str_eq(look.what, "its memory cgroup");
	cr_expect_eq(look.at, 360 * MB);
	cr_expect_eq(look.cause, MA_WATCH_NOT_YET);
	room.machine_usage = 899 * MB;
	cr_expect_str_eq(judge(&room, 90).what, "the machine");
	cr_expect_eq(judge(&room, 90).cause, MA_WATCH_NOT_YET);
	room.machine_usage = 900 * MB;
	cr_expect_eq(judge(&room, 90).cause, MA_WATCH_REACHED);
	room.group_limit = 0; /* none */
	cr_expect_str_eq(judge(&room, 90).what, "the machine");
}

Test(watch, room_for_the_copy)
{
	struct ma_room room = { .group_limit = 1000 * MB, .group_usage = 700 * MB, .twin_need = 200 * MB };
	struct ma_watch_look look = judge(&room, 90);
	cr_expect_eq(look.at, 750 * MB);
	cr_expect_eq(look.cause, MA_WATCH_NOT_YET);
	room.group_usage = 750 * MB;
	cr_expect_eq(judge(&room, 90).cause, MA_WATCH_EARLY);
	cr_expect_eq(judge(&room, 70).cause, MA_WATCH_REACHED); /* what was asked for came first */
	/* at 400 MB/s, 100 MB more are gone until the copy is made */
	struct ma_watch_options o = { .at_percent = 90 };
	room.group_usage = 650 * MB;
	ma_watch_judge(&o, &room, 400 * MB, &look);
	cr_expect_eq(look.cause, MA_WATCH_EARLY);
	cr_expect_eq(look.at, 650 * MB);
	room.twin_need = 5000 * MB;
	cr_expect_eq(judge(&room, 90).at, 0);
}

Test(watch, stalls_count)
{
	struct ma_room room = { .group_limit = 1000 * MB, .group_usage = 10 * MB, .group_stall = 9.9 };
	cr_expect_eq(judge(&room, 90).cause, MA_WATCH_NOT_YET);
	room.group_stall = 10;
	cr_expect_eq(judge(&room, 90).cause, MA_WATCH_STALLED);
}

Test(watch, size_of_the_process)
{
	struct ma_room room = { .rss = 99 * MB, .group_limit = 100 * MB, .group_usage = 99 * MB };
	struct ma_watch_options o = { .at_bytes = 100 * MB };
	struct ma_watch_look look;
	ma_watch_judge(&o, &room, 0, &look);
	cr_expect_eq(look.cause, MA_WATCH_NOT_YET);
	room.rss = 100 * MB;
	ma_watch_judge(&o, &room, 0, &look);
	cr_expect_eq(look.cause, MA_WATCH_REACHED);
}

Test(watch, looks_come_faster_near_the_end)
{
	struct ma_watch_look look = { .usage = 100 * MB, .at = 200 * MB };
	cr_expect_eq(ma_watch_sleep_ns(&look, 0), 250 * MB);
	cr_expect_eq(ma_watch_sleep_ns(&look, 1000 * MB), 25 * MB); /* 100 ms to go */
	look.usage = 199 * MB;
	cr_expect_eq(ma_watch_sleep_ns(&look, 1000 * MB), 5 * MB);
}
