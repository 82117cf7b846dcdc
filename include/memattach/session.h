// SPDX-License-Identifier: Apache-2.0
/* memattach/session.h - taking a snapshot: attach, format and stream composed. The local command and --stdio on the
 * far side of a link call this one function: local is a session without a wire. */
#ifndef MEMATTACH_SESSION_H
#define MEMATTACH_SESSION_H

#include <memattach/attach.h>
#include <memattach/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ma_session_options {
	struct ma_attach_options attach;
	const char *path; /* where the snapshot goes; its folder must exist */
	const struct ma_snap_output *output; /* in place of a file, or NULL; path is then a folder for unnamed files */
	int zstd_level;   /* 0 = the default */
};

struct ma_session_result {
	struct ma_attach_result attach;
	uint64_t file_bytes;
	uint64_t objects, object_bytes; /* 0 with threads_only; of memattach on the far side not known */
	uint64_t total_ns; /* from the call to the closed file */
};

/* The output is opened before the target is touched. On an error nothing is left at `path`. */
MA_CHECK struct ma_error *ma_session_snapshot(const struct ma_session_options *options, struct ma_session_result *ret);

/* Bytes that this process may still take: what the machine has available (MemAvailable), or what its own cgroup has left
 * (v1 or v2, memory.high counts as a limit), whichever is less; UINT64_MAX where neither can be read. */
uint64_t ma_session_memory_left(void);
/* Bounds what this process may still take to that, so that what does not fit is an error of an allocation, and not the end
 * of this or another process (RLIMIT_DATA; a lower limit stays). */
void ma_session_limit_memory(void);

/* Waiting for the moment before a process runs out of memory: `memattach watch`. */
struct ma_watch_look;
struct ma_watch_options {
	pid_t pid;
	unsigned at_percent; /* 1 to 99: of the limit of its cgroup, or of the machine's memory */
	uint64_t at_bytes;   /* or, when not 0, of resident memory of its own */
	/* Called once, when the watch begins; may be NULL. */
	void (*armed)(void *arg, const struct ma_watch_look *look);
	void *arg;
};

enum ma_watch_cause {
	MA_WATCH_NOT_YET,
	MA_WATCH_REACHED,
	MA_WATCH_EARLY,   /* before that point, since a copy would not have fit in later */
	MA_WATCH_STALLED, /* v2: the cgroup waits for memory instead of running */
};

struct ma_watch_look {
	const char *what;          /* "its memory cgroup", "the machine", "the process" */
	uint64_t usage, at, limit; /* bytes; limit 0 with at_bytes */
	enum ma_watch_cause cause;
};

/* Returns when a snapshot is due, and why. First looks whether an attach would be permitted and supported, with the
 * errors of ma_session_doctor() and MA_ERR_PERMISSION, MA_ERR_UNSUPPORTED; MA_ERR_TARGET_GONE when the process ends
 * before. Only reads /proc and the files of cgroups. */
MA_CHECK struct ma_error *ma_session_watch(const struct ma_watch_options *options, struct ma_watch_look *ret);

/* What `memattach doctor` says. Reads only; nothing is stopped. Strings belong to the struct and may be NULL. */
struct ma_doctor {
	pid_t pid, pid_inside;          /* inside: in its own pid namespace */
	char *command, *python, *build; /* build: "CPython 3.11.7, shared libpython, stripped, ..." */
	bool may_attach;
	char *may_attach_text; /* "yes: CAP_SYS_PTRACE" or the check that fails and what helps */
	bool supported;
	char *layouts; /* "table 3.11, validated (no DWARF, no debug offsets)" or why not */
	uint64_t estimate_ns, small_page_bytes, huge_page_bytes;
	uint64_t rss_anon, cgroup_limit, cgroup_usage;
	/* resident bytes in large ranges that hold no Python object, and what they cost of the stop when they are copied */
	uint64_t raw_bytes, raw_saved_ns;
	bool left_kept_out; /* a tracer was killed before it gave all of that back: the next snapshot does */
	bool obstacle;    /* no twin can be made */
	char *in_the_way; /* "no seccomp, no other tracer, no userfaultfd" or what is */
	double cpu_quota; /* cores of its cgroup, 0 = none */
	char *note;       /* nothing that forbids an attach, but worth knowing */
	unsigned threads;
};
/* MA_ERR_TARGET_GONE when there is no such process, MA_ERR_USAGE for a thread's number, MA_ERR_UNSUPPORTED for a kernel
 * thread. Whatever else would fail an attach stands in the struct. */
MA_CHECK struct ma_error *ma_session_doctor(pid_t pid, struct ma_doctor *ret);
void ma_doctor_deinit(struct ma_doctor *d);

/* Every process of this machine but zombies, in no order. */
struct ma_process_row {
	pid_t pid, ppid;
	char *command; /* the arguments joined by blanks, or "[name]" */
};
struct ma_process_rows {
	struct ma_process_row *v;
	size_t count;
};
MA_CHECK struct ma_error *ma_session_processes(struct ma_process_rows *ret);
void ma_session_processes_free(struct ma_process_rows *rows);

/* May it be one that we could attach to? One that may not be looked at may be: an attach then says why not. */
MA_CHECK struct ma_error *ma_session_is_python(pid_t pid, bool *ret);

/* Several processes that are meant together: one of the two is given. */
struct ma_family {
	pid_t tree;         /* it and all below it */
	const char *cgroup; /* those in this control group and in the groups below it: its path in /proc/PID/cgroup, or its folder */
};

/* The supported Pythons of a family, and those that may not be looked at: an attach says why. Of a tree parents come
 * before their children. MA_ERR_TARGET_GONE when there is no such process or none in the group, MA_ERR_UNSUPPORTED when
 * none is a Python. The caller frees *ret. */
MA_CHECK struct ma_error *ma_session_family(const struct ma_family *f, pid_t **ret, size_t *count_ret);

/* What a request was, and what became of it. */
struct ma_serve_answer {
	const char *what; /* "list", "snapshot", "stacks", "doctor", "resume"; of memattachd "metrics" */
	pid_t pid;        /* 0 with "list" and "metrics" */
	uint64_t file_bytes, pause_ns, objects, object_bytes;
	const struct ma_error *failed; /* NULL: it succeeded */
};

/* A snapshot that waits for a client whose link was cut. */
struct ma_serve_kept {
	unsigned char key[16]; /* the client's */
	int fd, whole;         /* a file; whole: all of it is there */
	unsigned seconds;      /* for which the client wants it kept; 0: it does not say */
	struct ma_session_result result;
};

/* Who may ask for what: memattachd's. */
struct ma_serve_rules {
	void *arg;
	/* Before a request is answered; an error of it is the answer. */
	struct ma_error *(*allow)(void *arg, const char *what, pid_t pid);
	/* Whether a process may stand in a list. */
	int (*sees)(void *arg, pid_t pid, unsigned uid, const char *command);
	/* After each request, also one that was not allowed. */
	void (*answered)(void *arg, const struct ma_serve_answer *answer);

	/* For MA_FRAME_RESUME.
	 * keep: such a file begins; called again when it is whole. 0: there is no room for one more.
	 * kept: that of the same client with this key; *fd is ours to close, and opened when it is -1. 0: there is none.
	 * fetched: the client has said that it has all of it.
	 * unkeep: forgets it; with `wait` after it was fetched or its time is over.
	 * ending: not 0 when everything has to end. */
	int (*keep)(void *arg, const struct ma_serve_kept *k);
	int (*kept)(void *arg, const unsigned char key[16], struct ma_serve_kept *ret, int *fd);
	void (*fetched)(void *arg, const unsigned char key[16]);
	void (*unkeep)(void *arg, const unsigned char key[16], int wait);
	const volatile int *ending;
};

/* The far side's half of a link (docs/protocol.md): greets, answers requests until `in` ends. An error of a request goes to
 * the other side; what is returned is an error of the link itself. `rules` NULL: everything is allowed, and
 * what a cut link leaves is kept by this process for as long as the client has asked for. */
MA_CHECK struct ma_error *ma_session_serve(int in, int out, const struct ma_serve_rules *rules);

#ifdef __cplusplus
}
#endif

#endif
