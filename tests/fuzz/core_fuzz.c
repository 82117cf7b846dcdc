// SPDX-License-Identifier: Apache-2.0
/* The input is a core file, all of it: headers, notes, and the memory of a process, completed from the files that it
 * names, which are looked for here. What comes of it maps nothing, but must be sound enough for that. */
#include "cleanup.h"
#include "fuzz.h"
#include "space.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((uint64_t)MA_CORE_PAGE)

static void must(int good)
{
	if (!good)
		abort();
}

static void segments(const struct ma_core *c)
{
	char page[MA_CORE_PAGE];
	ma_raddr at = 0;
	for (size_t i = 0; i < c->segments_count; i++) {
		const struct ma_core_segment *s = &c->segments[i];
		must(s->start >= at && s->start < s->end && s->end <= MA_CORE_USER_END);
		must(s->start % PAGE == 0 && s->end % PAGE == 0 && s->file_bytes <= s->end - s->start);
		must(ma_core_find(c, s->start) == s && ma_core_find(c, s->end - 1) == s);
		must(ma_core_peek(c, s->end - 8, page, sizeof(page)) <= 8);
		(void)ma_core_peek(c, s->start, page, sizeof(page));
		at = s->end;
	}
}

/* Apart from each other, whole pages, and together not more of the file than there is: a husk is made of them. */
static void pieces(const struct ma_core *c, const struct ma_space *s)
{
	ma_raddr at = 0;
	for (size_t i = 0; i < s->pieces_count; i++) {
		const struct ma_piece *p = &s->pieces[i];
		must(p->start >= at && p->start < p->end && p->end <= MA_CORE_USER_END);
		must(p->start % PAGE == 0 && p->end % PAGE == 0 && p->bytes <= p->end - p->start);
		at = p->end;
	}
	must(ma_space_copied(s) <= c->bytes);
	at = 0;
	for (size_t i = 0; i < s->maps.count; i++) {
		const struct ma_map *m = &s->maps.v[i];
		must(m->start >= at && m->start < m->end && strlen(m->path) < 1u << 20);
		at = m->end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ma_core c;
	struct ma_space s;
	_cleanup_close_ int fd = memfd_create("core", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	struct ma_error *err = ma_core_read(fd, &c);
	if (err) {
		ma_error_free(err);
		return 0;
	}
	segments(&c);
	for (unsigned i = 0; i < 2; i++) {
		err = ma_space_of_core(&c, i ? "/proc/self/exe" : NULL, &s);
		if (!err) {
			pieces(&c, &s);
			ma_space_deinit(&s);
		}
		ma_error_free(err);
	}
	ma_core_deinit(&c);
	return 0;
}
