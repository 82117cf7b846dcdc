// SPDX-License-Identifier: Apache-2.0
/* proc.h - /proc text to structs. The parsers take untrusted text and are pure; the readers open files below a
 * directory fd of /proc/PID (or /proc/PID/task/TID), never by number again, so that a reused pid shows as ESRCH. */
#ifndef MA_PROC_H
#define MA_PROC_H

#include "buffer.h"

#include <memattach/error.h>
#include <memattach/types.h>

/* One line of maps, or one entry of smaps (then the numbers are set, in bytes). */
struct ma_map {
	uint64_t start, end, offset, inode;
	unsigned dev_major, dev_minor;
	unsigned prot;    /* 1 r, 2 w, 4 x, 8 shared: as in wire.h REGIONS */
	bool deleted;     /* the path ended in " (deleted)", which is cut off */
	const char *path; /* never NULL; escapes of the kernel (\012) undone; owned by the list */
	uint64_t rss, pss, private_dirty, private_clean, shared_clean, shared_dirty, anonymous, huge, swap, locked;
	bool dontfork, wipeonfork; /* VmFlags dc / wf (smaps only) */
};

struct ma_maps {
	struct ma_map *v; /* sorted by start, as the kernel prints them */
	size_t count;
	char *text; /* owns the paths */
	bool husk;  /* not of the process that is read, but of the one whose memory it was given: its pagemap says
		       nothing */
};

/* Takes ownership of nothing; `text` is copied. Works for maps and smaps. */
MA_CHECK struct ma_error *ma_maps_parse(const char *text, size_t bytes, struct ma_maps *ret);
MA_CHECK struct ma_error *ma_maps_read(int dir, const char *file /* "maps" or "smaps" */, struct ma_maps *ret);
void ma_maps_deinit(struct ma_maps *m);
const struct ma_map *ma_maps_find(const struct ma_maps *m, ma_raddr addr); /* NULL if not mapped */
bool ma_map_same_file(const struct ma_map *a, const struct ma_map *b);

struct ma_status { /* /proc/PID/status; sizes in bytes */
	char name[64];
	char state; /* R S D T t Z X I */
	uint64_t rss_anon, rss_file, rss_shmem, vm_pte, vm_pin, vm_lck, vm_size, hugetlb;
	unsigned uid[4], gid[4]; /* real, effective, saved, fs */
	pid_t tgid, pid, ppid, tracer;
	unsigned threads;
	int seccomp;    /* 0, 1 strict, 2 filter */
	pid_t nspid[8]; /* from the outermost (ours) to the innermost namespace */
	unsigned nspid_count;
	uint64_t cap_eff, sig_blk, sig_ign, sig_cgt;
};
MA_CHECK struct ma_error *ma_status_parse(const char *text, size_t bytes, struct ma_status *ret);
MA_CHECK struct ma_error *ma_status_read(int dir, struct ma_status *ret);

struct ma_stat { /* /proc/PID/stat */
	char state;
	pid_t ppid;
	uint64_t flags;        /* PF_*: 0x10 = PF_IO_WORKER */
	uint64_t minor_faults; /* of all threads, since the start */
	uint64_t start_time;   /* clock ticks after boot */
	int exit_signal;
};
MA_CHECK struct ma_error *ma_stat_parse(const char *text, size_t bytes, struct ma_stat *ret);
MA_CHECK struct ma_error *ma_stat_read(int dir, struct ma_stat *ret);

/* The tids below dir/task, unsorted. The caller frees *ret. */
MA_CHECK struct ma_error *ma_tasks_read(int dir, pid_t **ret, size_t *count_ret);

/* A whole small file below dir; at most `limit` bytes, NUL-terminated. The caller frees *ret. */
MA_CHECK struct ma_error *ma_proc_read(int dir, const char *file, size_t limit, char **ret, size_t *bytes_ret);

/* The command line, NULs made blanks, at most 4096 bytes; "[comm]" when it is empty. */
MA_CHECK struct ma_error *ma_cmdline_read(int dir, char **ret);

/* ---- who is in the way (preflight.c): all reads, no stop. */
enum ma_obstacle {
	MA_OBS_NONE,
	MA_OBS_SECCOMP,
	MA_OBS_PIDS_LIMIT,
	MA_OBS_OVERCOMMIT,
	MA_OBS_MEMORY_HEADROOM,
	MA_OBS_OOM_GROUP,
	MA_OBS_32BIT,
	MA_OBS_HUGE_PAGES,
	MA_OBS_PAUSE,
};

struct ma_preflight {
	enum ma_obstacle obstacle; /* the first that forbids a twin */
	char *reason;              /* one line for a person, NULL if nothing is in the way */
	bool seccomp;              /* filtered, PTRACE_O_SUSPEND_SECCOMP is needed (and we have CAP_SYS_ADMIN) */
	uint64_t estimate_ns;      /* of the stop: from RssAnon and page sizes */
	uint64_t small_page_bytes, huge_page_bytes, shared_bytes;
	/* Bytes, of the cgroup level with the least room, less file cache that can be dropped at once (inactive_file);
	 * 0 = no limit or not readable. */
	uint64_t cgroup_limit, cgroup_usage;
	double cpu_quota; /* cores, 0 = none */
	char *cgroups;    /* /proc/PID/cgroup as it is, for moving the twin */
	char *note;       /* what does not forbid a twin but a person should know (locked or pinned memory,
			   * real-time scheduling), one line, or NULL */
};
MA_CHECK struct ma_error *ma_preflight_read(int dir, pid_t pid, const struct ma_status *status,
					    const struct ma_maps *maps, struct ma_preflight *ret);
/* Of the file that it runs; false where that can not be read. */
bool ma_is_32bit(int dir);
void ma_preflight_deinit(struct ma_preflight *p);
/* Has any thread a seccomp filter? Then no call may be injected but with PTRACE_O_SUSPEND_SECCOMP. */
bool ma_seccomp_filtered(int dir, const struct ma_status *status);
/* Nanoseconds of a stop that so many bytes of private memory mean: fork copies a page table entry for each page. */
uint64_t ma_pages_cost_ns(uint64_t small_bytes, uint64_t huge_bytes);
/* The descriptors of a stopped process: an error if one of them makes a clone of it dangerous. Not for one that runs:
 * the kernel holds each file while its entry is read, and a close() in that moment would take effect too late. Some 2
 * us each. */
MA_CHECK struct ma_error *ma_descriptors_check(int dir);

/* Why PTRACE_SEIZE said `errnum` (EPERM, ...): the check that failed, and the command that helps, as one
 * MA_ERR_PERMISSION error of one line without the pid (the command puts that before it). A target that has ended is
 * MA_ERR_TARGET_GONE, a kernel thread MA_ERR_UNSUPPORTED. */
MA_CHECK struct ma_error *ma_diagnose_seize(int dir, pid_t pid, int errnum);

/* Whether an attach would be permitted, without one: NULL and *how_ret ("CAP_SYS_PTRACE", "same user"; the caller
 * frees it), or the error that ma_diagnose_seize() would give. Opens /proc/PID/mem, which the kernel guards by the
 * same check, and reads nothing from it. */
MA_CHECK struct ma_error *ma_may_attach(int dir, pid_t pid, char **how_ret);

/* Moves task `pid` into our own cgroups (every v1 hierarchy, or v2). *moved_ret: at least cpu and memory were done
 * or are the same already. Errors are not errors: *moved_ret false, and *why_ret (caller frees) says why. */
void ma_cgroup_move_to_own(pid_t pid, const char *its_cgroups, bool *moved_ret, char **why_ret);

/* Is the group `path` among those of `cgroups` (the text of /proc/PID/cgroup), or above one of them? `path` is one as
 * it stands there ("/docker/0123"), or the folder of one; `mountinfo` is the text of /proc/self/mountinfo. */
bool ma_cgroup_is_in(const char *mountinfo, const char *cgroups, const char *path);

/* Bytes that the memory cgroups in `cgroups` (the text of /proc/PID/cgroup) have left, at the level with the least
 * room; UINT64_MAX without a limit or where none can be read. */
uint64_t ma_cgroup_memory_room(const char *cgroups);

/* How near a process is to the end of its memory, in bytes. A limit of 0 is none, or none that can be read. */
struct ma_room {
	uint64_t rss;
	uint64_t twin_need;                /* what a copy of it may take in its cgroup while it lives */
	uint64_t group_limit, group_usage; /* of the cgroup level with the least room; memory.high counts as a limit */
	double group_stall; /* percent of the last 10 s that all of a level waited for memory; 0 on cgroup v1 */
	uint64_t machine_limit, machine_usage;
};
/* `dir`: of /proc/PID. Fails when its status cannot be read. */
MA_CHECK struct ma_error *ma_room_read(int dir, struct ma_room *ret);

#endif
