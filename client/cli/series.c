// SPDX-License-Identifier: Apache-2.0
#include "series.h"

#include "cleanup.h"
#include "interrupt.h"
#include "round.h"
#include "snapshot_arg.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define HELD_NS (60 * NS_PER_S) /* a link that is not needed for longer is not held */

struct series {
	const struct ma_cli *cli;
	struct ma_targets *targets;
	uint64_t tree; /* not 0: the number of this round's tree */
	struct ma_taking *taking;
	struct pollfd *pidfds; /* of each target: its number may be given to another process once it has ended */
	bool *ended;
	const char *folder;
	uint64_t taken, failed;
	bool skip; /* of this round nothing can be said: the way to the other machine is broken */
	char first[MA_ID_MAX], last[MA_ID_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void sayf(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		ma_cli_say(text);
}

static bool all_ended(const struct series *s)
{
	for (size_t i = 0; i < s->targets->count; i++)
		if (!s->ended[i])
			return false;
	return true;
}

static void has_ended(struct series *s, size_t i)
{
	s->ended[i] = true;
	if (s->pidfds[i].fd >= 0)
		close(s->pidfds[i].fd);
	s->pidfds[i].fd = -1; /* poll passes over it */
	sayf("pid %d has ended", (int)s->targets->pids[i]);
}

/* An error ends the series. */
static struct ma_error *take_one(struct series *s, size_t i)
{
	_cleanup_taken_ struct ma_taken t = { 0 };
	_cleanup_error_ struct ma_error *err =
		ma_take_listed(s->cli, s->taking, s->targets->pids[i], s->folder, s->tree, &t);
	if (!err) {
		ma_taken_print(s->cli, &t);
		snprintf(s->taken++ ? s->last : s->first, MA_ID_MAX, "%s", t.row.id);
		/* who waits for the next one wants to see this one */
		return fflush(s->cli->out) ? ma_errorf(MA_ERR_OS, "cannot write the output") : NULL;
	}
	/* of a control group any other may still do */
	bool other = s->targets->together && !s->targets->headed && i + 1 < s->targets->count;
	if ((!s->taken && !other) || err->code == MA_ERR_CANCELLED)
		return ma_take_ptr(err);
	if (err->code == MA_ERR_TARGET_GONE) {
		has_ended(s, i);
		return NULL;
	}
	ma_cli_say(err->message);
	s->failed++;
	return NULL;
}

static void forget(struct series *s)
{
	for (size_t i = 0; s->pidfds && i < s->targets->count; i++)
		if (s->pidfds[i].fd >= 0)
			close(s->pidfds[i].fd);
	free(ma_take_ptr(s->pidfds));
	free(ma_take_ptr(s->ended));
}

static struct ma_error *watch(struct series *s)
{
	s->pidfds = calloc(s->targets->count, sizeof(*s->pidfds));
	s->ended = calloc(s->targets->count, sizeof(*s->ended));
	if (!s->pidfds || !s->ended)
		return &ma_enomem;
	/* for a pid that is none, or is on another machine, the attach knows best what is wrong */
	for (size_t i = 0; i < s->targets->count; i++) {
		s->pidfds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
		if (!ma_target_is_far(&s->taking->target))
			s->pidfds[i].fd = (int)syscall(SYS_pidfd_open, s->targets->pids[i], 0);
	}
	return NULL;
}

/* Processes come and go: who belongs to the tree or the group is looked up for each round. The tree has ended when its
 * first process has, the group when it is empty. */
static struct ma_error *renew(struct series *s)
{
	struct ma_targets now;
	_cleanup_error_ struct ma_error *err = ma_targets_find(s->cli, &s->taking->target, &now);
	if (err && err->code == MA_ERR_TARGET_GONE) {
		for (size_t i = 0; i < s->targets->count; i++)
			s->ended[i] = true;
		return NULL;
	}
	s->skip = err && ma_target_is_far(&s->taking->target);
	if (s->skip) {
		ma_cli_say(err->message);
		s->failed++;
		return NULL;
	}
	if (err)
		return ma_take_ptr(err);
	forget(s);
	ma_targets_deinit(s->targets);
	*s->targets = now;
	return watch(s);
}

static struct ma_error *take_round(struct series *s)
{
	if (s->targets->together)
		MA_TRY(ma_tree_number(&s->tree));
	for (size_t i = 0; !s->skip && i < s->targets->count && !ma_interrupt_asked(); i++)
		if (!s->ended[i])
			MA_TRY(take_one(s, i));
	return NULL;
}

/* Waits for `until_ns`, a signal, or the end of all processes. */
static void wait_for(struct series *s, uint64_t until_ns)
{
	sigset_t old;
	ma_interrupt_hold(&old);
	for (uint64_t now; !ma_interrupt_asked() && !all_ended(s) && (now = now_ns()) < until_ns;) {
		uint64_t left = until_ns - now;
		struct timespec t = { .tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S) };
		if (ppoll(s->pidfds, s->targets->count, &t, &old) <= 0)
			continue;
		for (size_t i = 0; i < s->targets->count; i++)
			if (!s->ended[i] && s->pidfds[i].revents)
				has_ended(s, i);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static struct ma_error *run(struct series *s)
{
	uint64_t rounds = s->cli->every_s ? s->cli->count ?: UINT64_MAX : 1, every = s->cli->every_s * NS_PER_S;
	uint64_t next = now_ns();
	for (uint64_t round = 1;; round++) {
		MA_TRY(take_round(s));
		if (round == rounds || ma_interrupt_asked() || all_ended(s))
			break;
		uint64_t now = now_ns();
		next += every;
		if (next < now)
			next += (now - next + every - 1) / every * every;
		/* a daemon hangs up on whom it does not hear for long, and over there nobody has to wait for us */
		if (next - now > HELD_NS)
			ma_target_unlink(&s->taking->target);
		wait_for(s, next);
		if (!ma_interrupt_asked() && s->targets->together)
			MA_TRY(renew(s));
		if (ma_interrupt_asked() || all_ended(s))
			break;
	}
	if (ma_interrupt_asked())
		sayf("interrupted: %" PRIu64 " snapshot%s %s taken", s->taken, s->taken == 1 ? "" : "s",
		     s->taken == 1 ? "was" : "were");
	if (s->last[0] && s->targets->together)
		fprintf(s->cli->out, "next  memattach report --tree %s\n", s->last);
	else if (s->first[0] && s->last[0] && s->targets->count == 1)
		fprintf(s->cli->out, "next  memattach diff %s %s\n", s->first, s->last);
	if (s->failed)
		return ma_errorf(MA_ERR_OS, "%" PRIu64 " of %" PRIu64 " snapshots failed", s->failed,
				 s->failed + s->taken);
	return NULL;
}

struct ma_error *ma_take_series(const struct ma_cli *cli, struct ma_targets *targets, struct ma_taking *taking)
{
	struct series s = { .cli = cli, .targets = targets, .taking = taking };
	if (cli->every_s || targets->count > 1 || targets->together)
		MA_TRY(ma_folder_for_many(cli, &s.folder));
	ma_interrupt_catch(cli->every_s > 0);
	struct ma_error *err = watch(&s);
	if (!err)
		err = run(&s);
	ma_interrupt_release();
	forget(&s);
	return err;
}
