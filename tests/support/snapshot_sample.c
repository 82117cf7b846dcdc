// SPDX-License-Identifier: Apache-2.0
/* One snapshot with some of every record kind. */
#include "snapshot_builder.h"

#define STATIC UINT64_C(0x555555000000)
#define ARENA UINT64_C(0x7f0000000000)
#define HEAP UINT64_C(0x555556000000)
#define FRAME UINT64_C(0x7f1000000000)

void sb_sample(const char *path, unsigned objects)
{
	struct snap_builder *b = sb_create(path);
	char exe[] = "/usr/bin/python3.11", heap[] = "[heap]";
	sb_meta_default(b);
	sb_meta_tid(b, 4242, 0x7f2000000740, "python3");
	sb_meta_tid(b, 4243, 0x7f3000000740, "worker");
	sb_meta_str(b, MA_META_NOTE, "a note");

	uint32_t t_type = sb_type(b, "", "type", STATIC, MA_TF_SIZER | MA_TF_VISITOR, 880, 40);
	uint32_t t_dict = sb_type(b, "", "dict", STATIC + 0x1000, MA_TF_SIZER | MA_TF_VISITOR, 64, 0);
	uint32_t t_list = sb_type(b, "", "list", STATIC + 0x2000, MA_TF_SIZER | MA_TF_VISITOR, 56, 0);
	uint32_t t_str = sb_type(b, "", "str", STATIC + 0x3000, MA_TF_SIZER, 80, 0);
	uint32_t t_module = sb_type(b, "", "module", STATIC + 0x4000, MA_TF_SIZER | MA_TF_VISITOR, 72, 0);
	uint32_t t_item = sb_type(b, "app", "Item", HEAP, MA_TF_HEAP, 56, 0);
	uint32_t n_file = sb_name(b, "/srv/app.py");
	uint32_t n_module = sb_name(b, "<module>");
	uint32_t n_work = sb_name(b, "work");
	uint32_t n_items = sb_name(b, "items");
	uint32_t n_dict = sb_name(b, "__dict__");
	uint32_t n_label = sb_name(b, "label");
	uint32_t n_modules = sb_name(b, "modules");

	const uint64_t module = ARENA + 0x100, globals = ARENA + 0x200, list = ARENA + 0x300, text = ARENA + 0x400;
	const uint64_t modules = ARENA + 0x500, text2 = HEAP + 0x10000, first = ARENA + 0x1000;

	sb_interp(b, 0, STATIC + 0x100000, false);
	sb_edge(b, MA_EDGE_NAMED, modules, n_modules);
	sb_thread(b, 0x7f2000000740, 4242, STATIC + 0x200000, 0, true);
	sb_frame(b, ARENA + 0x800, n_file, n_work, 17, FRAME);
	sb_edge(b, MA_EDGE_NAMED, list, n_items);
	sb_edge(b, MA_EDGE_BORROWED, globals, 0);
	sb_frame(b, ARENA + 0x900, n_file, n_module, 40, FRAME + 0x100);
	sb_thread(b, 0x7f3000000740, 4243, STATIC + 0x201000, 0, false);
	sb_frame(b, ARENA + 0x800, n_file, n_work, 12, FRAME + 0x1000);

	sb_object(b, &(struct sb_object){ .addr = modules, .type = t_dict, .size = 232, .refcnt = 1, .gc = true });
	sb_edge(b, MA_EDGE_KEY, text, 0);
	sb_edge(b, MA_EDGE_VALUE, module, 0);
	sb_object(b, &(struct sb_object){ .addr = module, .type = t_module, .size = 72, .refcnt = 1, .gc = true });
	sb_edge(b, MA_EDGE_NAMED, globals, n_dict);
	sb_object(b, &(struct sb_object){
			     .addr = globals, .type = t_dict, .size = 360, .refcnt = 2, .gc = true, .buffer = 296 });
	sb_edge(b, MA_EDGE_NAMED, list, n_items);
	sb_object(b, &(struct sb_object){ .addr = text, .type = t_str, .size = 52, .refcnt = 1 + objects });
	sb_object(b, &(struct sb_object){
			     .addr = text2, .type = t_str, .size = 100049, .refcnt = 0, .place = MA_PLACE_MALLOC });
	for (unsigned t = 0; t < 5; t++)
		sb_object(b, &(struct sb_object){ .addr = STATIC + t * 0x1000,
						  .type = t_type,
						  .size = 920,
						  .refcnt = 3,
						  .place = MA_PLACE_STATIC,
						  .gc = true });
	sb_object(b, &(struct sb_object){ .addr = HEAP,
					  .type = t_type,
					  .size = 1080,
					  .refcnt = 2 + objects,
					  .place = MA_PLACE_MALLOC,
					  .gc = true });
	sb_edge(b, MA_EDGE_NAMED, globals, n_dict);
	sb_object(b, &(struct sb_object){ .addr = list,
					  .type = t_list,
					  .size = 72 + 8 * (uint64_t)objects,
					  .refcnt = 2,
					  .gc = true,
					  .buffer = 8 * (uint64_t)objects });
	/* a long list goes on in records of its own, as the agent does it */
	for (unsigned i = 0; i < objects; i++) {
		if (i && i % 20000 == 0) {
			sb_object(b, &(struct sb_object){ .addr = list, .type = t_list, .extra = MA_OX_CONT });
			sb_edge(b, MA_EDGE_AT, first + i * UINT64_C(64), i);
		} else {
			sb_edge(b, MA_EDGE_NEXT, first + i * UINT64_C(64), 0);
		}
	}
	for (unsigned i = 0; i < objects; i++) {
		sb_object(b, &(struct sb_object){ .addr = first + i * UINT64_C(64),
						  .type = t_item,
						  .size = 56,
						  .refcnt = 1,
						  .gc = true });
		sb_edge(b, MA_EDGE_NAMED, text, n_label);
	}
	sb_object(b, &(struct sb_object){ .addr = first - 64,
					  .type = t_item,
					  .size = 56,
					  .refcnt = 1,
					  .gc = true,
					  .extra = MA_OX_UNREACHED });
	sb_edge(b, MA_EDGE_GUESSED, text2, 0);

	sb_arena(b, ARENA, 1 << 20, 64, 3);
	sb_class(b, 64, 4, objects + 1, 17, objects + 1, 96);
	sb_freelist(b, "float", 12, 288);
	sb_region(b, &(struct ma_snap_region){ .start = ARENA,
					       .end = ARENA + (1 << 20),
					       .prot = 3,
					       .rss = 1 << 20,
					       .pss = 1 << 20,
					       .private_dirty = 1 << 20,
					       .anonymous = 1 << 20,
					       .kind = MA_RGN_ARENA });
	sb_region(b, &(struct ma_snap_region){ .start = STATIC,
					       .end = STATIC + 0x300000,
					       .prot = 3,
					       .inode = 77,
					       .path = exe,
					       .rss = 0x200000,
					       .pss = 0x100000,
					       .private_dirty = 0x80000,
					       .private_clean = 0x80000,
					       .shared = 0x100000,
					       .anonymous = 0x80000,
					       .kind = MA_RGN_DATA });
	sb_region(b, &(struct ma_snap_region){ .start = HEAP,
					       .end = HEAP + 0x100000,
					       .prot = 3,
					       .path = heap,
					       .rss = 0x100000,
					       .pss = 0x100000,
					       .private_dirty = 0x100000,
					       .anonymous = 0x100000,
					       .kind = MA_RGN_HEAP });
	sb_stat(b, MA_STAT_UNREACHED, 1);
	sb_stat(b, MA_STAT_SCRATCH_PEAK, 4 << 20);
	sb_finish(b);
}
