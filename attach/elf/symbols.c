// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "elf_internal.h"

#include <gelf.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct ma_elf_symbol *const *)a)->name, (*(struct ma_elf_symbol *const *)b)->name);
}

struct search {
	struct ma_elf_symbol **sorted; /* several may have one name: then the first is found, and copied at the end */
	size_t count;
};

static struct ma_elf_symbol *wanted(const struct search *s, const char *name, size_t len)
{
	size_t lo = 0, hi = s->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const char *its = s->sorted[mid]->name;
		int c = strncmp(its, name, len);
		if (c == 0 && its[len])
			c = 1;
		if (c == 0)
			return s->sorted[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void scan(const struct ma_elf *e, Elf_Scn *section, const GElf_Shdr *sh, const struct search *s)
{
	Elf_Data *data = elf_getdata(section, NULL);
	if (!data || !sh->sh_entsize)
		return;
	size_t count = data->d_size / sizeof(Elf64_Sym);
	bool local_suffix = sh->sh_type == SHT_SYMTAB;
	for (size_t i = 1; i < count && i < INT32_MAX; i++) {
		GElf_Sym sym;
		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		unsigned type = GELF_ST_TYPE(sym.st_info);
		if (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE)
			continue;
		const char *name = elf_strptr(e->elf, sh->sh_link, sym.st_name);
		if (!name || !*name)
			continue;
		size_t len = strlen(name);
		if (local_suffix && GELF_ST_BIND(sym.st_info) == STB_LOCAL)
			len = strcspn(name, ".");
		struct ma_elf_symbol *w = len ? wanted(s, name, len) : NULL;
		if (!w || w->found)
			continue;
		w->found = true;
		w->vaddr = sym.st_value;
		w->bytes = sym.st_size;
	}
}

struct ma_error *ma_elf_find_symbols(const struct ma_elf *e, struct ma_elf_symbol *symbols, size_t count)
{
	struct search s = { NULL, count };
	_cleanup_free_ struct ma_elf_symbol **sorted = calloc(count ? count : 1, sizeof(struct ma_elf_symbol *));
	if (!sorted)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++) {
		sorted[i] = &symbols[i];
		symbols[i].found = false;
		symbols[i].vaddr = symbols[i].bytes = 0;
	}
	qsort(sorted, count, sizeof(struct ma_elf_symbol *), by_name);
	s.sorted = sorted;
	const unsigned kinds[] = { SHT_DYNSYM, SHT_SYMTAB };
	for (size_t k = 0; k < MA_ARRAY_SIZE(kinds); k++) {
		for (Elf_Scn *section = NULL; (section = elf_nextscn(e->elf, section));) {
			GElf_Shdr sh;
			if (gelf_getshdr(section, &sh) && sh.sh_type == kinds[k])
				scan(e, section, &sh, &s);
		}
		size_t missing = 0;
		for (size_t i = 0; i < count; i++)
			missing += !symbols[i].found;
		if (!missing)
			break;
	}
	return NULL;
}
