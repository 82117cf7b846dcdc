// SPDX-License-Identifier: Apache-2.0
#include "outside.h"

#include "cleanup.h"
#include "husk.h"
#include "load.h"
#include "mem.h"
#include "meta.h"
#include "stop_copy.h"
#include "twin_memory.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define DEFAULT_STOP_NS 1000000000u
#define DEFAULT_WALK_NS 120000000000u

struct outside {
	const struct ma_tracer_job *job;
	int end; /* of the channel */
	struct ma_core core;
	struct ma_space space;
	struct ma_twin husk;
	struct ma_twin_pages pages; /* those that hold something */
	struct ma_python found;
	const struct ma_python *python; /* the one found, or of a stopped process that which the command found */
	struct ma_gil gil;
	struct ma_thread *threads; /* for the survey: tid and thread pointer */
	size_t threads_count;
	struct ma_stop_copy copy;
	struct ma_tracee target; /* of --stop */
	struct ma_msg_done done;
};

static void note(const struct outside *o, const char *text)
{
	ma_channel_send(o->end, MA_MSG_NOTE, text, strlen(text), -1);
}

static void phase(const struct outside *o, const char *text)
{
	ma_channel_send(o->end, MA_MSG_PHASE, text, strlen(text), -1);
}

static struct ma_error *watch(void *arg)
{
	const struct outside *o = arg;
	return ma_channel_closed(o->end) ? ma_errorf(MA_ERR_CANCELLED, "interrupted") : NULL;
}

/* Errors of what looks at processes name the husk: here it has no number that means anything to anybody. */
static struct ma_error *without_pid(const struct outside *o, struct ma_error *err)
{
	char head[32];
	int n = snprintf(head, sizeof(head), "pid %d", o->husk.pid);
	if (err == &ma_enomem || strncmp(err->message, head, (size_t)n))
		return err;
	const char *rest = err->message + n;
	const char *name = !strncmp(rest, " (", 2) ? strchr(rest, ')') : NULL;
	rest = name ? name + 1 : rest;
	rest += *rest == ':' ? 2 : 0;
	struct ma_error *out = ma_errorf(err->code, "%s%s", *rest == ' ' ? "it" : "", rest);
	ma_error_free(err);
	return out;
}

/* ------------------------------------------------------------------ the core */

/* What is copied takes memory of this machine. */
static struct ma_error *check_room(uint64_t need, const char *why)
{
	struct ma_room room;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ma_error *err = self < 0 ? ma_error_os(errno, "/proc/self") : ma_room_read(self, &room);
	if (err) {
		ma_error_free(err);
		return NULL;
	}
	uint64_t left = room.machine_limit - room.machine_usage;
	if (room.group_limit && room.group_limit - room.group_usage < left)
		left = room.group_limit - room.group_usage;
	if (need > left)
		return ma_errorf(MA_ERR_LIMIT, "%" PRIu64 " MB have to be copied%s, and %" PRIu64 " MB are available",
				 need / 1000000, why, left / 1000000);
	return NULL;
}

static void say_files(const struct outside *o)
{
	char text[512];
	const struct ma_space *s = &o->space;
	if (s->lost) {
		snprintf(
			text, sizeof(text),
			"%u mapped files are not here, or are others now (%.300s): what the core does not hold of them "
			"is missing",
			s->lost, s->first_lost);
		note(o, text);
	}
	if (s->unproven) {
		snprintf(text, sizeof(text),
			 "the core has nothing by which %u mapped files could be compared with those that are here now",
			 s->unproven);
		note(o, text);
	}
}

static struct ma_error *open_core(struct outside *o)
{
	const struct ma_attach_options *opt = o->job->options;
	int fd = open(opt->core, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return ma_errorf(errno == EACCES ? MA_ERR_PERMISSION : MA_ERR_USAGE, "cannot open it: %s",
				 strerror(errno));
	struct ma_error *err = ma_core_read(fd, &o->core);
	if (err) {
		close(fd);
		return err;
	}
	MA_TRY(ma_space_of_core(&o->core, opt->exe, &o->space));
	MA_TRY(check_room(ma_space_copied(&o->space),
			  " of the core, since they do not lie on pages of the file (gcore writes so)"));
	o->threads = calloc(o->core.threads_count + 1, sizeof(*o->threads));
	if (!o->threads)
		return &ma_enomem;
	for (size_t i = 0; i < o->core.threads_count; i++)
		o->threads[i] = (struct ma_thread){ .tid = o->core.threads[i].tid, .tls = o->core.threads[i].tls };
	o->threads_count = o->core.threads_count;
	return NULL;
}

static struct ma_error *make_husk(struct outside *o)
{
	MA_TRY(ma_husk_create(o->space.pieces, o->space.pieces_count, watch, o, &o->pages.runs, &o->husk));
	o->pages.known = true;
	o->husk.maps = o->space.maps;
	o->space.maps = (struct ma_maps){ 0 };
	o->husk.maps.husk = true;
	return NULL;
}

static struct ma_error *find_python(struct outside *o)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", o->husk.pid, o->husk.pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_error_os(errno, "cannot open %s", path);
	struct ma_error *err = ma_python_find_in(o->husk.pid, dir, &o->husk.maps, &o->found);
	o->python = &o->found;
	if (!err)
		err = ma_gil_read(o->husk.pid, o->python, &o->gil);
	if (err && err->code == MA_ERR_UNSUPPORTED && o->space.lost) {
		struct ma_error *more = ma_errorf(MA_ERR_UNSUPPORTED,
						  "%s; %s is not here, or another one now: give the program "
						  "that ran with --exe",
						  err->message, o->space.first_lost);
		ma_error_free(err);
		err = more;
	}
	return err ? without_pid(o, err) : NULL;
}

/* ------------------------------------------------------------------ what is said of it */

static uint64_t file_time_ns(int fd)
{
	struct stat st;
	return fstat(fd, &st) ? 0 : (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

static uint64_t own_bytes(const struct ma_twin_pages *p)
{
	uint64_t n = 0;
	for (size_t i = 0; i < p->runs.count; i++)
		n += p->runs.v[i].end - p->runs.v[i].start;
	return n;
}

static void put_threads(const struct ma_core *c, struct ma_buf *b)
{
	for (size_t i = 0; i < c->threads_count && b->len < MA_MSG_MAX - 4096; i++) {
		const char *name = c->threads[i].tid == c->pid ? c->name : "";
		ma_buf_varint(b, MA_META_TID);
		ma_buf_varint(b, 16 + strlen(name));
		ma_buf_u64(b, (uint64_t)c->threads[i].tid);
		ma_buf_u64(b, c->threads[i].tls);
		ma_buf_add(b, name, strlen(name));
	}
}

static struct ma_error *send_meta(struct outside *o)
{
	const struct ma_attach_options *opt = o->job->options;
	struct ma_core *c = &o->core;
	struct utsname un;
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_MSG_MAX - 1);
	if (opt->values.mode == MA_VALUES_NONE && !opt->threads_only)
		c->command[strcspn(c->command, " ")] = '\0';
	ma_meta_text(&b, MA_META_TOOL, "memattach " MA_VERSION);
	ma_meta_u64(&b, MA_META_SOURCE, MA_SOURCE_CORE);
	ma_meta_u64(&b, MA_META_PID, (uint64_t)(c->pid > 0 ? c->pid : 0));
	ma_meta_u64(&b, MA_META_PARENT_PID, (uint64_t)(c->ppid > 0 ? c->ppid : 0));
	ma_meta_u64(&b, MA_META_UID, c->uid);
	ma_meta_text(&b, MA_META_COMMAND, c->command[0] ? c->command : c->name);
	ma_meta_u64(&b, MA_META_TAKEN_REALTIME_NS, file_time_ns(c->fd));
	ma_meta_u64(&b, MA_META_RSS_ANON, own_bytes(&o->pages));
	ma_meta_text(&b, MA_META_EXE, o->space.exe ? o->space.exe : "");
	ma_meta_python(&b, opt, o->python);
	if (!uname(&un))
		ma_meta_text(&b, MA_META_ARCH, un.machine);
	put_threads(c, &b);
	MA_TRY(ma_buf_error(&b));
	ma_channel_send(o->end, MA_MSG_META, ma_buf_text(&b), b.len, -1);
	return NULL;
}

/* Each interpreter as it was found: nothing could be run forward. */
static struct ma_error *send_interps(struct outside *o)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_MSG_MAX - 1);
	_cleanup_free_ struct ma_gil *v = NULL;
	size_t count;
	o->done.consistency = MA_CONS_GIL_FREE;
	MA_TRY(ma_gil_list(o->husk.pid, o->python, &v, &count));
	for (size_t i = 0; i < count && b.len < MA_MSG_MAX - 256; i++) {
		ma_buf_varint(&b, MA_META_INTERP);
		ma_buf_varint(&b, 24);
		ma_buf_u64(&b, v[i].interp_id);
		ma_buf_u64(&b, v[i].addr != o->gil.addr);
		ma_buf_u64(&b, v[i].locked ? MA_CONS_ARBITRARY : MA_CONS_GIL_FREE);
		if (v[i].locked)
			o->done.consistency = MA_CONS_ARBITRARY;
	}
	MA_TRY(ma_buf_error(&b));
	ma_channel_send(o->end, MA_MSG_INTERPS, ma_buf_text(&b), b.len, -1);
	return NULL;
}

/* As the kernel would have written it, as far as it is known: the pages that the process wrote count as resident. */
static struct ma_error *send_smaps(struct outside *o)
{
	const struct ma_maps *maps = &o->husk.maps;
	_cleanup_close_ int fd = (int)syscall(SYS_memfd_create, "memattach-smaps", 1u);
	_cleanup_fclose_ FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	size_t hint = 0;
	if (!f)
		return ma_error_os(errno, "cannot keep the regions");
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		uint64_t kib = ma_runs_bytes(&o->pages.runs, m->start, m->end, &hint) / 1024;
		fprintf(f, "%lx-%lx %c%c%cp %08lx %02x:%02x %lu ", m->start, m->end, m->prot & 1 ? 'r' : '-',
			m->prot & 2 ? 'w' : '-', m->prot & 4 ? 'x' : '-', m->offset, m->dev_major, m->dev_minor,
			m->inode);
		for (const char *p = m->path; *p; p++)
			if (*p == '\n')
				fputs("\\012", f);
			else
				fputc(*p, f);
		fprintf(f, "\nRss: %lu kB\nPss: %lu kB\nPrivate_Dirty: %lu kB\nAnonymous: %lu kB\n", kib, kib, kib,
			kib);
	}
	if (fflush(f))
		return ma_error_os(errno, "cannot keep the regions");
	ma_channel_send(o->end, MA_MSG_SMAPS, NULL, 0, fd);
	return NULL;
}

/* ------------------------------------------------------------------ the walk */

static struct ma_error *send_memory(struct outside *o, const struct ma_loaded *loaded)
{
	int fd;
	if (o->job->options->threads_only)
		return NULL;
	phase(o, "surveying");
	struct ma_error *err = ma_twin_memory(&o->husk, loaded, &o->pages, o->threads, o->threads_count, watch, o, &fd);
	if (!err && fd >= 0) {
		ma_channel_send(o->end, MA_MSG_MEMORY, NULL, 0, fd);
		close(fd);
	}
	return err;
}

static struct ma_error *walk(struct outside *o)
{
	const struct ma_attach_options *opt = o->job->options;
	struct ma_loaded loaded = { .ring_fd = -1 };
	uint32_t flags = MAA_FLAG_NO_CALLS | (opt->threads_only ? MAA_FLAG_THREADS_ONLY : 0u);
	MA_TRY(ma_agent_load(&o->husk, o->python, &o->gil, flags, &opt->values, &loaded));
	ma_channel_send(o->end, MA_MSG_RING, NULL, 0, loaded.ring_fd);
	close(loaded.ring_fd);
	phase(o, "walking");
	uint64_t began = ma_now_ns();
	struct ma_error *err =
		ma_agent_run(&o->husk, &loaded, opt->walk_timeout_ns ? opt->walk_timeout_ns : DEFAULT_WALK_NS, 0, watch,
			     o, &o->done.faults);
	o->done.walk_ns = ma_now_ns() - began;
	return err ? err : send_memory(o, &loaded);
}

static struct ma_error *of_core(struct outside *o)
{
	MA_TRY(open_core(o));
	MA_TRY(make_husk(o));
	MA_TRY(find_python(o));
	MA_TRY(send_meta(o));
	say_files(o);
	note(o, "from a core file: which pages of files and of shared memory were resident, and what was in swap, is "
		"not in "
		"it; pages without content count as never touched");
	return NULL;
}

/* ------------------------------------------------------------------ a process that is stopped */

static struct ma_error *stop_and_copy(struct outside *o)
{
	const struct ma_attach_options *opt = o->job->options;
	uint64_t limit = opt->max_pause_ns ? opt->max_pause_ns : MA_STOP_COPY_DEFAULT_NS, estimate;
	struct ma_status status;
	MA_TRY(ma_tracee_open(opt->pid, &o->target));
	if (o->target.start_time != o->job->start_time)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process exited and its number was used again");
	MA_TRY(ma_status_read(o->target.live_dir, &status));
	estimate = ma_stop_copy_estimate_ns(&status);
	if (estimate > limit)
		return ma_errorf(MA_ERR_LIMIT,
				 "copying %" PRIu64 " MB is estimated to stop it for %" PRIu64 " ms, and %s %" PRIu64
				 " ms%s",
				 status.rss_anon / 1000000, estimate / 1000000,
				 opt->max_pause_ns ? "--max-pause allows" : "--stop does so up to", limit / 1000000,
				 opt->max_pause_ns ? "" : ": --max-pause says how long it may");
	MA_TRY(check_room(status.rss_anon + status.rss_anon / 16, ""));
	phase(o, "stopping");
	MA_TRY(watch(o));
	/* what was estimated may be exceeded by as much again, as long as the user did not say how long is too long */
	MA_TRY(ma_stop_copy_take(&o->target, status.rss_anon + status.rss_anon / 16,
				 opt->stop_timeout_ns ? opt->stop_timeout_ns : DEFAULT_STOP_NS,
				 opt->max_pause_ns ? limit : 2 * limit, &o->copy));
	o->done.pause_ns = o->copy.pause_ns;
	o->done.attempts = 1;
	return NULL;
}

static struct ma_error *of_process(struct outside *o)
{
	uint64_t head;
	MA_TRY(stop_and_copy(o));
	o->space = o->copy.space;
	o->copy.space = (struct ma_space){ 0 };
	o->pages.runs = o->copy.runs;
	o->copy.runs = (struct ma_runs){ 0 };
	o->threads = ma_take_ptr(o->copy.threads);
	o->threads_count = o->copy.threads_count;
	ma_channel_send(o->end, MA_MSG_STOPPED, &o->copy.stopped, sizeof(o->copy.stopped), -1);
	MA_TRY(ma_channel_send_tids(o->end, o->target.dir, o->threads, o->threads_count));
	MA_TRY(make_husk(o));
	o->python = o->job->python;
	struct ma_error *err = ma_mem_read_u64(
		o->husk.pid, o->python->runtime + (uint64_t)o->python->layout.runtime_interp_head, &head);
	if (err || head != o->job->runtime_head) {
		ma_error_free(err);
		return ma_errorf(MA_ERR_TARGET_GONE,
				 "the process exited, ran another program or changed its interpreters meanwhile");
	}
	MA_TRY(ma_gil_read(o->husk.pid, o->python, &o->gil));
	note(o, "taken without a clone: the process stood still while its memory was copied, and no thread was run to "
		"a safe "
		"point; shared memory, and which pages of files were resident, is not in it");
	return NULL;
}

/* ------------------------------------------------------------------ all */

static struct ma_error *snapshot(struct outside *o)
{
	MA_TRY(o->job->options->core ? of_core(o) : of_process(o));
	MA_TRY(send_smaps(o));
	MA_TRY(send_interps(o));
	return walk(o);
}

void ma_outside_run(const struct ma_tracer_job *job, int end)
{
	struct outside o = { .job = job,
			     .end = end,
			     .core.fd = -1,
			     .copy.fd = -1,
			     .target = { .dir = -1, .live_dir = -1, .pidfd = -1 } };
	struct ma_error *err = snapshot(&o);
	if (!job->options->core)
		err = ma_tracee_explain(&o.target, err);
	phase(&o, "finishing");
	if (o.husk.pid > 0) {
		o.done.twin_ns = ma_now_ns() - o.husk.born_ns;
		ma_twin_end(&o.husk);
	}
	struct ma_error *undo = ma_tracee_release(&o.target);
	if (undo)
		note(&o, undo->message);
	ma_error_free(undo);
	if (err)
		ma_channel_send_error(end, err);
	else
		ma_channel_send(end, MA_MSG_DONE, &o.done, sizeof(o.done), -1);
	ma_error_free(err);
	ma_tracee_close(&o.target);
	ma_stop_copy_deinit(&o.copy);
	ma_twin_pages_deinit(&o.pages);
	ma_python_deinit(&o.found);
	ma_space_deinit(&o.space);
	if (o.core.fd >= 0)
		close(o.core.fd);
	ma_core_deinit(&o.core);
	free(o.threads);
}
