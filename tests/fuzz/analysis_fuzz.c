// SPDX-License-Identifier: Apache-2.0
/* What is made of a snapshot whose checksums are right and whose contents are not: reports and queries. The input is
 * that of snapshot_blocks_fuzz.c, and so is the corpus. */
#include "fuzz.h"
#include "query.h"
#include "report.h"
#include "snapshot_bytes.h"

#include <string.h>

static void reports(FILE *out, const struct ma_snap *s)
{
	const struct ma_report_options opt = { .path = "x.mem", .columns = 80 };
	struct ma_analysis a;
	struct ma_error *err = ma_analysis_create(s, true, &a);
	if (!err) {
		err = ma_report_text(out, &a, &opt);
		ma_error_free(err);
		err = ma_report_json(out, &a, &opt);
		ma_analysis_deinit(&a);
	}
	ma_error_free(err);
	ma_error_free(ma_report_modules(out, s, "*", false, &opt));
	ma_error_free(ma_stacks_text(out, s, &opt));
	ma_error_free(ma_stacks_json(out, s));
}

static void queries(FILE *out, const struct ma_snap *s)
{
	static const char *const all[] = {
		"SELECT *, retained, path FROM objects ORDER BY addr LIMIT 40",
		"SELECT a.addr, e.dst, e.name FROM objects a JOIN edges e ON e.src = a.addr LIMIT 100",
		"SELECT a.addr, e.src, e.name FROM objects a JOIN edges e ON e.dst = a.addr LIMIT 100",
		"SELECT *, retained FROM types LIMIT 40",
		"SELECT * FROM frames LIMIT 40",
		"SELECT * FROM memory",
		"SELECT * FROM buffers LIMIT 40",
		"SELECT * FROM native_words LIMIT 40",
		"SELECT * FROM roots LIMIT 40",
		"SELECT * FROM heaps LIMIT 40",
		"SELECT * FROM arenas LIMIT 40",
		"SELECT a.*, a.object, s.depth, s.line FROM allocations a LEFT JOIN sites s ON s.id = a.site LIMIT 100",
		"SELECT * FROM sites LIMIT 40",
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ma_error_free(ma_query_run(out, s, all[i], MA_QUERY_JSON));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(4 << 20);
	struct ma_snap *s;
	snap_put_input(&b, data, size);
	if (b.failed)
		return 0;
	struct ma_error *err = snap_bytes_open(b.data, b.len, &s);
	if (err) {
		ma_error_free(err);
		return 0;
	}
	FILE *out = fopen("/dev/null", "w");
	if (out) {
		reports(out, s);
		queries(out, s);
		fclose(out);
	}
	ma_snap_close(s);
	return 0;
}
