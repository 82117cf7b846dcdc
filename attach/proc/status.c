// SPDX-License-Identifier: Apache-2.0
/* status.c - /proc/PID/status and stat. The formats are fs/proc/array.c, proc_pid_status() and do_task_stat(). */
#include "cleanup.h"
#include "proc.h"
#include "proc_text.h"

#include <string.h>

#define STATUS_TEXT_MAX ((size_t)256 << 10) /* "Groups:" may list 65,536 numbers */
#define STAT_TEXT_MAX 4096

enum {
	HAVE_STATE = 1,
	HAVE_TGID = 2,
	HAVE_PID = 4,
	HAVE_UID = 8,
	HAVE_GID = 16,
	HAVE_ALL = 31,
};

/* The kernel escapes newline and backslash in the name, so no name can forge a line of its own. */
static void parse_name(struct text line, char *ret, size_t room)
{
	size_t n = 0;
	text_blanks(&line);
	while (line.p < line.end && n + 1 < room) {
		char c = *line.p++;
		if (c == '\\' && line.p < line.end && (*line.p == 'n' || *line.p == '\\'))
			c = *line.p++ == 'n' ? '\n' : '\\';
		ret[n++] = c ? c : '?';
	}
	ret[n] = 0;
}

static bool parse_kib(struct text line, uint64_t *ret)
{
	uint64_t kib;
	text_blanks(&line);
	return text_u64(&line, &kib) && !__builtin_mul_overflow(kib, 1024, ret);
}

static bool parse_ids(struct text line, unsigned ret[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;
		text_blanks(&line);
		if (!text_u64(&line, &v) || v > UINT32_MAX)
			return false;
		ret[i] = (unsigned)v;
	}
	return true;
}

static bool parse_int(struct text line, int *ret)
{
	text_blanks(&line);
	return text_int(&line, ret);
}

static bool parse_hex(struct text line, uint64_t *ret)
{
	text_blanks(&line);
	return text_hex(&line, ret);
}

static bool parse_nspid(struct text line, struct ma_status *s)
{
	s->nspid_count = 0;
	for (;;) {
		text_blanks(&line);
		if (line.p == line.end)
			return s->nspid_count > 0;
		int pid;
		if (!text_int(&line, &pid))
			return false;
		if (s->nspid_count < MA_ARRAY_SIZE(s->nspid))
			s->nspid[s->nspid_count++] = pid;
		else /* namespaces nest 32 deep at most; the innermost is the one that counts */
			s->nspid[MA_ARRAY_SIZE(s->nspid) - 1] = pid;
	}
}

static bool parse_status_line(struct text line, struct ma_status *s, unsigned *have)
{
	int v;
	if (text_key(&line, "Name:")) {
		parse_name(line, s->name, sizeof(s->name));
		return true;
	}
	if (text_key(&line, "State:")) {
		text_blanks(&line);
		if (line.p == line.end)
			return false;
		s->state = *line.p;
		*have |= HAVE_STATE;
		return true;
	}
	if (text_key(&line, "Tgid:"))
		return *have |= HAVE_TGID, parse_int(line, &s->tgid);
	if (text_key(&line, "Pid:"))
		return *have |= HAVE_PID, parse_int(line, &s->pid);
	if (text_key(&line, "PPid:"))
		return parse_int(line, &s->ppid);
	if (text_key(&line, "TracerPid:"))
		return parse_int(line, &s->tracer);
	if (text_key(&line, "Uid:"))
		return *have |= HAVE_UID, parse_ids(line, s->uid);
	if (text_key(&line, "Gid:"))
		return *have |= HAVE_GID, parse_ids(line, s->gid);
	if (text_key(&line, "NSpid:"))
		return parse_nspid(line, s);
	if (text_key(&line, "VmSize:"))
		return parse_kib(line, &s->vm_size);
	if (text_key(&line, "VmLck:"))
		return parse_kib(line, &s->vm_lck);
	if (text_key(&line, "VmPin:"))
		return parse_kib(line, &s->vm_pin);
	if (text_key(&line, "VmPTE:"))
		return parse_kib(line, &s->vm_pte);
	if (text_key(&line, "RssAnon:"))
		return parse_kib(line, &s->rss_anon);
	if (text_key(&line, "RssFile:"))
		return parse_kib(line, &s->rss_file);
	if (text_key(&line, "RssShmem:"))
		return parse_kib(line, &s->rss_shmem);
	if (text_key(&line, "HugetlbPages:"))
		return parse_kib(line, &s->hugetlb);
	if (text_key(&line, "Threads:")) {
		if (!parse_int(line, &v) || v < 0)
			return false;
		s->threads = (unsigned)v;
		return true;
	}
	if (text_key(&line, "Seccomp:"))
		return parse_int(line, &s->seccomp);
	if (text_key(&line, "SigBlk:"))
		return parse_hex(line, &s->sig_blk);
	if (text_key(&line, "SigIgn:"))
		return parse_hex(line, &s->sig_ign);
	if (text_key(&line, "SigCgt:"))
		return parse_hex(line, &s->sig_cgt);
	if (text_key(&line, "CapEff:"))
		return parse_hex(line, &s->cap_eff);
	return true; /* a key we do not need */
}

struct ma_error *ma_status_parse(const char *text, size_t bytes, struct ma_status *ret)
{
	struct ma_status s = { 0 };
	struct text t = { text, text + bytes }, line;
	unsigned have = 0;
	size_t line_no = 0;
	bool whole;
	while (text_line(&t, &line, &whole)) {
		line_no++;
		if (!whole || !parse_status_line(line, &s, &have))
			return ma_errorf(MA_ERR_BAD_DATA, "status: line %zu is not what the kernel writes", line_no);
	}
	if (have != HAVE_ALL)
		return ma_errorf(MA_ERR_BAD_DATA, "status: State, Tgid, Pid, Uid or Gid is missing");
	*ret = s;
	return NULL;
}

struct ma_error *ma_status_read(int dir, struct ma_status *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	MA_TRY(ma_proc_read(dir, "status", STATUS_TEXT_MAX, &text, &bytes));
	return ma_status_parse(text, bytes, ret);
}

struct ma_error *ma_stat_parse(const char *text, size_t bytes, struct ma_stat *ret)
{
	/* "pid (comm) state ppid ...": comm is free text and may hold blanks, parentheses and newlines; no later field
	 * has a ')', so the last one ends it. */
	struct ma_stat s = { 0 };
	const char *close = bytes ? memrchr(text, ')', bytes) : NULL;
	if (!close || !memchr(text, '(', (size_t)(close - text)) || text[bytes - 1] != '\n')
		return ma_errorf(MA_ERR_BAD_DATA, "stat: no name in parentheses or no end of line");
	struct text t = { close + 1, text + bytes - 1 };
	if (!text_char(&t, ' ') || t.p == t.end)
		return ma_errorf(MA_ERR_BAD_DATA, "stat: no state");
	s.state = *t.p++;
	for (int field = 4; field <= 38; field++) { /* numbered as in proc(5) */
		uint64_t v = 0;
		bool minus = false;
		bool ok = text_char(&t, ' ');
		if (ok) {
			minus = text_char(&t, '-'); /* tty_nr, tpgid, priority, exit_signal may be negative */
			ok = text_u64(&t, &v);
		}
		if (ok && (field == 4 || field == 38))
			ok = v <= INT32_MAX;
		if (!ok)
			return ma_errorf(MA_ERR_BAD_DATA, "stat: field %d is not a number", field);
		if (field == 4)
			s.ppid = minus ? -(pid_t)v : (pid_t)v;
		else if (field == 9)
			s.flags = v;
		else if (field == 10)
			s.minor_faults = v;
		else if (field == 22)
			s.start_time = v;
		else if (field == 38)
			s.exit_signal = minus ? -(int)v : (int)v;
	}
	*ret = s;
	return NULL;
}

struct ma_error *ma_stat_read(int dir, struct ma_stat *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	MA_TRY(ma_proc_read(dir, "stat", STAT_TEXT_MAX, &text, &bytes));
	return ma_stat_parse(text, bytes, ret);
}
