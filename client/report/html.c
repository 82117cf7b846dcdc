// SPDX-License-Identifier: Apache-2.0
/* The report as one HTML file. The page is fixed; what comes from the target is JSON in it, in which no < is left, and
 * reaches the page as text only (html/report.js). */
#include "html.h"

#include "cleanup.h"
#include "escape.h"
#include "human.h"

#include <inttypes.h>
#include <string.h>

#define GROUPS_LEAST 4000 /* a box with less than this part of all bytes is not drawn by itself */

/* The files, one after the other: the text of each is between its two symbols. */
#define ASSET(name, files)                                                                                       \
	__asm__(".section .rodata\n.local ma_html_" #name "\nma_html_" #name ":\n" files ".local ma_html_" #name \
		"_end\nma_html_" #name "_end:\n.byte 0\n.previous\n");                                           \
	extern const char ma_html_##name[] __attribute__((visibility("hidden")));                                \
	extern const char ma_html_##name##_end[] __attribute__((visibility("hidden")))
#define FILE_OF(path) ".incbin \"" MA_SOURCE_DIR "/" path "\"\n.ascii \"\\n\"\n"
#define D3(part) FILE_OF("third_party/d3-flame-graph/d3-" part ".min.js")

ASSET(head, FILE_OF("client/report/html/page.html"));
ASSET(style, FILE_OF("third_party/d3-flame-graph/d3-flamegraph.css") FILE_OF("client/report/html/report.css"));
ASSET(body, FILE_OF("client/report/html/body.html"));
/* in the order in which they need each other */
ASSET(library,
      D3("array") D3("color") D3("dispatch") D3("ease") D3("format") D3("hierarchy") D3("interpolate") D3("time")
	      D3("time-format") D3("timer") D3("scale") D3("selection") D3("transition") D3("flamegraph"));
ASSET(script, FILE_OF("client/report/html/report.js"));

#define PUT(out, name) fwrite(ma_html_##name, 1, (size_t)(ma_html_##name##_end - ma_html_##name), (out))

/* JSON within <script>: < only ever stands in a string, where \u003c says the same and ends no script. */
static void put_json(FILE *out, const char *p, size_t bytes)
{
	for (const char *end = p + bytes; p < end;) {
		const char *less = memchr(p, '<', (size_t)(end - p));
		fwrite(p, 1, (size_t)((less ? less : end) - p), out);
		if (!less)
			break;
		fputs("\\u003c", out);
		p = less + 1;
	}
}

static void put_numbers(FILE *out, const char *name, const struct ma_path_groups *p,
			uint64_t (*get)(const struct ma_path_group *))
{
	fprintf(out, ",\n\"%s\":[", name);
	for (size_t i = 0; i < p->count; i++)
		fprintf(out, "%s%" PRIu64, i ? "," : "", get(&p->groups[i]));
	fputc(']', out);
}

static uint64_t total_of(const struct ma_path_group *g)
{
	return g->total;
}

static uint64_t objects_of(const struct ma_path_group *g)
{
	return g->total_objects;
}

static struct ma_error *put_paths(FILE *out, const struct ma_path_groups *p)
{
	fprintf(out, "{\"bytes\":%" PRIu64 ",\"parent\":[", p->bytes);
	for (size_t i = 0; i < p->count; i++)
		fprintf(out, "%s%" PRId64, i ? "," : "",
			p->groups[i].parent == MA_NO_GROUP ? INT64_C(-1) : (int64_t)p->groups[i].parent);
	fputc(']', out);
	put_numbers(out, "total", p, total_of);
	put_numbers(out, "objects", p, objects_of);
	fputs(",\n\"text\":[", out);
	for (size_t i = 0; i < p->count; i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
		ma_buf_str(&b, i ? ",\n" : "\n");
		ma_escape_json(&b, p->groups[i].text, strlen(p->groups[i].text));
		MA_TRY(ma_buf_error(&b));
		fwrite(b.data, 1, b.len, out);
	}
	fputs("]}", out);
	return NULL;
}

/* `taken_ns`: of the snapshot of the report. */
static void put_series(FILE *out, const struct ma_html_more *more, uint64_t taken_ns)
{
	fputs("[", out);
	for (size_t i = 0; i < more->series_count; i++) {
		const struct ma_html_point *p = &more->series[i];
		char taken[MA_HUMAN_MAX];
		fprintf(out, "%s{\"taken_ms\":%" PRIu64 ",\"taken_at\":\"%s\"", i ? ",\n" : "\n", p->taken_ns / 1000000,
			ma_human_time(taken, p->taken_ns));
		fprintf(out, ",\"rss\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"here\":%s}", p->rss_bytes, p->bytes,
			p->taken_ns == taken_ns ? "true" : "false");
	}
	fputs("]", out);
}

static struct ma_error *put_data(FILE *out, const struct ma_analysis *a, const struct ma_path_groups *p,
				 const struct ma_html_more *more, const struct ma_report_options *opt)
{
	fputs("{\"version\":\"" MA_VERSION "\",\"labels\":{", out);
	for (int i = 0; i < MA_MEM_COUNT; i++) {
		char room[64];
		const char *label = ma_memory_label(&a->memory, (enum ma_memory_row)i, room);
		fprintf(out, "%s\"%s\":", i ? "," : "", ma_memory_name((enum ma_memory_row)i));
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1024);
		ma_escape_json(&b, label, strlen(label));
		MA_TRY(ma_buf_error(&b));
		fwrite(b.data, 1, b.len, out);
	}
	fputs("},\n\"paths\":", out);
	MA_TRY(put_paths(out, p));
	fputs(",\n\"report\":", out);
	MA_TRY(ma_report_json(out, a, opt));
	fputs(",\n\"series\":", out);
	put_series(out, more, ma_snap_tables(a->snap)->meta.taken_realtime_ns);
	fputs(",\n\"diff\":", out);
	if (more->diff)
		MA_TRY(ma_diff_json(out, more->diff, more->names));
	else
		fputs("null", out);
	fputs("}", out);
	return NULL;
}

struct ma_error *ma_html_groups(const struct ma_snap *s, struct ma_path_groups *ret)
{
	struct ma_graph *g;
	MA_TRY(ma_graph_create(s, true, &g));
	struct ma_error *err = ma_path_groups_create(g, g->totals.bytes / GROUPS_LEAST, ret);
	ma_graph_destroy(g);
	return err;
}

struct ma_error *ma_report_html(FILE *out, const struct ma_analysis *a, const struct ma_path_groups *p,
				const struct ma_html_more *more, const struct ma_report_options *opt)
{
	_cleanup_free_ char *json = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&json, &bytes);
	if (!f)
		return &ma_enomem;
	struct ma_error *err = put_data(f, a, p, more, opt);
	bool lost = ferror(f);
	if ((fclose(f) != 0 || lost || !json) && !err) /* at its end it may lose all that it has and say nothing */
		err = &ma_enomem;
	if (err)
		return err;
	PUT(out, head);
	fputs("<style>\n", out);
	PUT(out, style);
	fputs("</style>\n", out);
	PUT(out, body);
	fputs("<script type=\"application/json\" id=\"data\">", out);
	put_json(out, json, bytes);
	fputs("</script>\n<script>\n", out);
	PUT(out, library);
	fputs("</script>\n<script>\n", out);
	PUT(out, script);
	fputs("</script>\n</body>\n</html>\n", out);
	return NULL;
}
