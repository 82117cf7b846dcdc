// SPDX-License-Identifier: Apache-2.0
/* Blocks in a file with right checksums (snap_put_input()), so that the parsers behind the checksums see them. */
#include "fuzz.h"
#include "snapshot_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 << 20);
	snap_put_input(&b, data, size);
	if (!b.failed)
		snap_bytes_exercise(b.data, b.len);
	return 0;
}
