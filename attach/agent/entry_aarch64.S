// SPDX-License-Identifier: Apache-2.0
/* The agent's first instruction, its last, and the way back from a fault (aarch64). */
	.section .text.entry, "ax"
	.globl maa_entry
	.type maa_entry, %function
/* x0 = arguments, sp = end of the stack, 16-byte aligned */
maa_entry:
	mov x29, xzr
	mov x30, xzr
	bl maa_main
	.globl maa_trap
	.hidden maa_trap
	.type maa_trap, %function
maa_trap:
	brk #0
	b maa_trap

/* int maa_guard(uint64_t *recover, void (*fn)(struct maa *), struct maa *m) */
	.globl maa_guard
	.hidden maa_guard
	.type maa_guard, %function
maa_guard:
	stp x29, x30, [sp, #-112]!
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	str x0, [sp, #96]
	adr x9, 1f
	mov x10, sp
	stp x9, x10, [x0]
	mov x9, x1
	mov x0, x2
	blr x9
	mov w0, #0
	b 2f
1:	mov w0, #1
2:	ldr x9, [sp, #96]
	str xzr, [x9]
	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp x29, x30, [sp], #112
	ret
	.section .note.GNU-stack, "", %progbits
