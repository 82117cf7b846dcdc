// SPDX-License-Identifier: Apache-2.0
#include "pss.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (UINT64_C(1) << 56) /* a file may say anything: sums of 64 bits must not wrap */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* part of whole, scaled to `to` */
static uint64_t scaled(uint64_t to, double part, double whole)
{
	return whole > 0 ? min((uint64_t)((double)to * (part / whole)), to) : to;
}

/* ------------------------------------------------------------------ anonymous */

/* Has the process anonymous pages in [start, end)? Regions are in the order of addresses, as smaps has them. */
static bool has_anonymous(const struct ma_snap_tables *t, uint64_t start, uint64_t end)
{
	size_t lo = 0, hi = t->regions_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->regions[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < t->regions_count && t->regions[lo].start < end; lo++)
		if (t->regions[lo].anonymous)
			return true;
	return false;
}

static void share_anonymous(struct ma_pss *v, size_t count, size_t of)
{
	const struct ma_snap_tables *t = v[of].tab;
	double all = 0, mine = 0;
	for (size_t i = 0; i < t->regions_count; i++) {
		const struct ma_snap_region *r = &t->regions[i];
		size_t k = 0;
		if (!r->anonymous)
			continue;
		for (size_t p = 0; p < count; p++)
			k += p == of || has_anonymous(v[p].tab, r->start, r->end);
		double rss = (double)min(r->anonymous, BYTES_MAX), pss = (double)min(r->pss, r->anonymous);
		/* rss = private + shared; pss = private / 2 + shared / (k + 1) */
		double shared = k > 1 ? (rss / 2 - pss) / (0.5 - 1.0 / (double)(k + 1)) : 0;
		shared = shared < 0 ? 0 : shared > rss ? rss : shared;
		all += rss;
		mine += rss - shared + (k > 1 ? shared / (double)k : 0);
	}
	v[of].anon.rss = min(t->meta.rss_anon, BYTES_MAX);
	v[of].anon.share = scaled(v[of].anon.rss, mine, all);
}

/* ------------------------------------------------------------------ files and shared memory */

struct mapped { /* all mappings of one file in one process */
	const char *path;
	uint64_t inode;
	size_t process;
	double seen, bytes, resident;
};

static bool is_shmem(const struct ma_snap_region *r)
{
	static const char *const prefixes[] = { "/dev/shm/", "/dev/zero", "/memfd:", "/SYSV", "/anon_hugepage" };
	for (size_t i = 0; (r->prot & 8) && i < MA_ARRAY_SIZE(prefixes); i++)
		if (!strncmp(r->path, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static int by_file(const void *a, const void *b)
{
	const struct mapped *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	if (!order && x->inode != y->inode)
		order = x->inode < y->inode ? -1 : 1;
	return order ? order : (x->process > y->process) - (x->process < y->process);
}

static bool same_file(const struct mapped *a, const struct mapped *b)
{
	return a->inode == b->inode && !strcmp(a->path, b->path);
}

/* Mappings of one file in one process become one row. */
static size_t merge(struct mapped *v, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (kept && v[kept - 1].process == v[i].process && same_file(&v[kept - 1], &v[i])) {
			v[kept - 1].seen += v[i].seen;
			v[kept - 1].bytes += v[i].bytes;
		} else {
			v[kept++] = v[i];
		}
	}
	return kept;
}

/* How much of each mapping was resident: what was seen, and of the rest of `rss` in the ratio of what was not. */
static void spread(struct mapped *v, size_t count, size_t process, uint64_t rss)
{
	double seen = 0, unseen = 0;
	for (size_t i = 0; i < count; i++) {
		if (v[i].process != process)
			continue;
		seen += v[i].seen;
		unseen += v[i].bytes - v[i].seen;
	}
	double rest = (double)rss - seen, ratio = rest > 0 && unseen > 0 ? rest / unseen : 0;
	for (size_t i = 0; i < count; i++)
		if (v[i].process == process)
			v[i].resident = v[i].seen + ratio * (v[i].bytes - v[i].seen);
}

static void share_files(struct mapped *v, size_t count, double *all, double *mine)
{
	for (size_t begin = 0, end; begin < count; begin = end) {
		double sum = 0, most = 0;
		for (end = begin; end < count && same_file(&v[begin], &v[end]); end++) {
			sum += v[end].resident;
			most = v[end].resident > most ? v[end].resident : most;
		}
		for (size_t i = begin; i < end; i++) {
			all[v[i].process] += v[i].resident;
			mine[v[i].process] += sum > 0 ? v[i].resident * most / sum : 0;
		}
	}
}

static size_t collect(const struct ma_snap_tables *t, size_t process, bool shmem, struct mapped *ret)
{
	size_t count = 0;
	for (size_t i = 0; i < t->regions_count; i++) {
		const struct ma_snap_region *r = &t->regions[i];
		if (r->path[0] != '/' || r->end <= r->start || is_shmem(r) != shmem)
			continue;
		double bytes = (double)min(r->end - r->start, BYTES_MAX);
		double seen = (double)(r->rss > r->anonymous ? r->rss - r->anonymous : 0);
		ret[count++] = (struct mapped){ .path = r->path,
						.inode = r->inode,
						.process = process,
						.bytes = bytes,
						.seen = seen < bytes ? seen : bytes };
	}
	return count;
}

static uint64_t mapped_rss(const struct ma_snap_tables *t, bool shmem)
{
	return min(shmem ? t->meta.rss_shmem : t->meta.rss_file, BYTES_MAX);
}

static struct ma_error *share_mapped(struct ma_pss *v, size_t count, bool shmem)
{
	size_t rows = 0;
	for (size_t p = 0; p < count; p++)
		rows += v[p].tab->regions_count;
	_cleanup_free_ struct mapped *files = calloc(rows + 1, sizeof(*files));
	_cleanup_free_ double *all = calloc(count + 1, sizeof(*all)), *mine = calloc(count + 1, sizeof(*mine));
	if (!files || !all || !mine)
		return &ma_enomem;
	rows = 0;
	for (size_t p = 0; p < count; p++)
		rows += collect(v[p].tab, p, shmem, files + rows);
	qsort(files, rows, sizeof(*files), by_file);
	rows = merge(files, rows);
	for (size_t p = 0; p < count; p++)
		spread(files, rows, p, mapped_rss(v[p].tab, shmem));
	share_files(files, rows, all, mine);
	for (size_t p = 0; p < count; p++) {
		struct ma_pss_part *part = shmem ? &v[p].shmem : &v[p].file;
		part->rss = mapped_rss(v[p].tab, shmem);
		part->share = scaled(part->rss, mine[p], all[p]);
	}
	return NULL;
}

struct ma_error *ma_pss_compute(struct ma_pss *v, size_t count)
{
	for (size_t p = 0; p < count; p++)
		share_anonymous(v, count, p);
	MA_TRY(share_mapped(v, count, false));
	return share_mapped(v, count, true);
}
