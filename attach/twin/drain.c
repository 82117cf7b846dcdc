// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include "cleanup.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

struct ma_error *ma_drain_open(int fd, struct ma_drain *ret)
{
	struct stat st;
	if (fstat(fd, &st))
		return ma_error_os(errno, "cannot look at the ring");
	if (st.st_size != (off_t)MA_RING_BYTES)
		return ma_errorf(MA_ERR_BAD_DATA, "the ring has %lld bytes instead of %u", (long long)st.st_size,
				 MA_RING_BYTES);
	void *p = mmap(NULL, MA_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return ma_error_os(errno, "cannot map the ring");
	ret->ring = p;
	ret->tail = 0;
	return NULL;
}

void ma_drain_close(struct ma_drain *d)
{
	if (d->ring)
		munmap(d->ring, MA_RING_BYTES);
	d->ring = NULL;
}

static struct ma_error *take(struct ma_drain *d, struct ma_sink *sink)
{
	const unsigned char *slot =
		(const unsigned char *)d->ring + MA_RING_CONTROL + (size_t)(d->tail % MA_RING_SLOTS) * MA_SLOT_BYTES;
	struct ma_block_hdr hdr;
	memcpy(&hdr, slot, sizeof(hdr));
	bool agents = hdr.kind == MA_BLOCK_TYPES || hdr.kind == MA_BLOCK_NAMES || hdr.kind == MA_BLOCK_OBJECTS ||
		      hdr.kind == MA_BLOCK_THREADS || hdr.kind == MA_BLOCK_ARENAS || hdr.kind == MA_BLOCK_STATS ||
		      hdr.kind == MA_BLOCK_RAW || hdr.kind == MA_BLOCK_MALLOC || hdr.kind == MA_BLOCK_VALUES ||
		      hdr.kind == MA_BLOCK_SITES || hdr.kind == MA_BLOCK_TRACES || hdr.kind == MA_BLOCK_CONTENTS;
	if (!agents || hdr.bytes > MA_BLOCK_PAYLOAD)
		return ma_errorf(MA_ERR_BAD_DATA, "block %u of the walk is damaged: kind %u, %u bytes", d->tail,
				 hdr.kind, hdr.bytes);
	return sink->block(sink->arg, &hdr, slot + sizeof(hdr));
}

struct ma_error *ma_drain_step(struct ma_drain *d, int timeout_ms, struct ma_sink *sink, unsigned *moved_ret)
{
	unsigned moved = 0;
	uint32_t head = __atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE);
	if (head == d->tail && timeout_ms > 0) {
		struct timespec t = { timeout_ms / 1000, (timeout_ms % 1000) * 1000000L };
		syscall(SYS_futex, &d->ring->head, FUTEX_WAIT, head, &t, NULL, 0);
		head = __atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE);
	}
	if (head - d->tail > MA_RING_SLOTS)
		return ma_errorf(MA_ERR_BAD_DATA, "the ring's head is %u slots before its tail", head - d->tail);
	while (d->tail != head) {
		MA_TRY(take(d, sink));
		d->tail++;
		moved++;
		__atomic_store_n(&d->ring->tail, d->tail, __ATOMIC_RELEASE);
		syscall(SYS_futex, &d->ring->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	*moved_ret = moved;
	return NULL;
}

struct ma_error *ma_drain_finished(const struct ma_drain *d, bool *ret)
{
	uint32_t done = __atomic_load_n(&d->ring->done, __ATOMIC_ACQUIRE);
	*ret = done != 0 && __atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE) == d->tail;
	if (*ret && done != 1 && d->ring->err == -EFAULT)
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "its interpreter is not whole: it starts or ends at this moment; try again");
	if (*ret && done != 1)
		return ma_error_os(-d->ring->err > 0 && -d->ring->err < 4096 ? -d->ring->err : EIO, "the walk gave up");
	return NULL;
}
