// SPDX-License-Identifier: Apache-2.0
/* The input is a row of blocks: kind (1 byte), records (1), bytes of payload (2, little-endian), payload. They become
 * a file with right checksums, so that the parsers behind the checksums see them. */
#include "fuzz.h"
#include "snapshot_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 << 20);
	uint32_t seq = 0;
	snap_put_header(&b);
	while (size >= 4) {
		size_t bytes = (size_t)data[2] | (size_t)data[3] << 8;
		if (bytes > size - 4)
			bytes = size - 4;
		/* the top bit makes a gap, as a lost chunk would */
		seq += data[0] >> 7;
		snap_put_block(&b, seq++, data[0] & 0x0f, data[1], data + 4, (uint32_t)bytes);
		data += 4 + bytes;
		size -= 4 + bytes;
	}
	if (!b.failed)
		snap_bytes_exercise(b.data, b.len);
	return 0;
}
