// SPDX-License-Identifier: Apache-2.0
/* arenas.c - `arenas` and `maxarenas` of a stripped interpreter (3.8 to 3.11, Objects/obmalloc.c), by shape.
 *
 * A word in .data or .bss is taken for `arenas` when it points to an array of struct arena_object whose entries are
 * sound (below), and the pools in these arenas bear the index of their entry. Others of obmalloc's variables may point
 * to the first entry at this moment, too: usable_arenas and nfp2lasta[]. In the source `arenas` and `maxarenas` are
 * neighbours, and the compiler keeps them so in one order or the other (seen in all builds at hand), so the word next
 * to the count of entries is the one. */
#include "cleanup.h"
#include "python_internal.h"

#include <fcntl.h>
#include <string.h>

#define PAGE 4096u /* or a part of one */
#define MAX_DATA_BYTES (64u << 20)
#define FIRST_ARENAS 16u /* INITIAL_ARENA_OBJECTS; the array doubles from there */
#define MAX_ARENAS (1u << 20)
#define NEAR_BYTES 32

struct arena_object {     /* the same in 3.8 to 3.11 */
	uint64_t address; /* 0: not in use */
	uint64_t pool_address;
	uint32_t nfreepools, ntotalpools;
	uint64_t freepools, nextarena, prevarena;
};

struct pool_header { /* its first 48 bytes */
	uint32_t count, reserved;
	uint64_t freeblock, nextpool, prevpool;
	uint32_t arenaindex, szidx, nextoffset, maxnextoffset;
};

struct finder {
	pid_t pid;
	const struct ma_maps *maps;
	const struct ma_layout *layout;
	struct ma_data data;
};

/* Pages that were never touched hold none of what we look for, and reading them would make them part of the
 * target's RSS: /proc/PID/pagemap says which they are (bit 63 present, 62 swapped). */
static struct ma_error *read_data(pid_t pid, int task_dir, struct ma_data *d)
{
	d->words = calloc(1, d->bytes);
	if (!d->words)
		return &ma_enomem;
	_cleanup_close_ int pagemap = openat(task_dir, "pagemap", O_RDONLY | O_CLOEXEC);
	for (size_t off = 0; off < d->bytes; off += PAGE) {
		uint64_t entry;
		off_t at = (off_t)((d->base + off) / ma_page_bytes() * sizeof(entry));
		if (pagemap >= 0 && pread(pagemap, &entry, sizeof(entry), at) == (ssize_t)sizeof(entry) &&
		    !(entry >> 62))
			continue;
		ma_peek_some(pid, d->base + off, (char *)d->words + off, PAGE);
	}
	return NULL;
}

static bool is_entry(uint64_t link, ma_raddr base)
{
	uint64_t off = link - base;
	return !link || (off % sizeof(struct arena_object) == 0 && off / sizeof(struct arena_object) < MAX_ARENAS);
}

static bool entry_is_sound(const struct arena_object *a, const struct ma_layout *l, ma_raddr base)
{
	if (!a->address) /* in the list of unused ones; new_arena() sets no other field than this link */
		return is_entry(a->nextarena, base);
	/* one pool is lost where the arena does not begin on a pool's boundary */
	uint32_t pools = l->arena_bytes / l->pool_bytes;
	/* a full arena is in no list: its links may lead into the array that realloc() gave up */
	return (!a->nfreepools || (is_entry(a->nextarena, base) && is_entry(a->prevarena, base))) &&
	       !(a->address % 16) && (a->ntotalpools == pools || a->ntotalpools == pools - 1) &&
	       a->nfreepools <= a->ntotalpools && a->pool_address >= a->address &&
	       a->pool_address <= a->address + l->arena_bytes + l->pool_bytes && !(a->pool_address % l->pool_bytes) &&
	       (!a->freepools || (a->freepools >= a->address && a->freepools < a->address + l->arena_bytes));
}

/* How many entries the array at `base` has, 0 when it is no array of arenas. The unused ones form one list, so at most
 * one of them has no successor: zeroed memory behind the array does not look like more of it. */
static uint32_t count_entries(const struct finder *f, ma_raddr base)
{
	uint32_t entries = 0, ends = 0;
	for (uint32_t next = FIRST_ARENAS; next <= MAX_ARENAS; next *= 2) {
		struct arena_object a[FIRST_ARENAS];
		for (uint32_t i = next == FIRST_ARENAS ? 0 : next / 2; i < next; i += FIRST_ARENAS) {
			if (ma_peek_some(f->pid, base + i * sizeof(*a), a, sizeof(a)) != sizeof(a))
				return entries;
			for (uint32_t k = 0; k < FIRST_ARENAS; k++) {
				ends += !a[k].address && !a[k].nextarena;
				if (ends > 1 || !entry_is_sound(&a[k], f->layout, base))
					return entries;
			}
		}
		entries = next;
	}
	return entries;
}

/* Do the first pools of the arenas say that they belong to their entry? At least one must, and none may not. */
static bool pools_agree(const struct finder *f, ma_raddr base, uint32_t entries)
{
	unsigned good = 0;
	for (uint32_t i = 0; i < entries && good < 64; i++) {
		struct arena_object a;
		struct pool_header p;
		if (ma_peek_some(f->pid, base + i * sizeof(a), &a, sizeof(a)) != sizeof(a))
			return false;
		uint64_t first = (a.address + f->layout->pool_bytes - 1) & ~(uint64_t)(f->layout->pool_bytes - 1);
		if (!a.address || a.pool_address == first) /* no pool was carved from it yet */
			continue;
		if (ma_peek_some(f->pid, first, &p, sizeof(p)) != sizeof(p) || p.arenaindex != i)
			return false;
		good++;
	}
	return good;
}

/* Cheap first look: plausible as a malloc'ed array whose first entries are sound. */
static uint32_t try_word(const struct finder *f, uint64_t word)
{
	struct arena_object a[2];
	if (!word || word % 16 || word - f->data.base < f->data.bytes)
		return 0;
	const struct ma_map *m = ma_maps_find(f->maps, word);
	if (!m || (m->prot & 0xf) != 3 || m->end - word < FIRST_ARENAS * sizeof(*a))
		return 0;
	if (ma_peek_some(f->pid, word, a, sizeof(a)) != sizeof(a) || (!a[0].address && !a[1].address) ||
	    !entry_is_sound(&a[0], f->layout, word) || !entry_is_sound(&a[1], f->layout, word))
		return 0;
	uint32_t entries = count_entries(f, word);
	return entries && pools_agree(f, word, entries) ? entries : 0;
}

/* The word of value `entries` nearest to offset `at`. */
static bool find_maxarenas(const struct ma_data *d, size_t at, uint32_t entries, size_t *ret)
{
	for (size_t off = 4; off <= NEAR_BYTES; off += 4) {
		size_t places[] = { at - off, at + off + 4 };
		for (size_t k = 0; k < MA_ARRAY_SIZE(places); k++) {
			uint32_t v;
			if (places[k] > d->bytes - sizeof(v)) /* also when at - off went below 0 */
				continue;
			memcpy(&v, (char *)d->words + places[k], sizeof(v));
			if (v != entries)
				continue;
			*ret = places[k];
			return true;
		}
	}
	return false;
}

void ma_arenas_search(pid_t pid, const struct ma_maps *maps, const struct ma_layout *l, const struct ma_data *d,
		      ma_raddr *arenas_ret, ma_raddr *maxarenas_ret)
{
	struct finder f = { pid, maps, l, *d };
	size_t best_distance = SIZE_MAX;
	uint64_t refused = 0; /* neighbours often hold the same pointer */
	*arenas_ret = *maxarenas_ret = 0;
	for (size_t i = 0; i < d->bytes / 8; i++) {
		if (d->words[i] == refused)
			continue;
		uint32_t entries = try_word(&f, d->words[i]);
		if (!entries) {
			refused = d->words[i];
			continue;
		}
		size_t at = i * 8, max, distance = SIZE_MAX - 1;
		bool has = find_maxarenas(d, at, entries, &max);
		if (has)
			distance = max > at ? max - at : at - max;
		if (distance >= best_distance)
			continue;
		best_distance = distance;
		*arenas_ret = d->base + at;
		*maxarenas_ret = has ? d->base + max : 0;
	}
}

struct ma_error *ma_arenas_find(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_image *im,
				const struct ma_layout *l, ma_raddr *arenas_ret, ma_raddr *maxarenas_ret)
{
	*arenas_ret = *maxarenas_ret = 0;
	size_t count;
	const struct ma_elf_segment *segments = ma_elf_segments(im->elf, &count);
	for (size_t i = 0; i < count && !*arenas_ret; i++) {
		const struct ma_elf_segment *s = &segments[i];
		if (!s->write || s->mem_bytes > MAX_DATA_BYTES)
			continue;
		ma_raddr start = (s->vaddr + im->bias) & ~(uint64_t)(PAGE - 1);
		ma_raddr end = (s->vaddr + s->mem_bytes + im->bias + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		struct ma_data d = { start, end - start, NULL };
		struct ma_error *err = read_data(pid, task_dir, &d);
		if (!err)
			ma_arenas_search(pid, maps, l, &d, arenas_ret, maxarenas_ret);
		free(d.words);
		if (err)
			return err;
	}
	return NULL;
}
