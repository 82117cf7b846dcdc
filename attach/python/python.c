// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "python_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define OLDEST_MINOR 8
#define NEWEST_MINOR 15

static struct ma_error *refuse_version(uint32_t version)
{
	unsigned major = version >> 16, minor = version >> 8 & 0xff;
	if (major < 3 || minor < OLDEST_MINOR)
		return ma_errorf(MA_ERR_UNSUPPORTED, "Python %u.%u is too old: 3.%d and later are supported", major,
				 minor, OLDEST_MINOR);
	if (major > 3 || minor > NEWEST_MINOR)
		return ma_errorf(MA_ERR_UNSUPPORTED, "Python %u.%u is not supported yet: 3.%d to 3.%d are", major,
				 minor, OLDEST_MINOR, NEWEST_MINOR);
	return NULL;
}

/* Adds what `from` knows. A source that contradicts a more trusted one is of another build: nothing is taken from it
 * and its bit stays unset. */
static const struct ma_layout_row *add_source(struct ma_python *py, const struct ma_layout *from,
					      enum ma_layout_source source, const char *name)
{
	const struct ma_layout_row *differs = ma_layout_compare(&py->layout, from);
	if (differs)
		return differs;
	ma_layout_merge(&py->layout, from);
	if (!py->sources)
		py->source_name = name;
	py->sources |= source;
	return NULL;
}

/* `rank`: which of the tables, the best first. *more_ret: there is another. */
static struct ma_error *read_layout(pid_t pid, const struct ma_image *im, struct ma_python *py, unsigned rank,
				    bool *more_ret)
{
	struct ma_layout l;
	const struct ma_layout_row *differs = NULL;
	bool any;
	uint32_t debug_build = py->layout.debug_build;
	ma_layout_clear(&py->layout, py->layout.version);
	ma_layout_clear(&l, py->layout.version);
	py->layout.debug_build = l.debug_build = debug_build;
	py->sources = 0;
	py->source_name = "table";
	MA_TRY(ma_layout_from_debug_offsets(pid, py->runtime, &l, &any)); /* first: it knows free-threaded builds */
	struct ma_layout dwarf;
	bool any_dwarf;
	ma_layout_clear(&dwarf, py->layout.version);
	MA_TRY(ma_layout_from_dwarf(im->elf, &dwarf, &any_dwarf));
	if (!any_dwarf && im->debug)
		MA_TRY(ma_layout_from_dwarf(im->debug, &dwarf, &any_dwarf));
	if (any_dwarf)
		add_source(py, &dwarf, MA_LAYOUT_DWARF, "dwarf");
	if (any)
		differs = add_source(py, &l, MA_LAYOUT_DEBUG_OFFSETS, "debug-offsets");
	ma_layout_clear(&l, py->layout.version);
	l.debug_build = debug_build;
	struct ma_layout next = l;
	*more_ret = ma_layout_from_table(&next, &py->layout, rank + 1);
	if (ma_layout_from_table(&l, &py->layout, rank)) {
		const struct ma_layout_row *row = add_source(py, &l, MA_LAYOUT_TABLE, "table");
		differs = row ? row : differs;
	}
	const struct ma_layout_row *missing = ma_layout_missing(&py->layout);
	if (missing && differs)
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "Python %s: its structures are not those of the releases we know (%s is %d here): "
				 "install its debug symbols",
				 py->version, differs->id, ma_layout_get(&py->layout, differs));
	if (missing)
		return ma_errorf(MA_ERR_UNSUPPORTED, "Python %s: the layout of its structures is not known (%s)",
				 py->version, missing->id);
	return NULL;
}

static struct ma_error *read_symbols(const struct ma_image *im, struct ma_python *py)
{
	enum { ARENAS = MA_KNOWN_COUNT, MAXARENAS, DEBUG_BUILD, COUNT };
	struct ma_elf_symbol s[COUNT] = {
#define MA_KNOWN(id, symbol) [MA_KT_##id] = { .name = symbol },
#include <memattach/known_types.h>
#undef MA_KNOWN
		[ARENAS] = { .name = "arenas" },
		[MAXARENAS] = { .name = "maxarenas" },
		[DEBUG_BUILD] = { .name = "_Py_NegativeRefcount" }, /* Include/object.h: exported under Py_REF_DEBUG
								       only */
	};
	MA_TRY(ma_image_symbols(im, s, COUNT));
	for (size_t i = 0; i < MA_KNOWN_COUNT; i++)
		py->known[i] = s[i].found ? s[i].vaddr : 0;
	if (py->minor <= 11) {
		py->arenas = s[ARENAS].found ? s[ARENAS].vaddr : 0;
		py->maxarenas = s[MAXARENAS].found ? s[MAXARENAS].vaddr : 0;
	}
	py->layout.debug_build = s[DEBUG_BUILD].found;
	return NULL;
}

/* A patch release may have moved a field that only the tables tell: then the tables of other releases are tried. */
static struct ma_error *find_layout(pid_t pid, const struct ma_image *im, struct ma_python *py)
{
	_cleanup_error_ struct ma_error *first = NULL;
	bool more = true;
	for (unsigned rank = 0; more; rank++) {
		struct ma_error *err = read_layout(pid, im, py, rank, &more);
		if (!err)
			err = ma_python_validate(pid, py);
		if (!err || (err->code != MA_ERR_BAD_DATA && !first))
			return err;
		if (first)
			ma_error_free(err);
		else
			first = err;
	}
	return ma_take_ptr(first);
}

/* What is read of a process (TLS, thread pointers, malloc) was only ever tried with glibc. */
static struct ma_error *refuse_libc(const struct ma_maps *maps)
{
	const char *musl = NULL;
	for (size_t i = 0; i < maps->count; i++) {
		const char *path = maps->v[i].path, *name = strrchr(path, '/');
		if (name && !strncmp(name, "/ld-linux", 9))
			return NULL;
		if (name && !strncmp(name, "/ld-musl-", 9))
			musl = path;
	}
	return musl ? ma_errorf(MA_ERR_UNSUPPORTED, "a Python that is linked against musl (%s) is not supported", musl)
		    : NULL;
}

static struct ma_error *find(pid_t pid, int task_dir, const struct ma_maps *maps, struct ma_python *py)
{
	_cleanup_image_ struct ma_image im = { 0 };
	MA_TRY(ma_image_find(pid, task_dir, maps, &im));
	MA_TRY(refuse_libc(maps));
	uint32_t version;
	MA_TRY(ma_version_find(&im, &version));
	MA_TRY(refuse_version(version));
	py->minor = version >> 8 & 0xff;
	py->micro = version & 0xff;
	snprintf(py->version, sizeof(py->version), "3.%u.%u", py->minor, py->micro);
	py->runtime = im.runtime;
	py->fixed = ma_elf_is_fixed(im.elf);
	py->from_memory = im.rebuilt != 0;
	ma_elf_build_id(im.elf, py->build_id);
	ma_layout_clear(&py->layout, version);
	MA_TRY(read_symbols(&im, py));
	py->libpython = strdup(im.path);
	if (!py->libpython)
		return &ma_enomem;
	MA_TRY(find_layout(pid, &im, py));
	if (py->minor <= 11 && !py->arenas)
		MA_TRY(ma_arenas_find(pid, maps->husk ? -1 : task_dir, maps, &im, &py->layout, &py->arenas,
				      &py->maxarenas));
	return NULL;
}

static struct ma_error *find_exe(pid_t pid, int task_dir, struct ma_python *py)
{
	char exe[PATH_MAX];
	ssize_t n = readlinkat(task_dir, "exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? ma_errorf(MA_ERR_TARGET_GONE, "pid %d is gone", pid)
							 : ma_error_os(errno, "/proc/%d/exe", pid);
	exe[n] = 0;
	py->exe = strdup(exe);
	return py->exe ? NULL : &ma_enomem;
}

/* Where a read was not permitted: which check said no. */
static struct ma_error *explain(pid_t pid, int task_dir, struct ma_error *err)
{
	if (err->code != MA_ERR_PERMISSION && err->errnum != EACCES && err->errnum != EPERM)
		return err;
	ma_error_free(err);
	return ma_diagnose_seize(task_dir, pid, EPERM);
}

static struct ma_error *find_once(pid_t pid, int task_dir, struct ma_python *ret)
{
	struct ma_maps maps;
	struct ma_python py = { .source_name = "table" };
	struct ma_error *err = ma_maps_read(task_dir, "maps", &maps);
	if (err)
		return err;
	err = find(pid, task_dir, &maps, &py);
	if (!err)
		err = find_exe(pid, task_dir, &py);
	ma_maps_deinit(&maps);
	if (err)
		ma_python_deinit(&py);
	else
		*ret = py;
	return err;
}

struct ma_error *ma_python_find(pid_t pid, int task_dir, struct ma_python *ret)
{
	uint64_t began = ma_boot_ns();
	for (;;) {
		struct ma_error *err = find_once(pid, task_dir, ret);
		if (!err)
			return NULL;
		if ((err->code != MA_ERR_UNSUPPORTED && err->code != MA_ERR_BAD_DATA) ||
		    !ma_wait_while_young(task_dir, err, began))
			return explain(pid, task_dir, err);
		ma_error_free(err);
	}
}

struct ma_error *ma_python_find_in(pid_t pid, int task_dir, const struct ma_maps *maps, struct ma_python *ret)
{
	struct ma_python py = { .source_name = "table" };
	struct ma_error *err = find(pid, task_dir, maps, &py);
	if (err)
		ma_python_deinit(&py);
	else
		*ret = py;
	return err;
}

void ma_python_deinit(struct ma_python *py)
{
	free(py->exe);
	free(py->libpython);
	*py = (struct ma_python){ 0 };
}
