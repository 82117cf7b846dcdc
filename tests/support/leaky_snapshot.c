// SPDX-License-Identifier: Apache-2.0
#include "leaky_snapshot.h"

#include "snapshot_builder.h"

#include <string.h>

#define STATIC UINT64_C(0x555555000000)
#define ARENA UINT64_C(0x7f0000000000)
#define MALLOC UINT64_C(0x555556000000)
#define FRAME UINT64_C(0x7f1000000000)
#define STEP 256u /* bytes of arena for one session: instance, dict, key, attribute */

struct leaky {
	struct snap_builder *b;
	struct leaky_facts *facts;
};

static void object(struct leaky *l, struct sb_object o)
{
	sb_object(l->b, &o);
	l->facts->objects++;
	l->facts->bytes += o.size;
}

static void edge(struct leaky *l, enum ma_edge_kind kind, uint64_t dst, uint64_t arg)
{
	sb_edge(l->b, kind, dst, arg);
	l->facts->edges++;
}

static void regions(struct snap_builder *b, uint64_t arena_bytes)
{
	char exe[] = "/usr/bin/python3.11", heap[] = "[heap]", lib[] = "/usr/share/locale/data";
	const struct ma_snap_region all[] = {
		{ .start = ARENA,
		  .end = ARENA + arena_bytes,
		  .prot = 3,
		  .rss = arena_bytes,
		  .anonymous = arena_bytes,
		  .kind = MA_RGN_ARENA },
		{ .start = STATIC,
		  .end = STATIC + 0x400000,
		  .prot = 5,
		  .inode = 7,
		  .path = exe,
		  .rss = 0x180000,
		  .kind = MA_RGN_CODE },
		{ .start = STATIC + 0x400000,
		  .end = STATIC + 0x480000,
		  .prot = 3,
		  .inode = 7,
		  .path = exe,
		  .rss = 0x80000,
		  .anonymous = 0x60000,
		  .kind = MA_RGN_DATA },
		{ .start = MALLOC,
		  .end = MALLOC + 0x400000,
		  .prot = 3,
		  .path = heap,
		  .rss = 0x300000,
		  .anonymous = 0x300000,
		  .kind = MA_RGN_HEAP },
		{ .start = UINT64_C(0x7fff00000000),
		  .end = UINT64_C(0x7fff00021000),
		  .prot = 3,
		  .rss = 0x5000,
		  .anonymous = 0x5000,
		  .kind = MA_RGN_STACK },
		{ .start = UINT64_C(0x7f4000000000),
		  .end = UINT64_C(0x7f4000100000),
		  .prot = 1,
		  .inode = 9,
		  .path = lib,
		  .rss = 0x10000,
		  .kind = MA_RGN_FILE },
		{ .start = UINT64_C(0x7f5000000000),
		  .end = UINT64_C(0x7f5000200000),
		  .prot = 3,
		  .rss = 0x20000,
		  .anonymous = 0x20000,
		  .kind = MA_RGN_ANON },
	};
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sb_region(b, &all[i]);
}

void leaky_snapshot(const char *path, const struct leaky_options *opt, struct leaky_facts *ret)
{
	struct leaky leaky = { sb_create(path), ret }, *l = &leaky;
	struct snap_builder *b = l->b;
	const unsigned n = opt->sessions;
	const uint64_t arena_bytes = ((uint64_t)n * STEP + 0x100000) & ~UINT64_C(0xfffff);
	const uint64_t modules = ARENA + 0x100, module = ARENA + 0x200, globals = ARENA + 0x300, cache = ARENA + 0x400,
		       name = ARENA + 0x500, type = MALLOC + 0x100, first = ARENA + 0x1000;
	const uint64_t anon = arena_bytes + 0x60000 + 0x300000 + 0x5000 + 0x20000;
	memset(ret, 0, sizeof(*ret));
	sb_meta_default(b);
	sb_meta_num(b, MA_META_RSS_ANON, opt->rss_anon ? opt->rss_anon : anon);
	sb_meta_num(b, MA_META_RSS_FILE, 0x300000);
	sb_meta_num(b, MA_META_RSS_SHMEM, 0x7000);
	ret->rss = (opt->rss_anon ? opt->rss_anon : anon) + 0x300000 + 0x7000;
	if (opt->hostile)
		sb_meta_str(b, MA_META_COMMAND, "python3\n\x1b]0;owned\x07 \xff app.py");
	sb_meta_tid(b, 4242, 0x7f2000000740,
		    opt->hostile ? "Main\x9b"
				   "1m\xe2\x80\xae"
				 : "MainThread");

	const uint32_t own = MA_TF_SIZER | MA_TF_VISITOR;
	uint32_t t_type = sb_type(b, "", "type", STATIC + 0x400000, own, 880, 40);
	uint32_t t_dict = sb_type(b, "", "dict", STATIC + 0x401000, own, 64, 0);
	uint32_t t_str = sb_type(b, "", "str", STATIC + 0x402000, own, 80, 0);
	uint32_t t_module = sb_type(b, "", "module", STATIC + 0x403000, own, 72, 0);
	uint32_t t_session = sb_type(b, "leaky", "Session", type, MA_TF_HEAP, 48, 0);
	uint32_t t_evil = opt->hostile ? sb_type(b, "", LEAKY_HOSTILE_TYPE, STATIC + 0x404000, 0, 16, 0) : 0;
	uint32_t n_file = sb_name(b, "/srv/leaky.py"), n_serve = sb_name(b, opt->function ? opt->function : "serve"),
		 n_main = sb_name(b, "<module>");
	uint32_t n_modules = sb_name(b, "sys.modules"), n_leaky = sb_name(b, "leaky"), n_dict = sb_name(b, "__dict__");
	uint32_t n_cache = sb_name(b, "CACHE"), n_user = sb_name(b, "user"), n_class = sb_name(b, "Session");

	sb_interp(b, 0, STATIC + 0x420000, false);
	sb_edge(b, MA_EDGE_NAMED, modules, n_modules);
	sb_thread(b, 0x7f2000000740, 4242, STATIC + 0x421000, 0, true);
	sb_frame(b, ARENA + 0x800, n_file, n_serve, 17, FRAME);
	sb_edge(b, MA_EDGE_BORROWED, globals, 0);
	sb_frame(b, ARENA + 0x900, n_file, n_main, 40, FRAME + 0x100);

	object(l, (struct sb_object){ .addr = modules, .type = t_dict, .size = 232, .refcnt = 1, .gc = true });
	edge(l, MA_EDGE_KEY, name, 0);
	edge(l, MA_EDGE_NAMED, module, n_leaky);
	object(l, (struct sb_object){ .addr = module, .type = t_module, .size = 72, .refcnt = 1, .gc = true });
	edge(l, MA_EDGE_NAMED, globals, n_dict);
	object(l, (struct sb_object){
			  .addr = globals, .type = t_dict, .size = 360, .refcnt = 2, .buffer = 296, .gc = true });
	edge(l, MA_EDGE_NAMED, cache, n_cache);
	edge(l, MA_EDGE_NAMED, type, n_class);
	/* immortal when the books shall not balance: it must not count */
	object(l, (struct sb_object){ .addr = name, .type = t_str, .size = 54, .refcnt = opt->excess ? 0 : 1 + n });
	object(l, (struct sb_object){ .addr = type,
				      .type = t_type,
				      .size = 1080,
				      .refcnt = 1 + n,
				      .gc = true,
				      .place = MA_PLACE_MALLOC });
	for (unsigned t = 0; t < 4; t++)
		object(l, (struct sb_object){ .addr = STATIC + 0x400000 + t * 0x1000,
					      .type = t_type,
					      .size = 920,
					      .refcnt = 0,
					      .place = MA_PLACE_STATIC,
					      .gc = true });
	if (t_evil)
		object(l, (struct sb_object){ .addr = ARENA + 0x600, .type = t_evil, .size = 32, .refcnt = 1 });
	object(l, (struct sb_object){ .addr = cache,
				      .type = t_dict,
				      .size = 64 + 104 * (uint64_t)n,
				      .refcnt = 1,
				      .buffer = 104 * (uint64_t)n,
				      .gc = true });
	for (unsigned i = 0; i < n; i++) {
		edge(l, MA_EDGE_KEY, first + i * STEP + 192, 0);
		edge(l, MA_EDGE_VALUE, first + i * STEP, 0);
	}
	for (unsigned i = 0; i < n; i++) {
		uint64_t at = first + i * (uint64_t)STEP;
		object(l, (struct sb_object){ .addr = at, .type = t_session, .size = 48, .refcnt = 1, .gc = true });
		edge(l, MA_EDGE_NAMED, at + 64, n_dict);
		object(l, (struct sb_object){ .addr = at + 64, .type = t_dict, .size = 104, .refcnt = 1, .gc = true });
		edge(l, MA_EDGE_NAMED, name, n_user);
		/* the last key has one reference more than it counts when the books shall not balance */
		bool wrong = opt->excess && i + 1 == n;
		object(l, (struct sb_object){ .addr = at + 192, .type = t_str, .size = 60, .refcnt = 1 });
		if (wrong) {
			object(l, (struct sb_object){
					  .addr = at + 128, .type = t_dict, .size = 64, .refcnt = 1, .gc = true });
			edge(l, MA_EDGE_KEY, at + 192, 0);
		}
	}
	sb_arena(b, ARENA, arena_bytes, arena_bytes / 16384, 2);
	sb_class(b, 48, n / 300 + 1, n, 20, n, 96);
	sb_class(b, 64, n / 250 + 1, n + 1, 30, n + 1, 96);
	sb_class(b, 112, n / 140 + 1, n + 5, 40, n + 4, 96);
	sb_freelist(b, "float", 12, 288);
	regions(b, arena_bytes);
	sb_finish(b);
	ret->sessions_bytes = 48 * (uint64_t)n;
	ret->cache = cache;
	ret->module = module;
	ret->session0 = first;
	ret->key0 = first + 192;
}
