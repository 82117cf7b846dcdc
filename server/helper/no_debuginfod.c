// SPDX-License-Identifier: Apache-2.0
/* libdw's way to debuginfod servers is a library that it loads by dlopen(), which a static program can not have. We
 * never ask such a server; these stand in for the file of libdw.a that would (debuginfod-client.c of elfutils). */
#include <elfutils/libdwfl.h>
#include <errno.h>

int __libdwfl_debuginfod_find_executable(Dwfl *dwfl, const unsigned char *build_id, size_t bytes);
int __libdwfl_debuginfod_find_debuginfo(Dwfl *dwfl, const unsigned char *build_id, size_t bytes);
void __libdwfl_debuginfod_end(void *client);

int __libdwfl_debuginfod_find_executable(Dwfl *dwfl, const unsigned char *build_id, size_t bytes)
{
	(void)dwfl;
	(void)build_id;
	(void)bytes;
	return -ENOSYS;
}

int __libdwfl_debuginfod_find_debuginfo(Dwfl *dwfl, const unsigned char *build_id, size_t bytes)
{
	return __libdwfl_debuginfod_find_executable(dwfl, build_id, bytes);
}

void __libdwfl_debuginfod_end(void *client)
{
	(void)client;
}

debuginfod_client *dwfl_get_debuginfod_client(Dwfl *dwfl)
{
	(void)dwfl;
	return NULL;
}
