// SPDX-License-Identifier: Apache-2.0
#include "twin_memory.h"

#include "cleanup.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE 4096u
#define RUNS_A_FIELD 512u /* a field is small, so that a block is filled well */
#define FIELD_MAX (RUNS_A_FIELD * 20 + 64)
#define ARENA_RANGES_MAX (1u << 20)
#define BLOCKS_MAX (UINT64_C(1) << 30)

struct ma_error *ma_twin_smaps(const struct ma_twin *w, int *fd_ret)
{
	char path[48], buf[8192];
	*fd_ret = -1;
	snprintf(path, sizeof(path), "/proc/%d/smaps", w->pid);
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = (int)syscall(SYS_memfd_create, "memattach-smaps", 1u);
	if (in < 0 || out < 0)
		return NULL;
	ssize_t n;
	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t put = write(out, buf + done, (size_t)(n - done));
			if (put <= 0)
				return ma_error_os(errno, "cannot keep the regions of the twin");
			done += put;
		}
	if (!n) /* else a part of it would pass for the whole */
		*fd_ret = ma_take_fd(out);
	return NULL;
}

struct ma_error *ma_twin_pages_read(const struct ma_twin *w, struct ma_twin_pages *ret)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", w->pid);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_error_os(errno, "cannot open %s", path);
	struct ma_error *err = ma_runs_read(dir, &w->maps, &ret->runs, &ret->huge);
	if (!err && w->fill)
		err = ma_fill_runs(w->fill, &ret->runs, &ret->huge);
	ret->known = !err;
	return err;
}

void ma_twin_pages_deinit(struct ma_twin_pages *p)
{
	ma_runs_deinit(&p->runs);
	ma_runs_deinit(&p->huge);
	p->known = false;
}

struct out {
	int fd;
	struct ma_buf block; /* header and payload */
	uint32_t records;
	struct ma_buf field;
};

static struct ma_error *flush(struct out *o)
{
	struct ma_block_hdr hdr = { MA_BLOCK_MALLOC, (uint32_t)(o->block.len - sizeof(hdr)), o->records, 0 };
	MA_TRY(ma_buf_error(&o->block));
	if (!o->records)
		return NULL;
	memcpy(o->block.data, &hdr, sizeof(hdr));
	for (size_t done = 0; done < o->block.len;) {
		ssize_t n = write(o->fd, o->block.data + done, o->block.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ma_error_os(errno, "cannot keep what the memory of the twin is");
		done += (size_t)n;
	}
	o->block.len = 0;
	o->records = 0;
	return NULL;
}

/* Puts o->field into the block as a field of `tag`. */
static struct ma_error *field(struct out *o, enum ma_malloc_tag tag)
{
	static const struct ma_block_hdr none;
	MA_TRY(ma_buf_error(&o->field));
	if (o->block.len + o->field.len + 32 > MA_BLOCK_PAYLOAD)
		MA_TRY(flush(o));
	if (!o->block.len)
		ma_buf_add(&o->block, &none, sizeof(none));
	ma_buf_varint(&o->block, tag);
	ma_buf_varint(&o->block, o->field.len);
	ma_buf_add(&o->block, ma_buf_text(&o->field), o->field.len);
	o->records++;
	o->field.len = 0;
	return ma_buf_error(&o->block);
}

static struct ma_error *put_runs(struct out *o, const struct ma_runs *r, enum ma_malloc_tag tag)
{
	uint64_t at = 0;
	for (size_t i = 0; i < r->count; i++) {
		if (i % RUNS_A_FIELD == 0) {
			if (i)
				MA_TRY(field(o, tag));
			at = r->v[i].start;
			ma_buf_varint(&o->field, at);
		}
		ma_buf_varint(&o->field, (r->v[i].start - at) / PAGE);
		ma_buf_varint(&o->field, (r->v[i].end - r->v[i].start) / PAGE);
		at = r->v[i].end;
	}
	return r->count ? field(o, tag) : NULL;
}

static void put_sum(struct out *o, const struct ma_heap_sum *s)
{
	ma_buf_varint(&o->field, s->chunks);
	ma_buf_varint(&o->field, s->bytes);
	ma_buf_varint(&o->field, s->resident);
}

static struct ma_error *put_survey(struct out *o, const struct ma_survey *s)
{
	for (size_t i = 0; i < s->heaps_count; i++) {
		const struct ma_heap *h = &s->heaps[i];
		ma_buf_varint(&o->field, h->arena);
		ma_buf_varint(&o->field, h->main);
		ma_buf_varint(&o->field, h->start);
		ma_buf_varint(&o->field, h->end - h->start);
		put_sum(o, &h->used);
		put_sum(o, &h->cached);
		put_sum(o, &h->free);
		put_sum(o, &h->top);
		ma_buf_varint(&o->field, h->trimmable);
		ma_buf_varint(&o->field, h->unread);
		MA_TRY(field(o, MA_MAL_HEAP));
	}
	for (size_t i = 0; i < s->spans_count; i++) {
		const struct ma_span *p = &s->spans[i];
		ma_buf_varint(&o->field, p->start);
		ma_buf_varint(&o->field, p->end - p->start);
		ma_buf_varint(&o->field, p->kind);
		ma_buf_varint(&o->field, p->id);
		MA_TRY(field(o, MA_MAL_SPAN));
	}
	for (size_t i = 0; i < s->zeros_count; i++) {
		const struct ma_zeros *z = &s->zeros[i];
		ma_buf_varint(&o->field, z->start);
		ma_buf_varint(&o->field, z->end - z->start);
		ma_buf_varint(&o->field, z->bytes);
		MA_TRY(field(o, MA_MAL_ZERO));
	}
	return NULL;
}

/* Where the agent found pymalloc's arenas. What it says is as untrusted as the rest of the twin. */
static struct ma_run *arena_ranges(const struct ma_twin *w, const struct ma_loaded *l, size_t *count_ret)
{
	struct ma_maa_ranges {
		uint64_t at, count;
	} r;
	*count_ret = 0;
	if (ma_mem_read_some(w->pid, l->args + offsetof(struct maa_args, arena_ranges), &r, sizeof(r)) != sizeof(r) ||
	    !r.count || r.count > ARENA_RANGES_MAX)
		return NULL;
	struct ma_run *v = malloc(r.count * sizeof(*v));
	if (!v || ma_mem_read_some(w->pid, r.at, v, r.count * sizeof(*v)) != r.count * sizeof(*v)) {
		free(v);
		return NULL;
	}
	for (size_t i = 0; i < r.count; i++)
		if (v[i].start >= v[i].end || (i && v[i].start < v[i - 1].end)) {
			free(v);
			return NULL;
		}
	*count_ret = r.count;
	return v;
}

struct watching {
	ma_watch watch;
	void *arg;
	struct ma_error *err;
};

static bool give_up(void *arg)
{
	struct watching *w = arg;
	if (!w->err)
		w->err = w->watch(w->arg);
	return w->err != NULL;
}

static struct ma_error *survey(const struct ma_twin *w, const struct ma_loaded *l, const struct ma_twin_pages *pages,
			       const struct ma_thread *threads, size_t threads_count, struct watching *watching,
			       struct ma_survey *ret)
{
	size_t arenas_count;
	_cleanup_free_ struct ma_heap_thread *t = calloc(threads_count + 1, sizeof(*t));
	_cleanup_free_ struct ma_run *arenas = arena_ranges(w, l, &arenas_count);
	if (!t)
		return &ma_enomem;
	for (size_t i = 0; i < threads_count; i++)
		t[i] = (struct ma_heap_thread){ threads[i].tls, (uint64_t)threads[i].tid };
	struct ma_run kept_out[MA_RAW_RANGES_MAX];
	for (size_t i = 0; w->fill && i < w->fill->count; i++)
		kept_out[i] = (struct ma_run){ w->fill->v[i].start, w->fill->v[i].end };
	const struct ma_survey_job job = {
		.pid = w->pid,
		.maps = &w->maps,
		.runs = &pages->runs,
		.huge = &pages->huge,
		.threads = t,
		.threads_count = threads_count,
		.arenas = arenas,
		.arenas_count = arenas_count,
		.kept_out = kept_out,
		.kept_out_count = w->fill ? w->fill->count : 0,
		.live = w->fill ? w->fill->live : 0,
		.give_up = give_up,
		.arg = watching,
	};
	struct ma_error *err = ma_survey_take(&job, ret);
	if (err)
		ma_error_free(watching->err);
	else
		err = watching->err;
	if (err)
		ma_survey_deinit(ret);
	return err;
}

static struct ma_error *put_live(struct out *o, const struct ma_fill *f)
{
	for (size_t i = 0; f && i < f->count; i++) {
		ma_buf_varint(&o->field, f->v[i].start);
		ma_buf_varint(&o->field, f->v[i].end - f->v[i].start);
		MA_TRY(field(o, MA_MAL_LIVE));
	}
	return NULL;
}

static struct ma_error *write_all(struct out *o, const struct ma_twin *w, const struct ma_twin_pages *pages,
				  const struct ma_survey *s)
{
	MA_TRY(put_live(o, w->fill));
	MA_TRY(put_runs(o, &pages->runs, MA_MAL_PAGES));
	MA_TRY(put_runs(o, &pages->huge, MA_MAL_HUGE));
	MA_TRY(put_survey(o, s));
	return flush(o);
}

struct ma_error *ma_twin_memory(const struct ma_twin *w, const struct ma_loaded *l, const struct ma_twin_pages *pages,
				const struct ma_thread *threads, size_t threads_count, ma_watch watch, void *arg,
				int *fd_ret)
{
	struct ma_survey s = { 0 };
	*fd_ret = -1;
	if (!pages->known)
		return NULL;
	_cleanup_close_ int fd = (int)syscall(SYS_memfd_create, "memattach-memory", 1u);
	if (fd < 0)
		return ma_error_os(errno, "cannot keep what the memory of the twin is");
	struct watching watching = { watch, arg, NULL };
	MA_TRY(survey(w, l, pages, threads, threads_count, &watching, &s));
	struct out o = { .fd = fd,
			 .block = MA_BUF_INIT(MA_BLOCK_PAYLOAD + sizeof(struct ma_block_hdr)),
			 .field = MA_BUF_INIT(FIELD_MAX) };
	struct ma_error *err = write_all(&o, w, pages, &s);
	ma_buf_deinit(&o.block);
	ma_buf_deinit(&o.field);
	ma_survey_deinit(&s);
	if (!err)
		*fd_ret = ma_take_fd(fd);
	return err;
}

struct ma_error *ma_twin_memory_emit(struct ma_sink *sink, int fd)
{
	struct stat st;
	_cleanup_free_ char *payload = malloc(MA_BLOCK_PAYLOAD);
	if (!payload)
		return &ma_enomem;
	if (fstat(fd, &st) || st.st_size < 0 || (uint64_t)st.st_size > BLOCKS_MAX)
		return ma_errorf(MA_ERR_OS, "cannot read what the memory of the twin is");
	for (off_t at = 0; at < st.st_size;) {
		struct ma_block_hdr hdr;
		if (pread(fd, &hdr, sizeof(hdr), at) != (ssize_t)sizeof(hdr) || hdr.kind != MA_BLOCK_MALLOC ||
		    hdr.bytes > MA_BLOCK_PAYLOAD || hdr.reserved)
			return ma_errorf(MA_ERR_BAD_DATA, "a block of the tracer is malformed");
		at += (off_t)sizeof(hdr);
		if (pread(fd, payload, hdr.bytes, at) != (ssize_t)hdr.bytes)
			return ma_errorf(MA_ERR_BAD_DATA, "a block of the tracer is cut off");
		at += (off_t)hdr.bytes;
		MA_TRY(sink->block(sink->arg, &hdr, payload));
	}
	return NULL;
}
