// SPDX-License-Identifier: Apache-2.0
/* native.h - objects of extensions, and the data of libraries. */
#ifndef MAA_NATIVE_H
#define MAA_NATIVE_H

#include "visit.h"

/* In struct maa_type.native: libraries whose C++ or C structures are known. */
enum maa_native {
	MAA_NATIVE_NONE,
	MAA_ARROW_TABLE,
	MAA_ARROW_BATCH,
	MAA_ARROW_CHUNKED,
	MAA_ARROW_ARRAY,
	MAA_ARROW_BUFFER,
	MAA_PANDAS_TABLE
};

MAA_INLINE int maa_text_starts(addr_t p, const char *text)
{
	while (*text)
		if (rd8(p++) != (uint8_t)*text++)
			return 0;
	return 1;
}

int maa_native_once(struct maa *m, addr_t a);
/* arrow.c: true when all memory of the object is told. */
int maa_visit_arrow(struct maa *m, addr_t a, const struct maa_type *t);

#endif
