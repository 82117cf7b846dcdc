// SPDX-License-Identifier: Apache-2.0
/* sys.h - raw system calls of the agent: futex and clock_gettime, nothing else. */
#ifndef MAA_SYS_H
#define MAA_SYS_H

#include <stdint.h>

#if defined(__x86_64__)
#define SYS_FUTEX 202
#define SYS_CLOCK_GETTIME 228
static inline long maa_syscall4(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t r10 __asm__("r10") = d;
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
#define SYS_FUTEX 98
#define SYS_CLOCK_GETTIME 113
static inline long maa_syscall4(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t x8 __asm__("x8") = (uint64_t)nr;
	register uint64_t x0 __asm__("x0") = a;
	register uint64_t x1 __asm__("x1") = b;
	register uint64_t x2 __asm__("x2") = c;
	register uint64_t x3 __asm__("x3") = d;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x8) : "memory");
	return (long)x0;
}
#else
#error "no system calls for this machine"
#endif

#define MAA_FUTEX_WAIT 0 /* not PRIVATE: the word is in memory that two processes share */
#define MAA_FUTEX_WAKE 1

#endif
