// SPDX-License-Identifier: Apache-2.0
#include "edge_name.h"

#include "value_text.h"

#include <inttypes.h>

struct ma_str ma_snap_name(const struct ma_snap *s, uint32_t id)
{
	const struct ma_snap_tables *tab = ma_snap_tables(s);
	if (id == 0 || id > tab->names_count || !tab->names[id - 1].p)
		return (struct ma_str){ "", 0 };
	return tab->names[id - 1];
}

void ma_edge_name(struct ma_buf *b, const struct ma_snap *s, const struct ma_snap_edge *e, const char *key_type,
		  const struct ma_snap_value *key)
{
	struct ma_str name;
	switch (e->kind) {
	case MA_EDGE_NEXT:
	case MA_EDGE_AT:
		ma_buf_printf(b, "[%" PRIu64 "]", e->index);
		break;
	case MA_EDGE_NAMED:
	case MA_EDGE_BORROWED:
		name = ma_snap_name(s, e->name_id);
		if (name.len)
			ma_buf_str(b, ".");
		else if (e->kind == MA_EDGE_BORROWED)
			ma_buf_str(b, "<borrowed>");
		ma_buf_add(b, name.p, name.len);
		break;
	case MA_EDGE_KEY:
		ma_buf_str(b, "<key>");
		break;
	case MA_EDGE_VALUE:
		ma_buf_u8(b, '[');
		ma_value_key(b, key_type ? key_type : "key", key);
		ma_buf_u8(b, ']');
		break;
	case MA_EDGE_GUESSED:
		ma_buf_str(b, "<guessed>");
		break;
	case MA_EDGE_PLAIN:
		break;
	}
}
