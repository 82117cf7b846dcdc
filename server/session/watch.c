// SPDX-License-Identifier: Apache-2.0
/* watch.c - waits until a process is about to run out of memory. It polls: the events of cgroup v1 want the right to
 * write to the group and count file cache that is dropped without harm, and a look costs some 50 us. */
#include "watch.h"

#include "cleanup.h"
#include "tracee.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define SLEEP_MIN_NS 5000000u
#define SLEEP_MAX_NS 250000000u
#define STALLED 10.0 /* percent */

static struct ma_watch_look judge_limit(const char *what, uint64_t limit, uint64_t usage, unsigned percent,
					uint64_t need)
{
	struct ma_watch_look look = { .what = what, .limit = limit, .usage = usage };
	look.at = limit / 100 * percent + limit % 100 * percent / 100;
	/* From here on the copy would be refused. */
	uint64_t room = need, last = limit > room ? limit - room : 0;
	bool early = last < look.at;
	if (early)
		look.at = last;
	if (usage >= look.at)
		look.cause = early ? MA_WATCH_EARLY : MA_WATCH_REACHED;
	return look;
}

static int64_t left(const struct ma_watch_look *look)
{
	return (int64_t)(look->at - look->usage);
}

void ma_watch_judge(const struct ma_watch_options *options, const struct ma_room *room, uint64_t pace,
		    struct ma_watch_look *ret)
{
	/* A quarter more than a copy needs, and what is taken until it is made: finding the interpreter takes its time.
	 */
	uint64_t need = room->twin_need + room->twin_need / 4 + pace / 4;
	if (options->at_bytes) {
		*ret = (struct ma_watch_look){ .what = "the process", .usage = room->rss, .at = options->at_bytes };
		ret->cause = ret->usage >= ret->at ? MA_WATCH_REACHED : MA_WATCH_NOT_YET;
	} else {
		*ret = judge_limit("the machine", room->machine_limit, room->machine_usage, options->at_percent, need);
		if (room->group_limit) {
			struct ma_watch_look group = judge_limit("its memory cgroup", room->group_limit,
								 room->group_usage, options->at_percent, need);
			if (!ret->limit || left(&group) < left(ret))
				*ret = group;
		}
	}
	if (ret->cause == MA_WATCH_NOT_YET && room->group_stall >= STALLED)
		ret->cause = MA_WATCH_STALLED;
}

uint64_t ma_watch_sleep_ns(const struct ma_watch_look *look, uint64_t pace)
{
	if (!pace || left(look) <= 0)
		return SLEEP_MAX_NS;
	double ns = (double)left(look) / (double)pace * 1e9 / 4;
	return ns < SLEEP_MIN_NS ? SLEEP_MIN_NS : ns < SLEEP_MAX_NS ? (uint64_t)ns : SLEEP_MAX_NS;
}

/* What would fail then is better said now. */
static struct ma_error *check_permitted(pid_t pid)
{
	struct ma_doctor d;
	struct ma_error *err;
	MA_TRY(ma_session_doctor(pid, &d));
	err = !d.may_attach  ? ma_errorf(MA_ERR_PERMISSION, "%s", d.may_attach_text)
	      : !d.supported ? ma_errorf(MA_ERR_UNSUPPORTED, "%s", d.layouts)
			     : NULL;
	ma_doctor_deinit(&d);
	return err;
}

/* Sleeps, or ends sooner with the process. A thread's end is not the process's. */
static struct ma_error *sleep_beside(const struct ma_tracee *t, uint64_t ns)
{
	struct pollfd p = { .fd = t->pidfd, .events = POLLIN };
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	int n = ppoll(&p, 1, &ts, NULL);
	if (n < 0 && errno != EINTR)
		return ma_error_os(errno, "cannot wait");
	if (n > 0)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process ended before its memory ran short");
	return NULL;
}

static struct ma_error *wait_for_it(const struct ma_watch_options *options, const struct ma_tracee *t,
				    struct ma_watch_look *ret)
{
	uint64_t last_usage = 0, last_ns = 0, pace = 0;
	for (;;) {
		struct ma_room room;
		MA_TRY(ma_tracee_explain(t, ma_room_read(t->live_dir, &room)));
		uint64_t at_ns = ma_now_ns();
		ma_watch_judge(options, &room, pace, ret);
		if (!options->at_bytes && !ret->limit)
			return ma_errorf(
				MA_ERR_UNSUPPORTED,
				"neither a cgroup nor the machine says how much memory there is: use --at SIZE");
		if (!last_ns && options->armed)
			options->armed(options->arg, ret);
		if (ret->cause != MA_WATCH_NOT_YET)
			return NULL;
		bool grew = last_ns && ret->usage > last_usage;
		pace = grew ? (uint64_t)((double)(ret->usage - last_usage) * 1e9 / (double)(at_ns - last_ns)) : 0;
		MA_TRY(sleep_beside(t, last_ns ? ma_watch_sleep_ns(ret, pace) : SLEEP_MIN_NS));
		last_usage = ret->usage;
		last_ns = at_ns;
	}
}

struct ma_error *ma_session_watch(const struct ma_watch_options *options, struct ma_watch_look *ret)
{
	struct ma_tracee t = { .dir = -1, .live_dir = -1, .pidfd = -1 };
	MA_TRY(check_permitted(options->pid));
	MA_TRY(ma_tracee_open(options->pid, &t));
	struct ma_error *err = wait_for_it(options, &t, ret);
	ma_tracee_close(&t);
	return err;
}
