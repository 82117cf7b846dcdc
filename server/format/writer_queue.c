// SPDX-License-Identifier: Apache-2.0
#include "writer_queue.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <zstd.h>

#define THREADS_MAX 16u

struct spilled {
	uint32_t kind, seq, blocks, records, bytes;
};

/* What one compressing thread needs. */
struct packer {
	ZSTD_CCtx *cctx;
	uint8_t *out; /* header and stored bytes, so that one write does */
};

struct ma_write_queue {
	struct ma_write_queue_options opt;
	pthread_mutex_t lock;  /* guards all below */
	pthread_cond_t work;   /* the queue or the spill has a chunk, or closing */
	pthread_cond_t room;   /* a chunk left the queue */
	pthread_mutex_t order; /* of an output, whose chunks stand in the order of their offsets; taken before lock */

	struct ma_chunk *head, **tail; /* waiting for compression */
	size_t queued_bytes;           /* in the queue and in compression */
	struct ma_chunk *pool;         /* empty ones */
	unsigned pooled;
	uint32_t next_seq;

	int spill_fd; /* -1 until the first chunk goes there */
	bool no_spill;
	uint64_t spill_end, spilled_total;
	struct spilled *spill;
	size_t spill_count, spill_cap;

	uint64_t end; /* of the snapshot: where the next chunk goes */
	struct ma_index_row *rows;
	size_t rows_count, rows_cap;

	struct ma_error *err; /* the first one; given to the caller once */
	bool failed, closing, started;
	pthread_t threads[THREADS_MAX];
	unsigned threads_count;
	struct packer own; /* the caller's, in finish */
};

static bool packer_init(struct packer *p)
{
	p->cctx = ZSTD_createCCtx();
	p->out = malloc(sizeof(struct ma_chunk_hdr) + MA_CHUNK_STORED_MAX);
	return p->cctx && p->out;
}

static void packer_deinit(struct packer *p)
{
	ZSTD_freeCCtx(p->cctx);
	free(p->out);
	*p = (struct packer){ 0 };
}

const void *ma_chunk_pack(void *cctx, int level, const struct ma_chunk *chunk, void *out, struct ma_chunk_hdr *hdr)
{
	*hdr = (struct ma_chunk_hdr){
		.kind = (uint16_t)chunk->kind,
		.codec = MA_CODEC_ZSTD,
		.seq = chunk->seq,
		.blocks = chunk->blocks,
		.records = chunk->records,
		.raw_bytes = chunk->bytes,
	};
	const void *stored = out;
	size_t n = cctx ? ZSTD_compressCCtx(cctx, out, MA_CHUNK_STORED_MAX, chunk->data, chunk->bytes, level) : 0;
	if (!cctx || ZSTD_isError(n) || n >= chunk->bytes) {
		hdr->codec = MA_CODEC_NONE;
		n = chunk->bytes;
		stored = chunk->data;
	}
	hdr->stored_bytes = (uint32_t)n;
	ma_chunk_seal(hdr, stored);
	return stored;
}

struct ma_error *ma_write_queue_create(const struct ma_write_queue_options *opt, struct ma_write_queue **ret)
{
	struct ma_write_queue *q = calloc(1, sizeof(*q));
	if (!q)
		return &ma_enomem;
	q->opt = *opt;
	if (!q->opt.zstd_level)
		q->opt.zstd_level = 1;
	if (!q->opt.threads)
		q->opt.threads = 1;
	if (q->opt.threads > THREADS_MAX)
		q->opt.threads = THREADS_MAX;
	if (!q->opt.backlog_bytes)
		q->opt.backlog_bytes = 16u << 20;
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->order, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->room, NULL);
	q->tail = &q->head;
	q->spill_fd = -1;
	q->end = opt->off;
	*ret = q;
	return NULL;
}

/* Remembers the first error; every later call fails. Lock held. */
static void fail(struct ma_write_queue *q, struct ma_error *err)
{
	if (!q->failed)
		q->err = err;
	else
		ma_error_free(err);
	q->failed = true;
	pthread_cond_broadcast(&q->work);
	pthread_cond_broadcast(&q->room);
}

static struct ma_error *take_error(struct ma_write_queue *q)
{
	struct ma_error *err = ma_take_ptr(q->err);
	return err ? err : ma_errorf(MA_ERR_OS, "%s: an earlier write failed", q->opt.path);
}

struct ma_chunk *ma_write_queue_get(struct ma_write_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct ma_chunk *c = q->pool;
	if (c) {
		q->pool = c->next;
		q->pooled--;
	}
	pthread_mutex_unlock(&q->lock);
	if (!c)
		c = malloc(sizeof(*c)); /* not zeroed: pages that are not filled are not touched */
	if (c) {
		c->next = NULL;
		c->kind = c->seq = c->blocks = c->records = c->bytes = 0;
	}
	return c;
}

/* Lock held. */
static void put_back(struct ma_write_queue *q, struct ma_chunk *c)
{
	if ((size_t)q->pooled * MA_CHUNK_RAW_MAX > q->opt.backlog_bytes) {
		free(c);
		return;
	}
	c->next = q->pool;
	q->pool = c;
	q->pooled++;
}

/* ------------------------------------------------------------------ the spill. Lock held in all of these. */

static bool spill_open(struct ma_write_queue *q)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(q->opt.path, '/');
	int n = slash ? snprintf(dir, sizeof(dir), "%.*s", (int)(slash - q->opt.path) + 1, q->opt.path)
		      : snprintf(dir, sizeof(dir), ".");
	if (n < 0 || (size_t)n >= sizeof(dir) - 32)
		return false;
	q->spill_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (q->spill_fd >= 0)
		return true;
	/* file systems without O_TMPFILE: NFS, older overlayfs */
	snprintf(dir + n, sizeof(dir) - (size_t)n, "/.memattach-XXXXXX");
	q->spill_fd = mkostemp(dir, O_CLOEXEC);
	if (q->spill_fd >= 0)
		unlink(dir);
	return q->spill_fd >= 0;
}

/* False when it can not be put there; nothing is lost then. */
static bool spill_push(struct ma_write_queue *q, const struct ma_chunk *c)
{
	if (q->no_spill)
		return false;
	if (q->spill_fd < 0 && !spill_open(q)) {
		q->no_spill = true;
		return false;
	}
	if (q->spill_count == q->spill_cap) {
		size_t cap = q->spill_cap ? q->spill_cap * 2 : 64;
		struct spilled *more = realloc(q->spill, cap * sizeof(*more));
		if (!more)
			return false;
		q->spill = more;
		q->spill_cap = cap;
	}
	if (ma_pwrite_all(q->spill_fd, c->data, c->bytes, q->spill_end)) {
		q->no_spill = true; /* the disk is full: from now on wait for the compression */
		if (ftruncate(q->spill_fd, (off_t)q->spill_end))
			return false; /* costs room only; each pop cuts the file again */
		return false;
	}
	q->spill[q->spill_count++] = (struct spilled){ c->kind, c->seq, c->blocks, c->records, c->bytes };
	q->spill_end += c->bytes;
	q->spilled_total++;
	return true;
}

/* The last chunk of the spill, cut off from it; NULL when there is none or it failed. */
static struct ma_chunk *spill_pop(struct ma_write_queue *q)
{
	if (!q->spill_count)
		return NULL;
	struct ma_chunk *c = q->pool;
	if (c) {
		q->pool = c->next;
		q->pooled--;
	} else {
		c = malloc(sizeof(*c));
	}
	if (!c) {
		fail(q, &ma_enomem);
		return NULL;
	}
	const struct spilled *s = &q->spill[q->spill_count - 1];
	size_t got = 0;
	int errnum = ma_pread_all(q->spill_fd, c->data, s->bytes, q->spill_end - s->bytes, &got);
	if (errnum || got != s->bytes) {
		put_back(q, c);
		fail(q, ma_error_os(errnum ? errnum : EIO, "%s: cannot read back what was set aside uncompressed",
				    q->opt.path));
		return NULL;
	}
	c->next = NULL;
	c->kind = s->kind;
	c->seq = s->seq;
	c->blocks = s->blocks;
	c->records = s->records;
	c->bytes = s->bytes;
	q->spill_count--;
	q->spill_end -= s->bytes;
	if (ftruncate(q->spill_fd, (off_t)q->spill_end))
		q->no_spill = true; /* then the room is not won back; a full disk will say so */
	return c;
}

/* ------------------------------------------------------------------ compressing and writing */

/* The next chunk to compress: the queue first, then the spill. Lock held. */
static struct ma_chunk *next_chunk(struct ma_write_queue *q)
{
	if (q->failed)
		return NULL;
	struct ma_chunk *c = q->head;
	if (!c) {
		c = spill_pop(q);
		if (c)
			q->queued_bytes += c->bytes;
		return c;
	}
	q->head = c->next;
	if (!q->head)
		q->tail = &q->head;
	c->next = NULL;
	return c;
}

/* Lock held. Takes a place in the file and a row in the index. */
static bool reserve(struct ma_write_queue *q, const struct ma_chunk_hdr *hdr, uint64_t *off_ret)
{
	if (q->rows_count == q->rows_cap) {
		size_t cap = q->rows_cap ? q->rows_cap * 2 : 64;
		struct ma_index_row *more = realloc(q->rows, cap * sizeof(*more));
		if (!more) {
			fail(q, &ma_enomem);
			return false;
		}
		q->rows = more;
		q->rows_cap = cap;
	}
	*off_ret = q->end;
	q->rows[q->rows_count++] = (struct ma_index_row){
		.off = q->end,
		.seq = hdr->seq,
		.records = hdr->records,
		.raw_bytes = hdr->raw_bytes,
		.stored_bytes = hdr->stored_bytes,
		.kind = hdr->kind,
		.codec = hdr->codec,
	};
	q->end += sizeof(*hdr) + hdr->stored_bytes;
	return true;
}

/* A disk that is full while chunks lie in the spill: taking one back into memory makes room for at least this
 * chunk, since none is larger there than here. Lock held. True when it is worth to try again. */
static bool make_room(struct ma_write_queue *q, int errnum)
{
	if (errnum != ENOSPC && errnum != EDQUOT)
		return false;
	q->no_spill = true;
	struct ma_chunk *c = spill_pop(q);
	if (!c)
		return false;
	c->next = q->head;
	q->head = c;
	if (!c->next)
		q->tail = &c->next;
	q->queued_bytes += c->bytes;
	pthread_cond_signal(&q->work);
	return true;
}

/* Lock held; let go of while it waits. */
static void write_to_output(struct ma_write_queue *q, const struct ma_chunk_hdr *hdr, const void *data)
{
	uint64_t off;
	struct ma_error *err = NULL;
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_lock(&q->order);
	pthread_mutex_lock(&q->lock);
	bool reserved = !q->failed && reserve(q, hdr, &off);
	pthread_mutex_unlock(&q->lock);
	if (reserved)
		err = q->opt.output->write(q->opt.output->arg, data, sizeof(*hdr) + hdr->stored_bytes);
	pthread_mutex_unlock(&q->order);
	pthread_mutex_lock(&q->lock);
	if (err)
		fail(q, err);
}

/* Lock held; let go of while it works. */
static void pack_and_write(struct ma_write_queue *q, struct packer *p, struct ma_chunk *c)
{
	struct ma_chunk_hdr hdr;
	uint64_t off = 0;
	pthread_mutex_unlock(&q->lock);
	uint8_t *out = p->out;
	const void *stored = ma_chunk_pack(p->cctx, q->opt.zstd_level, c, out + sizeof(hdr), &hdr);
	if (stored != out + sizeof(hdr))
		memcpy(out + sizeof(hdr), stored, hdr.stored_bytes);
	memcpy(out, &hdr, sizeof(hdr));
	pthread_mutex_lock(&q->lock);
	if (q->opt.output) {
		write_to_output(q, &hdr, out);
	} else if (!q->failed && reserve(q, &hdr, &off)) {
		int errnum;
		do {
			pthread_mutex_unlock(&q->lock);
			errnum = ma_pwrite_all(q->opt.fd, out, sizeof(hdr) + hdr.stored_bytes, off);
			pthread_mutex_lock(&q->lock);
		} while (errnum && make_room(q, errnum));
		if (errnum)
			fail(q, ma_error_os(errnum, "cannot write %s", q->opt.path));
	}
	q->queued_bytes -= c->bytes;
	put_back(q, c);
	pthread_cond_broadcast(&q->room);
}

static void *run(void *arg)
{
	struct ma_write_queue *q = arg;
	struct packer p;
	bool ok = packer_init(&p);
	pthread_mutex_lock(&q->lock);
	if (!ok)
		fail(q, &ma_enomem);
	while (ok && !q->failed) { /* fail() says it, too, but clang-tidy does not see that */
		struct ma_chunk *c = next_chunk(q);
		if (c)
			pack_and_write(q, &p, c);
		else if (q->closing)
			break;
		else if (!q->failed)
			pthread_cond_wait(&q->work, &q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	packer_deinit(&p);
	return NULL;
}

/* At the first chunk and not before: a caller may fork() before that. Signals stay with the caller's threads; a
 * write over RLIMIT_FSIZE then gives EFBIG instead of the death by SIGXFSZ. */
static void start(struct ma_write_queue *q)
{
	sigset_t all, old;
	q->started = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < q->opt.threads; i++) {
		if (pthread_create(&q->threads[q->threads_count], NULL, run, q) == 0)
			q->threads_count++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Without a single thread (a limit on processes) the caller does the work. Lock held. */
static struct ma_error *own_packer(struct ma_write_queue *q)
{
	if (q->own.cctx || packer_init(&q->own))
		return NULL;
	packer_deinit(&q->own);
	return &ma_enomem;
}

struct ma_error *ma_write_queue_put(struct ma_write_queue *q, struct ma_chunk *c)
{
	struct ma_error *err = NULL;
	pthread_mutex_lock(&q->lock);
	if (!q->started)
		start(q);
	c->seq = q->next_seq++;
	while (!q->failed && q->threads_count && q->queued_bytes && q->queued_bytes + c->bytes > q->opt.backlog_bytes) {
		if (spill_push(q, c)) {
			put_back(q, c);
			c = NULL;
			pthread_cond_signal(&q->work);
			break;
		}
		pthread_cond_wait(&q->room, &q->lock);
	}
	if (c && q->failed) {
		put_back(q, c);
	} else if (c && q->threads_count) {
		*q->tail = c;
		q->tail = &c->next;
		q->queued_bytes += c->bytes;
		pthread_cond_signal(&q->work);
	} else if (c) {
		err = own_packer(q);
		q->queued_bytes += c->bytes;
		if (!err)
			pack_and_write(q, &q->own, c);
	}
	if (q->failed && !err)
		err = take_error(q);
	pthread_mutex_unlock(&q->lock);
	return err;
}

static void join(struct ma_write_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closing = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->threads_count; i++)
		pthread_join(q->threads[i], NULL);
	q->threads_count = 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct ma_index_row *x = a, *y = b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

struct ma_error *ma_write_queue_finish(struct ma_write_queue *q)
{
	struct ma_chunk *c;
	struct ma_error *err = NULL;
	pthread_mutex_lock(&q->lock);
	if (q->spill_count || q->queued_bytes > 4 * MA_CHUNK_RAW_MAX)
		err = own_packer(q);
	while (!err && q->own.cctx && (c = next_chunk(q)))
		pack_and_write(q, &q->own, c);
	pthread_mutex_unlock(&q->lock);
	/* A thread that takes a chunk back from the spill to make room puts it into the queue and then goes on
	 * with the queue itself, so the queue and the spill are empty when all threads ended. */
	join(q);
	if (err)
		return err;
	if (q->failed)
		return take_error(q);
	if (q->rows_count)
		qsort(q->rows, q->rows_count, sizeof(*q->rows), by_seq);
	return NULL;
}

const struct ma_index_row *ma_write_queue_index(const struct ma_write_queue *q, size_t *rows_ret, uint64_t *end_ret)
{
	*rows_ret = q->rows_count;
	*end_ret = q->end;
	return q->rows;
}

uint64_t ma_write_queue_spilled(const struct ma_write_queue *q)
{
	return q->spilled_total;
}

void ma_write_queue_destroy(struct ma_write_queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	if (!q->failed)
		fail(q, NULL);
	pthread_mutex_unlock(&q->lock);
	join(q);
	for (struct ma_chunk *c = q->head, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	for (struct ma_chunk *c = q->pool, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	if (q->spill_fd >= 0)
		close(q->spill_fd);
	packer_deinit(&q->own);
	ma_error_free(q->err);
	free(q->spill);
	free(q->rows);
	pthread_cond_destroy(&q->room);
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->order);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
