// SPDX-License-Identifier: Apache-2.0
/* The first byte says which Python, and what the rest is: changes of the memory of a sound one (patched_memory.h),
 * which the layout is validated against; or, with its highest bit, the beginning of _PyRuntime with _Py_DebugOffsets in
 * it. */
#include "cleanup.h"
#include "fuzz.h"
#include "patched_memory.h"
#include "python_internal.h"

#include <string.h>

#define BASE UINT64_C(0x10000)
#define IMAGE_BYTES (2u << 20)
#define INTERP 0x80000u /* offsets in the image */
#define TSTATE 0x180000u
#define DICTS 0x190000u
#define GIL 0x193000u
#define GC 0x194000u
#define TYPES 0x195000u
#define TYPE_BYTES 0x400u
#define NAMES 0x1f0000u

static uint8_t image[IMAGE_BYTES];

static void put(uint64_t at, uint64_t value)
{
	if (at <= IMAGE_BYTES - 8)
		memcpy(image + at, &value, sizeof(value));
}

static uint64_t field(uint32_t object, int32_t offset)
{
	return offset < 0 ? IMAGE_BYTES : object + (uint64_t)offset;
}

static void put_gc(uint32_t object, int32_t generations)
{
	for (unsigned i = 0; generations >= 0 && i < 6; i++)
		put(field(object, generations) + 24 * (i / 2) + 8 * (i % 2), BASE + GC);
}

static void put_types(struct ma_python *py)
{
	const struct ma_layout *l = &py->layout;
	const struct {
		enum ma_known_type type;
		int32_t bytes;
	} sizes[] = {
		{ MA_KT_TYPE, l->sizeof_heaptype },    { MA_KT_UNICODE, l->sizeof_str },
		{ MA_KT_LIST, l->list_allocated + 8 }, { MA_KT_DICT, l->dict_values + 8 },
		{ MA_KT_SLICE, l->slice_step + 8 },    { MA_KT_CELL, l->cell_ref + 8 },
	};
	memcpy(image + NAMES, "type\0other", 11);
	for (uint32_t i = 0; i < MA_KNOWN_COUNT; i++) {
		uint32_t at = TYPES + i * TYPE_BYTES;
		py->known[i] = BASE + at;
		put(field(at, l->object_type), BASE + TYPES + MA_KT_TYPE * TYPE_BYTES);
		put(field(at, l->type_name), BASE + NAMES + (i == MA_KT_TYPE ? 0 : 5));
		put(field(at, l->type_flags), UINT64_C(1) << 31 | 1 << 12);
	}
	for (size_t i = 0; i < MA_ARRAY_SIZE(sizes); i++)
		put(field(TYPES + sizes[i].type * TYPE_BYTES, l->type_basicsize), (uint64_t)sizes[i].bytes);
	put(field(TYPES + MA_KT_BOOL * TYPE_BYTES, l->type_base), py->known[MA_KT_LONG]);
}

static void put_interpreter(const struct ma_python *py)
{
	const struct ma_layout *l = &py->layout;
	const int32_t dicts[] = { l->interp_sysdict, l->interp_builtins,
				  l->minor <= 11 ? l->interp_modules_old : l->interp_modules };
	put(field(0, l->runtime_interp_head), BASE + INTERP);
	put(field(INTERP, l->minor <= 10 ? l->interp_tstate_head_old : l->interp_tstate_head), BASE + TSTATE);
	put(field(TSTATE, l->tstate_interp), BASE + INTERP);
	for (uint32_t i = 0; i < MA_ARRAY_SIZE(dicts); i++) {
		put(field(INTERP, dicts[i]), BASE + DICTS + i * 0x1000);
		put(field(DICTS + i * 0x1000, l->object_type), py->known[MA_KT_DICT]);
	}
	put(field(INTERP, l->interp_gil), BASE + GIL);
	put_gc(0, l->minor == 8 ? l->runtime_gc_generations : MA_ABSENT);
	put_gc(INTERP, l->minor >= 9 ? l->interp_gc_generations : MA_ABSENT);
}

static bool sound(unsigned minor, struct ma_python *py)
{
	memset(py, 0, sizeof(*py));
	memset(image, 0, sizeof(image));
	ma_layout_clear(&py->layout, 0x030000 | minor << 8);
	if (!ma_layout_from_table(&py->layout, NULL, 0))
		return false;
	py->runtime = BASE;
	put_types(py);
	put_interpreter(py);
	return true;
}

static void validate(unsigned minor, const uint8_t *data, size_t size)
{
	static struct ma_python py;
	static unsigned made;
	if (made != minor && !sound(minor, &py)) {
		made = 0;
		return;
	}
	made = minor;
	patched_memory_clear();
	patched_memory_add(BASE, image, sizeof(image));
	struct ma_error *err = size ? NULL : ma_python_validate(1, &py);
	if (err) {
		fprintf(stderr, "3.%u: %s\n", minor, err->message);
		abort(); /* unchanged it is sound: else the fuzzer would stop at the first check */
	}
	patched_memory_change(data, size);
	ma_error_free(ma_python_validate(1, &py));
	patched_memory_restore();
}

static void debug_offsets(unsigned minor, uint8_t *data, size_t size)
{
	struct ma_layout l, table;
	bool any;
	uint32_t version;
	(void)ma_version_search((const char *)data, size, &version);
	patched_memory_clear();
	patched_memory_add(BASE, data, size);
	ma_layout_clear(&l, 0x030000 | minor << 8);
	table = l;
	struct ma_error *err = ma_layout_from_debug_offsets(1, BASE, &l, &any);
	if (!err && ma_layout_from_table(&table, &l, 0)) {
		(void)ma_layout_compare(&l, &table);
		ma_layout_merge(&l, &table);
		err = ma_layout_validate(&l);
	}
	ma_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned minor = size ? 8 + data[0] % 8 : 0;
	if (!size)
		return 0;
	if (!(data[0] & 0x80)) {
		validate(minor, data + 1, size - 1);
		return 0;
	}
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	debug_offsets(minor, copy, size - 1);
	free(copy);
	return 0;
}
