// SPDX-License-Identifier: Apache-2.0
#include "meta.h"

#include "cleanup.h"
#include "varint.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#define SMAPS_MAX (512u << 20)

void ma_meta_u64(struct ma_buf *b, enum ma_meta_tag tag, uint64_t value)
{
	ma_buf_varint(b, tag);
	ma_buf_varint(b, 8);
	ma_buf_u64(b, value);
}

void ma_meta_text(struct ma_buf *b, enum ma_meta_tag tag, const char *text)
{
	size_t n = strlen(text);
	ma_buf_varint(b, tag);
	ma_buf_varint(b, n);
	ma_buf_add(b, text, n);
}

static uint64_t uptime_ns(int dir)
{
	struct ma_stat st;
	struct timespec t;
	struct ma_error *err = ma_stat_read(dir, &st);
	long hz = sysconf(_SC_CLK_TCK);
	if (err || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &t)) {
		ma_error_free(err);
		return 0;
	}
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	uint64_t began = st.start_time * (1000000000u / (uint64_t)hz);
	return now > began ? now - began : 0;
}

static void put_values(struct ma_buf *b, const struct ma_values_wish *v, bool threads_only, const struct ma_python *py)
{
	ma_meta_u64(b, MA_META_VALUES, threads_only ? MA_VALUES_NONE : v->mode);
	if (threads_only || v->mode == MA_VALUES_NONE)
		return;
	if (v->mode >= MA_VALUES_PREFIX)
		ma_meta_u64(b, MA_META_VALUES_LIMIT, v->mode == MA_VALUES_PREFIX ? v->limit : MA_VALUE_TEXT_MAX);
	ma_meta_u64(b, MA_META_VALUES_STR_BASE, (uint64_t)py->layout.sizeof_str_ascii + 1);
	ma_meta_u64(b, MA_META_VALUES_KEY_ID, ma_siphash_key_id(v->key));
}

void ma_meta_python(struct ma_buf *b, const struct ma_attach_options *options, const struct ma_python *py)
{
	ma_meta_text(b, MA_META_PYTHON, py->version);
	ma_meta_text(b, MA_META_LIBPYTHON, py->libpython ? py->libpython : "");
	ma_meta_text(b, MA_META_BUILD_ID, py->build_id);
	ma_meta_text(b, MA_META_LAYOUT_SOURCE, py->source_name ? py->source_name : "");
	put_values(b, &options->values, options->threads_only, py);
	if (options->note)
		ma_meta_text(b, MA_META_NOTE, options->note);
}

struct ma_error *ma_meta_target(struct ma_buf *b, int dir, const struct ma_attach_options *options,
				const struct ma_status *status, const struct ma_python *py,
				const struct ma_preflight *pre)
{
	_cleanup_free_ char *command = NULL;
	char host[HOST_NAME_MAX + 1] = "";
	struct ma_stat st;
	struct utsname un;

	MA_TRY(ma_cmdline_read(dir, &command));
	/* arguments may be secrets; the stacks alone have no values, but are not kept */
	if (options->values.mode == MA_VALUES_NONE && !options->threads_only)
		command[strcspn(command, " ")] = '\0';
	MA_TRY(ma_stat_read(dir, &st));
	gethostname(host, sizeof(host) - 1);
	ma_meta_text(b, MA_META_TOOL, "memattach " MA_VERSION);
	ma_meta_text(b, MA_META_HOST, host);
	ma_meta_u64(b, MA_META_PID, (uint64_t)options->pid);
	ma_meta_u64(b, MA_META_PARENT_PID, (uint64_t)(st.ppid > 0 ? st.ppid : 0));
	ma_meta_u64(b, MA_META_UID, status->uid[1]);
	ma_meta_text(b, MA_META_COMMAND, command);
	ma_meta_u64(b, MA_META_START_TIME, st.start_time);
	ma_meta_u64(b, MA_META_UPTIME_NS, uptime_ns(dir));
	ma_meta_text(b, MA_META_EXE, py->exe ? py->exe : "");
	ma_meta_python(b, options, py);
	ma_meta_u64(b, MA_META_CGROUP_LIMIT, pre->cgroup_limit);
	ma_meta_u64(b, MA_META_CGROUP_USAGE, pre->cgroup_usage);
	if (!uname(&un))
		ma_meta_text(b, MA_META_ARCH, un.machine);
	return ma_buf_error(b);
}

void ma_meta_stopped(struct ma_buf *b, const struct ma_msg_stopped *s)
{
	ma_meta_u64(b, MA_META_TAKEN_REALTIME_NS, s->realtime_ns);
	ma_meta_u64(b, MA_META_TAKEN_MONOTONIC_NS, s->monotonic_ns);
	ma_meta_u64(b, MA_META_RSS_ANON, s->rss_anon);
	ma_meta_u64(b, MA_META_RSS_FILE, s->rss_file);
	ma_meta_u64(b, MA_META_RSS_SHMEM, s->rss_shmem);
	ma_meta_u64(b, MA_META_VM_PTE, s->vm_pte);
}

void ma_meta_done(struct ma_buf *b, const struct ma_msg_done *d)
{
	ma_meta_u64(b, MA_META_CONSISTENCY, d->consistency);
	ma_meta_u64(b, MA_META_PAUSE_NS, d->pause_ns);
	ma_meta_u64(b, MA_META_ATTEMPTS, d->attempts);
	ma_meta_u64(b, MA_META_TWIN_NS, d->twin_ns);
	ma_meta_u64(b, MA_META_SAFE_NS, d->safe_ns);
	ma_meta_u64(b, MA_META_WALK_NS, d->walk_ns);
	ma_meta_u64(b, MA_META_CALL_NS, d->call_ns);
	ma_meta_u64(b, MA_META_FAULTS, d->faults);
	if (d->raw_bytes) {
		ma_meta_u64(b, MA_META_RAW_BYTES, d->raw_bytes);
		ma_meta_u64(b, MA_META_RAW_SAVED_NS, d->raw_saved_ns);
		ma_meta_u64(b, MA_META_LIVE_BYTES, d->live_bytes);
	}
	ma_meta_u64(b, MA_META_TARGET_FAULTS, d->target_faults);
}

/* Of fields in a META or RESULT payload. */
static uint32_t fields_in(const struct ma_buf *b)
{
	struct ma_cursor c;
	uint32_t n = 0;
	ma_cursor_init(&c, ma_buf_text(b), b->len);
	for (; ma_cursor_left(&c); n++) {
		ma_cursor_varint(&c);
		ma_cursor_take(&c, ma_cursor_varint(&c));
	}
	return n;
}

static struct ma_error *emit(struct ma_sink *sink, enum ma_block_kind kind, uint32_t records, const struct ma_buf *b)
{
	MA_TRY(ma_buf_error(b));
	struct ma_block_hdr hdr = { kind, (uint32_t)b->len, records, 0 };
	return sink->block(sink->arg, &hdr, ma_buf_text(b));
}

struct ma_error *ma_meta_emit(struct ma_sink *sink, enum ma_block_kind kind, const struct ma_buf *b)
{
	return emit(sink, kind, fields_in(b), b);
}

static enum ma_region_kind kind_of(const struct ma_maps *maps, size_t i)
{
	const struct ma_map *m = &maps->v[i];
	if (m->prot & 8)
		return MA_RGN_SHARED;
	if (!strcmp(m->path, "[heap]"))
		return MA_RGN_HEAP;
	if (!strncmp(m->path, "[stack", 6))
		return MA_RGN_STACK;
	if (!strncmp(m->path, "[v", 2))
		return MA_RGN_KERNEL;
	if (m->path[0] == '/')
		return (m->prot & 4) ? MA_RGN_CODE : (m->prot & 2) ? MA_RGN_DATA : MA_RGN_FILE;
	if (i && maps->v[i - 1].end == m->start && maps->v[i - 1].path[0] == '/' && (maps->v[i - 1].prot & 2))
		return MA_RGN_DATA; /* its .bss */
	/* A glibc arena lies at a multiple of 64 MiB and the rest of it is reserved without access (malloc/arena.c,
	 * HEAP_MAX_SIZE); a thread's stack has a guard below it and is 8 MiB or so as a rule. */
	if (i + 1 < maps->count && !(m->start & ((64u << 20) - 1)) && maps->v[i + 1].start == m->end &&
	    !(maps->v[i + 1].prot & 7) && maps->v[i + 1].end - m->start == 64u << 20)
		return MA_RGN_HEAP;
	if (i && maps->v[i - 1].end == m->start && !(maps->v[i - 1].prot & 7) && !maps->v[i - 1].path[0] &&
	    maps->v[i - 1].end - maps->v[i - 1].start <= 65536)
		return MA_RGN_STACK;
	return m->path[0] == '[' ? MA_RGN_OTHER : MA_RGN_ANON;
}

static void put_region(struct ma_buf *b, const struct ma_maps *maps, size_t i)
{
	const struct ma_map *m = &maps->v[i];
	size_t n = strnlen(m->path, MA_NAME_MAX);
	ma_buf_varint(b, m->start);
	ma_buf_varint(b, m->end);
	ma_buf_varint(b, m->prot);
	ma_buf_varint(b, m->inode);
	ma_buf_varint(b, n);
	ma_buf_add(b, m->path, n);
	ma_buf_varint(b, m->rss);
	ma_buf_varint(b, m->pss);
	ma_buf_varint(b, m->private_dirty);
	ma_buf_varint(b, m->private_clean);
	ma_buf_varint(b, m->shared_clean + m->shared_dirty);
	ma_buf_varint(b, m->anonymous);
	ma_buf_varint(b, m->huge);
	ma_buf_varint(b, m->swap);
	ma_buf_varint(b, kind_of(maps, i));
}

struct ma_error *ma_meta_regions(struct ma_sink *sink, int fd, const struct ma_kept_out *kept_out, size_t count)
{
	struct stat st;
	struct ma_maps maps = { 0 };
	if (fstat(fd, &st))
		return ma_error_os(errno, "cannot read the regions of the twin");
	if (st.st_size <= 0 || st.st_size > SMAPS_MAX)
		return NULL; /* refused by the machine: the report then says that regions are missing */
	void *text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return ma_error_os(errno, "cannot map the regions of the twin");
	struct ma_error *err = ma_maps_parse(text, (size_t)st.st_size, &maps);
	munmap(text, (size_t)st.st_size);
	if (err)
		return err;
	ma_fill_join_maps(&maps, kept_out, count);
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_BLOCK_PAYLOAD);
	uint32_t records = 0;
	for (size_t i = 0; i < maps.count && !err; i++) {
		put_region(&b, &maps, i);
		records++;
		if (b.len > MA_BLOCK_PAYLOAD - 4096 || i + 1 == maps.count) {
			err = emit(sink, MA_BLOCK_REGIONS, records, &b);
			b.len = 0;
			records = 0;
		}
	}
	ma_maps_deinit(&maps);
	return err;
}
