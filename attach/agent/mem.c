// SPDX-License-Identifier: Apache-2.0
/* mem.c - the agent's own memory, and what lies where in the target's.
 *
 * Every MiB of address space that may be read has an entry of 8 bytes: what kind of memory it is, and
 * where its mark bits are (8 KiB, made when the first object in it is marked; 16 KiB where objects may
 * stand at multiples of 8). The entries of one GiB are one unit of 8 KiB; those of the window, where most arenas are,
 * are neighbours. So the marks cost 1/128 of the memory that holds objects, and a look-up is two loads in the window
 * and three elsewhere. */
#include "maa.h"

void *maa_alloc(struct maa *m, uint64_t bytes)
{
	bytes = (bytes + 63) & ~63ull;
	if (bytes > (uint64_t)(m->bump_end - m->bump))
		return NULL;
	void *p = m->bump;
	m->bump += bytes;
	return p;
}

/* Marks and pages of entries: whole units, aligned to their size. NULL when no memory is left. */
static uint8_t *unit_alloc(struct maa *m, uint64_t count)
{
	uint64_t at = ((uint64_t)(uintptr_t)m->bump + UNIT_BYTES - 1) & ~(UNIT_BYTES - 1);
	if (at + count * UNIT_BYTES > (uint64_t)(uintptr_t)m->bump_end)
		return NULL;
	m->bump = (uint8_t *)at + count * UNIT_BYTES;
	return (uint8_t *)at;
}

uint64_t *maa_chunk_far(struct maa *m, addr_t a)
{
	uint64_t i = a >> 30, page = LIKELY(i < (1u << 17)) ? m->top[i] : 0;
	return (uint64_t *)(m->units + page) + ((a >> CHUNK_SHIFT) & 1023);
}

MAA_COLD uint8_t *maa_chunk_unit(struct maa *m, uint64_t *ch)
{
	uint8_t *marks = unit_alloc(m, *ch & CH_FINE ? 2 : 1);
	*ch |= (uint64_t)(uintptr_t)marks;
	if (marks && (*ch & (CH_CLASS | CH_FINE)) == CH_ARENA)
		*ch |= CH_SIMPLE;
	return marks;
}

int maa_mark_slow(struct maa *m, addr_t a, uint64_t *ch)
{
	uint64_t class = *ch & CH_CLASS;
	if (!class || (a & 7) || (!maa_chunk_marks(*ch) && !maa_chunk_unit(m, ch)))
		return MAA_NO;
	uint64_t bit = (a & (CHUNK_BYTES - 1)) >> (4 - ((*ch & CH_FINE) != 0));
	uint8_t *byte = maa_chunk_marks(*ch) + (bit >> 3), mask = (uint8_t)(1u << (bit & 7));
	if (*byte & mask)
		return MAA_SEEN;
	if (class == CH_MIXED && !maa_map_readable(m, a))
		return MAA_NO;
	*byte |= mask;
	return MAA_NEW;
}

void maa_unmark(struct maa *m, addr_t a)
{
	uint64_t c = *maa_chunk(m, a);
	uint8_t *marks = maa_chunk_marks(c);
	if (!marks)
		return;
	uint64_t bit = (a & (CHUNK_BYTES - 1)) >> (4 - ((c & CH_FINE) != 0));
	marks[bit >> 3] &= (uint8_t) ~(1u << (bit & 7));
}

static const struct maa_map *map_find(struct maa *m, addr_t a)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	uint64_t lo = 0, hi = m->args->maps_count, last = m->last_map;
	if (last < hi && a >= maps[last].start && a < maps[last].end)
		return &maps[last];
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (a >= maps[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == m->args->maps_count || a < maps[lo].start)
		return NULL;
	m->last_map = lo;
	return &maps[lo];
}

int maa_map_readable(struct maa *m, addr_t a)
{
	const struct maa_map *map = map_find(m, a);
	return map && (map->flags & MAA_MAP_READ);
}

static int in_ranges(const struct maa_range *r, uint64_t n, addr_t a)
{
	uint64_t lo = 0, hi = n;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (a >= r[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && a >= r[lo].start;
}

int maa_in_arena(struct maa *m, addr_t a)
{
	const struct maa_range *r = &m->arenas[m->last_arena];
	if (m->last_arena < m->arenas_count && a >= r->start && a < r->end)
		return 1;
	uint64_t lo = 0, hi = m->arenas_count;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (a >= m->arenas[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == m->arenas_count || a < m->arenas[lo].start)
		return 0;
	m->last_arena = lo;
	return 1;
}

static unsigned class_of(struct maa *m, addr_t a)
{
	if (maa_in_arena(m, a))
		return CH_ARENA;
	if (in_ranges(m->statics, m->statics_count, a))
		return CH_STATIC;
	const struct maa_map *map = map_find(m, a);
	if (!map || !(map->flags & MAA_MAP_READ))
		return CH_NONE;
	if (map->flags & MAA_MAP_FILE)
		return CH_STATIC;
	return (map->flags & (MAA_MAP_WRITE | MAA_MAP_SHARED | MAA_MAP_STACK)) == MAA_MAP_WRITE ? CH_MALLOC : CH_OTHER;
}

MAA_COLD unsigned maa_place_slow(struct maa *m, addr_t a)
{
	unsigned c = class_of(m, a);
	return c ? c - CH_ARENA : MA_PLACE_OTHER;
}

/* Bytes of the chunk [lo, hi) that belong to ranges r. */
static uint64_t covered(const struct maa_range *r, uint64_t n, addr_t lo, addr_t hi)
{
	uint64_t a = 0, b = n, sum = 0;
	while (a < b) {
		uint64_t mid = (a + b) / 2;
		if (lo >= r[mid].end)
			a = mid + 1;
		else
			b = mid;
	}
	for (; a < n && r[a].start < hi; a++)
		sum += (r[a].end < hi ? r[a].end : hi) - (r[a].start > lo ? r[a].start : lo);
	return sum;
}

/* Lays the window over the arenas, as many of them as it can hold; with no arena, over the largest mapping. */
static int window_set(struct maa *m)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	const uint64_t gib = 1ull << 30, reach = (WINDOW_CHUNKS << CHUNK_SHIFT) - gib;
	addr_t first = 0;
	uint64_t most = 0, sum = 0;
	for (uint64_t i = 0, k = 0; i < m->arenas_count; i++) {
		for (; k < m->arenas_count && m->arenas[k].end - m->arenas[i].start <= reach; k++)
			sum += m->arenas[k].end - m->arenas[k].start;
		if (sum > most) {
			most = sum;
			first = m->arenas[i].start;
		}
		if (k == i) { /* one that is longer than the window */
			first = most ? first : m->arenas[i].start;
			k++;
		} else {
			sum -= m->arenas[i].end - m->arenas[i].start;
		}
	}
	for (uint64_t i = 0; !m->arenas_count && i < m->args->maps_count; i++)
		if (maps[i].end - maps[i].start > most && (maps[i].flags & MAA_MAP_WRITE)) {
			most = maps[i].end - maps[i].start;
			first = maps[i].start;
		}
	uint8_t *entries = unit_alloc(m, WINDOW_CHUNKS >> (30 - CHUNK_SHIFT));
	if (!entries)
		return -12;
	m->window = (uint64_t *)entries;
	m->window_first = first / gib << (30 - CHUNK_SHIFT);
	m->virtual_bytes += WINDOW_CHUNKS * sizeof(*m->window);
	for (uint64_t i = 0; i < WINDOW_CHUNKS >> (30 - CHUNK_SHIFT) && first / gib + i < 1u << 17; i++)
		m->top[first / gib + i] = (uint64_t)(entries - m->units) + i * UNIT_BYTES;
	return 0;
}

static int chunk_add(struct maa *m, addr_t a, const struct maa_map *map)
{
	if (a >> 47)
		return 0; /* vsyscall */
	uint64_t i = a >> 30;
	if (!m->top[i]) {
		uint8_t *page = unit_alloc(m, 1);
		if (!page)
			return -12;
		m->top[i] = (uint64_t)(page - m->units);
	}
	uint64_t *ch = maa_chunk(m, a);
	if (*ch & CH_CLASS)
		return 0; /* an earlier mapping lies in it, too, and has seen all that is in it */
	addr_t lo = a & ~(CHUNK_BYTES - 1), hi = lo + CHUNK_BYTES;
	uint64_t arena = covered(m->arenas, m->arenas_count, lo, hi);
	uint64_t fixed = covered(m->statics, m->statics_count, lo, hi);
	uint32_t c;
	if (arena == CHUNK_BYTES)
		c = CH_ARENA;
	else if (arena || fixed || map->start > lo || map->end < hi)
		c = CH_MIXED;
	else
		c = class_of(m, lo);
	/* static objects of an image need not be at multiples of 16; all allocators give such addresses */
	if (fixed || c == CH_STATIC)
		c |= CH_FINE;
	else if (c == CH_MIXED)
		for (const struct maa_map *x = map;
		     x < (const struct maa_map *)m->args->maps + m->args->maps_count && x->start < hi; x++)
			if (x->flags & MAA_MAP_FILE)
				c |= CH_FINE;
	*ch = c;
	return 0;
}

/* The writable data of an ELF image, .bss included, which is an anonymous mapping to the kernel and may be
 * one with what malloc mapped behind it: the program headers say where it ends. */
static void image_add(struct maa *m, const struct maa_map *map)
{
	addr_t e = map->start;
	/* What is writable begins with no header, and may begin with the guard page of a stack that the kernel shows as
	 * one with the .bss before it (MADV_GUARD_INSTALL, glibc 2.42). */
	if ((map->flags & (MAA_MAP_FILE | MAA_MAP_READ | MAA_MAP_WRITE)) != (MAA_MAP_FILE | MAA_MAP_READ) ||
	    rdu32(e) != 0x464c457f)
		return;
	uint64_t phoff = rd64(e + 32), phnum = RD(uint16_t, e + 56), phsize = RD(uint16_t, e + 54);
	if (phsize != 56 || phnum > 64 || phoff + phnum * 56 > 4096)
		return;
	uint64_t base = ~0ull;
	for (uint64_t i = 0; i < phnum; i++) {
		addr_t ph = e + phoff + i * 56;
		if (rdu32(ph) != 1)
			continue;
		uint64_t vaddr = rd64(ph + 16), memsz = rd64(ph + 40);
		if (base == ~0ull)
			base = e - (vaddr & ~4095ull);
		if (!(rdu32(ph + 4) & 2) || memsz > 1ull << 32)
			continue;
		struct maa_range *r = &m->statics[m->statics_count++];
		r->start = base + vaddr;
		r->end = base + vaddr + memsz;
		for (uint64_t k = m->statics_count - 1; k && r[-1].start > r->start; k--, r--) {
			struct maa_range swap = r[-1];
			r[-1] = r[0];
			r[0] = swap;
		}
	}
}

/* Reads the ELF headers. A page need not be there although the list of mappings says so (the file was cut short): the
 * caller guards, and calls again after a fault; ph_i is the next mapping. */
void maa_mem_images(struct maa *m)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	uint64_t n = m->args->maps_count, images = 0;
	for (uint64_t i = 0; i < n; i++)
		images += (maps[i].flags & MAA_MAP_FILE) != 0;
	if (!m->statics)
		m->statics = maa_alloc(m, images * 4 * sizeof(struct maa_range) + 64);
	while (m->statics && m->ph_i < n && m->statics_count + 4 <= images * 4)
		image_add(m, &maps[m->ph_i++]);
}

/* After the arenas and the images are known. 0 or a negative errno. */
int maa_mem_init(struct maa *m)
{
	const struct maa_map *maps = (const struct maa_map *)m->args->maps;
	uint64_t n = m->args->maps_count;
	if (!m->statics || window_set(m))
		return -12;
	for (uint64_t i = 0; i < n; i++) {
		if (!(maps[i].flags & MAA_MAP_READ) || maps[i].end <= maps[i].start ||
		    maps[i].end - maps[i].start > 1ull << 44)
			continue;
		for (addr_t a = maps[i].start & ~(CHUNK_BYTES - 1); a < maps[i].end; a += CHUNK_BYTES) {
			int err = chunk_add(m, a < maps[i].start ? maps[i].start : a, &maps[i]);
			if (err)
				return err;
		}
	}
	return 0;
}
