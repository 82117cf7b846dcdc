// SPDX-License-Identifier: Apache-2.0
/* hooks.c - the debug hooks of Python's allocators (Objects/obmalloc.c, _PyMem_DebugRawAlloc): on in debug builds, and
 * with PYTHONMALLOC=debug or -X dev. Each block then begins with its size (8 bytes, big endian), the letter of its
 * domain ('o' for objects) and seven bytes 0xfd, and ends in eight more. The same in 3.8 to 3.15; a serial number
 * behind that only if built so (PYMEM_DEBUG_SERIALNO). */
#include "maa.h"

#define FORBIDDEN_7 0xfdfdfdfdfdfdfd00ull

/* Is there such a block at b? Its bytes between head and tail, 0 if not. */
uint64_t maa_hooks_block(addr_t b)
{
	uint64_t bytes = __builtin_bswap64(rd64(b)), sign = rd64(b + 8);
	return (sign & 0xff) == 'o' && (sign & ~0xffull) == FORBIDDEN_7 && bytes < 1ull << 40 ? bytes : 0;
}

/* Are they on? The dict of the module sys is an object from the heap, made at the start, that never moves. */
void maa_hooks_find(struct maa *m, addr_t interp)
{
	addr_t dict = rd64(interp + (uint64_t)m->L->interp_sysdict), b = dict - GC_HEAD - MAA_HOOK_HEAD;
	if (!dict || (dict & 7) || !maa_readable(m, dict) || !maa_readable(m, b))
		return;
	uint64_t bytes = maa_hooks_block(b);
	if (bytes < GC_HEAD + 16 || bytes > 512)
		return;
	m->hook_head = MAA_HOOK_HEAD;
	m->block_round = 15 + MAA_HOOK_HEAD + 8;
}
