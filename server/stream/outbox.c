// SPDX-License-Identifier: Apache-2.0
#include "outbox.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PIECE_MAX (1u << 18) /* bytes of one piece in memory */
#define STEP_NS 50000000     /* a stop is seen within this time */

struct piece {
	struct piece *next;
	size_t bytes, sent;
	uint8_t data[];
};

struct ma_outbox {
	struct ma_outbox_options opt;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;  /* something to send, or room, or the end */
	struct piece *head, **tail;
	size_t memory;                        /* bytes in pieces */
	int file;                             /* -1 until it is needed */
	uint64_t file_begin, file_end, filed; /* what of it was not taken yet */
	bool no_file;
	struct ma_attach_progress progress;
	bool has_progress;
	bool busy;            /* the thread is sending what is no longer in the queue */
	struct ma_error *err; /* the first of the thread; given to the caller once */
	bool failed, stop, started;
	pthread_t thread;
	struct timespec next; /* with a rate: when the next bytes may go */
};

static bool file_open(struct ma_outbox *o)
{
	char path[PATH_MAX];
	o->file = open(o->opt.folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (o->file >= 0)
		return true;
	int n = snprintf(path, sizeof(path), "%s/.memattach-XXXXXX", o->opt.folder);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	o->file = mkostemp(path, O_CLOEXEC);
	if (o->file >= 0)
		unlink(path);
	return o->file >= 0;
}

struct ma_error *ma_outbox_create(const struct ma_outbox_options *options, struct ma_outbox **ret)
{
	pthread_condattr_t monotonic;
	struct ma_outbox *o = calloc(1, sizeof(*o));
	if (!o)
		return &ma_enomem;
	o->opt = *options;
	if (!o->opt.memory_bytes)
		o->opt.memory_bytes = 32u << 20;
	if (!o->opt.keep_bytes)
		o->opt.keep_bytes = 1u << 30;
	o->tail = &o->head;
	o->file = -1;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&o->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (o->opt.keep && !file_open(o))
		o->opt.keep = false;
	*ret = o;
	return NULL;
}

int ma_outbox_kept(const struct ma_outbox *o)
{
	return o->opt.keep ? o->file : -1;
}

bool ma_outbox_is_kept(int fd)
{
	struct stat st;
	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_nlink && st.st_uid == geteuid();
}

/* ------------------------------------------------------------------ the file. Lock held. */

static bool file_put(struct ma_outbox *o, const uint8_t *data, size_t bytes)
{
	size_t done = 0;
	if (o->no_file || (o->file < 0 && !file_open(o))) {
		o->no_file = true;
		o->opt.keep = false;
		return false;
	}
	if (o->opt.keep && o->file_end + bytes > o->opt.keep_bytes)
		o->opt.keep = false;
	while (done < bytes) {
		ssize_t n = pwrite(o->file, data + done, bytes - done, (off_t)(o->file_end + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* full: what was written of it is written again later */
			o->opt.keep = false;
			return false;
		}
		done += (size_t)n;
	}
	o->file_end += bytes;
	o->filed += bytes;
	return true;
}

/* The next bytes of the file, up to `most`; their room on the disk is given back. */
static ssize_t file_take(struct ma_outbox *o, uint8_t *data, size_t most)
{
	uint64_t left = o->file_end - o->file_begin;
	ssize_t n;
	do
		n = pread(o->file, data, left < most ? left : most, (off_t)o->file_begin);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	o->file_begin += (uint64_t)n;
	if (o->opt.keep)
		return n;
	if (o->file_begin == o->file_end) {
		if (!ftruncate(o->file, 0))
			o->file_begin = o->file_end = 0;
	} else if (fallocate(o->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)o->file_begin)) {
		/* a file system without holes keeps the room until the file is empty */
	}
	return n;
}

/* ------------------------------------------------------------------ the thread */

/* Lock held. */
static void fail(struct ma_outbox *o, struct ma_error *err)
{
	if (!o->failed)
		o->err = err;
	else
		ma_error_free(err);
	o->failed = true;
	pthread_cond_broadcast(&o->wake);
}

/* Up to `most` bytes of what waits, the oldest first. Lock held. */
static size_t take(struct ma_outbox *o, uint8_t *data, size_t most)
{
	struct piece *p = o->head;
	if (p) {
		size_t n = p->bytes - p->sent < most ? p->bytes - p->sent : most;
		memcpy(data, p->data + p->sent, n);
		p->sent += n;
		if (p->sent == p->bytes) {
			o->head = p->next;
			if (!o->head)
				o->tail = &o->head;
			o->memory -= p->bytes;
			free(p);
		}
		return n;
	}
	if (o->file_begin == o->file_end)
		return 0;
	ssize_t n = file_take(o, data, most);
	if (n < 0)
		fail(o, ma_errorf(MA_ERR_OS, "cannot read back what waited for the link in %s", o->opt.folder));
	return n > 0 ? (size_t)n : 0;
}

/* Waits until the rate allows the next bytes. Lock held. */
static void pace(struct ma_outbox *o, size_t bytes)
{
	struct timespec now;
	if (!o->opt.rate)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > o->next.tv_sec || (now.tv_sec == o->next.tv_sec && now.tv_nsec > o->next.tv_nsec))
		o->next = now;
	const struct timespec until = o->next;
	while (!o->stop && !pthread_cond_timedwait(&o->wake, &o->lock, &until))
		;
	uint64_t ns = (uint64_t)((double)bytes * 1e9 / (double)o->opt.rate) + (uint64_t)o->next.tv_nsec;
	o->next.tv_sec += (time_t)(ns / 1000000000u);
	o->next.tv_nsec = (long)(ns % 1000000000u);
}

static struct ma_error *send_progress(struct ma_outbox *o, const struct ma_attach_progress *now)
{
	_cleanup_free_ char *phase = strdup(now->phase);
	const struct ma_progress_message m = { phase, now->objects, now->edges, now->elapsed_ns, now->ring_percent };
	return ma_message_send(o->opt.stream, MA_FRAME_PROGRESS, ma_progress_fields, ma_progress_count, &m,
			       o->opt.timeout_ms);
}

size_t ma_outbox_step(uint64_t rate)
{
	const uint64_t tenth = rate / 10;
	if (!rate || tenth >= MA_FRAME_DATA_MAX)
		return MA_FRAME_DATA_MAX;
	return tenth > 512 ? tenth : 512;
}

static void *run(void *arg)
{
	struct ma_outbox *o = arg;
	uint8_t *data = malloc(MA_FRAME_DATA_MAX);
	const size_t most = ma_outbox_step(o->opt.rate);
	pthread_mutex_lock(&o->lock);
	if (!data)
		fail(o, &ma_enomem);
	while (data && !o->failed && !o->stop) {
		struct ma_attach_progress now = o->progress;
		bool progress = o->has_progress;
		o->has_progress = false;
		size_t n = take(o, data, most);
		if (!n && !progress) {
			if (!o->failed)
				pthread_cond_wait(&o->wake, &o->lock);
			continue;
		}
		o->busy = true;
		pthread_cond_broadcast(&o->wake);
		if (n)
			pace(o, n);
		pthread_mutex_unlock(&o->lock);
		struct ma_error *err = progress ? send_progress(o, &now) : NULL;
		if (!err && n)
			err = ma_frame_send(o->opt.stream, MA_FRAME_DATA, data, n, o->opt.timeout_ms);
		pthread_mutex_lock(&o->lock);
		o->busy = false;
		pthread_cond_broadcast(&o->wake);
		if (err)
			fail(o, err);
	}
	pthread_mutex_unlock(&o->lock);
	free(data);
	return NULL;
}

/* Lock held. */
static void start(struct ma_outbox *o)
{
	sigset_t all, old;
	if (o->started || o->failed)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&o->thread, NULL, run, o);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	o->started = !errnum;
	if (errnum)
		fail(o, ma_error_os(errnum, "cannot start a thread"));
}

/* ------------------------------------------------------------------ the caller */

/* Lock held. */
static struct ma_error *take_error(struct ma_outbox *o)
{
	struct ma_error *err = ma_take_ptr(o->err);
	return err ? err : ma_errorf(MA_ERR_OS, "the link failed before");
}

/* Into memory while the file is empty: it is after all of it. Lock held. */
static bool memory_put(struct ma_outbox *o, const uint8_t *data, size_t bytes)
{
	if (o->opt.keep || o->file_begin != o->file_end || (o->memory && o->memory + bytes > o->opt.memory_bytes))
		return false;
	struct piece *p = malloc(sizeof(*p) + bytes);
	if (!p)
		return false;
	p->next = NULL;
	p->bytes = bytes;
	p->sent = 0;
	memcpy(p->data, data, bytes);
	*o->tail = p;
	o->tail = &p->next;
	o->memory += bytes;
	return true;
}

struct ma_error *ma_outbox_put(struct ma_outbox *o, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	struct ma_error *err = NULL;
	pthread_mutex_lock(&o->lock);
	start(o);
	while (bytes && (!o->failed || o->opt.keep)) {
		size_t n = bytes < PIECE_MAX ? bytes : PIECE_MAX;
		bool kept = o->opt.keep; /* then it goes to the file alone */
		if (!memory_put(o, p, n) && !file_put(o, p, n)) {
			if (o->failed)
				break;
			if (kept && !o->opt.keep)
				continue;
			if (!o->memory && o->file_begin == o->file_end)
				fail(o, &ma_enomem);
			else
				pthread_cond_wait(&o->wake, &o->lock); /* no room anywhere: the link decides */
			continue;
		}
		p += n;
		bytes -= n;
		pthread_cond_broadcast(&o->wake);
	}
	if (o->failed && !o->opt.keep)
		err = take_error(o);
	pthread_mutex_unlock(&o->lock);
	return err;
}

void ma_outbox_progress(struct ma_outbox *o, const struct ma_attach_progress *now)
{
	pthread_mutex_lock(&o->lock);
	start(o);
	o->progress = *now;
	o->has_progress = true;
	pthread_cond_broadcast(&o->wake);
	pthread_mutex_unlock(&o->lock);
}

struct ma_error *ma_outbox_finish(struct ma_outbox *o, const volatile int *stop)
{
	struct ma_error *err = NULL;
	pthread_mutex_lock(&o->lock);
	while (!o->failed && !__atomic_load_n(stop, __ATOMIC_RELAXED) &&
	       (o->busy || o->head || o->file_begin != o->file_end)) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += STEP_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&o->wake, &o->lock, &until);
	}
	if (o->failed)
		err = take_error(o);
	else if (__atomic_load_n(stop, __ATOMIC_RELAXED))
		err = ma_errorf(MA_ERR_CANCELLED, "interrupted");
	pthread_mutex_unlock(&o->lock);
	return err;
}

uint64_t ma_outbox_filed(const struct ma_outbox *o)
{
	return o->filed;
}

void ma_outbox_stop(struct ma_outbox *o)
{
	pthread_mutex_lock(&o->lock);
	o->stop = true;
	pthread_cond_broadcast(&o->wake);
	pthread_mutex_unlock(&o->lock);
	if (o->started)
		pthread_join(o->thread, NULL);
	o->started = false;
}

void ma_outbox_destroy(struct ma_outbox *o)
{
	if (!o)
		return;
	ma_outbox_stop(o);
	for (struct piece *p = o->head, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	if (o->file >= 0)
		close(o->file);
	ma_error_free(o->err);
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
