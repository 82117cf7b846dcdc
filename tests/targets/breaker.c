// SPDX-License-Identifier: Apache-2.0
/* What a tp_traverse of an extension may do wrong, one function each: breaker.py puts one into a type. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int (*visit_fn)(void *object, void *arg);
volatile char *cut_off; /* a private mapping of a file that was made shorter since: SIGBUS */

int good(void *self, visit_fn visit, void *arg)
{
	(void)self, (void)visit, (void)arg;
	return 0;
}

int segv(void *self, visit_fn visit, void *arg)
{
	volatile uintptr_t nowhere = 8;
	(void)self, (void)visit, (void)arg;
	return *(volatile int *)nowhere;
}

int bus(void *self, visit_fn visit, void *arg)
{
	(void)self, (void)visit, (void)arg;
	return *cut_off;
}

int loop(void *self, visit_fn visit, void *arg)
{
	(void)self, (void)visit, (void)arg;
	for (volatile unsigned n = 0;; n++)
		;
}

static volatile int deeper = 1;

int overflow(void *self, visit_fn visit, void *arg)
{
	volatile char frame[8192];
	memset((char *)frame, 'x', sizeof(frame));
	int below = deeper ? overflow(self, visit, arg) : 0;
	return below + frame[17];
}

int division(void *self, visit_fn visit, void *arg)
{
	volatile int zero = 0, many = 1000;
	(void)self, (void)visit, (void)arg;
	return many / zero;
}

int illegal(void *self, visit_fn visit, void *arg)
{
	(void)self, (void)visit, (void)arg;
	__builtin_trap();
}

int leaves(void *self, visit_fn visit, void *arg)
{
	(void)self, (void)visit, (void)arg;
	syscall(SYS_exit_group, 0);
	return 0;
}

/* Pointers that are none: nothing, not aligned, outside of every mapping, into code. */
int wild(void *self, visit_fn visit, void *arg)
{
	uintptr_t none[] = { 0, 1, (uintptr_t)self + 3, 0xdeadbeef0000u, UINTPTR_MAX - 7, (uintptr_t)good };
	for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++)
		visit((void *)none[i], arg);
	return 0;
}

/* The same object without end: it never says that it is done. */
int endless(void *self, visit_fn visit, void *arg)
{
	for (;;)
		if (visit(self, arg))
			return 1;
}
