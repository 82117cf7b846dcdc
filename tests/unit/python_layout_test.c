// link: ma_python ma_elf ma_proc ma_base
// SPDX-License-Identifier: Apache-2.0
/* The sources of a layout: they agree on every row, and wrong ones are found out. */
#include "python_internal.h"
#include "python_target.h"

static struct ma_layout layout_of_table(uint32_t version)
{
	struct ma_layout l;
	ma_layout_clear(&l, version);
	cr_assert(ma_layout_from_table(&l, NULL, 0), "no table for %#x", version);
	return l;
}

Test(python_layout, ids_are_declared_once)
{
	size_t count;
	const struct ma_layout_row *rows = ma_layout_rows(&count);
	for (size_t i = 0; i < count; i++) {
		cr_expect_leq(rows[i].lo, rows[i].hi, "%s", rows[i].id);
		for (size_t k = 0; k < i; k++) {
			if (rows[k].at == rows[i].at)
				cr_expect(rows[k].hi < rows[i].lo || rows[i].hi < rows[k].lo, "%s overlaps",
					  rows[i].id);
		}
	}
}

/* Every row of a version is in its table and nothing else is; a failure means: run tools/layouts/generate. */
Test(python_layout, tables_are_complete)
{
	size_t count;
	const struct ma_layout_row *rows = ma_layout_rows(&count);
	for (unsigned minor = 8, rank = 0; minor <= 15;) {
		struct ma_layout l;
		ma_layout_clear(&l, 3u << 16 | minor << 8);
		if (!ma_layout_from_table(&l, NULL, rank++)) {
			cr_expect_gt(rank, 1, "no table for 3.%u", minor);
			minor++;
			rank = 0;
			continue;
		}
		cr_expect_null(ma_layout_missing(&l), "3.%u: %s", minor, ma_layout_missing(&l)->id);
		assert_ok(ma_layout_validate(&l));
		for (size_t i = 0; i < count; i++) {
			bool applies = false;
			for (size_t k = 0; k < count; k++)
				applies |= rows[k].at == rows[i].at && ma_layout_row_applies(&rows[k], &l);
			cr_expect(applies || ma_layout_get(&l, &rows[i]) == MA_ABSENT, "3.%u: %s", minor, rows[i].id);
		}
	}
}

/* Row by row, for every Python: debug information, its own debug offsets, and the table say the same. */
Test(python_layout, sources_agree, .timeout = 100)
{
	size_t rows_count;
	const struct ma_layout_row *rows = ma_layout_rows(&rows_count);
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		struct target t = target_python(pythons[i], TARGET_WAIT);
		struct ma_maps maps;
		_cleanup_image_ struct ma_image im = { 0 };
		uint32_t version;
		bool any_dwarf, any_debug;
		assert_ok(ma_maps_read(t.dir, "maps", &maps));
		assert_ok(ma_image_find(t.pid, t.dir, &maps, &im));
		assert_ok(ma_version_find(&im, &version));
		struct ma_layout dwarf, debug, table;
		ma_layout_clear(&table, version);
		table.debug_build = pythons[i][strlen(pythons[i]) - 1] == 'd';
		cr_assert(ma_layout_from_table(&table, NULL, 0), "no table for %s", pythons[i]);
		ma_layout_clear(&dwarf, version);
		ma_layout_clear(&debug, version);
		assert_ok(ma_layout_from_dwarf(im.elf, &dwarf, &any_dwarf));
		assert_ok(ma_layout_from_debug_offsets(t.pid, im.runtime, &debug, &any_debug));
		if (!target_in_tree(pythons[i])) /* Debian's packages of debug builds have some of it */
			cr_expect_eq(any_dwarf, !!strstr(pythons[i], "/versions/"));
		cr_expect_eq(any_debug, (version >> 8 & 0xff) >= 13);
		for (size_t k = 0; k < rows_count; k++) {
			if (!ma_layout_row_applies(&rows[k], &table))
				continue;
			int32_t a = ma_layout_get(&table, &rows[k]), b = ma_layout_get(&dwarf, &rows[k]),
				c = ma_layout_get(&debug, &rows[k]);
			cr_expect_eq(a, any_dwarf ? b : a, "%s: %s is %d by table, %d by DWARF", pythons[i], rows[k].id,
				     a, b);
			cr_expect(c == MA_ABSENT || c == a, "%s: %s is %d by table, %d by debug offsets", pythons[i],
				  rows[k].id, a, c);
		}
		ma_maps_deinit(&maps);
		target_end(&t);
	}
}

/* 3.13.5 moved the lists of the collector by four bytes, which its debug offsets do not tell: between the releases that
 * we have headers of, the next table is tried. A debug build takes the table of one. */
Test(python_layout, order_of_tables)
{
	struct ma_layout l;
	ma_layout_clear(&l, 0x030d03);
	struct ma_layout first = l, second = l;
	cr_assert(ma_layout_from_table(&first, NULL, 0) && ma_layout_from_table(&second, NULL, 1));
	cr_expect_neq(first.interp_gc_generations, second.interp_gc_generations, "3.13.5's and 3.13.0's");
	second = l;
	l.interp_gc_generations = first.interp_gc_generations - 4; /* known from elsewhere */
	for (unsigned rank = 0; rank < 3; rank++)
		cr_expect(ma_layout_from_table(&second, &l, rank));
	cr_expect_not(ma_layout_from_table(&second, &l, 3));
	struct ma_layout release = layout_of_table(0x030e0a), debug;
	ma_layout_clear(&debug, 0x030e0a);
	debug.debug_build = 1;
	cr_assert(ma_layout_from_table(&debug, NULL, 0));
	cr_expect_not_null(ma_layout_compare(&debug, &release), "a debug build has fields of its own");
}

/* No free-threaded build is at hand: one that says so in its debug offsets is refused by name, before any use. */
Test(python_layout, free_threaded_is_refused)
{
	static struct {
		char cookie[8];
		uint64_t version, free_threaded, rest[256];
	} offsets = { { 'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y' }, 0, 1, { 0 } };
	static const uint32_t versions[] = { 0x030d05, 0x030e00, 0x030f02 };
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		struct ma_layout l;
		bool any;
		char text[64];
		offsets.version = (uint64_t)versions[i] << 8 | 0xf0;
		ma_layout_clear(&l, versions[i]);
		snprintf(text, sizeof(text), "free-threaded Python 3.%u is not supported", versions[i] >> 8 & 0xff);
		assert_error(ma_layout_from_debug_offsets(getpid(), (ma_raddr)(uintptr_t)&offsets, &l, &any),
			     MA_ERR_UNSUPPORTED, text);
		offsets.free_threaded = 0;
		assert_ok(ma_layout_from_debug_offsets(getpid(), (ma_raddr)(uintptr_t)&offsets, &l, &any));
		offsets.free_threaded = 1;
	}
}

Test(python_layout, compare_and_merge)
{
	struct ma_layout a, b = layout_of_table(0x030b07);
	ma_layout_clear(&a, 0x030b07);
	cr_expect_null(ma_layout_compare(&a, &b));
	a.tstate_next = b.tstate_next + 8;
	cr_expect_str_eq(ma_layout_compare(&a, &b)->id, "tstate_next");
	ma_layout_merge(&a, &b);
	cr_expect_eq(a.tstate_next, b.tstate_next + 8, "a merge must not overwrite");
	cr_expect_eq(a.tstate_interp, b.tstate_interp);
}

Test(python_layout, offsets_out_of_bounds)
{
	struct ma_layout l = layout_of_table(0x030b07);
	assert_ok(ma_layout_validate(&l));
	l.dict_used = 1 << 20;
	assert_error(ma_layout_validate(&l), MA_ERR_BAD_DATA, "dict_used");
	l.dict_used = -8;
	assert_error(ma_layout_validate(&l), MA_ERR_BAD_DATA, "dict_used");
	l.dict_used = 20; /* a Py_ssize_t */
	assert_error(ma_layout_validate(&l), MA_ERR_BAD_DATA, "dict_used");
}

/* A patch release that moved a field, where only the table is at hand: each of these must be found out. */
Test(python_layout, moved_fields_are_found, .timeout = 60)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++) {
		struct target t = target_python(pythons[i], TARGET_WAIT);
		struct ma_python py;
		assert_ok(ma_python_find(t.pid, t.dir, &py));
		assert_ok(ma_python_validate(t.pid, &py));
		struct ma_layout good = py.layout;
		struct ma_layout *l = &py.layout;
		int32_t *moved[] = {
			&l->runtime_interp_head, py.minor <= 10 ? &l->interp_tstate_head_old : &l->interp_tstate_head,
			&l->tstate_interp,       py.minor == 8 ? &l->runtime_gc_generations : &l->interp_gc_generations,
			&l->type_name,           &l->object_type,
			&l->sizeof_str,          &l->sizeof_heaptype,
			&l->interp_sysdict,      py.minor <= 11 ? &l->interp_modules_old : &l->interp_modules,
			&l->type_base,           &l->type_flags,
			&l->dict_values,         &l->list_allocated,
			&l->type_basicsize,
		};
		for (size_t k = 0; k < sizeof(moved) / sizeof(*moved); k++) {
			/* the word behind may hold the same, or such another; 3.14: 16 behind is the main thread */
			*moved[k] += k == 1 && py.minor >= 14 ? 24 : k < 2 ? 16 : 8;
			struct ma_error *err = ma_python_validate(t.pid, &py);
			cr_expect_not_null(err, "%s: move %zu was not noticed", pythons[i], k);
			ma_error_free(err);
			py.layout = good;
		}
		ma_python_deinit(&py);
		target_end(&t);
	}
}

Test(python_layout, version_text)
{
	static const struct {
		const char *text;
		size_t bytes;
		uint32_t version;
	} good[] = {
#define TEXT(s, v) { s, sizeof(s), v }
		TEXT("xx\0cpython-38\0"
		     "3.8.18",
		     0x030812),
		TEXT("Python 3.10.13\0cpython-310", 0x030a0d),
		TEXT("2.3.9.1\0"
		     "13.9.2\0cpython-39\0"
		     "3.9.2+",
		     0x030902),
		TEXT("cpython-37m\0"
		     "3.7.16",
		     0x030710),
		TEXT("2.7.18", 0x020712),
		TEXT("cpython-310", 0x030a00),
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		uint32_t v = 0;
		cr_expect(ma_version_search(good[i].text, good[i].bytes, &v), "%zu", i);
		cr_expect_eq(v, good[i].version, "%zu: %#x", i, v);
	}
	uint32_t v;
	cr_expect_not(ma_version_search("", 0, &v));
	cr_expect_not(ma_version_search("cpython-", 8, &v));
	cr_expect_not(ma_version_search("3.8.18", 7, &v), "no tag, no Python");
}
