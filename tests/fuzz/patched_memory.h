// SPDX-License-Identifier: Apache-2.0
/* patched_memory.h - the memory of a process that is none: sound bytes, which the input of a fuzzer changes word by
 * word. process_vm_readv(), defined here, reads it. */
#ifndef MA_FUZZ_PATCHED_MEMORY_H
#define MA_FUZZ_PATCHED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Memory at [start, start + bytes) is `data`, which stays the caller's. */
void patched_memory_add(uint64_t start, uint8_t *data, size_t bytes);
void patched_memory_clear(void);
/* The input: changes of a word, each 3 bytes that say which one (counted through all ranges), then 8 of the new value;
 * a value whose highest byte is 0xee is an address: its low 4 bytes behind the start of the first range. */
void patched_memory_change(const uint8_t *input, size_t size);
/* As it was. */
void patched_memory_restore(void);

#endif
