// SPDX-License-Identifier: Apache-2.0
#include "snapshot_builder.h"

#define LOOP "_PyEval_EvalFrameDefault"

void sb_native_sample(const char *path)
{
	static const char lib[] = "/usr/lib/libpython3.11.so.1.0", libc[] = "/usr/lib/libc.so.6";
	struct snap_builder *b = sb_create(path);
	sb_meta_default(b);
	sb_meta_tid(b, 4242, 0x7f2000000740, "python3");
	sb_meta_tid(b, 4243, 0x7f3000000740, "worker");
	sb_meta_tid(b, 4244, 0x7f4000000740, "jemalloc_bg");
	sb_meta_tid(b, 4245, 0x7f5000000740, "stripped");
	uint32_t file = sb_name(b, "app.py"), module = sb_name(b, "<module>"), run = sb_name(b, "run"),
		 key = sb_name(b, "key"), inner = sb_name(b, "inner");

	/* inner and key run in one loop, run and <module> in another; between them C sorts */
	sb_thread(b, 0x7f2000000740, 4242, 0x200000, 0, true);
	sb_frame(b, 0x1000, file, inner, 4, 0x9000);
	sb_frame(b, 0x1100, file, key, 8, 0x9100);
	sb_entry(b, 0);
	sb_frame(b, 0x1200, file, run, 12, 0x9200);
	sb_frame(b, 0x1300, file, module, 20, 0x9300);
	sb_entry(b, 0);
	sb_thread(b, 0x7f3000000740, 4243, 0x201000, 0, false);
	sb_frame(b, 0x1200, file, run, 13, 0x9400);
	sb_entry(b, 0);

	/* stripped: the loops have no names, but their places on the stack are known */
	sb_thread(b, 0x7f5000000740, 4245, 0x202000, 0, false);
	sb_frame(b, 0x1000, file, inner, 5, 0x9500);
	sb_entry(b, 0x20150);
	sb_frame(b, 0x1100, file, key, 9, 0x9600);
	sb_frame(b, 0x1300, file, module, 21, 0x9700);
	sb_entry(b, 0x20320);

	sb_native_thread(b, 4242, 0x7f2000000740, 0);
	sb_native_frame(b, 0x7f1000, 0x10100, MA_NF_EXACT, "clock_nanosleep", libc, "", 0);
	sb_native_frame(b, 0x401000, 0x10200, MA_NF_EVAL, LOOP, lib, "/src/Python/ceval.c", 5000);
	sb_native_frame(b, 0x402000, 0x10300, 0, "list_sort", lib, "/src/Objects/listobject.c", 2400);
	sb_flush(b); /* goes on in another block */
	sb_native_thread(b, 4242, 0x7f2000000740, 0);
	sb_native_frame(b, 0x401100, 0x10400, MA_NF_EVAL, LOOP, lib, "/src/Python/ceval.c", 5100);
	sb_native_frame(b, 0x500000, 0x10500, 0, "", "/usr/bin/python3", "", 0);
	/* the innermost loop has just been entered */
	sb_native_thread(b, 4243, 0x7f3000000740, 0);
	sb_native_frame(b, 0x401000, 0x10600, MA_NF_EVAL | MA_NF_EXACT, LOOP ".cold", lib, "", 0);
	sb_native_frame(b, 0x401100, 0x10700, MA_NF_EVAL, LOOP, lib, "", 0);
	sb_native_thread(b, 4245, 0x7f5000000740, 0);
	for (unsigned i = 0; i < 5; i++)
		sb_native_frame(b, 0x600000 + i, 0x20000 + 0x100 * i, i ? 0 : MA_NF_EXACT, "", "/usr/bin/python3.14",
				"", 0);
	sb_native_thread(b, 4244, 0x7f4000000740, MA_NT_CUT);
	sb_native_frame(b, 0x7f2000, 0x10800, MA_NF_EXACT, "pthread_cond_wait", libc, "", 0);
	sb_finish(b);
}
