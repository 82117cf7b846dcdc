// SPDX-License-Identifier: Apache-2.0
/* growth SNAPSHOT [LATER]: the objects that retain most in the last snapshot, and with two what grew between them.
 *
 *	cc growth.c $(pkg-config --cflags --libs libmemattach) -o growth
 *
 * Names in a snapshot are bytes of the program that it was taken of: this example prints only what is printable. */
#include <memattach/diff.h>
#include <memattach/objects.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN 5

static void print_name(const char *name)
{
	for (; *name; name++)
		putchar(*name >= ' ' && *name <= '~' ? *name : '?');
}

static struct ma_error *print_largest(const struct ma_snap *s)
{
	struct ma_objects *objects;
	uint32_t numbers[SHOWN];
	char *paths[SHOWN];
	struct ma_error *err = ma_objects_create(s, &objects);
	if (err)
		return err;
	size_t count = ma_objects_largest(objects, numbers, SHOWN);
	err = ma_objects_paths(objects, numbers, count, paths);
	for (size_t i = 0; i < count && !err; i++) {
		struct ma_object o;
		if (ma_objects_get(objects, numbers[i], &o)) {
			printf("retains %" PRIu64 ": ", o.retained);
			print_name(paths[i]);
			printf(" (");
			print_name(o.type);
			puts(")");
		}
		free(paths[i]);
	}
	ma_objects_destroy(objects);
	return err;
}

static struct ma_error *print_growth(const struct ma_snap *before, const struct ma_snap *after)
{
	struct ma_diff diff;
	struct ma_error *err = ma_diff_create(before, NULL, after, &diff);
	if (err)
		return err;
	for (size_t i = 0; i < diff.growths.count && diff.growths.points[i].bytes > 0; i++) {
		const struct ma_growth *g = &diff.growths.points[i];
		printf("grew by %" PRId64 " in %" PRId64 " objects: ", g->bytes, g->objects);
		print_name(g->path);
		puts("");
	}
	ma_diff_deinit(&diff);
	return NULL;
}

static struct ma_error *run(const char *first, const char *last)
{
	struct ma_snap *before = NULL, *after = NULL;
	struct ma_error *err = ma_snap_open(last, &after);
	if (!err && first)
		err = ma_snap_open(first, &before);
	if (!err)
		err = print_largest(after);
	if (!err && before)
		err = print_growth(before, after);
	ma_snap_close(before);
	ma_snap_close(after);
	return err;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: growth SNAPSHOT [LATER]\n");
		return 2;
	}
	struct ma_error *err = run(argc > 2 ? argv[1] : NULL, argv[argc - 1]);
	int code = ma_error_exit_code(err);
	if (err)
		fprintf(stderr, "growth: %s\n", err->message);
	ma_error_free(err);
	return code;
}
