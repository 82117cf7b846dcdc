// SPDX-License-Identifier: Apache-2.0
#include "remote.h"

#include "cleanup.h"
#include "output_file.h"
#include "resume.h"
#include "snap_file.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define HELLO_MS 30000
#define SILENCE_MS 60000 /* the far side tells its progress ten times a second, and its phases are seconds */
#define STEP_MS 200      /* a cancel is seen within this time */
#define CANCEL_MS 10000  /* for the far side to end what it does */

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* The next frame, which must come: an end is an error of the link. */
static struct ma_error *receive(struct ma_remote *r, int timeout_ms)
{
	bool ended = false;
	MA_TRY(ma_frame_receive(&r->stream, &r->reader, timeout_ms, &ended));
	return ended ? ma_errorf(MA_ERR_OS, "the far side has ended") : NULL;
}

struct ma_error *ma_remote_greet(const struct ma_stream *stream, struct ma_remote *ret)
{
	struct ma_remote r = { .stream = *stream };
	MA_TRY(ma_frame_reader_init(&r.reader));
	struct ma_error *err = ma_hello_send(&r.stream, HELLO_MS);
	if (!err)
		err = receive(&r, HELLO_MS);
	if (!err && r.reader.kind == MA_FRAME_ERROR) /* memattachd: not for us */
		err = ma_error_of_frame(&r.reader);
	else if (!err)
		err = ma_hello_check(&r.reader, &r.hello);
	if (err) {
		ma_remote_deinit(&r);
		return err;
	}
	*ret = r;
	return NULL;
}

void ma_remote_deinit(struct ma_remote *r)
{
	ma_frame_reader_deinit(&r->reader);
	ma_record_free(ma_hello_fields, ma_hello_count, &r->hello);
}

static struct ma_error *unexpected(const struct ma_remote *r)
{
	if (r->reader.kind == MA_FRAME_ERROR)
		return ma_error_of_frame(&r->reader);
	return ma_errorf(MA_ERR_BAD_DATA, "the far side answers with a frame of kind %u", r->reader.kind);
}

/* ------------------------------------------------------------------ a snapshot */

struct coming {
	struct ma_remote *remote;
	const struct ma_session_options *options;
	struct ma_output_file file;
	uint64_t bytes;
	bool sound;    /* the link is: what failed is the request, or the file here */
	bool answered; /* the far side has ended the request with an ERROR */
	struct ma_resume resume;
	struct ma_snapshot_done done;
};

static struct ma_error *on_data(struct coming *c)
{
	const struct ma_frame_reader *f = &c->remote->reader;
	if (!c->bytes && (f->bytes < MA_MARK_BYTES || memcmp(f->payload, MA_FILE_MAGIC, MA_MARK_BYTES)))
		return ma_errorf(MA_ERR_BAD_DATA, "what the far side sends is no snapshot");
	int errnum = ma_pwrite_all(c->file.fd, f->payload, f->bytes, c->bytes);
	if (errnum) {
		c->sound = true;
		return ma_error_os(errnum, "cannot write %s", c->file.path);
	}
	c->bytes += f->bytes;
	return NULL;
}

static struct ma_error *on_progress(const struct coming *c)
{
	const struct ma_frame_reader *f = &c->remote->reader;
	struct ma_progress_message m = { 0 };
	struct ma_error *err = ma_record_get(f->payload, f->bytes, ma_progress_fields, ma_progress_count, &m);
	if (!err && m.phase && c->options->attach.progress) {
		/* a phase of another version may be anything: only what is plain is shown */
		bool plain = strspn(m.phase, "abcdefghijklmnopqrstuvwxyz ") == strlen(m.phase);
		const struct ma_attach_progress p = { plain ? m.phase : "working", m.objects, m.edges, m.elapsed_ns,
						      m.ring_percent };
		c->options->attach.progress(c->options->attach.progress_arg, &p);
	}
	ma_record_free(ma_progress_fields, ma_progress_count, &m);
	return err;
}

static struct ma_error *on_done(struct coming *c)
{
	const struct ma_frame_reader *f = &c->remote->reader;
	MA_TRY(ma_record_get(f->payload, f->bytes, ma_snapshot_done_fields, ma_snapshot_done_count, &c->done));
	if (c->done.file_bytes != c->bytes)
		return ma_errorf(MA_ERR_BAD_DATA, "%" PRIu64 " of %" PRIu64 " bytes of the snapshot came", c->bytes,
				 c->done.file_bytes);
	return NULL;
}

static struct ma_error *on_frame(struct coming *c, bool *done_ret)
{
	switch (c->remote->reader.kind) {
	case MA_FRAME_DATA:
		return on_data(c);
	case MA_FRAME_PROGRESS:
		return on_progress(c);
	case MA_FRAME_DONE:
		*done_ret = true;
		return on_done(c);
	default:
		c->sound = c->answered = c->remote->reader.kind == MA_FRAME_ERROR;
		return unexpected(c->remote);
	}
}

static struct ma_error *receive_all(struct coming *c)
{
	const volatile int *cancel = c->options->attach.cancel;
	uint64_t heard = now_ms();
	bool done = false, cancelled = false;
	while (!done) {
		struct ma_error *err = receive(c->remote, STEP_MS);
		if (!err) {
			heard = now_ms();
			c->remote->heard = true;
			err = on_frame(c, &done);
		} else if (err->code == MA_ERR_TIMEOUT && now_ms() - heard < (cancelled ? CANCEL_MS : SILENCE_MS)) {
			ma_error_free(err);
			err = NULL;
		}
		if (err)
			return err;
		if (cancel && *cancel && !cancelled) {
			cancelled = true;
			MA_TRY(ma_frame_send(&c->remote->stream, MA_FRAME_CANCEL, NULL, 0, CANCEL_MS));
		}
	}
	return NULL;
}

static struct ma_error *request(struct coming *c, const struct ma_remote_link *link)
{
	const struct ma_session_options *o = c->options;
	_cleanup_free_ char *note = o->attach.note ? strdup(o->attach.note) : NULL;
	struct ma_snapshot_request m = {
		.pid = o->attach.pid,
		.threads_only = o->attach.threads_only,
		.native = o->attach.native,
		.values = o->attach.values.mode,
		.values_limit = o->attach.values.limit,
		.note = note,
		.max_pause_ns = o->attach.max_pause_ns,
		.raw_live = o->attach.raw_live,
		.stop_timeout_ns = o->attach.stop_timeout_ns,
		.safe_timeout_ns = o->attach.safe_timeout_ns,
		.walk_timeout_ns = o->attach.walk_timeout_ns,
		.zstd_level = (uint32_t)o->zstd_level,
		.rate = link->rate,
		.keep_s = link->keep_s,
	};
	memcpy(m.key, o->attach.values.key, sizeof(m.key));
	memcpy(m.resume, c->resume.key, sizeof(m.resume));
	if (c->resume.rest) {
		struct ma_resume_request rest = { .offset = c->bytes, .rate = link->rate };
		memcpy(rest.key, c->resume.key, sizeof(rest.key));
		return ma_message_send(&c->remote->stream, MA_FRAME_RESUME, ma_resume_request_fields,
				       ma_resume_request_count, &rest, SILENCE_MS);
	}
	return ma_message_send(&c->remote->stream, MA_FRAME_SNAPSHOT, ma_snapshot_request_fields,
			       ma_snapshot_request_count, &m, SILENCE_MS);
}

/* Of a link that broke: what came is worth keeping. */
static struct ma_error *keep_part(struct coming *c, struct ma_error *err)
{
	if (c->bytes <= sizeof(struct ma_file_hdr) || c->options->attach.threads_only)
		return err;
	struct ma_error *failed = ma_output_file_publish(&c->file, ".part");
	if (!failed)
		failed = ma_resume_note(&c->resume);
	if (failed) {
		ma_error_free(failed);
		return err;
	}
	struct ma_error *told =
		ma_errorf(MA_ERR_OS, "%s; the %" PRIu64 " bytes that came are in %s.part%s", err->message, c->bytes,
			  c->options->path, c->resume.wanted ? ": the same command fetches the rest" : "");
	ma_error_free(err);
	return told;
}

/* The file is safe here: it need not be kept there. Without this it is, for some time. */
static void acknowledge(struct coming *c)
{
	if (c->resume.wanted)
		ma_error_free(ma_frame_send(&c->remote->stream, MA_FRAME_RECEIVED, NULL, 0, CANCEL_MS));
}

struct ma_error *ma_remote_snapshot(struct ma_remote *r, const struct ma_session_options *options,
				    const struct ma_remote_link *link, struct ma_session_result *ret)
{
	struct coming c = { .remote = r, .options = options, .file = { .fd = -1 } };
	struct ma_error *err = ma_output_file_create(options->path, &c.file);
	r->heard = false;
	if (!err && link->resume)
		err = ma_resume_begin(options->path, c.file.fd, &c.resume, &c.bytes);
	if (!err)
		err = request(&c, link);
	if (!err) {
		err = receive_all(&c);
		if (err && options->attach.cancel && *options->attach.cancel) {
			ma_error_free(err);
			err = ma_errorf(MA_ERR_CANCELLED, "interrupted");
		} else if (err && !c.sound) {
			err = keep_part(&c, err);
		}
	}
	/* else frames of what was given up may still come */
	r->broken = err && !c.answered;
	if (err && c.answered && c.resume.rest) {
		ma_resume_end(&c.resume, false);
		err = ma_error_prefix(err, "%s.part can not be completed", options->path);
	}
	if (!err)
		err = ma_output_file_publish(&c.file, "");
	if (!err) {
		ma_resume_end(&c.resume, true);
		acknowledge(&c);
	}
	if (!err)
		*ret = (struct ma_session_result){
			.attach = {
				.pause_ns = c.done.pause_ns,
				.safe_ns = c.done.safe_ns,
				.twin_ns = c.done.twin_ns,
				.walk_ns = c.done.walk_ns,
				.attempts = c.done.attempts,
				.consistency = (enum ma_consistency)c.done.consistency,
				.faults = c.done.faults,
				.left_behind = ma_take_ptr(c.done.left_behind),
			},
			.file_bytes = c.bytes,
			.total_ns = c.done.total_ns,
		};
	ma_output_file_deinit(&c.file);
	ma_resume_deinit(&c.resume);
	ma_record_free(ma_snapshot_done_fields, ma_snapshot_done_count, &c.done);
	return err;
}

/* ------------------------------------------------------------------ the other requests */

struct ma_error *ma_remote_doctor(struct ma_remote *r, pid_t pid, struct ma_doctor *ret)
{
	const struct ma_doctor wanted = { .pid = pid };
	struct ma_doctor d = { 0 };
	MA_TRY(ma_message_send(&r->stream, MA_FRAME_DOCTOR, ma_doctor_fields, ma_doctor_count, &wanted, SILENCE_MS));
	MA_TRY(receive(r, SILENCE_MS));
	if (r->reader.kind != MA_FRAME_DIAGNOSIS)
		return unexpected(r);
	struct ma_error *err = ma_record_get(r->reader.payload, r->reader.bytes, ma_doctor_fields, ma_doctor_count, &d);
	if (!err && (!d.command || !d.may_attach_text || !d.layouts || !d.in_the_way))
		err = ma_errorf(MA_ERR_BAD_DATA, "the diagnosis of the far side is not whole");
	if (!err)
		err = receive(r, SILENCE_MS);
	if (!err && r->reader.kind != MA_FRAME_DONE)
		err = unexpected(r);
	if (err) {
		ma_doctor_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

/* ------------------------------------------------------------------ which processes */

struct pids {
	pid_t *v;
	size_t count;
};

static void pids_deinit(struct pids *p)
{
	free(p->v);
}

#define PIDS_MAX (1u << 22) /* the kernel has no more (PID_MAX_LIMIT) */

static struct ma_error *add(struct pids *p, pid_t pid)
{
	if (pid < 1 || p->count >= PIDS_MAX)
		return ma_errorf(MA_ERR_BAD_DATA, "the far side lists what is no process");
	pid_t *v = reallocarray(p->v, p->count + 1, sizeof(*v));
	if (!v)
		return &ma_enomem;
	p->v = v;
	v[p->count++] = pid;
	return NULL;
}

static bool has(const struct pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->v[i] == pid)
			return true;
	return false;
}

static bool matches(const struct ma_process *p, const char *pattern)
{
	if (!pattern)
		return true;
	if (!p->command)
		return false;
	return strpbrk(pattern, "*?[") ? !fnmatch(pattern, p->command, 0) : strstr(p->command, pattern) != NULL;
}

/* Those that match; pattern NULL: all. */
static struct ma_error *list(struct ma_remote *r, const struct ma_family *f, const char *pattern, struct pids *ret)
{
	_cleanup_free_ char *cgroup = f->cgroup ? strdup(f->cgroup) : NULL;
	const struct ma_list_request wanted = { f->tree, cgroup };
	if (f->cgroup && !cgroup)
		return &ma_enomem;
	MA_TRY(ma_message_send(&r->stream, MA_FRAME_LIST, ma_list_request_fields, ma_list_request_count, &wanted,
			       SILENCE_MS));
	for (;;) {
		struct ma_process p = { 0 };
		MA_TRY(receive(r, SILENCE_MS));
		if (r->reader.kind == MA_FRAME_DONE)
			return NULL;
		if (r->reader.kind != MA_FRAME_PROCESS)
			return unexpected(r);
		struct ma_error *err =
			ma_record_get(r->reader.payload, r->reader.bytes, ma_process_fields, ma_process_count, &p);
		if (!err && matches(&p, pattern))
			err = add(ret, p.pid);
		ma_record_free(ma_process_fields, ma_process_count, &p);
		MA_TRY(err);
	}
}

struct ma_error *ma_remote_family(struct ma_remote *r, const struct ma_family *f, pid_t **ret, size_t *count_ret)
{
	_cleanup_(pids_deinit) struct pids found = { 0 };
	MA_TRY(list(r, f, NULL, &found));
	if (!found.count && f->cgroup)
		return ma_errorf(MA_ERR_TARGET_GONE, "no Python process there is in the control group '%s'", f->cgroup);
	if (!found.count)
		return ma_errorf(MA_ERR_TARGET_GONE, "no Python process there is pid %d or below it", (int)f->tree);
	*ret = ma_take_ptr(found.v);
	*count_ret = found.count;
	return NULL;
}

#define TOLD_MAX 8 /* processes in the message of a pattern that means several */

static struct ma_error *several(const struct pids *found, const char *pattern)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(256);
	for (size_t i = 0; i < found->count && i < TOLD_MAX; i++)
		ma_buf_printf(&b, "%s%d", i ? ", " : "", (int)found->v[i]);
	return ma_errorf(MA_ERR_USAGE, "%zu processes there match '%s': %s%s", found->count, pattern, ma_buf_text(&b),
			 found->count > TOLD_MAX ? ", ..." : "");
}

struct ma_error *ma_remote_find(struct ma_remote *r, const char *pattern, bool tree, pid_t *ret)
{
	_cleanup_(pids_deinit) struct pids found = { 0 };
	MA_TRY(list(r, &(struct ma_family){ 0 }, pattern, &found));
	if (!found.count)
		return ma_errorf(MA_ERR_TARGET_GONE, "no Python process there has '%s' in its command line", pattern);
	size_t top = found.count == 1 ? 0 : SIZE_MAX;
	/* they come by rising pid, and parents are older than their children */
	for (size_t i = 0; tree && top == SIZE_MAX && i < found.count && i < TOLD_MAX; i++) {
		_cleanup_(pids_deinit) struct pids below = { 0 };
		MA_TRY(list(r, &(struct ma_family){ .tree = found.v[i] }, NULL, &below));
		top = i;
		for (size_t k = 0; k < found.count; k++)
			top = k == i || has(&below, found.v[k]) ? top : SIZE_MAX;
	}
	if (top == SIZE_MAX)
		return several(&found, pattern);
	*ret = found.v[top];
	return NULL;
}
