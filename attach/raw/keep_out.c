// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "proc_text.h"
#include "raw_internal.h"
#include "remote_call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 16
#define LINES_BYTES 65536u /* more than a line with the longest path, every byte of it escaped */

static bool give_back_registers(struct ma_thread *th)
{
	struct ma_error *err = ma_regs_set(th->tid, &th->saved);
	th->regs_changed = err != NULL;
	ma_error_free(err);
	return !th->regs_changed;
}

struct ma_error *ma_raw_advise(struct ma_thread *th, ma_raddr gadget, uint64_t start, uint64_t end, int advice)
{
	const struct ma_syscall call = { SYS_madvise, { start, end - start, (uint64_t)advice, 0, 0, 0 } };
	long result = 0;
	MA_TRY(ma_thread_block_signals(th));
	struct ma_error *err = ma_remote_call(th, gadget, &call, &result, NULL);
	if (!th->gone && !give_back_registers(th) && !err)
		err = ma_errorf(MA_ERR_OS, "the registers of thread %d could not be given back", th->tid);
	if (err)
		return err;
	return result ? ma_error_os((int)-result, "madvise failed in the target") : NULL;
}

/* Behind the last call of a row. What fails here is tried again at the release, which says so. */
static void done(struct ma_thread *th)
{
	if (!th->gone)
		ma_error_free(ma_thread_restore(th));
}

/* The target's maps, read once more by what was at hand before the first call: behind it nothing is opened and no
 * memory is asked for, so that it does not fail when it must not. */
struct lines {
	int fd;
	char *buf;
	size_t at, have;
};

static void lines_close(struct lines *l)
{
	free(l->buf);
	if (l->fd >= 0)
		close(l->fd);
}

/* More of the text; 0 at its end, -1 when it can not be read. */
static ssize_t lines_more(struct lines *l)
{
	ssize_t n;
	memmove(l->buf, l->buf + l->at, l->have - l->at);
	l->have -= l->at;
	l->at = 0;
	if (l->have == LINES_BYTES)
		return -1;
	do
		n = read(l->fd, l->buf + l->have, LINES_BYTES - l->have);
	while (n < 0 && errno == EINTR);
	l->have += n > 0 ? (size_t)n : 0;
	return n;
}

/* Reads from the start. The kernel's own buffer is made by the first read. */
static struct ma_error *lines_begin(struct lines *l)
{
	l->at = l->have = 0;
	if (lseek(l->fd, 0, SEEK_SET) < 0 || lines_more(l) <= 0)
		return ma_error_os(errno, "maps");
	return NULL;
}

static struct ma_error *lines_open(int dir, struct lines *ret)
{
	struct lines l = { .fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC), .buf = malloc(LINES_BYTES) };
	struct ma_error *err = l.fd < 0 ? ma_error_os(errno, "maps") : l.buf ? lines_begin(&l) : &ma_enomem;
	if (err)
		lines_close(&l);
	else
		*ret = l;
	return err;
}

/* 1: a mapping; 0: there are no more; -1: they can not be read. */
static int lines_next(struct lines *l, uint64_t *start, uint64_t *end)
{
	const char *newline;
	while (!(newline = memchr(l->buf + l->at, '\n', l->have - l->at))) {
		ssize_t n = lines_more(l);
		if (n <= 0)
			return n || l->have ? -1 : 0;
	}
	struct text t = { l->buf + l->at, newline };
	l->at = (size_t)(newline - l->buf) + 1;
	return text_hex(&t, start) && text_char(&t, '-') && text_hex(&t, end) ? 1 : -1;
}

/* Whose ranges they are: one that we changed is a mapping of its own now, one that the program had kept out of its
 * children before is a part of one as before. Both lists are sorted. */
static struct ma_error *drop_its_own(struct lines *l, struct ma_raw *raw)
{
	bool own[MA_RAW_RANGES_MAX] = { false };
	uint64_t start, end;
	int got;
	MA_TRY(lines_begin(l));
	for (size_t i = 0; (got = lines_next(l, &start, &end)) > 0;) {
		while (i < raw->count && raw->v[i].end <= start)
			i++;
		for (size_t k = i; k < raw->count && raw->v[k].end < end; k++)
			own[k] = own[k] || start < raw->v[k].start;
	}
	if (got < 0)
		return ma_errorf(MA_ERR_OS, "its maps can not be read");
	for (size_t i = raw->count; i-- > 0;)
		if (own[i])
			ma_raw_drop(raw, i);
	return NULL;
}

struct ma_error *ma_raw_keep_out(struct ma_tracee *t, struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw)
{
	struct ma_error *err = NULL;
	struct lines maps;
	if (!raw->count)
		return NULL;
	MA_TRY(lines_open(t->live_dir, &maps));
	for (size_t i = 0; i < raw->count && !err; i++) {
		raw->v[i].set = true; /* before it is: an error may come after the change */
		err = ma_raw_advise(th, gadget, raw->v[i].start, raw->v[i].end, MADV_DONTFORK);
	}
	done(th);
	/* Also after an error: what was the program's own may not be given back. */
	struct ma_error *own = drop_its_own(&maps, raw);
	lines_close(&maps);
	if (err)
		ma_error_free(own);
	return err ? err : own;
}

struct ma_error *ma_raw_give_back(struct ma_thread *th, ma_raddr gadget, struct ma_raw *raw)
{
	struct ma_error *first = NULL;
	for (size_t i = 0; i < raw->count; i++) {
		struct ma_error *err = NULL;
		if (!raw->v[i].set)
			continue;
		for (unsigned k = 0; k < TRIES && !th->gone; k++) {
			ma_error_free(err);
			err = ma_raw_advise(th, gadget, raw->v[i].start, raw->v[i].end, MADV_DOFORK);
			if (!err)
				break;
		}
		if (!err || th->gone) /* with the process its memory is gone */
			raw->v[i].set = false;
		if (first)
			ma_error_free(err);
		else
			first = err;
	}
	done(th);
	return first;
}
