// SPDX-License-Identifier: Apache-2.0
/* builtin.c - visitors of built-in types other than the containers, with the names of their slots. */
#include "visit.h"

#define AT(id) (a + (uint64_t)L->id)
#define SLOT(id, name) maa_edge_named(m, w, rd64(AT(id)), N_##name)
#define SLOT_IF(id, name)               \
	do {                            \
		if (L->id >= 0)         \
			SLOT(id, name); \
	} while (0)

/* The names of closure variables stand in the code: as borrowed edges from the function to its cells, which the tuple
 * between them holds. co_freevars are the last of co_localsplusnames from 3.11 on. */
static void closure_names(struct maa *m, struct maa_w *w, addr_t code, addr_t closure)
{
	const struct ma_layout *L = m->L;
	if (!closure || (closure & 7) || !maa_readable(m, closure) || !code || (code & 7) || !maa_readable(m, code))
		return;
	addr_t names = rd64(code + (uint64_t)EITHER(m, code_freevars, code_localsplusnames));
	if (!names || (names & 7) || !maa_readable(m, names))
		return;
	uint64_t n = rd64(closure + OB_SIZE), all = rd64(names + OB_SIZE);
	if (n > all || all > 1u << 20)
		return;
	for (uint64_t i = 0; i < n; i++) {
		uint32_t name = maa_name(m, rd64(names + (uint64_t)L->tuple_item + 8 * (all - n + i)));
		if (name)
			maa_edge_borrowed(m, w, rd64(closure + (uint64_t)L->tuple_item + 8 * i), name, 0);
	}
}

static void visit_function(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	SLOT(func_code, CODE);
	maa_edge_tagged(m, w, rd64(AT(func_globals)), N_GLOBALS, TAG_ATTR);
	if (L->func_builtins >= 0)
		maa_edge_tagged(m, w, rd64(AT(func_builtins)), N_BUILTINS, TAG_ATTR);
	SLOT(func_defaults, DEFAULTS);
	SLOT(func_kwdefaults, KWDEFAULTS);
	SLOT(func_closure, CLOSURE);
	closure_names(m, w, rd64(AT(func_code)), rd64(AT(func_closure)));
	SLOT(func_doc, DOC);
	SLOT(func_name, NAME);
	SLOT(func_qualname, QUALNAME);
	maa_edge_tagged(m, w, rd64(AT(func_dict)), N_DICT, TAG_ATTR);
	SLOT(func_module, MODULE);
	SLOT(func_annotations, ANNOTATIONS);
	SLOT_IF(func_annotate, ANNOTATE);
	SLOT_IF(func_typeparams, TYPE_PARAMS);
}

static void visit_code(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	SLOT(code_consts, CO_CONSTS);
	SLOT(code_names, CO_NAMES);
	SLOT_IF(code_code, CO_CODE);
	SLOT_IF(code_varnames, CO_VARNAMES);
	SLOT_IF(code_freevars, CO_FREEVARS);
	SLOT_IF(code_cellvars, CO_CELLVARS);
	SLOT_IF(code_lnotab, CO_LINETABLE);
	SLOT_IF(code_linetable, CO_LINETABLE);
	SLOT_IF(code_exceptiontable, CO_EXCEPTIONTABLE);
	SLOT_IF(code_localsplusnames, CO_LOCALSPLUSNAMES);
	SLOT_IF(code_localspluskinds, CO_LOCALSPLUSKINDS);
	SLOT(code_filename, CO_FILENAME);
	SLOT(code_name, CO_NAME);
	SLOT_IF(code_qualname, CO_QUALNAME);
	SLOT_IF(code_cached_311, CO_CODE);
	addr_t cached = FIELD(m, a, code_cached); /* _PyCoCached: four objects */
	if (cached && maa_range_ok(m, cached, 32)) {
		maa_own(m, cached);
		maa_edge_named(m, w, rd64(cached), N_CO_CODE);
		maa_edge_named(m, w, rd64(cached + 8), N_CO_VARNAMES);
		maa_edge_named(m, w, rd64(cached + 16), N_CO_CELLVARS);
		maa_edge_named(m, w, rd64(cached + 24), N_CO_FREEVARS);
	}
}

/* type_dealloc() tells what a type owns. A static type's base is set by the compiler, without a count. */
static void visit_type(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	int heap = (rd64(AT(type_flags)) & TPF_HEAPTYPE) != 0;
	maa_edge_tagged(m, w, maa_type_dict(m, a), N_DICT, TAG_ATTR);
	SLOT(type_bases, BASES);
	SLOT(type_mro, MRO);
	maa_edge_plain(m, w, rd64(AT(type_cache)));
	maa_edge_named(m, w, maa_type_subclasses(m, a), N_SUBCLASSES);
	if (!heap) {
		maa_edge_borrowed(m, w, rd64(AT(type_base)), N_BASE, 0);
		maa_visit_static_type(m, w, a);
		return;
	}
	SLOT(type_base, BASE);
	SLOT(heaptype_name, NAME);
	SLOT(heaptype_qualname, QUALNAME);
	SLOT(heaptype_slots, SLOTS);
	SLOT_IF(heaptype_module, MODULE);
	struct maa_keys k;
	if (!maa_keys_open(m, rd64(AT(heaptype_cached_keys)), &k))
		return;
	for (uint64_t i = 0; i < k.count; i++) {
		addr_t key = rd64(k.entries + i * k.stride + k.key);
		if (!key || !maa_reach(m, key, 0))
			continue;
		edge_room(m, w);
		edge_raw(w, key, MA_EDGE_KEY);
	}
}

static void visit_module(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	maa_edge_tagged(m, w, rd64(AT(module_dict)), N_DICT, TAG_ATTR);
	SLOT(module_name, NAME);
	addr_t fn;
	int64_t size;
	if (L->module_state_traverse >= 0) { /* 3.15 copies them from the definition, which may be none */
		fn = rd64(AT(module_state_traverse));
		size = (int64_t)rd64(AT(module_state_size));
	} else {
		addr_t def = rd64(AT(module_def));
		if (!def || !maa_readable(m, def))
			return;
		fn = rd64(def + (uint64_t)L->moduledef_traverse);
		size = (int64_t)rd64(def + (uint64_t)L->moduledef_size);
	}
	if (m->no_calls) {
		addr_t state = rd64(AT(module_state));
		if (fn && state && size > 0)
			maa_visit_state(m, w, state, (uint64_t)size);
		return;
	}
	if (fn && maa_readable(m, fn) && (size <= 0 || rd64(AT(module_state)))) {
		maa_visit_traverse(m, w, a, fn);
		/* m_traverse of most modules leaves the module's own dict to module_traverse() */
	}
}

static void visit_cfunction(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	SLOT(cfunction_self, SELF);
	SLOT(cfunction_module, MODULE);
	addr_t ml = rd64(AT(cfunction_ml));
	if (L->cmethod_class >= 0 && ml && maa_readable(m, ml) && (rdu32(ml + 16) & 0x200)) /* METH_METHOD */
		SLOT(cmethod_class, OBJCLASS);
}

static void visit_descr(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	SLOT(descr_type, OBJCLASS);
	SLOT(descr_name, NAME);
	SLOT(descr_qualname, QUALNAME);
	(void)t;
}

static void visit_weakref(struct maa *m, struct maa_w *w, addr_t a)
{
	const struct ma_layout *L = m->L;
	addr_t to = rd64(AT(weakref_object));
	/* None stands there when the referent is dead */
	if (to && maa_readable(m, to) && rd64(to + OB_TYPE) != m->args->known[MA_KT_NONE])
		maa_edge_borrowed(m, w, to, N_REFERENT, 0);
	SLOT(weakref_callback, CALLBACK);
}

/* struct _odictobject (Objects/odictobject.c), the same in 3.8 to 3.13: od_first 48, od_inst_dict 96. Its nodes
 * hold the keys a second time: key 0, hash 8, next 16. */
static void visit_odict(struct maa *m, struct maa_w *w, addr_t a)
{
	maa_edge_tagged(m, w, rd64(a + 96), N_DICT, TAG_ATTR);
	addr_t node = rd64(a + 48);
	for (uint64_t n = rd64(a + (uint64_t)m->L->dict_used); n && node && !(node & 7) && maa_readable(m, node); n--) {
		maa_own(m, node);
		maa_edge_plain(m, w, rd64(node));
		node = rd64(node + 16);
	}
}

/* struct dequeobject (Modules/_collectionsmodule.c), the same in 3.8 to 3.15: leftblock 24, leftindex 40; a block is
 * the link to the one before, 64 items, and the link to the next. */
static void visit_deque(struct maa *m, struct maa_w *w, addr_t a)
{
	uint64_t n = rd64(a + OB_SIZE), at = rd64(a + 40);
	addr_t block = rd64(a + 24);
	for (uint64_t i = 0; i < n && at < 64 && block && !(block & 7) && maa_readable(m, block); i++) {
		edge_item(m, w, rd64(block + 8 + 8 * at), i);
		if (++at == 64) {
			at = 0;
			block = rd64(block + 8 + 8 * 64);
		}
	}
}

void maa_visit_builtin(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t)
{
	const struct ma_layout *L = m->L;
	switch (t->kind) {
	case K_FUNCTION:
		visit_function(m, w, a);
		break;
	case K_CODE:
		visit_code(m, w, a);
		break;
	case K_TYPE:
		visit_type(m, w, a);
		if (rd64(a + OB_TYPE) != m->args->known[MA_KT_TYPE])
			maa_visit_metatype(m, w, a);
		break;
	case K_MODULE:
		visit_module(m, w, a);
		break;
	case K_METHOD:
		SLOT(method_func, FUNC);
		SLOT(method_self, SELF);
		break;
	case K_CFUNCTION:
		visit_cfunction(m, w, a);
		break;
	case K_CELL:
		SLOT(cell_ref, CELL_CONTENTS);
		break;
	case K_FRAME:
		maa_visit_frame(m, w, a);
		break;
	case K_GEN:
		maa_visit_gen(m, w, a);
		break;
	case K_DESCR:
		visit_descr(m, w, a, t);
		break;
	case K_WEAKREF:
		visit_weakref(m, w, a);
		break;
	case K_SLICE:
		SLOT(slice_start, START);
		SLOT(slice_stop, STOP);
		SLOT(slice_step, STEP);
		break;
	case K_MODULEDEF: /* m_copy (Include/moduleobject.h): what a module of one phase had when it was first made */
		maa_edge_tagged(m, w, rd64(a + 32), 0, TAG_ATTR);
		break;
	case K_RANGE: /* Objects/rangeobject.c: four objects, the same in 3.8 to 3.13 */
		maa_edge_named(m, w, rd64(a + 16), N_START);
		maa_edge_named(m, w, rd64(a + 24), N_STOP);
		maa_edge_named(m, w, rd64(a + 32), N_STEP);
		maa_edge_named(m, w, rd64(a + 40), N_LENGTH);
		break;
	case K_DATETIME: /* hastzinfo 24, tzinfo 40 (Include/datetime.h) */
		if (rd8(a + 24))
			maa_edge_named(m, w, rd64(a + 40), N_TZINFO);
		break;
	case K_TIME:
		if (rd8(a + 24))
			maa_edge_named(m, w, rd64(a + 32), N_TZINFO);
		break;
	case K_DEFAULTDICT:
		/* it follows PyDictObject */
		maa_edge_named(m, w, rd64(a + (uint64_t)L->dict_values + 8), N_DEFAULT_FACTORY);
		break;
	case K_ODICT:
		visit_odict(m, w, a);
		break;
	case K_BYTESIO: /* up to 3.11 it does not report its bytes object, which getvalue() may have given to others,
			   too */
		if ((t->flags & MT_GC) && t->traverse)
			maa_visit_traverse(m, w, a, t->traverse);
		if (m->minor < 12)
			maa_visit_bytesio(m, w, a);
		break;
	case K_STGDICT:
		maa_visit_stgdict(m, w, a);
		break;
	case K_DEQUE:
		if (m->no_calls)
			visit_deque(m, w, a);
		else
			maa_visit_traverse(m, w, a, t->traverse);
		break;
	default: /* types with a sizer of ours only: their own traverse function */
		if ((t->flags & MT_GC) && t->traverse)
			maa_visit_traverse(m, w, a, t->traverse);
	}
}
