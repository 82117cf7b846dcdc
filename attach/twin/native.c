// SPDX-License-Identifier: Apache-2.0
#include "native.h"

#include "cleanup.h"
#include "mapped_file.h"
#include "mem.h"
#include "unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_FRAMES 20000u /* of one thread: 3.8 to 3.10 need five and more for each Python call */
#define MAX_VDSO (64u << 10)
#define NAMES 4096u /* places that are kept by their pc: naming one takes much longer than finding it */
#define TEXT_MAX 1024u
#define WATCH_FRAMES 256u

/* One record is at most this long. */
#define RECORD_MAX (3 * (TEXT_MAX + 5) + 32)

struct kept {
	uint64_t pc;
	bool exact;
	size_t at, bytes; /* of the record's tail in `records_kept`; 0 bytes: free */
};

struct walk {
	struct ma_unwind *u;
	ma_watch watch;
	void *watch_arg;
	struct ma_error *err;
	struct ma_buf *out;
	size_t block; /* where the open block's header stands in out; SIZE_MAX = none */
	uint32_t records;
	const struct ma_thread *thread;
	size_t flags_at; /* of the thread's record in out: one byte */
	unsigned frames; /* of this thread */
	uint64_t all;
	struct kept *kept;
	struct ma_buf records_kept;
};

static size_t read_twin(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	return ma_mem_read_some(*(const pid_t *)arg, addr, buf, bytes);
}

static void close_block(struct walk *k)
{
	if (k->block == SIZE_MAX || k->out->failed)
		return;
	struct ma_block_hdr hdr = { MA_BLOCK_NATIVE, (uint32_t)(k->out->len - k->block - sizeof(hdr)), k->records, 0 };
	memcpy(k->out->data + k->block, &hdr, sizeof(hdr));
	k->block = SIZE_MAX;
}

static void put_thread(struct walk *k)
{
	ma_buf_varint(k->out, MA_NAT_THREAD);
	ma_buf_varint(k->out, (uint64_t)k->thread->tid);
	ma_buf_varint(k->out, k->thread->tls);
	k->flags_at = k->out->len;
	ma_buf_varint(k->out, 0);
	k->records++;
}

/* Room for one more record, in the open block or in a new one. */
static void room(struct walk *k, bool again)
{
	if (k->block != SIZE_MAX &&
	    k->out->len - k->block + 2 * RECORD_MAX <= MA_BLOCK_PAYLOAD + sizeof(struct ma_block_hdr))
		return;
	close_block(k);
	k->block = k->out->len;
	k->records = 0;
	ma_buf_add(k->out, &(struct ma_block_hdr){ 0 }, sizeof(struct ma_block_hdr));
	if (again)
		put_thread(k);
}

static void put_text(struct ma_buf *b, const char *text)
{
	size_t n = strnlen(text, TEXT_MAX);
	ma_buf_varint(b, n);
	ma_buf_add(b, text, n);
}

/* The evaluation loop is exported under this name by every CPython, so stripped ones have it too; compilers add
 * ".cold" and the like. 3.14 and later may be built with a function for each instruction. */
static bool is_eval(const char *function)
{
	static const char name[] = "_PyEval_EvalFrameDefault", tail[] = "_TAIL_CALL_";
	size_t n = sizeof(name) - 1;
	return (!strncmp(function, name, n) && (!function[n] || function[n] == '.')) ||
	       !strncmp(function, tail, sizeof(tail) - 1);
}

/* What follows the pc in a frame's record, made once for each place. */
static void put_place(struct walk *k, uint64_t pc, bool exact)
{
	struct kept *slot = &k->kept[(pc ^ pc >> 12) % NAMES];
	if (!slot->bytes || slot->pc != pc || slot->exact != exact) {
		struct ma_unwind_place place;
		size_t at = k->records_kept.len;
		ma_unwind_name(k->u, pc, exact, &place);
		ma_buf_varint(&k->records_kept,
			      (is_eval(place.function) ? MA_NF_EVAL : 0u) | (exact ? MA_NF_EXACT : 0u));
		put_text(&k->records_kept, place.function);
		put_text(&k->records_kept, place.module);
		put_text(&k->records_kept, place.file);
		ma_buf_varint(&k->records_kept, place.line);
		*slot = (struct kept){ pc, exact, at, k->records_kept.len - at };
	}
	if (!k->records_kept.failed)
		ma_buf_add(k->out, k->records_kept.data + slot->at, slot->bytes);
}

static bool on_frame(void *arg, uint64_t pc, uint64_t sp, bool exact)
{
	struct walk *k = arg;
	if (k->frames++ >= MAX_FRAMES)
		return false;
	if (++k->all % WATCH_FRAMES == 0)
		k->err = k->watch(k->watch_arg);
	if (k->err || k->out->failed || k->records_kept.failed)
		return false;
	room(k, true);
	ma_buf_varint(k->out, MA_NAT_FRAME);
	ma_buf_varint(k->out, pc);
	ma_buf_varint(k->out, sp);
	put_place(k, pc, exact);
	k->records++;
	return true;
}

/* The kernel's own image: no file is behind it. */
static int open_vdso(pid_t twin, const struct ma_map *m)
{
	size_t bytes = (size_t)(m->end - m->start);
	_cleanup_free_ char *copy = bytes <= MAX_VDSO ? malloc(bytes) : NULL;
	_cleanup_close_ int fd = copy ? memfd_create("memattach-vdso", MFD_CLOEXEC) : -1;
	if (fd < 0 || ma_mem_read_some(twin, m->start, copy, bytes) != bytes ||
	    write(fd, copy, bytes) != (ssize_t)bytes)
		return -1;
	return ma_take_fd(fd);
}

static struct ma_error *add_images(const struct ma_twin *w, int task_dir, struct ma_unwind *u)
{
	for (size_t i = 0; i < w->maps.count; i++) {
		const struct ma_map *m = &w->maps.v[i];
		bool vdso = !strcmp(m->path, "[vdso]");
		if (!(m->prot & 4) || (!vdso && (m->path[0] != '/' || !m->inode)))
			continue;
		_cleanup_close_ int fd = vdso ? open_vdso(w->pid, m) : ma_mapped_open(w->pid, task_dir, &w->maps, m);
		_cleanup_elf_ struct ma_elf *e = NULL;
		if (fd < 0)
			continue;
		struct ma_error *err = ma_elf_open(fd, &e);
		if (err == &ma_enomem)
			return err;
		ma_error_free(err); /* an image that can not be read: its frames have no name */
		if (e)
			MA_TRY(ma_unwind_add(u, &e, m->path, m->start, m->offset));
	}
	return NULL;
}

static struct ma_error *walk_thread(struct walk *k, const struct ma_thread *th, unsigned *incomplete)
{
	struct ma_unwind_regs regs = { .pc = ma_regs_pc(&th->saved) };
	bool whole;
	regs.count = ma_regs_dwarf(&th->saved, regs.r);
	k->thread = th;
	k->frames = 0;
	room(k, false);
	put_thread(k);
	MA_TRY(ma_unwind_thread(k->u, th->tid, &regs, on_frame, k, &whole));
	if (k->err)
		return k->err;
	if (!whole && !k->out->failed) {
		k->out->data[k->flags_at] = MA_NT_CUT;
		++*incomplete;
	}
	return ma_buf_error(k->out);
}

struct ma_error *ma_native_stacks(const struct ma_twin *w, const struct ma_thread *threads, size_t count,
				  ma_watch watch, void *arg, struct ma_buf *out, unsigned *incomplete_ret)
{
	_cleanup_unwind_ struct ma_unwind *u = NULL;
	_cleanup_free_ struct kept *kept = calloc(NAMES, sizeof(*kept));
	pid_t twin = w->pid;
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", twin, twin);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ma_error_os(errno, "cannot open %s", path);
	if (!kept)
		return &ma_enomem;
	MA_TRY(ma_unwind_create(twin, read_twin, &twin, &u));
	MA_TRY(add_images(w, dir, u));
	struct walk k = { .u = u,
			  .watch = watch,
			  .watch_arg = arg,
			  .out = out,
			  .block = SIZE_MAX,
			  .kept = kept,
			  .records_kept = MA_BUF_INIT(64u << 20) };
	struct ma_error *err = NULL;
	*incomplete_ret = 0;
	for (size_t i = 0; i < count && !err; i++)
		if (threads[i].have_regs && !threads[i].gone)
			err = walk_thread(&k, &threads[i], incomplete_ret);
	close_block(&k);
	if (!err)
		err = ma_buf_error(&k.records_kept);
	ma_buf_deinit(&k.records_kept);
	return err;
}

struct ma_error *ma_native_emit(struct ma_sink *sink, int fd)
{
	_cleanup_free_ char *payload = malloc(MA_BLOCK_PAYLOAD);
	struct ma_block_hdr hdr;
	if (!payload)
		return &ma_enomem;
	for (off_t at = 0;;) {
		ssize_t n = pread(fd, &hdr, sizeof(hdr), at);
		if (n == 0)
			return NULL;
		if (n != sizeof(hdr) || hdr.kind != MA_BLOCK_NATIVE || hdr.bytes > MA_BLOCK_PAYLOAD ||
		    pread(fd, payload, hdr.bytes, at + n) != (ssize_t)hdr.bytes)
			return ma_errorf(MA_ERR_BAD_DATA, "the native stacks of the tracer are malformed");
		MA_TRY(sink->block(sink->arg, &hdr, payload));
		at += n + (off_t)hdr.bytes;
	}
}
