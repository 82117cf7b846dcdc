// SPDX-License-Identifier: Apache-2.0
/* undo.c - what tracers that were killed left: read from their journals, whose locks ended with them. */
#include "cleanup.h"
#include "raw_internal.h"
#include "remote_call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define UNDO_STOP_NS 1000000000u
#define PREFIX "undo-"

struct visit {
	/* A journal of a tracer that is dead, of a process that lives: an error leaves it for the next time. */
	struct ma_error *(*found)(void *arg, struct ma_tracee *t, const struct ma_raw_journal *j);
	void *arg;
	bool only_look; /* nothing is removed */
	struct ma_error *err;
};

/* All four are the owner's: what a user wrote says nothing about the processes of others. */
static bool belongs_to(const struct ma_tracee *t, uid_t owner)
{
	struct ma_status s;
	struct ma_error *err = ma_status_read(t->dir, &s);
	bool same = !err;
	for (unsigned i = 0; i < 4; i++)
		same = same && s.uid[i] == owner;
	ma_error_free(err);
	return same;
}

/* *over: there is nothing left to undo. */
static struct ma_error *one_process(struct visit *v, const struct ma_raw_journal *j, uid_t owner, bool *over)
{
	struct ma_tracee *t = calloc(1, sizeof(*t));
	if (!t)
		return &ma_enomem;
	*t = (struct ma_tracee){ .dir = -1, .live_dir = -1, .pidfd = -1 };
	struct ma_error *err = ma_tracee_open(j->pid, t);
	if (!err && (t->start_time == j->start_time) && (owner == geteuid() || belongs_to(t, owner)))
		err = v->found(v->arg, t, j);
	else if (!err && t->start_time == j->start_time)
		err = ma_errorf(MA_ERR_PERMISSION, "it is not its owner's");
	ma_tracee_close(t);
	free(t);
	/* under hidepid: the number is that of another user's process now */
	bool others = err && err->code == MA_ERR_PERMISSION && owner == geteuid() && kill(j->pid, 0) && errno == EPERM;
	*over = !err || err->code == MA_ERR_TARGET_GONE || others;
	if (*over) {
		ma_error_free(err);
		err = NULL;
	}
	return err;
}

static void one_file(struct visit *v, int folder, const char *name)
{
	char boot[64];
	struct stat st;
	bool over = true;
	_cleanup_free_ struct ma_raw_journal *j = calloc(1, sizeof(*j));
	_cleanup_free_ char *text = calloc(1, MA_RAW_JOURNAL_MAX + 1);
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !j || !text || fstat(fd, &st) || !S_ISREG(st.st_mode) || (st.st_mode & 022) ||
	    (st.st_uid != geteuid() && geteuid() != 0) || flock(fd, LOCK_EX | LOCK_NB) ||
	    pread(fd, text, MA_RAW_JOURNAL_MAX, 0) < 0)
		return; /* not ours, or its tracer lives */
	ma_raw_boot_id(boot);
	if (ma_raw_journal_parse(text, j) && !strcmp(j->boot, boot[0] ? boot : "-")) {
		struct ma_error *err = one_process(v, j, st.st_uid, &over);
		if (v->err)
			ma_error_free(err);
		else
			v->err = err;
	}
	if (over && !v->only_look)
		unlinkat(folder, name, 0);
}

static void one_folder(struct visit *v, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (!strncmp(e->d_name, PREFIX, sizeof(PREFIX) - 1))
			one_file(v, fd, e->d_name);
	closedir(d);
}

/* The folders of ma_private_folder(): ours, with and without XDG_RUNTIME_DIR; root looks at everybody's. */
static void all_folders(struct visit *v)
{
	static const char *const everybodys[] = { "/tmp/memattach-*", "/run/user/*/memattach" };
	char ours[80], other[80];
	if (!ma_private_folder(ours, sizeof(ours)))
		ours[0] = 0;
	if (ours[0])
		one_folder(v, ours);
	snprintf(other, sizeof(other), "/tmp/memattach-%u", geteuid());
	if (geteuid() != 0 && strcmp(ours, other) != 0)
		one_folder(v, other);
	for (size_t i = 0; geteuid() == 0 && i < MA_ARRAY_SIZE(everybodys); i++) {
		glob_t g;
		if (glob(everybodys[i], GLOB_NOSORT, NULL, &g))
			continue;
		for (size_t k = 0; k < g.gl_pathc; k++)
			if (strcmp(g.gl_pathv[k], ours) != 0)
				one_folder(v, g.gl_pathv[k]);
		globfree(&g);
	}
}

static bool in_journal(const struct ma_raw_journal *j, const struct ma_map *m)
{
	for (size_t i = 0; i < j->count; i++)
		if (m->start >= j->v[i].start && m->end <= j->v[i].end)
			return true;
	return false;
}

/* One thread gives back every mapping that lies in a range of the journal and is kept out. A range of the program's own
 * is larger than ours in it. */
static struct ma_error *give_back(struct ma_tracee *t, const struct ma_maps *smaps, const struct ma_raw_journal *j)
{
	struct ma_thread *th;
	ma_raddr gadget;
	MA_TRY(ma_gadget_find(t->live, smaps, &gadget));
	MA_TRY(ma_tracee_stop_one(t, UNDO_STOP_NS, &th));
	struct ma_error *err = ma_thread_abort_rseq(t->live, th);
	for (size_t i = 0; i < smaps->count && !err; i++)
		if (smaps->v[i].dontfork && in_journal(j, &smaps->v[i]))
			err = ma_raw_advise(th, gadget, smaps->v[i].start, smaps->v[i].end, MADV_DOFORK);
	struct ma_error *undo = ma_tracee_release(t);
	if (err)
		ma_error_free(undo);
	return err ? err : undo;
}

static struct ma_error *undo_process(void *arg, struct ma_tracee *t, const struct ma_raw_journal *j)
{
	struct ma_maps smaps = { 0 };
	struct ma_status status;
	bool any = false;
	(void)arg;
	MA_TRY(ma_status_read(t->live_dir, &status));
	/* Who may not lift it is refused at the seize, and the journal stays. */
	t->suspend_seccomp = ma_seccomp_filtered(t->dir, &status);
	/* Of a live process, for once: only here the kernel says which mappings are kept out. */
	MA_TRY(ma_maps_read(t->live_dir, "smaps", &smaps));
	for (size_t i = 0; i < smaps.count; i++)
		any = any || (smaps.v[i].dontfork && in_journal(j, &smaps.v[i]));
	struct ma_error *err = any ? give_back(t, &smaps, j) : NULL;
	ma_maps_deinit(&smaps);
	return err;
}

struct ma_error *ma_raw_undo_all(void)
{
	struct visit v = { .found = undo_process };
	all_folders(&v);
	return v.err;
}

struct look {
	pid_t pid;
	bool found;
};

static struct ma_error *is_it(void *arg, struct ma_tracee *t, const struct ma_raw_journal *j)
{
	struct look *l = arg;
	(void)t;
	l->found = l->found || !l->pid || l->pid == j->pid;
	return NULL;
}

bool ma_raw_is_left(pid_t pid)
{
	struct look l = { .pid = pid };
	struct visit v = { .found = is_it, .arg = &l, .only_look = true };
	all_folders(&v);
	ma_error_free(v.err);
	return l.found;
}
