// SPDX-License-Identifier: Apache-2.0
/* threads.c - threads, their frames, and what interpreters hold. */
#include "visit.h"

#define OWNED_BY_THREAD 0
#define OWNED_BY_CSTACK 3 /* 3.12+: a frame of the interpreter's entry, without code of its own; 3.14: of two kinds */
#define THREAD_FRAMES_MAX 100000u

static void th_room(struct maa *m)
{
	if (m->th.p > m->th.data + MA_BLOCK_PAYLOAD - 16384)
		maa_flush(m, &m->th);
}

/* A writer into the thread block. Fewer than 16 KiB of edges go into one record. */
static void th_writer(struct maa *m, struct maa_w *w, addr_t self)
{
	w->p = m->th.p;
	w->limit = m->th.data + MA_BLOCK_PAYLOAD - 4096;
	w->last = self;
	w->next = w->edges = 0;
}

static void th_end(struct maa *m, struct maa_w *w)
{
	*w->p++ = 0;
	m->th.p = w->p;
	m->th.records++;
	m->stat[MA_STAT_EDGES] += w->edges;
}

static void frame_write(struct maa *m, addr_t code, addr_t frame, int64_t instr, addr_t iframe)
{
	const struct ma_layout *L = m->L;
	struct maa_w w;
	uint32_t file = maa_name(m, rd64(code + (uint64_t)L->code_filename));
	uint32_t function =
		maa_name(m, rd64(code + (uint64_t)(L->code_qualname >= 0 ? L->code_qualname : L->code_name)));
	int line = maa_code_line(m, code, instr);
	th_room(m);
	th_writer(m, &w, frame);
	w.p = put(w.p, MA_THR_FRAME);
	w.p = put(w.p, code);
	w.p = put(w.p, file);
	w.p = put(w.p, function);
	w.p = put(w.p, (uint64_t)line);
	w.p = put(w.p, frame);
	if (iframe && !(m->args->flags & MAA_FLAG_THREADS_ONLY))
		maa_visit_iframe(m, &w, iframe);
	th_end(m, &w);
	m->stat[MA_STAT_FRAMES]++;
}

/* The frame that was just written is the outermost of its native frame of the evaluation loop. */
static void entry_write(struct maa *m, addr_t on_stack)
{
	if (!(m->args->flags & MAA_FLAG_ENTRIES))
		return;
	th_room(m);
	m->th.p = put(m->th.p, MA_THR_ENTRY);
	m->th.p = put(m->th.p, on_stack);
	m->th.records++;
}

/* The `n`th frame of its thread. */
static int may_write(const struct maa *m, unsigned n)
{
	return n < THREAD_FRAMES_MAX && m->stat[MA_STAT_FRAMES] < MA_FRAMES_MAX;
}

static int is_code(struct maa *m, addr_t code)
{
	return code && !(code & 7) && maa_readable(m, code) && rd64(code + OB_TYPE) == m->args->known[MA_KT_CODE];
}

/* 3.8 to 3.10: frames are objects and write their own edges. */
static void frames_old(struct maa *m, addr_t f)
{
	const struct ma_layout *L = m->L;
	int heap = !(m->args->flags & MAA_FLAG_THREADS_ONLY);
	for (unsigned n = 0; f && !(f & 7) && maa_readable(m, f) && may_write(m, n); n++) {
		addr_t code = rd64(f + (uint64_t)L->frame_code);
		if (!is_code(m, code))
			return;
		int64_t lasti = rd32(f + (uint64_t)L->frame_lasti);
		frame_write(m, code, f, m->minor == 10 ? lasti * 2 : lasti, 0);
		entry_write(m, 0); /* each Python call is a C call */
		if (heap)
			maa_reach(m, f, 0);
		f = rd64(f + (uint64_t)L->frame_back);
	}
}

static void frames_new(struct maa *m, addr_t f)
{
	const struct ma_layout *L = m->L;
	int entered = 0; /* a frame was written since the last entry */
	int heap = !(m->args->flags & MAA_FLAG_THREADS_ONLY);
	for (unsigned n = 0; f && !(f & 7) && maa_readable(m, f) && may_write(m, n); n++) {
		unsigned owner = rd8(f + (uint64_t)L->iframe_owner);
		addr_t code = maa_iframe_code(m, f);
		if (owner != OWNED_BY_CSTACK && code) {
			int64_t instr = (int64_t)(rd64(f + (uint64_t)EITHER(m, iframe_instr, iframe_instr_312)) -
						  (code + (uint64_t)L->code_adaptive));
			frame_write(m, code, f, instr, owner == OWNED_BY_THREAD ? f : 0);
			entered = 1;
			if (owner == 1 && heap) /* the frame of a generator, which writes its edges */
				maa_reach(m, f - (uint64_t)L->gen_iframe, 0);
			if (L->iframe_is_entry >= 0 && rd8(f + (uint64_t)L->iframe_is_entry))
				entry_write(m, 0);
		} else if (owner >= OWNED_BY_CSTACK && entered) {
			/* 3.12+: the interpreter's entry frame lies on the C stack. In 3.15 the last of all,
			 * base_frame, is a part of the thread state. */
			entry_write(m, f);
			entered = 0;
		}
		f = rd64(f + (uint64_t)L->iframe_previous);
	}
}

static void thread_write(struct maa *m, addr_t ts, uint64_t interp_id)
{
	const struct ma_layout *L = m->L;
	th_room(m);
	uint8_t *p = put(m->th.p, MA_THR_THREAD);
	p = put(p, rd64(ts + (uint64_t)L->tstate_thread_id));
	p = put(p, FIELD(m, ts, tstate_native_thread_id));
	p = put(p, ts);
	p = put(p, interp_id);
	p = put(p, ts == m->args->gil_holder);
	m->th.p = p;
	m->th.records++;
	m->stat[MA_STAT_THREADS]++;
	if (m->minor < 11) {
		frames_old(m, rd64(ts + (uint64_t)L->tstate_frame));
		return;
	}
	addr_t f;
	if (L->tstate_current_frame >= 0) {
		f = rd64(ts + (uint64_t)L->tstate_current_frame);
	} else {
		addr_t cframe = rd64(ts + (uint64_t)L->tstate_cframe);
		f = cframe && maa_readable(m, cframe) ? rd64(cframe + (uint64_t)L->cframe_current) : 0;
	}
	frames_new(m, f);
}

/* The keys of sys.modules are names: it has to be known as such before a frame leads to it as to any dict. */
static void modules_first(struct maa *m)
{
	const struct ma_layout *L = m->L;
	addr_t in =
		m->args->flags & MAA_FLAG_THREADS_ONLY ? 0 : rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
	for (unsigned i = 0; i < 1024 && in && maa_readable(m, in); i++) {
		addr_t modules = rd64(in + (uint64_t)EITHER(m, interp_modules, interp_modules_old));
		if (modules)
			maa_reach(m, modules, TAG_ATTR);
		in = rd64(in + (uint64_t)L->interp_next);
	}
}

/* All threads of all interpreters. After a fault it goes on with the next thread. */
void maa_threads(struct maa *m)
{
	const struct ma_layout *L = m->L;
	if (!m->ph_p && !m->ph_i) {
		modules_first(m);
		m->ph_p = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
		m->ph_turtle = 0; /* the thread to come */
		m->ph_i = 1;
		if (m->ph_p)
			m->ph_turtle = rd64(m->ph_p + (uint64_t)EITHER(m, interp_tstate_head, interp_tstate_head_old));
	}
	for (; m->ph_i < 1u << 16 && m->ph_p && maa_readable(m, m->ph_p);) {
		while (m->ph_turtle && maa_readable(m, m->ph_turtle) && m->ph_i++ < 1u << 16) {
			addr_t ts = m->ph_turtle;
			m->ph_turtle = 0;
			m->ph_turtle = rd64(ts + (uint64_t)L->tstate_next);
			thread_write(m, ts, rd64(m->ph_p + (uint64_t)L->interp_id));
			maa_beat(m);
		}
		m->ph_i++;
		addr_t next = rd64(m->ph_p + (uint64_t)L->interp_next);
		m->ph_p = 0;
		m->ph_turtle = next && maa_readable(m, next)
				       ? rd64(next + (uint64_t)EITHER(m, interp_tstate_head, interp_tstate_head_old))
				       : 0;
		m->ph_p = next;
	}
	maa_drain(m);
}

#define HOLDS(base, id, name)                                                           \
	do {                                                                            \
		if (L->id >= 0)                                                         \
			maa_edge_named(m, w, rd64((base) + (uint64_t)L->id), N_##name); \
	} while (0)
#define HOLDS_DICT(base, id, name)                                                                 \
	do {                                                                                       \
		if (L->id >= 0)                                                                    \
			maa_edge_tagged(m, w, rd64((base) + (uint64_t)L->id), N_##name, TAG_ATTR); \
	} while (0)

static void tstate_holds(struct maa *m, struct maa_w *w, addr_t ts)
{
	const struct ma_layout *L = m->L;
	HOLDS(ts, tstate_curexc_type, EXC_TYPE);
	HOLDS(ts, tstate_curexc_value, EXC_VALUE);
	HOLDS(ts, tstate_curexc_traceback, EXC_TRACEBACK);
	HOLDS(ts, tstate_current_exception, EXC_VALUE);
	HOLDS(ts, tstate_exc_state_type, EXC_TYPE);
	HOLDS(ts, tstate_exc_state_value, EXC_VALUE);
	HOLDS(ts, tstate_exc_state_traceback, EXC_TRACEBACK);
	HOLDS(ts, tstate_dict, THREAD_DICT);
	HOLDS(ts, tstate_async_exc, ASYNC_EXC);
	HOLDS(ts, tstate_async_gen_firstiter, ASYNC_GEN_FIRSTITER);
	HOLDS(ts, tstate_async_gen_finalizer, ASYNC_GEN_FINALIZER);
	HOLDS(ts, tstate_context, CONTEXT);
	HOLDS(ts, tstate_c_profileobj, PROFILE_OBJ);
	HOLDS(ts, tstate_c_traceobj, TRACE_OBJ);
	HOLDS(ts, tstate_running_loop, RUNNING_LOOP); /* 3.12 and 3.13 keep them elsewhere */
	HOLDS(ts, tstate_running_task, RUNNING_TASK);
}

static void interp_write(struct maa *m, addr_t in)
{
	const struct ma_layout *L = m->L;
	struct maa_w writer, *w = &writer;
	th_room(m);
	th_writer(m, w, in);
	w->p = put(w->p, MA_THR_INTERP);
	w->p = put(w->p, rd64(in + (uint64_t)L->interp_id));
	w->p = put(w->p, in);
	w->p = put(w->p, m->collecting);
	HOLDS_DICT(in, interp_modules_old, SYS_MODULES);
	HOLDS_DICT(in, interp_modules, SYS_MODULES);
	HOLDS(in, interp_modules_by_index_old, MODULES_BY_INDEX);
	HOLDS(in, interp_modules_by_index, MODULES_BY_INDEX);
	HOLDS_DICT(in, interp_sysdict, SYSDICT);
	HOLDS_DICT(in, interp_builtins, BUILTINS_DICT);
	HOLDS(in, interp_importlib_old, IMPORTLIB);
	HOLDS(in, interp_importlib, IMPORTLIB);
	HOLDS(in, interp_import_func_old, IMPORT_FUNC);
	HOLDS(in, interp_import_func, IMPORT_FUNC);
	HOLDS_DICT(in, interp_sysdict_copy, SYSDICT_COPY);
	HOLDS_DICT(in, interp_builtins_copy, BUILTINS_COPY);
	HOLDS(in, interp_codec_search_path_old, CODEC_SEARCH_PATH);
	HOLDS(in, interp_codec_search_cache_old, CODEC_SEARCH_CACHE);
	HOLDS(in, interp_codec_error_registry_old, CODEC_ERROR_REGISTRY);
	HOLDS(in, interp_codec_search_path, CODEC_SEARCH_PATH);
	HOLDS(in, interp_codec_search_cache, CODEC_SEARCH_CACHE);
	HOLDS(in, interp_codec_error_registry, CODEC_ERROR_REGISTRY);
	HOLDS(in, interp_dict, INTERP_DICT);
	HOLDS(in, interp_before_forkers, BEFORE_FORKERS);
	HOLDS(in, interp_after_forkers_parent, AFTER_FORKERS_PARENT);
	HOLDS(in, interp_after_forkers_child, AFTER_FORKERS_CHILD);
	HOLDS(in, interp_audit_hooks, AUDIT_HOOKS);
	addr_t ts = rd64(in + (uint64_t)EITHER(m, interp_tstate_head, interp_tstate_head_old));
	for (unsigned i = 0; i < 1u << 16 && ts && maa_readable(m, ts) && w->p < w->limit; i++) {
		tstate_holds(m, w, ts);
		ts = rd64(ts + (uint64_t)L->tstate_next);
	}
	th_end(m, w);
}

/* The built-in types and what the interpreters hold. After a fault it goes on with the next interpreter. */
void maa_roots(struct maa *m)
{
	const struct ma_layout *L = m->L;
	if (m->ph_i == 0) {
		m->ph_p = rd64(m->args->runtime + (uint64_t)L->runtime_interp_head);
		for (unsigned i = 0; i < MA_KNOWN_COUNT; i++)
			if (m->args->known[i])
				maa_type_get(m, m->args->known[i]);
	}
	maa_drain(m);
	while (m->ph_p && m->ph_i++ < 1024 && maa_readable(m, m->ph_p)) {
		addr_t in = m->ph_p;
		m->ph_p = 0;
		m->ph_p = rd64(in + (uint64_t)L->interp_next);
		interp_write(m, in);
		maa_drain(m);
	}
	maa_flush(m, &m->th);
}
