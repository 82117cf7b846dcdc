// link: ma_stream ma_base
// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct bytes {
	const uint8_t *data;
	size_t count, at, most; /* most: bytes that one read gives */
};

static struct ma_error *read_bytes(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	struct bytes *b = arg;
	size_t n = b->count - b->at;
	(void)timeout_ms;
	n = n < b->most ? n : b->most;
	n = n < bytes ? n : bytes;
	memcpy(data, b->data + b->at, n);
	b->at += n;
	*got_ret = n;
	return NULL;
}

static struct ma_error *append(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	(void)timeout_ms;
	ma_buf_add(arg, data, bytes);
	return ma_buf_error(arg);
}

Test(frame, arrives_in_any_pieces)
{
	for (size_t most = 1; most < 20; most++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
		const struct ma_stream out = { &b, NULL, append };
		cr_assert_null(ma_frame_send(&out, MA_FRAME_DATA, "hello", 5, 0));
		cr_assert_null(ma_frame_send(&out, MA_FRAME_DONE, NULL, 0, 0));
		struct bytes bytes = { (uint8_t *)b.data, b.len, 0, most };
		const struct ma_stream in = { &bytes, read_bytes, NULL };
		struct ma_frame_reader r;
		bool ended = true;
		cr_assert_null(ma_frame_reader_init(&r));
		cr_assert_null(ma_frame_receive(&in, &r, 0, &ended));
		cr_assert(!ended && r.kind == MA_FRAME_DATA && r.bytes == 5 && !memcmp(r.payload, "hello", 5));
		cr_assert_null(ma_frame_receive(&in, &r, 0, &ended));
		cr_assert(!ended && r.kind == MA_FRAME_DONE && r.bytes == 0);
		cr_assert_null(ma_frame_receive(&in, &r, 0, &ended));
		cr_assert(ended);
		ma_frame_reader_deinit(&r);
	}
}

/* What was read before nothing came for a while is not lost. */
Test(frame, goes_on_after_a_timeout)
{
	int fds[2];
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	struct ma_fd_stream pair = { fds[0], fds[1] };
	const struct ma_stream s = ma_fd_stream(&pair);
	static const uint8_t whole[] = { 3, 0, 0, 0, 34, 0, 0, 0, 'a', 'b', 'c' };
	struct ma_frame_reader r;
	bool ended = true;
	cr_assert_null(ma_frame_reader_init(&r));
	for (size_t i = 0; i < sizeof(whole); i++) {
		_cleanup_error_ struct ma_error *err = ma_frame_receive(&s, &r, 0, &ended);
		cr_assert(err && err->code == MA_ERR_TIMEOUT);
		cr_assert_eq(write(fds[1], whole + i, 1), 1);
	}
	cr_assert_null(ma_frame_receive(&s, &r, 0, &ended));
	cr_assert(!ended && r.kind == MA_FRAME_DATA && !memcmp(r.payload, "abc", 3));
	ma_frame_reader_deinit(&r);
	close(fds[0]);
	close(fds[1]);
}

Test(frame, a_pipe_that_nobody_reads_times_out)
{
	int fds[2];
	static char much[1 << 20];
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	struct ma_fd_stream pair = { fds[0], fds[1] };
	const struct ma_stream s = ma_fd_stream(&pair);
	_cleanup_error_ struct ma_error *err = ma_frame_send(&s, MA_FRAME_DATA, much, sizeof(much), 10);
	cr_assert(err && err->code == MA_ERR_TIMEOUT);
	close(fds[0]);
	close(fds[1]);
}

Test(message, carries_what_was_put_in)
{
	char note[] = "a note", text[] = "pid 5: gone";
	const struct ma_snapshot_request sent = { .pid = 4242,
						  .threads_only = true,
						  .values = 2,
						  .values_limit = 7,
						  .key = { 1, 2 },
						  .note = note,
						  .rate = 1ull << 40 };
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	struct ma_snapshot_request got = { 0 };
	ma_record_put(&b, ma_snapshot_request_fields, ma_snapshot_request_count, &sent);
	cr_assert_null(ma_record_get(b.data, b.len, ma_snapshot_request_fields, ma_snapshot_request_count, &got));
	cr_assert(got.pid == 4242 && got.threads_only && !got.native && got.values == 2 && got.values_limit == 7);
	cr_assert(got.rate == 1ull << 40 && !strcmp(got.note, note) && !memcmp(got.key, sent.key, sizeof(got.key)));
	ma_record_free(ma_snapshot_request_fields, ma_snapshot_request_count, &got);

	struct ma_error err = { MA_ERR_TARGET_GONE, 3, text };
	_cleanup_buf_ struct ma_buf frame = MA_BUF_INIT(1 << 16);
	const struct ma_stream out = { &frame, NULL, append };
	cr_assert_null(ma_error_send(&out, &err, 0));
	struct ma_frame_reader r = { .bytes = (uint32_t)(frame.len - MA_FRAME_HDR),
				     .payload = (uint8_t *)frame.data + MA_FRAME_HDR };
	_cleanup_error_ struct ma_error *back = ma_error_of_frame(&r);
	cr_assert(back->code == MA_ERR_TARGET_GONE && back->errnum == 3 && !strcmp(back->message, text));
}
