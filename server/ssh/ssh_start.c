// SPDX-License-Identifier: Apache-2.0
/* Starting the far side's half. A script of POSIX sh says what is there and does as it is told; helper and protocol go
 * over one channel, so that when the link breaks at any moment whoever holds the other end sees its input end. */
#include "buffer.h"
#include "cleanup.h"
#include "ssh_private.h"

#include <string.h>

#define GREETING "memattach-far 1 "
#define LINE_MS 30000
#define NOISE_MAX (1u << 16) /* bytes that login scripts may print before */

/* No single quote in it: the login shell, whichever it is, gets it as one quoted word. head -c reads no further than it
 * is told, and the other side sends nothing more until it has said "start". The trap removes the folder whenever the
 * shell ends otherwise than by exec; from then on the helper does, first of all. */
static const char script[] =
	"exec /bin/sh -c '\n"
	"umask 077\n"
	"v=$(memattach --version </dev/null 2>/dev/null) || v=none\n"
	"echo \"" GREETING "$(uname -sm) $v\"\n"
	"read -r what sudo bytes hash || exit 0\n"
	"test \"$sudo\" = sudo && sudo=\"sudo -n --\" || sudo=\n"
	"test \"$what\" = run && exec $sudo \"$(command -v memattach)\" --stdio\n"
	"test \"$what\" = copy || exit 0\n"
	"command -v sha256sum >/dev/null || { echo no sha256sum there to check the helper with; exit 1; }\n"
	"f=\n"
	"trap \"test -z \\\"\\$f\\\" || rm -rf \\\"\\$f\\\"\" EXIT\n"
	"trap \"exit 1\" HUP INT TERM PIPE\n"
	"for d in \"$XDG_RUNTIME_DIR\" /dev/shm \"$HOME/.cache\" \"$TMPDIR\" /tmp /var/tmp; do\n"
	"test -n \"$d\" && test -d \"$d\" && test -w \"$d\" || continue\n"
	"f=$(mktemp -d \"$d/memattach-XXXXXXXXXX\" 2>/dev/null) || { f=; continue; }\n"
	"printf \"#!/bin/sh\\n\" >\"$f/try\" && chmod 700 \"$f/try\" && \"$f/try\" 2>/dev/null && rm \"$f/try\" && "
	"break\n"
	"rm -rf \"$f\"; f=\n"
	"done\n"
	"test -n \"$f\" || { echo no folder there from which a program may be run; exit 1; }\n"
	"echo send\n"
	"head -c \"$bytes\" >\"$f/memattach\"\n"
	"set -- $(sha256sum \"$f/memattach\")\n"
	"test \"$1\" = \"$hash\" || { echo the helper arrived damaged; exit 1; }\n"
	"chmod 700 \"$f/memattach\"\n"
	"$sudo \"$f/memattach\" --version </dev/null >/dev/null || exit 1\n"
	"echo start\n"
	"exec $sudo \"$f/memattach\" --remove \"$f\" --stdio\n"
	"'";

/* One line without its newline. Byte by byte: what follows the last one is for another reader. */
static struct ma_error *read_line(const struct ma_stream *s, struct ma_buf *line)
{
	line->len = 0;
	ma_buf_str(line, "");
	for (;;) {
		char c;
		size_t got = 0;
		MA_TRY(s->read(s->arg, &c, 1, LINE_MS, &got));
		if (!got)
			return ma_errorf(MA_ERR_OS, "the shell of the far side has ended");
		if (c == '\n')
			return NULL;
		ma_buf_add(line, &c, 1);
		MA_TRY(ma_buf_error(line));
	}
}

/* "Linux x86_64 memattach 0.1.0", past whatever login scripts print. */
static struct ma_error *read_greeting(const struct ma_stream *s, struct ma_buf *line)
{
	size_t noise = 0;
	const size_t n = strlen(GREETING);
	while (noise < NOISE_MAX) {
		struct ma_error *err = read_line(s, line);
		if (err)
			return err->code == MA_ERR_LIMIT ? ma_error_prefix(err, "the shell of the far side") : err;
		if (line->len > n && !memcmp(line->data, GREETING, n)) {
			memmove(line->data, line->data + n, line->len - n + 1);
			line->len -= n;
			return NULL;
		}
		noise += line->len + 1;
	}
	return ma_errorf(MA_ERR_BAD_DATA, "the shell of the far side says something else than it was told to");
}

static struct ma_error *expect(const struct ma_stream *s, const char *word)
{
	_cleanup_buf_ struct ma_buf line = MA_BUF_INIT(4096);
	MA_TRY(read_line(s, &line));
	if (strcmp(ma_buf_text(&line), word))
		return ma_errorf(MA_ERR_UNSUPPORTED, "cannot copy the helper: %s", ma_buf_text(&line));
	return NULL;
}

static struct ma_error *tell(const struct ma_stream *s, const void *data, size_t bytes)
{
	return s->write(s->arg, data, bytes, LINE_MS);
}

static struct ma_error *copy_helper(const struct ma_stream *s, bool sudo)
{
	const size_t bytes = (size_t)(ma_helper_end - ma_helper_begin);
	char order[256];
	int n = snprintf(order, sizeof(order), "copy %s %zu %s\n", sudo ? "sudo" : "-", bytes, ma_helper_sha256);
	MA_TRY(tell(s, order, (size_t)n));
	MA_TRY(expect(s, "send"));
	MA_TRY(tell(s, ma_helper_begin, bytes));
	return expect(s, "start");
}

struct ma_error *ma_ssh_talk(const struct ma_stream *s, bool sudo, bool copy, bool *copied_ret)
{
	static const char ours[] = "memattach " MA_VERSION, machine[] = "Linux x86_64 ";
	_cleanup_buf_ struct ma_buf line = MA_BUF_INIT(NOISE_MAX);
	MA_TRY(read_greeting(s, &line));
	const char *text = ma_buf_text(&line), *first = strchr(text, ' '),
		   *second = first ? strchr(first + 1, ' ') : NULL;
	const char *version = second ? second + 1 : "none";
	if (!copy && !strcmp(version, ours)) {
		const char *order = sudo ? "run sudo 0 0\n" : "run - 0 0\n";
		*copied_ret = false;
		return tell(s, order, strlen(order));
	}
	const char *why = strcmp(version, "none") ? "has another version of memattach" : "has no memattach";
	if (!ma_helper_sha256[0])
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "the far side %s, and this build has no helper to copy: install memattach " MA_VERSION
				 " there",
				 why);
	if (strncmp(text, machine, strlen(machine)))
		return ma_errorf(
			MA_ERR_UNSUPPORTED,
			"the far side (%.*s) %s, and the helper is for Linux x86_64: install memattach " MA_VERSION
			" there",
			second ? (int)(second - text) : 64, text, why);
	*copied_ret = true;
	return copy_helper(s, sudo);
}

struct ma_error *ma_ssh_start(struct ma_ssh *s, bool copy, bool *copied_ret)
{
	const struct ma_stream stream = ma_ssh_stream(s);
	MA_TRY(ma_ssh_exec(s, script));
	struct ma_error *err = ma_ssh_talk(&stream, s->options.sudo, copy, copied_ret);
	return err ? ma_ssh_explain(s, err) : NULL;
}
