// SPDX-License-Identifier: Apache-2.0
/* The fields of struct ma_layout. No include guard: define the macros that you want, then include; the others
 * expand to nothing, and all four are undefined again at the end.
 *   MA_FIELD(id, C type, member path, first version, last version)   declares id: offsetof(type, member) in bytes
 *   MA_SIZE(id, C type, first version, last version)                 declares id: sizeof(type)
 *   MA_ALT(id, C type, member path, first version, last version)     where an id that is declared by a MA_FIELD
 *                                                                    above stands in other versions
 *   MA_ALT_SIZE(id, C type, first version, last version)             the same for a MA_SIZE
 * Versions are 300 + minor, both ends included. An id is declared once; the ranges of its rows must not overlap;
 * outside of all of them it is MA_ABSENT, inside it must be found. A C type is what offsetof() would take with
 * Py_BUILD_CORE and the version's headers: a typedef name or "struct tag"; the path may go through nested and
 * anonymous members, not through pointers, and may index an array by a number: a[2].b.
 * A row per line. `tools/layouts/generate` makes the tables from this list: run it when the list changed. */
#ifndef MA_FIELD
#define MA_FIELD(id, type, member, lo, hi)
#endif
#ifndef MA_SIZE
#define MA_SIZE(id, type, lo, hi)
#endif
#ifndef MA_ALT
#define MA_ALT(id, type, member, lo, hi)
#endif
#ifndef MA_ALT_SIZE
#define MA_ALT_SIZE(id, type, lo, hi)
#endif

/* runtime and interpreter */
MA_FIELD(runtime_interp_head, _PyRuntimeState, interpreters.head, 308, 315)
MA_FIELD(interp_next, PyInterpreterState, next, 308, 315)
MA_FIELD(interp_id, PyInterpreterState, id, 308, 315)
MA_FIELD(runtime_gc_generations, _PyRuntimeState, gc.generations, 308, 308)
MA_FIELD(runtime_gc_collecting, _PyRuntimeState, gc.collecting, 308, 308)
MA_FIELD(interp_gc_generations, PyInterpreterState, gc.generations, 309, 313)
MA_FIELD(interp_gc_collecting, PyInterpreterState, gc.collecting, 309, 315)

/* the GIL and how it is asked for */
MA_FIELD(runtime_gil, _PyRuntimeState, ceval.gil, 308, 311)
MA_FIELD(runtime_gil_drop_request, _PyRuntimeState, ceval.gil_drop_request, 308, 308)
MA_FIELD(runtime_eval_breaker, _PyRuntimeState, ceval.eval_breaker, 308, 308)
MA_FIELD(interp_gil, PyInterpreterState, ceval.gil, 312, 315)
MA_FIELD(interp_gil_drop_request, PyInterpreterState, ceval.gil_drop_request, 309, 312)
MA_FIELD(interp_eval_breaker, PyInterpreterState, ceval.eval_breaker, 309, 312)
MA_FIELD(gil_locked, struct _gil_runtime_state, locked, 308, 315)
MA_FIELD(gil_last_holder, struct _gil_runtime_state, last_holder, 308, 315)

/* threads */
MA_FIELD(tstate_next, PyThreadState, next, 308, 315)
MA_FIELD(tstate_interp, PyThreadState, interp, 308, 315)
MA_FIELD(tstate_thread_id, PyThreadState, thread_id, 308, 315)
MA_FIELD(tstate_native_thread_id, PyThreadState, native_thread_id, 311, 315)
MA_FIELD(tstate_eval_breaker, PyThreadState, eval_breaker, 313, 315)

#undef MA_FIELD
#undef MA_SIZE
#undef MA_ALT
#undef MA_ALT_SIZE
