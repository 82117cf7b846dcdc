// SPDX-License-Identifier: Apache-2.0
/* natives.c - the part of the tables that comes from the tool alone: native stacks, and the state of interpreters. */
#include "cleanup.h"
#include "snap.h"
#include "varint.h"

struct ma_error *ma_snap_string(struct ma_snap *s, struct ma_cursor *c, struct ma_str *ret)
{
	uint64_t len = ma_cursor_varint(c);
	const uint8_t *p = ma_cursor_take(c, len);
	const char *copy = ma_snap_text(s, p, p ? (size_t)len : 0);
	if (!copy)
		return &ma_enomem;
	*ret = (struct ma_str){ copy, p ? (uint32_t)len : 0 };
	return NULL;
}

static struct ma_error *text(struct ma_snap *s, struct ma_cursor *c, const char **ret)
{
	struct ma_str str;
	MA_TRY(ma_snap_string(s, c, &str));
	*ret = str.p;
	return NULL;
}

struct ma_error *ma_snap_native_record(struct ma_snap *s, struct ma_cursor *c, bool first)
{
	uint64_t kind = ma_cursor_varint(c);
	struct ma_snap_native *last =
		s->natives.count ? (struct ma_snap_native *)s->natives.data + s->natives.count - 1 : NULL;
	if (kind == MA_NAT_THREAD) {
		struct ma_snap_native *row, r = { 0 };
		r.tid = ma_cursor_varint(c);
		r.fs_base = ma_cursor_varint(c);
		r.cut = ma_cursor_varint(c) & MA_NT_CUT;
		if (c->bad)
			return NULL;
		if (last && last->tid == r.tid) { /* it goes on in another block */
			last->cut |= r.cut;
			return NULL;
		}
		r.frames_begin = r.frames_end = (uint32_t)s->native_frames.count;
		MA_TRY(ma_vec_add(&s->natives, sizeof(*row), MA_ROWS_MAX, (void **)&row));
		*row = r;
	} else if (kind == MA_NAT_FRAME && last && !first) {
		struct ma_snap_native_frame *row, r = { 0 };
		r.pc = ma_cursor_varint(c);
		r.sp = ma_cursor_varint(c);
		r.flags = (uint32_t)ma_cursor_varint(c);
		MA_TRY(text(s, c, &r.function));
		MA_TRY(text(s, c, &r.module));
		MA_TRY(text(s, c, &r.file));
		r.line = (uint32_t)ma_cursor_varint(c);
		if (c->bad)
			return NULL;
		MA_TRY(ma_vec_add(&s->native_frames, sizeof(*row), MA_ROWS_MAX, (void **)&row));
		*row = r;
		last->frames_end = (uint32_t)s->native_frames.count;
	} else {
		c->bad = true;
	}
	return NULL;
}

/* What the tool says of each interpreter, to what the agent says. */
void ma_snap_join_interps(struct ma_snap *s)
{
	struct ma_snap_interp *v = s->interps.data;
	const struct ma_snap_interp_state *states = s->interp_states.data;
	for (size_t i = 0; i < s->interps.count && i < MA_INTERPS_MAX; i++) {
		v[i].consistency = s->tables.meta.consistency;
		for (size_t k = 0; k < s->interp_states.count; k++)
			if (states[k].id == v[i].id) {
				v[i].own_gil = states[k].own_gil != 0;
				v[i].consistency = states[k].consistency;
				break;
			}
	}
}
