// SPDX-License-Identifier: Apache-2.0
#include "snap_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

_Static_assert(MA_CHUNK_STORED_MAX >= ZSTD_COMPRESSBOUND(MA_CHUNK_RAW_MAX), "room for what zstd may make of a chunk");
_Static_assert(MA_CHUNK_RAW_MAX >= sizeof(struct ma_block_hdr) + MA_BLOCK_PAYLOAD, "a block fits in a chunk");

uint64_t ma_file_sum(const void *data, size_t bytes)
{
	return XXH3_64bits(data, bytes);
}

/* The sum of the header goes in as the seed: the same protection as hashing both in a row, in one call. */
uint64_t ma_chunk_sum(const struct ma_chunk_hdr *hdr, const void *stored)
{
	return XXH3_64bits_withSeed(stored, hdr->stored_bytes, XXH3_64bits(hdr, MA_CHUNK_SUMMED));
}

void ma_chunk_seal(struct ma_chunk_hdr *hdr, const void *stored)
{
	memcpy(hdr->mark, MA_CHUNK_MARK, MA_MARK_BYTES);
	hdr->checksum = ma_chunk_sum(hdr, stored);
	hdr->hdr_checksum = ma_file_sum(hdr, MA_CHUNK_HDR_SUMMED);
}

bool ma_chunk_hdr_valid(const struct ma_chunk_hdr *hdr)
{
	if (memcmp(hdr->mark, MA_CHUNK_MARK, MA_MARK_BYTES) != 0 ||
	    hdr->hdr_checksum != ma_file_sum(hdr, MA_CHUNK_HDR_SUMMED))
		return false;
	if (hdr->raw_bytes > MA_CHUNK_RAW_MAX || hdr->stored_bytes > MA_CHUNK_STORED_MAX || hdr->reserved)
		return false;
	if (hdr->codec == MA_CODEC_NONE)
		return hdr->stored_bytes == hdr->raw_bytes;
	return hdr->codec == MA_CODEC_ZSTD;
}

bool ma_chunk_unpack(void *dctx, const struct ma_chunk_hdr *hdr, const void *stored, void *raw)
{
	if (hdr->codec == MA_CODEC_NONE) {
		memcpy(raw, stored, hdr->raw_bytes);
		return true;
	}
	/* One-shot decompression never makes a window of its own and never writes past raw_bytes, whatever the
	 * frame header says. */
	size_t n = ZSTD_decompressDCtx(dctx, raw, hdr->raw_bytes, stored, hdr->stored_bytes);
	return !ZSTD_isError(n) && n == hdr->raw_bytes;
}

static const char *const kind_names[MA_KINDS] = {
	[MA_BLOCK_META] = "meta",         [MA_BLOCK_TYPES] = "types",     [MA_BLOCK_NAMES] = "names",
	[MA_BLOCK_OBJECTS] = "objects",   [MA_BLOCK_THREADS] = "threads", [MA_BLOCK_ARENAS] = "arenas",
	[MA_BLOCK_REGIONS] = "regions",   [MA_BLOCK_STATS] = "stats",     [MA_BLOCK_RESULT] = "result",
	[MA_BLOCK_NATIVE] = "native",     [MA_BLOCK_RAW] = "buffers",     [MA_BLOCK_MALLOC] = "malloc",
	[MA_BLOCK_VALUES] = "values",     [MA_BLOCK_SITES] = "sites",     [MA_BLOCK_TRACES] = "traces",
	[MA_BLOCK_CONTENTS] = "contents",
};

const char *ma_chunk_kind_name(unsigned kind)
{
	if (kind == MA_CHUNK_INDEX)
		return "index";
	return ma_chunk_kind_known(kind) ? kind_names[kind] : "unknown";
}

bool ma_chunk_kind_known(unsigned kind)
{
	return kind < MA_KINDS && kind_names[kind];
}

int ma_pwrite_all(int fd, const void *data, size_t bytes, uint64_t off)
{
	const char *p = data;
	while (bytes) {
		ssize_t n = pwrite(fd, p, bytes, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		p += n;
		bytes -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int ma_pread_all(int fd, void *data, size_t bytes, uint64_t off, size_t *got_ret)
{
	char *p = data;
	size_t got = 0;
	while (got < bytes) {
		ssize_t n = pread(fd, p + got, bytes - got, (off_t)(off + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*got_ret = got;
	return 0;
}
