/* SPDX-License-Identifier: Apache-2.0
 * The helper as bytes; nothing in a build without one (MA_HELPER_FILE is not defined then). */
	.section .rodata
	.globl ma_helper_begin
	.globl ma_helper_end
	.balign 16
ma_helper_begin:
#ifdef MA_HELPER_FILE
	.incbin MA_HELPER_FILE
#endif
ma_helper_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
