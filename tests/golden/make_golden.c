// SPDX-License-Identifier: Apache-2.0
/* make_golden DIR - writes the golden files and the first fuzz corpus (see README.md). */
#include "cleanup.h"
#include "leaky_snapshot.h"
#include "snapshot_builder.h"
#include "snapshot_bytes.h"
#include "snapshot_dump.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

static const char *root;

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void save(const char *folder, const char *name, const char *end, const void *bytes, size_t len)
{
	char path[1024];
	for (const char *slash = folder; slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%s/%.*s", root, (int)(slash - folder), folder);
		must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
	}
	snprintf(path, sizeof(path), "%s/%s", root, folder);
	must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
	snprintf(path, sizeof(path), "%s/%s/%s%s", root, folder, name, end);
	FILE *f = fopen(path, "wb");
	must(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0, path);
}

/* The file and what a reader says about it. */
static void golden(const char *folder, const char *name, const void *bytes, size_t len)
{
	struct ma_snap *s;
	_cleanup_buf_ struct ma_buf out = MA_BUF_INIT(1 << 24);
	struct ma_error *err = snap_bytes_open(bytes, len, &s);
	if (err) {
		const char *after = strchr(err->message, ' ');
		ma_buf_printf(&out, "%s\n", after ? after + 1 : err->message);
		ma_error_free(err);
	} else {
		err = snap_dump(s, &out);
		must(!err, err ? err->message : "");
		ma_snap_close(s);
	}
	save(folder, name, ".snap", bytes, len);
	save(folder, name, ".txt", out.data, out.len);
	if (len < 20000)
		save("fuzz/corpus/snapshot_file", name, "", bytes, len);
}

static void refused(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len);
	struct ma_file_hdr *h = (struct ma_file_hdr *)copy;
	must(copy, "malloc");
	golden("golden/refused", "empty", "", 0);
	golden("golden/refused", "text", "not a snapshot at all\n", 22);
	golden("golden/refused", "cut_header", bytes, 20);
	memcpy(copy, bytes, len);
	h->version = 2;
	golden("golden/refused", "damaged_header", copy, len);
	h->checksum = ma_file_sum(h, offsetof(struct ma_file_hdr, checksum));
	golden("golden/refused", "version_2", copy, len);
	h->version = MA_FILE_VERSION;
	h->features = 1;
	h->checksum = ma_file_sum(h, offsetof(struct ma_file_hdr, checksum));
	golden("golden/refused", "features_1", copy, len);
	free(copy);
}

/* Each chunk of kind `only` (of any, when 0) lost; the files are named with `prefix`. */
static void lost(const uint8_t *bytes, size_t len, const char *prefix, unsigned only)
{
	size_t offs[64], n = snap_bytes_chunks(bytes, len, offs, 64);
	uint8_t *copy = malloc(len);
	must(copy, "malloc");
	for (size_t i = 0; i < n; i++) {
		struct ma_chunk_hdr h;
		char name[64];
		memcpy(copy, bytes, len);
		memcpy(&h, bytes + offs[i], sizeof(h));
		if (only && h.kind != only)
			continue;
		snprintf(name, sizeof(name), "%slost_%zu_%s", prefix, i, ma_chunk_kind_name(h.kind));
		copy[offs[i] + (i & 1 ? 20 : sizeof(h) + 3)] ^= 0x10;
		golden("golden/damaged", name, copy, len);
	}
	free(copy);
}

static void damaged(const uint8_t *bytes, size_t len)
{
	size_t offs[64], n = snap_bytes_chunks(bytes, len, offs, 64);
	uint8_t *copy = malloc(len);
	must(copy && n > 6, "chunks");
	golden("golden/damaged", "cut_in_chunk", bytes, offs[n - 2] + 60);
	golden("golden/damaged", "cut_after_chunk", bytes, offs[n - 2]);
	golden("golden/damaged", "no_trailer", bytes, len - sizeof(struct ma_file_trailer));
	lost(bytes, len, "", 0);
	memcpy(copy, bytes, len);
	copy[len - sizeof(struct ma_file_trailer) - 5] ^= 1;
	golden("golden/damaged", "index", copy, len);
	memcpy(copy, bytes, len);
	copy[24] ^= 1;
	golden("golden/damaged", "header_checksum", copy, len);
	free(copy);
}

/* The blocks of the sample, for the fuzz target that puts them into files itself. */
static void blocks(const uint8_t *bytes, size_t len, const char *name)
{
	static uint8_t raw[MA_CHUNK_RAW_MAX];
	size_t offs[64], n = snap_bytes_chunks(bytes, len, offs, 64);
	ZSTD_DCtx *d = ZSTD_createDCtx();
	_cleanup_buf_ struct ma_buf all = MA_BUF_INIT(1 << 20);
	for (size_t i = 0; i < n; i++) {
		struct ma_chunk_hdr h;
		struct ma_block_hdr block;
		memcpy(&h, bytes + offs[i], sizeof(h));
		must(ma_chunk_unpack(d, &h, bytes + offs[i] + sizeof(h), raw), "unpack");
		memcpy(&block, raw, sizeof(block));
		const uint8_t head[] = { (uint8_t)block.kind, (uint8_t)block.records, (uint8_t)block.bytes,
					 (uint8_t)(block.bytes >> 8) };
		size_t begin = all.len;
		ma_buf_add(&all, head, sizeof(head));
		ma_buf_add(&all, raw + sizeof(block), block.bytes);
		if (!strcmp(name, "all"))
			save("fuzz/corpus/snapshot_blocks", ma_chunk_kind_name(h.kind), "", all.data + begin,
			     all.len - begin);
	}
	save("fuzz/corpus/snapshot_blocks", name, "", all.data, all.len);
	ZSTD_freeDCtx(d);
}

static void values(const char *path, enum ma_values mode, const char *name)
{
	size_t len;
	char prefix[64];
	sb_values_sample(path, mode);
	_cleanup_free_ uint8_t *bytes = snap_bytes_read(path, &len);
	remove(path);
	golden("golden/v1", name, bytes, len);
	blocks(bytes, len, name);
	snprintf(prefix, sizeof(prefix), "%s_", name);
	lost(bytes, len, prefix, MA_BLOCK_VALUES);
}

int main(int argc, char **argv)
{
	size_t len;
	if (argc != 2) {
		fprintf(stderr, "usage: make_golden DIR\n");
		return 2;
	}
	root = argv[1];
	_cleanup_free_ uint8_t *sample = snap_bytes_sample(100, &len);
	golden("golden/v1", "sample", sample, len);
	_cleanup_free_ uint8_t *small = snap_bytes_sample(3, &len);
	damaged(small, len);
	refused(small, len);
	blocks(small, len, "all");
	struct ma_snap_writer *w;
	char path[1024];
	snprintf(path, sizeof(path), "%s/nothing", root);
	struct ma_error *err = ma_snap_writer_create(path, NULL, &w);
	if (!err)
		err = ma_snap_writer_commit(w, NULL);
	must(!err, err ? err->message : "");
	ma_snap_writer_destroy(w);
	_cleanup_free_ uint8_t *nothing = snap_bytes_read(path, &len);
	remove(path);
	golden("golden/v1", "nothing", nothing, len);
	sb_native_sample(path);
	_cleanup_free_ uint8_t *native = snap_bytes_read(path, &len);
	remove(path);
	golden("golden/v1", "native", native, len);
	blocks(native, len, "native");
	sb_sites_sample(path);
	_cleanup_free_ uint8_t *sites = snap_bytes_read(path, &len);
	remove(path);
	golden("golden/v1", "sites", sites, len);
	lost(sites, len, "sites_", MA_BLOCK_SITES);
	lost(sites, len, "sites_", MA_BLOCK_TRACES);
	blocks(sites, len, "sites");
	sb_malloc_sample(path, SB_MALLOC_PAGES | SB_MALLOC_HEAPS);
	_cleanup_free_ uint8_t *memory = snap_bytes_read(path, &len);
	remove(path);
	golden("golden/v1", "malloc", memory, len);
	blocks(memory, len, "malloc");
	leaky_snapshot(path, &(struct leaky_options){ .sessions = 8 }, &(struct leaky_facts){ 0 });
	_cleanup_free_ uint8_t *leaky = snap_bytes_read(path, &len);
	remove(path);
	blocks(leaky, len, "leaky");
	values(path, MA_VALUES_PREFIX, "values");
	values(path, MA_VALUES_HASH, "values_hash");
	values(path, MA_VALUES_ALL, "values_all");
	return 0;
}
