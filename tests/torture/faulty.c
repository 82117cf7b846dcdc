// SPDX-License-Identifier: Apache-2.0
#include "faulty.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static atomic_uint_least64_t calls, target;
static atomic_int_least64_t live;
static atomic_bool armed, everything_after, hit;
static enum faulty_kind armed_kind;
static uint64_t *record;
static size_t record_max;
static _Thread_local bool inside; /* of backtrace() */
#define WAYS_MAX (1u << 16)
static bool by_way;
static uint64_t target_way;
static int ways_log;
static atomic_uint_least64_t seen[WAYS_MAX];

void faulty_arm(enum faulty_kind kind, uint64_t n, bool all_after)
{
	void *warm[2];
	backtrace(warm, 2); /* loads libgcc_s at its first call */
	armed_kind = kind;
	calls = 0;
	target = n;
	everything_after = all_after;
	hit = false;
	armed = true;
}

void faulty_arm_way(enum faulty_kind kind, uint64_t way, int log)
{
	target_way = way;
	ways_log = log;
	by_way = true;
	faulty_arm(kind, 0, false);
}

void faulty_disarm(void)
{
	armed = false;
	record = NULL;
}

uint64_t faulty_calls(void)
{
	return calls;
}

bool faulty_hit(void)
{
	return hit;
}

void faulty_record(uint64_t *ways, size_t max)
{
	record_max = max;
	record = ways;
}

int64_t faulty_live(void)
{
	return SANITIZED ? 0 : live;
}

bool faulty_sanitized(void)
{
	return SANITIZED;
}

static uint64_t way_here(void)
{
	void *way[24];
	uint64_t h = 14695981039346656037u;
	inside = true;
	int depth = backtrace(way, 24);
	inside = false;
	for (int i = 0; i < depth; i++)
		h = (h ^ (uintptr_t)way[i]) * 1099511628211u;
	return h ? h : 1;
}

static bool is_new(uint64_t way)
{
	for (size_t i = 0; i < WAYS_MAX; i++) {
		uint64_t there = 0;
		if (atomic_compare_exchange_strong(&seen[(way + i) % WAYS_MAX], &there, way))
			return true;
		if (there == way)
			return false;
	}
	return false;
}

static void tell_way(uint64_t way)
{
	char line[32];
	int bytes = snprintf(line, sizeof(line), "%016llx\n", (unsigned long long)way);
	syscall(SYS_write, ways_log, line, bytes);
}

static void show(void)
{
	void *way[24];
	const char *path = getenv("FAULTY_SHOW");
	if (!path)
		return;
	inside = true;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	backtrace_symbols_fd(way, backtrace(way, 24), fd);
	syscall(SYS_close, fd);
	inside = false;
}

static bool fails(enum faulty_kind kind)
{
	if (!armed || kind != armed_kind || inside)
		return false;
	uint64_t n = ++calls, way = record || by_way ? way_here() : 0;
	if (record && n - 1 < record_max)
		record[n - 1] = way;
	if (by_way && !target_way && is_new(way))
		tell_way(way);
	bool now = by_way ? !hit && way == target_way : target && (n == target || (n > target && everything_after));
	if (now && !hit)
		show();
	if (now)
		hit = true;
	return now;
}

static bool no_memory(void)
{
	if (!fails(FAULTY_MALLOC))
		return false;
	errno = ENOMEM;
	return true;
}

#define PUBLIC __attribute__((visibility("default")))
#if SANITIZED
#define OURS(name) __wrap_##name
#define REAL(name) __real_##name
#else
#define OURS(name) name
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t);
void *REAL(calloc)(size_t, size_t);
void *REAL(realloc)(void *, size_t);
PUBLIC void *OURS(malloc)(size_t);
PUBLIC void *OURS(calloc)(size_t, size_t);
PUBLIC void *OURS(realloc)(void *, size_t);

static void *counted(void *p)
{
	if (p)
		live++;
	return p;
}

void *OURS(malloc)(size_t bytes)
{
	return no_memory() ? NULL : counted(REAL(malloc)(bytes));
}

void *OURS(calloc)(size_t n, size_t bytes)
{
	return no_memory() ? NULL : counted(REAL(calloc)(n, bytes));
}

void *OURS(realloc)(void *p, size_t bytes)
{
	if (no_memory())
		return NULL;
	void *more = REAL(realloc)(p, bytes);
	if (more && !p)
		live++;
	else if (p && !bytes)
		live--;
	return more;
}

#if SANITIZED
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_asprintf(char **ret, const char *fmt, ...);

char *__wrap_strdup(const char *s)
{
	return no_memory() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return no_memory() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	return no_memory() ? -1 : __real_vasprintf(ret, fmt, ap);
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}
#else
void __libc_free(void *);
void *__libc_memalign(size_t, size_t);
PUBLIC void free(void *);
PUBLIC void *aligned_alloc(size_t, size_t);
PUBLIC int posix_memalign(void **, size_t, size_t);

void free(void *p)
{
	if (p)
		live--;
	__libc_free(p);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return no_memory() ? NULL : counted(__libc_memalign(alignment, bytes));
}

int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
	void *p = aligned_alloc(alignment, bytes);
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

/* ---- files. The kernel is asked directly: libc's own names for these calls are not all there to be used. */
static bool no_file(int errnum)
{
	if (!fails(FAULTY_FILE))
		return false;
	errno = errnum;
	return true;
}

PUBLIC ssize_t pread64(int fd, void *buf, size_t bytes, off64_t at);
PUBLIC ssize_t pwrite64(int fd, const void *buf, size_t bytes, off64_t at);
PUBLIC int ftruncate64(int fd, off64_t bytes);

static int open_at(int dir, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	return no_file(EIO) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(name)                                           \
	PUBLIC int name(const char *path, int flags, ...);   \
	int name(const char *path, int flags, ...)           \
	{                                                    \
		va_list ap;                                  \
		va_start(ap, flags);                         \
		int fd = open_at(AT_FDCWD, path, flags, ap); \
		va_end(ap);                                  \
		return fd;                                   \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                \
	PUBLIC int name(int dir, const char *path, int flags, ...); \
	int name(int dir, const char *path, int flags, ...)         \
	{                                                           \
		va_list ap;                                         \
		va_start(ap, flags);                                \
		int fd = open_at(dir, path, flags, ap);             \
		va_end(ap);                                         \
		return fd;                                          \
	}
OPENAT(openat)
OPENAT(openat64)

PUBLIC ssize_t read(int fd, void *buf, size_t bytes)
{
	return no_file(EIO) ? -1 : syscall(SYS_read, fd, buf, bytes);
}

PUBLIC ssize_t write(int fd, const void *buf, size_t bytes)
{
	return no_file(ENOSPC) ? -1 : syscall(SYS_write, fd, buf, bytes);
}

PUBLIC ssize_t pread(int fd, void *buf, size_t bytes, off_t at)
{
	return no_file(EIO) ? -1 : syscall(SYS_pread64, fd, buf, bytes, at);
}

ssize_t pread64(int fd, void *buf, size_t bytes, off64_t at)
{
	return pread(fd, buf, bytes, at);
}

PUBLIC ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	return no_file(ENOSPC) ? -1 : syscall(SYS_pwrite64, fd, buf, bytes, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t bytes, off64_t at)
{
	return pwrite(fd, buf, bytes, at);
}

PUBLIC int ftruncate(int fd, off_t bytes)
{
	return no_file(EIO) ? -1 : (int)syscall(SYS_ftruncate, fd, bytes);
}

int ftruncate64(int fd, off64_t bytes)
{
	return ftruncate(fd, bytes);
}

PUBLIC int fsync(int fd)
{
	return no_file(EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

PUBLIC int fdatasync(int fd)
{
	return no_file(EIO) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

PUBLIC int rename(const char *from, const char *to)
{
	return no_file(EIO) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
	return no_file(EIO) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
#endif
