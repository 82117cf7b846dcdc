// SPDX-License-Identifier: Apache-2.0
#include "snapshot_builder.h"

#define ITEMS 20u

void sb_sites_sample(const char *path)
{
	struct snap_builder *b = sb_create(path);
	sb_meta_default(b);
	uint32_t t_list = sb_type(b, "", "list", 0x1000, MA_TF_VISITOR, 56, 0);
	uint32_t t_float = sb_type(b, "", "float", 0x2000, 0, 24, 0);
	uint32_t t_bytes = sb_type(b, "", "bytes", 0x3000, 0, 33, 1);
	uint32_t n_file = sb_name(b, "/srv/app.py"), n_again = sb_name(b, "/srv/app.py"),
		 n_other = sb_name(b, "/usr/lib/python3.11/json/decoder.py"), n_items = sb_name(b, "items");
	const uint64_t list = 0x7f0000000010, room = 0x7f0000001000, first = 0x7f0000002000;

	sb_thread(b, 0x7f2000000740, 4242, 0x200000, 0, true);
	sb_frame(b, 0x5000, n_file, 0, 40, 0x9000);
	sb_edge(b, MA_EDGE_NAMED, list, n_items);
	sb_object(b, &(struct sb_object){ .addr = list,
					  .type = t_list,
					  .size = 88 + 16 * ITEMS,
					  .refcnt = 1,
					  .gc = true,
					  .buffer = 16 * ITEMS });
	for (unsigned i = 0; i < 2 * ITEMS; i++)
		sb_edge(b, MA_EDGE_NEXT, first + 64 * i, 0);
	for (unsigned i = 0; i < 2 * ITEMS; i++)
		sb_object(b, &(struct sb_object){ .addr = first + 64 * i,
						  .type = i < ITEMS ? t_float : t_bytes,
						  .size = i < ITEMS ? 24 : 60,
						  .refcnt = 1 });
	sb_flush(b);

	const struct ma_snap_site_frame deep[] = { { n_file, 12 }, { n_file, 30 }, { 0, 0 } };
	/* the same line by two ways, and by two strings of the same name */
	uint32_t one = sb_site(b, deep, 3, 9), again = sb_site(b, &(struct ma_snap_site_frame){ n_again, 12 }, 1, 1);
	uint32_t other = sb_site(b, &(struct ma_snap_site_frame){ n_other, 353 }, 1, 1);
	uint32_t native = sb_site(b, &(struct ma_snap_site_frame){ n_file, 50 }, 1, 1);
	sb_site(b, &(struct ma_snap_site_frame){ n_file, 99 }, 1, 1);    /* all that it allocated is gone */
	sb_trace(b, &(struct ma_snap_trace){ list - 16, 72, other, 0 }); /* its GC header before it */
	sb_trace(b, &(struct ma_snap_trace){ room, 16 * ITEMS, other, 0 });
	for (unsigned i = 0; i < 2 * ITEMS; i++)
		if (i % 5) /* the others are older than tracemalloc */
			sb_trace(b, &(struct ma_snap_trace){ first + 64 * i, i < ITEMS ? 24 : 60, i & 1 ? one : again,
							     0 });
	sb_trace(b, &(struct ma_snap_trace){ 0x123451, 1000, native, 389047 });
	sb_trace(b, &(struct ma_snap_trace){ room + 0x800, 16, 0, 0 });
	sb_finish(b);
}
