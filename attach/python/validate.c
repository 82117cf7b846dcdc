// SPDX-License-Identifier: Apache-2.0
/* validate.c - is the layout true? Offsets come from a target's files and memory, or from a table of another patch
 * release. They are checked once, here, and trusted afterwards. */
#include "cleanup.h"
#include "python_internal.h"

#include <errno.h>
#include <string.h>

#define MAX_INTERPRETERS 1024
#define MAX_THREADS 64        /* looked at; there may be more */
#define ATTEMPTS 4            /* the target runs on while it is read */
#define LARGE_BYTES (1 << 20) /* the runtime and interpreter structs hold statically allocated objects */
#define SMALL_BYTES (64 << 10)

static bool is_large(const char *type)
{
	return !strcmp(type, "_PyRuntimeState") || !strcmp(type, "PyInterpreterState") || strstr(type, "obmalloc");
}

struct ma_error *ma_layout_validate(const struct ma_layout *l)
{
	size_t count;
	const struct ma_layout_row *rows = ma_layout_rows(&count);
	for (size_t i = 0; i < count; i++) {
		int32_t v = ma_layout_get(l, &rows[i]);
		if (!ma_layout_row_applies(&rows[i], l))
			continue;
		unsigned alignment = ma_layout_alignment(l, &rows[i]);
		if (v < 0 || v >= (is_large(rows[i].type) ? LARGE_BYTES : SMALL_BYTES) ||
		    (alignment && (unsigned)v % alignment))
			return ma_errorf(MA_ERR_BAD_DATA, "layout: %s (%s%s%s) is %d", rows[i].id, rows[i].type,
					 rows[i].member ? "." : "", rows[i].member ? rows[i].member : "", v);
	}
	return NULL;
}

/* A pointer in the target at addr + offset. */
static struct ma_error *follow(pid_t pid, ma_raddr addr, int32_t offset, ma_raddr *ret)
{
	MA_TRY(ma_peek_u64(pid, addr + (uint64_t)offset, ret));
	if (*ret & 7)
		return ma_errorf(MA_ERR_BAD_DATA, "layout: no pointer at %#lx + %d: %#lx", addr, offset, *ret);
	return NULL;
}

static struct ma_error *check_threads(pid_t pid, const struct ma_layout *l, ma_raddr interp, unsigned *seen)
{
	int32_t head = l->minor <= 10 ? l->interp_tstate_head_old : l->interp_tstate_head;
	ma_raddr tstate, back;
	MA_TRY(follow(pid, interp, head, &tstate));
	for (unsigned n = 0; tstate && n < MAX_THREADS; n++, ++*seen) {
		MA_TRY(follow(pid, tstate, l->tstate_interp, &back));
		if (back != interp)
			return ma_errorf(MA_ERR_BAD_DATA,
					 "layout: thread state %#lx does not point to its interpreter %#lx", tstate,
					 interp);
		MA_TRY(follow(pid, tstate, l->tstate_next, &tstate));
	}
	return NULL;
}

/* The heads of the GC lists: struct gc_generation is {PyGC_Head head; int threshold; int count}, 24 bytes. Both links
 * of a head lead to readable memory at any time; those of members do not, since a running collection keeps counts in
 * their back links (Modules/gcmodule.c, update_refs). */
static struct ma_error *check_gc(pid_t pid, ma_raddr generations)
{
	for (unsigned i = 0; i < 6; i++) {
		ma_raddr at = generations + 24 * (i / 2) + 8 * (i % 2);
		uint64_t link, entry[2];
		MA_TRY(ma_peek_u64(pid, at, &link));
		link &= ~(uint64_t)3; /* flags, as NEXT_MASK_UNREACHABLE */
		/* the head of an empty list is its own neighbour, and need be aligned to 4 only: 3.13.5 has such */
		if (!link || (link & 7 && link != generations + 24 * (i / 2)))
			return ma_errorf(MA_ERR_BAD_DATA, "layout: no GC list at %#lx: %#lx", at, link);
		MA_TRY(ma_peek(pid, link, entry, sizeof(entry)));
	}
	return NULL;
}

static struct ma_error *check_gil(pid_t pid, const struct ma_layout *l, ma_raddr gil)
{
	int32_t locked;
	MA_TRY(ma_peek(pid, gil + (uint64_t)l->gil_locked, &locked, sizeof(locked)));
	if (locked < -1 || locked > 1)
		return ma_errorf(MA_ERR_BAD_DATA, "layout: gil.locked at %#lx is %d", gil + (uint64_t)l->gil_locked,
				 locked);
	return NULL;
}

/* sys.modules and the dictionaries of sys and builtins are three dicts (NULL while the interpreter is being made). */
static struct ma_error *check_dicts(pid_t pid, const struct ma_python *py, ma_raddr interp)
{
	const struct ma_layout *l = &py->layout;
	const int32_t at[] = { l->interp_sysdict, l->interp_builtins,
			       l->minor <= 11 ? l->interp_modules_old : l->interp_modules };
	ma_raddr seen[MA_ARRAY_SIZE(at)] = { 0 };
	for (size_t i = 0; i < MA_ARRAY_SIZE(at); i++) {
		ma_raddr dict, type;
		MA_TRY(follow(pid, interp, at[i], &dict));
		if (!dict)
			continue;
		MA_TRY(follow(pid, dict, l->object_type, &type));
		bool again = dict == seen[0] || dict == seen[1];
		seen[i] = dict;
		if (type != py->known[MA_KT_DICT] || again)
			return ma_errorf(MA_ERR_BAD_DATA, "layout: no dict at interpreter %#lx + %d", interp, at[i]);
	}
	return NULL;
}

static struct ma_error *starting(struct ma_error *err)
{
	if (err != &ma_enomem)
		err->errnum = MA_STARTING;
	return err;
}

static struct ma_error *check_interpreters(pid_t pid, const struct ma_python *py)
{
	const struct ma_layout *l = &py->layout;
	ma_raddr interp, gil;
	unsigned threads = 0;
	MA_TRY(follow(pid, py->runtime, l->runtime_interp_head, &interp));
	if (!interp)
		return starting(ma_errorf(MA_ERR_UNSUPPORTED,
					  "pid %d: Python has no interpreter: it is just starting or ending", pid));
	if (l->minor <= 11)
		MA_TRY(check_gil(pid, l, py->runtime + (uint64_t)l->runtime_gil));
	if (l->minor == 8)
		MA_TRY(check_gc(pid, py->runtime + (uint64_t)l->runtime_gc_generations));
	for (unsigned n = 0; interp; n++) {
		if (n == MAX_INTERPRETERS)
			return ma_errorf(MA_ERR_BAD_DATA, "layout: the list of interpreters has no end");
		MA_TRY(check_threads(pid, l, interp, &threads));
		MA_TRY(check_dicts(pid, py, interp));
		if (l->minor >= 12) {
			MA_TRY(follow(pid, interp, l->interp_gil, &gil));
			if (gil) /* NULL while the interpreter is being made */
				MA_TRY(check_gil(pid, l, gil));
		}
		if (l->minor >= 9 && l->interp_gc_generations != MA_ABSENT)
			MA_TRY(check_gc(pid, interp + (uint64_t)l->interp_gc_generations));
		MA_TRY(follow(pid, interp, l->interp_next, &interp));
	}
	if (!threads)
		return ma_errorf(MA_ERR_BAD_DATA, "layout: no interpreter has a thread");
	return NULL;
}

static struct ma_error *check_type(pid_t pid, const struct ma_python *py, enum ma_known_type which, const char *symbol)
{
	const struct ma_layout *l = &py->layout;
	ma_raddr at = py->known[which], meta, name;
	char text[8] = "";
	if (!at)
		return NULL;
	MA_TRY(follow(pid, at, l->object_type, &meta));
	MA_TRY(ma_peek_u64(pid, at + (uint64_t)l->type_name, &name));
	if (meta != py->known[MA_KT_TYPE])
		return ma_errorf(MA_ERR_BAD_DATA, "layout: %s is not a type", symbol);
	MA_TRY(ma_peek(pid, name, text, 5));
	bool good = which == MA_KT_TYPE ? !strcmp(text, "type") : text[0] > ' ' && text[0] < 127;
	return good ? NULL : ma_errorf(MA_ERR_BAD_DATA, "layout: %s has no name", symbol);
}

/* What is known of the layout of built-in types from outside of it: tp_basicsize is the sizeof() that their compiler
 * saw, the last field of a struct ends there. A field that was added or moved before it shows. */
static struct ma_error *check_sizes(pid_t pid, const struct ma_python *py)
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
	for (size_t i = 0; i < MA_ARRAY_SIZE(sizes); i++) {
		uint64_t v;
		if (!py->known[sizes[i].type])
			continue;
		MA_TRY(ma_peek_u64(pid, py->known[sizes[i].type] + (uint64_t)l->type_basicsize, &v));
		if (v != (uint64_t)sizes[i].bytes)
			return ma_errorf(MA_ERR_BAD_DATA, "layout: size of built-in type %zu is %lu, not %d", i, v,
					 sizes[i].bytes);
	}
	return NULL;
}

static struct ma_error *check_types(pid_t pid, const struct ma_python *py)
{
	const struct ma_layout *l = &py->layout;
	const ma_raddr *known = py->known;
	if (!known[MA_KT_TYPE])
		return ma_errorf(MA_ERR_UNSUPPORTED, "%s does not export PyType_Type", py->libpython);
#define MA_KNOWN(id, symbol) MA_TRY(check_type(pid, py, MA_KT_##id, symbol));
#include <memattach/known_types.h>
#undef MA_KNOWN
	if (!known[MA_KT_BOOL])
		return ma_errorf(MA_ERR_UNSUPPORTED, "%s does not export PyBool_Type", py->libpython);
	ma_raddr base;
	uint64_t flags, bool_flags;
	MA_TRY(ma_peek_u64(pid, known[MA_KT_TYPE] + (uint64_t)l->type_flags, &flags));
	MA_TRY(ma_peek_u64(pid, known[MA_KT_BOOL] + (uint64_t)l->type_flags, &bool_flags));
	if (flags >> 31 != 1) /* Py_TPFLAGS_TYPE_SUBCLASS, the highest in use */
		return ma_errorf(MA_ERR_BAD_DATA, "layout: the flags of type are %#lx", flags);
	if (!(flags & bool_flags & 1 << 12)) /* Py_TPFLAGS_READY */
		return starting(ma_errorf(MA_ERR_UNSUPPORTED, "pid %d: Python is just starting", pid));
	MA_TRY(follow(pid, known[MA_KT_BOOL], l->type_base, &base));
	if (base != known[MA_KT_LONG])
		return ma_errorf(MA_ERR_BAD_DATA, "layout: the base of bool is %#lx", base);
	return check_sizes(pid, py);
}

struct ma_error *ma_python_validate(pid_t pid, const struct ma_python *py)
{
	MA_TRY(ma_layout_validate(&py->layout));
	struct ma_error *err = NULL;
	for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
		ma_error_free(err);
		err = check_interpreters(pid, py);
		if (!err)
			err = check_types(pid, py);
		if (!err || err->code != MA_ERR_BAD_DATA)
			return err;
	}
	return err;
}
