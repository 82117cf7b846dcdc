// SPDX-License-Identifier: Apache-2.0
/* interps.c - what a static type has in interpreters other than the main one (3.12+: each has a dict and a list of
 * subclasses for every static built-in type, typeobject.c, static_builtin_state). */
#include "visit.h"

void maa_visit_static_type(struct maa *m, struct maa_w *w, addr_t t)
{
	const struct ma_layout *L = m->L;
	if (m->minor < 12 || !(rd64(t + (uint64_t)L->type_flags) & TPF_STATIC_BUILTIN))
		return;
	uint64_t i = rd64(t + (uint64_t)L->type_subclasses) - 1;
	uint64_t size = (uint64_t)EITHER(m, sizeof_static_state, sizeof_static_state_312);
	int32_t type_at = EITHER(m, static_state_type, static_state_type_312);
	int32_t dict_at = EITHER(m, static_state_dict, static_state_dict_312);
	int32_t subclasses_at = EITHER(m, static_state_subclasses, static_state_subclasses_312);
	const int32_t arrays[] = { EITHER(m, interp_types_builtins, interp_types_builtins_312),
				   L->interp_types_extensions };
	addr_t in = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
	/* the main interpreter is the last: maa_type_dict() has its part */
	for (unsigned n = 0; n < 1024 && i <= 4096 && in && maa_readable(m, in); n++) {
		addr_t next = rd64(in + (uint64_t)L->interp_next);
		for (unsigned k = 0; k < 2 && next; k++) {
			addr_t s = in + (uint64_t)arrays[k] + i * size;
			if (arrays[k] < 0 || !maa_readable(m, s) || rd64(s + (uint64_t)type_at) != t)
				continue;
			maa_edge_tagged(m, w, rd64(s + (uint64_t)dict_at), N_DICT, TAG_ATTR);
			maa_edge_named(m, w, rd64(s + (uint64_t)subclasses_at), N_SUBCLASSES);
			break;
		}
		in = next;
	}
}
