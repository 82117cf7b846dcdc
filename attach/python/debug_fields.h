// SPDX-License-Identifier: Apache-2.0
/* Which of our fields _Py_DebugOffsets tells (3.13+, the first thing in _PyRuntime; Include/internal/pycore_runtime.h
 * in 3.13, pycore_debug_offsets.h later). No include guard: define what you want, then include.
 *   MA_DEBUG(id, member, first version, last version)          the value of that member of _Py_DebugOffsets
 *   MA_DEBUG_SUM(id, member, member, first, last version)      the sum of two: the field of a nested struct
 *   MA_DEBUG_DIFF(id, member, member, first, last version)     the first less the second: a field within the nested one
 * Where the members stand in _Py_DebugOffsets is in the tables, from each version's header. */
#ifndef MA_DEBUG
#define MA_DEBUG(id, member, lo, hi)
#endif
#ifndef MA_DEBUG_SUM
#define MA_DEBUG_SUM(id, member, nested, lo, hi)
#endif
#ifndef MA_DEBUG_DIFF
#define MA_DEBUG_DIFF(id, member, outer, lo, hi)
#endif

MA_DEBUG(runtime_interp_head, runtime_state.interpreters_head, 313, 315)
MA_DEBUG(interp_id, interpreter_state.id, 313, 315)
MA_DEBUG(interp_next, interpreter_state.next, 313, 315)
MA_DEBUG(interp_tstate_head, interpreter_state.threads_head, 313, 315)
MA_DEBUG_SUM(interp_gc_collecting, interpreter_state.gc, gc.collecting, 313, 315)
MA_DEBUG(interp_modules, interpreter_state.imports_modules, 313, 315)
MA_DEBUG(interp_sysdict, interpreter_state.sysdict, 313, 315)
MA_DEBUG(interp_builtins, interpreter_state.builtins, 313, 315)
MA_DEBUG(interp_gil, interpreter_state.ceval_gil, 313, 315)
MA_DEBUG_DIFF(gil_locked, interpreter_state.gil_runtime_state_locked, interpreter_state.gil_runtime_state, 313, 313)
MA_DEBUG_DIFF(gil_last_holder, interpreter_state.gil_runtime_state_holder, interpreter_state.gil_runtime_state, 313, 313)
MA_DEBUG(tstate_next, thread_state.next, 313, 315)
MA_DEBUG(tstate_interp, thread_state.interp, 313, 315)
MA_DEBUG(tstate_current_frame, thread_state.current_frame, 313, 315)
MA_DEBUG(tstate_thread_id, thread_state.thread_id, 313, 315)
MA_DEBUG(tstate_native_thread_id, thread_state.native_thread_id, 313, 315)
MA_DEBUG(iframe_previous, interpreter_frame.previous, 313, 315)
MA_DEBUG(iframe_code, interpreter_frame.executable, 313, 315)
MA_DEBUG(iframe_instr, interpreter_frame.instr_ptr, 313, 315)
MA_DEBUG(iframe_localsplus, interpreter_frame.localsplus, 313, 315)
MA_DEBUG(iframe_owner, interpreter_frame.owner, 313, 315)
MA_DEBUG(code_filename, code_object.filename, 313, 315)
MA_DEBUG(code_name, code_object.name, 313, 315)
MA_DEBUG(code_qualname, code_object.qualname, 313, 315)
MA_DEBUG(code_linetable, code_object.linetable, 313, 315)
MA_DEBUG(code_firstlineno, code_object.firstlineno, 313, 315)
MA_DEBUG(code_localsplusnames, code_object.localsplusnames, 313, 315)
MA_DEBUG(code_localspluskinds, code_object.localspluskinds, 313, 315)
MA_DEBUG(code_adaptive, code_object.co_code_adaptive, 313, 315)
MA_DEBUG(object_type, pyobject.ob_type, 313, 315)
MA_DEBUG(sizeof_type, type_object.size, 313, 315)
MA_DEBUG(type_name, type_object.tp_name, 313, 315)
MA_DEBUG(type_flags, type_object.tp_flags, 313, 315)
MA_DEBUG(tuple_item, tuple_object.ob_item, 313, 315)
MA_DEBUG(varobject_size, tuple_object.ob_size, 313, 315)
MA_DEBUG(tstate_eval_breaker, debugger_support.eval_breaker, 314, 315)
MA_DEBUG(iframe_stackpointer, interpreter_frame.stackpointer, 314, 315)
MA_DEBUG(set_table, set_object.table, 314, 315)
MA_DEBUG(set_mask, set_object.mask, 314, 315)
MA_DEBUG(gen_name, gen_object.gi_name, 314, 315)
MA_DEBUG(gen_iframe, gen_object.gi_iframe, 314, 315)
MA_DEBUG(gen_frame_state, gen_object.gi_frame_state, 314, 315)
MA_DEBUG(list_item, list_object.ob_item, 313, 315)
MA_DEBUG(dict_keys, dict_object.ma_keys, 313, 315)
MA_DEBUG(dict_values, dict_object.ma_values, 313, 315)
MA_DEBUG(long_tag, long_object.lv_tag, 313, 315)
MA_DEBUG(long_digit, long_object.ob_digit, 313, 315)
MA_DEBUG(bytes_sval, bytes_object.ob_sval, 313, 315)
MA_DEBUG(str_state, unicode_object.state, 313, 315)
MA_DEBUG(str_length, unicode_object.length, 313, 315)
MA_DEBUG(sizeof_str_ascii, unicode_object.asciiobject_size, 313, 315)

#undef MA_DEBUG
#undef MA_DEBUG_SUM
#undef MA_DEBUG_DIFF
