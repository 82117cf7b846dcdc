// SPDX-License-Identifier: Apache-2.0
#include "space.h"

#include "cleanup.h"
#include "elf_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PAGE MA_CORE_PAGE
#define PROOF_MIN 512u
#define OPEN_MAX_FILES 8192u
#define PATHS_MAX (256u << 20)

enum state { UNUSABLE, USABLE, NO_IMAGE };

/* A file of which something was mapped. */
struct image {
	const char *path; /* in the core */
	char *found;      /* where it was opened; NULL = not */
	int fd;
	dev_t dev;
	ino_t inode;
	enum state state;
	bool exe, incomplete; /* incomplete: the core has not all of it */
	Elf64_Phdr *ph;
	unsigned ph_count;
};

struct build {
	const struct ma_core *core;
	const char *exe;
	char *root; /* what is before the path of the executable, "" = nothing */
	struct image *images;
	size_t images_count, opened;
	size_t *image_of; /* of each entry of core->files */
	struct ma_space s;
	size_t maps_cap, pieces_cap, text_len, text_cap;
	size_t *path_at; /* of each map, in s.maps.text: it moves while it grows */
	int here;        /* the root folder */
};

/* ------------------------------------------------------------------ which files */

struct named {
	const char *path;
	size_t i;
};

static int by_path(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->path, y->path);
	return c ? c : x->i < y->i ? -1 : x->i > y->i;
}

static struct ma_error *list_images(struct build *b)
{
	const struct ma_core *c = b->core;
	_cleanup_free_ struct named *v = calloc(c->files_count + 1, sizeof(*v));
	b->images = calloc(c->files_count + 1, sizeof(*b->images));
	b->image_of = calloc(c->files_count + 1, sizeof(*b->image_of));
	if (!v || !b->images || !b->image_of)
		return &ma_enomem;
	for (size_t i = 0; i < c->files_count; i++)
		v[i] = (struct named){ c->files[i].path, i };
	qsort(v, c->files_count, sizeof(*v), by_path);
	for (size_t i = 0; i < c->files_count; i++) {
		if (!i || strcmp(v[i].path, v[i - 1].path))
			b->images[b->images_count++] = (struct image){ .path = v[i].path, .fd = -1 };
		b->image_of[v[i].i] = b->images_count - 1;
	}
	for (size_t i = 0; i < c->files_count; i++)
		if (c->entry >= c->files[i].start && c->entry < c->files[i].end)
			b->images[b->image_of[i]].exe = true;
	return NULL;
}

/* Its program headers; false: it is no ELF image of this kind of machine. */
static bool read_head(struct image *m)
{
	Elf64_Ehdr eh;
	if (pread(m->fd, &eh, sizeof(eh), 0) != (ssize_t)sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || (eh.e_type != ET_DYN && eh.e_type != ET_EXEC) ||
	    eh.e_phentsize != sizeof(Elf64_Phdr) || !eh.e_phnum || eh.e_phnum > 256)
		return false;
	size_t bytes = eh.e_phnum * sizeof(Elf64_Phdr);
	m->ph = malloc(bytes);
	if (!m->ph || pread(m->fd, m->ph, bytes, (off_t)eh.e_phoff) != (ssize_t)bytes)
		return false;
	m->ph_count = eh.e_phnum;
	return true;
}

static void forget(struct image *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m->ph);
	free(m->found);
	m->fd = -1;
	m->ph = NULL;
	m->found = NULL;
	m->ph_count = 0;
}

/* `path` as it is, below `root` where that is not empty. */
static bool open_at(struct build *b, struct image *m, const char *root, const char *path)
{
	struct stat st;
	if (asprintf(&m->found, "%s%s", root, path) < 0) {
		m->found = NULL;
		return false;
	}
	m->fd = ma_open_inside(b->here, m->found);
	if (m->fd < 0 || fstat(m->fd, &st) || !read_head(m)) {
		if (m->fd >= 0)
			m->state = NO_IMAGE; /* data: no object lies in it */
		forget(m);
		return false;
	}
	m->dev = st.st_dev;
	m->inode = st.st_ino;
	return true;
}

enum proof { SAME, OTHER, NOTHING_TO_COMPARE };

/* The first page of an image has its headers, and as a rule the build id. */
static enum proof compare(const struct build *b, const struct image *m)
{
	const struct ma_core *c = b->core;
	for (size_t i = 0; i < c->files_count; i++) {
		char there[PAGE], here[PAGE];
		if (&b->images[b->image_of[i]] != m || c->files[i].offset)
			continue;
		size_t n = ma_core_peek(c, c->files[i].start, there, sizeof(there));
		if (n < PROOF_MIN)
			continue;
		return pread(m->fd, here, n, 0) == (ssize_t)n && !memcmp(here, there, n) ? SAME : OTHER;
	}
	return NOTHING_TO_COMPARE;
}

static bool try_image(struct build *b, struct image *m, const char *root, const char *path, enum proof *proof)
{
	if (!open_at(b, m, root, path))
		return false;
	*proof = compare(b, m);
	if (*proof == OTHER)
		forget(m);
	return m->fd >= 0;
}

/* The note of the build id in a page that begins as an image does. */
static void id_in(const unsigned char *page, size_t bytes, char ret[MA_BUILD_ID_CHARS])
{
	Elf64_Ehdr eh;
	ret[0] = '\0';
	if (bytes < sizeof(eh))
		return;
	memcpy(&eh, page, sizeof(eh));
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;
		uint64_t at = eh.e_phoff + i * sizeof(ph);
		if (eh.e_phoff > bytes || at > bytes - sizeof(ph))
			return;
		memcpy(&ph, page + at, sizeof(ph));
		if (ph.p_type != PT_NOTE || ph.p_offset > bytes || ph.p_filesz > bytes - ph.p_offset)
			continue;
		for (at = ph.p_offset; ph.p_offset + ph.p_filesz - at >= sizeof(Elf64_Nhdr);) {
			Elf64_Nhdr n;
			memcpy(&n, page + at, sizeof(n));
			uint64_t name = ((uint64_t)n.n_namesz + 3) & ~UINT64_C(3), end = ph.p_offset + ph.p_filesz;
			at += sizeof(n);
			if (name > end - at || n.n_descsz > end - at - name)
				break;
			if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && n.n_descsz * 2 < MA_BUILD_ID_CHARS)
				for (unsigned k = 0; k < n.n_descsz; k++)
					snprintf(ret + 2 * k, 3, "%02x", page[at + name + k]);
			at += name + (((uint64_t)n.n_descsz + 3) & ~UINT64_C(3));
			if (at > end)
				break;
		}
	}
}

static struct ma_error *wrong_exe(const struct build *b, const struct image *m)
{
	char theirs[MA_BUILD_ID_CHARS] = "", ours[MA_BUILD_ID_CHARS] = "";
	unsigned char page[PAGE];
	_cleanup_close_ int fd = open(b->exe, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 ? pread(fd, page, sizeof(page), 0) : -1;
	if (n < 4 || memcmp(page, ELFMAG, SELFMAG))
		return n < 0 ? ma_error_os(errno, "--exe %s", b->exe)
			     : ma_errorf(MA_ERR_USAGE, "--exe %s is no executable", b->exe);
	id_in(page, (size_t)n, ours);
	for (size_t i = 0; i < b->core->files_count && !theirs[0]; i++)
		if (&b->images[b->image_of[i]] == m && !b->core->files[i].offset)
			id_in(page, ma_core_peek(b->core, b->core->files[i].start, page, sizeof(page)), theirs);
	return ma_errorf(MA_ERR_USAGE, "--exe %s is not the program that ran (%s): build id %s, in the core %s", b->exe,
			 m->path, ours[0] ? ours : "none", theirs[0] ? theirs : "none");
}

/* "/srv/image/usr/bin/python3" for a program that ran as /usr/bin/python3: "/srv/image". */
static struct ma_error *find_root(struct build *b, const struct image *exe)
{
	size_t n = strlen(exe->path);
	_cleanup_free_ char *full = realpath(b->exe, NULL);
	size_t len = full ? strlen(full) : 0;
	b->root = len > n && !strcmp(full + len - n, exe->path) ? strndup(full, len - n) : strdup("");
	return b->root ? NULL : &ma_enomem;
}

static struct ma_error *open_exe(struct build *b)
{
	enum proof proof = NOTHING_TO_COMPARE;
	for (size_t i = 0; b->exe && i < b->images_count; i++) {
		struct image *m = &b->images[i];
		if (!m->exe)
			continue;
		_cleanup_free_ char *full = realpath(b->exe, NULL);
		if (!full)
			return ma_errorf(MA_ERR_USAGE, "--exe %s: %s", b->exe, strerror(errno));
		if (!try_image(b, m, "", full, &proof))
			return wrong_exe(b, m);
		m->state = USABLE;
		b->s.unproven += proof == NOTHING_TO_COMPARE;
		return find_root(b, m);
	}
	if (b->exe)
		return ma_errorf(MA_ERR_USAGE, "--exe: the core does not say which program ran");
	b->root = strdup("");
	return b->root ? NULL : &ma_enomem;
}

/* Limits of the shell are for those who leak descriptors: here each is one mapped file. */
static void raise_limit(void)
{
	struct rlimit r;
	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max < OPEN_MAX_FILES + 64 ? r.rlim_max : OPEN_MAX_FILES + 64;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static struct ma_error *open_images(struct build *b)
{
	raise_limit();
	MA_TRY(open_exe(b));
	for (size_t i = 0; i < b->images_count && i < OPEN_MAX_FILES; i++) {
		struct image *m = &b->images[i];
		enum proof proof = NOTHING_TO_COMPARE, later = NOTHING_TO_COMPARE;
		if (m->state == USABLE || m->path[0] != '/')
			continue;
		bool found = (b->root[0] && try_image(b, m, b->root, m->path, &proof)) ||
			     try_image(b, m, "", m->path, &later);
		if (found) {
			m->state = USABLE;
			b->s.unproven += (proof == SAME || later == SAME) ? 0 : 1;
		}
	}
	return NULL;
}

/* What an image is mapped as where the core has no segment for it. */
static unsigned prot_in(const struct image *m, uint64_t offset)
{
	for (unsigned i = 0; i < m->ph_count; i++) {
		const Elf64_Phdr *p = &m->ph[i];
		uint64_t from = p->p_offset & ~(uint64_t)(PAGE - 1);
		if (p->p_type == PT_LOAD && offset >= from && offset - from < p->p_filesz + (p->p_offset - from))
			return ((p->p_flags & PF_R) ? 1u : 0) | ((p->p_flags & PF_W) ? 2u : 0) |
			       ((p->p_flags & PF_X) ? 4u : 0);
	}
	return 1;
}

/* ------------------------------------------------------------------ maps and pieces */

static struct ma_error *add_text(struct build *b, const char *text, size_t *ret)
{
	size_t n = strlen(text) + 1;
	if (n > PATHS_MAX - b->text_len)
		return ma_errorf(MA_ERR_BAD_DATA, "broken core file: the names of its files are too long");
	if (b->text_len + n > b->text_cap) {
		size_t cap = (b->text_len + n) * 2;
		char *t = realloc(b->s.maps.text, cap);
		if (!t)
			return &ma_enomem;
		b->s.maps.text = t;
		b->text_cap = cap;
	}
	memcpy(b->s.maps.text + b->text_len, text, n);
	*ret = b->text_len;
	b->text_len += n;
	return NULL;
}

static struct ma_error *add_piece(struct build *b, struct ma_piece p)
{
	if (p.start >= p.end)
		return NULL;
	if (b->s.pieces_count == b->pieces_cap) {
		size_t cap = b->pieces_cap ? b->pieces_cap * 2 : 256;
		struct ma_piece *v = reallocarray(b->s.pieces, cap, sizeof(*v));
		if (!v)
			return &ma_enomem;
		b->s.pieces = v;
		b->pieces_cap = cap;
	}
	b->s.pieces[b->s.pieces_count++] = p;
	return NULL;
}

static const char *special_name(const struct ma_core *c, ma_raddr start, ma_raddr end)
{
	const struct {
		ma_raddr at;
		const char *name;
	} known[] = { { c->random, "[stack]" }, { c->execfn, "[stack]" }, { c->vdso, "[vdso]" } };
	for (size_t i = 0; i < MA_ARRAY_SIZE(known); i++)
		if (known[i].at >= start && known[i].at < end)
			return known[i].name;
	return "";
}

/* `file`: of core->files, or NULL. */
static struct ma_error *add_map(struct build *b, ma_raddr start, ma_raddr end, unsigned prot,
				const struct ma_core_file *file)
{
	const struct image *m = file ? &b->images[b->image_of[file - b->core->files]] : NULL;
	if (b->s.maps.count == b->maps_cap) {
		size_t cap = b->maps_cap ? b->maps_cap * 2 : 256;
		struct ma_map *v = reallocarray(b->s.maps.v, cap, sizeof(*v));
		if (!v)
			return &ma_enomem;
		b->s.maps.v = v;
		size_t *at = reallocarray(b->path_at, cap, sizeof(*at));
		if (!at)
			return &ma_enomem;
		b->path_at = at;
		b->maps_cap = cap;
	}
	struct ma_map *map = &b->s.maps.v[b->s.maps.count];
	*map = (struct ma_map){ .start = start, .end = end, .prot = prot, .path = "" };
	MA_TRY(add_text(b,
			!m         ? special_name(b->core, start, end)
			: m->found ? m->found
				   : m->path,
			&b->path_at[b->s.maps.count]));
	if (m) {
		map->offset = file->offset + (start - file->start);
		map->inode = m->found ? m->inode : (uint64_t)(m - b->images) + 1;
		map->dev_major = m->found ? major(m->dev) : 0;
		map->dev_minor = m->found ? minor(m->dev) : 0;
	}
	b->s.maps.count++;
	return NULL;
}

/* Content of an image from its file. */
static struct ma_error *from_image(struct build *b, ma_raddr start, ma_raddr end, bool write,
				   const struct ma_core_file *file)
{
	const struct image *m = &b->images[b->image_of[file - b->core->files]];
	return add_piece(b, (struct ma_piece){ .start = start,
					       .end = end,
					       .fd = m->fd,
					       .offset = file->offset + (start - file->start),
					       .bytes = end - start,
					       .write = write });
}

static struct ma_error *add_segment(struct build *b, const struct ma_core_segment *s, const struct ma_core_file *file)
{
	struct image *m = file ? &b->images[b->image_of[file - b->core->files]] : NULL;
	bool usable = m && m->state == USABLE, write = s->prot & 2;
	uint64_t all = s->end - s->start;
	/* whole pages that the core has; the rest of the last one is zeros */
	uint64_t held = (s->file_bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (!(s->prot & 1)) {
		MA_TRY(add_map(b, s->start, s->end, s->prot, file));
		return add_piece(b, (struct ma_piece){ .start = s->start, .end = s->end, .fd = -1 });
	}
	/* of code, and what else is not written to, the kernel keeps a page for the headers */
	if (usable && held < all && !write)
		held = 0;
	if (held)
		MA_TRY(add_piece(
			b, (struct ma_piece){ .start = s->start,
					      .end = s->start + held,
					      .fd = b->core->fd,
					      .offset = s->offset,
					      .bytes = s->file_bytes,
					      .write = write,
					      .copied = s->offset % PAGE || s->file_bytes % PAGE || (m && !usable),
					      .ours = true }));
	if (held == all)
		return add_map(b, s->start, s->end, s->prot, file);
	if (usable) {
		MA_TRY(from_image(b, s->start + held, s->end, write, file));
		return add_map(b, s->start, s->end, s->prot, file);
	}
	if (m)
		m->incomplete = true;
	if (held)
		MA_TRY(add_map(b, s->start, s->start + held, s->prot, file));
	MA_TRY(add_map(b, s->start + held, s->end, 0, file));
	return add_piece(b, (struct ma_piece){ .start = s->start + held, .end = s->end, .fd = -1 });
}

/* A part of a file's mapping that no segment stands for: gcore leaves out what is not written to. */
static struct ma_error *add_gap(struct build *b, ma_raddr start, ma_raddr end, const struct ma_core_file *file)
{
	struct image *m = &b->images[b->image_of[file - b->core->files]];
	if (start >= end)
		return NULL;
	bool usable = m->state == USABLE;
	m->incomplete = !usable || m->incomplete;
	unsigned prot = usable ? prot_in(m, file->offset + (start - file->start)) : 0;
	MA_TRY(add_map(b, start, end, prot, file));
	if (prot & 1)
		return from_image(b, start, end, prot & 2, file);
	return add_piece(b, (struct ma_piece){ .start = start, .end = end, .fd = -1 });
}

static struct ma_error *merge(struct build *b)
{
	const struct ma_core *c = b->core;
	size_t f = 0;
	ma_raddr at = 0; /* up to here all is done */
	for (size_t i = 0; i < c->segments_count; i++) {
		const struct ma_core_segment *s = &c->segments[i];
		const struct ma_core_file *file = NULL;
		for (; f < c->files_count && c->files[f].start < s->end; f++) {
			const struct ma_core_file *g = &c->files[f];
			ma_raddr from = g->start > at ? g->start : at;
			if (from < s->start)
				MA_TRY(add_gap(b, from, g->end < s->start ? g->end : s->start, g));
			if (g->end > s->start && g->start <= s->start)
				file = g;
			if (g->end > s->end)
				break;
		}
		MA_TRY(add_segment(b, s, file));
		at = s->end;
	}
	for (; f < c->files_count; f++)
		MA_TRY(add_gap(b, c->files[f].start > at ? c->files[f].start : at, c->files[f].end, &c->files[f]));
	return NULL;
}

/* brk() begins behind the executable (a random number of pages behind): the first writable memory without a name there.
 * With a PIE that is far from where the libraries are. */
static struct ma_error *name_heap(struct build *b)
{
	struct ma_maps *maps = &b->s.maps;
	ma_raddr end = 0;
	for (size_t i = 0; i < maps->count; i++) {
		const struct ma_map *m = &maps->v[i];
		const char *path = maps->text + b->path_at[i];
		if (b->s.exe && m->inode && !strcmp(path, b->s.exe))
			end = m->end;
		else if (end && m->start == end && !m->inode && (m->prot & 2))
			end = m->end; /* its .bss */
		else if (end && m->start - end > UINT64_C(1) << 34)
			return NULL;
		else if (end && !m->inode && (m->prot & 3) == 3 && !path[0])
			return add_text(b, "[heap]", &b->path_at[i]);
	}
	return NULL;
}

/* Images that were mapped, of which the core has not all. */
static struct ma_error *count_lost(struct build *b)
{
	static const char *const no_files[] = { "/dev/", "/memfd:", "/SYSV", "/[aio]", "/anon_hugepage" };
	for (size_t i = 0; i < b->images_count; i++) {
		const struct image *m = &b->images[i];
		bool file = m->path[0] == '/' && m->state == UNUSABLE && m->incomplete;
		for (size_t k = 0; k < MA_ARRAY_SIZE(no_files); k++)
			file = file && strncmp(m->path, no_files[k], strlen(no_files[k]));
		if (!file)
			continue;
		b->s.lost++;
		if (!b->s.first_lost && !(b->s.first_lost = strdup(m->path)))
			return &ma_enomem;
	}
	return NULL;
}

static struct ma_error *finish(struct build *b)
{
	struct ma_space *s = &b->s;
	s->fds = calloc(b->images_count + 1, sizeof(*s->fds));
	if (!s->fds)
		return &ma_enomem;
	for (size_t i = 0; i < b->images_count; i++) {
		struct image *m = &b->images[i];
		if (m->exe && !s->exe) {
			s->exe = strdup(m->found ? m->found : m->path);
			if (!s->exe)
				return &ma_enomem;
		}
		if (m->fd >= 0)
			s->fds[s->fds_count++] = ma_take_fd(m->fd);
	}
	MA_TRY(count_lost(b));
	MA_TRY(name_heap(b));
	for (size_t i = 0; i < s->maps.count; i++)
		s->maps.v[i].path = s->maps.text + b->path_at[i];
	return NULL;
}

struct ma_error *ma_space_of_core(const struct ma_core *c, const char *exe, struct ma_space *ret)
{
	struct build b = { .core = c, .exe = exe };
	b.here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ma_error *err = b.here < 0 ? ma_error_os(errno, "cannot open /") : list_images(&b);
	if (!err)
		err = open_images(&b);
	if (!err)
		err = merge(&b);
	if (!err)
		err = finish(&b);
	for (size_t i = 0; b.images && i < b.images_count; i++)
		forget(&b.images[i]);
	if (b.here >= 0)
		close(b.here);
	free(b.images);
	free(b.image_of);
	free(b.path_at);
	free(b.root);
	if (err)
		ma_space_deinit(&b.s);
	else
		*ret = b.s;
	return err;
}

void ma_space_deinit(struct ma_space *s)
{
	for (size_t i = 0; i < s->fds_count; i++)
		close(s->fds[i]);
	free(s->fds);
	free(s->pieces);
	free(s->exe);
	free(s->first_lost);
	ma_maps_deinit(&s->maps);
	*s = (struct ma_space){ 0 };
}

uint64_t ma_space_copied(const struct ma_space *s)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < s->pieces_count; i++)
		bytes += s->pieces[i].copied ? s->pieces[i].bytes : 0;
	return bytes;
}
