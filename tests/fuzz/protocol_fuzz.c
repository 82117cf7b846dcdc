// SPDX-License-Identifier: Apache-2.0
/* The input is what comes over a link: frames, each read as every message that it may be. */
#include "byte_stream.h"
#include "cleanup.h"
#include "fuzz.h"
#include "messages.h"

#include <string.h>

static void as(const struct ma_frame_reader *r, const struct ma_field *fields, size_t count, void *record, size_t bytes)
{
	memset(record, 0, bytes);
	ma_error_free(ma_record_get(r->payload, r->bytes, fields, count, record));
	ma_record_free(fields, count, record);
}

#define AS(name, type)                                                        \
	do {                                                                  \
		struct type record;                                           \
		as(&r, name##_fields, name##_count, &record, sizeof(record)); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct byte_stream b = { data, size, 0 };
	const struct ma_stream s = { &b, byte_stream_read, NULL };
	struct ma_frame_reader r;
	bool ended = false;
	if (ma_frame_reader_init(&r))
		return 0;
	for (;;) {
		struct ma_hello hello;
		struct ma_error *err = ma_frame_receive(&s, &r, 0, &ended);
		ma_error_free(err);
		if (err || ended)
			break;
		err = ma_hello_check(&r, &hello);
		if (!err)
			ma_record_free(ma_hello_fields, ma_hello_count, &hello);
		ma_error_free(err);
		ma_error_free(ma_error_of_frame(&r));
		AS(ma_snapshot_request, ma_snapshot_request);
		AS(ma_snapshot_done, ma_snapshot_done);
		AS(ma_progress, ma_progress_message);
		AS(ma_list_request, ma_list_request);
		AS(ma_resume_request, ma_resume_request);
		AS(ma_process, ma_process);
		AS(ma_doctor, ma_doctor);
	}
	ma_frame_reader_deinit(&r);
	return 0;
}
