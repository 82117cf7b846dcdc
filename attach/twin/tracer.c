// SPDX-License-Identifier: Apache-2.0
#include "tracer.h"

#include "cleanup.h"
#include "core_out.h"
#include "fault_point.h"
#include "forward.h"
#include "load.h"
#include "mem.h"
#include "meta.h"
#include "native.h"
#include "outside.h"
#include "runners.h"
#include "settle.h"
#include "twin.h"
#include "twin_memory.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define MAX_ATTEMPTS 3u
#define DEFAULT_STOP_NS 1000000000u
#define DEFAULT_SAFE_NS 2000000000u
#define DEFAULT_WALK_NS 120000000000u
#define NATIVE_MAX (256u << 20)

struct tracer {
	struct ma_runners runners; /* all that hold a GIL, at the last stop */
	const struct ma_tracer_job *job;
	int end; /* of the channel */
	struct ma_tracee target;
	struct ma_twin twin;
	struct ma_gil gil;         /* of the main interpreter, at the last stop */
	struct ma_thread *threads; /* of the target, as they were at the last stop */
	size_t threads_count;
	ma_raddr gadget;
	struct ma_twin_pages pages;
	struct ma_raw raw;     /* kept out of the copy, at the last stop */
	struct ma_fill fill;   /* and what was read of it since */
	bool copy_all;         /* what was kept out is needed */
	uint64_t minor_faults; /* of the target when it ran again */
	struct ma_msg_done done;
};

static bool command_gone(void *arg)
{
	const struct tracer *t = arg;
	return ma_channel_closed(t->end);
}

static void phase(struct tracer *t, const char *text)
{
	ma_channel_send(t->end, MA_MSG_PHASE, text, strlen(text), -1);
}

static void note(struct tracer *t, const char *text)
{
	ma_channel_send(t->end, MA_MSG_NOTE, text, strlen(text), -1);
}

/* Between events while the twin lives: is there still a command, and still the target? */
static struct ma_error *watch(void *arg)
{
	struct tracer *t = arg;
	if (command_gone(t))
		return ma_errorf(MA_ERR_CANCELLED, "interrupted");
	/* What the target writes while the twin lives is copied and charged to its cgroup. The twin may be in another
	 * one by now, so the OOM killer would find the target alone: give up long before that. */
	const struct ma_preflight *pre = t->job->preflight;
	if (pre->cgroup_limit && pre->cgroup_limit > pre->cgroup_usage) {
		uint64_t room = ma_cgroup_memory_room(pre->cgroups), then = pre->cgroup_limit - pre->cgroup_usage;
		if (room < pre->cgroup_limit / 10 && room < then / 2)
			return ma_errorf(MA_ERR_NO_MEMORY,
					 "its memory cgroup became nearly full while the snapshot was taken: given up");
	}
	return ma_tracee_verify(&t->target);
}

static uint64_t realtime_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* All that happens between the first interrupt and the last detach. The target's threads are stopped on entry. */
static struct ma_error *copy_target(struct tracer *t, struct ma_msg_stopped *stopped)
{
	const struct ma_python *py = t->job->python;
	struct ma_status status;
	uint64_t head;
	*stopped = (struct ma_msg_stopped){ .realtime_ns = realtime_ns(), .monotonic_ns = ma_now_ns() };

	struct ma_error *err =
		ma_mem_read_u64(t->target.live, py->runtime + (uint64_t)py->layout.runtime_interp_head, &head);
	if (err || head != t->job->runtime_head) {
		ma_error_free(err);
		return ma_errorf(MA_ERR_TARGET_GONE,
				 "the process exited, ran another program or changed its interpreters meanwhile");
	}
	struct ma_thread *th;
	struct ma_error *forbidden = ma_descriptors_check(t->target.live_dir);
	if (forbidden && forbidden->code == MA_ERR_UNSUPPORTED) {
		err = ma_errorf(MA_ERR_UNSUPPORTED, "%s%s", forbidden->message, MA_STOP_HINT);
		ma_error_free(forbidden);
		return err;
	}
	if (forbidden)
		return forbidden;
	ma_fault_point(STOP_CHECKED);
	MA_TRY(ma_gil_read(t->target.live, py, &t->gil));
	MA_TRY(ma_runners_find(&t->target, py, &t->gil, &t->runners, &th));
	if (!th)
		th = ma_tracee_pick(&t->target);
	if (!th)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited");
	MA_TRY(ma_status_read(t->target.live_dir, &status));
	stopped->rss_anon = status.rss_anon;
	stopped->rss_file = status.rss_file;
	stopped->rss_shmem = status.rss_shmem;
	stopped->vm_pte = status.vm_pte;
	ma_raw_confirm(&t->target, py, &t->raw);
	return ma_twin_create(&t->target, th, t->gadget, &t->raw, &t->fill, &t->twin);
}

/* 0 when it has ended. */
static uint64_t minor_faults(const struct tracer *t)
{
	struct ma_stat s = { 0 };
	ma_error_free(ma_stat_read(t->target.dir, &s));
	return s.minor_faults;
}

/* What is kept out of the children of a program, by us or by an earlier run that was killed. */
static void undo_raw(struct tracer *t)
{
	struct ma_error *err = ma_raw_undo_all();
	if (err)
		note(t, err->message);
	ma_error_free(err);
}

/* Before the stop: what this copy may do without, on disk before it is done. */
static void choose_raw(struct tracer *t)
{
	t->raw.count = 0;
	t->raw.journal_fd = -1;
	if (t->job->raw && !t->copy_all)
		t->raw = *t->job->raw;
	ma_raw_journal_write(&t->target, &t->raw);
	ma_fault_point(JOURNAL_WRITTEN);
}

/* After the release: nothing is kept out any more, or it is tried once more, in a stop of its own. */
static void give_back_raw(struct tracer *t)
{
	t->done.raw_bytes = t->raw.count ? t->raw.bytes : 0;
	t->done.raw_saved_ns = t->raw.count ? t->raw.saved_ns : 0;
	if (!ma_raw_journal_remove(&t->raw))
		undo_raw(t);
}

/* One stop of the whole target, from which a twin comes. */
static struct ma_error *take_twin(struct tracer *t)
{
	const struct ma_attach_options *o = t->job->options;
	struct ma_msg_stopped stopped;

	free(t->threads);
	t->threads = NULL;
	t->threads_count = 0;
	choose_raw(t);
	struct ma_error *err =
		ma_tracee_stop_all(&t->target, o->stop_timeout_ns ? o->stop_timeout_ns : DEFAULT_STOP_NS);
	if (err) {
		ma_raw_journal_remove(&t->raw);
		return err;
	}
	err = copy_target(t, &stopped);
	if (!err) {
		t->threads = malloc(t->target.count * sizeof(*t->threads));
		if (t->threads) {
			t->threads_count = t->target.count;
			memcpy(t->threads, t->target.threads, t->threads_count * sizeof(*t->threads));
		}
	}
	struct ma_error *undo = ma_tracee_release(&t->target);
	t->done.pause_ns += ma_now_ns() - t->target.interrupted_ns;
	t->done.attempts++;
	give_back_raw(t);
	ma_fault_point(TARGET_RELEASED);
	if (err) {
		ma_error_free(undo);
		return err;
	}
	if (undo)
		return undo;
	t->done.call_ns += t->twin.call_ns;
	/* The target runs again. */
	t->minor_faults = minor_faults(t);
	ma_channel_send(t->end, MA_MSG_STOPPED, &stopped, sizeof(stopped), -1);
	return ma_channel_send_tids(t->end, t->target.dir, t->threads, t->threads_count);
}

static void end_twin(struct tracer *t)
{
	if (t->twin.pid <= 0)
		return;
	t->done.twin_ns += ma_now_ns() - t->twin.born_ns;
	uint64_t faults = minor_faults(t);
	if (faults > t->minor_faults)
		t->done.target_faults += faults - t->minor_faults;
	ma_twin_end(&t->twin);
	ma_fault_point(TWIN_KILLED);
	ma_twin_pages_deinit(&t->pages);
	t->done.live_bytes += t->fill.bytes;
	ma_fill_deinit(&t->fill);
}

/* Why a runner did not come to its safe point, for a person. */
static void say_end(struct tracer *t, const struct ma_runner *r)
{
	const struct ma_forward_result *fwd = &r->result;
	char who[48] = "", text[240], why[160] = "";
	if (r->gil.interp_id)
		snprintf(who, sizeof(who), "interpreter %" PRIu64 ": ", r->gil.interp_id);
	switch (fwd->end) {
	case MA_FWD_SAFE:
		if (r->found)
			return;
		/* The GIL changes hands at this moment, or Python was entered on a foreign thread. */
		snprintf(why, sizeof(why), "the thread that holds the GIL is not known");
		break;
	case MA_FWD_LOCK:
		snprintf(why, sizeof(why), "it waits for a lock of another thread with the GIL held");
		break;
	case MA_FWD_SYSCALL:
		snprintf(why, sizeof(why), "it makes system call %ld with the GIL held", fwd->nr);
		break;
	case MA_FWD_TIMEOUT:
		snprintf(why, sizeof(why), "no safe point within %.1f s", (double)fwd->ns / 1e9);
		break;
	case MA_FWD_FAULT:
		snprintf(why, sizeof(why), "signal %d on the way to the safe point", fwd->signal);
		break;
	}
	snprintf(text, sizeof(text), "%s%s: the heap was walked as it stood", who, why);
	note(t, text);
}

static bool is_safe(const struct ma_runner *r)
{
	return r->found && r->result.end == MA_FWD_SAFE;
}

/* Runs every thread that holds a GIL on, in the twin. *again: another copy may do better. */
static struct ma_error *to_safe_point(struct tracer *t, bool *again)
{
	const struct ma_attach_options *o = t->job->options;
	struct ma_runners *r = &t->runners;
	/* Another moment may be a better one, but for a computation that takes longer than the time given. */
	bool more = t->done.attempts < MAX_ATTEMPTS, late = false, all = true;
	unsigned locks = 0;
	*again = false;
	t->done.consistency = t->gil.locked ? MA_CONS_SAFE_POINT : MA_CONS_GIL_FREE;
	for (unsigned i = 0; i < r->count; i++)
		all &= r->v[i].found;
	if (!all && more) {
		*again = true;
		return NULL;
	}
	if (r->count) {
		phase(t, "running forward");
		ma_fault_point(RUN_FORWARD);
	}
	MA_TRY(ma_runners_forward(&t->twin, t->job->python, r,
				  o->safe_timeout_ns ? o->safe_timeout_ns : DEFAULT_SAFE_NS, !more, watch, t));
	for (unsigned i = 0; i < r->count; i++) {
		t->done.safe_ns += r->v[i].result.ns;
		locks += r->v[i].result.locks_taken;
		late |= r->v[i].result.end == MA_FWD_TIMEOUT;
		all &= is_safe(&r->v[i]);
	}
	if (!all && t->fill.lost) { /* what it needed was not there */
		t->copy_all = true;
		late = false;
	}
	*again = !all && more && !late;
	if (*again)
		return NULL;
	if (!all || r->more)
		t->done.consistency = MA_CONS_ARBITRARY;
	for (unsigned i = 0; i < r->count; i++)
		say_end(t, &r->v[i]);
	if (r->more)
		note(t, "more interpreters with a GIL of their own were running than can be brought to a safe point: "
			"the others were walked as they stood");
	if (locks && all)
		note(t, "a lock of a thread that is not in the copy was taken over there on the way to the safe point");
	return NULL;
}

/* What each interpreter was like when it was walked. */
static struct ma_error *send_interps(struct tracer *t)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_MSG_MAX - 1);
	_cleanup_free_ struct ma_gil *v = NULL;
	size_t count;
	MA_TRY(ma_gil_list(t->twin.pid, t->job->python, &v, &count));
	for (size_t i = 0; i < count && b.len < MA_MSG_MAX - 256; i++) {
		bool own = v[i].addr != t->gil.addr, main_runs = false;
		uint64_t consistency = MA_CONS_GIL_FREE;
		for (unsigned k = 0; k < t->runners.count; k++) {
			const struct ma_runner *r = &t->runners.v[k];
			if (r->gil.addr == v[i].addr)
				consistency =
					is_safe(r) && !t->job->options->native ? MA_CONS_SAFE_POINT : MA_CONS_ARBITRARY;
			main_runs |= r->gil.addr == v[i].addr;
		}
		if (v[i].locked && !main_runs) /* one too many */
			consistency = MA_CONS_ARBITRARY;
		ma_buf_varint(&b, MA_META_INTERP);
		ma_buf_varint(&b, 24);
		ma_buf_u64(&b, v[i].interp_id);
		ma_buf_u64(&b, own);
		ma_buf_u64(&b, consistency);
	}
	MA_TRY(ma_buf_error(&b));
	ma_channel_send(t->end, MA_MSG_INTERPS, ma_buf_text(&b), b.len, -1);
	return NULL;
}

/* Native stacks of all threads, while the twin stands as it was born. A machine that can not do it costs the native
 * frames, not the Python ones. */
static struct ma_error *send_native(struct tracer *t)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(NATIVE_MAX);
	unsigned incomplete = 0;
	char text[160];
	phase(t, "unwinding");
	struct ma_error *err = ma_native_stacks(&t->twin, t->threads, t->threads_count, watch, t, &b, &incomplete);
	if (err && (err->code == MA_ERR_UNSUPPORTED || err->code == MA_ERR_LIMIT)) {
		note(t, err->message);
		ma_error_free(err);
		return NULL;
	}
	if (err)
		return err;
	if (incomplete) {
		snprintf(text, sizeof(text), "the native stacks of %u threads could not be followed to their ends",
			 incomplete);
		note(t, text);
	}
	_cleanup_close_ int fd = memfd_create("memattach-native", MFD_CLOEXEC);
	if (fd < 0 || write(fd, ma_buf_text(&b), b.len) != (ssize_t)b.len)
		return ma_error_os(errno, "cannot keep the native stacks");
	ma_channel_send(t->end, MA_MSG_NATIVE, NULL, 0, fd);
	return NULL;
}

/* What the twin's smaps say of these ranges is true of the twin alone. */
static void send_kept_out(struct tracer *t)
{
	struct ma_msg_raw v[MA_RAW_RANGES_MAX];
	for (size_t i = 0; i < t->fill.count; i++) {
		const struct ma_kept_out *r = &t->fill.v[i];
		v[i] = (struct ma_msg_raw){ r->start, r->end, r->resident, r->huge };
	}
	ma_channel_send(t->end, MA_MSG_RAW, v, t->fill.count * sizeof(*v), -1);
}

static struct ma_error *send_smaps(struct tracer *t)
{
	_cleanup_close_ int smaps = -1;
	MA_TRY(ma_twin_smaps(&t->twin, &smaps));
	if (smaps < 0) {
		note(t, "the memory map of the copy could not be read");
		return NULL;
	}
	struct ma_error *err = t->job->options->threads_only ? NULL : ma_twin_pages_read(&t->twin, &t->pages);
	send_kept_out(t);
	ma_channel_send(t->end, MA_MSG_SMAPS, NULL, 0, smaps);
	if (err)
		note(t, "which pages of the copy are resident could not be read: memory that is mapped but was never "
			"touched counts like the rest of its mapping");
	ma_error_free(err);
	return NULL;
}

/* What the memory is that no object accounts for. It may fail: the rows of the report are coarser then. */
static struct ma_error *send_memory(struct tracer *t, const struct ma_loaded *loaded)
{
	int fd;
	if (t->job->options->threads_only)
		return NULL;
	phase(t, "surveying");
	/* Nobody stands still now: the work may not take the processor from the target (ma_tracer_settle()). */
	int nice = getpriority(PRIO_PROCESS, 0);
	if (nice < 0)
		setpriority(PRIO_PROCESS, 0, 10);
	struct ma_error *err = ma_twin_memory(&t->twin, loaded, &t->pages, t->threads, t->threads_count, watch, t, &fd);
	if (nice < 0)
		setpriority(PRIO_PROCESS, 0, nice);
	if (err && (err->code == MA_ERR_OS || err->code == MA_ERR_NO_MEMORY)) {
		note(t, err->message);
		ma_error_free(err);
		return NULL;
	}
	ma_fault_point(MEMORY_SURVEYED);
	if (!err && fd >= 0) {
		ma_channel_send(t->end, MA_MSG_MEMORY, NULL, 0, fd);
		close(fd);
	}
	return err;
}

/* A core file of the twin, as it will be walked. */
static struct ma_error *send_core(struct tracer *t)
{
	phase(t, "writing the core");
	return ma_core_out(&t->twin, t->target.dir, t->threads, t->threads_count, &t->runners,
			   t->pages.known ? &t->pages.runs : NULL, watch, t, *t->job->options->core_out);
}

static struct ma_error *walk(struct tracer *t)
{
	const struct ma_attach_options *o = t->job->options;
	struct ma_loaded loaded = { .ring_fd = -1 };
	MA_TRY(ma_twin_unshare_memory(&t->twin));
	ma_fault_point(MEMORY_UNSHARED);
	if (o->core_out)
		MA_TRY(send_core(t));
	uint32_t flags = (o->threads_only ? MAA_FLAG_THREADS_ONLY : 0u) | (o->native ? MAA_FLAG_ENTRIES : 0u);
	MA_TRY(ma_agent_load(&t->twin, t->job->python, &t->gil, flags, &o->values, &loaded));
	ma_channel_send(t->end, MA_MSG_RING, NULL, 0, loaded.ring_fd);
	close(loaded.ring_fd);
	phase(t, "walking");
	uint64_t began = ma_now_ns();
	struct ma_error *err =
		ma_agent_run(&t->twin, &loaded, o->walk_timeout_ns ? o->walk_timeout_ns : DEFAULT_WALK_NS,
			     ma_tracer_pace(t->twin.moved, t->job->preflight), watch, t, &t->done.faults);
	t->done.walk_ns = ma_now_ns() - began;
	ma_fault_point(WALK_ENDED);
	if (!err)
		err = send_memory(t, &loaded);
	/* What was read of the live process went by its number: from here on it is known that it was this one's. */
	return !err && t->fill.count ? ma_tracee_verify(&t->target) : err;
}

static void told(void *arg, const struct ma_undo *undo)
{
	const struct tracer *t = arg;
	ma_channel_send(t->end, MA_MSG_UNDO, undo, sizeof(*undo), -1);
}

/* Opens the target and clears away what an earlier run that was killed left behind. */
static struct ma_error *prepare(struct tracer *t)
{
	const struct ma_tracer_job *job = t->job;
	struct ma_maps maps = { 0 };

	undo_raw(t);
	MA_TRY(ma_tracee_open(job->options->pid, &t->target));
	ma_fault_point(TARGET_OPENED);
	if (t->target.start_time != job->start_time)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited and its number was used again");
	t->target.undo = job->undo;
	t->target.told = told;
	t->target.told_arg = t;
	t->target.suspend_seccomp = job->preflight->seccomp;
	MA_TRY(ma_tracee_unmask(&t->target, DEFAULT_STOP_NS));
	MA_TRY(ma_maps_read(t->target.live_dir, "maps", &maps));
	struct ma_error *err = ma_gadget_find(t->target.live, &maps, &t->gadget);
	ma_maps_deinit(&maps);
	if (err)
		return err;
	ma_twin_wait_dead(&t->target);
	err = ma_twin_reap(&t->target, t->gadget, &t->done.pause_ns);
	if (err && err->code != MA_ERR_OS && err->code != MA_ERR_TIMEOUT)
		return err;
	ma_error_free(err);
	ma_fault_point(LEFTOVERS_REAPED);
	return NULL;
}

static struct ma_error *snapshot(struct tracer *t)
{
	const struct ma_tracer_job *job = t->job;
	bool again = false;

	MA_TRY(prepare(t));
	for (;;) {
		char *why = NULL;
		phase(t, "stopping");
		if (command_gone(t))
			return ma_errorf(MA_ERR_CANCELLED, "interrupted");
		MA_TRY(take_twin(t));
		MA_TRY(ma_twin_isolate(&t->twin, job->preflight->cgroups, &why));
		ma_fault_point(TWIN_ISOLATED);
		if (why)
			note(t, why);
		free(why);
		MA_TRY(send_smaps(t));
		ma_fault_point(REGIONS_SENT);
		if (job->options->native) {
			/* Python frames of the same moment: no run forward. */
			t->done.consistency = t->runners.count ? MA_CONS_ARBITRARY : MA_CONS_GIL_FREE;
			MA_TRY(send_native(t));
			break;
		}
		MA_TRY(to_safe_point(t, &again));
		if (!again)
			break;
		end_twin(t);
		MA_TRY(ma_twin_reap(&t->target, t->gadget, &t->done.pause_ns));
	}
	ma_fault_point(SAFE_POINT_REACHED);
	MA_TRY(send_interps(t));
	return walk(t);
}

static void run(const struct ma_tracer_job *job, int end)
{
	static struct tracer t;
	t.job = job;
	t.end = end;
	t.target = (struct ma_tracee){ .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_error *err = job->reap_only ? prepare(&t) : snapshot(&t);
	err = ma_tracee_explain(&t.target, err);
	/* The one way out, whatever happened before: twin, zombie, threads. */
	phase(&t, "finishing");
	end_twin(&t);
	struct ma_error *undo = ma_tracee_release(&t.target);
	if (t.target.dir >= 0 && t.gadget) {
		struct ma_error *reap = ma_twin_reap(&t.target, t.gadget, &t.done.pause_ns);
		if (reap && reap->code == MA_ERR_TARGET_GONE) {
			ma_error_free(reap); /* it took its zombie with it */
			reap = NULL;
		}
		if (undo)
			ma_error_free(reap);
		else
			undo = reap;
	}
	if (undo)
		note(&t, undo->message);
	ma_error_free(undo);
	ma_tracee_close(&t.target);
	free(t.threads);
	if (err)
		ma_channel_send_error(end, err);
	else
		ma_channel_send(end, MA_MSG_DONE, &t.done, sizeof(t.done), -1);
	ma_fault_point(RESULT_SENT);
	ma_error_free(err);
}

struct ma_error *ma_tracer_start(const struct ma_tracer_job *job, int *end_ret, pid_t *tracer_ret)
{
	int ends[2];
	MA_TRY(ma_channel_create(ends));
	pid_t pid = fork();
	if (pid < 0) {
		int e = errno;
		close(ends[0]);
		close(ends[1]);
		return ma_error_os(e, "cannot start the tracer");
	}
	if (pid == 0) {
		ma_tracer_settle();
		ma_tracer_close_others(ends[1], job->options->core_out ? *job->options->core_out : -1);
		ma_fault_point(TRACER_SETTLED);
		if (job->options->core || (job->options->stop && !job->reap_only))
			ma_outside_run(job, ends[1]);
		else
			run(job, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	*end_ret = ends[0];
	*tracer_ret = pid;
	return NULL;
}
