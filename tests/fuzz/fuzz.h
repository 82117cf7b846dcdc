// SPDX-License-Identifier: Apache-2.0
/* fuzz.h - what a fuzz target is: it runs the code under test on any bytes and returns 0. */
#ifndef MA_FUZZ_H
#define MA_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
