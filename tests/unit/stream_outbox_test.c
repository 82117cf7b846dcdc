// link: ma_stream ma_base
// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "outbox.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A link that takes bytes when it is let. */
struct link {
	pthread_mutex_t lock;
	pthread_cond_t open_now;
	bool open, broken;
	uint8_t got[4 << 20];
	size_t bytes;
};

static struct link gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .open_now = PTHREAD_COND_INITIALIZER };

static struct ma_error *gate_write(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	struct link *l = arg;
	(void)timeout_ms;
	pthread_mutex_lock(&l->lock);
	while (!l->open && !l->broken)
		pthread_cond_wait(&l->open_now, &l->lock);
	struct ma_error *err = l->broken ? ma_errorf(MA_ERR_OS, "cut") : NULL;
	if (!err) {
		cr_assert(l->bytes + bytes <= sizeof(l->got));
		memcpy(l->got + l->bytes, data, bytes);
		l->bytes += bytes;
	}
	pthread_mutex_unlock(&l->lock);
	return err;
}

static void set(bool open, bool broken)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = open;
	gate.broken = broken;
	pthread_cond_broadcast(&gate.open_now);
	pthread_mutex_unlock(&gate.lock);
}

static const struct ma_stream stream = { &gate, NULL, gate_write };
static volatile int no_stop;

static struct ma_outbox *outbox(size_t memory, uint64_t rate, const char *folder)
{
	struct ma_outbox *o;
	const struct ma_outbox_options options = {
		.stream = &stream, .folder = folder, .memory_bytes = memory, .rate = rate, .timeout_ms = 1000
	};
	cr_assert_null(ma_outbox_create(&options, &o));
	return o;
}

static void put(struct ma_outbox *o, uint32_t from, size_t words)
{
	uint32_t *data = malloc(words * 4);
	for (size_t i = 0; i < words; i++)
		data[i] = from + (uint32_t)i;
	cr_assert_null(ma_outbox_put(o, data, words * 4));
	free(data);
}

/* All words from 0 on, in order, in frames of DATA. */
static void check(size_t words)
{
	uint32_t next = 0;
	for (size_t at = 0; at < gate.bytes;) {
		uint32_t length;
		uint16_t kind;
		memcpy(&length, gate.got + at, 4);
		memcpy(&kind, gate.got + at + 4, 2);
		at += MA_FRAME_HDR;
		cr_assert_eq(kind, MA_FRAME_DATA);
		cr_assert(length <= MA_FRAME_DATA_MAX && length % 4 == 0 && at + length <= gate.bytes);
		for (size_t i = 0; i < length; i += 4, next++) {
			uint32_t word;
			memcpy(&word, gate.got + at + i, 4);
			cr_assert_eq(word, next, "word %u is %u", next, word);
		}
		at += length;
	}
	cr_assert_eq(next, words);
}

/* A link that stands still holds up nobody: memory first, then the file, then all in its order. */
Test(outbox, waits_in_memory_then_in_a_file)
{
	struct ma_outbox *o = outbox(256 << 10, 0, "/tmp");
	for (unsigned i = 0; i < 12; i++)
		put(o, i * 32768, 32768); /* 1.5 MB */
	cr_assert(ma_outbox_filed(o) >= 1 << 20, "%lu", (unsigned long)ma_outbox_filed(o));
	set(true, false);
	for (unsigned i = 12; i < 16; i++)
		put(o, i * 32768, 32768);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	ma_outbox_destroy(o);
	check(16 * 32768);
}

/* Without a folder to write in, the walk waits for the link, and nothing is lost. */
static void *let_through(void *arg)
{
	struct timespec moment = { 0, 20000000 };
	nanosleep(&moment, NULL);
	set(true, false);
	return arg;
}

Test(outbox, waits_for_the_link_when_no_room_is_left)
{
	pthread_t thread;
	struct ma_outbox *o = outbox(128 << 10, 0, "/nonexistent");
	cr_assert_eq(pthread_create(&thread, NULL, let_through, NULL), 0);
	for (unsigned i = 0; i < 16; i++)
		put(o, i * 16384, 16384);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	pthread_join(thread, NULL);
	ma_outbox_destroy(o);
	check(16 * 16384);
}

Test(outbox, tells_that_the_link_is_cut)
{
	struct ma_outbox *o = outbox(0, 0, "/tmp");
	put(o, 0, 1000);
	set(false, true);
	_cleanup_error_ struct ma_error *err = ma_outbox_finish(o, &no_stop);
	cr_assert_not_null(err);
	cr_assert_str_eq(err->message, "cut");
	_cleanup_error_ struct ma_error *again = ma_outbox_put(o, "x", 1);
	cr_assert_not_null(again);
	ma_outbox_destroy(o);
}

static struct ma_outbox *keeping(const char *folder, size_t most)
{
	struct ma_outbox *o;
	const struct ma_outbox_options options = {
		.stream = &stream, .folder = folder, .timeout_ms = 1000, .keep = true, .keep_bytes = most
	};
	cr_assert_null(ma_outbox_create(&options, &o));
	return o;
}

/* All words from 0 on are in the file. */
static void check_kept(int fd, size_t words)
{
	uint32_t *data = malloc(words * 4 + 4);
	cr_assert_eq(pread(fd, data, words * 4 + 4, 0), (ssize_t)words * 4);
	for (size_t i = 0; i < words; i++)
		cr_assert_eq(data[i], i);
	free(data);
}

/* What was sent stays, too; and the end of the link ends nothing. */
Test(outbox, keeps_all_when_the_link_is_cut)
{
	struct ma_outbox *o = keeping("/tmp", 0);
	set(true, false);
	put(o, 0, 32768);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	check(32768);
	set(false, true);
	for (unsigned i = 1; i < 8; i++)
		put(o, i * 32768, 32768);
	_cleanup_error_ struct ma_error *err = ma_outbox_finish(o, &no_stop);
	cr_assert_not_null(err);
	struct stat st;
	cr_assert(ma_outbox_is_kept(ma_outbox_kept(o)) && !fstat(ma_outbox_kept(o), &st));
	cr_assert_eq(st.st_mode & 07777, 0600);
	check_kept(ma_outbox_kept(o), 8 * 32768);
	put(o, 8 * 32768, 100);
	check_kept(ma_outbox_kept(o), 8 * 32768 + 100);
	ma_outbox_destroy(o);
}

/* Where nothing can be kept it is as without. */
Test(outbox, keeps_nothing_without_a_file)
{
	struct ma_outbox *o = keeping("/nonexistent", 0);
	cr_assert_eq(ma_outbox_kept(o), -1);
	set(true, false);
	put(o, 0, 32768);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	check(32768);
	set(false, true);
	put(o, 32768, 1);
	_cleanup_error_ struct ma_error *err = ma_outbox_finish(o, &no_stop);
	cr_assert_not_null(err);
	_cleanup_error_ struct ma_error *again = ma_outbox_put(o, "x", 1);
	cr_assert_not_null(again);
	ma_outbox_destroy(o);
}

/* It gives the room back, and goes on as without: nothing is lost. */
static void check_stops_keeping(struct ma_outbox *o)
{
	pthread_t thread;
	cr_assert_geq(ma_outbox_kept(o), 0);
	cr_assert_eq(pthread_create(&thread, NULL, let_through, NULL), 0);
	for (unsigned i = 0; i < 24; i++)
		put(o, i * 32768, 32768); /* 3 MB */
	cr_assert_eq(ma_outbox_kept(o), -1);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	pthread_join(thread, NULL);
	ma_outbox_destroy(o);
	check(24 * 32768);
}

Test(outbox, stops_keeping_when_the_disk_is_full)
{
	const struct rlimit disk = { 1000000, 1000000 };
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &disk), 0);
	check_stops_keeping(keeping("/tmp", 0));
}

Test(outbox, goes_on_when_the_disk_is_full_and_all_was_sent)
{
	const struct rlimit disk = { 0, 0 };
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &disk), 0);
	struct ma_outbox *o = keeping("/tmp", 0);
	set(true, false);
	put(o, 0, 1000);
	cr_assert_eq(ma_outbox_kept(o), -1);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	ma_outbox_destroy(o);
	check(1000);
}

Test(outbox, keeps_no_more_than_it_may)
{
	check_stops_keeping(keeping("/tmp", 1000000));
}

Test(outbox, stops_when_it_is_told_to)
{
	static volatile int stop = 1;
	struct ma_outbox *o = outbox(0, 1, "/tmp"); /* a byte a second */
	set(true, false);
	put(o, 0, 100000);
	_cleanup_error_ struct ma_error *err = ma_outbox_finish(o, &stop);
	cr_assert_eq(err->code, MA_ERR_CANCELLED);
	ma_outbox_destroy(o);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 200 kB at 1 MB/s: what is sent before the first wait is at most a tenth of a second's worth, 65,536 bytes here. */
Test(outbox, keeps_the_rate)
{
	struct ma_outbox *o = outbox(0, 1000000, "/tmp");
	set(true, false);
	double began = now();
	put(o, 0, 50000);
	cr_assert_null(ma_outbox_finish(o, &no_stop));
	double took = now() - began;
	cr_assert(took > 0.1, "%f", took);
	ma_outbox_destroy(o);
	check(50000);
}
