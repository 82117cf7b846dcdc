// SPDX-License-Identifier: Apache-2.0
/* ring.c - blocks into the ring. The tool may write anything into the ring's memory at any time: what is
 * checked is copied first, and nothing read from it is used as an address or a length. */
#include "maa.h"
#include "sys.h"
#include "value.h"

void *memcpy(void *dst, const void *src, size_t n)
{
#if defined(__x86_64__)
	void *ret = dst;
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
	return ret;
#else
	uint8_t *d = dst;
	const uint8_t *s = src;
	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(volatile uint64_t *)d = *(const volatile uint64_t *)s;
	while (n--)
		*(volatile uint8_t *)d++ = *s++;
	return dst;
#endif
}

void *memset(void *dst, int c, size_t n)
{
	volatile uint8_t *d = dst;
	while (n--)
		*d++ = (uint8_t)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

static uint64_t now_ns(void)
{
	int64_t ts[2] = { 0, 0 };
	maa_syscall4(SYS_CLOCK_GETTIME, 1, (uint64_t)(uintptr_t)ts, 0, 0);
	return (uint64_t)ts[0] * 1000000000u + (uint64_t)ts[1];
}

void maa_beat(struct maa *m)
{
	struct ma_ring *r = m->ring;
	m->beat++;
	__atomic_store_n(&r->heartbeat, m->beat, __ATOMIC_RELAXED);
	__atomic_store_n(&r->objects, m->stat[MA_STAT_OBJECTS], __ATOMIC_RELAXED);
	__atomic_store_n(&r->edges, m->stat[MA_STAT_EDGES], __ATOMIC_RELAXED);
}

/* Waits until a slot is free. The tool wakes us by futex on `tail`; the timeout covers a wake that was lost. */
static MAA_COLD void wait_slot(struct maa *m, uint32_t head)
{
	struct ma_ring *r = m->ring;
	uint64_t start = now_ns();
	for (;;) {
		uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
		if (head - tail < MA_RING_SLOTS)
			break;
		int64_t timeout[2] = { 0, 50 * 1000 * 1000 };
		maa_syscall4(SYS_FUTEX, (uint64_t)(uintptr_t)&r->tail, MAA_FUTEX_WAIT, tail,
			     (uint64_t)(uintptr_t)timeout);
		maa_beat(m);
	}
	m->stat[MA_STAT_WAIT_NS] += now_ns() - start;
}

static void publish(struct maa *m, struct maa_buf *b)
{
	if (!b->records)
		return;
	struct ma_ring *r = m->ring;
	uint32_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED); /* ours alone */
	if (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= MA_RING_SLOTS)
		wait_slot(m, head);
	uint8_t *slot = (uint8_t *)r + MA_RING_CONTROL + (uint64_t)(head % MA_RING_SLOTS) * MA_SLOT_BYTES;
	struct ma_block_hdr hdr = { b->kind, (uint32_t)(b->p - b->data), b->records, 0 };
	memcpy(slot, &hdr, sizeof(hdr));
	memcpy(slot + sizeof(hdr), b->data, hdr.bytes);
	b->p = b->data;
	b->records = 0;
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
	maa_syscall4(SYS_FUTEX, (uint64_t)(uintptr_t)&r->head, MAA_FUTEX_WAKE, 1, 0);
	maa_beat(m);
}

void maa_flush(struct maa *m, struct maa_buf *b)
{
	if (b != &m->tb)
		publish(m, &m->tb);
	if (b != &m->nb && b != &m->tb)
		publish(m, &m->nb);
	if (b != &m->ob) {
		publish(m, b);
		return;
	}
	if (b->records)
		maa_values_flush(m);
	m->stat[MA_STAT_OBJECTS] += b->records - m->conts;
	m->conts = 0;
	publish(m, b);
	m->ob_prev = 0;
}

void maa_ring_done(struct ma_ring *r, uint32_t done, int32_t err)
{
	__atomic_store_n(&r->err, err, __ATOMIC_RELAXED);
	__atomic_store_n(&r->done, done, __ATOMIC_RELEASE);
	maa_syscall4(SYS_FUTEX, (uint64_t)(uintptr_t)&r->head, MAA_FUTEX_WAKE, 1, 0);
}
