// SPDX-License-Identifier: Apache-2.0
/* Compiled by CI's cross compiler, not yet run on a machine (docs/support-matrix.md). */
#if defined(__aarch64__)
#include "regs.h"

#include "cleanup.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

const unsigned char ma_gadget_bytes[] = { 0x01, 0x00, 0x00, 0xd4 }; /* svc #0 */
const unsigned ma_gadget_len = 4, ma_gadget_align = 4;

static struct ma_error *set_nr(pid_t tid, int nr)
{
	struct iovec v = { &nr, sizeof(nr) };
	if (ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &v))
		return ma_error_os(errno, "cannot set the system call of thread %d", tid);
	return NULL;
}

struct ma_error *ma_regs_get(pid_t tid, struct ma_regs *ret)
{
	struct ma_regs regs;
	struct iovec v = { &regs.r, sizeof(regs.r) };
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v))
		return ma_error_os(errno, "cannot read the registers of thread %d", tid);
	if (v.iov_len != sizeof(regs.r))
		return ma_errorf(MA_ERR_UNSUPPORTED, "thread %d runs 32-bit code, which is not supported", tid);
	v = (struct iovec){ &regs.nr, sizeof(regs.nr) };
	if (ptrace(PTRACE_GETREGSET, tid, NT_ARM_SYSTEM_CALL, &v))
		return ma_error_os(errno, "cannot read the system call of thread %d", tid);
	*ret = regs;
	return NULL;
}

struct ma_error *ma_regs_set(pid_t tid, const struct ma_regs *regs)
{
	struct iovec v = { (void *)(uintptr_t)&regs->r, sizeof(regs->r) };
	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &v))
		return ma_error_os(errno, "cannot set the registers of thread %d", tid);
	return NULL;
}

struct ma_error *ma_regs_tls(pid_t tid, const struct ma_regs *regs, uint64_t *ret)
{
	(void)regs;
	uint64_t tls[2] = { 0, 0 };
	struct iovec v = { tls, sizeof(tls) };
	if (ptrace(PTRACE_GETREGSET, tid, NT_ARM_TLS, &v))
		return ma_error_os(errno, "cannot read the thread pointer of thread %d", tid);
	*ret = tls[0];
	return NULL;
}

uint64_t ma_regs_pc(const struct ma_regs *regs)
{
	return regs->r.pc;
}

uint64_t ma_regs_sp(const struct ma_regs *regs)
{
	return regs->r.sp;
}

void ma_regs_set_pc(struct ma_regs *regs, uint64_t pc)
{
	regs->r.pc = pc;
}

void ma_regs_prepare(struct ma_regs *regs, ma_raddr gadget, const struct ma_syscall *call)
{
	regs->nr = -1;
	regs->r.pc = gadget;
	regs->r.regs[8] = (unsigned long long)call->nr;
	for (unsigned i = 0; i < 6; i++)
		regs->r.regs[i] = call->args[i];
}

void ma_regs_no_return(struct ma_regs *regs)
{
	regs->r.sp = regs->r.regs[29] = regs->r.regs[30] = MA_NO_STACK;
}

long ma_regs_result(const struct ma_regs *regs)
{
	return (long)regs->r.regs[0];
}

void ma_regs_set_result(struct ma_regs *regs, long value)
{
	regs->r.regs[0] = (unsigned long long)value;
}

long ma_regs_syscall(const struct ma_regs *regs, uint64_t args[6])
{
	for (unsigned i = 0; i < 6; i++)
		args[i] = regs->r.regs[i];
	return regs->nr;
}

struct ma_error *ma_regs_skip(pid_t tid, struct ma_regs *regs)
{
	regs->nr = -1;
	return set_nr(tid, -1);
}

bool ma_regs_restarts(const struct ma_regs *regs)
{
	/* At an interrupt stop the kernel has already put pc and x0 back for a restart
	 * (arch/arm64/kernel/signal.c, do_signal), so there is nothing left to see or to do. */
	(void)regs;
	return false;
}

void ma_regs_rewind(struct ma_regs *regs)
{
	regs->r.pc -= ma_gadget_len;
	regs->nr = -1;
}

void ma_regs_set_arg(struct ma_regs *regs, unsigned index, uint64_t value)
{
	if (index < 6)
		regs->r.regs[index] = value;
}

void ma_regs_call(struct ma_regs *regs, uint64_t pc, uint64_t sp, uint64_t arg0)
{
	regs->nr = -1;
	regs->r.pc = pc;
	regs->r.sp = sp;
	regs->r.regs[0] = arg0;
	regs->r.regs[29] = 0;
	regs->r.regs[30] = 0;
	regs->r.pstate &= 0xf000000fu; /* conditions and mode; no single-step, no masks */
}

unsigned ma_regs_dwarf(const struct ma_regs *regs, uint64_t r[MA_REGS_DWARF])
{
	for (unsigned i = 0; i < 31; i++)
		r[i] = regs->r.regs[i];
	r[31] = regs->r.sp;
	return 32;
}

struct ma_error *ma_fpregs_get(pid_t tid, struct ma_fpregs *ret)
{
	struct iovec v = { ret->data, sizeof(ret->data) };
	ret->bytes = 0;
	MA_TRY(ma_regs_tls(tid, NULL, &ret->tls));
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRFPREG, &v))
		return ma_error_os(errno, "cannot read the vector registers of thread %d", tid);
	ret->bytes = (uint32_t)v.iov_len;
	return NULL;
}

struct ma_error *ma_fpregs_set(pid_t twin, const struct ma_fpregs *fp)
{
	uint64_t tls = fp->tls;
	struct iovec v = { (void *)(uintptr_t)fp->data, fp->bytes }, t = { &tls, sizeof(tls) };
	if (fp->bytes &&
	    (ptrace(PTRACE_SETREGSET, twin, NT_PRFPREG, &v) || ptrace(PTRACE_SETREGSET, twin, NT_ARM_TLS, &t)))
		return ma_error_os(errno, "cannot set the vector registers of the twin");
	return NULL;
}
#endif
