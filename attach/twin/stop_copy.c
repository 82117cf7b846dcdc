// SPDX-License-Identifier: Apache-2.0
#include "stop_copy.h"

#include "cleanup.h"
#include "mapped_file.h"
#include "mem.h"
#include "pagemap_scan.h"
#include "wait.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define PAGE MA_CORE_PAGE
#define NS_PER_MIB 950000u /* of reading the memory of another process, on a busy machine: 1.1 GB/s */
#define BASE_NS 1000000u
#define STEP (4u << 20) /* between two looks at the clock */
#define RESERVED_MAX (UINT64_C(4) << 30)
#define GAP_MAX (256u << 10)
#define COPIED_FILE_MAX (64u << 20)

#define SCAN_REGIONS 512

struct copying {
	struct ma_tracee *t;
	struct ma_stop_copy *c;
	int pagemap;
	bool plain;   /* no PAGEMAP_SCAN */
	char *memory; /* of the memfd; NULL = not mapped yet */
	uint64_t mapped, used;
	uint64_t deadline;
	size_t pieces_cap;
	struct ma_map image; /* the one opened last */
	int image_fd;
};

uint64_t ma_stop_copy_estimate_ns(const struct ma_status *status)
{
	return BASE_NS + (status->rss_anon >> 20) * NS_PER_MIB;
}

/* ------------------------------------------------------------------ which pages */

static struct ma_error *too_many(void)
{
	return ma_errorf(MA_ERR_LIMIT, "its pages lie in too many pieces");
}

/* Pages that the process wrote: of no file, there or in swap. *done_ret false: the kernel has no such call. */
static struct ma_error *scan(struct copying *k, const struct ma_map *m, struct ma_runs *runs, bool *done_ret)
{
	struct scan_region v[SCAN_REGIONS];
	uint64_t start = m->start;
	*done_ret = false;
	while (start < m->end) {
		struct scan_arg arg = {
			.size = sizeof(arg),
			.start = start,
			.end = m->end,
			.vec = (uint64_t)(uintptr_t)v,
			.vec_len = SCAN_REGIONS,
			.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
			.category_inverted = SCAN_FILE | SCAN_ZERO,
			.category_mask = SCAN_FILE | SCAN_ZERO,
			.return_mask = SCAN_PRESENT | SCAN_SWAPPED,
		};
		int n = ioctl(k->pagemap, SCAN_IOCTL, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || n > SCAN_REGIONS || arg.walk_end <= start || arg.walk_end > m->end)
			return NULL;
		for (int i = 0; i < n; i++)
			if (!ma_runs_add(runs, v[i].start, v[i].end))
				return too_many();
		start = arg.walk_end;
	}
	*done_ret = true;
	return NULL;
}

/* Documentation/admin-guide/mm/pagemap.rst: bit 63 present, 62 in swap, 61 a page of a file or shared. */
static struct ma_error *plain(struct copying *k, const struct ma_map *m, struct ma_runs *runs)
{
	uint64_t v[512];
	for (uint64_t start = m->start; start < m->end;) {
		uint64_t want = (m->end - start) / PAGE;
		want = want < MA_ARRAY_SIZE(v) ? want : MA_ARRAY_SIZE(v);
		ssize_t n = pread(k->pagemap, v, want * 8, (off_t)(start / PAGE * 8));
		if (n < 8)
			return ma_error_os(n < 0 ? errno : EIO, "cannot read pagemap");
		for (uint64_t i = 0; i < (uint64_t)n / 8; i++)
			if ((v[i] >> 62) && !(v[i] >> 61 & 1) &&
			    !ma_runs_add(runs, start + i * PAGE, start + (i + 1) * PAGE))
				return too_many();
		start += (uint64_t)n / 8 * PAGE;
	}
	return NULL;
}

static struct ma_error *written_pages(struct copying *k, const struct ma_map *m, struct ma_runs *runs)
{
	bool done = false;
	size_t before = runs->count;
	if (!k->plain)
		MA_TRY(scan(k, m, runs, &done));
	if (done)
		return NULL;
	if (runs->count != before)
		return ma_errorf(MA_ERR_OS, "its page tables could not be read to the end");
	k->plain = true;
	return m->end - m->start <= RESERVED_MAX ? plain(k, m, runs) : NULL;
}

/* ------------------------------------------------------------------ copies */

static struct ma_error *late(void)
{
	return ma_errorf(MA_ERR_LIMIT, "copying its memory took longer than it may be stopped (--max-pause): given up");
}

/* The memfd grows and is mapped as needed: what was set aside before is filled first. */
static struct ma_error *reserve(struct copying *k, uint64_t bytes)
{
	if (k->used + bytes <= k->mapped)
		return NULL;
	uint64_t want = k->used + bytes + (UINT64_C(64) << 20);
	void *p = k->memory ? mremap(k->memory, k->mapped, want, MREMAP_MAYMOVE)
			    : mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_SHARED, k->c->fd, 0);
	if (p == MAP_FAILED || ftruncate(k->c->fd, (off_t)want))
		return ma_error_os(errno, "cannot set memory aside for the copy");
	k->memory = p;
	k->mapped = want;
	return NULL;
}

static struct ma_error *copy(struct copying *k, ma_raddr start, ma_raddr end)
{
	while (start < end) {
		size_t want = end - start < STEP ? (size_t)(end - start) : STEP;
		size_t n = ma_mem_read_some(k->t->live, start, k->memory + k->used, want);
		n = n < want ? n - n % PAGE + PAGE : n; /* a page that can not be read is zeros */
		start += n;
		k->used += n;
		if (ma_now_ns() > k->deadline)
			return late();
	}
	return NULL;
}

static struct ma_error *add_piece(struct copying *k, struct ma_piece p)
{
	struct ma_space *s = &k->c->space;
	if (s->pieces_count == k->pieces_cap) {
		size_t cap = k->pieces_cap ? k->pieces_cap * 2 : 1024;
		struct ma_piece *v = reallocarray(s->pieces, cap, sizeof(*v));
		if (!v)
			return &ma_enomem;
		s->pieces = v;
		k->pieces_cap = cap;
	}
	s->pieces[s->pieces_count++] = p;
	return NULL;
}

static struct ma_error *keep_free(struct copying *k, const struct ma_map *m)
{
	return add_piece(k, (struct ma_piece){ .start = m->start, .end = m->end, .fd = -1 });
}

static struct ma_error *copy_range(struct copying *k, const struct ma_map *m, ma_raddr start, ma_raddr end)
{
	MA_TRY(reserve(k, end - start));
	uint64_t at = k->used;
	MA_TRY(copy(k, start, end));
	return add_piece(k, (struct ma_piece){ .start = start,
					       .end = end,
					       .fd = k->c->fd,
					       .offset = at,
					       .bytes = end - start,
					       .write = m->prot & 2 });
}

/* The pages of `r` in [start, end) into one piece: what lies between them stays zeros. */
static struct ma_error *copy_runs(struct copying *k, const struct ma_map *m, const struct ma_runs *r, size_t first,
				  ma_raddr start, ma_raddr end)
{
	MA_TRY(reserve(k, end - start));
	uint64_t at = k->used;
	for (size_t i = first; i < r->count && r->v[i].start < end; i++) {
		ma_raddr from = r->v[i].start > start ? r->v[i].start : start,
			 to = r->v[i].end < end ? r->v[i].end : end;
		k->used = at + (from - start);
		MA_TRY(copy(k, from, to));
	}
	k->used = at + (end - start);
	return add_piece(k, (struct ma_piece){ .start = start,
					       .end = end,
					       .fd = k->c->fd,
					       .offset = at,
					       .bytes = end - start,
					       .write = m->prot & 2 });
}

static struct ma_error *add_zeros(struct copying *k, ma_raddr start, ma_raddr end)
{
	return start < end
		       ? add_piece(k, (struct ma_piece){ .start = start, .end = end, .fd = k->c->fd, .copied = true })
		       : NULL;
}

/* Memory without a file: what was written is copied, the rest reads as zeros. Runs with little between them make one
 * piece: a process may have only so many mappings. */
static struct ma_error *take_anonymous(struct copying *k, const struct ma_map *m)
{
	struct ma_runs *r = &k->c->runs;
	MA_TRY(written_pages(k, m, r));
	ma_raddr at = m->start;
	for (size_t i = ma_runs_find(r, m->start); i < r->count && r->v[i].start < m->end;) {
		size_t first = i;
		ma_raddr from = r->v[i].start > m->start ? r->v[i].start : m->start, to = r->v[i].end;
		for (i++; i < r->count && r->v[i].start - to <= GAP_MAX; i++)
			to = r->v[i].end;
		to = to < m->end ? to : m->end;
		MA_TRY(add_zeros(k, at, from));
		MA_TRY(copy_runs(k, m, r, first, from, to));
		at = to;
	}
	return add_zeros(k, at, m->end);
}

/* Its file, opened and owned by the space; -1 when it can not be had or is no image. */
static struct ma_error *open_image(struct copying *k, const struct ma_maps *maps, const struct ma_map *m, int *ret)
{
	char head[4];
	struct ma_space *s = &k->c->space;
	*ret = k->image_fd;
	if (k->image_fd >= 0 && ma_map_same_file(&k->image, m))
		return NULL; /* an image has several mappings in a row */
	*ret = -1;
	int *v = reallocarray(s->fds, s->fds_count + 1, sizeof(*v));
	if (!v)
		return &ma_enomem;
	s->fds = v;
	_cleanup_close_ int fd = ma_mapped_open(k->t->live, k->t->live_dir, maps, m);
	if (fd < 0 || pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, ELFMAG, SELFMAG))
		return NULL;
	k->image = *m;
	*ret = k->image_fd = v[s->fds_count++] = ma_take_fd(fd);
	return NULL;
}

/* Memory of a file: all of it where the process wrote to some, else the file itself, else nothing. */
static struct ma_error *take_file(struct copying *k, struct ma_map *m)
{
	struct ma_runs written = { 0 };
	struct ma_error *err = written_pages(k, m, &written);
	bool any = written.count;
	for (size_t i = 0; !err && i < written.count; i++)
		if (!ma_runs_add(&k->c->runs, written.v[i].start, written.v[i].end))
			err = too_many();
	ma_runs_deinit(&written);
	if (err)
		return err;
	bool small = m->end - m->start <= COPIED_FILE_MAX;
	if (any && small)
		return copy_range(k, m, m->start, m->end);
	if (!any) /* open_images() */
		return add_piece(k, (struct ma_piece){ .start = m->start,
						       .end = m->end,
						       .fd = -1,
						       .offset = m->offset,
						       .bytes = m->end - m->start,
						       .write = m->prot & 2 });
	m->prot = 0; /* data: no object lies in it */
	return keep_free(k, m);
}

/* The mapping that `p` is of, as long as it is one of a file to be opened, or that was. */
static const struct ma_map *mapping_of(const struct copying *k, const struct ma_piece *p)
{
	return p->bytes && p->fd != k->c->fd ? ma_maps_find(&k->c->space.maps, p->start) : NULL;
}

static bool is_there(const struct ma_maps *now, const struct ma_map *m)
{
	const struct ma_map *n = ma_maps_find(now, m->start);
	return n && n->start == m->start && n->end == m->end && n->offset == m->offset && ma_map_same_file(n, m);
}

/* When the target runs again: a file system may be slow to open a file, or wait for the target itself. What it has
 * given up by then, or put something else in the place of, is left out. */
static struct ma_error *open_images(struct copying *k)
{
	struct ma_space *s = &k->c->space;
	struct ma_maps now;
	for (size_t i = 0; i < s->pieces_count; i++) {
		const struct ma_map *m = mapping_of(k, &s->pieces[i]);
		if (m)
			MA_TRY(open_image(k, &s->maps, m, &s->pieces[i].fd));
	}
	MA_TRY(ma_maps_read(k->t->live_dir, "maps", &now));
	for (size_t i = 0; i < s->pieces_count; i++) {
		struct ma_piece *p = &s->pieces[i];
		const struct ma_map *m = mapping_of(k, p);
		if (!m || (p->fd >= 0 && is_there(&now, m)))
			continue;
		*p = (struct ma_piece){ .start = p->start, .end = p->end, .fd = -1 };
		s->maps.v[m - s->maps.v].prot = 0;
	}
	ma_maps_deinit(&now);
	return ma_tracee_verify(k->t); /* it was this process all the while */
}

static struct ma_error *take_map(struct copying *k, struct ma_map *m)
{
	if (m->end > MA_CORE_USER_END)
		return NULL;
	if ((m->prot & 8) || !(m->prot & 1) || !strncmp(m->path, "[v", 2))
		return keep_free(k, m);
	return m->path[0] == '/' ? take_file(k, m) : take_anonymous(k, m);
}

/* ------------------------------------------------------------------ the stop */

static struct ma_error *copy_all(struct copying *k)
{
	struct ma_stop_copy *c = k->c;
	struct ma_status status;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	c->stopped.realtime_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	c->stopped.monotonic_ns = ma_now_ns();
	MA_TRY(ma_status_read(k->t->live_dir, &status));
	c->stopped.rss_anon = status.rss_anon;
	c->stopped.rss_file = status.rss_file;
	c->stopped.rss_shmem = status.rss_shmem;
	c->stopped.vm_pte = status.vm_pte;
	MA_TRY(ma_maps_read(k->t->live_dir, "maps", &c->space.maps));
	struct ma_maps *maps = &c->space.maps;
	for (size_t i = 0; i < maps->count; i++) {
		MA_TRY(take_map(k, &maps->v[i]));
		if (ma_now_ns() > k->deadline)
			return late();
	}
	c->threads = calloc(k->t->count + 1, sizeof(*c->threads));
	if (!c->threads)
		return &ma_enomem;
	for (size_t i = 0; i < k->t->count; i++)
		c->threads[c->threads_count++] =
			(struct ma_thread){ .tid = k->t->threads[i].tid, .tls = k->t->threads[i].tls };
	return NULL;
}

/* Before the stop: pages that are there need not be made in it. */
static struct ma_error *set_aside(struct copying *k, uint64_t bytes)
{
	k->c->fd = (int)syscall(SYS_memfd_create, "memattach-copy", 1u);
	if (k->c->fd < 0)
		return ma_error_os(errno, "cannot set memory aside for the copy");
	MA_TRY(reserve(k, bytes));
	madvise(k->memory, bytes, 23 /* MADV_POPULATE_WRITE, Linux 5.14; else the stop pays for it */);
	return NULL;
}

struct ma_error *ma_stop_copy_take(struct ma_tracee *t, uint64_t room_bytes, uint64_t stop_timeout_ns,
				   uint64_t limit_ns, struct ma_stop_copy *ret)
{
	struct copying k = { .t = t, .c = ret, .image_fd = -1 };
	MA_TRY(set_aside(&k, room_bytes));
	_cleanup_close_ int pagemap = openat(t->live_dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return ma_error_os(errno, "cannot read pagemap");
	k.pagemap = pagemap;
	MA_TRY(ma_tracee_stop_all(t, stop_timeout_ns));
	k.deadline = t->interrupted_ns + limit_ns;
	struct ma_error *err = copy_all(&k);
	struct ma_error *undo = ma_tracee_release(t);
	ret->pause_ns = ma_now_ns() - t->interrupted_ns;
	if (!err)
		err = open_images(&k);
	if (k.memory)
		munmap(k.memory, k.mapped);
	if (err) {
		ma_error_free(undo);
		return err;
	}
	return undo;
}

void ma_stop_copy_deinit(struct ma_stop_copy *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->threads);
	ma_runs_deinit(&c->runs);
	ma_space_deinit(&c->space);
	*c = (struct ma_stop_copy){ .fd = -1 };
}
