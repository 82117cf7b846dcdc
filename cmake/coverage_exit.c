// SPDX-License-Identifier: Apache-2.0
/* Linked into builds with MA_COVERAGE only, by -Wl,--wrap=_exit: writes the counters before a process ends in a way
 * that runs no handler of atexit(). */
int __llvm_profile_write_file(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
	__llvm_profile_write_file();
	__real__exit(status);
}
