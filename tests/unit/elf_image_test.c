// link: ma_elf ma_base
// SPDX-License-Identifier: Apache-2.0
/* ELF images: this program's own, and files that are broken in every way that comes to hand. */
#include "elf_image.h"
#include "python_target.h"

#include <link.h>
#include <sys/mman.h>

int elf_image_test_marker = 42;
struct elf_image_test_inner {
	char pad[3];
	union {
		struct {
			int first;
			short second[4];
		};
		double whole;
	};
};
struct elf_image_test_outer {
	long head;
	struct elf_image_test_inner inner[3];
	const volatile struct elf_image_test_inner last;
};
typedef struct elf_image_test_outer elf_image_test_typedef;
elf_image_test_typedef elf_image_test_object = { .head = 1 };

static struct ma_elf *open_path(const char *path)
{
	struct ma_elf *e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	assert_ok(ma_elf_open(fd, &e));
	close(fd);
	return e;
}

static uint64_t own_bias(void)
{
	static uint64_t entry, bias;
	struct ma_elf *e = open_path("/proc/self/exe");
	struct ma_elf_symbol s = { .name = "elf_image_test_marker" };
	assert_ok(ma_elf_find_symbols(e, &s, 1));
	cr_assert(s.found);
	entry = s.vaddr;
	bias = (uint64_t)(uintptr_t)&elf_image_test_marker - entry;
	ma_elf_close(e);
	return bias;
}

Test(elf_image, symbols_and_bytes)
{
	struct ma_elf *e = open_path("/proc/self/exe");
	struct ma_elf_symbol s[] = { { .name = "no_such_symbol" },
				     { .name = "elf_image_test_object" },
				     { .name = "elf_image_test_marker" },
				     { .name = "elf_image_test" } };
	assert_ok(ma_elf_find_symbols(e, s, 4));
	cr_expect_not(s[0].found);
	cr_expect_not(s[3].found, "a prefix is not a match");
	cr_expect_eq(s[2].bytes, sizeof(int));
	cr_expect_eq(s[1].vaddr + own_bias(), (uint64_t)(uintptr_t)&elf_image_test_object);
	int value = 0;
	assert_ok(ma_elf_read(e, s[2].vaddr, &value, sizeof(value)));
	cr_expect_eq(value, 42);
	assert_error(ma_elf_read(e, ~0ull - 2, &value, sizeof(value)), MA_ERR_BAD_DATA, "not in the ELF image");
	size_t count;
	const struct ma_elf_segment *segments = ma_elf_segments(e, &count);
	cr_expect_geq(count, 2);
	cr_expect(segments[0].read && !segments[0].write);
	uint64_t vaddr, bytes;
	cr_expect(ma_elf_section(e, ".data", &vaddr, &bytes));
	cr_expect(s[2].vaddr - vaddr < bytes);
	cr_expect_not(ma_elf_section(e, ".no-such", &vaddr, &bytes));
	ma_elf_close(e);
}

Test(elf_image, dwarf_members)
{
	struct ma_elf *e = open_path("/proc/self/exe");
	struct ma_dwarf_query q[] = {
		{ "elf_image_test_typedef", "inner[1].second[2]", 0, 0 },
		{ "struct elf_image_test_outer", "last.whole", 0, 0 },
		{ "struct elf_image_test_outer", NULL, 0, 0 },
		{ "elf_image_test_typedef", "inner[1].nothing", 0, 0 },
		{ "struct elf_image_test_typedef", NULL, 0, 0 },
		{ "elf_image_test_outer", "head", 0, 0 },
		{ "elf_image_test_typedef", "inner[1", 0, 0 },
		{ "elf_image_test_typedef", "", 0, 0 },
		{ "elf_image_test_typedef", "head.x", 0, 0 },
		{ "elf_image_test_typedef", "head[3]", 0, 0 },
		{ "elf_image_test_typedef", "inner[99999999999999]", 0, 0 },
	};
	size_t count = sizeof(q) / sizeof(*q);
	bool any;
	assert_ok(ma_dwarf_resolve(e, q, count, &any));
	if (!any)
		cr_skip_test("built without debug information");
	cr_expect_eq(q[0].value, (int64_t)offsetof(struct elf_image_test_outer, inner[1].second[2]), "%ld", q[0].value);
	cr_expect_eq(q[0].bytes, 2);
	cr_expect_eq(q[1].value, (int64_t)offsetof(struct elf_image_test_outer, last.whole), "%ld", q[1].value);
	cr_expect_eq(q[2].value, (int64_t)sizeof(struct elf_image_test_outer));
	for (size_t i = 3; i < count; i++)
		cr_expect(q[i].value == -1 || i == 7, "%zu: %ld", i, q[i].value);
	ma_elf_close(e);
}

/* A copy of this program in memory. */
static int copy_self(unsigned char **bytes_ret, size_t *count_ret)
{
	int in = open("/proc/self/exe", O_RDONLY), out = memfd_create("elf", MFD_CLOEXEC);
	off_t size = lseek(in, 0, SEEK_END);
	*bytes_ret = malloc((size_t)size);
	*count_ret = (size_t)size;
	cr_assert(in >= 0 && out >= 0 && pread(in, *bytes_ret, (size_t)size, 0) == size);
	cr_assert_eq(pwrite(out, *bytes_ret, (size_t)size, 0), size);
	close(in);
	return out;
}

/* Everything that attach/python asks of an image; any answer will do but a crash. */
static void ask_everything(int fd)
{
	struct ma_elf *e;
	struct ma_error *err = ma_elf_open(fd, &e);
	if (err) {
		cr_expect(err->code == MA_ERR_BAD_DATA || err->code == MA_ERR_UNSUPPORTED, "%s", err->message);
		ma_error_free(err);
		return;
	}
	char id[MA_BUILD_ID_CHARS], buf[64];
	uint64_t a, b;
	bool any;
	struct ma_elf_symbol s[] = { { .name = "elf_image_test_marker" }, { .name = "main" } };
	struct ma_dwarf_query q[] = { { "elf_image_test_typedef", "inner[1].second[2]", 0, 0 },
				      { "struct nothing_of_this_name", NULL, 0, 0 } };
	ma_elf_build_id(e, id);
	ma_elf_section(e, ".data", &a, &b);
	ma_error_free(ma_elf_find_symbols(e, s, 2));
	ma_error_free(ma_elf_read(e, s[0].vaddr, buf, sizeof(buf)));
	ma_error_free(ma_dwarf_resolve(e, q, 2, &any));
	ma_elf_close(e);
}

Test(elf_image, truncated_anywhere, .timeout = 60)
{
	unsigned char *bytes;
	size_t count;
	int fd = copy_self(&bytes, &count);
	for (size_t keep = count; keep > 0; keep = keep > 4096 ? keep * 9 / 10 : keep > 64 ? keep - 61 : keep - 1) {
		cr_assert_eq(ftruncate(fd, (off_t)keep), 0);
		ask_everything(fd);
	}
	ask_everything(fd);
	close(fd);
	free(bytes);
}

/* Headers and sections overwritten with noise, from a fixed seed. */
Test(elf_image, noise, .timeout = 100)
{
	unsigned char *bytes;
	size_t count;
	int fd = copy_self(&bytes, &count);
	unsigned long seed = 88172645463325252ul;
	for (unsigned round = 0; round < 300; round++) {
		cr_assert_eq(pwrite(fd, bytes, count, 0), (ssize_t)count);
		for (unsigned k = 0; k < 40; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			/* a third in the ELF header and program headers, a third in the section table, a third anywhere
			 */
			size_t span = k % 3 == 0 ? 1024 : k % 3 == 1 ? 4096 : count;
			size_t at = seed % (span < count ? span : count);
			if (k % 3 == 1)
				at = count - 1 - at;
			if (at < 20 && round % 8)
				continue; /* the magic: mostly left alone */
			unsigned char noise = (unsigned char)(seed >> 32);
			cr_assert_eq(pwrite(fd, &noise, 1, (off_t)at), 1);
		}
		ask_everything(fd);
	}
	close(fd);
	free(bytes);
}

Test(elf_image, not_elf)
{
	struct ma_elf *e;
	int fd = open("/proc/self/cmdline", O_RDONLY);
	assert_error(ma_elf_open(fd, &e), MA_ERR_BAD_DATA, "not an ELF image");
	close(fd);
	fd = open("/", O_RDONLY);
	assert_error(ma_elf_open(fd, &e), MA_ERR_BAD_DATA, "not a regular file");
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	assert_error(ma_elf_open(fd, &e), MA_ERR_BAD_DATA, "not a regular file");
	close(fd);
}

Test(elf_image, other_machines)
{
	unsigned char *bytes;
	size_t count;
	int fd = copy_self(&bytes, &count);
	struct ma_elf *e;
	unsigned char machine = 3, class = 1;
	cr_assert_eq(pwrite(fd, &machine, 1, 18), 1);
	assert_error(ma_elf_open(fd, &e), MA_ERR_UNSUPPORTED, "another machine");
	cr_assert_eq(pwrite(fd, bytes, 64, 0), 64);
	cr_assert_eq(pwrite(fd, &class, 1, 4), 1);
	struct ma_error *err = ma_elf_open(fd, &e);
	cr_expect_not_null(err);
	ma_error_free(err);
	close(fd);
	free(bytes);
}

Test(elf_image, debug_file_by_build_id)
{
	char dir[] = "/tmp/elf-image-test-XXXXXX", path[512], id[MA_BUILD_ID_CHARS], command[1200];
	cr_assert_not_null(mkdtemp(dir));
	struct ma_elf *e = open_path("/proc/self/exe"), *debug;
	ma_elf_build_id(e, id);
	ma_elf_close(e);
	if (!id[0])
		cr_skip_test("built without a build-id");
	int root = open(dir, O_PATH | O_DIRECTORY);
	assert_ok(ma_elf_open_debug_file(root, id, &debug));
	cr_expect_null(debug);
	snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%.2s", dir, id);
	snprintf(command, sizeof(command), "mkdir -p %s && cp /proc/%d/exe %s/%s.debug", path, getpid(), path, id + 2);
	cr_assert_eq(system(command), 0);
	assert_ok(ma_elf_open_debug_file(root, id, &debug));
	cr_assert_not_null(debug);
	ma_elf_close(debug);
	/* another file under that name is not taken */
	snprintf(command, sizeof(command), "cp /bin/true %s/%s.debug", path, id + 2);
	cr_assert_eq(system(command), 0);
	assert_ok(ma_elf_open_debug_file(root, id, &debug));
	cr_expect_null(debug);
	assert_ok(ma_elf_open_debug_file(root, "", &debug));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
	close(root);
}
