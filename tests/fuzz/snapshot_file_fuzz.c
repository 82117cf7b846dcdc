// SPDX-License-Identifier: Apache-2.0
/* The input is a file. */
#include "fuzz.h"
#include "snapshot_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	snap_bytes_exercise(data, size);
	return 0;
}
