// SPDX-License-Identifier: Apache-2.0
#include "core_write.h"

#include "buffer.h"
#include "cleanup.h"
#include "mem.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

#define PAGE MA_CORE_PAGE
#define CHUNK (1u << 20)
#define NOTES_MAX (64u << 20)
#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

struct out {
	int fd;
	const struct ma_core_source *src;
	char *buf;
};

static struct ma_error *write_at(int fd, uint64_t at, const void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pwrite(fd, (const char *)data + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ma_error_os(n ? errno : EIO, "cannot write the core file");
		done += (size_t)n;
	}
	return NULL;
}

/* ------------------------------------------------------------------ notes */

static void add_note(struct ma_buf *b, uint32_t type, const void *desc, size_t bytes)
{
	static const char zeros[4];
	const Elf64_Nhdr n = { .n_namesz = 5, .n_descsz = (uint32_t)bytes, .n_type = type };
	ma_buf_add(b, &n, sizeof(n));
	ma_buf_add(b, "CORE\0\0\0", 8);
	ma_buf_add(b, desc, bytes);
	ma_buf_add(b, zeros, ROUND_UP(bytes, 4) - bytes);
}

static void add_thread(struct ma_buf *b, const struct ma_core_source *src, size_t i)
{
	struct elf_prstatus st;
	memset(&st, 0, sizeof(st));
	st.pr_pid = src->threads[i].tid;
	st.pr_ppid = src->ppid;
	_Static_assert(sizeof(st.pr_reg) == sizeof(struct user_regs_struct), "elf_gregset_t");
	memcpy(&st.pr_reg, src->threads[i].regs, sizeof(st.pr_reg));
	add_note(b, NT_PRSTATUS, &st, sizeof(st));
}

static void add_process(struct ma_buf *b, const struct ma_core_source *src)
{
	struct elf_prpsinfo ps;
	memset(&ps, 0, sizeof(ps));
	ps.pr_sname = 'R';
	ps.pr_uid = src->uid;
	ps.pr_pid = src->pid;
	ps.pr_ppid = src->ppid;
	memcpy(ps.pr_fname, src->name, strnlen(src->name, sizeof(ps.pr_fname)));
	memcpy(ps.pr_psargs, src->command, strnlen(src->command, sizeof(ps.pr_psargs) - 1));
	add_note(b, NT_PRPSINFO, &ps, sizeof(ps));
}

static bool is_file(const struct ma_map *m)
{
	return m->path[0] == '/' && !(m->prot & 8);
}

static struct ma_error *add_files(struct ma_buf *b, const struct ma_maps *maps)
{
	_cleanup_buf_ struct ma_buf d = MA_BUF_INIT(NOTES_MAX);
	uint64_t count = 0;
	for (size_t i = 0; i < maps->count; i++)
		count += is_file(&maps->v[i]);
	ma_buf_u64(&d, count);
	ma_buf_u64(&d, PAGE);
	for (size_t i = 0; i < maps->count; i++)
		if (is_file(&maps->v[i])) {
			ma_buf_u64(&d, maps->v[i].start);
			ma_buf_u64(&d, maps->v[i].end);
			ma_buf_u64(&d, maps->v[i].offset / PAGE);
		}
	for (size_t i = 0; i < maps->count; i++)
		if (is_file(&maps->v[i])) {
			ma_buf_add(&d, maps->v[i].path, strlen(maps->v[i].path));
			ma_buf_add(&d, maps->v[i].deleted ? " (deleted)" : "", maps->v[i].deleted ? 11 : 1);
		}
	MA_TRY(ma_buf_error(&d));
	add_note(b, NT_FILE, d.data, d.len);
	return NULL;
}

static struct ma_error *make_notes(struct ma_buf *b, const struct ma_core_source *src)
{
	if (src->threads_count)
		add_thread(b, src, 0);
	add_process(b, src);
	if (src->auxv_bytes)
		add_note(b, NT_AUXV, src->auxv, src->auxv_bytes);
	MA_TRY(add_files(b, src->maps));
	for (size_t i = 1; i < src->threads_count; i++)
		add_thread(b, src, i);
	return ma_buf_error(b);
}

/* ------------------------------------------------------------------ memory */

/* How much of it is written: fs/coredump.c, vma_dump_size(), with the default filter. */
static uint64_t dumped(pid_t pid, const struct ma_map *m)
{
	unsigned char head[4];
	if (!(m->prot & 1) || !strncmp(m->path, "[vv", 3) || !strncmp(m->path, "[vs", 3))
		return 0;
	if (m->path[0] != '/' || (m->prot & 2) || m->anonymous || m->deleted)
		return m->end - m->start;
	bool image = !m->offset && ma_mem_read_some(pid, m->start, head, sizeof(head)) == sizeof(head) &&
		     !memcmp(head, ELFMAG, SELFMAG);
	return image ? PAGE : 0;
}

static bool is_zero(const char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static struct ma_error *copy(const struct out *o, ma_raddr start, ma_raddr end, uint64_t at)
{
	while (start < end) {
		size_t want = end - start < CHUNK ? (size_t)(end - start) : CHUNK;
		size_t n = ma_mem_read_some(o->src->memory, start, o->buf, want);
		n -= n % PAGE;
		for (size_t i = 0; i < n; i += PAGE)
			if (!is_zero(o->buf + i, PAGE))
				MA_TRY(write_at(o->fd, at + i, o->buf + i, PAGE));
		n = n ? n : PAGE; /* a page that can not be read stays a hole */
		start += n;
		at += n;
		MA_TRY(o->src->watch(o->src->arg));
	}
	return NULL;
}

static struct ma_error *copy_map(const struct out *o, const struct ma_map *m, uint64_t bytes, uint64_t at)
{
	const struct ma_runs *r = o->src->present;
	ma_raddr end = m->start + bytes;
	/* what is in swap is not present; reserved memory that nobody touched may be of any size */
	if (!r || m->path[0] == '/' || m->path[0] == '[' || m->swap)
		return copy(o, m->start, end, at);
	for (size_t i = ma_runs_find(r, m->start); i < r->count && r->v[i].start < end; i++) {
		ma_raddr from = r->v[i].start > m->start ? r->v[i].start : m->start;
		ma_raddr to = r->v[i].end < end ? r->v[i].end : end;
		MA_TRY(copy(o, from, to, at + (from - m->start)));
	}
	return NULL;
}

/* ------------------------------------------------------------------ the file */

struct plan {
	Elf64_Phdr *ph; /* the notes first */
	size_t count;
	uint64_t bytes;
};

static struct ma_error *make_plan(const struct ma_core_source *src, size_t notes_bytes, struct plan *ret)
{
	const struct ma_maps *maps = src->maps;
	size_t count = 1;
	for (size_t i = 0; i < maps->count; i++)
		count += !(maps->v[i].prot & 8) && maps->v[i].end <= MA_CORE_USER_END;
	ret->ph = calloc(count, sizeof(*ret->ph));
	if (!ret->ph)
		return &ma_enomem;
	uint64_t at = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr) + (count >= PN_XNUM ? sizeof(Elf64_Shdr) : 0);
	ret->ph[ret->count++] =
		(Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = at, .p_filesz = notes_bytes, .p_align = 4 };
	at = ROUND_UP(at + notes_bytes, PAGE);
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if ((m->prot & 8) || m->end > MA_CORE_USER_END)
			continue;
		uint64_t bytes = dumped(src->memory, m);
		ret->ph[ret->count++] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = (m->prot & 1 ? PF_R : 0u) | (m->prot & 2 ? PF_W : 0u) | (m->prot & 4 ? PF_X : 0u),
			.p_offset = at,
			.p_vaddr = m->start,
			.p_filesz = bytes,
			.p_memsz = m->end - m->start,
			.p_align = PAGE,
		};
		at += bytes;
	}
	ret->bytes = at;
	return NULL;
}

static struct ma_error *write_head(int fd, const struct plan *p)
{
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = MACHINE,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)p->count,
	};
	if (p->count >= PN_XNUM) { /* elf(5): the number stands in the first section header then */
		const Elf64_Shdr sh = { .sh_size = 1, .sh_info = (uint32_t)p->count };
		eh.e_phnum = PN_XNUM;
		eh.e_shoff = sizeof(eh) + p->count * sizeof(Elf64_Phdr);
		eh.e_shentsize = sizeof(sh);
		eh.e_shnum = 1;
		MA_TRY(write_at(fd, eh.e_shoff, &sh, sizeof(sh)));
	}
	MA_TRY(write_at(fd, 0, &eh, sizeof(eh)));
	return write_at(fd, sizeof(eh), p->ph, p->count * sizeof(*p->ph));
}

static struct ma_error *write_memory(const struct out *o, const struct plan *p)
{
	const struct ma_maps *maps = o->src->maps;
	size_t k = 1;
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if ((m->prot & 8) || m->end > MA_CORE_USER_END)
			continue;
		MA_TRY(copy_map(o, m, p->ph[k].p_filesz, p->ph[k].p_offset));
		k++;
	}
	return NULL;
}

struct ma_error *ma_core_write(int fd, const struct ma_core_source *src)
{
	_cleanup_buf_ struct ma_buf notes = MA_BUF_INIT(NOTES_MAX);
	_cleanup_free_ char *buf = malloc(CHUNK);
	struct plan p = { 0 };
	if (!buf)
		return &ma_enomem;
	MA_TRY(make_notes(&notes, src));
	const struct out o = { fd, src, buf };
	struct ma_error *err = make_plan(src, notes.len, &p);
	if (!err && ftruncate(fd, (off_t)p.bytes))
		err = ma_error_os(errno, "cannot write the core file");
	if (!err)
		err = write_head(fd, &p);
	if (!err)
		err = write_at(fd, p.ph[0].p_offset, notes.data, notes.len);
	if (!err)
		err = write_memory(&o, &p);
	free(p.ph);
	return err;
}
