// SPDX-License-Identifier: Apache-2.0
/* frames.c - what frames and generators hold. Each reference is written once: by the generator or the
 * frame object that the frame is part of, else by the record of the thread. */
#include "visit.h"

#define OWNED_BY_FRAME_OBJECT 2 /* enum _frameowner, 3.11 to 3.15 */

/* The object of a slot of a frame, 0 if none. 3.14+ tags it (union _PyStackRef, pycore_stackref.h): 1 says that the
 * reference is not counted, of an immortal object or of one that something else keeps; 1 alone is NULL, 3 marks an
 * integer, 2 (3.15) no object. */
static addr_t ref_object(struct maa *m, addr_t ref)
{
	return (ref & 2 & m->ref_tags) ? 0 : ref & ~(addr_t)m->ref_tags;
}

static void edge_ref(struct maa *m, struct maa_w *w, addr_t ref, uint32_t name)
{
	addr_t dst = ref_object(m, ref);
	if (ref & 1 & m->ref_tags)
		maa_edge_borrowed(m, w, dst, name, 0);
	else
		maa_edge_named(m, w, dst, name);
}

addr_t maa_iframe_code(struct maa *m, addr_t f)
{
	addr_t code = ref_object(m, rd64(f + (uint64_t)EITHER(m, iframe_code, iframe_code_312)));
	if (!code || (code & 7) || !maa_readable(m, code) || rd64(code + OB_TYPE) != m->args->known[MA_KT_CODE])
		return 0;
	return code;
}

static addr_t tuple_at(struct maa *m, addr_t tuple, uint64_t i)
{
	if (!tuple || (tuple & 7) || !maa_readable(m, tuple) || i >= rd64(tuple + OB_SIZE))
		return 0;
	return rd64(tuple + (uint64_t)m->L->tuple_item + 8 * i);
}

/* Is there room for one more edge? A thread's record can not be continued in the next block. */
MAA_INLINE int room(struct maa *m, struct maa_w *w)
{
	return w->p <= w->limit || w->limit == m->ob.data + MA_BLOCK_PAYLOAD - MAA_ROOM;
}

void maa_visit_iframe(struct maa *m, struct maa_w *w, addr_t f)
{
	const struct ma_layout *L = m->L;
	addr_t code = maa_iframe_code(m, f);
	if (!code)
		return;
	edge_ref(m, w, rd64(f + (uint64_t)EITHER(m, iframe_func, iframe_func_311)), N_F_FUNC);
	edge_ref(m, w, rd64(f + (uint64_t)EITHER(m, iframe_code, iframe_code_312)), N_F_CODE);
	maa_edge_tagged(m, w, rd64(f + (uint64_t)L->iframe_locals), N_F_LOCALS, TAG_ATTR);
	maa_edge_named(m, w, rd64(f + (uint64_t)L->iframe_object), N_F_FRAME);
	maa_edge_borrowed(m, w, rd64(f + (uint64_t)L->iframe_globals), N_F_GLOBALS, TAG_ATTR);
	maa_edge_borrowed(m, w, rd64(f + (uint64_t)L->iframe_builtins), N_F_BUILTINS, TAG_ATTR);
	int64_t locals = rd32(code + (uint64_t)L->code_nlocalsplus), stack = rd32(code + (uint64_t)L->code_stacksize);
	addr_t at = f + (uint64_t)L->iframe_localsplus, sp = FIELD(m, f, iframe_stackpointer);
	int64_t top = L->iframe_stacktop >= 0 ? rd32(f + (uint64_t)L->iframe_stacktop)
		      : sp >= at              ? (int64_t)(sp - at) / 8
					      : -1;
	if (locals < 0 || locals > 1 << 20 || stack < 0 || stack > 1 << 20)
		return;
	/* While a frame runs, its top of stack is in a register and stacktop is -1 (3.14+: stackpointer is NULL unless
	 * it has called something that could look at the frame); its locals are there all the same. A frame that is
	 * being set up has fewer than all locals. */
	int64_t n = top < 0 ? locals : top > locals + stack ? locals + stack : top;
	addr_t names = rd64(code + (uint64_t)L->code_localsplusnames);
	for (int64_t i = 0; i < n && room(m, w); i++) {
		addr_t v = rd64(at + 8 * (uint64_t)i);
		if (i < locals)
			edge_ref(m, w, v, maa_name(m, tuple_at(m, names, (uint64_t)i)));
		else
			edge_ref(m, w, v, 0);
	}
}

static void visit_frame_old(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	addr_t code = rd64(a + (uint64_t)L->frame_code);
	maa_edge_named(m, w, rd64(a + (uint64_t)L->frame_back), N_F_BACK);
	maa_edge_named(m, w, code, N_F_CODE);
	maa_edge_tagged(m, w, rd64(a + (uint64_t)L->frame_builtins), N_F_BUILTINS, TAG_ATTR);
	maa_edge_tagged(m, w, rd64(a + (uint64_t)L->frame_globals), N_F_GLOBALS, TAG_ATTR);
	maa_edge_tagged(m, w, rd64(a + (uint64_t)L->frame_locals), N_F_LOCALS, TAG_ATTR);
	maa_edge_named(m, w, rd64(a + (uint64_t)L->frame_trace), N_F_TRACE);
	if (!code || (code & 7) || !maa_readable(m, code))
		return;
	addr_t vars = rd64(code + (uint64_t)L->code_varnames), cells = rd64(code + (uint64_t)L->code_cellvars),
	       frees = rd64(code + (uint64_t)L->code_freevars), at = a + (uint64_t)L->frame_localsplus;
	int64_t nlocals = rd32(code + (uint64_t)L->code_nlocals), stack = rd32(code + (uint64_t)L->code_stacksize);
	int64_t ncells = maa_readable(m, cells) ? (int64_t)rd64(cells + OB_SIZE) : 0;
	int64_t nfrees = maa_readable(m, frees) ? (int64_t)rd64(frees + OB_SIZE) : 0;
	int64_t all = nlocals + ncells + nfrees;
	if (nlocals < 0 || ncells < 0 || nfrees < 0 || all > 1 << 20 || stack < 0)
		return;
	for (int64_t i = 0; i < all; i++) {
		addr_t name = i < nlocals            ? tuple_at(m, vars, (uint64_t)i)
			      : i < nlocals + ncells ? tuple_at(m, cells, (uint64_t)(i - nlocals))
						     : tuple_at(m, frees, (uint64_t)(i - nlocals - ncells));
		maa_edge_named(m, w, rd64(at + 8 * (uint64_t)i), maa_name(m, name));
	}
	addr_t base = rd64(a + (uint64_t)L->frame_valuestack);
	int64_t depth = 0;
	if (L->frame_stackdepth >= 0) {
		depth = rd32(a + (uint64_t)L->frame_stackdepth); /* -1 while it runs */
	} else {
		addr_t top = rd64(a + (uint64_t)L->frame_stacktop); /* NULL while it runs */
		depth = top ? (int64_t)(top - base) / 8 : 0;
	}
	for (int64_t i = 0; i < depth && i < stack; i++)
		maa_edge_plain(m, w, rd64(base + 8 * (uint64_t)i));
}

void maa_visit_frame(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	if (m->minor < 11) {
		visit_frame_old(m, w, a);
		return;
	}
	maa_edge_named(m, w, rd64(a + (uint64_t)L->frame_back), N_F_BACK);
	maa_edge_named(m, w, rd64(a + (uint64_t)L->frame_trace), N_F_TRACE);
	if (L->frame_extra_locals >= 0) {
		maa_edge_plain(m, w, rd64(a + (uint64_t)L->frame_extra_locals));
		maa_edge_plain(m, w, rd64(a + (uint64_t)L->frame_locals_cache));
	}
	addr_t f = rd64(a + (uint64_t)L->frame_iframe);
	if (f == a + (uint64_t)L->frame_own_data && rd8(f + (uint64_t)L->iframe_owner) == OWNED_BY_FRAME_OBJECT)
		maa_visit_iframe(m, w, f);
}

void maa_visit_gen(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_name), N_NAME);
	maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_qualname), N_QUALNAME);
	maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_exc_value), N_GI_EXC);
	if (L->gen_code >= 0)
		maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_code), N_GI_CODE);
	addr_t t = m->cur_type->addr;
	if (m->minor < 11) {
		maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_frame), N_GI_FRAME);
		maa_edge_plain(m, w, rd64(a + (uint64_t)L->gen_exc_type));
		maa_edge_plain(m, w, rd64(a + (uint64_t)L->gen_exc_traceback));
		if (t == m->args->known[MA_KT_CORO])
			maa_edge_named(m, w, rd64(a + (uint64_t)L->coro_origin), N_CR_ORIGIN);
		else if (t == m->args->known[MA_KT_ASYNC_GEN])
			maa_edge_plain(m, w, rd64(a + (uint64_t)L->asyncgen_finalizer));
		return;
	}
	if (t != m->args->known[MA_KT_GEN]) /* a generator leaves it as it was allocated */
		maa_edge_named(m, w, rd64(a + (uint64_t)L->gen_origin), N_CR_ORIGIN);
	if (RD(int8_t, a + (uint64_t)L->gen_frame_state) < m->frame_cleared)
		maa_visit_iframe(m, w, a + (uint64_t)L->gen_iframe);
	else if (m->minor >= 12) /* genobject.c, gen_dealloc: the code is kept until then */
		edge_ref(m, w, rd64(a + (uint64_t)L->gen_iframe + (uint64_t)EITHER(m, iframe_code, iframe_code_312)),
			 N_F_CODE);
}
