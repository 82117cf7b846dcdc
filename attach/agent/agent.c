// SPDX-License-Identifier: Apache-2.0
/* agent.c - the agent from its first to its last step: memory, phases, recovery from faults. */
#include "emit.h"
#include "value.h"

#define FAULTS_MAX 200000u /* in one phase; then it goes on with the next */

static int buf_init(struct maa *m, struct maa_buf *b, uint32_t kind)
{
	b->data = b->p = maa_alloc(m, MA_BLOCK_PAYLOAD + 4096);
	b->kind = kind;
	return b->data ? 0 : -12;
}

/* 16 MB of work list, half of it for what must not wait (see maa_push_slow); of the rest, what is not touched
 * costs nothing. */
static int memory_init(struct maa *m)
{
	uint64_t bytes = m->args->scratch_bytes;
	m->bump_end = (uint8_t *)m->args->scratch + bytes;
	m->whard = bytes / 64;
	/* Each reference takes a word of the memory. */
	for (uint64_t i = 0; i < m->args->maps_count; i++) {
		const struct maa_map *x = (const struct maa_map *)m->args->maps + i;
		m->visits_max += (x->end - x->start) / 8;
	}
	m->wcap = 1u << 19;
	if (m->wcap > m->whard / 2)
		m->wcap = m->whard / 2;
	m->work = maa_alloc(m, (m->whard + WORK_BEFORE) * 8);
	m->top = maa_alloc(m, sizeof(*m->top) << 17);
	if (!m->work || !m->top)
		return -12;
	m->work += WORK_BEFORE;
	m->window_first = ~0ull >> 1; /* none yet */
	m->virtual_bytes = m->whard * 8 + (sizeof(*m->top) << 17);
	if (buf_init(m, &m->ob, MA_BLOCK_OBJECTS) || buf_init(m, &m->tb, MA_BLOCK_TYPES) ||
	    buf_init(m, &m->nb, MA_BLOCK_NAMES) || buf_init(m, &m->th, MA_BLOCK_THREADS) ||
	    buf_init(m, &m->ar, MA_BLOCK_ARENAS) || buf_init(m, &m->rw, MA_BLOCK_RAW) ||
	    buf_init(m, &m->co, MA_BLOCK_CONTENTS))
		return -12;
	m->ob_limit = m->ob.data + MA_BLOCK_PAYLOAD - MAA_ROOM;
	/* the first unit stays empty: the entries of where nothing is */
	m->units = (uint8_t *)(((uint64_t)(uintptr_t)m->bump + UNIT_BYTES - 1) & ~(UNIT_BYTES - 1));
	m->bump = m->units + UNIT_BYTES;
	return m->bump < m->bump_end ? 0 : -12;
}

static int layout_ok(const struct maa_args *args)
{
	const struct ma_layout *L = &args->layout;
	return args->abi == MA_WIRE_VERSION && L->minor >= 8 && L->minor <= 15 && !L->free_threaded &&
	       L->object_type == OB_TYPE && L->varobject_size == OB_SIZE && L->sizeof_gc_head == GC_HEAD &&
	       args->known[MA_KT_TYPE] && args->known[MA_KT_OBJECT] && args->known[MA_KT_UNICODE] &&
	       L->pool_bytes >= 4096 && !(L->pool_bytes & (L->pool_bytes - 1)) && L->pool_bytes <= 16384 &&
	       L->arena_bytes >= L->pool_bytes;
}

/* The parts of the start that read the target's memory. */
static void init_reads(struct maa *m)
{
	const struct ma_layout *L = m->L;
	m->error = maa_arenas_find(m);
	if (!m->error)
		m->error = maa_mem_init(m);
	if (!m->error)
		m->error = maa_names_init(m);
	if (!m->error)
		m->error = maa_values_init(m);
	if (!m->error)
		m->error = maa_native_init(m);
	if (!m->error)
		m->error = maa_types_init(m);
	if (L->runtime_gc_collecting >= 0)
		m->collecting = rdu32(m->args->runtime + (uint64_t)L->runtime_gc_collecting) != 0;
	addr_t in = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
	for (unsigned i = 0; i < 1024 && in && maa_readable(m, in); i++) {
		if (L->interp_gc_collecting >= 0)
			m->collecting |= rdu32(in + (uint64_t)L->interp_gc_collecting) != 0;
		if (L->interp_interned >= 0 && m->interned_count < 64)
			m->interned_dicts[m->interned_count++] = rd64(in + (uint64_t)L->interp_interned);
		maa_hooks_find(m, in);
		in = rd64(in + (uint64_t)L->interp_next);
	}
	m->stat[MA_STAT_COLLECTING] = m->collecting;
}

static void stats_write(struct maa *m)
{
	struct maa_buf *b = &m->ar;
	b->kind = MA_BLOCK_STATS;
	/* the bump counts what was set aside, and of that what was never touched costs nothing */
	uint64_t used = (uint64_t)(m->bump - (uint8_t *)m->args->scratch) - m->virtual_bytes;
	used += m->types_count * sizeof(struct maa_type) + m->slots_count * sizeof(struct maa_slot) +
		(m->wpeak + m->wcap) * 8;
	m->stat[MA_STAT_SCRATCH_PEAK] = used;
	uint8_t *p = b->p;
	for (unsigned i = MA_STAT_OBJECTS; i < sizeof(m->stat) / sizeof(m->stat[0]); i++) {
		if (i > MA_STAT_SKIPPED && !m->stat[i])
			continue;
		p = put(p, i);
		p = put(p, m->stat[i]);
		b->records++;
	}
	b->p = p;
	maa_flush(m, b);
}

static void phase_run(struct maa *m)
{
	switch (m->phase) {
	case PH_THREADS:
		maa_threads(m);
		break;
	case PH_ROOTS:
		maa_roots(m);
		break;
	case PH_GC:
		maa_gc_lists(m);
		break;
	case PH_SWEEP:
		maa_sweep(m);
		break;
	case PH_LIBDATA:
		maa_libdata(m);
		break;
	case PH_SITES:
		maa_sites(m);
		break;
	default:
		break;
	}
}

static void phases(struct maa *m)
{
	uint64_t *recover = &m->args->recover_pc;
	uint32_t end = m->args->flags & MAA_FLAG_THREADS_ONLY ? PH_ROOTS : PH_ARENAS;
	for (m->phase = PH_THREADS; m->phase < end; m->phase++) {
		m->ph_i = m->ph_j = m->ph_k = m->ph_p = m->ph_turtle = 0;
		for (unsigned faults = 0; faults < FAULTS_MAX && maa_guard(recover, phase_run, m); faults++)
			maa_fault(m);
	}
	maa_flush(m, &m->th);
	maa_flush(m, &m->ob);
	maa_flush(m, &m->rw);
	maa_flush(m, &m->co);
	if (!(m->args->flags & MAA_FLAG_THREADS_ONLY))
		maa_arenas_write(m);
	stats_write(m);
}

__attribute__((used)) void maa_main(struct maa_args *args)
{
	struct ma_ring *ring = (struct ma_ring *)args->ring;
	args->exit_pc = (uint64_t)(uintptr_t)maa_trap;
	args->recover_pc = 0;
	struct maa *m = (struct maa *)args->scratch;
	if (!layout_ok(args) || args->scratch_bytes < 64u << 20) {
		maa_ring_done(ring, 2, -22);
		return;
	}
	m->args = args;
	m->ring = ring;
	m->L = &args->layout;
	m->minor = args->layout.minor;
	m->no_calls = args->flags & MAA_FLAG_NO_CALLS;
	m->ref_tags = m->minor >= 14 ? 3 : 0;
	m->block_round = 15;
	m->refcnt_mask = m->minor >= 12 ? 0xffffffffu : ~0ull;
	m->refcnt_high = m->minor >= 14 ? 0xfff0ffffu : ~0u;
	m->frame_cleared = m->minor >= 15 ? 5 : 4;
	m->bump = (uint8_t *)args->scratch + ((sizeof(*m) + 4095) & ~4095ull);
	m->error = memory_init(m);
	m->ph_limit = 1ull << 36;
	if (!m->error)
		for (unsigned faults = 0; faults < FAULTS_MAX && maa_guard(&args->recover_pc, maa_mem_images, m);)
			faults++;
	if (!m->error && maa_guard(&args->recover_pc, init_reads, m))
		m->error = -14;
	if (m->error) {
		maa_ring_done(ring, 2, m->error);
		return;
	}
	phases(m);
	maa_ring_done(ring, 1, 0);
}
