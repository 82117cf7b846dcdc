// SPDX-License-Identifier: Apache-2.0
#include "messages.h"

#include "cleanup.h"

#include <memattach/wire.h>
#include <string.h>
#include <sys/utsname.h>

#define MESSAGE_MAX (1u << 18)

#define FIELD(tag, type, record, name)                              \
	{                                                           \
		tag, MA_FIELD_##type, offsetof(struct record, name) \
	}
#define COUNT(name) const size_t name##_count = MA_ARRAY_SIZE(name##_fields)

const struct ma_field ma_hello_fields[] = {
	FIELD(1, U64, ma_hello, magic),    FIELD(2, U32, ma_hello, protocol), FIELD(3, U32, ma_hello, wire),
	FIELD(4, TEXT, ma_hello, version), FIELD(5, TEXT, ma_hello, arch),
};
COUNT(ma_hello);

const struct ma_field ma_snapshot_request_fields[] = {
	FIELD(1, PID, ma_snapshot_request, pid),
	FIELD(2, BOOL, ma_snapshot_request, threads_only),
	FIELD(3, BOOL, ma_snapshot_request, native),
	FIELD(4, U32, ma_snapshot_request, values),
	FIELD(5, U32, ma_snapshot_request, values_limit),
	FIELD(6, KEY, ma_snapshot_request, key),
	FIELD(7, TEXT, ma_snapshot_request, note),
	FIELD(8, U64, ma_snapshot_request, max_pause_ns),
	FIELD(9, U64, ma_snapshot_request, stop_timeout_ns),
	FIELD(10, U64, ma_snapshot_request, safe_timeout_ns),
	FIELD(11, U64, ma_snapshot_request, walk_timeout_ns),
	FIELD(12, U32, ma_snapshot_request, zstd_level),
	FIELD(13, U64, ma_snapshot_request, rate),
	FIELD(14, KEY, ma_snapshot_request, resume),
	FIELD(15, U32, ma_snapshot_request, keep_s),
	FIELD(16, BOOL, ma_snapshot_request, raw_live),
};
COUNT(ma_snapshot_request);

const struct ma_field ma_resume_request_fields[] = {
	FIELD(1, KEY, ma_resume_request, key),
	FIELD(2, U64, ma_resume_request, offset),
	FIELD(3, U64, ma_resume_request, rate),
};
COUNT(ma_resume_request);

const struct ma_field ma_snapshot_done_fields[] = {
	FIELD(1, U64, ma_snapshot_done, pause_ns),    FIELD(2, U64, ma_snapshot_done, safe_ns),
	FIELD(3, U64, ma_snapshot_done, twin_ns),     FIELD(4, U64, ma_snapshot_done, walk_ns),
	FIELD(5, U64, ma_snapshot_done, total_ns),    FIELD(6, U64, ma_snapshot_done, faults),
	FIELD(7, U64, ma_snapshot_done, file_bytes),  FIELD(8, U32, ma_snapshot_done, attempts),
	FIELD(9, U32, ma_snapshot_done, consistency), FIELD(10, TEXT, ma_snapshot_done, left_behind),
};
COUNT(ma_snapshot_done);

const struct ma_field ma_progress_fields[] = {
	FIELD(1, TEXT, ma_progress_message, phase),       FIELD(2, U64, ma_progress_message, objects),
	FIELD(3, U64, ma_progress_message, edges),        FIELD(4, U64, ma_progress_message, elapsed_ns),
	FIELD(5, U32, ma_progress_message, ring_percent),
};
COUNT(ma_progress);

const struct ma_field ma_list_request_fields[] = {
	FIELD(1, PID, ma_list_request, tree),
	FIELD(2, TEXT, ma_list_request, cgroup),
};
COUNT(ma_list_request);

const struct ma_field ma_process_fields[] = {
	FIELD(1, PID, ma_process, pid),     FIELD(2, U32, ma_process, uid),       FIELD(3, TEXT, ma_process, command),
	FIELD(4, TEXT, ma_process, python), FIELD(5, U64, ma_process, rss_bytes),
};
COUNT(ma_process);

const struct ma_field ma_doctor_fields[] = {
	FIELD(1, PID, ma_doctor, pid),
	FIELD(2, PID, ma_doctor, pid_inside),
	FIELD(3, TEXT, ma_doctor, command),
	FIELD(4, TEXT, ma_doctor, python),
	FIELD(5, TEXT, ma_doctor, build),
	FIELD(6, BOOL, ma_doctor, may_attach),
	FIELD(7, TEXT, ma_doctor, may_attach_text),
	FIELD(8, BOOL, ma_doctor, supported),
	FIELD(9, TEXT, ma_doctor, layouts),
	FIELD(10, U64, ma_doctor, estimate_ns),
	FIELD(11, U64, ma_doctor, small_page_bytes),
	FIELD(12, U64, ma_doctor, huge_page_bytes),
	FIELD(13, U64, ma_doctor, rss_anon),
	FIELD(14, U64, ma_doctor, cgroup_limit),
	FIELD(15, U64, ma_doctor, cgroup_usage),
	FIELD(16, BOOL, ma_doctor, obstacle),
	FIELD(17, TEXT, ma_doctor, in_the_way),
	FIELD(18, DOUBLE, ma_doctor, cpu_quota),
	FIELD(19, TEXT, ma_doctor, note),
	FIELD(20, U32, ma_doctor, threads),
	FIELD(21, U64, ma_doctor, raw_bytes),
	FIELD(22, U64, ma_doctor, raw_saved_ns),
	FIELD(23, BOOL, ma_doctor, left_kept_out),
};
COUNT(ma_doctor);

struct error_message {
	uint32_t code, errnum;
	char *text;
};
static const struct ma_field error_fields[] = {
	FIELD(1, U32, error_message, code),
	FIELD(2, U32, error_message, errnum),
	FIELD(3, TEXT, error_message, text),
};

struct ma_error *ma_message_send(const struct ma_stream *s, enum ma_frame_kind kind, const struct ma_field *fields,
				 size_t count, const void *record, int timeout_ms)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MESSAGE_MAX);
	ma_record_put(&b, fields, count, record);
	MA_TRY(ma_buf_error(&b));
	return ma_frame_send(s, kind, b.data, b.len, timeout_ms);
}

struct ma_error *ma_hello_send(const struct ma_stream *s, int timeout_ms)
{
	struct utsname name;
	char version[] = MA_VERSION;
	struct ma_hello hello = { MA_HELLO_MAGIC, MA_PROTOCOL_VERSION, MA_WIRE_VERSION, version, NULL };
	if (!uname(&name))
		hello.arch = name.machine;
	return ma_message_send(s, MA_FRAME_HELLO, ma_hello_fields, ma_hello_count, &hello, timeout_ms);
}

struct ma_error *ma_hello_check(const struct ma_frame_reader *r, struct ma_hello *ret)
{
	struct ma_hello hello = { 0 };
	struct ma_error *err = NULL;
	if (r->kind != MA_FRAME_HELLO)
		err = ma_errorf(MA_ERR_BAD_DATA, "the other side does not greet: it is no memattach");
	if (!err)
		err = ma_record_get(r->payload, r->bytes, ma_hello_fields, ma_hello_count, &hello);
	if (!err && hello.magic != MA_HELLO_MAGIC)
		err = ma_errorf(MA_ERR_BAD_DATA, "the other side is no memattach");
	if (!err && hello.protocol != MA_PROTOCOL_VERSION)
		err = ma_errorf(MA_ERR_UNSUPPORTED,
				"the other side is memattach %s with version %u of the protocol, this one has %u",
				hello.version ? hello.version : "?", hello.protocol, MA_PROTOCOL_VERSION);
	if (!err && hello.wire != MA_WIRE_VERSION)
		err = ma_errorf(MA_ERR_UNSUPPORTED,
				"the other side is memattach %s with version %u of the records, this one has %u",
				hello.version ? hello.version : "?", hello.wire, MA_WIRE_VERSION);
	if (err) {
		ma_record_free(ma_hello_fields, ma_hello_count, &hello);
		return err;
	}
	*ret = hello;
	return NULL;
}

struct ma_error *ma_error_send(const struct ma_stream *s, const struct ma_error *err, int timeout_ms)
{
	struct error_message m = { (uint32_t)err->code, (uint32_t)err->errnum, err->message };
	return ma_message_send(s, MA_FRAME_ERROR, error_fields, MA_ARRAY_SIZE(error_fields), &m, timeout_ms);
}

struct ma_error *ma_error_of_frame(const struct ma_frame_reader *r)
{
	struct error_message m = { 0 };
	struct ma_error *err = ma_record_get(r->payload, r->bytes, error_fields, MA_ARRAY_SIZE(error_fields), &m);
	if (!err && (m.code < MA_ERR_OS || m.code > MA_ERR_CANCELLED || !m.text))
		err = ma_errorf(MA_ERR_BAD_DATA, "the other side failed without a reason that we know");
	if (!err) {
		err = ma_errorf((enum ma_error_code)m.code, "%s", m.text);
		if (err != &ma_enomem)
			err->errnum = m.errnum < 4096 ? (int)m.errnum : 0;
	}
	ma_record_free(error_fields, MA_ARRAY_SIZE(error_fields), &m);
	return err;
}
