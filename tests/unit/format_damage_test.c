// link: ma_test_support ma_format ma_base
// SPDX-License-Identifier: Apache-2.0
/* Damaged, truncated and foreign files: never a crash, never wrong without saying so. */
#include "snapshot_builder.h"
#include "snapshot_bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static void is_error(struct ma_error *err, enum ma_error_code code, const char *part)
{
	cr_assert_not_null(err);
	cr_assert_eq(err->code, code, "code %d: %s", err->code, err->message);
	cr_assert_not_null(strstr(err->message, part), "%s", err->message);
	ma_error_free(err);
}

/* Opens what must open, though not as complete; returns the objects that are left. */
static uint64_t opens_damaged(const void *bytes, size_t len, const char *part)
{
	struct ma_snap *s;
	uint64_t objects, edges;
	ok(snap_bytes_open(bytes, len, &s));
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_not(t->complete);
	cr_assert_not_null(strstr(t->missing, part), "%s", t->missing);
	ok(snap_walk(s, &objects, &edges));
	ma_snap_close(s);
	is_error(snap_bytes_check(bytes, len, &objects, &edges), MA_ERR_BAD_DATA, part);
	ok(snap_bytes_open(bytes, len, &s));
	ok(snap_walk(s, &objects, &edges));
	ma_snap_close(s);
	return objects;
}

Test(damage, truncated_at_each_byte)
{
	size_t len, offs[64];
	uint8_t *bytes = snap_bytes_sample(20, &len);
	size_t chunks = snap_bytes_chunks(bytes, len, offs, 64);
	cr_assert_geq(chunks, 9);
	for (size_t cut = 0; cut < len; cut++) {
		struct ma_snap *s;
		struct ma_error *err = snap_bytes_open(bytes, cut, &s);
		if (cut < sizeof(struct ma_file_hdr)) {
			is_error(err, MA_ERR_BAD_DATA, cut == 0 ? "empty" : cut < 8 ? "is not a" : "cut off");
			continue;
		}
		ok(err);
		const struct ma_snap_tables *t = ma_snap_tables(s);
		cr_assert_not(t->complete, "cut at %zu", cut);
		cr_assert_not_null(t->missing);
		size_t whole = 0;
		while (whole < chunks && (whole + 1 < chunks ? offs[whole + 1] : SIZE_MAX) <= cut)
			whole++;
		/* the chunk after the last is the index: beyond it all chunks are there */
		struct ma_chunk_hdr last;
		memcpy(&last, bytes + offs[chunks - 1], sizeof(last));
		if (cut >= offs[chunks - 1] + sizeof(last) + last.stored_bytes)
			whole = chunks;
		cr_assert_eq(t->chunks - t->damaged_chunks, whole, "cut at %zu: %zu whole, %lu found", cut, whole,
			     (unsigned long)(t->chunks - t->damaged_chunks));
		if (whole > 0)
			cr_assert_str_eq(t->meta.host, "builder");
		ma_snap_close(s);
		uint64_t o, e;
		is_error(snap_bytes_check(bytes, cut, &o, &e), MA_ERR_BAD_DATA, "");
	}
	free(bytes);
}

Test(damage, each_byte_flipped)
{
	size_t len;
	uint8_t *bytes = snap_bytes_sample(20, &len);
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	for (size_t i = 0; i < len; i++) {
		for (unsigned m = 0; m < sizeof(masks); m++) {
			struct ma_snap *s;
			uint64_t o, e;
			bytes[i] ^= masks[m];
			struct ma_error *err = snap_bytes_open(bytes, len, &s);
			if (err) {
				cr_assert_lt(i, sizeof(struct ma_file_hdr), "byte %zu: %s", i, err->message);
				is_error(err, MA_ERR_BAD_DATA, "");
			} else {
				cr_assert_not(ma_snap_tables(s)->complete, "byte %zu mask %x", i, masks[m]);
				ok(snap_walk(s, &o, &e));
				ma_snap_close(s);
			}
			is_error(snap_bytes_check(bytes, len, &o, &e), MA_ERR_BAD_DATA, "");
			bytes[i] ^= masks[m];
		}
	}
	uint64_t o, e;
	ok(snap_bytes_check(bytes, len, &o, &e));
	free(bytes);
}

/* A value is that of its object or none at all, wherever a file with values is cut or damaged. */
static void values_are_right(const void *bytes, size_t len, enum ma_values mode)
{
	const char *const expected[] = { "", "key",
					 mode == MA_VALUES_ALL ? "caf\xc3\xa9 au lait sans sucre s."
							       : "caf\xc3\xa9 au lait sans su" };
	struct ma_snap *s;
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_value v;
	struct ma_error *err = snap_bytes_open(bytes, len, &s);
	if (err) {
		is_error(err, MA_ERR_BAD_DATA, "");
		return;
	}
	ok(ma_snap_cursor_create(s, &c));
	ok(ma_snap_cursor_values(c));
	while (ma_snap_next_object(c, &o)) {
		size_t i = (o.addr - 0x7f0000010000) / 128;
		if (!ma_snap_value(c, &v) || !v.known || i > 2)
			continue;
		cr_assert_eq(v.length, i == 1 ? 3 : 26);
		cr_assert_eq(v.has_text, mode != MA_VALUES_HASH);
		if (v.has_text)
			cr_assert(v.text_bytes == strlen(expected[i]) && !memcmp(v.text, expected[i], v.text_bytes));
	}
	ok(ma_snap_cursor_error(c));
	ma_snap_cursor_destroy(c);
	ma_snap_close(s);
}

static void damage_values(enum ma_values mode)
{
	char path[64];
	size_t len;
	uint64_t o, e;
	snprintf(path, sizeof(path), "/tmp/format_damage_test-%d.mem", (int)getpid());
	sb_values_sample(path, mode);
	uint8_t *bytes = snap_bytes_read(path, &len);
	unlink(path);
	ok(snap_bytes_check(bytes, len, &o, &e));
	values_are_right(bytes, len, mode);
	for (size_t i = 0; i < len; i++) {
		values_are_right(bytes, i, mode);
		is_error(snap_bytes_check(bytes, i, &o, &e), MA_ERR_BAD_DATA, "");
		bytes[i] ^= 0x41;
		values_are_right(bytes, len, mode);
		is_error(snap_bytes_check(bytes, len, &o, &e), MA_ERR_BAD_DATA, "");
		bytes[i] ^= 0x41;
	}
	free(bytes);
}

Test(damage, values_hash)
{
	damage_values(MA_VALUES_HASH);
}

Test(damage, values_prefix)
{
	damage_values(MA_VALUES_PREFIX);
}

Test(damage, values_all)
{
	damage_values(MA_VALUES_ALL);
}

/* A file with several chunks of objects. */
struct big {
	uint8_t *bytes;
	size_t len, offs[64], count;
	size_t victim; /* a chunk of objects in the middle */
	struct ma_chunk_hdr hdr;
	uint64_t objects;
};

static struct big make_big(void)
{
	struct big b = { 0 };
	uint64_t edges;
	b.bytes = snap_bytes_sample(200000, &b.len);
	b.count = snap_bytes_chunks(b.bytes, b.len, b.offs, 64);
	ok(snap_bytes_check(b.bytes, b.len, &b.objects, &edges));
	cr_assert_eq(b.objects, 200013);
	size_t seen = 0;
	for (b.victim = 0; b.victim < b.count; b.victim++) {
		memcpy(&b.hdr, b.bytes + b.offs[b.victim], sizeof(b.hdr));
		if (b.hdr.kind == MA_BLOCK_OBJECTS && ++seen == 6)
			break;
	}
	cr_assert_lt(b.victim, b.count - 5);
	return b;
}

Test(damage, middle_chunk_costs_itself)
{
	struct big b = make_big();
	char part[64];
	snprintf(part, sizeof(part), "1 of %zu chunks is damaged: %u records of objects", b.count, b.hdr.records);
	uint8_t *chunk = b.bytes + b.offs[b.victim];
	chunk[sizeof(b.hdr) + 10] ^= 4; /* its bytes */
	cr_assert_eq(opens_damaged(b.bytes, b.len, part), b.objects - b.hdr.records);
	chunk[sizeof(b.hdr) + 10] ^= 4;
	chunk[20] ^= 4; /* its header */
	cr_assert_eq(opens_damaged(b.bytes, b.len, part), b.objects - b.hdr.records);
	memset(chunk, 0, sizeof(b.hdr) + b.hdr.stored_bytes); /* all of it */
	cr_assert_eq(opens_damaged(b.bytes, b.len, part), b.objects - b.hdr.records);
	/* the same without index and trailer */
	cr_assert_eq(opens_damaged(b.bytes, b.len - 100, "1 of the"), b.objects - b.hdr.records);
	free(b.bytes);
}

/* Bytes that are missing in the middle cost the chunk they are from, and with a sound header at most the next. */
Test(damage, bytes_missing_in_the_middle)
{
	struct big b = make_big();
	size_t at = b.offs[b.victim] + sizeof(b.hdr) + 5;
	struct ma_chunk_hdr next;
	memcpy(&next, b.bytes + b.offs[b.victim + 1], sizeof(next));
	cr_assert_eq(next.kind, MA_BLOCK_OBJECTS);
	memmove(b.bytes + at, b.bytes + at + 7, b.len - at - 7);
	uint64_t left = opens_damaged(b.bytes, b.len - 7, "damaged");
	cr_assert_eq(left, b.objects - b.hdr.records - next.records);
	free(b.bytes);
}

Test(damage, bytes_after_the_end)
{
	size_t len;
	uint8_t *bytes = snap_bytes_sample(20, &len), *more = calloc(1, len + 10);
	memcpy(more, bytes, len);
	cr_assert_eq(opens_damaged(more, len + 10, "trailer"), 33);
	free(bytes);
	free(more);
}

Test(damage, lost_definitions)
{
	char path[] = "/tmp/ma-lost-XXXXXX";
	close(mkstemp(path));
	struct snap_builder *b = sb_create(path);
	uint32_t first = sb_type(b, "", "int", 0x1000, 0, 8, 0);
	sb_name(b, "one");
	sb_object(b, &(struct sb_object){ .addr = 0x10000, .type = first, .size = 28, .refcnt = 1 });
	sb_flush(b);
	sb_thread(b, 1, 1, 0x100, 0, false);
	sb_flush(b);
	uint32_t second = sb_type(b, "m", "Lost", 0x2000, 0, 8, 0);
	uint32_t lost_name = sb_name(b, "two");
	sb_object(b, &(struct sb_object){ .addr = 0x20000, .type = second, .size = 16, .refcnt = 1 });
	sb_edge(b, MA_EDGE_NAMED, 0x10000, lost_name);
	sb_flush(b);
	sb_arena(b, 0x100000, 1, 1, 1);
	sb_flush(b);
	uint32_t third = sb_type(b, "m", "Kept", 0x3000, 0, 8, 0);
	sb_name(b, "three");
	sb_object(b, &(struct sb_object){ .addr = 0x30000, .type = third, .size = 16, .refcnt = 1 });
	sb_finish(b);

	size_t len, offs[64], seen_types = 0, seen_names = 0;
	uint8_t *bytes = snap_bytes_read(path, &len);
	size_t n = snap_bytes_chunks(bytes, len, offs, 64);
	unlink(path);
	for (size_t i = 0; i < n; i++) {
		struct ma_chunk_hdr h;
		memcpy(&h, bytes + offs[i], sizeof(h));
		if ((h.kind == MA_BLOCK_TYPES && ++seen_types == 2) || (h.kind == MA_BLOCK_NAMES && ++seen_names == 2))
			bytes[offs[i] + sizeof(h)] ^= 1;
	}
	cr_assert_eq(seen_types, 3);
	cr_assert_eq(seen_names, 3);
	struct ma_snap *s;
	ok(snap_bytes_open(bytes, len, &s));
	const struct ma_snap_tables *t = ma_snap_tables(s);
	cr_assert_eq(t->damaged_chunks, 2);
	cr_assert_eq(t->types_count, 3);
	cr_assert_str_eq(t->types[0].name, "int");
	cr_assert_str_eq(t->types[1].name, "?");
	cr_assert_str_eq(t->types[2].name, "m.Kept");
	cr_assert_eq(t->names_count, 3);
	cr_assert_eq(t->names[1].p[0], '?');
	cr_assert_arr_eq(t->names[2].p, "three", 5);
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	ok(ma_snap_cursor_create(s, &c));
	cr_assert(ma_snap_next_object(c, &o) && o.type_id == 1);
	cr_assert(ma_snap_next_object(c, &o) && o.type_id == 0);
	cr_assert(ma_snap_next_object(c, &o) && o.type_id == 3);
	ma_snap_cursor_destroy(c);
	ma_snap_close(s);
	free(bytes);
}

Test(damage, changed_while_it_is_read)
{
	char path[] = "/tmp/ma-changed-XXXXXX";
	close(mkstemp(path));
	sb_sample(path, 20);
	struct ma_snap *s;
	uint64_t o, e;
	ok(ma_snap_open(path, &s));
	cr_assert_eq(truncate(path, 300), 0);
	is_error(snap_walk(s, &o, &e), MA_ERR_BAD_DATA, "changed while it was read");
	ma_snap_close(s);
	unlink(path);
}

Test(damage, foreign_files)
{
	struct ma_snap *s = NULL;
	uint64_t o, e;
	is_error(ma_snap_open("/nonexistent/file", &s), MA_ERR_OS, "/nonexistent/file: No such file");
	is_error(ma_snap_open("/tmp", &s), MA_ERR_BAD_DATA, "not a regular file");
	is_error(ma_snap_open("/dev/zero", &s), MA_ERR_BAD_DATA, "not a regular file");
	is_error(ma_snap_check("/proc/self/exe", &o, &e), MA_ERR_BAD_DATA, "is not a memattach snapshot");
	is_error(snap_bytes_open("", 0, &s), MA_ERR_BAD_DATA, "is empty");
	is_error(snap_bytes_open("SQLite format 3\0 and so on", 26, &s), MA_ERR_BAD_DATA,
		 "is not a memattach snapshot");
	char fifo[] = "/tmp/ma-fifo-XXXXXX";
	cr_assert(mkdtemp(fifo));
	char path[64];
	snprintf(path, sizeof(path), "%s/f", fifo);
	cr_assert_eq(mkfifo(path, 0600), 0);
	is_error(ma_snap_open(path, &s), MA_ERR_BAD_DATA, "not a regular file");
	unlink(path);
	rmdir(fifo);
	cr_assert_null(s);
}

Test(damage, other_versions_are_refused_by_name)
{
	struct ma_snap *s;
	size_t len;
	uint8_t *bytes = snap_bytes_sample(1, &len);
	struct ma_file_hdr *h = (struct ma_file_hdr *)bytes;
	struct ma_file_hdr was = *h;
	h->version = 2;
	is_error(snap_bytes_open(bytes, len, &s), MA_ERR_BAD_DATA, "damaged header");
	h->checksum = ma_file_sum(h, offsetof(struct ma_file_hdr, checksum));
	is_error(snap_bytes_open(bytes, len, &s), MA_ERR_UNSUPPORTED, "file version 2");
	*h = was;
	h->features = 4;
	h->checksum = ma_file_sum(h, offsetof(struct ma_file_hdr, checksum));
	is_error(snap_bytes_open(bytes, len, &s), MA_ERR_UNSUPPORTED, "features 0x4");
	free(bytes);
}
