// SPDX-License-Identifier: Apache-2.0
/* Threads that are nearly always inside a restartable sequence: load the counter of this CPU, wait, store it plus one.
 * A thread that is moved out of its section and put back into it without an abort has lost the kernel's protection
 * (facts: the kernel clears rseq_cs when it finds rip outside); the section looks for that before it commits.
 * Library for rseq.py. x86-64, with the area that glibc 2.35 and later registers for each thread. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/rseq.h>

#define EXPORT __attribute__((visibility("default")))
#define CPUS 1024
#define THREADS 64
#define WAIT 4000 /* loop passes in a section: about 2 us */

static struct {
	long value;
	char pad[56];
} counts[CPUS];
static atomic_long commits, aborts, lost;
static atomic_int stopping;
static pthread_t threads[THREADS];
static int threads_count;

#if defined(__x86_64__)
enum outcome { COMMITTED, ABORTED, LOST };

static enum outcome section(struct rseq *area)
{
	__asm__ goto(
		/* struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip */
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n"
		"1:\t.long 0, 0\n\t"
		".quad 2f, 4f - 2f, 5f\n\t"
		".popsection\n\t"
		"leaq 1b(%%rip), %%rax\n\t"
		"movq %%rax, %c[cs](%[area])\n"
		"2:\n\t"
		"movl %c[cpu](%[area]), %%eax\n\t"
		"shlq $6, %%rax\n\t"
		"addq %[counts], %%rax\n\t"
		"movq (%%rax), %%rdx\n\t"
		"movl %[wait], %%ecx\n"
		"3:\t"
		"cmpq $0, %c[cs](%[area])\n\t"
		"je %l[lost_it]\n\t"
		"decl %%ecx\n\t"
		"jnz 3b\n\t"
		"incq %%rdx\n\t"
		"movq %%rdx, (%%rax)\n" /* the commit is the last instruction */
		"4:\n\t"
		".pushsection __rseq_abort, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"
		".long 0x53053053\n" /* RSEQ_SIG stands before the abort handler */
		"5:\tjmp %l[aborted]\n\t"
		".popsection\n\t"
		:
		: [area] "r"(area), [counts] "r"(counts), [wait] "i"(WAIT), [cs] "i"(offsetof(struct rseq, rseq_cs)),
		  [cpu] "i"(offsetof(struct rseq, cpu_id))
		: "memory", "cc", "rax", "rcx", "rdx"
		: aborted, lost_it);
	return COMMITTED;
aborted:
	return ABORTED;
lost_it:
	return LOST;
}

static struct rseq *own_area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static void once(struct rseq *area)
{
	switch (section(area)) {
	case COMMITTED:
		atomic_fetch_add(&commits, 1);
		break;
	case ABORTED:
		atomic_fetch_add(&aborts, 1);
		break;
	case LOST:
		atomic_fetch_add(&lost, 1);
		break;
	}
}

static void *run(void *arg)
{
	struct rseq *area = own_area();
	while (!atomic_load(&stopping))
		once(area);
	return arg;
}

/* 0, or an errno where glibc registered nothing. */
EXPORT int rseq_ready(void)
{
	return __rseq_size ? 0 : ENOSYS;
}

/* In the calling thread, until fd can be read. */
EXPORT void rseq_until_readable(int fd)
{
	struct rseq *area = own_area();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	do
		for (int i = 0; i < 5000; i++)
			once(area);
	while (poll(&p, 1, 0) == 0);
}
#else
static void *run(void *arg)
{
	return arg;
}

EXPORT int rseq_ready(void)
{
	return ENOSYS;
}

EXPORT void rseq_until_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	poll(&p, 1, -1);
}
#endif

EXPORT int rseq_start(int count)
{
	for (threads_count = 0; threads_count < count && threads_count < THREADS; threads_count++) {
		int errnum = pthread_create(&threads[threads_count], NULL, run, NULL);
		if (errnum)
			return errnum;
	}
	return 0;
}

EXPORT void rseq_stop(void)
{
	atomic_store(&stopping, 1);
	while (threads_count > 0)
		pthread_join(threads[--threads_count], NULL);
}

/* 0 commits, 1 the sum of all counters, 2 aborts, 3 sections that lost their protection */
EXPORT long rseq_value(int which)
{
	long sum = 0;
	switch (which) {
	case 0:
		return atomic_load(&commits);
	case 1:
		for (int i = 0; i < CPUS; i++)
			sum += counts[i].value;
		return sum;
	case 2:
		return atomic_load(&aborts);
	default:
		return atomic_load(&lost);
	}
}
