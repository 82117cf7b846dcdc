// SPDX-License-Identifier: Apache-2.0
#include "unwind.h"

#include "cleanup.h"
#include "elf_internal.h"

#include <elfutils/libdwfl.h>
#include <string.h>

#define PAGE 4096u
#define PAGES 64u /* kept, by the low bits of their number: a stack is walked upwards once */
#define MAX_MODULES 4096
#if defined(__aarch64__)
#define STACK_POINTER 31 /* its DWARF number */
#else
#define STACK_POINTER 7
#endif

struct module {
	struct ma_elf *elf;
	uint64_t start, end;
};

struct ma_unwind {
	Dwfl *dwfl;
	pid_t pid;
	ma_unwind_read read;
	void *read_arg;
	struct module *modules;
	size_t count;
	bool attached;
	struct {
		uint64_t addr; /* of the page; 0 = none */
		size_t bytes;  /* that could be read */
		uint8_t data[PAGE];
	} * pages;
	/* of the walk that is under way */
	pid_t tid;
	const struct ma_unwind_regs *regs;
	ma_unwind_frame frame;
	void *frame_arg;
	bool ended;
};

/* libdwfl asks for the image of a module that was reported: it is open already. The file behind it is read with
 * pread, so a file that shrinks gives an error and no SIGBUS. */
static int find_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, char **file_name, Elf **elfp)
{
	struct module *m = *userdata;
	(void)mod;
	(void)name;
	(void)base;
	*file_name = NULL;
	*elfp = m ? elf_begin(-1, ELF_C_READ, m->elf->elf) : NULL; /* one more reference */
	return -1;
}

/* Never the standard look-up of libdwfl: it asks debuginfod servers. */
static int find_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, const char *file,
			  const char *link, GElf_Word crc, char **ret)
{
	(void)mod;
	(void)userdata;
	(void)name;
	(void)base;
	(void)file;
	(void)link;
	(void)crc;
	(void)ret;
	return -1;
}

static const Dwfl_Callbacks callbacks = { .find_elf = find_elf, .find_debuginfo = find_debuginfo };

struct ma_error *ma_unwind_create(pid_t pid, ma_unwind_read read, void *arg, struct ma_unwind **ret)
{
	_cleanup_unwind_ struct ma_unwind *u = calloc(1, sizeof(*u));
	if (!u)
		return &ma_enomem;
	u->pid = pid;
	u->read = read;
	u->read_arg = arg;
	u->pages = calloc(PAGES, sizeof(*u->pages));
	u->modules = calloc(MAX_MODULES, sizeof(*u->modules));
	u->dwfl = dwfl_begin(&callbacks);
	if (!u->pages || !u->modules || !u->dwfl)
		return &ma_enomem;
	dwfl_report_begin(u->dwfl);
	*ret = ma_take_ptr(u);
	return NULL;
}

void ma_unwind_destroy(struct ma_unwind *u)
{
	if (!u)
		return;
	if (u->dwfl)
		dwfl_end(u->dwfl);
	for (size_t i = 0; i < u->count; i++)
		ma_elf_close(u->modules[i].elf);
	free(u->modules);
	free(u->pages);
	free(u);
}

void ma_unwind_destroy_p(struct ma_unwind **u)
{
	ma_unwind_destroy(*u);
}

/* Where the segments of `e` lie when file offset `offset` is at address `start`. */
static bool place(const struct ma_elf *e, uint64_t start, uint64_t offset, uint64_t *low, uint64_t *high)
{
	size_t count;
	const struct ma_elf_segment *s = ma_elf_segments(e, &count);
	for (size_t i = 0; i < count; i++) {
		uint64_t first = s[i].offset & ~(uint64_t)(PAGE - 1);
		if (!s[i].exec || offset < first || offset >= s[i].offset + s[i].file_bytes)
			continue;
		uint64_t bias = start - ((s[i].vaddr & ~(uint64_t)(PAGE - 1)) + (offset - first));
		if (ma_elf_is_fixed(e) && bias)
			return false;
		const struct ma_elf_segment *last = &s[count - 1];
		*low = bias + (s[0].vaddr & ~(uint64_t)(PAGE - 1));
		*high = (bias + last->vaddr + last->mem_bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		return *low < *high && *low <= start && start < *high;
	}
	return false;
}

struct ma_error *ma_unwind_add(struct ma_unwind *u, struct ma_elf **e, const char *name, uint64_t start,
			       uint64_t offset)
{
	uint64_t low, high;
	if (u->count == MAX_MODULES || !place(*e, start, offset, &low, &high))
		return NULL;
	for (size_t i = 0; i < u->count; i++)
		if (low < u->modules[i].end && u->modules[i].start < high)
			return NULL;
	struct module *m = &u->modules[u->count];
	*m = (struct module){ NULL, low, high };
	Dwfl_Module *mod = dwfl_report_module(u->dwfl, name, low, high);
	void **userdata;
	if (!mod)
		return &ma_enomem;
	dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = m;
	m->elf = ma_take_ptr(*e);
	u->count++;
	return NULL;
}

static bool read_word(struct ma_unwind *u, uint64_t addr, uint64_t *ret)
{
	uint64_t at = addr & ~(uint64_t)(PAGE - 1), off = addr - at;
	if (!at || off > PAGE - sizeof(*ret)) /* across pages: not in a stack that is aligned */
		return u->read(u->read_arg, addr, ret, sizeof(*ret)) == sizeof(*ret);
	size_t slot = (size_t)(at / PAGE % PAGES);
	if (u->pages[slot].addr != at) {
		u->pages[slot].bytes = u->read(u->read_arg, at, u->pages[slot].data, PAGE);
		u->pages[slot].addr = at;
	}
	if (off + sizeof(*ret) > u->pages[slot].bytes)
		return false;
	memcpy(ret, u->pages[slot].data + off, sizeof(*ret));
	return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	uint64_t v;
	(void)dwfl;
	if (!read_word(arg, addr, &v))
		return false;
	*result = v;
	return true;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	struct ma_unwind *u = arg;
	(void)dwfl;
	*thread_arg = u;
	return tid == u->tid;
}

/* Wanted by libdwfl, and never called: threads are asked for one by one. */
static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)arg;
	(void)thread_arg;
	return 0;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct ma_unwind *u = arg;
	if (!dwfl_thread_state_registers(thread, 0, u->regs->count, u->regs->r))
		return false;
	dwfl_thread_state_register_pc(thread, u->regs->pc);
	return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

static int on_frame(Dwfl_Frame *state, void *arg)
{
	struct ma_unwind *u = arg;
	Dwarf_Addr pc;
	Dwarf_Word sp;
	bool exact;
	if (!dwfl_frame_pc(state, &pc, &exact))
		return DWARF_CB_ABORT;
	if (dwfl_frame_reg(state, STACK_POINTER, &sp))
		sp = 0;
	if (!u->frame(u->frame_arg, pc, sp, exact)) {
		u->ended = true;
		return DWARF_CB_ABORT;
	}
	return DWARF_CB_OK;
}

struct ma_error *ma_unwind_thread(struct ma_unwind *u, pid_t tid, const struct ma_unwind_regs *regs,
				  ma_unwind_frame frame, void *arg, bool *whole_ret)
{
	if (!u->attached) {
		dwfl_report_end(u->dwfl, NULL, NULL);
		if (!dwfl_attach_state(u->dwfl, NULL, u->pid, &thread_callbacks, u))
			return ma_errorf(MA_ERR_UNSUPPORTED, "native stacks can not be read: %s", dwfl_errmsg(-1));
		u->attached = true;
	}
	u->tid = tid;
	u->regs = regs;
	u->frame = frame;
	u->frame_arg = arg;
	u->ended = false;
	*whole_ret = dwfl_getthread_frames(u->dwfl, tid, on_frame, u) == 0 && !u->ended;
	return NULL;
}

void ma_unwind_name(struct ma_unwind *u, uint64_t pc, bool exact, struct ma_unwind_place *ret)
{
	uint64_t at = exact ? pc : pc - 1; /* the call, not what comes after it: that may be another line or function */
	Dwfl_Module *mod = dwfl_addrmodule(u->dwfl, at);
	*ret = (struct ma_unwind_place){ "", "", "", 0 };
	if (!mod)
		return;
	const char *name = dwfl_module_info(mod, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
	GElf_Off off;
	GElf_Sym sym;
	ret->module = name ? name : "";
	name = dwfl_module_addrinfo(mod, at, &off, &sym, NULL, NULL, NULL);
	ret->function = name ? name : "";
	int line = 0;
	Dwfl_Line *l = dwfl_module_getsrc(mod, at);
	const char *file = l ? dwfl_lineinfo(l, NULL, &line, NULL, NULL, NULL) : NULL;
	if (file) {
		ret->file = file;
		ret->line = line > 0 ? (uint32_t)line : 0;
	}
}
