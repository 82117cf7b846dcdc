// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "python_internal.h"

#include <errno.h>
#include <sys/uio.h>

static ssize_t read_once(pid_t pid, ma_raddr addr, void *buf, size_t bytes)
{
	struct iovec here = { buf, bytes };
	struct iovec there = { (void *)(uintptr_t)addr, bytes }; /* an address of the target: never followed here */
	return process_vm_readv(pid, &here, 1, &there, 1, 0);
}

struct ma_error *ma_peek(pid_t pid, ma_raddr addr, void *buf, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read_once(pid, addr + done, (char *)buf + done, bytes - done);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		int e = n < 0 ? errno : EFAULT;
		if (e == EPERM || e == EACCES)
			return ma_errorf(MA_ERR_PERMISSION, "not permitted to read the memory of pid %d", pid);
		if (e == ESRCH)
			return ma_errorf(MA_ERR_TARGET_GONE, "pid %d is gone", pid);
		if (e == EFAULT)
			return ma_errorf(MA_ERR_BAD_DATA, "no memory at %#lx in pid %d", addr + done, pid);
		return ma_error_os(e, "read %zu bytes at %#lx of pid %d", bytes, addr, pid);
	}
	return NULL;
}

struct ma_error *ma_peek_u64(pid_t pid, ma_raddr addr, uint64_t *ret)
{
	uint64_t v;
	MA_TRY(ma_peek(pid, addr, &v, sizeof(v)));
	*ret = v;
	return NULL;
}

size_t ma_peek_some(pid_t pid, ma_raddr addr, void *buf, size_t bytes)
{
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = read_once(pid, addr + done, (char *)buf + done, bytes - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}
