// SPDX-License-Identifier: Apache-2.0
/* dwarf.c - offsets and sizes of C types. One pass over the top-level entries of all units: a type is taken from
 * the first unit in which it is complete. GCC's LTO puts the types into early units, dwz into partial units (and into
 * a shared file); both are units like others here. */
#include "cleanup.h"
#include "elf_internal.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <string.h>

#define MAX_DEPTH 16 /* of nested members; CPython's deepest is 4 */

enum want_kind { WANT_TYPEDEF, WANT_STRUCT, WANT_UNION };

struct want { /* a type that is asked for */
	enum want_kind kind;
	const char *name;
	Dwarf_Die die; /* of the complete struct or union */
	bool found;
	const char *tag; /* of a typedef whose struct was only declared where it was met */
	int tag_kind;
};

struct wants {
	struct want *v;
	size_t count, missing;
	uint64_t filter[16]; /* a bit by hash of each name: most names are turned away by it */
};

static unsigned hash(const char *s)
{
	unsigned h = 5381;
	for (; *s; s++)
		h = h * 33 + (unsigned char)*s;
	return h;
}

static void filter_add(struct wants *w, const char *name)
{
	unsigned h = hash(name);
	w->filter[h >> 6 & 15] |= 1ull << (h & 63);
}

static bool filter_has(const struct wants *w, const char *name)
{
	unsigned h = hash(name);
	return w->filter[h >> 6 & 15] >> (h & 63) & 1;
}

static void split_type(const char *type, enum want_kind *kind_ret, const char **name_ret)
{
	*kind_ret = WANT_TYPEDEF;
	*name_ret = type;
	if (!strncmp(type, "struct ", 7)) {
		*kind_ret = WANT_STRUCT;
		*name_ret = type + 7;
	} else if (!strncmp(type, "union ", 6)) {
		*kind_ret = WANT_UNION;
		*name_ret = type + 6;
	}
}

static struct want *find_want(struct wants *w, const char *type)
{
	enum want_kind kind;
	const char *name;
	split_type(type, &kind, &name);
	for (size_t i = 0; i < w->count; i++) {
		if (w->v[i].kind == kind && !strcmp(w->v[i].name, name))
			return &w->v[i];
	}
	return NULL;
}

static bool is_complete(Dwarf_Die *die)
{
	return !dwarf_hasattr(die, DW_AT_declaration);
}

static void take(struct wants *w, struct want *want, const Dwarf_Die *die)
{
	want->die = *die;
	want->found = true;
	w->missing--;
}

/* Where the section that `p` points into ends in memory; NULL when there is none. */
static const char *section_end(Dwarf *dbg, const char *p)
{
	Elf *elf = dwarf_getelf(dbg);
	for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn; scn = elf_nextscn(elf, scn)) {
		const Elf_Data *data = elf_getdata(scn, NULL);
		const char *start = data ? data->d_buf : NULL;
		if (start && p >= start && p < start + data->d_size)
			return start + data->d_size;
	}
	return NULL;
}

/* The name of a DIE. libdw does not look for the end of a string: at the end of its section it may have none. */
static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attr));
	const char *end = name ? section_end(dwarf_cu_getdwarf(attr.cu), name) : NULL;
	return end && memchr(name, 0, (size_t)(end - name)) ? name : NULL;
}

static void visit_typedef(struct wants *w, struct want *want, Dwarf_Die *die)
{
	Dwarf_Die target;
	Dwarf_Attribute attr;
	if (!dwarf_formref_die(dwarf_attr(die, DW_AT_type, &attr), &target) || dwarf_peel_type(&target, &target))
		return;
	int tag = dwarf_tag(&target);
	if (is_complete(&target)) {
		take(w, want, &target);
	} else if (!want->tag && (tag == DW_TAG_structure_type || tag == DW_TAG_union_type)) {
		want->tag = name_of(&target);
		want->tag_kind = tag;
		if (want->tag)
			filter_add(w, want->tag);
	}
}

static void visit(struct wants *w, Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	if (tag != DW_TAG_typedef && tag != DW_TAG_structure_type && tag != DW_TAG_union_type)
		return;
	const char *name = name_of(die);
	if (!name || !filter_has(w, name))
		return;
	for (size_t i = 0; i < w->count; i++) {
		struct want *want = &w->v[i];
		if (want->found)
			continue;
		if (tag == DW_TAG_typedef) {
			if (want->kind == WANT_TYPEDEF && !strcmp(want->name, name))
				visit_typedef(w, want, die);
			continue;
		}
		bool by_tag = want->tag && want->tag_kind == tag && !strcmp(want->tag, name);
		bool by_name = want->kind == (tag == DW_TAG_structure_type ? WANT_STRUCT : WANT_UNION) &&
			       !strcmp(want->name, name);
		if ((by_tag || by_name) && is_complete(die))
			take(w, want, die);
	}
}

static void scan_units(Dwarf *dbg, struct wants *w)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, die;
	while (w->missing && dwarf_get_units(dbg, cu, &cu, NULL, NULL, &unit, NULL) == 0) {
		if (dwarf_child(&unit, &die))
			continue;
		do
			visit(w, &die);
		while (w->missing && dwarf_siblingof(&die, &die) == 0);
	}
}

/* ---- members */
static bool member_location(Dwarf_Die *member, uint64_t *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;
	if (!dwarf_attr(member, DW_AT_data_member_location, &attr)) {
		*ret = 0; /* a member of a union has none */
		return !dwarf_hasattr(member, DW_AT_data_bit_offset);
	}
	if (dwarf_formudata(&attr, &value) == 0) {
		*ret = value;
		return true;
	}
	Dwarf_Op *ops;
	size_t count;
	if (dwarf_getlocation(&attr, &ops, &count) || count != 1 || ops[0].atom != DW_OP_plus_uconst)
		return false;
	*ret = ops[0].number;
	return true;
}

static bool member_type(Dwarf_Die *member, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;
	return dwarf_formref_die(dwarf_attr(member, DW_AT_type, &attr), ret) && !dwarf_peel_type(ret, ret);
}

/* Member `name` (of `len` characters) of struct `die`, also inside of anonymous members. */
static bool find_member(Dwarf_Die *die, const char *name, size_t len, unsigned depth, uint64_t *offset_ret,
			Dwarf_Die *type_ret)
{
	Dwarf_Die m;
	if (depth > MAX_DEPTH || dwarf_child(die, &m))
		return false;
	do {
		if (dwarf_tag(&m) != DW_TAG_member)
			continue;
		const char *its = name_of(&m);
		uint64_t inner = 0, offset;
		Dwarf_Die type;
		if (its && (strncmp(its, name, len) || its[len]))
			continue;
		if (!member_location(&m, &offset) || !member_type(&m, &type))
			continue;
		if (!its) {
			int tag = dwarf_tag(&type);
			if ((tag != DW_TAG_structure_type && tag != DW_TAG_union_type) ||
			    !find_member(&type, name, len, depth + 1, &inner, &type))
				continue;
		}
		*offset_ret = offset + inner;
		*type_ret = type;
		return true;
	} while (dwarf_siblingof(&m, &m) == 0);
	return false;
}

static int64_t type_bytes(Dwarf_Die *type)
{
	Dwarf_Word bytes;
	return dwarf_aggregate_size(type, &bytes) || bytes > INT32_MAX ? -1 : (int64_t)bytes;
}

/* "[N]" of an array: its element type, and N times its size. */
static bool index_array(Dwarf_Die *type, unsigned long index, uint64_t *offset)
{
	Dwarf_Die element;
	if (dwarf_tag(type) != DW_TAG_array_type || !member_type(type, &element))
		return false;
	int64_t bytes = type_bytes(&element);
	if (bytes < 0 || index > 4096)
		return false;
	*offset += index * (uint64_t)bytes;
	*type = element;
	return true;
}

static void answer(struct ma_dwarf_query *q, const Dwarf_Die *of)
{
	Dwarf_Die type = *of;
	uint64_t offset = 0;
	const char *p = q->member;
	while (p && *p) {
		if (*p == '[') {
			char *end;
			unsigned long index = strtoul(p + 1, &end, 10);
			if (*end != ']' || !index_array(&type, index, &offset))
				return;
			p = end + 1;
		} else {
			p += *p == '.';
			size_t len = strcspn(p, ".[");
			uint64_t at;
			if (!len || !find_member(&type, p, len, 0, &at, &type))
				return;
			offset += at;
			p += len;
		}
		if (offset > INT32_MAX)
			return;
	}
	q->bytes = type_bytes(&type);
	q->value = q->member ? (int64_t)offset : q->bytes;
}

static void dwarf_end_p(Dwarf **dbg)
{
	dwarf_end(*dbg);
}

struct ma_error *ma_dwarf_resolve(const struct ma_elf *e, struct ma_dwarf_query *queries, size_t count, bool *any_ret)
{
	for (size_t i = 0; i < count; i++)
		queries[i].value = queries[i].bytes = -1;
	__attribute__((__cleanup__(dwarf_end_p))) Dwarf *dbg = dwarf_begin_elf(e->elf, DWARF_C_READ, NULL);
	Dwarf_CU *first;
	if (!dbg || dwarf_get_units(dbg, NULL, &first, NULL, NULL, NULL, NULL)) {
		*any_ret = false;
		return NULL;
	}
	struct wants w = { 0 };
	_cleanup_free_ struct want *v = calloc(count ? count : 1, sizeof(struct want));
	if (!v)
		return &ma_enomem;
	w.v = v;
	for (size_t i = 0; i < count; i++) {
		if (find_want(&w, queries[i].type))
			continue;
		struct want *want = &w.v[w.count++];
		split_type(queries[i].type, &want->kind, &want->name);
		filter_add(&w, want->name);
	}
	w.missing = w.count;
	scan_units(dbg, &w);
	Dwarf *alt = w.missing ? dwarf_getalt(dbg) : NULL;
	if (alt)
		scan_units(alt, &w);
	for (size_t i = 0; i < count; i++) {
		struct want *want = find_want(&w, queries[i].type);
		if (want && want->found)
			answer(&queries[i], &want->die);
	}
	*any_ret = true;
	return NULL;
}
