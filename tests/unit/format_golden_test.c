// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Files of every version ever written still say what they said: tests/golden/README.md. */
#include "cleanup.h"
#include "snapshot_bytes.h"
#include "snapshot_dump.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

/* Calls `check` with the bytes and the text of each pair in the folder; returns how many there were. */
static unsigned each(const char *folder,
		     void (*check)(const char *name, const uint8_t *b, size_t len, const char *text))
{
	char dir[512], path[1024];
	unsigned n = 0;
	snprintf(dir, sizeof(dir), TEST_SOURCE_DIR "/tests/golden/%s", folder);
	DIR *h = opendir(dir);
	cr_assert(h, "%s", dir);
	for (struct dirent *e; (e = readdir(h));) {
		size_t name = strlen(e->d_name), len, text_len;
		if (name < 6 || strcmp(e->d_name + name - 5, ".snap") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		_cleanup_free_ uint8_t *bytes = snap_bytes_read(path, &len);
		strcpy(path + strlen(path) - 5, ".txt");
		_cleanup_free_ uint8_t *text = snap_bytes_read(path, &text_len);
		text[text_len] = 0;
		check(path, bytes, len, (const char *)text);
		n++;
	}
	closedir(h);
	return n;
}

static void same(const char *name, const char *is, const char *should)
{
	size_t line = 1, i = 0;
	for (; is[i] && is[i] == should[i]; i++)
		line += is[i] == '\n';
	cr_assert_eq(is[i], should[i], "%s differs from line %zu on: %.80s", name, line, is + i);
}

static void opens(const char *name, const uint8_t *bytes, size_t len, const char *text, bool complete)
{
	struct ma_snap *s;
	_cleanup_buf_ struct ma_buf out = MA_BUF_INIT(1 << 24);
	struct ma_error *err = snap_bytes_open(bytes, len, &s);
	cr_assert_null(err, "%s: %s", name, err ? err->message : "");
	cr_assert_eq(ma_snap_tables(s)->complete, complete, "%s", name);
	err = snap_dump(s, &out);
	cr_assert_null(err, "%s: %s", name, err ? err->message : "");
	ma_snap_close(s);
	same(name, ma_buf_text(&out), text);
	uint64_t o, e;
	err = snap_bytes_check(bytes, len, &o, &e);
	cr_assert_eq(err == NULL, complete, "%s", name);
	ma_error_free(err);
}

static void whole(const char *name, const uint8_t *bytes, size_t len, const char *text)
{
	opens(name, bytes, len, text, true);
}

static void damaged(const char *name, const uint8_t *bytes, size_t len, const char *text)
{
	opens(name, bytes, len, text, false);
}

static void refused(const char *name, const uint8_t *bytes, size_t len, const char *text)
{
	struct ma_snap *s = NULL;
	struct ma_error *err = snap_bytes_open(bytes, len, &s);
	cr_assert_not_null(err, "%s opened", name);
	cr_assert_null(s);
	const char *message = strchr(err->message, ' ') + 1;
	cr_assert_eq(strncmp(message, text, strlen(message)), 0, "%s: %s", name, err->message);
	cr_assert_str_eq(text + strlen(message), "\n");
	ma_error_free(err);
}

Test(golden, version_1)
{
	cr_assert_geq(each("v1", whole), 3);
}

Test(golden, damaged)
{
	cr_assert_geq(each("damaged", damaged), 14);
}

Test(golden, refused)
{
	cr_assert_eq(each("refused", refused), 6);
}
