// SPDX-License-Identifier: Apache-2.0
/* blob.c - the linked agent inside the library. Its size and entry were checked by tools/check_agent.py. */
#include "agent_blob.h" /* AGENT_BLOB_FILE, AGENT_BLOB_BYTES, AGENT_BLOB_ENTRY */
#include <memattach/agent.h>

__asm__(".section .rodata\n"
	".balign 4096\n"
	".local ma_agent_blob_bytes\n"
	"ma_agent_blob_bytes:\n"
	".incbin \"" AGENT_BLOB_FILE "\"\n"
	".previous\n");

extern const unsigned char ma_agent_blob_bytes[] __attribute__((visibility("hidden")));

static const struct ma_agent_blob blob = { ma_agent_blob_bytes, AGENT_BLOB_BYTES, AGENT_BLOB_ENTRY };

const struct ma_agent_blob *ma_agent_blob_get(void)
{
	return &blob;
}
