// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* The writer when things go wrong: places that can not be written, a full disk, compression that falls behind. */
#include "snapshot_builder.h"
#include "snapshot_bytes.h"
#include "writer_queue.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static char dir[64], path[80];

static void setup(void)
{
	strcpy(dir, "/tmp/ma-writer-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
}

static unsigned files_in(const char *d)
{
	unsigned n = 0;
	DIR *h = opendir(d);
	cr_assert(h);
	for (struct dirent *e; (e = readdir(h));)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(h);
	return n;
}

static void teardown(void)
{
	unlink(path);
	cr_expect_eq(files_in(dir), 0, "something is left beside the snapshot");
	rmdir(dir);
}

TestSuite(writer, .init = setup, .fini = teardown);

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static void is_error(struct ma_error *err, enum ma_error_code code, int errnum, const char *part)
{
	cr_assert_not_null(err);
	cr_assert_eq(err->code, code, "code %d: %s", err->code, err->message);
	cr_assert_eq(err->errnum, errnum, "errno %d: %s", err->errnum, err->message);
	cr_assert_not_null(strstr(err->message, part), "%s", err->message);
	ma_error_free(err);
}

/* Bytes that do not shrink; with `half` every second 4 KiB do. */
static uint8_t noise[MA_BLOCK_PAYLOAD];
static bool half;

static void fill(unsigned seed)
{
	uint64_t x = 88172645463325252u + seed;
	for (size_t i = 0; i + 8 <= sizeof(noise); i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(noise + i, &x, 8);
	}
	for (size_t i = 0; half && i + 4096 <= sizeof(noise); i += 8192)
		memset(noise + i, 0, 4096);
}

static struct ma_error *noise_block(struct ma_snap_writer *w, unsigned seed)
{
	struct ma_block_hdr hdr = { .kind = MA_BLOCK_OBJECTS, .bytes = MA_BLOCK_PAYLOAD, .records = seed };
	fill(seed);
	return ma_snap_writer_block(w, &hdr, noise);
}

/* Every block that went in is there, byte by byte, whatever way its chunk took. */
static void verify_noise(const char *file, unsigned blocks)
{
	size_t len, offs[512];
	uint8_t *bytes = snap_bytes_read(file, &len);
	size_t n = snap_bytes_chunks(bytes, len, offs, 512);
	static bool seen[512];
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	memset(seen, 0, sizeof(seen));
	cr_assert_eq(n, blocks);
	for (size_t i = 0; i < n; i++) {
		struct ma_chunk_hdr h;
		memcpy(&h, bytes + offs[i], sizeof(h));
		cr_assert_eq(h.checksum, ma_chunk_sum(&h, bytes + offs[i] + sizeof(h)));
		cr_assert_eq(h.records, h.seq, "the order of the blocks is the order of the numbers");
		cr_assert_eq(h.codec, half ? MA_CODEC_ZSTD : MA_CODEC_NONE);
		cr_assert_not(seen[h.seq]);
		seen[h.seq] = true;
		fill(h.seq);
		static uint8_t raw[MA_CHUNK_RAW_MAX];
		cr_assert(ma_chunk_unpack(dctx, &h, bytes + offs[i] + sizeof(h), raw));
		cr_assert_arr_eq(raw + sizeof(struct ma_block_hdr), noise, sizeof(noise));
	}
	ZSTD_freeDCtx(dctx);
	free(bytes);
	struct ma_snap *s;
	ok(ma_snap_open(file, &s));
	cr_assert(ma_snap_tables(s)->complete, "%s", ma_snap_tables(s)->missing);
	cr_assert_eq(ma_snap_tables(s)->chunks, blocks);
	ma_snap_close(s);
}

Test(writer, unwritable_places)
{
	struct ma_snap_writer *w = NULL;
	char long_name[400];
	is_error(ma_snap_writer_create("/nonexistent/dir/s", NULL, &w), MA_ERR_OS, ENOENT, "/nonexistent/dir/s");
	is_error(ma_snap_writer_create("/dev/null/s", NULL, &w), MA_ERR_OS, ENOTDIR, "/dev/null/s");
	is_error(ma_snap_writer_create("/proc/s", NULL, &w), MA_ERR_OS, ENOENT, "/proc/s");
	is_error(ma_snap_writer_create(dir, NULL, &w), MA_ERR_USAGE, 0, "not a regular file");
	is_error(ma_snap_writer_create("/dev/null", NULL, &w), MA_ERR_USAGE, 0, "not a regular file");
	is_error(ma_snap_writer_create("", NULL, &w), MA_ERR_USAGE, 0, "names no file");
	is_error(ma_snap_writer_create("/tmp/", NULL, &w), MA_ERR_USAGE, 0, "names no file");
	snprintf(long_name, sizeof(long_name), "%s/%0*d", dir, 250, 1);
	is_error(ma_snap_writer_create(long_name, NULL, &w), MA_ERR_OS, ENAMETOOLONG, dir);
	cr_assert_null(w);
	struct stat st;
	cr_assert_eq(stat("/dev/null", &st), 0);
	cr_assert(S_ISCHR(st.st_mode));
}

Test(writer, read_only_directory)
{
	struct ma_snap_writer *w = NULL;
	if (geteuid() == 0 && (setegid(65534) || seteuid(65534)))
		cr_skip("can not become another user");
	is_error(ma_snap_writer_create("/etc/s", NULL, &w), MA_ERR_OS, EACCES, "/etc/s: Permission denied");
	if (getuid() == 0)
		cr_assert(seteuid(0) == 0 && setegid(0) == 0);
}

Test(writer, nothing_stands_under_the_name_before_commit)
{
	struct ma_snap_writer *w;
	struct stat st;
	ok(ma_snap_writer_create(path, NULL, &w));
	ok(noise_block(w, 0));
	cr_assert_neq(access(path, F_OK), 0);
	DIR *h = opendir(dir);
	for (struct dirent *e; (e = readdir(h));) {
		if (e->d_name[0] == '.')
			continue;
		cr_assert_eq(strncmp(e->d_name, "s.tmp-", 6), 0, "%s", e->d_name);
		cr_assert_eq(fstatat(dirfd(h), e->d_name, &st, 0), 0);
		cr_assert_eq(st.st_mode & 07777, 0600);
	}
	closedir(h);
	cr_assert_eq(files_in(dir), 1);
	ok(ma_snap_writer_commit(w, NULL));
	cr_assert_eq(files_in(dir), 1);
	ma_snap_writer_destroy(w);
	verify_noise(path, 1);
}

Test(writer, blocks_that_can_not_be)
{
	static const struct ma_block_hdr bad[] = {
		{ .kind = 0 },
		{ .kind = 99 },
		{ .kind = MA_CHUNK_INDEX },
		{ .kind = MA_BLOCK_TYPES, .bytes = MA_BLOCK_PAYLOAD + 1 },
		{ .kind = MA_BLOCK_TYPES, .bytes = UINT32_MAX },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ma_snap_writer *w;
		ok(ma_snap_writer_create(path, NULL, &w));
		is_error(ma_snap_writer_block(w, &bad[i], noise), MA_ERR_BAD_DATA, 0, "can not be in a snapshot");
		/* what failed once does not become a file */
		is_error(noise_block(w, 0), MA_ERR_USAGE, 0, "has failed");
		is_error(ma_snap_writer_commit(w, NULL), MA_ERR_USAGE, 0, "has failed");
		ma_snap_writer_destroy(w);
		cr_assert_neq(access(path, F_OK), 0);
	}
}

/* A backlog of one byte: all but the chunk in work goes through the spill and comes back. */
Test(writer, spill)
{
	/* a level so slow that the threads can not keep up */
	struct ma_write_queue_options opt = { .zstd_level = 15, .backlog_bytes = 1, .path = path };
	struct ma_write_queue *q;
	size_t rows;
	uint64_t end;
	opt.fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_geq(opt.fd, 0);
	ok(ma_write_queue_create(&opt, &q));
	for (unsigned i = 0; i < 50; i++) {
		struct ma_chunk *c = ma_write_queue_get(q);
		c->kind = MA_BLOCK_OBJECTS;
		c->records = i;
		c->bytes = MA_BLOCK_PAYLOAD;
		fill(i);
		memcpy(c->data, noise, sizeof(noise));
		ok(ma_write_queue_put(q, c));
	}
	ok(ma_write_queue_finish(q));
	cr_assert_gt(ma_write_queue_spilled(q), 10, "%lu", (unsigned long)ma_write_queue_spilled(q));
	const struct ma_index_row *row = ma_write_queue_index(q, &rows, &end);
	cr_assert_eq(rows, 50);
	for (unsigned i = 0; i < rows; i++) {
		cr_assert_eq(row[i].seq, i);
		cr_assert_eq(row[i].records, i);
		static uint8_t back[MA_BLOCK_PAYLOAD];
		cr_assert_eq(pread(opt.fd, back, sizeof(back), (off_t)(row[i].off + sizeof(struct ma_chunk_hdr))),
			     (ssize_t)sizeof(back));
		fill(i);
		cr_assert_arr_eq(back, noise, sizeof(noise));
	}
	ma_write_queue_destroy(q);
	close(opt.fd);
}

Test(writer, destroy_with_work_left)
{
	for (unsigned i = 0; i < 20; i++) {
		struct ma_snap_writer *w;
		ok(ma_snap_writer_create(path, &(struct ma_snap_writer_options){ .threads = 3, .backlog_bytes = i },
					 &w));
		for (unsigned k = 0; k < i; k++)
			ok(noise_block(w, k));
		ma_snap_writer_destroy(w);
		cr_assert_eq(files_in(dir), 0);
	}
}

/* A small disk of our own; NULL when this user may not mount one. */
static const char *small_disk(const char *options)
{
	static char at[80];
	snprintf(at, sizeof(at), "%s/disk", dir);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return NULL;
	cr_assert_eq(mkdir(at, 0700), 0);
	if (mount("tmpfs", at, "tmpfs", 0, options) == 0)
		return at;
	rmdir(at);
	return NULL;
}

static void remove_disk(const char *disk)
{
	cr_assert_eq(files_in(disk), 0, "something is left on the full disk");
	cr_assert_eq(umount(disk), 0);
	cr_assert_eq(rmdir(disk), 0);
}

static struct ma_error *write_noise(const char *file, const struct ma_snap_writer_options *opt, unsigned blocks)
{
	struct ma_snap_writer *w;
	struct ma_error *err = ma_snap_writer_create(file, opt, &w);
	if (err)
		return err;
	for (unsigned i = 0; i < blocks && !err; i++)
		err = noise_block(w, i);
	if (!err)
		err = ma_snap_writer_commit(w, NULL);
	ma_snap_writer_destroy(w);
	return err;
}

Test(writer, disk_full)
{
	const char *disk = small_disk("size=2m");
	if (!disk)
		cr_skip("no right to mount a tmpfs");
	char file[120];
	snprintf(file, sizeof(file), "%s/s", disk);
	for (unsigned i = 0; i < 3; i++) {
		struct ma_snap_writer_options opt = { .backlog_bytes = i == 2 ? 1 : 0, .threads = i };
		is_error(write_noise(file, &opt, 100), MA_ERR_OS, ENOSPC, file);
		cr_assert_eq(files_in(disk), 0);
	}
	/* the same place still takes what fits */
	ok(write_noise(file, NULL, 6));
	verify_noise(file, 6);
	unlink(file);
	remove_disk(disk);
}

/* The disk has room for the file but not for the spill: the spill fills it while a chunk is still to be written, and
 * nothing is lost. 1481 pages: one of the file, 23 chunks of 64 pages in the spill, and 8, too few for the chunk in
 * work. With chunks that shrink, and with chunks that do not. */
Test(writer, no_room_for_the_spill)
{
	const char *disk = small_disk("size=5924k");
	if (!disk)
		cr_skip("no right to mount a tmpfs");
	char file[120];
	snprintf(file, sizeof(file), "%s/s", disk);
	for (unsigned i = 0; i < 6; i++) {
		half = i < 4;
		unsigned blocks = half ? 40 : 22;
		struct ma_snap_writer_options opt = { .zstd_level = i % 2 ? 1 : 12,
						      .backlog_bytes = 1,
						      .threads = 1 + i % 3 };
		ok(write_noise(file, &opt, blocks));
		verify_noise(file, blocks);
		unlink(file);
	}
	remove_disk(disk);
}

Test(writer, file_size_limit)
{
	struct rlimit was, small = { 1 << 20, 1 << 20 };
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small.rlim_max = was.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct ma_error *err = write_noise(path, NULL, 50);
	setrlimit(RLIMIT_FSIZE, &was);
	is_error(err, MA_ERR_OS, EFBIG, path);
	cr_assert_neq(access(path, F_OK), 0);
}

/* No thread may be had: the caller compresses. */
Test(writer, without_threads)
{
	struct rlimit was, none = { 0, 0 };
	if (geteuid() == 0 && (setegid(65534) || seteuid(65534)))
		cr_skip("can not become another user");
	char open_dir[] = "/tmp/ma-nothread-XXXXXX", file[64];
	cr_assert(mkdtemp(open_dir));
	snprintf(file, sizeof(file), "%s/s", open_dir);
	if (setresuid(65534, 65534, getuid() == 0 ? 0 : -1) != 0)
		cr_skip("can not become another user");
	getrlimit(RLIMIT_NPROC, &was);
	none.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_NPROC, &none);
	struct ma_error *err = write_noise(file, &(struct ma_snap_writer_options){ .backlog_bytes = 1 }, 20);
	setrlimit(RLIMIT_NPROC, &was);
	ok(err);
	verify_noise(file, 20);
	unlink(file);
	rmdir(open_dir);
	cr_assert_eq(setresuid(0, 0, 0), 0);
}
