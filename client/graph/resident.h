// SPDX-License-Identifier: Apache-2.0
/* resident.h - resident anonymous memory by what lies there: arenas, heaps, mmapped chunks, stacks, or nothing known.
 */
#ifndef MA_RESIDENT_H
#define MA_RESIDENT_H

#include <memattach/snapshot.h>

struct ma_unknown {
	uint64_t start, end, bytes;
	const char *path; /* belongs to the snapshot; empty as a rule */
};
#define MA_UNKNOWN_MAX 12

struct ma_resident {
	uint64_t arenas;  /* in arenas of pymalloc */
	uint64_t heaps;   /* in heaps of glibc that were walked */
	uint64_t heap;    /* in [heap] and the like, of which nothing more is known */
	uint64_t mmapped; /* in chunks of malloc with a mapping of their own */
	uint64_t mmapped_chunks, mmapped_bytes;
	uint64_t stacks, data;         /* data: private pages of executables and libraries, and their .bss */
	uint64_t file_private;         /* pages of other files that were written to in a private mapping */
	uint64_t unknown;              /* private, and nothing of all that */
	uint64_t not_copied;           /* of unknown: not in the copy (MADV_DONTFORK) */
	uint64_t code_seen, file_seen; /* of files, as far as the twin had them */
	uint64_t code_mapped, file_mapped;
	uint64_t zeros_heaps, zeros_stacks, zeros_unknown; /* of the above: zeros in huge pages */
	struct ma_unknown largest[MA_UNKNOWN_MAX];         /* of unknown, most bytes first */
	size_t largest_count;
};

/* Bytes of [start, end) that were resident: in mappings without a file, as far as the file tells; else all. */
uint64_t ma_resident_bytes(const struct ma_snap_tables *tab, uint64_t start, uint64_t end);

/* From the tables alone. Where the file does not tell which pages were resident, they count as spread evenly. */
MA_CHECK struct ma_error *ma_resident_compute(const struct ma_snap_tables *tab, struct ma_resident *ret);

#endif
