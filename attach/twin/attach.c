// SPDX-License-Identifier: Apache-2.0
/* The command's half of a snapshot: it looks at the target, starts the tracer, and takes what comes out of the ring. */
#include <memattach/attach.h>

#include "cleanup.h"
#include "drain.h"
#include "fault_point.h"
#include "mem.h"
#include "meta.h"
#include "native.h"
#include "tracee.h"
#include "tracer.h"
#include "twin_memory.h"
#include "wait.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#define STEP_MS 20 /* a cancel is seen within this time */
#define PROGRESS_NS 100000000u
#define DYING_NS 100000000u

struct attach {
	const struct ma_attach_options *options;
	struct ma_sink *sink;
	struct ma_buf meta, notes; /* META's payload; notes that come after META was written */
	bool meta_written, stopped;
	struct ma_drain drain;
	int smaps, native, memory; /* descriptors of what the tracer sent, -1 = nothing yet */
	struct ma_msg_done done;
	struct ma_undo undo; /* if the tracer is killed now */
	bool tracer_done, tracer_lost;
	struct ma_kept_out *kept_out;
	size_t kept_out_count;
	const char *phase;
	uint64_t began, shown;
};

static void progress(struct attach *a, const char *phase)
{
	uint64_t now = ma_now_ns();
	if (!a->options->progress || (phase == a->phase && now - a->shown < PROGRESS_NS))
		return;
	struct ma_attach_progress p = { .phase = phase, .elapsed_ns = now - a->began };
	if (a->drain.ring) {
		p.objects = a->drain.ring->objects;
		p.edges = a->drain.ring->edges;
		p.ring_percent = (a->drain.ring->head - a->drain.tail) * 100 / MA_RING_SLOTS;
	}
	a->options->progress(a->options->progress_arg, &p);
	a->phase = phase;
	a->shown = now;
}

static const char *known_phase(const char *text)
{
	static const char *const phases[] = { "stopping",  "unwinding", "running forward", "walking",
					      "surveying", "finishing", "writing the core" };
	for (size_t i = 0; i < MA_ARRAY_SIZE(phases); i++)
		if (!strcmp(phases[i], text))
			return phases[i];
	return "working";
}

static struct ma_error *write_meta(struct attach *a)
{
	if (a->meta_written)
		return NULL;
	a->meta_written = true;
	return ma_meta_emit(a->sink, MA_BLOCK_META, &a->meta);
}

/* A second attempt replaces the first. */
static struct ma_error *on_kept_out(struct attach *a, const struct ma_msg *m)
{
	size_t n = m->bytes / sizeof(m->u.raw[0]);
	free(a->kept_out);
	a->kept_out_count = 0;
	a->kept_out = calloc(n + 1, sizeof(*a->kept_out));
	if (!a->kept_out)
		return &ma_enomem;
	for (size_t i = 0; i < n; i++)
		a->kept_out[i] = (struct ma_kept_out){ .start = m->u.raw[i].start,
						       .end = m->u.raw[i].end,
						       .resident = m->u.raw[i].resident,
						       .huge = m->u.raw[i].huge };
	a->kept_out_count = n;
	return NULL;
}

static struct ma_error *on_message(struct attach *a, struct ma_msg *m)
{
	switch (m->kind) {
	case MA_MSG_PHASE:
		progress(a, known_phase(m->u.text));
		return NULL;
	case MA_MSG_STOPPED:
		/* A second attempt replaces the first: later fields win in the reader. */
		if (m->bytes == sizeof(m->u.stopped))
			ma_meta_stopped(&a->meta, &m->u.stopped);
		return NULL;
	case MA_MSG_TIDS:
		/* Threads beyond a block's size go without a name. */
		if (!a->stopped && a->meta.len + m->bytes < MA_BLOCK_PAYLOAD - 4096)
			ma_buf_add(&a->meta, m->u.text, m->bytes);
		return NULL;
	case MA_MSG_META:
		ma_buf_add(&a->meta, m->u.text, m->bytes);
		return NULL;
	case MA_MSG_NOTE:
		ma_meta_text(&a->notes, MA_META_NOTE, m->u.text);
		return NULL;
	case MA_MSG_RING:
		if (m->fd < 0)
			return ma_errorf(MA_ERR_OS, "the ring did not arrive");
		MA_TRY(ma_drain_open(m->fd, &a->drain));
		ma_fault_point(RING_ARRIVED);
		return write_meta(a);
	case MA_MSG_RAW:
		return on_kept_out(a, m);
	case MA_MSG_SMAPS:
		if (a->smaps >= 0)
			close(a->smaps);
		a->smaps = ma_take_fd(m->fd);
		return NULL;
	case MA_MSG_INTERPS:
		ma_buf_add(&a->notes, m->u.text, m->bytes);
		return NULL;
	case MA_MSG_NATIVE:
		if (a->native >= 0)
			close(a->native);
		a->native = ma_take_fd(m->fd);
		return NULL;
	case MA_MSG_MEMORY:
		if (a->memory >= 0)
			close(a->memory);
		a->memory = ma_take_fd(m->fd);
		return NULL;
	case MA_MSG_UNDO:
		if (m->bytes == sizeof(m->u.undo))
			a->undo = m->u.undo;
		return NULL;
	case MA_MSG_DONE:
		if (m->bytes == sizeof(m->u.done))
			a->done = m->u.done;
		a->tracer_done = true;
		return NULL;
	case MA_MSG_ERROR:
		return ma_channel_error(m);
	}
	return ma_errorf(MA_ERR_BAD_DATA, "message %u of the tracer is unknown", m->kind);
}

static struct ma_error *serve(struct attach *a, int end)
{
	struct ma_msg *m = malloc(sizeof(*m));
	struct ma_error *err = m ? NULL : &ma_enomem;
	while (!err && !a->tracer_done) {
		/* Wait where the next thing comes from: the ring while the agent writes, else the tracer. */
		bool walking = a->drain.ring && !__atomic_load_n(&a->drain.ring->done, __ATOMIC_ACQUIRE);
		int n = ma_channel_receive(end, walking ? 0 : STEP_MS, m);
		if (n > 0) {
			err = on_message(a, m);
			if (m->fd >= 0)
				close(m->fd);
		} else if (n < 0) {
			a->tracer_lost = true;
			err = ma_errorf(MA_ERR_OS, "the tracer was killed");
		} else if (a->drain.ring) {
			unsigned moved;
			err = ma_drain_step(&a->drain, STEP_MS, a->sink, &moved);
			progress(a, "walking");
		}
		if (!err && a->options->cancel && __atomic_load_n(a->options->cancel, __ATOMIC_ACQUIRE))
			err = ma_errorf(MA_ERR_CANCELLED, "interrupted");
	}
	free(m);
	return err;
}

/* What is left in the ring after the tracer is done, then what the tool itself knows. */
static struct ma_error *finish(struct attach *a)
{
	unsigned moved;
	bool finished;
	if (!a->drain.ring)
		return ma_errorf(MA_ERR_OS, "the tracer ended without a walk");
	MA_TRY(ma_drain_step(&a->drain, 0, a->sink, &moved));
	MA_TRY(ma_drain_finished(&a->drain, &finished));
	if (!finished)
		return ma_errorf(MA_ERR_OS, "the walk ended before its end");
	ma_fault_point(RING_DRAINED);
	if (a->smaps >= 0)
		MA_TRY(ma_meta_regions(a->sink, a->smaps, a->kept_out, a->kept_out_count));
	if (a->native >= 0)
		MA_TRY(ma_native_emit(a->sink, a->native));
	if (a->memory >= 0)
		MA_TRY(ma_twin_memory_emit(a->sink, a->memory));
	ma_meta_done(&a->notes, &a->done);
	return ma_meta_emit(a->sink, MA_BLOCK_RESULT, &a->notes);
}

static struct ma_error *refuse(const struct ma_attach_options *o, const struct ma_preflight *pre)
{
	if (pre->obstacle != MA_OBS_NONE && (!o->stop || pre->obstacle == MA_OBS_32BIT))
		return ma_errorf(MA_ERR_UNSUPPORTED, "%s%s", pre->reason ? pre->reason : "its copy can not be made",
				 pre->obstacle == MA_OBS_32BIT ? "" : MA_STOP_HINT);
	if (o->stop) /* its estimate is another one */
		return NULL;
	if (o->max_pause_ns && pre->estimate_ns > o->max_pause_ns)
		return ma_errorf(MA_ERR_LIMIT, "the stop is estimated at %" PRIu64 " ms, more than --max-pause allows",
				 pre->estimate_ns / 1000000);
	return NULL;
}

/* Everything that can be known without stopping it. */
static struct ma_error *look(const struct ma_attach_options *o, struct ma_tracee *t, struct ma_python *py,
			     struct ma_preflight *pre, struct ma_raw *raw, struct ma_tracer_job *job,
			     struct ma_buf *meta)
{
	struct ma_status status;
	struct ma_maps maps = { 0 };
	MA_TRY(ma_tracee_open(o->pid, t));
	MA_TRY(ma_status_read(t->live_dir, &status));
	if (status.tgid && status.tgid != o->pid)
		return ma_errorf(MA_ERR_USAGE, "that is a thread of process %d: name the process", status.tgid);
	if (status.tracer)
		return ma_diagnose_seize(t->dir, o->pid, EPERM);
	struct ma_error *err = ma_python_find(t->live, t->live_dir, py);
	if (err && err->code == MA_ERR_PERMISSION) { /* the same check as an attach: say which one, and what helps */
		ma_error_free(err);
		return ma_diagnose_seize(t->dir, o->pid, EPERM);
	}
	if (err)
		return err;
	MA_TRY(ma_maps_read(t->live_dir, "maps", &maps));
	err = ma_preflight_read(t->live_dir, t->live, &status, &maps, pre);
	if (!err && o->raw_live && !o->stop && !o->core_out)
		err = ma_raw_find(t, py, &maps, pre->small_page_bytes, pre->huge_page_bytes, raw);
	ma_maps_deinit(&maps);
	if (err)
		return err;
	pre->estimate_ns -= raw->saved_ns < pre->estimate_ns ? raw->saved_ns : pre->estimate_ns;
	MA_TRY(refuse(o, pre));
	MA_TRY(ma_meta_target(meta, t->dir, o, &status, py, pre));
	if (o->stop)
		ma_meta_u64(meta, MA_META_SOURCE, MA_SOURCE_STOPPED);
	if (py->layout.runtime_interp_head < 0)
		return ma_errorf(MA_ERR_UNSUPPORTED, "the layout of this Python has no interpreter list");
	MA_TRY(ma_mem_read_u64(t->live, py->runtime + (uint64_t)py->layout.runtime_interp_head, &job->runtime_head));
	job->options = o;
	job->python = py;
	job->preflight = pre;
	job->raw = raw;
	job->start_time = t->start_time;
	return NULL;
}

/* A process that went on with our registers needs a moment to die of it. */
static struct ma_error *still_there(const struct ma_tracee *t, uint64_t ns)
{
	struct ma_error *gone;
	for (uint64_t end = ma_now_ns() + ns; !(gone = ma_tracee_verify(t)) && ma_now_ns() < end;)
		ma_wait_change(5000000);
	return gone;
}

/* After a tracer that was killed: the kernel let the target go and killed the twin. Another one does the rest. Returns
 * what is to be said. */
static struct ma_error *clear_away(const struct attach *a, struct ma_tracer_job *job, struct ma_tracee *t)
{
	pid_t tracer;
	int end;
	struct ma_msg *m = malloc(sizeof(*m));
	job->reap_only = true;
	job->undo = a->undo;
	struct ma_error *err = m ? ma_tracer_start(job, &end, &tracer) : &ma_enomem;
	if (!err) {
		int n;
		do {
			n = ma_channel_receive(end, STEP_MS, m);
			if (n > 0 && m->fd >= 0)
				close(m->fd);
			if (n > 0 && m->kind == MA_MSG_ERROR)
				err = ma_channel_error(m);
		} while (n >= 0);
		close(end);
		while (waitpid(tracer, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(m);
	struct ma_error *gone = still_there(t, a->undo.masked ? DYING_NS : 0), *said;
	if (gone)
		said = ma_errorf(MA_ERR_TARGET_GONE, "the tracer was killed, and the process has ended");
	else if (err)
		said = ma_errorf(MA_ERR_OS, "the tracer was killed; what it left is not all cleared away: %s",
				 err->message);
	else
		said = ma_errorf(MA_ERR_OS, "the tracer was killed; what it left in the process is cleared away");
	ma_error_free(gone);
	ma_error_free(err);
	return said;
}

struct ma_error *ma_attach_snapshot(const struct ma_attach_options *options, struct ma_sink *sink,
				    struct ma_attach_result *ret)
{
	struct attach a = { .options = options,
			    .sink = sink,
			    .meta = MA_BUF_INIT(MA_BLOCK_PAYLOAD),
			    .notes = MA_BUF_INIT(MA_BLOCK_PAYLOAD),
			    .smaps = -1,
			    .native = -1,
			    .memory = -1,
			    .began = ma_now_ns() };
	struct ma_tracee t = { .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_python py = { 0 };
	struct ma_preflight pre = { 0 };
	struct ma_tracer_job job = { 0 };
	struct ma_raw *raw = calloc(1, sizeof(*raw));
	pid_t tracer = 0;
	int end = -1;

	progress(&a, "finding");
	struct ma_error *err = raw ? NULL : &ma_enomem;
	if (options->core) /* all is looked at by the tracer: it has to be there first */
		job.options = options;
	else if (raw)
		err = ma_tracee_explain(&t, look(options, &t, &py, &pre, raw, &job, &a.meta));
	ma_fault_point(TARGET_LOOKED_AT);
	if (!err)
		err = ma_tracer_start(&job, &end, &tracer);
	if (!err) {
		ma_fault_point(TRACER_STARTED);
		err = serve(&a, end);
		/* Closing our end tells a tracer that is still at work to undo everything; it needs no more than
		 * moments, and we stay until it is done, so that an error says the truth about the target. */
		close(end);
		while (waitpid(tracer, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (a.tracer_lost) {
		ma_error_free(err);
		err = clear_away(&a, &job, &t);
	}
	if (!err)
		err = finish(&a);
	if (!err)
		*ret = (struct ma_attach_result){
			.pause_ns = a.done.pause_ns,
			.safe_ns = a.done.safe_ns,
			.twin_ns = a.done.twin_ns,
			.walk_ns = a.done.walk_ns,
			.attempts = a.done.attempts,
			.consistency = (enum ma_consistency)a.done.consistency,
			.faults = a.done.faults,
		};
	ma_drain_close(&a.drain);
	if (a.smaps >= 0)
		close(a.smaps);
	if (a.native >= 0)
		close(a.native);
	if (a.memory >= 0)
		close(a.memory);
	free(a.kept_out);
	free(raw);
	ma_buf_deinit(&a.meta);
	ma_buf_deinit(&a.notes);
	ma_preflight_deinit(&pre);
	ma_python_deinit(&py);
	ma_tracee_close(&t);
	return err;
}
