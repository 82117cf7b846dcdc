// SPDX-License-Identifier: Apache-2.0
/* pagemap_scan.h - PAGEMAP_SCAN of /proc/PID/pagemap, as in <linux/fs.h> of Linux 6.7, which is newer than the headers
 * we build with. Elder kernels answer ENOTTY. */
#ifndef MA_PAGEMAP_SCAN_H
#define MA_PAGEMAP_SCAN_H

#include <stdint.h>
#include <sys/ioctl.h>

struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE 4u    /* PAGE_IS_FILE */
#define SCAN_PRESENT 8u /* PAGE_IS_PRESENT */
#define SCAN_SWAPPED 16u
#define SCAN_ZERO 32u /* PAGE_IS_PFNZERO */
#define SCAN_HUGE 64u

#endif
