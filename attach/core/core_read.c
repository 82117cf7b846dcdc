// SPDX-License-Identifier: Apache-2.0
#include "core.h"

#include "cleanup.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define SP_WORD 19 /* of struct user_regs_struct: rsp, fs_base */
#define TLS_WORD 21
#else
#define MACHINE EM_AARCH64
#define SP_WORD 31
#define TLS_WORD -1 /* in a note of its own, NT_ARM_TLS */
#endif

#define SEGMENTS_MAX (1u << 17) /* twice the kernel's default for mappings of a process (vm.max_map_count) */
#define NOTES_MAX (64u << 20)
#define FILES_MAX (1u << 17)
#define THREADS_MAX (1u << 17)
#define ADDRESS_SPACE (UINT64_C(1) << 47)

static struct ma_error *bad(const char *what)
{
	return ma_errorf(MA_ERR_BAD_DATA, "broken core file: %s", what);
}

/* All `bytes` at `at`. The size was checked; a file that became shorter meanwhile is an error, too. */
static struct ma_error *read_at(int fd, uint64_t at, void *buf, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(fd, (char *)buf + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ma_error_os(errno, "cannot read the core file");
		if (n == 0)
			return ma_errorf(MA_ERR_BAD_DATA, "the core file is cut off at byte %" PRIu64, at + done);
		done += (size_t)n;
	}
	return NULL;
}

static bool inside(const struct ma_core *c, uint64_t at, uint64_t bytes)
{
	return at <= c->bytes && bytes <= c->bytes - at;
}

/* ------------------------------------------------------------------ headers */

static const char *machine_name(unsigned machine)
{
	return machine == EM_X86_64 ? "x86-64" : machine == EM_AARCH64 ? "aarch64" : "another kind";
}

static struct ma_error *read_header(struct ma_core *c, Elf64_Ehdr *eh, uint64_t *count_ret)
{
	Elf64_Shdr first;
	if (c->bytes < sizeof(*eh))
		return ma_errorf(MA_ERR_BAD_DATA, "not a core file: it has %" PRIu64 " bytes", c->bytes);
	MA_TRY(read_at(c->fd, 0, eh, sizeof(*eh)));
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG))
		return ma_errorf(MA_ERR_BAD_DATA, "not a core file: it does not begin as an ELF file does");
	/* e_type stands in the same place in 32-bit files */
	if (eh->e_type != ET_CORE)
		return ma_errorf(MA_ERR_BAD_DATA, "not a core file, but %s",
				 eh->e_type == ET_EXEC || eh->e_type == ET_DYN ? "a program or library"
									       : "an ELF file of another kind");
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return ma_errorf(MA_ERR_UNSUPPORTED, "it is the core of a 32-bit process, which is not supported");
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != MACHINE)
		return ma_errorf(MA_ERR_UNSUPPORTED, "it is the core of a machine of %s (%u), and this one is %s",
				 machine_name(eh->e_machine), eh->e_machine, machine_name(MACHINE));
	*count_ret = eh->e_phnum;
	if (eh->e_phnum == PN_XNUM) {
		if (eh->e_shentsize != sizeof(first) || !inside(c, eh->e_shoff, sizeof(first)))
			return bad("the number of its segments");
		MA_TRY(read_at(c->fd, eh->e_shoff, &first, sizeof(first)));
		*count_ret = first.sh_info;
	}
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return bad("the size of its program headers");
	if (!*count_ret || *count_ret > SEGMENTS_MAX)
		return ma_errorf(MA_ERR_BAD_DATA, "broken core file: it has %" PRIu64 " segments", *count_ret);
	if (!inside(c, eh->e_phoff, *count_ret * sizeof(Elf64_Phdr)))
		return ma_errorf(MA_ERR_BAD_DATA, "the core file is cut off within its program headers");
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	const struct ma_core_segment *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* The kernel's own pages at the top of the address space (the vsyscall page) are in its cores, too. */
static struct ma_error *add_segment(struct ma_core *c, const Elf64_Phdr *p)
{
	uint64_t end;
	if (!p->p_memsz || p->p_vaddr >= UINT64_C(0xffffffffff600000))
		return NULL;
	if (__builtin_add_overflow(p->p_vaddr, p->p_memsz, &end) || end > MA_CORE_USER_END)
		return ma_errorf(MA_ERR_BAD_DATA,
				 "broken core file: a segment at %#" PRIx64 ", where no process has one", p->p_vaddr);
	if (p->p_filesz > p->p_memsz || p->p_vaddr % MA_CORE_PAGE)
		return ma_errorf(MA_ERR_BAD_DATA, "broken core file: the segment at %#" PRIx64, p->p_vaddr);
	if (!inside(c, p->p_offset, p->p_filesz))
		return ma_errorf(MA_ERR_BAD_DATA,
				 "the core file is cut off: it has %" PRIu64 " bytes, and the segment at %#" PRIx64
				 " lies behind them",
				 c->bytes, p->p_vaddr);
	c->segments[c->segments_count++] = (struct ma_core_segment){
		.start = p->p_vaddr,
		.end = (end + MA_CORE_PAGE - 1) & ~(uint64_t)(MA_CORE_PAGE - 1),
		.offset = p->p_offset,
		.file_bytes = p->p_filesz,
		.prot = ((p->p_flags & PF_R) ? 1u : 0) | ((p->p_flags & PF_W) ? 2u : 0) |
			((p->p_flags & PF_X) ? 4u : 0),
	};
	return NULL;
}

static struct ma_error *check_segments(struct ma_core *c)
{
	uint64_t file = 0, memory = 0;
	qsort(c->segments, c->segments_count, sizeof(*c->segments), by_start);
	for (size_t i = 0; i < c->segments_count; i++) {
		const struct ma_core_segment *s = &c->segments[i];
		if (i && s->start < c->segments[i - 1].end)
			return ma_errorf(MA_ERR_BAD_DATA, "broken core file: two segments have address %#" PRIx64,
					 s->start);
		/* so that no byte of the file stands for more than one of memory: its size bounds what we map */
		file += s->file_bytes;
		memory += s->end - s->start;
	}
	if (file > c->bytes)
		return bad("its segments share bytes of the file");
	if (memory > ADDRESS_SPACE / 2)
		return bad("its segments fill the address space");
	return NULL;
}

/* ------------------------------------------------------------------ notes */

static struct ma_error *add_thread(struct ma_core *c, const char *desc, size_t bytes)
{
	struct elf_prstatus st;
	if (bytes < sizeof(st) || c->threads_count >= THREADS_MAX)
		return NULL;
	memcpy(&st, desc, sizeof(st));
	if (!(c->threads_count & (c->threads_count + 1))) { /* room for 1, 3, 7, ... */
		struct ma_core_thread *v = reallocarray(c->threads, c->threads_count * 2 + 1, sizeof(*v));
		if (!v)
			return &ma_enomem;
		c->threads = v;
	}
	c->threads[c->threads_count++] = (struct ma_core_thread){
		.tid = st.pr_pid,
		.sp = st.pr_reg[SP_WORD],
		.tls = TLS_WORD >= 0 ? st.pr_reg[TLS_WORD < 0 ? 0 : TLS_WORD] : 0,
	};
	return NULL;
}

static void read_process(struct ma_core *c, const char *desc, size_t bytes)
{
	struct elf_prpsinfo ps;
	if (bytes < sizeof(ps))
		return;
	memcpy(&ps, desc, sizeof(ps));
	c->pid = ps.pr_pid;
	c->ppid = ps.pr_ppid;
	c->uid = ps.pr_uid;
	memcpy(c->name, ps.pr_fname, sizeof(ps.pr_fname));
	memcpy(c->command, ps.pr_psargs, sizeof(ps.pr_psargs));
	for (size_t n = strlen(c->command); n && c->command[n - 1] == ' '; n--)
		c->command[n - 1] = '\0';
}

static void read_auxv(struct ma_core *c, const char *desc, size_t bytes)
{
	for (; bytes >= sizeof(Elf64_auxv_t); desc += sizeof(Elf64_auxv_t), bytes -= sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t a;
		memcpy(&a, desc, sizeof(a));
		if (a.a_type == AT_ENTRY)
			c->entry = a.a_un.a_val;
		else if (a.a_type == AT_EXECFN)
			c->execfn = a.a_un.a_val;
		else if (a.a_type == AT_RANDOM)
			c->random = a.a_un.a_val;
		else if (a.a_type == AT_SYSINFO_EHDR)
			c->vdso = a.a_un.a_val;
		else if (a.a_type == AT_NULL)
			break;
	}
}

/* fill_files_note(): count, page size, then start, end and offset in pages of each, then as many names. */
static struct ma_error *read_files(struct ma_core *c, const char *desc, size_t bytes)
{
	uint64_t head[2];
	if (c->files || bytes < sizeof(head))
		return NULL;
	memcpy(head, desc, sizeof(head));
	if (head[0] > FILES_MAX || head[0] > (bytes - sizeof(head)) / 25 || !head[1] || head[1] > 1u << 20)
		return bad("the list of mapped files");
	c->files = calloc(head[0] + 1, sizeof(*c->files));
	if (!c->files)
		return &ma_enomem;
	const char *name = desc + sizeof(head) + head[0] * 24, *end = desc + bytes;
	for (uint64_t i = 0; i < head[0]; i++) {
		uint64_t v[3];
		memcpy(v, desc + sizeof(head) + i * 24, sizeof(v));
		const char *nul = name < end ? memchr(name, 0, (size_t)(end - name)) : NULL;
		uint64_t offset;
		if (!nul || v[0] >= v[1] || v[1] > MA_CORE_USER_END || v[0] % MA_CORE_PAGE || v[1] % MA_CORE_PAGE ||
		    __builtin_mul_overflow(v[2], head[1], &offset) || offset >> 62 ||
		    (c->files_count && v[0] < c->files[c->files_count - 1].end))
			return bad("the list of mapped files");
		c->files[c->files_count++] = (struct ma_core_file){ v[0], v[1], offset, name };
		name = nul + 1;
	}
	return NULL;
}

static struct ma_error *read_note(struct ma_core *c, uint32_t type, const char *desc, size_t bytes)
{
	switch (type) {
	case NT_PRSTATUS:
		return add_thread(c, desc, bytes);
	case NT_PRPSINFO:
		read_process(c, desc, bytes);
		return NULL;
	case NT_AUXV:
		read_auxv(c, desc, bytes);
		return NULL;
	case NT_FILE:
		return read_files(c, desc, bytes);
	default:
		return NULL;
	}
}

static struct ma_error *read_notes(struct ma_core *c, const Elf64_Phdr *p)
{
	if (c->notes || !p->p_filesz)
		return NULL;
	if (!inside(c, p->p_offset, p->p_filesz))
		return ma_errorf(MA_ERR_BAD_DATA, "the core file is cut off within its notes");
	if (p->p_filesz > NOTES_MAX)
		return bad("its notes are too large");
	size_t bytes = p->p_filesz;
	c->notes = malloc(bytes);
	if (!c->notes)
		return &ma_enomem;
	MA_TRY(read_at(c->fd, p->p_offset, c->notes, bytes));
	for (size_t at = 0; bytes - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr n;
		memcpy(&n, c->notes + at, sizeof(n));
		at += sizeof(n);
		uint64_t name = ((uint64_t)n.n_namesz + 3) & ~UINT64_C(3),
			 desc = ((uint64_t)n.n_descsz + 3) & ~UINT64_C(3);
		if (name > bytes - at || n.n_descsz > bytes - at - name)
			return bad("its notes");
		if (n.n_namesz == 5 && !memcmp(c->notes + at, "CORE", 5))
			MA_TRY(read_note(c, n.n_type, c->notes + at + name, n.n_descsz));
		at += name + (desc > bytes - at - name ? bytes - at - name : desc);
	}
	return NULL;
}

/* ------------------------------------------------------------------ all */

static struct ma_error *read_core(struct ma_core *c)
{
	Elf64_Ehdr eh;
	uint64_t count = 0;
	struct stat st;
	if (fstat(c->fd, &st))
		return ma_error_os(errno, "cannot look at the core file");
	if (!S_ISREG(st.st_mode))
		return ma_errorf(MA_ERR_BAD_DATA, "not a core file, but %s",
				 S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
	c->bytes = (uint64_t)st.st_size;
	MA_TRY(read_header(c, &eh, &count));
	_cleanup_free_ Elf64_Phdr *ph = calloc(count + 1, sizeof(*ph));
	c->segments = calloc(count + 1, sizeof(*c->segments));
	if (!ph || !c->segments)
		return &ma_enomem;
	MA_TRY(read_at(c->fd, eh.e_phoff, ph, count * sizeof(*ph)));
	for (uint64_t i = 0; i < count; i++) {
		if (ph[i].p_type == PT_LOAD)
			MA_TRY(add_segment(c, &ph[i]));
		else if (ph[i].p_type == PT_NOTE)
			MA_TRY(read_notes(c, &ph[i]));
	}
	if (!c->segments_count)
		return bad("it has no memory");
	return check_segments(c);
}

struct ma_error *ma_core_read(int fd, struct ma_core *ret)
{
	struct ma_core c = { .fd = fd };
	struct ma_error *err = read_core(&c);
	if (err) {
		ma_core_deinit(&c);
		return err;
	}
	if (c.threads_count && !c.pid)
		c.pid = c.threads[0].tid;
	*ret = c;
	return NULL;
}

void ma_core_deinit(struct ma_core *c)
{
	free(c->segments);
	free(c->files);
	free(c->threads);
	free(c->notes);
	*c = (struct ma_core){ .fd = -1 };
}

const struct ma_core_segment *ma_core_find(const struct ma_core *c, ma_raddr addr)
{
	size_t low = 0, high = c->segments_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr >= c->segments[mid].end)
			low = mid + 1;
		else if (addr < c->segments[mid].start)
			high = mid;
		else
			return &c->segments[mid];
	}
	return NULL;
}

size_t ma_core_peek(const struct ma_core *c, ma_raddr addr, void *buf, size_t bytes)
{
	const struct ma_core_segment *s = ma_core_find(c, addr);
	if (!s || addr - s->start >= s->file_bytes)
		return 0;
	uint64_t left = s->file_bytes - (addr - s->start);
	size_t n = bytes < left ? bytes : (size_t)left;
	struct ma_error *err = read_at(c->fd, s->offset + (addr - s->start), buf, n);
	bool ok = !err;
	ma_error_free(err);
	return ok ? n : 0;
}
