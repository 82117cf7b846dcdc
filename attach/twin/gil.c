// SPDX-License-Identifier: Apache-2.0
#include "gil.h"

#include "cleanup.h"
#include "mem.h"

#define MAX_INTERPRETERS 1024

static struct ma_error *at(pid_t pid, ma_raddr base, int32_t off, const char *what, uint64_t *ret)
{
	if (off < 0)
		return ma_errorf(MA_ERR_UNSUPPORTED, "the layout of this Python has no %s", what);
	return ma_mem_read_u64(pid, base + (uint64_t)off, ret);
}

static struct ma_error *gil_of(pid_t pid, const struct ma_python *py, ma_raddr interp, ma_raddr *ret)
{
	const struct ma_layout *l = &py->layout;
	if (l->runtime_gil != MA_ABSENT) { /* up to 3.11 there is one, in the runtime */
		*ret = py->runtime + (uint64_t)l->runtime_gil;
		return NULL;
	}
	return at(pid, interp, l->interp_gil, "GIL", ret);
}

struct ma_error *ma_gil_locked(pid_t pid, const struct ma_python *py, const struct ma_gil *gil, bool *ret)
{
	uint32_t locked = 0;
	if (gil->addr)
		MA_TRY(ma_mem_read_u32(pid, gil->addr + (uint64_t)py->layout.gil_locked, &locked));
	*ret = locked == 1; /* -1 before the GIL is made */
	return NULL;
}

static struct ma_error *read_gil(pid_t pid, const struct ma_python *py, ma_raddr interp, ma_raddr addr,
				 struct ma_gil *ret)
{
	const struct ma_layout *l = &py->layout;
	struct ma_gil gil = { .addr = addr, .interp = interp };
	MA_TRY(at(pid, interp, l->interp_id, "interpreter id", &gil.interp_id));
	MA_TRY(ma_gil_locked(pid, py, &gil, &gil.locked));
	if (gil.locked) {
		MA_TRY(at(pid, gil.addr, l->gil_last_holder, "GIL holder", &gil.holder));
		if (gil.holder)
			MA_TRY(at(pid, gil.holder, l->tstate_thread_id, "thread id", &gil.holder_thread));
	}
	*ret = gil;
	return NULL;
}

struct ma_error *ma_gil_read(pid_t pid, const struct ma_python *py, struct ma_gil *ret)
{
	const struct ma_layout *l = &py->layout;
	ma_raddr interp, main_interp = 0, addr;

	if (l->gil_locked < 0 || l->gil_last_holder < 0 || l->tstate_thread_id < 0)
		return ma_errorf(MA_ERR_UNSUPPORTED, "the layout of this Python has no GIL");
	MA_TRY(at(pid, py->runtime, l->runtime_interp_head, "interpreter list", &interp));
	/* The list begins with the newest; the main interpreter is the last. */
	for (int i = 0; interp && i < MAX_INTERPRETERS; i++) {
		main_interp = interp;
		MA_TRY(at(pid, interp, l->interp_next, "interpreter list", &interp));
	}
	if (!main_interp)
		return ma_errorf(MA_ERR_UNSUPPORTED, "Python is not initialised in it, or already finalised");
	MA_TRY(gil_of(pid, py, main_interp, &addr));
	return read_gil(pid, py, main_interp, addr, ret);
}

struct ma_error *ma_gil_read_others(pid_t pid, const struct ma_python *py, const struct ma_gil *main_gil,
				    struct ma_gils *ret)
{
	const struct ma_layout *l = &py->layout;
	ma_raddr interp, addr;
	*ret = (struct ma_gils){ .count = 0 };
	if (l->runtime_gil != MA_ABSENT)
		return NULL;
	MA_TRY(at(pid, py->runtime, l->runtime_interp_head, "interpreter list", &interp));
	for (int i = 0; interp && interp != main_gil->interp && i < MAX_INTERPRETERS; i++) {
		struct ma_gil gil;
		MA_TRY(gil_of(pid, py, interp, &addr));
		if (addr && addr != main_gil->addr) { /* 0: it is being made or ended */
			MA_TRY(read_gil(pid, py, interp, addr, &gil));
			if (gil.locked && ret->count < MA_GILS_MAX)
				ret->v[ret->count++] = gil;
			else
				ret->more |= gil.locked;
		}
		MA_TRY(at(pid, interp, l->interp_next, "interpreter list", &interp));
	}
	return NULL;
}

struct ma_error *ma_gil_list(pid_t pid, const struct ma_python *py, struct ma_gil **ret, size_t *count_ret)
{
	_cleanup_free_ struct ma_gil *v = calloc(MAX_INTERPRETERS, sizeof(*v));
	size_t count = 0;
	ma_raddr interp, addr;
	if (!v)
		return &ma_enomem;
	MA_TRY(at(pid, py->runtime, py->layout.runtime_interp_head, "interpreter list", &interp));
	while (interp && count < MAX_INTERPRETERS) {
		MA_TRY(gil_of(pid, py, interp, &addr));
		MA_TRY(read_gil(pid, py, interp, addr, &v[count++]));
		MA_TRY(at(pid, interp, py->layout.interp_next, "interpreter list", &interp));
	}
	*ret = ma_take_ptr(v);
	*count_ret = count;
	return NULL;
}

static struct ma_error *set_u32(pid_t twin, ma_raddr base, int32_t off, const char *what)
{
	const uint32_t one = 1;
	if (off < 0)
		return ma_errorf(MA_ERR_UNSUPPORTED, "the layout of this Python has no %s", what);
	return ma_mem_write(twin, base + (uint64_t)off, &one, sizeof(one));
}

struct ma_error *ma_gil_request(pid_t twin, const struct ma_python *py, const struct ma_gil *gil)
{
	const struct ma_layout *l = &py->layout;
	if (l->runtime_gil_drop_request != MA_ABSENT) { /* 3.8 */
		MA_TRY(set_u32(twin, py->runtime, l->runtime_gil_drop_request, "gil_drop_request"));
		return set_u32(twin, py->runtime, l->runtime_eval_breaker, "eval_breaker");
	}
	if (l->interp_gil_drop_request != MA_ABSENT) { /* 3.9 to 3.12 */
		ma_raddr interp;
		MA_TRY(at(twin, gil->holder, l->tstate_interp, "interpreter", &interp));
		MA_TRY(set_u32(twin, interp, l->interp_gil_drop_request, "gil_drop_request"));
		return set_u32(twin, interp, l->interp_eval_breaker, "eval_breaker");
	}
	/* 3.13 and later: _PY_GIL_DROP_REQUEST_BIT is bit 0 (internal/pycore_ceval.h) */
	uint64_t breaker;
	MA_TRY(at(twin, gil->holder, l->tstate_eval_breaker, "eval_breaker", &breaker));
	breaker |= 1;
	return ma_mem_write(twin, gil->holder + (uint64_t)l->tstate_eval_breaker, &breaker, sizeof(breaker));
}
