// SPDX-License-Identifier: Apache-2.0
/* replay.c - runs a fuzz target over every file of the folders and files given, and over changes of each: cut off,
 * bytes changed, parts doubled. The changes are the same in every run. */
#include "cleanup.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1u << 20)
#ifndef FUZZ_CHANGES
#define FUZZ_CHANGES 200u /* of each file */
#endif

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Exactly `size` bytes on the heap, so that ASan sees a read past them. */
static void one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void change(uint8_t *b, size_t *size, uint64_t *x)
{
	static const uint8_t nasty[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	if (!*size)
		return;
	for (unsigned k = 1 + (unsigned)(rnd(x) % 4); k; k--) {
		size_t at = rnd(x) % *size;
		switch (rnd(x) % 5) {
		case 0:
			b[at] = nasty[rnd(x) % sizeof(nasty)];
			break;
		case 1:
			b[at] ^= (uint8_t)(1u << rnd(x) % 8);
			break;
		case 2:
			b[at] = (uint8_t)rnd(x);
			break;
		case 3:
			*size = at + 1;
			break;
		default: {
			size_t n = 1 + rnd(x) % (*size - at);
			if (*size + n <= INPUT_MAX) {
				memmove(b + at + n, b + at, *size - at);
				*size += n;
			}
		}
		}
	}
}

static int file(const char *path)
{
	static uint8_t bytes[INPUT_MAX], changed[INPUT_MAX];
	_cleanup_fclose_ FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	size_t size = fread(bytes, 1, sizeof(bytes), f);
	uint64_t x = 88172645463325252u + size;
	one(bytes, size);
	for (unsigned i = 0; i < FUZZ_CHANGES; i++) {
		size_t n = size;
		memcpy(changed, bytes, size);
		change(changed, &n, &x);
		one(changed, n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	for (int i = 1; i < argc; i++) {
		struct dirent **names;
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISREG(st.st_mode)) {
			if (file(argv[i]))
				return 1;
			files++;
			continue;
		}
		int n = scandir(argv[i], &names, NULL, alphasort);
		for (int k = 0; k < n; k++) {
			char path[4096];
			snprintf(path, sizeof(path), "%s/%s", argv[i], names[k]->d_name);
			bool hidden = names[k]->d_name[0] == '.';
			free(names[k]);
			if (hidden)
				continue;
			if (file(path))
				return 1;
			files++;
		}
		if (n >= 0)
			free(names);
	}
	printf("%u files and %u changes of each\n", files, FUZZ_CHANGES);
	if (!files)
		fprintf(stderr, "no corpus found\n");
	return files ? 0 : 1;
}
