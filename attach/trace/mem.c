// SPDX-License-Identifier: Apache-2.0
#include "mem.h"

#include "cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/uio.h>

#define STEP (1u << 30) /* one call moves at most MAX_RW_COUNT bytes */

size_t ma_mem_read_some(pid_t pid, ma_raddr addr, void *buf, size_t bytes)
{
	size_t done = 0;
	while (done < bytes) {
		size_t want = bytes - done < STEP ? bytes - done : STEP;
		struct iovec local = { (char *)buf + done, want };
		struct iovec remote = { (void *)(uintptr_t)(addr + done), want };
		ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

struct ma_error *ma_mem_read(pid_t pid, ma_raddr addr, void *buf, size_t bytes)
{
	errno = EFAULT; /* a short read sets none */
	size_t n = ma_mem_read_some(pid, addr, buf, bytes);
	if (n == bytes)
		return NULL;
	if (errno == ESRCH)
		return ma_errorf(MA_ERR_TARGET_GONE, "the process is gone");
	return ma_error_os(errno, "cannot read %zu bytes at 0x%" PRIx64, bytes, addr + n);
}

struct ma_error *ma_mem_read_u64(pid_t pid, ma_raddr addr, uint64_t *ret)
{
	uint64_t v;
	MA_TRY(ma_mem_read(pid, addr, &v, sizeof(v)));
	*ret = v;
	return NULL;
}

struct ma_error *ma_mem_read_u32(pid_t pid, ma_raddr addr, uint32_t *ret)
{
	uint32_t v;
	MA_TRY(ma_mem_read(pid, addr, &v, sizeof(v)));
	*ret = v;
	return NULL;
}

struct ma_error *ma_mem_write(pid_t twin, ma_raddr addr, const void *buf, size_t bytes)
{
	size_t done = 0;
	while (done < bytes) {
		size_t want = bytes - done < STEP ? bytes - done : STEP;
		struct iovec local = { (char *)(uintptr_t)buf + done, want };
		struct iovec remote = { (void *)(uintptr_t)(addr + done), want };
		ssize_t n = process_vm_writev(twin, &local, 1, &remote, 1, 0);
		if (n <= 0)
			return ma_error_os(n ? errno : EFAULT, "cannot write %zu bytes at 0x%" PRIx64, want,
					   addr + done);
		done += (size_t)n;
	}
	return NULL;
}
