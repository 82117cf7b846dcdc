// SPDX-License-Identifier: Apache-2.0
/* arenas.c - the arenas of obmalloc: where they are, and the totals that are written about them. */
#include "emit.h"

/* struct arena_object (Objects/obmalloc.c, pycore_obmalloc.h), the same in 3.8 to 3.13: address 0, pool_address 8,
 * nfreepools 16, ntotalpools 20, freepools 24, nextarena 32, prevarena 40. */
#define ARENA_OBJECT_BYTES 48
#define ARENAS_MAX (1u << 24)

static int arena_plausible(struct maa *m, addr_t start, addr_t next_pool)
{
	uint64_t bytes = m->L->arena_bytes;
	return start && !(start & 15) && next_pool >= start && next_pool <= start + bytes &&
	       maa_map_readable(m, start) && maa_map_readable(m, start + bytes - 1);
}

/* Adds the arenas of one array; with list == NULL it counts them only. */
static uint64_t array_read(struct maa *m, addr_t array, uint64_t n, struct maa_arena *list)
{
	uint64_t count = 0;
	if (!array || (array & 7) || !maa_map_readable(m, array))
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		addr_t o = array + i * ARENA_OBJECT_BYTES;
		if (!(o & 4095) && !maa_map_readable(m, o))
			break;
		addr_t start = rd64(o), next = rd64(o + 8);
		if (!arena_plausible(m, start, next))
			continue;
		if (list) {
			list[count].start = start;
			list[count].next_pool = next;
			list[count].free_pools = rdu32(o + 16);
			list[count].pools = rdu32(o + 20);
		}
		count++;
	}
	return count;
}

static uint64_t arrays_read(struct maa *m, struct maa_arena *list)
{
	const struct ma_layout *L = m->L;
	if (L->interp_obmalloc < 0) {
		if (!m->args->arenas || !m->args->maxarenas)
			return 0;
		uint64_t n = rdu32(m->args->maxarenas);
		return array_read(m, rd64(m->args->arenas), n < ARENAS_MAX ? n : ARENAS_MAX, list);
	}
	uint64_t count = 0;
	addr_t in = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head), last = 0;
	for (unsigned i = 0; i < 1024 && in && maa_map_readable(m, in); i++) {
		addr_t state =
			in + (uint64_t)L->interp_obmalloc; /* 3.12: in the interpreter; 3.13: a pointer, often to one */
		if (m->minor >= 13)
			state = rd64(state);
		if (state && state != last && maa_map_readable(m, state)) {
			uint64_t n = rdu32(state + (uint64_t)L->obmalloc_maxarenas);
			count += array_read(m, rd64(state + (uint64_t)L->obmalloc_arenas),
					    n < ARENAS_MAX ? n : ARENAS_MAX, list ? list + count : NULL);
			last = state;
		}
		in = rd64(in + (uint64_t)L->interp_next);
	}
	return count;
}

static void sift(struct maa_arena *a, uint64_t i, uint64_t n)
{
	for (;;) {
		uint64_t c = 2 * i + 1;
		if (c >= n)
			return;
		if (c + 1 < n && a[c + 1].start > a[c].start)
			c++;
		if (a[i].start >= a[c].start)
			return;
		struct maa_arena swap = a[i];
		a[i] = a[c];
		a[c] = swap;
		i = c;
	}
}

static void sort(struct maa_arena *a, uint64_t n)
{
	for (uint64_t i = n / 2; i-- > 0;)
		sift(a, i, n);
	while (n > 1) {
		struct maa_arena swap = a[0];
		a[0] = a[--n];
		a[n] = swap;
		sift(a, 0, n);
	}
}

/* Runs before the chunk table is there: it asks the maps themselves. 0 or a negative errno. */
int maa_arenas_find(struct maa *m)
{
	uint64_t n = arrays_read(m, NULL), bytes = m->L->arena_bytes;
	m->arena_list = maa_alloc(m, n * sizeof(*m->arena_list) + 64);
	m->arenas = maa_alloc(m, n * sizeof(*m->arenas) + 64);
	if (!m->arena_list || !m->arenas)
		return -12;
	uint64_t again = arrays_read(m, m->arena_list);
	n = again < n ? again : n;
	sort(m->arena_list, n);
	uint64_t kept = 0;
	for (uint64_t i = 0; i < n; i++) {
		struct maa_arena *a = &m->arena_list[i];
		struct maa_range *last = m->arenas_count ? &m->arenas[m->arenas_count - 1] : NULL;
		if (last && a->start < last->end)
			continue; /* damaged, or named twice */
		if (last && a->start == last->end) {
			last->end += bytes;
		} else {
			m->arenas[m->arenas_count].start = a->start;
			m->arenas[m->arenas_count++].end = a->start + bytes;
		}
		m->arena_list[kept++] = *a;
	}
	m->arena_list_count = kept;
	m->stat[MA_STAT_ARENAS] = kept;
	m->args->arena_ranges = (uint64_t)(uintptr_t)m->arenas;
	m->args->arena_ranges_count = m->arenas_count;
	return 0;
}

/* MA_MAL_FILL for each arena: how much of it is in use. */
static void fills_write(struct maa *m)
{
	struct maa_buf *b = &m->ar;
	maa_flush(m, b);
	b->kind = MA_BLOCK_MALLOC;
	for (uint64_t i = 0; i < m->arena_list_count; i++) {
		const struct maa_arena *a = &m->arena_list[i];
		if (b->p > b->data + MA_BLOCK_PAYLOAD - MAA_ROOM)
			maa_flush(m, b);
		uint8_t field[64], *p = put(field, a->start);
		p = put(p, a->next_pool - a->start);
		p = put(p, a->used_bytes);
		p = put(p, a->free_bytes);
		p = put(p, a->used_pools);
		b->p = put(b->p, MA_MAL_FILL);
		b->p = put(b->p, (uint64_t)(p - field));
		memcpy(b->p, field, (uint64_t)(p - field));
		b->p += p - field;
		b->records++;
	}
	maa_flush(m, b);
	b->kind = MA_BLOCK_ARENAS;
}

void maa_arenas_write(struct maa *m)
{
	struct maa_buf *b = &m->ar;
	for (uint64_t i = 0; i < m->arena_list_count; i++) {
		const struct maa_arena *a = &m->arena_list[i];
		if (b->p > b->data + MA_BLOCK_PAYLOAD - MAA_ROOM)
			maa_flush(m, b);
		uint8_t *p = put(b->p, MA_ARN_ARENA);
		p = put(p, a->start);
		p = put(p, m->L->arena_bytes);
		p = put(p, a->pools);
		b->p = put(p, a->free_pools);
		b->records++;
	}
	fills_write(m);
	for (unsigned i = 1; i <= 32; i++) {
		if (!m->classes[i].pools)
			continue;
		if (b->p > b->data + MA_BLOCK_PAYLOAD - MAA_ROOM)
			maa_flush(m, b);
		uint8_t *p = put(b->p, MA_ARN_CLASS);
		p = put(p, i * 16);
		p = put(p, m->classes[i].pools);
		p = put(p, m->classes[i].used);
		p = put(p, m->classes[i].free);
		p = put(p, m->class_objects[i] < m->classes[i].used ? m->class_objects[i] : m->classes[i].used);
		b->p = put(p, m->classes[i].waste);
		b->records++;
	}
	maa_flush(m, b);
}
