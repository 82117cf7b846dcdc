// SPDX-License-Identifier: Apache-2.0
/* Open and close, and the small things that all of the reader shares. */
#include "snap.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_BLOCK (64u << 10)

struct ma_text_block {
	struct ma_text_block *next;
	size_t used, cap;
	char data[];
};

char *ma_snap_text(struct ma_snap *s, const void *bytes, size_t len)
{
	struct ma_text_block *b = s->text;
	if (!b || b->cap - b->used <= len) {
		size_t cap = len >= TEXT_BLOCK / 4 ? len + 1 : TEXT_BLOCK;
		b = malloc(sizeof(*b) + cap);
		if (!b)
			return NULL;
		b->used = 0;
		b->cap = cap;
		b->next = s->text;
		s->text = b;
		s->text_bytes += sizeof(*b) + cap;
	}
	char *p = b->data + b->used;
	if (len)
		memcpy(p, bytes, len);
	p[len] = 0;
	b->used += len + 1;
	return p;
}

void ma_snap_text_free(struct ma_snap *s)
{
	for (struct ma_text_block *b = s->text, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	s->text = NULL;
}

struct ma_error *ma_vec_add(struct ma_vec *v, size_t bytes, size_t limit, void **row_ret)
{
	if (v->count >= limit)
		return ma_errorf(MA_ERR_BAD_DATA, "it has more than %zu rows in one table", limit);
	if (v->count == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 16;
		void *data = realloc(v->data, cap * bytes);
		if (!data)
			return &ma_enomem;
		v->data = data;
		v->cap = cap;
	}
	v->row_bytes = bytes;
	*row_ret = (char *)v->data + v->count++ * bytes;
	memset(*row_ret, 0, bytes);
	return NULL;
}

void ma_snap_lacks(struct ma_snap *s, const char *fmt, ...)
{
	va_list ap;
	char *text;
	s->tables.complete = false;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	/* one line for a person: the first few are enough */
	if (s->missing.len < 600) {
		if (s->missing.len)
			ma_buf_str(&s->missing, "; ");
		ma_buf_str(&s->missing, text);
	}
	free(text);
}

struct ma_error *ma_snap_read_chunk(const struct ma_snap *s, const struct ma_snap_chunk *c, void *dctx, void *stored,
				    void *raw)
{
	size_t got = 0;
	int errnum = ma_pread_all(s->fd, stored, c->hdr.stored_bytes, c->off + sizeof(c->hdr), &got);
	if (errnum)
		return ma_error_os(errnum, "cannot read %s", s->path);
	if (got != c->hdr.stored_bytes || ma_chunk_sum(&c->hdr, stored) != c->hdr.checksum)
		return ma_errorf(MA_ERR_BAD_DATA, "%s changed while it was read (chunk at byte %llu)", s->path,
				 (unsigned long long)c->off);
	if (!ma_chunk_unpack(dctx, &c->hdr, stored, raw))
		return ma_errorf(MA_ERR_BAD_DATA, "%s: the chunk at byte %llu can not be unpacked", s->path,
				 (unsigned long long)c->off);
	return NULL;
}

void ma_block_iter_init(struct ma_block_iter *it, const struct ma_chunk_hdr *chunk, const void *raw)
{
	*it = (struct ma_block_iter){ .p = raw, .end = (const uint8_t *)raw + chunk->raw_bytes, .chunk = chunk };
}

int ma_block_iter_next(struct ma_block_iter *it, struct ma_block_hdr *hdr_ret, const uint8_t **payload_ret)
{
	if (it->p == it->end)
		return it->blocks == it->chunk->blocks && it->records == it->chunk->records ? 0 : -1;
	if ((size_t)(it->end - it->p) < sizeof(*hdr_ret))
		return -1;
	memcpy(hdr_ret, it->p, sizeof(*hdr_ret));
	it->p += sizeof(*hdr_ret);
	if (hdr_ret->kind != it->chunk->kind || hdr_ret->reserved || hdr_ret->bytes > (size_t)(it->end - it->p))
		return -1;
	*payload_ret = it->p;
	it->p += hdr_ret->bytes;
	it->blocks++;
	it->records += hdr_ret->records;
	return 1;
}

static struct ma_error *open_snap(struct ma_snap *s, const char *path)
{
	struct stat st;
	s->path = strdup(path);
	if (!s->path)
		return &ma_enomem;
	/* not to wait for the writer of a FIFO */
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return ma_error_os(errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return ma_errorf(MA_ERR_BAD_DATA, "%s is not a regular file", path);
	s->file_bytes = (uint64_t)st.st_size;
	s->tables.file_bytes = s->file_bytes;
	s->tables.complete = true;
	MA_TRY(ma_snap_scan(s));
	MA_TRY(ma_snap_load(s));
	if (!s->tables.complete) {
		s->tables.missing = s->missing.data;
		if (!s->tables.missing)
			return &ma_enomem;
	}
	return NULL;
}

static struct ma_error *create(const char *path, bool head_only, struct ma_snap **ret)
{
	struct ma_snap *s = calloc(1, sizeof(*s));
	if (!s)
		return &ma_enomem;
	s->fd = -1;
	s->head_only = head_only;
	s->missing.limit = 4096;
	struct ma_error *err = open_snap(s, path);
	if (err) {
		ma_snap_close(s);
		return err;
	}
	*ret = s;
	return NULL;
}

struct ma_error *ma_snap_open(const char *path, struct ma_snap **ret)
{
	return create(path, false, ret);
}

struct ma_error *ma_snap_open_head(const char *path, struct ma_snap **ret)
{
	return create(path, true, ret);
}

const struct ma_snap_tables *ma_snap_tables(const struct ma_snap *s)
{
	return &s->tables;
}

void ma_snap_close(struct ma_snap *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	struct ma_vec *all[] = { &s->types,   &s->names,      &s->regions,  &s->threads,       &s->frames,
				 &s->interps, &s->locals,     &s->arenas,   &s->classes,       &s->freelists,
				 &s->tids,    &s->notes,      &s->natives,  &s->native_frames, &s->interp_states,
				 &s->raws,    &s->words,      &s->contents, &s->samples,       &s->pages,
				 &s->huge,    &s->heaps,      &s->spans,    &s->fills,         &s->zeros,
				 &s->sites,   &s->site_frames };
	for (size_t i = 0; i < MA_ARRAY_SIZE(all); i++)
		free(all[i]->data);
	ma_snap_text_free(s);
	ma_buf_deinit(&s->missing);
	free(s->chunks);
	free(s->path);
	free(s);
}

void ma_snap_close_p(struct ma_snap **s)
{
	ma_snap_close(*s);
}
