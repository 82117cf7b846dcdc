// SPDX-License-Identifier: Apache-2.0
/* glibc_find.c - main_arena, which no symbol names: the only place in libc's data where 127 bins stand in a row. An
 * empty bin points to itself, 16 bytes before its own address (malloc/malloc.c, bin_at and malloc_init_state, the same
 * since 2.3). */
#include "heap_internal.h"

#include <stdlib.h>
#include <string.h>

#define BINS 127u        /* pairs fd, bk */
#define BINS_EMPTY_MIN 8 /* of them; even a heap in shreds leaves the bins of far sizes empty */
#define BINS_BYTES (BINS * 16u)
#define AFTER_BINS 64u             /* binmap, next, next_free, attached_threads, system_mem, max_system_mem */
#define DATA_MAX (16u << 20)       /* .data and .bss that are looked through */
#define HEAD_MAX 0x80u             /* what stands before `top` */
#define FASTBINS 10u               /* up to 2.42 (x86-64: chunks of up to 128 bytes, and room for more) */
#define MIN_OFF_WITH_FASTBINS 0x58 /* lock, flags, (from 2.26 have_fastchunks,) fastbins */
#define ARENAS_MAX 65536u

struct find {
	struct ma_survey_state *s;
	const uint8_t *data; /* a copy of the region at `start` */
	uint64_t start;
	size_t bytes;
};

static bool anon_at(struct ma_survey_state *s, uint64_t addr)
{
	const struct ma_map *m = (addr & 15) ? NULL : ma_maps_find(s->job->maps, addr);
	return m && ma_is_anon(m);
}

static uint64_t word(const struct find *f, size_t off)
{
	uint64_t v;
	memcpy(&v, f->data + off, 8);
	return v;
}

/* The 127 pairs at `off`: each of them empty, or two pointers into memory that malloc may have. */
static bool bins_at(const struct find *f, size_t off)
{
	unsigned empty = 0;
	for (unsigned i = 0; i < BINS; i++) {
		uint64_t fd = word(f, off + 16 * i), bk = word(f, off + 16 * i + 8);
		uint64_t self = f->start + off + 16 * i - 16;
		if (fd == self && bk == self)
			empty++;
		else if (fd == self || bk == self || !anon_at(f->s, fd) || !anon_at(f->s, bk))
			return false;
	}
	return empty >= BINS_EMPTY_MIN;
}

/* The last chunk of a heap ends with a page, inside its mapping. */
static bool top_ok(struct ma_survey_state *s, uint64_t top)
{
	uint64_t size;
	const struct ma_map *m = ma_maps_find(s->job->maps, top);
	if (!anon_at(s, top) || !m || !ma_window_u64(&s->spot, top + 8, &size))
		return false;
	size &= ~UINT64_C(7);
	return size >= 16 && size < UINT64_C(1) << 46 && !((top + size) & 4095) &&
	       ma_maps_find(s->job->maps, top + size - 1) != NULL;
}

static bool in_head(uint64_t arena, uint64_t bins)
{
	return arena < bins && bins - arena <= HEAD_MAX + 16 && !(arena & 7);
}

/* The arenas are a ring: the one pointer in it that leads to shortly before the bins is main_arena's own address. */
static bool ring(struct ma_survey_state *s, uint64_t bins, uint64_t first, struct ma_glibc *g)
{
	uint64_t next = first;
	for (unsigned i = 0; i < ARENAS_MAX && !in_head(next, bins); i++) {
		if (!anon_at(s, next))
			return false;
		bool found = false;
		/* Where in this arena the bins are: the same as in main_arena, whose start is not known yet. The last
		 * bin, of the largest chunks, is empty but for luck; the words behind it are no bins, so the highest
		 * offset that fits is the one. */
		for (uint64_t head = HEAD_MAX; head >= 8 && !found; head -= 8) {
			uint64_t b = next + head + 16, fd, at;
			if (!ma_window_u64(&s->spot, b + 16 * (BINS - 1), &fd) || fd != b + 16 * (BINS - 1) - 16)
				continue;
			if (!ma_window_u64(&s->spot, b + BINS_BYTES + 16, &at))
				continue;
			next = at;
			found = true;
		}
		if (!found)
			return false;
	}
	if (!in_head(next, bins))
		return false;
	g->main_arena = next;
	return true;
}

static bool at_bins(struct find *f, size_t off, struct ma_glibc *g)
{
	uint64_t bins = f->start + off, next = word(f, off + BINS_BYTES + 16);
	/* top and last_remainder */
	if (!top_ok(f->s, word(f, off - 16)) || !ring(f->s, bins, next, g))
		return false;
	g->off_bins = bins - g->main_arena;
	g->off_top = g->off_bins - 16;
	g->off_next = g->off_bins + BINS_BYTES + 16;
	g->bytes = g->off_next + 40;
	g->fastbins = g->off_top >= MIN_OFF_WITH_FASTBINS ? FASTBINS : 0;
	return true;
}

static bool search(struct ma_survey_state *s, const struct ma_map *m, struct ma_glibc *g)
{
	struct find f = { .s = s, .start = m->start };
	uint64_t bytes = m->end - m->start;
	bool found = false;
	if (bytes > DATA_MAX || bytes < HEAD_MAX + BINS_BYTES + AFTER_BINS)
		return false;
	uint8_t *copy = malloc(bytes);
	if (!copy) {
		s->failed = true;
		return false;
	}
	while (f.bytes < bytes) {
		size_t want = bytes - f.bytes < 4096 ? bytes - f.bytes : 4096;
		const void *p = ma_window_at(&s->window, m->start + f.bytes, want);
		if (!p)
			break;
		memcpy(copy + f.bytes, p, want);
		f.bytes += want;
	}
	f.data = copy;
	for (size_t off = 16; !found && off + BINS_BYTES + AFTER_BINS <= f.bytes; off += 8) {
		/* cheap first: nearly every word fails here */
		uint64_t last = word(&f, off + 16 * (BINS - 1));
		if (last != f.start + off + 16 * (BINS - 1) - 16 && !anon_at(s, last))
			continue;
		found = bins_at(&f, off) && at_bins(&f, off, g);
	}
	free(copy);
	return found;
}

static bool is_libc(const char *path)
{
	const char *name = strrchr(path, '/');
	return name && (!strncmp(name, "/libc.so.6", 10) || !strncmp(name, "/libc-2.", 8));
}

bool ma_glibc_find(struct ma_survey_state *s, struct ma_glibc *ret)
{
	const struct ma_maps *maps = s->job->maps;
	bool libc = false;
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if (!is_libc(m->path))
			continue;
		libc = true;
		if ((m->prot & 11) == 3 && search(s, m, ret))
			return true;
	}
	/* a static executable has its libc in its own data */
	for (size_t i = 0; !libc && i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if (m->path[0] == '/' && (m->prot & 11) == 3 && search(s, m, ret))
			return true;
	}
	return false;
}

size_t ma_glibc_arenas(struct ma_survey_state *s, const struct ma_glibc *g, ma_raddr *v, size_t max)
{
	size_t n = 0;
	uint64_t a = g->main_arena;
	do {
		v[n++] = a;
		if (!ma_window_u64(&s->spot, a + g->off_next, &a))
			break;
	} while (n < max && a != g->main_arena && anon_at(s, a));
	return n;
}
