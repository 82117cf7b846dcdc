// SPDX-License-Identifier: Apache-2.0
/* version.c - which CPython an image is. 3.11 and later export Py_Version (Python/getversion.c). Before that the
 * version is only text: sys.implementation.cache_tag ("cpython-38", Python/sysmodule.c) and PY_VERSION ("3.8.18",
 * Python/getversion.c), both in read-only data. The file name says nothing that a copy or link could not belie. */
#include "cleanup.h"
#include "python_internal.h"

#include <ctype.h>
#include <string.h>

#define MAX_TEXT_BYTES (64u << 20)

static size_t number(const char *p, const char *end, unsigned *ret)
{
	size_t n = 0;
	unsigned v = 0;
	while (n < 3 && p + n < end && isdigit((unsigned char)p[n]))
		v = v * 10 + (unsigned)(p[n++] - '0');
	*ret = v;
	return n;
}

/* "cpython-38" -> 8 */
static bool find_tag(const char *data, size_t bytes, unsigned *minor_ret)
{
	static const char prefix[] = "cpython-3";
	const char *end = data + bytes;
	for (const char *p = data; (p = memmem(p, (size_t)(end - p), prefix, sizeof(prefix) - 1)); p++) {
		const char *q = p + sizeof(prefix) - 1;
		size_t n = number(q, end, minor_ret);
		if (n == 1 || n == 2)
			return true;
	}
	return false;
}

bool ma_version_search(const char *data, size_t bytes, uint32_t *ret)
{
	unsigned major = 3, minor;
	const char *end = data + bytes;
	if (!find_tag(data, bytes, &minor)) {
		major = 2;
		minor = 7; /* the only one without a tag that is still met */
	}
	char prefix[16];
	int len = snprintf(prefix, sizeof(prefix), "%u.%u.", major, minor);
	for (const char *p = data; (p = memmem(p, (size_t)(end - p), prefix, (size_t)len)); p++) {
		unsigned micro;
		size_t n = number(p + len, end, &micro);
		const char *after = p + len + n;
		if (!n || micro > 255 || (p > data && (isdigit((unsigned char)p[-1]) || p[-1] == '.')))
			continue;
		if (after < end && *after && *after != '+' && *after != 'a' && *after != 'b' && *after != 'r')
			continue;
		*ret = major << 16 | minor << 8 | micro;
		return true;
	}
	if (major == 2)
		return false;
	*ret = major << 16 | minor << 8; /* the tag alone: a build with a PY_VERSION of its own */
	return true;
}

struct ma_error *ma_version_find(const struct ma_image *im, uint32_t *ret)
{
	struct ma_elf_symbol s = { .name = "Py_Version" };
	MA_TRY(ma_elf_find_symbols(im->elf, &s, 1));
	if (s.found) {
		uint64_t hex;
		MA_TRY(im->rebuilt ? ma_peek_u64(im->rebuilt, s.vaddr + im->bias, &hex)
				   : ma_elf_read(im->elf, s.vaddr, &hex, sizeof(hex)));
		if (hex >> 32 || hex >> 24 != 3)
			return ma_errorf(MA_ERR_UNSUPPORTED, "%s: not a Python version: %#lx", im->path, hex);
		*ret = (uint32_t)(hex >> 8);
		return NULL;
	}
	size_t count;
	const struct ma_elf_segment *segments = ma_elf_segments(im->elf, &count);
	for (size_t i = 0; i < count; i++) {
		if (segments[i].write || segments[i].file_bytes > MAX_TEXT_BYTES || !segments[i].file_bytes)
			continue;
		_cleanup_free_ char *data = malloc(segments[i].file_bytes);
		if (!data)
			return &ma_enomem;
		MA_TRY(ma_elf_read(im->elf, segments[i].vaddr, data, segments[i].file_bytes));
		if (ma_version_search(data, segments[i].file_bytes, ret))
			return NULL;
	}
	return ma_errorf(MA_ERR_UNSUPPORTED, "%s: which Python this is cannot be told", im->path);
}
