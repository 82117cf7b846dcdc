// link: ma_report ma_graph ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Python frames stand where their evaluation loop runs, in text and in JSON. */
#include "native.h"
#include "report.h"
#include "snapshot_builder.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct ma_snap *snap;

static void begin(void)
{
	snprintf(path, sizeof(path), "/tmp/report_native_test-%d.mem", (int)getpid());
	sb_native_sample(path);
	cr_assert_null(ma_snap_open(path, &snap));
	unlink(path);
	cr_assert(ma_snap_tables(snap)->complete, "%s", ma_snap_tables(snap)->missing);
}

static void end(void)
{
	ma_snap_close(snap);
}

TestSuite(native, .init = begin, .fini = end);

Test(native, tables)
{
	const struct ma_snap_tables *t = ma_snap_tables(snap);
	cr_assert_eq(t->natives_count, 4);
	cr_assert_eq(t->natives[0].frames_end - t->natives[0].frames_begin, 5, "both blocks of the thread");
	cr_assert(!t->natives[0].cut && t->natives[3].cut);
	cr_assert(ma_native_is_python(t, &t->natives[1]) && !ma_native_is_python(t, &t->natives[3]));
	cr_assert_str_eq(ma_native_name(t, &t->natives[3]), "jemalloc_bg");
	cr_assert(!t->frames[0].entry && t->frames[1].entry && t->frames[3].entry);
}

/* Where the frames of thread `i` are placed, as "2,0" numbers of frames. */
static void places(size_t i, const uint32_t *want, size_t count)
{
	const struct ma_snap_tables *t = ma_snap_tables(snap);
	const struct ma_snap_native *n = ma_native_find(t, &t->threads[i]);
	uint32_t at[16];
	cr_assert_not_null(n);
	cr_assert_eq(n->frames_end - n->frames_begin, count);
	ma_native_place(t, &t->threads[i], n, at);
	for (size_t k = 0; k < count; k++)
		cr_assert_eq(at[k + 1] - at[k], want[k], "frame %zu: %u", k, at[k + 1] - at[k]);
	cr_assert_eq(at[count], t->threads[i].frames_end, "all are placed");
}

Test(native, placed)
{
	places(0, (const uint32_t[]){ 0, 2, 0, 2, 0 }, 5);
	places(1, (const uint32_t[]){ 0, 1 }, 2); /* the loop without a frame stays empty */
	places(2, (const uint32_t[]){ 0, 1, 0, 2, 0 }, 5);
}

static char *output(bool json)
{
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	const struct ma_report_options opt = { .path = path, .columns = 80 };
	cr_assert_null(json ? ma_stacks_json(f, snap) : ma_stacks_text(f, snap, &opt));
	fclose(f);
	return text;
}

Test(native, text)
{
	char *text = output(false);
	const char *want = "Thread 4242 \"python3\" (holds the GIL)\n"
			   "    C  clock_nanosleep (libc.so.6)\n"
			   "    inner (app.py:4)\n"
			   "    key (app.py:8)\n"
			   "    C  list_sort (libpython3.11.so.1.0, listobject.c:2400)\n"
			   "    run (app.py:12)\n"
			   "    <module> (app.py:20)\n"
			   "    C  0x500000 (python3)\n"
			   "\nThread 4243 \"worker\"\n"
			   "    C  _PyEval_EvalFrameDefault.cold (libpython3.11.so.1.0)\n"
			   "    run (app.py:13)\n"
			   "\nThread 4245 \"stripped\"\n"
			   "    C  0x600000 (python3.14)\n"
			   "    inner (app.py:5)\n"
			   "    C  0x600002 (python3.14)\n"
			   "    key (app.py:9)\n"
			   "    <module> (app.py:21)\n"
			   "    C  0x600004 (python3.14)\n"
			   "\nThread 4244 \"jemalloc_bg\" (no Python)\n"
			   "    C  pthread_cond_wait (libc.so.6)\n"
			   "    ... the outer native frames are not known\n";
	cr_assert(strstr(text, want), "%s", text);
	free(text);
}

Test(native, json)
{
	char *text = output(true);
	json_t *root = json_loads(text, 0, NULL), *threads = json_object_get(root, "threads");
	cr_assert_eq(json_array_size(threads), 4);
	json_t *stack = json_object_get(json_array_get(threads, 0), "native");
	cr_assert_eq(json_array_size(stack), 5);
	json_t *loop = json_array_get(stack, 3), *python = json_object_get(loop, "python");
	cr_assert_str_eq(json_string_value(json_object_get(loop, "pc")), "0x401100");
	cr_assert_eq(json_integer_value(json_object_get(loop, "line")), 5100);
	cr_assert_eq(json_array_size(python), 2);
	cr_assert_eq(json_integer_value(json_array_get(python, 0)), 2);
	json_t *alone = json_array_get(threads, 3);
	cr_assert_eq(json_array_size(json_object_get(alone, "frames")), 0);
	cr_assert_eq(json_array_size(json_object_get(alone, "native")), 1);
	json_decref(root);
	free(text);
}
