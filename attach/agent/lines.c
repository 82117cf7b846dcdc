// SPDX-License-Identifier: Apache-2.0
/* lines.c - from an instruction to its line: three encodings (Objects/lnotab_notes.txt up to 3.10,
 * Objects/locations.md from 3.11 on). */
#include "maa.h"

static int64_t varint6(addr_t *p, addr_t end)
{
	uint64_t v = 0;
	for (unsigned shift = 0; *p < end && shift < 60; shift += 6) {
		uint8_t b = rd8((*p)++);
		v |= (uint64_t)(b & 63) << shift;
		if (!(b & 64))
			break;
	}
	return (int64_t)v;
}

static int line_locations(addr_t p, addr_t end, int line, int64_t instr)
{
	int64_t at = 0;
	while (p < end) {
		uint8_t first = rd8(p++);
		unsigned code = first >> 3 & 15;
		if (code >= 13 && code <= 14) {
			int64_t v = varint6(&p, end);
			line += (int)(v & 1 ? -(v >> 1) : v >> 1);
		} else if (code >= 10 && code <= 12) {
			line += (int)code - 10;
		}
		at += ((first & 7) + 1) * 2;
		if (instr < at)
			return code == 15 ? 0 : line;
		while (p < end && !(rd8(p) & 0x80))
			p++;
	}
	return 0;
}

static int line_table_310(addr_t p, addr_t end, int line, int64_t instr)
{
	for (int64_t at = 0; p + 1 < end; p += 2) {
		int delta = (int8_t)rd8(p + 1);
		at += rd8(p);
		if (delta != -128)
			line += delta;
		if (instr < at)
			return delta == -128 ? 0 : line;
	}
	return 0;
}

static int line_lnotab(addr_t p, addr_t end, int line, int64_t instr)
{
	for (int64_t at = 0; p + 1 < end; p += 2) {
		at += rd8(p);
		if (at > instr)
			break;
		line += (int8_t)rd8(p + 1);
	}
	return line;
}

int maa_code_line(struct maa *m, addr_t code, int64_t instr)
{
	const struct ma_layout *L = m->L;
	int line = rd32(code + (uint64_t)L->code_firstlineno);
	addr_t table = rd64(code + (uint64_t)(L->code_linetable >= 0 ? L->code_linetable : L->code_lnotab));
	if (instr < 0)
		return line;
	if (!table || (table & 7) || !maa_readable(m, table) || rd64(table + OB_TYPE) != m->args->known[MA_KT_BYTES])
		return 0;
	addr_t p = table + (uint64_t)L->bytes_sval;
	uint64_t n = rd64(table + OB_SIZE);
	if (n > 1u << 26)
		return 0;
	int ret = m->minor >= 11   ? line_locations(p, p + n, line, instr)
		  : m->minor == 10 ? line_table_310(p, p + n, line, instr)
				   : line_lnotab(p, p + n, line, instr);
	return ret < 0 ? 0 : ret;
}
