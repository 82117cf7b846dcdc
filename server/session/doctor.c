// SPDX-License-Identifier: Apache-2.0
/* doctor.c - the checks of an attach without the attach: what memattach would find before it stops anything. */
#include <memattach/session.h>

#include "buffer.h"
#include "cleanup.h"
#include "proc.h"
#include "python.h"
#include "raw.h"
#include "tracee.h"

#include <string.h>

static struct ma_error *text(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct ma_error *text(char **ret, const char *fmt, ...)
{
	va_list ap;
	char *s;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return &ma_enomem;
	*ret = s;
	return NULL;
}

/* May it be attached? A refusal is an answer; a target that is gone or never was a program is an error. */
static struct ma_error *look_at_permission(const struct ma_tracee *t, struct ma_doctor *d)
{
	_cleanup_free_ char *how = NULL;
	_cleanup_error_ struct ma_error *err = ma_may_attach(t->dir, t->pid, &how);
	if (err && err->code != MA_ERR_PERMISSION)
		return ma_take_ptr(err);
	d->may_attach = !err;
	if (err)
		return text(&d->may_attach_text, "%s", err->message);
	return text(&d->may_attach_text, "yes: %s", how);
}

static struct ma_error *describe_layouts(const struct ma_python *py, struct ma_doctor *d)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(512);
	const char *name = py->source_name ? py->source_name : "table";
	if (!strcmp(name, "table"))
		ma_buf_printf(&b, "table 3.%u, validated", py->minor);
	else
		ma_buf_printf(&b, "%s, validated",
			      !strcmp(name, "dwarf") ? "debug information (DWARF)" : "debug offsets");
	bool dwarf = py->sources & MA_LAYOUT_DWARF, offsets = py->sources & MA_LAYOUT_DEBUG_OFFSETS;
	unsigned all = !!dwarf + !!offsets + !!(py->sources & MA_LAYOUT_TABLE);
	if (!dwarf && !offsets)
		ma_buf_str(&b, " (no DWARF, no debug offsets)");
	else if (all > 1)
		ma_buf_printf(&b, " (%u sources agree)", all);
	MA_TRY(ma_buf_error(&b));
	d->layouts = ma_take_ptr(b.data);
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path;
}

static struct ma_error *look_at_python(const struct ma_tracee *t, struct ma_python *ret, struct ma_doctor *d)
{
	struct ma_python py;
	_cleanup_error_ struct ma_error *err = ma_python_find(t->live, t->live_dir, &py);
	if (err && (err->code == MA_ERR_TARGET_GONE || err->code == MA_ERR_NO_MEMORY))
		return ma_take_ptr(err);
	if (err && err->code == MA_ERR_PERMISSION) /* said by may_attach */
		return text(&d->layouts, "not looked at: its files may not be read");
	if (err)
		return text(&d->layouts, "%s", err->message);
	d->supported = true;
	/* the link of a file that is gone ends in " (deleted)" */
	size_t n = py.libpython ? strlen(py.libpython) : 0;
	bool shared = n && py.exe && (strncmp(py.libpython, py.exe, n) || (py.exe[n] && py.exe[n] != ' '));
	const char *where = shared ? base_name(py.libpython) : py.fixed ? "static, not PIE" : "static, PIE";
	struct ma_error *failed = text(&d->python, "%s", py.version);
	if (!failed)
		failed = text(&d->build, "%s, CPython %s, %s%s%s%s%s", base_name(py.exe) ? base_name(py.exe) : "?",
			      py.version, shared ? "in " : "", where, py.layout.debug_build ? ", debug build" : "",
			      py.sources & MA_LAYOUT_DWARF ? ", with debug information" : ", stripped",
			      py.from_memory ? ", its file is gone" : "");
	if (!failed)
		failed = describe_layouts(&py, d);
	*ret = py;
	return failed;
}

static struct ma_error *look_at_raw(const struct ma_tracee *t, const struct ma_python *py, const struct ma_maps *maps,
				    struct ma_doctor *d)
{
	struct ma_raw *raw = calloc(1, sizeof(*raw));
	if (!raw)
		return &ma_enomem;
	struct ma_error *err = ma_raw_find(t, py, maps, d->small_page_bytes, d->huge_page_bytes, raw);
	if (!err) {
		d->raw_bytes = raw->bytes;
		d->raw_saved_ns = raw->saved_ns;
	}
	free(raw);
	return err;
}

static struct ma_error *look_at_obstacles(const struct ma_tracee *t, const struct ma_python *py,
					  const struct ma_status *status, struct ma_doctor *d)
{
	struct ma_maps maps = { 0 };
	struct ma_preflight p = { 0 };
	_cleanup_error_ struct ma_error *err = ma_maps_read(t->live_dir, "maps", &maps);
	if (err && err->code == MA_ERR_TARGET_GONE)
		return ma_take_ptr(err);
	/* Without its maps, which another user may not read, the rest can still be told. */
	struct ma_error *failed = ma_preflight_read(t->live_dir, t->live, status, &maps, &p);
	if (failed) {
		ma_maps_deinit(&maps);
		return failed;
	}
	d->estimate_ns = p.estimate_ns;
	d->small_page_bytes = p.small_page_bytes;
	d->huge_page_bytes = p.huge_page_bytes;
	d->cgroup_limit = p.cgroup_limit;
	d->cgroup_usage = p.cgroup_usage;
	d->cpu_quota = p.cpu_quota;
	d->obstacle = p.obstacle != MA_OBS_NONE;
	d->note = ma_take_ptr(p.note);
	if (d->supported)
		failed = look_at_raw(t, py, &maps, d);
	ma_maps_deinit(&maps);
	if (failed) {
		ma_preflight_deinit(&p);
		return failed;
	}
	if (d->obstacle)
		failed = text(&d->in_the_way, "%s", p.reason ? p.reason : "its copy can not be made");
	else
		failed = text(&d->in_the_way, "%s, %s",
			      p.seccomp ? "a seccomp filter, which we may lift for the stop" : "no seccomp",
			      status->tracer ? "another tracer" : "no other tracer");
	ma_preflight_deinit(&p);
	return failed;
}

static struct ma_error *look(const struct ma_tracee *t, struct ma_doctor *d)
{
	struct ma_status status;
	MA_TRY(ma_status_read(t->live_dir, &status));
	if (status.tgid != t->pid)
		return ma_errorf(MA_ERR_USAGE, "that is a thread of process %d: name the process", status.tgid);
	/* The innermost number of the process, not of the thread that stands for it. */
	struct ma_status leader;
	MA_TRY(ma_status_read(t->dir, &leader));
	d->pid = t->pid;
	d->pid_inside = leader.nspid_count ? leader.nspid[leader.nspid_count - 1] : t->pid;
	d->rss_anon = status.rss_anon;
	d->left_kept_out = ma_raw_is_left(t->pid);
	d->threads = status.threads;
	MA_TRY(ma_cmdline_read(t->live_dir, &d->command));
	MA_TRY(look_at_permission(t, d));
	struct ma_python py = { 0 };
	struct ma_error *err = look_at_python(t, &py, d);
	if (!err)
		err = look_at_obstacles(t, &py, &status, d);
	ma_python_deinit(&py);
	return err;
}

struct ma_error *ma_session_doctor(pid_t pid, struct ma_doctor *ret)
{
	struct ma_tracee t = { .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_doctor d = { 0 };
	MA_TRY(ma_tracee_open(pid, &t));
	struct ma_error *err = look(&t, &d);
	/* What was read belongs to one process, or to none. */
	if (!err)
		err = ma_tracee_verify(&t);
	ma_tracee_close(&t);
	if (err) {
		ma_doctor_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

void ma_doctor_deinit(struct ma_doctor *d)
{
	free(d->command);
	free(d->python);
	free(d->build);
	free(d->may_attach_text);
	free(d->layouts);
	free(d->in_the_way);
	free(d->note);
	*d = (struct ma_doctor){ 0 };
}
