// SPDX-License-Identifier: Apache-2.0
/* mem.h - the memory of a tracee, by process_vm_readv and process_vm_writev only: /proc/PID/mem is
 * refused to a tracer with CAP_SYS_PTRACE alone. Only the twin is ever written to. */
#ifndef MA_MEM_H
#define MA_MEM_H

#include <memattach/error.h>
#include <memattach/types.h>

/* Bytes read into buf, 0 when nothing at addr is readable. May be short at the first unreadable page. */
size_t ma_mem_read_some(pid_t pid, ma_raddr addr, void *buf, size_t bytes);
/* All `bytes` or an error that names the address. */
MA_CHECK struct ma_error *ma_mem_read(pid_t pid, ma_raddr addr, void *buf, size_t bytes);
MA_CHECK struct ma_error *ma_mem_read_u64(pid_t pid, ma_raddr addr, uint64_t *ret);
MA_CHECK struct ma_error *ma_mem_read_u32(pid_t pid, ma_raddr addr, uint32_t *ret);
/* To the twin, into pages that are writable there. */
MA_CHECK struct ma_error *ma_mem_write(pid_t twin, ma_raddr addr, const void *buf, size_t bytes);

#endif
