// SPDX-License-Identifier: Apache-2.0
#include "snapshot_bytes.h"

#include "snapshot_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

uint8_t *snap_bytes_read(const char *path, size_t *bytes_ret)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	must(f && fstat(fileno(f), &st) == 0, path);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	must(bytes && fread(bytes, 1, (size_t)st.st_size, f) == (size_t)st.st_size, path);
	fclose(f);
	*bytes_ret = (size_t)st.st_size;
	return bytes;
}

uint8_t *snap_bytes_sample(unsigned objects, size_t *bytes_ret)
{
	char path[] = "/tmp/ma-sample-XXXXXX";
	int fd = mkstemp(path);
	must(fd >= 0, path);
	close(fd);
	sb_sample(path, objects);
	uint8_t *bytes = snap_bytes_read(path, bytes_ret);
	unlink(path);
	return bytes;
}

/* A memfd with a path: /proc/self/fd/N. The descriptor can be closed as soon as the path was opened. */
static int as_file(const void *bytes, size_t len, char path[32])
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	must(fd >= 0 && ma_pwrite_all(fd, bytes, len, 0) == 0, "memfd");
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

struct ma_error *snap_bytes_open(const void *bytes, size_t len, struct ma_snap **ret)
{
	char path[32];
	int fd = as_file(bytes, len, path);
	struct ma_error *err = ma_snap_open(path, ret);
	close(fd);
	return err;
}

struct ma_error *snap_bytes_check(const void *bytes, size_t len, uint64_t *objects_ret, uint64_t *edges_ret)
{
	char path[32];
	int fd = as_file(bytes, len, path);
	struct ma_error *err = ma_snap_check(path, objects_ret, edges_ret);
	close(fd);
	return err;
}

struct ma_error *snap_walk(const struct ma_snap *s, uint64_t *objects_ret, uint64_t *edges_ret)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	*objects_ret = *edges_ret = 0;
	struct ma_error *err = ma_snap_cursor_create(s, &c);
	if (err)
		return err;
	while (ma_snap_next_object(c, &o)) {
		must(o.type_id <= ma_snap_tables(s)->types_count, "type id");
		*objects_ret += !(o.extra & MA_OX_CONT);
		while (ma_snap_next_edge(c, &e)) {
			must(e.name_id <= ma_snap_tables(s)->names_count, "name id");
			++*edges_ret;
		}
	}
	err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

/* Every byte of every text, and the words that a report would make of it. */
static struct ma_error *walk_values(const struct ma_snap *s)
{
	struct ma_snap_cursor *c;
	struct ma_snap_object o;
	struct ma_snap_value v;
	size_t sum = 0;
	struct ma_error *err = ma_snap_cursor_create(s, &c);
	if (err)
		return err;
	err = ma_snap_cursor_values(c);
	while (!err && ma_snap_next_object(c, &o)) {
		if (!ma_snap_value(c, &v))
			continue;
		must(v.text_bytes <= MA_VALUE_TEXT_MAX && v.hash < UINT64_C(1) << 40, "value");
		for (uint32_t i = 0; i < v.text_bytes; i++)
			sum += v.text[i];
	}
	must(sum != SIZE_MAX, "sum");
	if (!err)
		err = ma_snap_cursor_error(c);
	ma_snap_cursor_destroy(c);
	return err;
}

/* Each names a site that is there, with frames that are there. */
static struct ma_error *walk_traces(const struct ma_snap *s)
{
	const struct ma_snap_tables *t = ma_snap_tables(s);
	struct ma_trace_cursor *c;
	struct ma_snap_trace row;
	for (size_t i = 0; i < t->sites_count; i++)
		for (uint32_t k = t->sites[i].frames_begin; k < t->sites[i].frames_end; k++)
			must(t->site_frames[k].file_id <= t->names_count, "file of a site");
	struct ma_error *err = ma_trace_cursor_create(s, &c);
	if (err)
		return err;
	while (ma_trace_next(c, &row))
		must(row.site_id <= t->sites_count && row.bytes <= UINT64_MAX - row.addr, "trace");
	err = ma_trace_cursor_error(c);
	ma_trace_cursor_destroy(c);
	return err;
}

static size_t touch(const struct ma_snap_tables *t)
{
	size_t sum = strlen(t->meta.host) + strlen(t->meta.command) + strlen(t->meta.arch);
	for (size_t i = 0; i < t->types_count; i++)
		sum += strlen(t->types[i].name) + t->types[i].module.len + (uint8_t)t->types[i].qualname.p[0];
	for (size_t i = 0; i < t->names_count; i++)
		sum += t->names[i].len ? (uint8_t)t->names[i].p[t->names[i].len - 1] : 0;
	for (size_t i = 0; i < t->meta.tids_count; i++)
		sum += strlen(t->meta.tids[i].name);
	for (size_t i = 0; i < t->meta.notes_count; i++)
		sum += strlen(t->meta.notes[i]);
	for (size_t i = 0; i < t->regions_count; i++)
		sum += strlen(t->regions[i].path);
	for (size_t i = 0; i < t->freelists_count; i++)
		sum += strlen(t->freelists[i].name);
	for (size_t i = 0; i < t->threads_count; i++) {
		sum += strlen(t->threads[i].name);
		must(t->threads[i].frames_begin <= t->threads[i].frames_end &&
			     t->threads[i].frames_end <= t->frames_count,
		     "frames");
	}
	for (size_t i = 0; i < t->frames_count; i++)
		must(t->frames[i].locals_begin <= t->frames[i].locals_end &&
			     t->frames[i].locals_end <= t->locals_count && t->frames[i].file_id <= t->names_count &&
			     t->frames[i].function_id <= t->names_count,
		     "locals");
	for (size_t i = 0; i < t->interps_count; i++)
		must(t->interps[i].locals_end <= t->locals_count, "locals of an interpreter");
	for (size_t i = 0; i < t->locals_count; i++)
		must(t->locals[i].name_id <= t->names_count, "name of a local");
	must(t->complete == !t->missing, "missing");
	return sum;
}

void snap_bytes_exercise(const void *bytes, size_t len)
{
	struct ma_snap *s;
	uint64_t objects, edges;
	struct ma_error *err = snap_bytes_open(bytes, len, &s);
	if (!err) {
		must(touch(ma_snap_tables(s)) != SIZE_MAX, "touch");
		err = snap_walk(s, &objects, &edges);
		ma_error_free(err);
		err = walk_values(s);
		ma_error_free(err);
		err = walk_traces(s);
		ma_snap_close(s);
	}
	ma_error_free(err);
}

size_t snap_bytes_chunks(const void *bytes, size_t len, size_t *offs, size_t max)
{
	size_t off = sizeof(struct ma_file_hdr), n = 0;
	while (n < max && off + sizeof(struct ma_chunk_hdr) + sizeof(struct ma_file_trailer) <= len) {
		struct ma_chunk_hdr h;
		memcpy(&h, (const uint8_t *)bytes + off, sizeof(h));
		if (!ma_chunk_hdr_valid(&h) || h.kind == MA_CHUNK_INDEX)
			break;
		offs[n++] = off;
		off += sizeof(h) + h.stored_bytes;
	}
	return n;
}

void snap_put_header(struct ma_buf *b)
{
	struct ma_file_hdr h = { .version = MA_FILE_VERSION, .wire_version = MA_WIRE_VERSION };
	memcpy(h.magic, MA_FILE_MAGIC, sizeof(h.magic));
	h.checksum = ma_file_sum(&h, offsetof(struct ma_file_hdr, checksum));
	ma_buf_add(b, &h, sizeof(h));
}

void snap_put_chunk(struct ma_buf *b, struct ma_chunk_hdr hdr, const void *stored)
{
	ma_chunk_seal(&hdr, stored);
	ma_buf_add(b, &hdr, sizeof(hdr));
	ma_buf_add(b, stored, hdr.stored_bytes);
}

void snap_put_block(struct ma_buf *b, uint32_t seq, unsigned kind, uint32_t records, const void *payload,
		    uint32_t bytes)
{
	struct ma_block_hdr block = { .kind = kind, .bytes = bytes, .records = records };
	_cleanup_buf_ struct ma_buf raw = MA_BUF_INIT(MA_CHUNK_STORED_MAX);
	ma_buf_add(&raw, &block, sizeof(block));
	ma_buf_add(&raw, payload, bytes);
	struct ma_chunk_hdr h = { .kind = (uint16_t)kind,
				  .seq = seq,
				  .blocks = 1,
				  .records = records,
				  .raw_bytes = (uint32_t)raw.len,
				  .stored_bytes = (uint32_t)raw.len };
	snap_put_chunk(b, h, raw.data);
}

void snap_put_input(struct ma_buf *b, const uint8_t *data, size_t size)
{
	uint32_t seq = 0;
	snap_put_header(b);
	while (size >= 4) {
		size_t bytes = (size_t)data[2] | (size_t)data[3] << 8;
		if (bytes > size - 4)
			bytes = size - 4;
		/* the top bit makes a gap, as a lost chunk would */
		seq += data[0] >> 7;
		snap_put_block(b, seq++, data[0] & 0x0f, data[1], data + 4, (uint32_t)bytes);
		data += 4 + bytes;
		size -= 4 + bytes;
	}
}
