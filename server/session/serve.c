// SPDX-License-Identifier: Apache-2.0
/* The far side of a link. One thread answers requests one after the other; while it takes a snapshot a second one (the
 * watch) reads the link, so that a cancel, or the end of the link, ends the twin at once; and the outbox's third one
 * writes, so that a slow link holds up nothing. */
#include "cleanup.h"
#include "linger.h"
#include "list.h"
#include "outbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HELLO_MS 60000  /* until the other side has greeted */
#define STALL_MS 120000 /* a link that takes nothing for so long is dead */
#define RATE_MIN 1024u

struct serve {
	struct ma_fd_stream fds;
	struct ma_stream stream;
	struct ma_frame_reader reader;
	const struct ma_serve_rules *rules;
	struct ma_serve_answer now; /* the request that is answered */
	/* What the client has not said to have received: a snapshot of ours that is kept for it by this key, or one
	 * of another process that it was sent the rest of. */
	struct ma_outbox *kept;
	bool sent_rest;
	uint8_t key[MA_SIPHASH_KEY_BYTES];
	uint32_t keep_s;
};

static struct ma_error *allow(struct serve *s, const char *what, pid_t pid)
{
	s->now = (struct ma_serve_answer){ .what = what, .pid = pid };
	return s->rules->allow(s->rules->arg, what, pid);
}

/* ------------------------------------------------------------------ the watch */

struct watch {
	struct serve *serve;
	pthread_t thread;
	int quit; /* eventfd: the request is through */
	volatile int cancel;
	bool running, keep;   /* keep: the end of the link is no reason to stop */
	struct ma_error *err; /* what came instead of a cancel; of the link */
};

static void *watch_run(void *arg)
{
	struct watch *w = arg;
	struct pollfd p[] = { { w->serve->fds.in, POLLIN, 0 }, { w->quit, POLLIN, 0 } };
	for (;;) {
		bool ended = false;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			return NULL;
		if (!p[0].revents)
			continue;
		struct ma_error *err = ma_frame_receive(&w->serve->stream, &w->serve->reader, STALL_MS, &ended);
		if (!err && !ended && w->serve->reader.kind != MA_FRAME_CANCEL)
			err = ma_errorf(MA_ERR_BAD_DATA, "a request came while another one runs");
		if (!err && ended)
			err = ma_errorf(MA_ERR_OS, "the other side has gone");
		w->err = err;
		break;
	}
	const struct ma_serve_rules *rules = w->serve->rules;
	__atomic_store_n(&w->cancel, !(w->keep && w->err && w->err->code == MA_ERR_OS && !*rules->ending),
			 __ATOMIC_RELEASE);
	return NULL;
}

static struct ma_error *watch_start(struct watch *w, struct serve *s, bool keep)
{
	sigset_t all, old;
	*w = (struct watch){ .serve = s, .keep = keep, .quit = eventfd(0, EFD_CLOEXEC) };
	if (w->quit < 0)
		return ma_error_os(errno, "cannot make an eventfd");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&w->thread, NULL, watch_run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = !errnum;
	if (!errnum)
		return NULL;
	close(w->quit);
	return ma_error_os(errnum, "cannot start a thread");
}

/* The error of the link that ended the request, or NULL. */
static struct ma_error *watch_stop(struct watch *w)
{
	if (!w->running)
		return NULL;
	if (eventfd_write(w->quit, 1) == 0)
		pthread_join(w->thread, NULL);
	close(w->quit);
	w->running = false;
	return ma_take_ptr(w->err);
}

/* ------------------------------------------------------------------ a snapshot */

static void on_progress(void *arg, const struct ma_attach_progress *now)
{
	ma_outbox_progress(arg, now);
}

static struct ma_error *to_outbox(void *arg, const void *data, size_t bytes)
{
	return ma_outbox_put(arg, data, bytes);
}

static struct ma_error *check_request(const struct ma_snapshot_request *r)
{
	if (r->pid < 1)
		return ma_errorf(MA_ERR_USAGE, "no process id");
	if (r->pid == getpid())
		return ma_errorf(MA_ERR_USAGE, "pid %d is memattach itself", (int)r->pid);
	if (r->values > MA_VALUES_ALL ||
	    (r->values == MA_VALUES_PREFIX && (r->values_limit < 1 || r->values_limit > MA_VALUES_PREFIX_MAX)))
		return ma_errorf(MA_ERR_USAGE, "no such --values");
	if (r->zstd_level > 19 || (r->rate && r->rate < RATE_MIN) || r->keep_s > MA_LINGER_MAX_S)
		return ma_errorf(MA_ERR_USAGE, "no such level, rate or time");
	return NULL;
}

static struct ma_error *take(const struct ma_snapshot_request *r, struct ma_outbox *outbox, const char *folder,
			     struct watch *w, struct ma_session_result *ret)
{
	struct ma_snap_output output = { outbox, to_outbox };
	struct ma_session_options options = {
		.attach = {
			.pid = r->pid,
			.threads_only = r->threads_only,
			.native = r->native,
			.values = { .mode = r->values, .limit = r->values_limit },
			.note = r->note,
			.stop_timeout_ns = r->stop_timeout_ns,
			.safe_timeout_ns = r->safe_timeout_ns,
			.walk_timeout_ns = r->walk_timeout_ns,
			.max_pause_ns = r->max_pause_ns,
			.raw_live = r->raw_live,
			.progress = on_progress,
			.progress_arg = outbox,
			.cancel = &w->cancel,
		},
		.path = folder,
		.output = &output,
		.zstd_level = (int)r->zstd_level,
	};
	memcpy(options.attach.values.key, r->key, sizeof(r->key));
	return ma_session_snapshot(&options, ret);
}

/* True: it is registered as one that the client may come back for. */
static bool keep(struct serve *s, const struct ma_outbox *outbox, const struct ma_session_result *whole)
{
	struct ma_serve_kept k = { .fd = ma_outbox_kept(outbox), .whole = whole != NULL, .seconds = s->keep_s };
	if (whole)
		k.result = *whole;
	k.result.attach.left_behind = NULL;
	memcpy(k.key, s->key, sizeof(k.key));
	return k.fd >= 0 && s->rules->keep(s->rules->arg, &k);
}

/* An error that concerns the link; one of the request itself is in *failed_ret. */
static struct ma_error *snapshot(struct serve *s, const struct ma_snapshot_request *r, struct ma_session_result *ret,
				 struct ma_error **failed_ret)
{
	const char *tmp = getenv("TMPDIR");
	const char *folder = tmp && tmp[0] == '/' ? tmp : "/tmp";
	static const uint8_t none[MA_SIPHASH_KEY_BYTES];
	bool kept = memcmp(r->resume, none, sizeof(none)) != 0;
	const struct ma_outbox_options options = {
		.stream = &s->stream, .folder = folder, .rate = r->rate, .timeout_ms = STALL_MS, .keep = kept
	};
	struct ma_outbox *outbox = NULL;
	struct watch w;
	*failed_ret = check_request(r);
	if (*failed_ret)
		return NULL;
	MA_TRY(ma_outbox_create(&options, &outbox));
	memcpy(s->key, r->resume, sizeof(s->key));
	s->keep_s = r->keep_s;
	kept = kept && keep(s, outbox, NULL);
	struct ma_error *err = watch_start(&w, s, kept);
	if (!err) {
		*failed_ret = take(r, outbox, folder, &w, ret);
		bool whole = !*failed_ret && kept && keep(s, outbox, ret);
		if (!*failed_ret)
			*failed_ret = ma_outbox_finish(outbox, &w.cancel);
		err = watch_stop(&w);
		if (whole && !w.cancel) {
			ma_outbox_stop(outbox);
			s->kept = ma_take_ptr(outbox);
		}
	}
	if (kept && !s->kept)
		s->rules->unkeep(s->rules->arg, s->key, false);
	ma_outbox_destroy(outbox);
	if (err) {
		ma_error_free(ma_take_ptr(*failed_ret));
		free(ma_take_ptr(ret->attach.left_behind));
	}
	return err;
}

static struct ma_error *send_done(struct serve *s, const struct ma_session_result *r)
{
	s->now.file_bytes = r->file_bytes;
	s->now.pause_ns = r->attach.pause_ns;
	s->now.objects = r->objects;
	s->now.object_bytes = r->object_bytes;
	const struct ma_snapshot_done done = {
		.pause_ns = r->attach.pause_ns,
		.safe_ns = r->attach.safe_ns,
		.twin_ns = r->attach.twin_ns,
		.walk_ns = r->attach.walk_ns,
		.attempts = r->attach.attempts,
		.consistency = r->attach.consistency,
		.faults = r->attach.faults,
		.left_behind = r->attach.left_behind,
		.file_bytes = r->file_bytes,
		.total_ns = r->total_ns,
	};
	return ma_message_send(&s->stream, MA_FRAME_DONE, ma_snapshot_done_fields, ma_snapshot_done_count, &done,
			       STALL_MS);
}

static struct ma_error *answer_snapshot(struct serve *s, struct ma_error **failed_ret)
{
	struct ma_snapshot_request r = { 0 };
	struct ma_session_result result = { 0 };
	struct ma_error *err = ma_record_get(s->reader.payload, s->reader.bytes, ma_snapshot_request_fields,
					     ma_snapshot_request_count, &r);
	if (!err)
		*failed_ret = allow(s, r.threads_only ? "stacks" : "snapshot", r.pid);
	if (!err && !*failed_ret)
		err = snapshot(s, &r, &result, failed_ret);
	ma_record_free(ma_snapshot_request_fields, ma_snapshot_request_count, &r);
	if (!err && !*failed_ret)
		err = send_done(s, &result);
	free(result.attach.left_behind);
	return err;
}

/* ------------------------------------------------------------------ the rest of one */

#define STEP_MS 100 /* for more of a file that is still written */

/* Whether the client still wants it. */
static struct ma_error *wanted(struct serve *s, int timeout_ms)
{
	struct pollfd p = { s->fds.in, POLLIN, 0 };
	bool ended = false;
	if (poll(&p, 1, timeout_ms) <= 0)
		return NULL;
	MA_TRY(ma_frame_receive(&s->stream, &s->reader, STALL_MS, &ended));
	if (ended)
		return ma_errorf(MA_ERR_OS, "the other side has gone");
	return ma_errorf(MA_ERR_CANCELLED, "interrupted");
}

/* What of the file is there from *at on. */
static struct ma_error *send_part(struct serve *s, int fd, uint64_t rate, uint8_t *data, uint64_t *at)
{
	for (ssize_t n; (n = pread(fd, data, ma_outbox_step(rate), (off_t)*at)) != 0; *at += (uint64_t)n) {
		if (n < 0)
			return ma_error_os(errno, "cannot read what was kept");
		MA_TRY(wanted(s, rate ? (int)((uint64_t)n * 1000 / rate) : 0));
		MA_TRY(ma_frame_send(&s->stream, MA_FRAME_DATA, data, (size_t)n, STALL_MS));
	}
	return NULL;
}

static struct ma_error *send_rest(struct serve *s, const struct ma_resume_request *r, struct ma_serve_kept *k, int *fd)
{
	_cleanup_free_ uint8_t *data = malloc(MA_FRAME_DATA_MAX);
	uint64_t at = r->offset;
	if (!data)
		return &ma_enomem;
	for (;;) {
		if (!s->rules->kept(s->rules->arg, r->key, k, fd))
			return ma_errorf(MA_ERR_TARGET_GONE, "nothing is kept of that snapshot any more");
		if (k->whole && at > k->result.file_bytes)
			return ma_errorf(MA_ERR_BAD_DATA, "it has not so many bytes");
		MA_TRY(send_part(s, *fd, r->rate, data, &at));
		if (k->whole && at == k->result.file_bytes)
			return NULL;
		MA_TRY(wanted(s, STEP_MS));
	}
}

static struct ma_error *answer_resume(struct serve *s, struct ma_error **failed_ret)
{
	struct ma_resume_request r = { 0 };
	struct ma_serve_kept k = { 0 };
	_cleanup_close_ int fd = -1;
	MA_TRY(ma_record_get(s->reader.payload, s->reader.bytes, ma_resume_request_fields, ma_resume_request_count,
			     &r));
	*failed_ret = allow(s, "resume", 0);
	if (!*failed_ret && r.rate && r.rate < RATE_MIN)
		*failed_ret = ma_errorf(MA_ERR_USAGE, "no such rate");
	if (*failed_ret)
		return NULL;
	struct ma_error *err = send_rest(s, &r, &k, &fd);
	if (err && err->code != MA_ERR_OS) {
		*failed_ret = err;
		return NULL;
	}
	MA_TRY(err);
	MA_TRY(send_done(s, &k.result));
	s->now.objects = 0; /* it was counted when it was taken */
	memcpy(s->key, r.key, sizeof(s->key));
	s->sent_rest = true;
	return NULL;
}

/* ------------------------------------------------------------------ the other requests */

static struct ma_error *send_process(void *arg, const struct ma_process *p)
{
	struct serve *s = arg;
	if (!s->rules->sees(s->rules->arg, p->pid, p->uid, p->command))
		return NULL;
	return ma_message_send(&s->stream, MA_FRAME_PROCESS, ma_process_fields, ma_process_count, p, STALL_MS);
}

static struct ma_error *list(struct serve *s, const struct ma_list_request *r, struct ma_error **failed_ret)
{
	const struct ma_family family = { r->tree, r->cgroup };
	if (r->tree && r->cgroup)
		*failed_ret = ma_errorf(MA_ERR_USAGE, "a tree or a control group, not both");
	else if (r->cgroup && r->cgroup[0] != '/')
		*failed_ret = ma_errorf(MA_ERR_USAGE, "the path of a control group begins with a /");
	else
		*failed_ret = allow(s, "list", 0);
	if (*failed_ret)
		return NULL;
	MA_TRY(r->tree || r->cgroup ? ma_list_family(&family, send_process, s) : ma_list_processes(send_process, s));
	return ma_frame_send(&s->stream, MA_FRAME_DONE, NULL, 0, STALL_MS);
}

static struct ma_error *answer_list(struct serve *s, struct ma_error **failed_ret)
{
	struct ma_list_request r = { 0 };
	struct ma_error *err =
		ma_record_get(s->reader.payload, s->reader.bytes, ma_list_request_fields, ma_list_request_count, &r);
	if (!err)
		err = list(s, &r, failed_ret);
	ma_record_free(ma_list_request_fields, ma_list_request_count, &r);
	return err;
}

static struct ma_error *answer_doctor(struct serve *s, struct ma_error **failed_ret)
{
	struct ma_doctor wanted = { 0 }, d = { 0 };
	struct ma_error *err =
		ma_record_get(s->reader.payload, s->reader.bytes, ma_doctor_fields, ma_doctor_count, &wanted);
	if (!err && wanted.pid < 1)
		*failed_ret = ma_errorf(MA_ERR_USAGE, "no process id");
	else if (!err)
		*failed_ret = allow(s, "doctor", wanted.pid);
	if (!err && !*failed_ret)
		*failed_ret = ma_session_doctor(wanted.pid, &d);
	ma_doctor_deinit(&wanted);
	if (!err && !*failed_ret)
		err = ma_message_send(&s->stream, MA_FRAME_DIAGNOSIS, ma_doctor_fields, ma_doctor_count, &d, STALL_MS);
	if (!err && !*failed_ret)
		err = ma_frame_send(&s->stream, MA_FRAME_DONE, NULL, 0, STALL_MS);
	ma_doctor_deinit(&d);
	return err;
}

/* The client speaks again, so it has what it was sent; or, with `cut`, it may want to come back. */
static void let_go(struct serve *s, bool cut)
{
	if (s->kept) {
		s->rules->unkeep(s->rules->arg, s->key, cut);
		ma_outbox_destroy(ma_take_ptr(s->kept));
	}
	if (s->sent_rest && !cut)
		s->rules->fetched(s->rules->arg, s->key);
	s->sent_rest = false;
}

static struct ma_error *answer(struct serve *s)
{
	struct ma_error *failed = NULL, *err = NULL;
	s->now = (struct ma_serve_answer){ 0 };
	switch (s->reader.kind) {
	case MA_FRAME_LIST:
		err = answer_list(s, &failed);
		break;
	case MA_FRAME_SNAPSHOT:
		err = answer_snapshot(s, &failed);
		break;
	case MA_FRAME_DOCTOR:
		err = answer_doctor(s, &failed);
		break;
	case MA_FRAME_RESUME:
		err = answer_resume(s, &failed);
		break;
	case MA_FRAME_CANCEL: /* it crossed the answer */
	case MA_FRAME_RECEIVED:
		return NULL;
	default:
		failed = ma_errorf(MA_ERR_UNSUPPORTED, "memattach " MA_VERSION " knows no request %u", s->reader.kind);
	}
	if (s->now.what) {
		s->now.failed = err ? err : failed;
		s->rules->answered(s->rules->arg, &s->now);
	}
	if (failed && !err)
		err = ma_error_send(&s->stream, failed, STALL_MS);
	ma_error_free(failed);
	return err;
}

static struct ma_error *greet(struct serve *s, bool *ended_ret)
{
	struct ma_hello hello = { 0 };
	MA_TRY(ma_hello_send(&s->stream, HELLO_MS));
	MA_TRY(ma_frame_receive(&s->stream, &s->reader, HELLO_MS, ended_ret));
	if (*ended_ret)
		return NULL;
	MA_TRY(ma_hello_check(&s->reader, &hello));
	ma_record_free(ma_hello_fields, ma_hello_count, &hello);
	return NULL;
}

struct ma_error *ma_session_serve(int in, int out, const struct ma_serve_rules *rules)
{
	struct ma_linger linger;
	struct serve s = { .fds = { in, out } };
	bool ended = false;
	s.stream = ma_fd_stream(&s.fds);
	MA_TRY(ma_frame_reader_init(&s.reader));
	ma_linger_init(&linger);
	const struct ma_serve_rules own = ma_linger_rules(&linger);
	s.rules = rules ? rules : &own;
	struct ma_error *err = greet(&s, &ended);
	while (!err && !ended) {
		err = ma_frame_receive(&s.stream, &s.reader, -1, &ended);
		if (err && err->code == MA_ERR_TIMEOUT) /* a signal */
			ma_error_free(ma_take_ptr(err));
		else if (!err && !ended) {
			let_go(&s, false);
			err = answer(&s);
		}
	}
	let_go(&s, !err || err->code != MA_ERR_BAD_DATA);
	/* To one that can still read, the reason why we end. */
	if (err && err->code != MA_ERR_OS) {
		struct ma_error *ignored = ma_error_send(&s.stream, err, 1000);
		ma_error_free(ignored);
	}
	ma_linger_deinit(&linger);
	ma_frame_reader_deinit(&s.reader);
	return err;
}
