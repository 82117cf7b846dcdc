// SPDX-License-Identifier: Apache-2.0
/* The agent's first instruction, its last, and the way back from a fault (x86-64). */
	.section .text.entry, "ax"
	.globl maa_entry
	.type maa_entry, @function
/* rdi = arguments, rsp = end of the stack, 16-byte aligned */
maa_entry:
	cld
	xorl %ebp, %ebp
	call maa_main
	.globl maa_trap
	.hidden maa_trap
	.type maa_trap, @function
maa_trap:
	int3
	ud2

/* int maa_guard(uint64_t *recover, void (*fn)(struct maa *), struct maa *m) */
	.globl maa_guard
	.hidden maa_guard
	.type maa_guard, @function
maa_guard:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi /* rsp is now 16-byte aligned, as calls need it */
	leaq 1f(%rip), %rax
	movq %rax, (%rdi)
	movq %rsp, 8(%rdi)
	movq %rdx, %rdi
	call *%rsi
	xorl %eax, %eax
	jmp 2f
1:	movl $1, %eax
	cld
2:	popq %rdi
	movq $0, (%rdi)
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.section .note.GNU-stack, "", @progbits
