// SPDX-License-Identifier: Apache-2.0
/* The fields of struct ma_layout. No include guard: define MA_FIELD and MA_SIZE, then include.
 *   MA_FIELD(id, C type, member path, first version, last version)   offsetof(type, member) in bytes
 *   MA_SIZE(id, C type, first version, last version)                 sizeof(type)
 * Versions are 300 + minor, both ends included; rows with the same member in different structs by version
 * have the same id only through MA_ALT rows: see tools/layouts. A C type is what offsetof() would
 * take with Py_BUILD_CORE and the version's headers. */

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
