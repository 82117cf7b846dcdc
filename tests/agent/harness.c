// SPDX-License-Identifier: Apache-2.0
/* Runs the agent on the process that loads this library: in a forked child (the calling thread alone, as in a twin),
 * with a signal handler in the place of the tracer, while the parent drains the ring into a file. Called through
 * ctypes.PyDLL, so that the GIL is held. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <memattach/agent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE_UP(n) (((n) + 4095) & ~4095ul)

struct harness_result {
	uint64_t walk_ns, blocks, bytes, faults, cpu_ns, sys_ns;
	int32_t done, err, signal;
};

#ifdef HARNESS_OWN_AGENT
void maa_entry(void); /* the agent is linked in: the blob is mapped and not used */
#endif

static struct maa_args *args;
static volatile uint64_t *faults;

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	(void)info;
#if defined(__x86_64__)
	greg_t *pc = &uc->uc_mcontext.gregs[REG_RIP], *sp = &uc->uc_mcontext.gregs[REG_RSP];
#else
	unsigned long long *pc = &uc->uc_mcontext.pc, *sp = &uc->uc_mcontext.sp;
#endif
	if (sig == SIGTRAP)
		_exit((uint64_t)*pc - args->exit_pc <= 4 ? 0 : 3);
	(*faults)++;
	if (!args->recover_pc)
		_exit(4);
	if (getenv("HARNESS_VERBOSE"))
		dprintf(2, "fault: signal %d at blob+%llx, object %llx\n", sig,
			(unsigned long long)(*pc - (long long)args->exit_pc), (unsigned long long)args->current);
	*pc = (greg_t)args->recover_pc;
	*sp = (greg_t)args->recover_sp;
}

static size_t read_maps(struct maa_map *maps, size_t max)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	size_t n = 0;
	unsigned long last_end = 0;
	int last_file = 0;
	while (f && n < max && fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		char prot[5], path[1024] = "";
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %1023[^\n]", &start, &end, prot, path) < 3 ||
		    !strncmp(path, "[v", 2) || prot[0] != 'r' || prot[3] == 's')
			continue;
		uint32_t flags =
			MAA_MAP_READ | (prot[1] == 'w' ? MAA_MAP_WRITE : 0) | (prot[2] == 'x' ? MAA_MAP_EXEC : 0);
		int bss = !path[0] && last_file && start == last_end;
		flags |= path[0] == '/' || bss ? MAA_MAP_FILE : 0;
		flags |= !strncmp(path, "[stack", 6) ? MAA_MAP_STACK : 0;
		maps[n++] = (struct maa_map){ start, end, flags, 0 };
		last_end = end;
		last_file = path[0] == '/' && prot[1] == 'w';
	}
	if (f)
		fclose(f);
	return n;
}

static void child(const struct ma_agent_blob *blob, uint8_t *code)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t alt = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };
	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	uint8_t *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#ifdef HARNESS_OWN_AGENT
	uint8_t *start = (uint8_t *)(uintptr_t)maa_entry;
	(void)blob;
	(void)code;
#else
	uint8_t *start = code + blob->entry;
#endif
#if defined(__x86_64__)
	__asm__ volatile("mov %0, %%rsp\n\tjmp *%1" : : "r"(stack + (1 << 20)), "r"(start), "D"(args) : "memory");
#else
	(void)stack;
	(void)start;
#endif
	_exit(5);
}

/* `given` is a struct maa_args from args_dump. The blocks go to out_path one behind the other; slow_us: the consumer
 * sleeps so long before it takes a block. */
__attribute__((visibility("default"))) int harness_run(const void *given, size_t given_bytes, const char *blob_path,
						       uint32_t entry, const char *out_path, uint32_t flags,
						       uint32_t slow_us, struct harness_result *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (given_bytes != sizeof(*args))
		return -EINVAL;
	int bfd = open(blob_path, O_RDONLY | O_CLOEXEC),
	    out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t size = lseek(bfd, 0, SEEK_END);
	if (bfd < 0 || out < 0 || size <= 0)
		return -errno;
	struct ma_agent_blob blob = { NULL, (uint32_t)size, entry };
	uint8_t *code = mmap(NULL, PAGE_UP((size_t)size), PROT_READ | PROT_EXEC, MAP_PRIVATE, bfd, 0);
	int ring_fd = (int)syscall(SYS_memfd_create, "ring", 1);
	if (ftruncate(ring_fd, MA_RING_BYTES))
		return -errno;
	struct ma_ring *ring = mmap(NULL, MA_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	ring->magic = MA_RING_MAGIC;
	ring->abi = MA_WIRE_VERSION;
	size_t scratch_bytes = 8ul << 30, maps_max = 60000;
	uint8_t *scratch =
		mmap(NULL, scratch_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t args_bytes = PAGE_UP(sizeof(*args)) + maps_max * sizeof(struct maa_map);
	args = mmap(NULL, args_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	faults = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct maa_map *maps = (void *)((uint8_t *)args + PAGE_UP(sizeof(*args)));
	if (scratch == MAP_FAILED || (void *)args == MAP_FAILED || code == MAP_FAILED)
		return -ENOMEM;
	memcpy(args, given, given_bytes);
	/* our own mappings are not the target's */
	size_t n = read_maps(maps, maps_max), kept = 0;
	for (size_t i = 0; i < n; i++) {
		uintptr_t s = (uintptr_t)scratch;
		if (maps[i].start <= s && maps[i].end >= s + scratch_bytes) {
			struct maa_map low = maps[i], high = maps[i];
			low.end = s;
			high.start = s + scratch_bytes;
			if (low.end > low.start)
				maps[kept++] = low;
			if (high.end > high.start)
				maps[kept++] = high; /* at most one more than before */
			continue;
		}
		maps[kept++] = maps[i];
	}
	args->flags = flags;
	args->ring = (uintptr_t)ring;
	args->scratch = (uintptr_t)scratch;
	args->scratch_bytes = scratch_bytes;
	args->maps = (uintptr_t)maps;
	args->maps_count = kept;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		child(&blob, code);
	struct timespec t0, t1;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	int status = 0, dead = 0;
	for (;;) {
		uint32_t tail = ring->tail, head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
		if (head == tail) {
			if (dead || __atomic_load_n(&ring->done, __ATOMIC_ACQUIRE)) {
				if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == tail)
					break;
				continue;
			}
			struct timespec ts = { 0, 20000000 };
			syscall(SYS_futex, &ring->head, FUTEX_WAIT, head, &ts, NULL, 0);
			if (waitpid(pid, &status, WNOHANG) == pid)
				dead = 1;
			continue;
		}
		if (slow_us)
			usleep(slow_us);
		uint8_t *slot = (uint8_t *)ring + MA_RING_CONTROL + (size_t)(tail % MA_RING_SLOTS) * MA_SLOT_BYTES;
		struct ma_block_hdr h;
		memcpy(&h, slot, sizeof(h));
		if (h.bytes > MA_BLOCK_PAYLOAD ||
		    write(out, slot, sizeof(h) + h.bytes) != (ssize_t)(sizeof(h) + h.bytes)) {
			ret->err = -EIO;
			break;
		}
		ret->blocks++;
		ret->bytes += sizeof(h) + h.bytes;
		__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &ring->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	ret->walk_ns = (uint64_t)(t1.tv_sec - t0.tv_sec) * 1000000000u + (uint64_t)(t1.tv_nsec - t0.tv_nsec);
	ret->done = (int32_t)ring->done;
	ret->err = ret->err ? ret->err : ring->err;
	if (!dead)
		waitpid(pid, &status, 0);
	struct rusage ru;
	getrusage(RUSAGE_CHILDREN, &ru); /* the caller takes the difference */
	ret->cpu_ns = (uint64_t)(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec) * 1000u;
	ret->sys_ns = (uint64_t)(ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec) * 1000u;
	ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) ? -WEXITSTATUS(status) : 0;
	ret->faults = *faults;
	munmap(ring, MA_RING_BYTES);
	munmap(scratch, scratch_bytes);
	munmap(args, args_bytes);
	munmap((void *)(uintptr_t)faults, 4096);
	munmap(code, PAGE_UP((size_t)size));
	close(ring_fd);
	close(bfd);
	close(out);
	return 0;
}
