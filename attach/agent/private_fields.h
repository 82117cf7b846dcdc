// SPDX-License-Identifier: Apache-2.0
/* Offsets and sizes of structs that are private to one C file of CPython, for size_more.c. No header has them, so
 * layout_fields.h can not: they are written here and compared with the DWARF of every Python at hand by
 * `tools/layouts/private`. No include guard: define the macros that you want, then include.
 *   PRIVATE(id, image, C type, member, first version, last version, value)      an offset
 *   PRIVATE_SIZE(id, image, C type, first version, last version, value)         a size
 *   PRIVATE_ALT(...), PRIVATE_ALT_SIZE(...)                                     the same id in other versions
 *   PRIVATE_OF(id, image, C type, member, size, value)                          an offset where the struct has this size
 * image: the extension module, "" for the interpreter itself. Versions are 300 + minor, both ends included.
 * A type whose tp_basicsize is none of the sizes given here is not trusted: its instances keep a lower bound. */
#ifndef PRIVATE
#define PRIVATE(id, image, type, member, lo, hi, value)
#endif
#ifndef PRIVATE_SIZE
#define PRIVATE_SIZE(id, image, type, lo, hi, value)
#endif
#ifndef PRIVATE_ALT
#define PRIVATE_ALT(id, image, type, member, lo, hi, value)
#endif
#ifndef PRIVATE_OF
#define PRIVATE_OF(id, image, type, member, size, value)
#endif
#ifndef PRIVATE_ALT_SIZE
#define PRIVATE_ALT_SIZE(id, image, type, lo, hi, value)
#endif

/* Modules/_struct.c */
PRIVATE_SIZE(STRUCT_SIZE, "_struct", PyStructObject, 308, 314, 56)
PRIVATE_ALT_SIZE(STRUCT_SIZE, "_struct", PyStructObject, 315, 315, 64)
PRIVATE(STRUCT_CODES, "_struct", PyStructObject, s_codes, 308, 315, 32)
PRIVATE_SIZE(FORMATCODE_SIZE, "_struct", formatcode, 308, 315, 32)

/* Modules/_io/bufferedio.c */
PRIVATE_SIZE(BUFFERED_SIZE, "", buffered, 308, 315, 152)
PRIVATE(BUFFERED_BUFFER, "", buffered, buffer, 308, 315, 56)
PRIVATE(BUFFERED_BUFFER_SIZE, "", buffered, buffer_size, 308, 315, 120)

/* Modules/_io/bytesio.c */
PRIVATE_SIZE(BYTESIO_SIZE, "", bytesio, 308, 315, 64)
PRIVATE(BYTESIO_BUF, "", bytesio, buf, 308, 315, 16)

/* Modules/_pickle.c. Patch releases of 3.13 differ: these go by the size of the struct. */
PRIVATE(PICKLER_MEMO, "_pickle", PicklerObject, memo, 308, 315, 16)
PRIVATE_OF(PICKLER_OUTPUT, "_pickle", PicklerObject, output_buffer, 144, 56)
PRIVATE_OF(PICKLER_OUTPUT, "_pickle", PicklerObject, output_buffer, 152, 64)
PRIVATE_SIZE(MEMO_TABLE_SIZE, "_pickle", PyMemoTable, 308, 315, 32)
PRIVATE(MEMO_TABLE_ALLOCATED, "_pickle", PyMemoTable, mt_allocated, 308, 315, 16)
PRIVATE(MEMO_TABLE_TABLE, "_pickle", PyMemoTable, mt_table, 308, 315, 24)
PRIVATE_SIZE(MEMO_ENTRY_SIZE, "_pickle", PyMemoEntry, 308, 315, 16)
PRIVATE(UNPICKLER_MEMO, "_pickle", UnpicklerObject, memo, 308, 315, 24)
PRIVATE(UNPICKLER_MEMO_SIZE, "_pickle", UnpicklerObject, memo_size, 308, 315, 32)
PRIVATE_OF(UNPICKLER_INPUT_LINE, "_pickle", UnpicklerObject, input_line, 264, 144)
PRIVATE_OF(UNPICKLER_INPUT_LINE, "_pickle", UnpicklerObject, input_line, 272, 152)
PRIVATE_OF(UNPICKLER_INPUT_LINE, "_pickle", UnpicklerObject, input_line, 296, 152)
PRIVATE_OF(UNPICKLER_INPUT_LINE, "_pickle", UnpicklerObject, input_line, 304, 160)
PRIVATE_OF(UNPICKLER_ENCODING, "_pickle", UnpicklerObject, encoding, 264, 216)
PRIVATE_OF(UNPICKLER_ENCODING, "_pickle", UnpicklerObject, encoding, 272, 224)
PRIVATE_OF(UNPICKLER_ENCODING, "_pickle", UnpicklerObject, encoding, 296, 240)
PRIVATE_OF(UNPICKLER_ENCODING, "_pickle", UnpicklerObject, encoding, 304, 248)
PRIVATE_OF(UNPICKLER_ERRORS, "_pickle", UnpicklerObject, errors, 264, 224)
PRIVATE_OF(UNPICKLER_ERRORS, "_pickle", UnpicklerObject, errors, 272, 232)
PRIVATE_OF(UNPICKLER_ERRORS, "_pickle", UnpicklerObject, errors, 296, 248)
PRIVATE_OF(UNPICKLER_ERRORS, "_pickle", UnpicklerObject, errors, 304, 256)
PRIVATE_OF(UNPICKLER_MARKS, "_pickle", UnpicklerObject, marks, 264, 232)
PRIVATE_OF(UNPICKLER_MARKS, "_pickle", UnpicklerObject, marks, 272, 240)
PRIVATE_OF(UNPICKLER_MARKS, "_pickle", UnpicklerObject, marks, 296, 256)
PRIVATE_OF(UNPICKLER_MARKS, "_pickle", UnpicklerObject, marks, 304, 264)
PRIVATE_OF(UNPICKLER_MARKS_SIZE, "_pickle", UnpicklerObject, marks_size, 264, 248)
PRIVATE_OF(UNPICKLER_MARKS_SIZE, "_pickle", UnpicklerObject, marks_size, 272, 256)
PRIVATE_OF(UNPICKLER_MARKS_SIZE, "_pickle", UnpicklerObject, marks_size, 296, 272)
PRIVATE_OF(UNPICKLER_MARKS_SIZE, "_pickle", UnpicklerObject, marks_size, 304, 280)

/* Modules/_queuemodule.c: the ring buffer of a SimpleQueue, which its __sizeof__ counts from 3.15 on */
PRIVATE_SIZE(QUEUE_SIZE, "_queue", simplequeueobject, 315, 315, 72)
PRIVATE(QUEUE_ITEMS, "_queue", simplequeueobject, buf.items, 315, 315, 40)
PRIVATE(QUEUE_CAPACITY, "_queue", simplequeueobject, buf.items_cap, 315, 315, 48)

/* Modules/_elementtree.c */
PRIVATE_SIZE(ELEMENT_SIZE, "_elementtree", ElementObject, 308, 315, 56)
PRIVATE(ELEMENT_EXTRA, "_elementtree", ElementObject, extra, 308, 315, 40)
PRIVATE_SIZE(EXTRA_SIZE, "_elementtree", ElementObjectExtra, 308, 315, 64)
PRIVATE(EXTRA_ALLOCATED, "_elementtree", ElementObjectExtra, allocated, 308, 315, 16)
PRIVATE(EXTRA_CHILDREN, "_elementtree", ElementObjectExtra, children, 308, 315, 24)
PRIVATE(EXTRA_OWN_CHILDREN, "_elementtree", ElementObjectExtra, _children, 308, 315, 32)

/* Modules/_decimal/_decimal.c */
PRIVATE_SIZE(DECIMAL_SIZE, "_decimal", PyDecObject, 308, 315, 104)
PRIVATE(DECIMAL_FLAGS, "_decimal", PyDecObject, dec.flags, 308, 315, 24)
PRIVATE(DECIMAL_ALLOC, "_decimal", PyDecObject, dec.alloc, 308, 315, 56)
PRIVATE(DECIMAL_DATA, "_decimal", PyDecObject, dec.data, 308, 315, 64)

/* Modules/itertoolsmodule.c */
PRIVATE_SIZE(PRODUCT_SIZE, "", productobject, 308, 315, 48)
PRIVATE(PRODUCT_POOLS, "", productobject, pools, 308, 315, 16)
PRIVATE(PRODUCT_INDICES, "", productobject, indices, 308, 315, 24)
PRIVATE_SIZE(COMBINATIONS_SIZE, "", combinationsobject, 308, 315, 56)
PRIVATE(COMBINATIONS_INDICES, "", combinationsobject, indices, 308, 315, 24)
PRIVATE(COMBINATIONS_R, "", combinationsobject, r, 308, 315, 40)
PRIVATE_SIZE(PERMUTATIONS_SIZE, "", permutationsobject, 308, 315, 64)
PRIVATE(PERMUTATIONS_POOL, "", permutationsobject, pool, 308, 315, 16)
PRIVATE(PERMUTATIONS_INDICES, "", permutationsobject, indices, 308, 315, 24)
PRIVATE(PERMUTATIONS_CYCLES, "", permutationsobject, cycles, 308, 315, 32)
PRIVATE(PERMUTATIONS_R, "", permutationsobject, r, 308, 315, 48)

/* Modules/_ctypes: StgDictObject (a dict) up to 3.12, StgInfo behind the type from 3.13 */
PRIVATE_SIZE(STGDICT_SIZE, "_ctypes", StgDictObject, 308, 312, 192)
PRIVATE_SIZE(STGINFO_SIZE, "_ctypes", StgInfo, 313, 313, 160)
PRIVATE_ALT_SIZE(STGINFO_SIZE, "_ctypes", StgInfo, 314, 315, 168)
PRIVATE(STG_LENGTH, "_ctypes", StgDictObject, length, 308, 312, 64)
PRIVATE_ALT(STG_LENGTH, "_ctypes", StgInfo, length, 313, 315, 24)
PRIVATE(STG_ELEMENTS, "_ctypes", StgDictObject, ffi_type_pointer.elements, 308, 312, 88)
PRIVATE_ALT(STG_ELEMENTS, "_ctypes", StgInfo, ffi_type_pointer.elements, 313, 315, 48)
PRIVATE(STG_ARGTYPES, "_ctypes", StgDictObject, argtypes, 308, 312, 128)
PRIVATE(STG_CONVERTERS, "_ctypes", StgDictObject, converters, 308, 312, 136)
PRIVATE(STG_RESTYPE, "_ctypes", StgDictObject, restype, 308, 312, 144)
PRIVATE(STG_CHECKER, "_ctypes", StgDictObject, checker, 308, 312, 152)
PRIVATE(STG_FORMAT, "_ctypes", StgDictObject, format, 308, 312, 168)
PRIVATE_ALT(STG_FORMAT, "_ctypes", StgInfo, format, 313, 313, 136)
PRIVATE_ALT(STG_FORMAT, "_ctypes", StgInfo, format, 314, 315, 144)
PRIVATE(STG_NDIM, "_ctypes", StgDictObject, ndim, 308, 312, 176)
PRIVATE_ALT(STG_NDIM, "_ctypes", StgInfo, ndim, 313, 313, 144)
PRIVATE_ALT(STG_NDIM, "_ctypes", StgInfo, ndim, 314, 315, 152)
PRIVATE(STG_SHAPE, "_ctypes", StgDictObject, shape, 308, 312, 184)
PRIVATE_ALT(STG_SHAPE, "_ctypes", StgInfo, shape, 313, 313, 152)
PRIVATE_ALT(STG_SHAPE, "_ctypes", StgInfo, shape, 314, 315, 160)

/* Modules/parsermodule.c, Include/node.h */
PRIVATE_SIZE(ST_SIZE, "parser", PyST_Object, 308, 309, 40)
PRIVATE(ST_NODE, "parser", PyST_Object, st_node, 308, 309, 16)
PRIVATE_SIZE(NODE_SIZE, "parser", node, 308, 309, 48)
PRIVATE(NODE_STR, "parser", node, n_str, 308, 309, 8)
PRIVATE(NODE_NCHILDREN, "parser", node, n_nchildren, 308, 309, 24)
PRIVATE(NODE_CHILD, "parser", node, n_child, 308, 309, 32)

/* Python/hashtable.c (Modules/hashtable.c in 3.8, where keys and data stand in the entry) and the tables of tracemalloc:
 * Modules/_tracemalloc.c, later Python/tracemalloc.c. For sites.c, which knows them by shape: a version to come that
 * has others is not misread, it has no sites. */
PRIVATE(HT_BUCKETS, "", _Py_hashtable_t, buckets, 308, 315, 16)
PRIVATE(HT_NBUCKETS_38, "", _Py_hashtable_t, num_buckets, 308, 308, 0)
PRIVATE(HT_ENTRIES_38, "", _Py_hashtable_t, entries, 308, 308, 8)
PRIVATE(HT_KEY_SIZE_38, "", _Py_hashtable_t, key_size, 308, 308, 24)
PRIVATE(HT_DATA_SIZE_38, "", _Py_hashtable_t, data_size, 308, 308, 32)
PRIVATE(HT_HASH_FUNC_38, "", _Py_hashtable_t, hash_func, 308, 308, 40)
PRIVATE_SIZE(KEY_SIZE_38, "", pointer_t, 308, 308, 12)
PRIVATE(HT_ENTRIES, "", _Py_hashtable_t, nentries, 309, 315, 0)
PRIVATE(HT_NBUCKETS, "", _Py_hashtable_t, nbuckets, 309, 315, 8)
PRIVATE(HT_HASH_FUNC, "", _Py_hashtable_t, hash_func, 309, 315, 32)
PRIVATE(HTE_HASH, "", _Py_hashtable_entry_t, key_hash, 308, 315, 8)
PRIVATE_SIZE(HTE_KEY_38, "", _Py_hashtable_entry_t, 308, 308, 16)
PRIVATE_SIZE(HTE_SIZE, "", _Py_hashtable_entry_t, 309, 315, 32)
PRIVATE(HTE_KEY, "", _Py_hashtable_entry_t, key, 309, 315, 16)
PRIVATE(HTE_VALUE, "", _Py_hashtable_entry_t, value, 309, 315, 24)
PRIVATE_SIZE(TRACE_SIZE, "", trace_t, 308, 315, 16)
PRIVATE(TRACE_BYTES, "", trace_t, size, 308, 315, 0)
PRIVATE(TRACE_TRACEBACK, "", trace_t, traceback, 308, 315, 8)
PRIVATE(TRACEBACK_NFRAME, "", traceback_t, nframe, 308, 315, 8)
PRIVATE(TRACEBACK_TOTAL, "", traceback_t, total_nframe, 309, 315, 10)
PRIVATE(TRACEBACK_FRAMES, "", traceback_t, frames, 308, 315, 12)
PRIVATE_SIZE(FRAME_SIZE, "", frame_t, 308, 315, 12)
PRIVATE(FRAME_LINE, "", frame_t, lineno, 308, 315, 8)

/* keep these last: rows go above */
#undef PRIVATE
#undef PRIVATE_SIZE
#undef PRIVATE_ALT
#undef PRIVATE_ALT_SIZE
#undef PRIVATE_OF
