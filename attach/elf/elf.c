// SPDX-License-Identifier: Apache-2.0
#include "elf_image.h"

#include "cleanup.h"
#include "elf_internal.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "which ELF machine is this?"
#endif

#define MAX_SEGMENTS 256

static struct ma_error *broken(const char *what)
{
	return ma_errorf(MA_ERR_BAD_DATA, "broken ELF image: %s: %s", what, elf_errmsg(-1));
}

static struct ma_error *read_segments(struct ma_elf *e)
{
	size_t count;
	if (elf_getphdrnum(e->elf, &count))
		return broken("program headers");
	if (count > MAX_SEGMENTS)
		return ma_errorf(MA_ERR_BAD_DATA, "broken ELF image: %zu program headers", count);
	e->segments = calloc(count ? count : 1, sizeof(*e->segments));
	if (!e->segments)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(e->elf, (int)i, &ph))
			return broken("program headers");
		if (ph.p_type != PT_LOAD)
			continue;
		if (ph.p_filesz > ph.p_memsz || ph.p_vaddr + ph.p_memsz < ph.p_vaddr ||
		    ph.p_offset + ph.p_filesz < ph.p_offset)
			return ma_errorf(MA_ERR_BAD_DATA, "broken ELF image: segment %zu", i);
		e->segments[e->segments_count++] = (struct ma_elf_segment){
			.vaddr = ph.p_vaddr,
			.offset = ph.p_offset,
			.file_bytes = ph.p_filesz,
			.mem_bytes = ph.p_memsz,
			.read = ph.p_flags & PF_R,
			.write = ph.p_flags & PF_W,
			.exec = ph.p_flags & PF_X,
		};
	}
	return NULL;
}

static struct ma_error *open_image(struct ma_elf *e, int fd)
{
	struct stat st;
	if (fstat(fd, &st))
		return ma_error_os(errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return ma_errorf(MA_ERR_BAD_DATA, "not a regular file");
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (e->fd < 0)
		return ma_error_os(errno, "dup");
	if (elf_version(EV_CURRENT) == EV_NONE)
		return ma_errorf(MA_ERR_UNSUPPORTED, "libelf is of another age: %s", elf_errmsg(-1));
	e->elf = elf_begin(e->fd, ELF_C_READ, NULL);
	if (!e->elf)
		return broken("start");
	if (elf_kind(e->elf) != ELF_K_ELF)
		return ma_errorf(MA_ERR_BAD_DATA, "not an ELF image");
	GElf_Ehdr eh;
	if (!gelf_getehdr(e->elf, &eh))
		return broken("header");
	if (eh.e_ident[EI_CLASS] != ELFCLASS64)
		return ma_errorf(MA_ERR_UNSUPPORTED, "a 32-bit ELF image");
	if (eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != HOST_MACHINE)
		return ma_errorf(MA_ERR_UNSUPPORTED, "an ELF image of another machine (%u)", eh.e_machine);
	e->fixed = eh.e_type == ET_EXEC;
	return read_segments(e);
}

struct ma_error *ma_elf_open(int fd, struct ma_elf **ret)
{
	_cleanup_elf_ struct ma_elf *e = calloc(1, sizeof(*e));
	if (!e)
		return &ma_enomem;
	e->fd = -1;
	MA_TRY(open_image(e, fd));
	*ret = ma_take_ptr(e);
	return NULL;
}

void ma_elf_close(struct ma_elf *e)
{
	if (!e)
		return;
	if (e->elf)
		elf_end(e->elf);
	if (e->fd >= 0)
		close(e->fd);
	free(e->segments);
	free(e);
}

void ma_elf_close_p(struct ma_elf **e)
{
	ma_elf_close(*e);
}

const struct ma_elf_segment *ma_elf_segments(const struct ma_elf *e, size_t *count_ret)
{
	*count_ret = e->segments_count;
	return e->segments;
}

bool ma_elf_is_fixed(const struct ma_elf *e)
{
	return e->fixed;
}

void ma_elf_build_id(const struct ma_elf *e, char ret[MA_BUILD_ID_CHARS])
{
	const void *bits;
	ssize_t bytes = dwelf_elf_gnu_build_id(e->elf, &bits);
	ret[0] = 0;
	if (bytes <= 0 || bytes * 2 >= MA_BUILD_ID_CHARS)
		return;
	for (ssize_t i = 0; i < bytes; i++)
		snprintf(ret + 2 * i, 3, "%02x", ((const unsigned char *)bits)[i]);
}

struct ma_error *ma_elf_read(const struct ma_elf *e, uint64_t vaddr, void *buf, size_t bytes)
{
	for (size_t i = 0; i < e->segments_count; i++) {
		const struct ma_elf_segment *s = &e->segments[i];
		if (vaddr < s->vaddr || vaddr - s->vaddr > s->file_bytes || bytes > s->file_bytes - (vaddr - s->vaddr))
			continue;
		uint64_t at = s->offset + (vaddr - s->vaddr);
		for (size_t done = 0; done < bytes;) {
			ssize_t n = pread(e->fd, (char *)buf + done, bytes - done, (off_t)(at + done));
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return ma_error_os(errno, "read ELF image at %#lx", at);
			if (n == 0)
				return ma_errorf(MA_ERR_BAD_DATA, "broken ELF image: it ends before %#lx", at + bytes);
			done += (size_t)n;
		}
		return NULL;
	}
	return ma_errorf(MA_ERR_BAD_DATA, "address %#lx is not in the ELF image", vaddr);
}

bool ma_elf_section(const struct ma_elf *e, const char *name, uint64_t *vaddr_ret, uint64_t *bytes_ret)
{
	size_t strings;
	if (elf_getshdrstrndx(e->elf, &strings))
		return false;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(e->elf, s));) {
		GElf_Shdr sh;
		const char *its = gelf_getshdr(s, &sh) ? elf_strptr(e->elf, strings, sh.sh_name) : NULL;
		if (!its || strcmp(its, name))
			continue;
		*vaddr_ret = sh.sh_addr;
		*bytes_ret = sh.sh_size;
		return true;
	}
	return false;
}

int ma_open_inside(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC);
}

struct ma_error *ma_elf_open_debug_file(int root, const char *id, struct ma_elf **ret)
{
	*ret = NULL;
	if (strlen(id) < 4)
		return NULL;
	char path[256];
	snprintf(path, sizeof(path), "usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	_cleanup_close_ int fd = ma_open_inside(root, path);
	if (fd < 0)
		return NULL;
	_cleanup_elf_ struct ma_elf *e = NULL;
	_cleanup_error_ struct ma_error *err = ma_elf_open(fd, &e);
	if (err)
		return err == &ma_enomem ? ma_take_ptr(err) : NULL;
	char its[MA_BUILD_ID_CHARS];
	ma_elf_build_id(e, its);
	if (!strcmp(its, id))
		*ret = ma_take_ptr(e);
	return NULL;
}
