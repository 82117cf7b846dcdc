// SPDX-License-Identifier: Apache-2.0
/* Finds the chunks of a file. It reads every byte, so that damage shows at open and not in the middle of a report;
 * the hash runs at the speed of memory. The index is not needed to find chunks: it says which should be there. */
#include "cleanup.h"
#include "snap.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>

#define WINDOW (sizeof(struct ma_chunk_hdr) + MA_CHUNK_STORED_MAX)

struct scan {
	struct ma_snap *s;
	uint8_t *buf; /* a part of the file of up to WINDOW bytes */
	uint64_t buf_off;
	size_t buf_len;
	uint64_t end;     /* chunks and index end here; what follows is the trailer */
	uint64_t max_seq; /* one more than the largest seq of a sound header that is not cut off */
	uint64_t skipped; /* bytes that are no chunk */
	struct ma_vec chunks, rows;
	bool rows_bad;
	uint8_t *raw;
	ZSTD_DCtx *dctx;
};

/* Makes `bytes` (up to WINDOW) from `off` on stand at the returned address; *have_ret says how many there are. */
static struct ma_error *window(struct scan *c, uint64_t off, size_t bytes, const uint8_t **p_ret, size_t *have_ret)
{
	if (off < c->buf_off || off + bytes > c->buf_off + c->buf_len) {
		size_t want = c->end - off < WINDOW ? (size_t)(c->end - off) : WINDOW;
		int errnum = ma_pread_all(c->s->fd, c->buf, want, off, &c->buf_len);
		c->buf_off = off;
		if (errnum) {
			c->buf_len = 0;
			return ma_error_os(errnum, "cannot read %s", c->s->path);
		}
	}
	*p_ret = c->buf + (off - c->buf_off);
	size_t have = (size_t)(c->buf_off + c->buf_len - off);
	*have_ret = have < bytes ? have : bytes;
	return NULL;
}

static struct ma_error *read_header(struct ma_snap *s)
{
	struct ma_file_hdr h;
	size_t got = 0;
	int errnum = ma_pread_all(s->fd, &h, sizeof(h), 0, &got);
	if (errnum)
		return ma_error_os(errnum, "cannot read %s", s->path);
	if (!got)
		return ma_errorf(MA_ERR_BAD_DATA, "%s is empty", s->path);
	if (got < sizeof(h.magic) || memcmp(h.magic, MA_FILE_MAGIC, sizeof(h.magic)) != 0)
		return ma_errorf(MA_ERR_BAD_DATA, "%s is not a memattach snapshot", s->path);
	if (got < sizeof(h))
		return ma_errorf(MA_ERR_BAD_DATA, "%s is cut off inside its header", s->path);
	bool sound = h.checksum == ma_file_sum(&h, offsetof(struct ma_file_hdr, checksum));
	bool ours = h.version == MA_FILE_VERSION && h.wire_version == MA_WIRE_VERSION && !h.features;
	if (sound && !ours)
		return ma_errorf(MA_ERR_UNSUPPORTED,
				 "%s has file version %u, records version %u, features %#x: this memattach reads "
				 "%u, %u, 0",
				 s->path, h.version, h.wire_version, h.features, MA_FILE_VERSION, MA_WIRE_VERSION);
	if (!sound && !ours)
		return ma_errorf(MA_ERR_BAD_DATA, "%s has a damaged header", s->path);
	if (!sound)
		ma_snap_lacks(s, "the file header is damaged");
	return NULL;
}

/* Sets c->end, and *sound_ret to whether there is a sound trailer. */
static struct ma_error *read_trailer(struct scan *c, struct ma_file_trailer *t, bool *sound_ret)
{
	size_t got = 0;
	*sound_ret = false;
	c->end = c->s->file_bytes;
	if (c->end < sizeof(struct ma_file_hdr) + sizeof(*t))
		return NULL;
	int errnum = ma_pread_all(c->s->fd, t, sizeof(*t), c->end - sizeof(*t), &got);
	if (errnum)
		return ma_error_os(errnum, "cannot read %s", c->s->path);
	if (got != sizeof(*t) || memcmp(t->mark, MA_TRAILER_MARK, MA_MARK_BYTES) != 0 ||
	    t->checksum != ma_file_sum(t, offsetof(struct ma_file_trailer, checksum)) || t->file_bytes != c->end)
		return NULL;
	c->end -= sizeof(*t);
	*sound_ret = true;
	return NULL;
}

static struct ma_error *take_index(struct scan *c, const struct ma_chunk_hdr *hdr, const uint8_t *stored)
{
	if (!ma_chunk_unpack(c->dctx, hdr, stored, c->raw) ||
	    hdr->raw_bytes != hdr->records * (uint64_t)sizeof(struct ma_index_row)) {
		c->rows_bad = true;
		return NULL;
	}
	for (uint32_t i = 0; i < hdr->records; i++) {
		struct ma_index_row *row;
		/* each row stands for a chunk of 48 bytes at least: a larger index can not be true */
		MA_TRY(ma_vec_add(&c->rows, sizeof(*row), c->s->file_bytes / sizeof(*hdr) + 1, (void **)&row));
		memcpy(row, c->raw + i * sizeof(*row), sizeof(*row));
		/* the rows are in the order of seq, without a gap */
		if (row->seq != c->rows.count - 1)
			c->rows_bad = true;
	}
	return NULL;
}

static struct ma_error *take_chunk(struct scan *c, uint64_t off, const struct ma_chunk_hdr *hdr, const uint8_t *stored)
{
	if (hdr->kind == MA_CHUNK_INDEX)
		return take_index(c, hdr, stored);
	struct ma_snap_chunk *chunk;
	MA_TRY(ma_vec_add(&c->chunks, sizeof(*chunk), SIZE_MAX, (void **)&chunk));
	chunk->off = off;
	chunk->hdr = *hdr;
	return NULL;
}

/* The place of the next chunk mark after `off`, or c->end. */
static struct ma_error *resync(struct scan *c, uint64_t off, uint64_t *ret)
{
	for (off++; off < c->end;) {
		const uint8_t *p;
		size_t have;
		size_t want = c->end - off < WINDOW ? (size_t)(c->end - off) : WINDOW;
		MA_TRY(window(c, off, want, &p, &have));
		const uint8_t *hit = memmem(p, have, MA_CHUNK_MARK, MA_MARK_BYTES);
		if (hit) {
			*ret = off + (uint64_t)(hit - p);
			return NULL;
		}
		if (have < WINDOW)
			break;
		off += have - (MA_MARK_BYTES - 1);
	}
	*ret = c->end;
	return NULL;
}

static struct ma_error *walk(struct scan *c)
{
	uint64_t off = sizeof(struct ma_file_hdr);
	while (off < c->end) {
		struct ma_chunk_hdr hdr;
		const uint8_t *p;
		size_t have;
		uint64_t next;
		MA_TRY(window(c, off, sizeof(hdr), &p, &have));
		bool sound = have == sizeof(hdr);
		if (sound) {
			memcpy(&hdr, p, sizeof(hdr));
			sound = ma_chunk_hdr_valid(&hdr);
		}
		if (sound) {
			size_t whole = sizeof(hdr) + hdr.stored_bytes;
			if (whole <= c->end - off) {
				if (hdr.kind != MA_CHUNK_INDEX && hdr.seq >= c->max_seq)
					c->max_seq = hdr.seq + UINT64_C(1);
				MA_TRY(window(c, off, whole, &p, &have));
				if (have == whole && ma_chunk_sum(&hdr, p + sizeof(hdr)) == hdr.checksum)
					MA_TRY(take_chunk(c, off, &hdr, p + sizeof(hdr)));
				else
					c->skipped += whole;
				/* A sound header is trusted for its length. So each byte is hashed once, and nothing
				 * inside damaged bytes is taken for a chunk. */
				off += whole;
				continue;
			}
		}
		MA_TRY(resync(c, off, &next));
		c->skipped += next - off;
		off = next;
	}
	return NULL;
}

static int by_seq(const void *a, const void *b)
{
	const struct ma_snap_chunk *x = a, *y = b;
	if (x->hdr.seq != y->hdr.seq)
		return x->hdr.seq < y->hdr.seq ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

static bool listed(const struct ma_index_row *row, const struct ma_snap_chunk *chunk, bool same_place)
{
	return row->kind == chunk->hdr.kind && row->records == chunk->hdr.records &&
	       row->raw_bytes == chunk->hdr.raw_bytes && (!same_place || row->off == chunk->off);
}

/* With an index only what it lists counts: another chunk is a leftover inside damaged bytes. Without it, the first of
 * two with the same number. Places count only when the trailer says that the file has its length. */
static void choose(struct scan *c, bool indexed, bool same_place)
{
	struct ma_snap_chunk *chunks = c->chunks.data;
	const struct ma_index_row *rows = c->rows.data;
	size_t kept = 0;
	if (c->chunks.count)
		qsort(chunks, c->chunks.count, sizeof(*chunks), by_seq);
	for (size_t i = 0; i < c->chunks.count; i++) {
		const struct ma_chunk_hdr *h = &chunks[i].hdr;
		if (kept && chunks[kept - 1].hdr.seq == h->seq)
			continue;
		if (indexed && (h->seq >= c->rows.count || !listed(&rows[h->seq], &chunks[i], same_place)))
			continue;
		chunks[kept++] = chunks[i];
	}
	c->chunks.count = kept;
}

/* What the index lists and the file does not have, by kind. */
static void report_lost(struct scan *c)
{
	uint64_t records[MA_KINDS] = { 0 };
	const struct ma_index_row *rows = c->rows.data;
	const struct ma_snap_chunk *chunks = c->chunks.data;
	size_t at = 0, lost = 0;
	for (size_t i = 0; i < c->rows.count; i++) {
		if (at < c->chunks.count && chunks[at].hdr.seq == rows[i].seq) {
			at++;
			continue;
		}
		records[rows[i].kind < MA_KINDS ? rows[i].kind : 0] += rows[i].records;
		lost++;
	}
	c->s->tables.damaged_chunks = lost;
	if (!lost)
		return;
	_cleanup_buf_ struct ma_buf what = MA_BUF_INIT(1024);
	for (unsigned k = 0; k < MA_KINDS; k++)
		if (records[k])
			ma_buf_printf(&what, "%s%llu records of %s", what.len ? ", " : "",
				      (unsigned long long)records[k], ma_chunk_kind_name(k));
	ma_snap_lacks(c->s, "%zu of %zu chunks %s damaged: %s are not there", lost, c->rows.count,
		      lost == 1 ? "is" : "are", what.len ? ma_buf_text(&what) : "empty ones");
}

/* What is not there, in sentences. */
static void report(struct scan *c, bool trailer, const struct ma_file_trailer *t)
{
	struct ma_snap *s = c->s;
	bool indexed = c->rows.count && !c->rows_bad && (!trailer || t->chunks == c->rows.count);
	bool empty = trailer && !t->chunks; /* a file without a chunk has no index */
	choose(c, indexed, trailer);
	if (indexed) {
		s->tables.chunks = c->rows.count;
		report_lost(c);
		if (!trailer)
			ma_snap_lacks(s, "the trailer at its end is not there");
		else if (!s->tables.damaged_chunks && c->skipped)
			ma_snap_lacks(s, "%llu bytes are no part of a chunk", (unsigned long long)c->skipped);
		s->lost = s->tables.damaged_chunks > 0;
		return;
	}
	s->tables.chunks = c->max_seq;
	s->tables.damaged_chunks = c->max_seq - c->chunks.count;
	s->lost = !empty || c->skipped;
	if (s->tables.damaged_chunks)
		ma_snap_lacks(s, "%llu of the %llu chunks found %s damaged",
			      (unsigned long long)s->tables.damaged_chunks, (unsigned long long)c->max_seq,
			      s->tables.damaged_chunks == 1 ? "is" : "are");
	if (trailer && !empty)
		ma_snap_lacks(s, "the index is damaged");
	else if (trailer && c->skipped)
		ma_snap_lacks(s, "%llu bytes are no part of a chunk", (unsigned long long)c->skipped);
	else if (!trailer && c->max_seq)
		ma_snap_lacks(s, "the file is cut off: what came after %llu chunk%s is not there",
			      (unsigned long long)c->max_seq, c->max_seq == 1 ? "" : "s");
	else if (!trailer)
		ma_snap_lacks(s, "the file is cut off before its first chunk");
}

struct ma_error *ma_snap_scan(struct ma_snap *s)
{
	struct ma_file_trailer t;
	MA_TRY(read_header(s));
	struct scan c = { .s = s };
	bool trailer;
	MA_TRY(read_trailer(&c, &t, &trailer));
	c.buf = malloc(WINDOW);
	c.raw = malloc(MA_CHUNK_RAW_MAX);
	c.dctx = ZSTD_createDCtx();
	struct ma_error *err = c.buf && c.raw && c.dctx ? walk(&c) : &ma_enomem;
	if (!err) {
		report(&c, trailer, &t);
		s->chunks_count = c.chunks.count;
		s->chunks = ma_take_ptr(c.chunks.data);
	}
	ZSTD_freeDCtx(c.dctx);
	free(c.raw);
	free(c.buf);
	free(c.rows.data);
	free(c.chunks.data);
	return err;
}
