// SPDX-License-Identifier: Apache-2.0
/* hugetlb.c - private pages of hugetlbfs. After a fork a write to one takes a fresh page from the pool, and where there
 * is none the writer gets SIGBUS: the program, if it did not reserve them by its own mmap (MAP_NORESERVE, or a parent's
 * mapping), else the copy loses its page (hugetlb_wp() of mm/hugetlb.c). From outside one can not tell which. */
#include "cleanup.h"
#include "proc_preflight.h"
#include "proc_text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define POOLS "/sys/kernel/mm/hugepages"
#ifdef __x86_64__
#define SMALLEST (UINT64_C(2) << 20) /* huge page: all mappings are multiples of it */
#else
#define SMALLEST (UINT64_C(64) << 10)
#endif

uint64_t ma_maps_hugetlb_bytes(const struct ma_maps *maps)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		/* a file of hugetlbfs, or the kernel's own of an anonymous mapping: no device, whole huge pages */
		if ((m->prot & (2 | 8)) == 2 && m->inode && !m->dev_major && !((m->start | m->end) & (SMALLEST - 1)))
			sum += m->end - m->start;
	}
	return sum;
}

static bool number(int dir, const char *file, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_error_ struct ma_error *err = ma_proc_read(dir, file, 64, &text, NULL);
	struct text t = { text, text ? text + strlen(text) : NULL };
	return !err && text_u64(&t, ret);
}

uint64_t ma_hugetlb_pool_left(void)
{
	uint64_t least = UINT64_MAX;
	DIR *d = opendir(POOLS);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		struct text name = { e->d_name, e->d_name + strlen(e->d_name) };
		uint64_t kib, all, unused, reserved, bytes = 0;
		if (!text_key(&name, "hugepages-") || !text_u64(&name, &kib) || kib > UINT64_MAX >> 40)
			continue;
		_cleanup_close_ int dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0 && number(dir, "nr_hugepages", &all) && !all)
			continue; /* nobody has pages of this size */
		if (dir >= 0 && number(dir, "free_hugepages", &unused) && number(dir, "resv_hugepages", &reserved) &&
		    unused > reserved && __builtin_mul_overflow(unused - reserved, kib << 10, &bytes))
			bytes = UINT64_MAX;
		if (bytes < least)
			least = bytes;
	}
	closedir(d);
	return least;
}
