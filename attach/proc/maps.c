// SPDX-License-Identifier: Apache-2.0
/* maps.c - /proc/PID/maps and smaps. The format is fs/proc/task_mmu.c, show_map_vma() and show_smap(). */
#include "cleanup.h"
#include "proc.h"
#include "proc_text.h"

#include <string.h>

/* vm.max_map_count is 65,530 by default and at most a few millions where somebody raised it. */
#define MAPS_TEXT_MAX ((size_t)512 << 20)
#define SMAPS_TEXT_MAX ((size_t)2 << 30)

/* Only header lines begin with a lower-case hex digit; the keys of smaps begin with a capital. */
static bool is_header(const struct text *line)
{
	return line->p < line->end && ((*line->p >= '0' && *line->p <= '9') || (*line->p >= 'a' && *line->p <= 'f'));
}

static size_t headers_count(const char *text, size_t bytes)
{
	struct text t = { text, text + bytes }, line;
	size_t n = 0;
	while (text_line(&t, &line, NULL))
		n += is_header(&line);
	return n;
}

static bool parse_prot(struct text *t, unsigned *ret)
{
	if (t->end - t->p < 4)
		return false;
	const char *p = t->p;
	if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') || (p[2] != 'x' && p[2] != '-') ||
	    (p[3] != 'p' && p[3] != 's'))
		return false;
	*ret = (p[0] == 'r') | (p[1] == 'w') << 1 | (p[2] == 'x') << 2 | (p[3] == 's') << 3;
	t->p += 4;
	return true;
}

/* In place, `path` ends with a NUL. The kernel writes a newline of a file name as \012 and escapes nothing else
 * (seq_file_path(m, file, "\n")), so a name that holds the four characters \012 cannot be told from it. */
static void path_unescape(char *path, size_t len, bool *deleted_ret)
{
	static const char suffix[] = " (deleted)";
	size_t n = sizeof(suffix) - 1;
	*deleted_ret = len >= n && memcmp(path + len - n, suffix, n) == 0;
	if (*deleted_ret)
		len -= n;
	path[len] = 0;
	char *in = strchr(path, '\\');
	if (!in)
		return;
	char *out = in;
	for (char *end = path + len; in < end;) {
		if (end - in >= 4 && memcmp(in, "\\012", 4) == 0) {
			*out++ = '\n';
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = 0;
}

/* "start-end perms offset major:minor inode   path" */
static bool parse_header(struct text line, char *text, const char *origin, struct ma_map *m)
{
	uint64_t major, minor;
	if (!text_hex(&line, &m->start) || !text_char(&line, '-') || !text_hex(&line, &m->end) ||
	    !text_char(&line, ' ') || !parse_prot(&line, &m->prot) || !text_char(&line, ' ') ||
	    !text_hex(&line, &m->offset) || !text_char(&line, ' ') || !text_hex(&line, &major) ||
	    !text_char(&line, ':') || !text_hex(&line, &minor) || !text_char(&line, ' ') || !text_u64(&line, &m->inode))
		return false;
	if (m->start >= m->end || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	if (line.p < line.end && *line.p != ' ')
		return false;
	m->dev_major = (unsigned)major;
	m->dev_minor = (unsigned)minor;
	/* The path is padded to column 73 with blanks; file names begin with '/', so no name loses blanks of its own.
	 */
	text_blanks(&line);
	char *path = text + (line.p - origin);
	path[line.end - line.p] = 0;
	path_unescape(path, (size_t)(line.end - line.p), &m->deleted);
	m->path = path;
	return true;
}

static const struct smaps_key {
	const char *name;
	size_t off;
} smaps_keys[] = {
	{ "Rss:", offsetof(struct ma_map, rss) },
	{ "Pss:", offsetof(struct ma_map, pss) },
	{ "Shared_Clean:", offsetof(struct ma_map, shared_clean) },
	{ "Shared_Dirty:", offsetof(struct ma_map, shared_dirty) },
	{ "Private_Clean:", offsetof(struct ma_map, private_clean) },
	{ "Private_Dirty:", offsetof(struct ma_map, private_dirty) },
	{ "Anonymous:", offsetof(struct ma_map, anonymous) },
	{ "AnonHugePages:", offsetof(struct ma_map, huge) },
	{ "Swap:", offsetof(struct ma_map, swap) },
	{ "Locked:", offsetof(struct ma_map, locked) },
};

static void parse_vmflags(struct text line, struct ma_map *m)
{
	for (;;) {
		text_blanks(&line);
		const char *word = line.p;
		while (line.p < line.end && *line.p != ' ')
			line.p++;
		if (line.p == word)
			return;
		if (line.p - word != 2)
			continue;
		m->dontfork |= memcmp(word, "dc", 2) == 0;
		m->wipeonfork |= memcmp(word, "wf", 2) == 0;
	}
}

/* "Rss:     4 kB"; keys we do not know are skipped, new kernels bring some. */
static bool parse_smaps_line(struct text line, struct ma_map *m)
{
	if (text_key(&line, "VmFlags:")) {
		parse_vmflags(line, m);
		return true;
	}
	for (size_t i = 0; i < MA_ARRAY_SIZE(smaps_keys); i++) {
		if (!text_key(&line, smaps_keys[i].name))
			continue;
		uint64_t kib, bytes;
		text_blanks(&line);
		if (!text_u64(&line, &kib) || __builtin_mul_overflow(kib, 1024, &bytes))
			return false;
		text_blanks(&line);
		if (!text_key(&line, "kB"))
			return false;
		memcpy((char *)m + smaps_keys[i].off, &bytes, sizeof(bytes));
		return true;
	}
	return memchr(line.p, ':', (size_t)(line.end - line.p)) != NULL;
}

struct ma_error *ma_maps_parse(const char *text, size_t bytes, struct ma_maps *ret)
{
	if (bytes && memchr(text, 0, bytes))
		return ma_errorf(MA_ERR_BAD_DATA, "maps: a NUL byte in the text");
	size_t count = headers_count(text, bytes);
	_cleanup_free_ struct ma_map *v = calloc(count ? count : 1, sizeof(*v));
	_cleanup_free_ char *copy = malloc(bytes + 1);
	if (!v || !copy)
		return &ma_enomem;
	if (bytes)
		memcpy(copy, text, bytes);
	copy[bytes] = 0;
	struct text t = { text, text + bytes }, line;
	size_t n = 0, line_no = 0;
	bool whole;
	while (text_line(&t, &line, &whole)) {
		line_no++;
		/* The kernel ends every line; one without an end was cut, and a cut path or number looks like a good
		 * one. */
		bool ok = whole;
		if (ok && is_header(&line)) {
			ok = parse_header(line, copy, text, &v[n]) && (!n || v[n].start >= v[n - 1].end);
			n++;
		} else if (ok) {
			ok = n && parse_smaps_line(line, &v[n - 1]);
		}
		if (!ok)
			return ma_errorf(MA_ERR_BAD_DATA, "maps: line %zu is not what the kernel writes", line_no);
	}
	ret->count = n;
	ret->v = ma_take_ptr(v);
	ret->text = ma_take_ptr(copy);
	ret->husk = false;
	return NULL;
}

struct ma_error *ma_maps_read(int dir, const char *file, struct ma_maps *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	MA_TRY(ma_proc_read(dir, file, strstr(file, "smaps") ? SMAPS_TEXT_MAX : MAPS_TEXT_MAX, &text, &bytes));
	return ma_maps_parse(text, bytes, ret);
}

void ma_maps_deinit(struct ma_maps *m)
{
	free(m->v);
	free(m->text);
	m->v = NULL;
	m->text = NULL;
	m->count = 0;
}

bool ma_map_same_file(const struct ma_map *a, const struct ma_map *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

const struct ma_map *ma_maps_find(const struct ma_maps *m, ma_raddr addr)
{
	size_t low = 0, high = m->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr >= m->v[mid].end)
			low = mid + 1;
		else if (addr < m->v[mid].start)
			high = mid;
		else
			return &m->v[mid];
	}
	return NULL;
}
