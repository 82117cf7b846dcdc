// SPDX-License-Identifier: Apache-2.0
/* image.c - which of the mapped files is the interpreter. Files are opened through /proc/PID/map_files, which gives
 * the very file that is mapped even when it is deleted or in another mount namespace (needs CAP_SYS_ADMIN or
 * CAP_CHECKPOINT_RESTORE), else by name below /proc/PID/root, and then they must prove to be the mapped one; else an
 * image is made from memory. */
#include "cleanup.h"
#include "mapped_file.h"
#include "python_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PROOF_BYTES 4096u

struct candidate {
	const struct ma_map *map; /* its lowest mapping */
	int rank;                 /* 0 the executable, 1 libpython by name, 2 other */
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int by_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank - y->rank;
	return x->map->start < y->map->start ? -1 : 1;
}

/* One candidate for each file of which something is mapped executable. */
static struct ma_error *list_candidates(const struct ma_maps *maps, const char *exe, struct candidate **ret, size_t *n)
{
	struct candidate *v = calloc(maps->count ? maps->count : 1, sizeof(*v));
	if (!v)
		return &ma_enomem;
	size_t count = 0;
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if (!m->inode || m->path[0] != '/' || !(m->prot & 4))
			continue;
		size_t k = 0;
		while (k < count && !ma_map_same_file(v[k].map, m))
			k++;
		if (k < count)
			continue;
		const struct ma_map *lowest = m;
		for (size_t j = 0; j < i && lowest == m; j++) {
			if (ma_map_same_file(&maps->v[j], m))
				lowest = &maps->v[j];
		}
		int rank = !strcmp(m->path, exe) ? 0 : !strncmp(base_name(m->path), "libpython", 9) ? 1 : 2;
		v[count++] = (struct candidate){ lowest, rank };
	}
	qsort(v, count, sizeof(*v), by_rank);
	*ret = v;
	*n = count;
	return NULL;
}

/* Is `fd` the file behind mapping `m`? By device and inode; where they cannot be compared (overlayfs and btrfs show
 * other numbers in maps than in stat) by the first page, which holds the headers and as a rule the build-id. */
static bool is_mapped_file(pid_t pid, int fd, const struct ma_map *m)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	if (st.st_ino == m->inode && major(st.st_dev) == m->dev_major && minor(st.st_dev) == m->dev_minor)
		return true;
	char file[PROOF_BYTES], memory[PROOF_BYTES];
	ssize_t n = m->offset ? -1 : pread(fd, file, sizeof(file), 0);
	return n >= 512 && ma_peek_some(pid, m->start, memory, (size_t)n) == (size_t)n &&
	       !memcmp(file, memory, (size_t)n);
}

static int open_mapped(pid_t pid, int task_dir, const struct candidate *c)
{
	const struct ma_map *m = c->map;
	char name[96];
	/* task_dir is /proc/PID/task/TID; map_files exists only beside the process */
	snprintf(name, sizeof(name), "../../map_files/%lx-%lx", m->start, m->end);
	int fd = openat(task_dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	if (c->rank == 0) {
		fd = openat(task_dir, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && is_mapped_file(pid, fd, m))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	_cleanup_close_ int root = openat(task_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = ma_open_inside(root, m->path);
	if (fd >= 0 && !is_mapped_file(pid, fd, m)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The load bias at which address `vaddr` of the image lies in memory of protection `prot` (all bits). A program may
 * also map its own interpreter as data, so each mapping of the file is tried against each segment. */
static bool find_bias(const struct ma_elf *e, const struct ma_maps *maps, const struct ma_map *file, uint64_t vaddr,
		      unsigned prot, uint64_t *ret)
{
	size_t count;
	uint64_t page = ma_page_bytes();
	const struct ma_elf_segment *segments = ma_elf_segments(e, &count);
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if (!ma_map_same_file(m, file))
			continue;
		for (size_t k = 0; k < count; k++) {
			uint64_t offset = segments[k].offset & ~(page - 1);
			if (m->offset < offset || m->offset >= segments[k].offset + segments[k].file_bytes)
				continue;
			uint64_t first = (segments[k].vaddr & ~(page - 1)) + (m->offset - offset);
			uint64_t bias = m->start - first;
			if (ma_elf_is_fixed(e) && bias)
				continue;
			const struct ma_map *at = ma_maps_find(maps, vaddr + bias);
			if (!at || (at->prot & prot) != prot)
				continue;
			*ret = bias;
			return true;
		}
	}
	return false;
}

/* true and *ret filled when `c` is an interpreter: _PyRuntime, or Py_GetVersion alone (2.7 to 3.6). */
static struct ma_error *probe(pid_t pid, int task_dir, const struct ma_maps *maps, const struct candidate *c,
			      struct ma_image *ret, bool *found_ret, bool *opened_ret)
{
	*found_ret = *opened_ret = false;
	_cleanup_close_ int fd = open_mapped(pid, task_dir, c);
	bool rebuilt = fd < 0;
	if (rebuilt)
		fd = ma_image_rebuild(pid, maps->husk ? -1 : task_dir, maps, c->map);
	if (fd < 0)
		return NULL;
	_cleanup_elf_ struct ma_elf *e = NULL;
	_cleanup_error_ struct ma_error *err = ma_elf_open(fd, &e);
	if (err)
		return err == &ma_enomem ? ma_take_ptr(err) : NULL;
	*opened_ret = true;
	struct ma_elf_symbol s[] = { { .name = "_PyRuntime" }, { .name = "Py_GetVersion" } };
	MA_TRY(ma_elf_find_symbols(e, s, MA_ARRAY_SIZE(s)));
	if (!s[0].found) /* stripped of all symbols; the section exists from 3.13 on */
		s[0].found = ma_elf_section(e, ".PyRuntime", &s[0].vaddr, &s[0].bytes);
	uint64_t bias;
	if (s[0].found ? !find_bias(e, maps, c->map, s[0].vaddr, 3, &bias)
		       : !s[1].found || !find_bias(e, maps, c->map, s[1].vaddr, 4, &bias))
		return NULL;
	char *path = strdup(c->map->path);
	if (!path)
		return &ma_enomem;
	*ret = (struct ma_image){ .path = path, .bias = bias, .runtime = s[0].found ? s[0].vaddr + bias : 0 };
	ret->elf = ma_take_ptr(e);
	ret->rebuilt = rebuilt ? pid : 0;
	*found_ret = true;
	return NULL;
}

int ma_mapped_open(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_map *m)
{
	const struct candidate c = { m, 0 };
	int fd = open_mapped(pid, task_dir, &c);
	return fd >= 0 ? fd : ma_image_rebuild(pid, -1, maps, m);
}

/* Debian's layout of debug files, in the target's root and then in ours; both must carry the build-id. */
static struct ma_error *open_debug(int task_dir, struct ma_image *im)
{
	char id[MA_BUILD_ID_CHARS];
	ma_elf_build_id(im->elf, id);
	_cleanup_close_ int theirs = openat(task_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (theirs >= 0)
		MA_TRY(ma_elf_open_debug_file(theirs, id, &im->debug));
	_cleanup_close_ int ours = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ours >= 0 && !im->debug)
		MA_TRY(ma_elf_open_debug_file(ours, id, &im->debug));
	return NULL;
}

static struct ma_error *not_python(pid_t pid, int task_dir, size_t images, size_t closed)
{
	_cleanup_free_ char *name = NULL;
	size_t bytes;
	_cleanup_error_ struct ma_error *err = ma_proc_read(task_dir, "comm", 256, &name, &bytes);
	if (!err)
		name[strcspn(name, "\n")] = 0;
	if (ma_is_32bit(task_dir))
		return ma_errorf(MA_ERR_UNSUPPORTED, "pid %d (%s) is a 32-bit program, which is not supported", pid,
				 err ? "?" : name);
	if (closed)
		return ma_errorf(
			MA_ERR_UNSUPPORTED,
			"pid %d (%s): no Python found: no _PyRuntime in %zu images, and %zu more could not be opened",
			pid, err ? "?" : name, images - closed, closed);
	return ma_errorf(MA_ERR_UNSUPPORTED, "pid %d (%s) is not a Python process: no _PyRuntime in its %zu images",
			 pid, err ? "?" : name, images);
}

struct ma_error *ma_image_find(pid_t pid, int task_dir, const struct ma_maps *maps, struct ma_image *ret)
{
	char exe[PATH_MAX];
	ssize_t n = readlinkat(task_dir, "exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = 0;
	_cleanup_free_ struct candidate *v = NULL;
	size_t count, closed = 0;
	MA_TRY(list_candidates(maps, exe, &v, &count));
	_cleanup_image_ struct ma_image old = { 0 }, im = { 0 };
	bool found = false, opened;
	for (size_t i = 0; i < count && !found; i++) {
		MA_TRY(probe(pid, task_dir, maps, &v[i], &im, &found, &opened));
		closed += !opened;
		if (found && !im.runtime) { /* a newer one may follow: the executable of a shared build has none */
			ma_image_deinit(&old);
			old = im;
			im = (struct ma_image){ 0 };
			found = false;
		}
	}
	if (!found && !old.elf)
		return not_python(pid, task_dir, count, closed);
	if (!found) {
		*ret = old;
		old = (struct ma_image){ 0 };
		return NULL;
	}
	MA_TRY(open_debug(task_dir, &im));
	*ret = im;
	im = (struct ma_image){ 0 };
	return NULL;
}

void ma_image_deinit(struct ma_image *im)
{
	ma_elf_close(im->elf);
	ma_elf_close(im->debug);
	free(im->path);
	*im = (struct ma_image){ 0 };
}

struct ma_error *ma_image_symbols(const struct ma_image *im, struct ma_elf_symbol *symbols, size_t count)
{
	MA_TRY(ma_elf_find_symbols(im->elf, symbols, count));
	if (im->debug) {
		for (size_t i = 0; i < count; i++) {
			struct ma_elf_symbol one = { .name = symbols[i].name };
			if (symbols[i].found)
				continue;
			MA_TRY(ma_elf_find_symbols(im->debug, &one, 1));
			if (one.found)
				symbols[i] = one;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (symbols[i].found)
			symbols[i].vaddr += im->bias;
	}
	return NULL;
}
