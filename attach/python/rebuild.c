// SPDX-License-Identifier: Apache-2.0
/* rebuild.c - an ELF image from the memory that it was mapped to, for a file that cannot be opened any more: deleted
 * or replaced by an upgrade while the program runs, and no right to open /proc/PID/map_files. The section table is
 * not part of what is mapped; a small one is made from PT_DYNAMIC, enough for symbols and the build-id. */
#include "cleanup.h"
#include "python_internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u /* or a part of one */
#define MAX_SEGMENTS 64
#define MAX_IMAGE_BYTES (512u << 20)
#define MAX_TABLE_BYTES (32u << 20)

struct rebuild {
	pid_t pid;
	int pagemap, out;
	uint64_t bias, end; /* end: of what the segments hold in the file */
	Elf64_Ehdr head;
	Elf64_Phdr segments[MAX_SEGMENTS];
};

static const char section_names[] = "\0.dynsym\0.dynstr\0.shstrtab\0.note.gnu.build-id";

/* The mapping of the start of the file that holds a header with its program headers; false if there is none. */
static bool read_head(struct rebuild *r, const struct ma_maps *maps, const struct ma_map *file)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		if (m->inode != file->inode || m->dev_major != file->dev_major || m->dev_minor != file->dev_minor ||
		    m->offset || !(m->prot & 1))
			continue;
		if (ma_peek_some(r->pid, m->start, &r->head, sizeof(r->head)) != sizeof(r->head) ||
		    memcmp(r->head.e_ident, ELFMAG, SELFMAG) || r->head.e_ident[EI_CLASS] != ELFCLASS64 ||
		    r->head.e_phentsize != sizeof(Elf64_Phdr) || !r->head.e_phnum || r->head.e_phnum > MAX_SEGMENTS ||
		    r->head.e_phoff > m->end - m->start)
			continue;
		size_t bytes = r->head.e_phnum * sizeof(Elf64_Phdr);
		if (ma_peek_some(r->pid, m->start + r->head.e_phoff, r->segments, bytes) != bytes)
			continue;
		for (unsigned k = 0; k < r->head.e_phnum; k++) {
			const Elf64_Phdr *p = &r->segments[k];
			if (p->p_type == PT_LOAD && p->p_offset < ma_page_bytes()) {
				r->bias = m->start - (p->p_vaddr & ~(ma_page_bytes() - 1));
				return true;
			}
		}
	}
	return false;
}

static bool file_offset(const struct rebuild *r, uint64_t vaddr, uint64_t bytes, uint64_t *ret)
{
	for (unsigned k = 0; k < r->head.e_phnum; k++) {
		const Elf64_Phdr *p = &r->segments[k];
		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr || vaddr - p->p_vaddr > p->p_filesz ||
		    bytes > p->p_filesz - (vaddr - p->p_vaddr))
			continue;
		*ret = p->p_offset + (vaddr - p->p_vaddr);
		return true;
	}
	return false;
}

/* A page that is not present would become part of the target's RSS by being read. */
static bool is_present(const struct rebuild *r, ma_raddr addr)
{
	uint64_t entry;
	return r->pagemap < 0 ||
	       pread(r->pagemap, &entry, sizeof(entry), (off_t)(addr / ma_page_bytes() * sizeof(entry))) !=
		       sizeof(entry) ||
	       entry >> 62;
}

static void copy(const struct rebuild *r, uint64_t vaddr, uint64_t bytes, uint64_t offset, bool present_only)
{
	char page[PAGE];
	for (uint64_t done = 0; done < bytes;) {
		ma_raddr at = r->bias + vaddr + done;
		size_t n = PAGE - at % PAGE;
		n = n < bytes - done ? n : bytes - done;
		if ((!present_only || is_present(r, at)) && ma_peek_some(r->pid, at, page, n) == n &&
		    pwrite(r->out, page, n, (off_t)(offset + done)) != (ssize_t)n)
			return;
		done += n;
	}
}

static bool copy_segments(struct rebuild *r)
{
	for (unsigned k = 0; k < r->head.e_phnum; k++) {
		const Elf64_Phdr *p = &r->segments[k];
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_offset > MAX_IMAGE_BYTES || p->p_filesz > MAX_IMAGE_BYTES)
			return false;
		copy(r, p->p_vaddr, p->p_filesz, p->p_offset, true);
		r->end = p->p_offset + p->p_filesz > r->end ? p->p_offset + p->p_filesz : r->end;
	}
	return r->end;
}

/* glibc adds the bias to the pointers of PT_DYNAMIC in memory, musl does not. */
static uint64_t unrelocate(const struct rebuild *r, uint64_t v)
{
	return v >= r->bias ? v - r->bias : v;
}

/* Is the build-id in this PT_NOTE? There may be several: properties, the ABI tag. */
static bool has_build_id(const struct rebuild *r, const Elf64_Phdr *p)
{
	Elf64_Nhdr n;
	char owner[4];
	for (uint64_t at = 0; at + sizeof(n) + sizeof(owner) <= p->p_filesz && p->p_filesz <= PAGE;) {
		ma_raddr addr = r->bias + p->p_vaddr + at;
		if (ma_peek_some(r->pid, addr, &n, sizeof(n)) != sizeof(n) ||
		    ma_peek_some(r->pid, addr + sizeof(n), owner, sizeof(owner)) != sizeof(owner))
			return false;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && !memcmp(owner, ELF_NOTE_GNU, 4))
			return true;
		at += sizeof(n) + ((n.n_namesz + 3ull) & ~3ull) + ((n.n_descsz + 3ull) & ~3ull);
	}
	return false;
}

/* Adds the section table: null, .dynsym, .dynstr, names, and the notes. */
static bool add_sections(struct rebuild *r)
{
	enum { DYNSYM = 1, DYNSTR, NAMES, NOTE, COUNT };
	Elf64_Shdr s[COUNT] = { { 0 } };
	uint64_t symtab = 0, strtab = 0, strsz = 0;
	const Elf64_Phdr *note = NULL;
	for (unsigned k = 0; k < r->head.e_phnum; k++) {
		const Elf64_Phdr *p = &r->segments[k];
		if (p->p_type == PT_NOTE && !note && has_build_id(r, p))
			note = p;
		for (uint64_t at = 0; p->p_type == PT_DYNAMIC && at < p->p_filesz && at < PAGE * 4;
		     at += sizeof(Elf64_Dyn)) {
			Elf64_Dyn d;
			if (ma_peek_some(r->pid, r->bias + p->p_vaddr + at, &d, sizeof(d)) != sizeof(d))
				return false;
			symtab = d.d_tag == DT_SYMTAB ? unrelocate(r, d.d_un.d_ptr) : symtab;
			strtab = d.d_tag == DT_STRTAB ? unrelocate(r, d.d_un.d_ptr) : strtab;
			strsz = d.d_tag == DT_STRSZ ? d.d_un.d_val : strsz;
		}
	}
	/* no entry tells the number of symbols; all linkers put the strings behind them */
	uint64_t symbols = (strtab - symtab) / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
	if (!symtab || strtab <= symtab || symbols > MAX_TABLE_BYTES || strsz > MAX_TABLE_BYTES ||
	    !file_offset(r, symtab, symbols, &s[DYNSYM].sh_offset) ||
	    !file_offset(r, strtab, strsz, &s[DYNSTR].sh_offset))
		return false;
	copy(r, symtab, symbols, s[DYNSYM].sh_offset, false);
	copy(r, strtab, strsz, s[DYNSTR].sh_offset, false);
	s[DYNSYM].sh_name = 1;
	s[DYNSYM].sh_type = SHT_DYNSYM;
	s[DYNSYM].sh_size = symbols;
	s[DYNSYM].sh_link = DYNSTR;
	s[DYNSYM].sh_entsize = sizeof(Elf64_Sym);
	s[DYNSTR].sh_name = 9;
	s[DYNSTR].sh_type = SHT_STRTAB;
	s[DYNSTR].sh_size = strsz;
	s[NAMES].sh_name = 17;
	s[NAMES].sh_type = SHT_STRTAB;
	s[NAMES].sh_size = sizeof(section_names);
	s[NAMES].sh_offset = r->end;
	if (note && note->p_filesz <= PAGE) {
		copy(r, note->p_vaddr, note->p_filesz, note->p_offset, false);
		s[NOTE].sh_name = 27;
		s[NOTE].sh_type = SHT_NOTE;
		s[NOTE].sh_size = note->p_filesz;
		s[NOTE].sh_offset = note->p_offset;
		s[NOTE].sh_addralign = 4;
	}
	r->head.e_shoff = (r->end + sizeof(section_names) + 7) & ~7ull;
	r->head.e_shnum = COUNT;
	r->head.e_shstrndx = NAMES;
	r->head.e_shentsize = sizeof(Elf64_Shdr);
	return pwrite(r->out, section_names, sizeof(section_names), (off_t)r->end) == sizeof(section_names) &&
	       pwrite(r->out, s, sizeof(s), (off_t)r->head.e_shoff) == sizeof(s) &&
	       pwrite(r->out, r->segments, r->head.e_phnum * sizeof(Elf64_Phdr), (off_t)r->head.e_phoff) > 0 &&
	       pwrite(r->out, &r->head, sizeof(r->head), 0) == sizeof(r->head);
}

int ma_image_rebuild(pid_t pid, int task_dir, const struct ma_maps *maps, const struct ma_map *file)
{
	struct rebuild r = { .pid = pid };
	if (!read_head(&r, maps, file))
		return -1;
	_cleanup_close_ int out = memfd_create("memattach-image", MFD_CLOEXEC);
	_cleanup_close_ int pagemap = openat(task_dir, "pagemap", O_RDONLY | O_CLOEXEC);
	r.out = out;
	r.pagemap = pagemap;
	if (out < 0 || !copy_segments(&r) || !add_sections(&r))
		return -1;
	return ma_take_fd(out);
}
