// link: ma_python ma_elf ma_proc ma_base
// SPDX-License-Identifier: Apache-2.0
/* `arenas` found by its shape: where the symbol table knows it, both say the same. */
#include "python_internal.h"
#include "python_target.h"

/* Three million objects; then all are freed but one in 50,000, so that arenas of all kinds of fill are there. */
static const char fragmented[] = "import sys\n"
				 "x = [object() for i in range(3000000)]\n"
				 "x = x[::50000]\n"
				 "print('ready', flush=True); sys.stdin.read()";
/* As many arenas as have room in the first table and one more: the table moves. */
static const char growing[] = "import sys\n"
			      "x = [object() for i in range(1500000)]\n"
			      "print('ready', flush=True); sys.stdin.read()";

/* The table is there up to 3.11; a million objects in each later Python would only take time. */
static bool has_table(const char *python)
{
	const char *at = strstr(python, "versions/3."), *name = at ? at + 11 : strstr(python, "/python3.");
	return !name || strtol(at ? name : name + 9, NULL, 10) <= 11;
}

static void check(const char *python, const char *program)
{
	struct target t = target_python(python, program);
	struct ma_maps maps;
	_cleanup_image_ struct ma_image im = { 0 };
	uint32_t version;
	struct ma_layout l;
	ma_raddr arenas, maxarenas;
	assert_ok(ma_maps_read(t.dir, "maps", &maps));
	assert_ok(ma_image_find(t.pid, t.dir, &maps, &im));
	assert_ok(ma_version_find(&im, &version));
	ma_layout_clear(&l, version);
	if (l.minor <= 11) {
		struct ma_elf_symbol s[] = { { .name = "arenas" }, { .name = "maxarenas" } };
		assert_ok(ma_image_symbols(&im, s, 2));
		assert_ok(ma_arenas_find(t.pid, t.dir, &maps, &im, &l, &arenas, &maxarenas));
		cr_expect_neq(arenas, 0, "%s: not found", python);
		cr_expect_neq(maxarenas, 0, "%s: maxarenas was not found", python);
		if (s[0].found)
			cr_expect_eq(arenas, s[0].vaddr, "%s: arenas is not %#lx", python, arenas);
		if (s[1].found)
			cr_expect_eq(maxarenas, s[1].vaddr, "%s: maxarenas is not %#lx", python, maxarenas);
	}
	ma_maps_deinit(&maps);
	target_end(&t);
}

Test(python_arenas, idle, .timeout = 110)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++)
		check(pythons[i], TARGET_WAIT);
}

Test(python_arenas, fragmented, .timeout = 110)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++)
		if (has_table(pythons[i]))
			check(pythons[i], fragmented);
}

Test(python_arenas, growing, .timeout = 110)
{
	char **pythons;
	size_t count = target_pythons(false, &pythons);
	for (size_t i = 0; i < count; i++)
		if (has_table(pythons[i]))
			check(pythons[i], growing);
}

/* Our own process as the target, with the variables in any order and two rivals that point to the first entry. */
struct arena_object {
	uint64_t address, pool_address;
	uint32_t nfreepools, ntotalpools;
	uint64_t freepools, nextarena, prevarena;
};

Test(python_arenas, rivals)
{
	enum { ENTRIES = 32, POOL = 16 << 10, ARENA = 1 << 20 };
	struct arena_object *array;
	char *memory;
	cr_assert_eq(posix_memalign((void **)&array, 16, ENTRIES * sizeof(*array) + 4096), 0);
	memset(array, 0, ENTRIES * sizeof(*array) + 4096);
	cr_assert_eq(posix_memalign((void **)&memory, ARENA, 20 * ARENA), 0);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		bool used = i < 20;
		array[i].nextarena = i + 1 < ENTRIES ? (uint64_t)(uintptr_t)&array[i + 1] : 0;
		if (!used)
			continue;
		array[i].address = (uint64_t)(uintptr_t)memory + (uint64_t)i * ARENA;
		array[i].pool_address = array[i].address + 2 * POOL;
		array[i].ntotalpools = ARENA / POOL;
		array[i].nfreepools = ARENA / POOL - 2;
		uint32_t *pool = (uint32_t *)(uintptr_t)array[i].address;
		pool[8] = pool[8 + POOL / 4] = i; /* arenaindex */
	}
	uint64_t words[64] = { 0 };
	uint64_t base = (uint64_t)(uintptr_t)array;
	words[3] = base;                        /* usable_arenas */
	words[20] = base;                       /* arenas */
	words[21] = ENTRIES;                    /* maxarenas */
	words[30] = base;                       /* nfp2lasta[..] */
	words[40] = base + 20 * sizeof(*array); /* unused_arena_objects */
	words[41] = (uint64_t)(uintptr_t)words; /* something else */
	struct ma_data d = { 0x1000000, sizeof(words), words };
	struct ma_layout l;
	struct ma_maps maps;
	ma_raddr arenas, maxarenas;
	ma_layout_clear(&l, 0x030b07);
	int dir = open("/proc/self", O_RDONLY | O_DIRECTORY);
	assert_ok(ma_maps_read(dir, "maps", &maps));
	ma_arenas_search(getpid(), &maps, &l, &d, &arenas, &maxarenas);
	cr_expect_eq(arenas, d.base + 20 * 8, "%#lx", arenas);
	cr_expect_eq(maxarenas, d.base + 21 * 8, "%#lx", maxarenas);
	words[21] = ENTRIES / 2; /* not the number of entries */
	ma_arenas_search(getpid(), &maps, &l, &d, &arenas, &maxarenas);
	cr_expect_eq(maxarenas, 0);
	((uint32_t *)(uintptr_t)array[7].address)[8] = 9; /* a pool of another arena */
	ma_arenas_search(getpid(), &maps, &l, &d, &arenas, &maxarenas);
	cr_expect_eq(arenas, 0, "a pool denies it");
	ma_maps_deinit(&maps);
	close(dir);
	free(array);
	free(memory);
}
