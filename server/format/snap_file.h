// SPDX-License-Identifier: Apache-2.0
/* snap_file.h - the byte layout of a snapshot file (docs/snapshot-format.md), and whole reads and writes.
 *
 *	file header | chunk | chunk | ... | index chunk(s) | trailer
 *
 * Everything is little-endian, as are the machines we run on (x86-64, aarch64). */
#ifndef MA_SNAP_FILE_H
#define MA_SNAP_FILE_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <memattach/wire.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the snapshot file is read and written as it stands in memory, which must be little-endian"
#endif

#define MA_FILE_VERSION 1u

/* The first byte is not ASCII and CR LF follows, so that a copy in text mode shows (as PNG does it). */
#define MA_FILE_MAGIC "\x89MASNP\r\n"
#define MA_CHUNK_MARK "\365ChunkM\372"
#define MA_TRAILER_MARK "\365MAtail\372"
#define MA_MARK_BYTES 8u

struct ma_file_hdr {
	uint8_t magic[8];
	uint32_t version;      /* MA_FILE_VERSION */
	uint32_t wire_version; /* MA_WIRE_VERSION: of the records */
	uint32_t features;     /* 0; a bit that the reader does not know: refuse */
	uint32_t reserved;     /* 0 */
	uint64_t checksum;     /* XXH3-64 of the 24 bytes before */
};
_Static_assert(sizeof(struct ma_file_hdr) == 32, "file header");

enum ma_codec { MA_CODEC_NONE = 0, MA_CODEC_ZSTD = 1 };

#define MA_CHUNK_INDEX 255u /* kind of the index chunk; all other kinds are enum ma_block_kind */

/* A chunk holds whole blocks of one kind, header and payload of each, at most MA_CHUNK_RAW_MAX bytes. */
struct ma_chunk_hdr {
	uint8_t mark[8];
	uint16_t kind;
	uint8_t codec;    /* enum ma_codec */
	uint8_t reserved; /* 0 */
	uint32_t seq;     /* 0, 1, 2, ... in the order in which the chunks were filled; not always file order */
	uint32_t blocks;
	uint32_t records; /* in all blocks together */
	uint32_t raw_bytes;
	uint32_t stored_bytes; /* after this header; equal to raw_bytes with MA_CODEC_NONE */
	uint64_t checksum;     /* XXH3-64 of the stored bytes, seeded with the XXH3-64 of the 32 bytes before */
	uint64_t hdr_checksum; /* XXH3-64 of the 40 bytes before: a sound header with damaged bytes can be skipped */
};
_Static_assert(sizeof(struct ma_chunk_hdr) == 48, "chunk header");
#define MA_CHUNK_SUMMED 32u
#define MA_CHUNK_HDR_SUMMED 40u

/* One full block, or as many smaller ones as fit. Measured on heaps of 8 and 3 M objects: chunks of 1 MiB are a
 * quarter smaller where the heap is very regular (0.38 for 0.52 bytes an object) and 5 % larger where it is not (9.2
 * for 8.8), cost four times as much memory, and four times as much when one is damaged. */
#define MA_CHUNK_RAW_MAX MA_SLOT_BYTES
/* ZSTD_COMPRESSBOUND(MA_CHUNK_RAW_MAX); a chunk that does not shrink is stored as it is. */
#define MA_CHUNK_STORED_MAX (MA_CHUNK_RAW_MAX + (MA_CHUNK_RAW_MAX >> 8))

/* One row of the index, in the order of seq. */
struct ma_index_row {
	uint64_t off; /* of the chunk header in the file */
	uint32_t seq, records, raw_bytes, stored_bytes;
	uint16_t kind;
	uint8_t codec;
	uint8_t reserved[5];
};
_Static_assert(sizeof(struct ma_index_row) == 32, "index row");

struct ma_file_trailer {
	uint8_t mark[8];
	uint64_t index_off;  /* of the first index chunk; index chunks fill the file from there to this trailer */
	uint64_t file_bytes; /* this trailer included */
	uint32_t chunks;     /* rows in the index; index chunks are not among them */
	uint32_t reserved;   /* 0 */
	uint64_t checksum;   /* XXH3-64 of the 32 bytes before */
};
_Static_assert(sizeof(struct ma_file_trailer) == 40, "trailer");

uint64_t ma_file_sum(const void *data, size_t bytes);
/* What ma_chunk_hdr.checksum must be, for `hdr` and its `hdr->stored_bytes` bytes at `stored`. */
uint64_t ma_chunk_sum(const struct ma_chunk_hdr *hdr, const void *stored);
/* Sets mark and both checksums. */
void ma_chunk_seal(struct ma_chunk_hdr *hdr, const void *stored);
/* True when the mark, the header checksum and the limits on its lengths hold. The stored bytes are not looked at. */
bool ma_chunk_hdr_valid(const struct ma_chunk_hdr *hdr);
/* Unpacks a chunk whose header is valid into `raw` (MA_CHUNK_RAW_MAX bytes). False when the bytes are not what
 * the header says. `dctx` is a ZSTD_DCtx. */
bool ma_chunk_unpack(void *dctx, const struct ma_chunk_hdr *hdr, const void *stored, void *raw);

#define MA_KINDS 17u /* above every enum ma_block_kind */
/* "types", "objects", ...; "unknown" for a kind we do not know. */
const char *ma_chunk_kind_name(unsigned kind);
/* Is it a kind of block that this version writes and reads? */
bool ma_chunk_kind_known(unsigned kind);

/* Whole writes and reads at an offset; they go on after EINTR and short transfers. 0 or errno. A read that meets
 * the end of the file gives the bytes that were there in *got_ret. */
int ma_pwrite_all(int fd, const void *data, size_t bytes, uint64_t off);
int ma_pread_all(int fd, void *data, size_t bytes, uint64_t off, size_t *got_ret);

#endif
