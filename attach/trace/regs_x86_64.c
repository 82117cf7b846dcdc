// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include "regs.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

const unsigned char ma_gadget_bytes[] = { 0x0f, 0x05 }; /* syscall */
const unsigned ma_gadget_len = 2, ma_gadget_align = 1;

#define X86_64_CS 0x33u     /* __USER_CS of a 64-bit task */
#define EFLAGS_CLEAN 0x202u /* interrupts on and the always-one bit: no DF, TF, AC */

struct ma_error *ma_regs_get(pid_t tid, struct ma_regs *ret)
{
	struct ma_regs regs;
	struct iovec v = { &regs.r, sizeof(regs.r) };
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v))
		return ma_error_os(errno, "cannot read the registers of thread %d", tid);
	if (v.iov_len != sizeof(regs.r) || regs.r.cs != X86_64_CS)
		return ma_errorf(MA_ERR_UNSUPPORTED, "thread %d runs 32-bit code, which is not supported", tid);
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
	(void)tid;
	*ret = regs->r.fs_base;
	return NULL;
}

uint64_t ma_regs_pc(const struct ma_regs *regs)
{
	return regs->r.rip;
}

uint64_t ma_regs_sp(const struct ma_regs *regs)
{
	return regs->r.rsp;
}

void ma_regs_set_pc(struct ma_regs *regs, uint64_t pc)
{
	regs->r.rip = pc;
}

void ma_regs_prepare(struct ma_regs *regs, ma_raddr gadget, const struct ma_syscall *call)
{
	regs->r.orig_rax = (unsigned long long)-1; /* no restart of the call that was broken off */
	regs->r.rip = gadget;
	regs->r.rax = (unsigned long long)call->nr;
	regs->r.rdi = call->args[0];
	regs->r.rsi = call->args[1];
	regs->r.rdx = call->args[2];
	regs->r.r10 = call->args[3];
	regs->r.r8 = call->args[4];
	regs->r.r9 = call->args[5];
}

void ma_regs_no_return(struct ma_regs *regs)
{
	regs->r.rsp = regs->r.rbp = MA_NO_STACK;
}

long ma_regs_result(const struct ma_regs *regs)
{
	return (long)regs->r.rax;
}

void ma_regs_set_result(struct ma_regs *regs, long value)
{
	regs->r.rax = (unsigned long long)value;
}

long ma_regs_syscall(const struct ma_regs *regs, uint64_t args[6])
{
	args[0] = regs->r.rdi;
	args[1] = regs->r.rsi;
	args[2] = regs->r.rdx;
	args[3] = regs->r.r10;
	args[4] = regs->r.r8;
	args[5] = regs->r.r9;
	return (long)regs->r.orig_rax;
}

struct ma_error *ma_regs_skip(pid_t tid, struct ma_regs *regs)
{
	regs->r.orig_rax = (unsigned long long)-1;
	return ma_regs_set(tid, regs);
}

bool ma_regs_restarts(const struct ma_regs *regs)
{
	/* ERESTARTSYS 512, ERESTARTNOINTR 513, ERESTARTNOHAND 514, ERESTART_RESTARTBLOCK 516 (linux/errno.h) */
	long rax = (long)regs->r.rax;
	return (long)regs->r.orig_rax >= 0 && rax <= -512 && rax >= -516 && rax != -515;
}

void ma_regs_rewind(struct ma_regs *regs)
{
	regs->r.rax = regs->r.orig_rax;
	regs->r.rip -= ma_gadget_len;
	regs->r.orig_rax = (unsigned long long)-1;
}

void ma_regs_set_arg(struct ma_regs *regs, unsigned index, uint64_t value)
{
	unsigned long long *const arg[] = { &regs->r.rdi, &regs->r.rsi, &regs->r.rdx,
					    &regs->r.r10, &regs->r.r8,  &regs->r.r9 };
	if (index < 6)
		*arg[index] = value;
}

void ma_regs_call(struct ma_regs *regs, uint64_t pc, uint64_t sp, uint64_t arg0)
{
	regs->r.orig_rax = (unsigned long long)-1;
	regs->r.rip = pc;
	regs->r.rsp = sp;
	regs->r.rdi = arg0;
	regs->r.rax = 0;
	regs->r.rbp = 0;
	regs->r.eflags = EFLAGS_CLEAN;
}

unsigned ma_regs_dwarf(const struct ma_regs *regs, uint64_t r[MA_REGS_DWARF])
{
	/* System V ABI for x86-64, figure 3.36: DWARF register numbers */
	const uint64_t v[] = { regs->r.rax, regs->r.rdx, regs->r.rcx, regs->r.rbx, regs->r.rsi, regs->r.rdi,
			       regs->r.rbp, regs->r.rsp, regs->r.r8,  regs->r.r9,  regs->r.r10, regs->r.r11,
			       regs->r.r12, regs->r.r13, regs->r.r14, regs->r.r15, regs->r.rip };
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		r[i] = v[i];
	return sizeof(v) / sizeof(v[0]);
}

struct ma_error *ma_fpregs_get(pid_t tid, struct ma_fpregs *ret)
{
	struct iovec v = { ret->data, sizeof(ret->data) };
	ret->bytes = 0;
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &v))
		return ma_error_os(errno, "cannot read the vector registers of thread %d", tid);
	ret->bytes = (uint32_t)v.iov_len;
	return NULL;
}

struct ma_error *ma_fpregs_set(pid_t twin, const struct ma_fpregs *fp)
{
	struct iovec v = { (void *)(uintptr_t)fp->data, fp->bytes };
	if (fp->bytes && ptrace(PTRACE_SETREGSET, twin, NT_X86_XSTATE, &v))
		return ma_error_os(errno, "cannot set the vector registers of the twin");
	return NULL;
}
#endif
