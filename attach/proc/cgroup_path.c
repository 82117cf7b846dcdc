// SPDX-License-Identifier: Apache-2.0
/* cgroup_path.c - from the text of /proc/PID/cgroup and mountinfo to the folder of a group. */
#include "cleanup.h"
#include "proc.h"
#include "proc_cgroup.h"
#include "proc_text.h"

bool ma_cgroup_next(const char **text, struct ma_cgroup_line *ret)
{
	struct text t = { *text, *text + strlen(*text) }, line;
	while (text_line(&t, &line, NULL)) {
		uint64_t id;
		*text = t.p;
		if (!text_u64(&line, &id) || id > UINT32_MAX || !text_char(&line, ':'))
			continue;
		/* Controllers hold no ':', the path may. */
		const char *colon = memchr(line.p, ':', (size_t)(line.end - line.p));
		if (!colon || colon + 1 == line.end || colon[1] != '/')
			continue;
		*ret = (struct ma_cgroup_line){ .id = (unsigned)id,
						.controllers = line.p,
						.controllers_len = (size_t)(colon - line.p),
						.path = colon + 1,
						.path_len = (size_t)(line.end - colon - 1) };
		return true;
	}
	return false;
}

/* One of the words between the commas. */
static bool list_has(const char *list, size_t len, const char *word, size_t word_len)
{
	const char *end = list + len;
	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		const char *stop = comma ? comma : end;
		if ((size_t)(stop - list) == word_len && memcmp(list, word, word_len) == 0)
			return true;
		list = comma ? comma + 1 : end;
	}
	return false;
}

bool ma_cgroup_find(const char *cgroups, const char *controller, struct ma_cgroup_line *ret)
{
	struct ma_cgroup_line line;
	while (ma_cgroup_next(&cgroups, &line)) {
		bool v2 = line.id == 0 && line.controllers_len == 0;
		if (*controller ? list_has(line.controllers, line.controllers_len, controller, strlen(controller))
				: v2) {
			*ret = line;
			return true;
		}
	}
	return false;
}

static bool next_word(struct text *line, struct text *ret)
{
	text_blanks(line);
	ret->p = line->p;
	while (line->p < line->end && *line->p != ' ')
		line->p++;
	ret->end = line->p;
	return ret->p < ret->end;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo. Returns the new length. */
static size_t unescape_octal(char *s, size_t len)
{
	size_t out = 0;
	for (size_t in = 0; in < len;) {
		if (s[in] == '\\' && len - in >= 4 && s[in + 1] >= '0' && s[in + 1] <= '3' && s[in + 2] >= '0' &&
		    s[in + 2] <= '7' && s[in + 3] >= '0' && s[in + 3] <= '7') {
			s[out++] = (char)((s[in + 1] - '0') << 6 | (s[in + 2] - '0') << 3 | (s[in + 3] - '0'));
			in += 4;
		} else {
			s[out++] = s[in++];
		}
	}
	s[out] = 0;
	return out;
}

struct mount {
	struct text root, point;
};

/* "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup cgroup rw,memory" */
static bool mount_of(struct text line, const struct ma_cgroup_line *want, struct mount *ret)
{
	struct text word, type, source, super;
	for (int i = 0; i < 3; i++)
		if (!next_word(&line, &word))
			return false;
	if (!next_word(&line, &ret->root) || !next_word(&line, &ret->point))
		return false;
	do {
		if (!next_word(&line, &word))
			return false;
	} while (word.end - word.p != 1 || *word.p != '-');
	if (!next_word(&line, &type) || !next_word(&line, &source) || !next_word(&line, &super))
		return false;
	size_t type_len = (size_t)(type.end - type.p);
	if (want->id == 0 && want->controllers_len == 0)
		return type_len == 7 && memcmp(type.p, "cgroup2", 7) == 0;
	if (type_len != 6 || memcmp(type.p, "cgroup", 6) != 0)
		return false;
	/* Hierarchies are told apart by any one of their controllers. */
	const char *comma = memchr(want->controllers, ',', want->controllers_len);
	size_t first = comma ? (size_t)(comma - want->controllers) : want->controllers_len;
	return list_has(super.p, (size_t)(super.end - super.p), want->controllers, first);
}

/* What of the group's path lies below the mount's root; NULL when it is outside. */
static const char *below(const struct ma_cgroup_line *line, const char *root, size_t root_len, size_t *len_ret)
{
	if (root_len == 1) /* "/" */
		root_len = 0;
	if (line->path_len < root_len || memcmp(line->path, root, root_len) != 0)
		return NULL;
	if (line->path_len > root_len && line->path[root_len] != '/')
		return NULL;
	const char *rest = line->path + root_len;
	size_t len = line->path_len - root_len;
	if (memmem(rest, len, "/..", 3)) /* above our cgroup namespace, or a name that is not worth the doubt */
		return NULL;
	while (len && rest[len - 1] == '/')
		len--;
	*len_ret = len;
	return rest;
}

char *ma_cgroup_folder(const char *mountinfo, const struct ma_cgroup_line *want, size_t *mount_len_ret)
{
	struct text t = { mountinfo, mountinfo + strlen(mountinfo) }, line;
	while (text_line(&t, &line, NULL)) {
		struct mount m;
		if (!mount_of(line, want, &m))
			continue;
		_cleanup_free_ char *root = strndup(m.root.p, (size_t)(m.root.end - m.root.p));
		_cleanup_free_ char *point = strndup(m.point.p, (size_t)(m.point.end - m.point.p));
		if (!root || !point)
			return NULL;
		size_t root_len = unescape_octal(root, strlen(root));
		size_t point_len = unescape_octal(point, strlen(point));
		size_t rest_len;
		const char *rest = below(want, root, root_len, &rest_len);
		if (!rest)
			continue;
		char *folder = malloc(point_len + rest_len + 1);
		if (!folder)
			return NULL;
		memcpy(folder, point, point_len);
		memcpy(folder + point_len, rest, rest_len);
		folder[point_len + rest_len] = 0;
		*mount_len_ret = point_len;
		return folder;
	}
	return NULL;
}

/* Is `path` of `len` bytes the group `group` or one below it? "/" is above all. */
static bool within(const char *path, size_t len, const char *group, size_t group_len)
{
	while (group_len && group[group_len - 1] == '/')
		group_len--;
	return len >= group_len && !memcmp(path, group, group_len) && (len == group_len || path[group_len] == '/');
}

bool ma_cgroup_is_in(const char *mountinfo, const char *cgroups, const char *path)
{
	struct ma_cgroup_line line;
	const size_t len = strlen(path);
	while (path[0] == '/' && ma_cgroup_next(&cgroups, &line)) {
		size_t mount_len = 0;
		if (within(line.path, line.path_len, path, len))
			return true;
		_cleanup_free_ char *folder = ma_cgroup_folder(mountinfo, &line, &mount_len);
		/* the folder of a hierarchy is its first group; what is above it is none */
		if (folder && len >= mount_len && within(folder, strlen(folder), path, len))
			return true;
	}
	return false;
}
