// SPDX-License-Identifier: Apache-2.0
/* Memory by path, as stacks: collapsed (flamegraph.pl, inferno) and speedscope. */
#include "paths.h"
#include "buffer.h"
#include "cleanup.h"
#include "escape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES (1u << 20)

struct ma_error *ma_export_path_groups(const struct ma_snap *s, struct ma_path_groups *ret)
{
	struct ma_graph *g;
	MA_TRY(ma_graph_create(s, true, &g));
	struct ma_error *err = ma_path_groups_create(g, g->totals.bytes / MA_EXPORT_PATHS_LEAST, ret);
	ma_graph_destroy(g);
	return err;
}

uint32_t ma_export_way(const struct ma_path_groups *p, uint32_t group, uint32_t way[MA_GROUP_DEPTH_MAX])
{
	uint32_t n = 0;
	for (; group != MA_NO_GROUP; group = p->groups[group].parent)
		way[n++] = group;
	return n;
}

/* A frame of a line: no semicolon, which parts frames, and no line break. */
static void collapsed_frame(struct ma_buf *b, const char *text)
{
	size_t at = b->len;
	ma_escape_text(b, text, strlen(text));
	for (; at < b->len; at++)
		if (b->data[at] == ';')
			b->data[at] = ':';
}

struct ma_error *ma_export_collapsed(FILE *out, const struct ma_path_groups *p)
{
	for (uint32_t i = 0; i < p->count && !ferror(out); i++) {
		_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(64 * TEXT_BYTES);
		uint32_t way[MA_GROUP_DEPTH_MAX];
		uint32_t n = ma_export_way(p, i, way);
		if (!p->groups[i].bytes)
			continue;
		while (n-- > 0) {
			collapsed_frame(&b, p->groups[way[n]].text);
			ma_buf_u8(&b, n ? ';' : ' ');
		}
		MA_TRY(ma_buf_error(&b));
		fprintf(out, "%s%" PRIu64 "\n", ma_buf_text(&b), p->groups[i].bytes);
	}
	return NULL;
}

static int by_text(const void *a, const void *b, void *arg)
{
	const struct ma_path_group *groups = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int c = strcmp(groups[x].text, groups[y].text);
	return c ? c : x < y ? -1 : x > y;
}

struct ma_error *ma_export_frames(const struct ma_path_groups *p, struct ma_export_frames *ret)
{
	_cleanup_free_ uint32_t *order = calloc(p->count + 1, sizeof(*order));
	_cleanup_free_ uint32_t *of_group = calloc(p->count + 1, sizeof(*of_group));
	_cleanup_free_ const char **texts = calloc(p->count + 1, sizeof(*texts));
	uint32_t count = 0;
	if (!order || !of_group || !texts)
		return &ma_enomem;
	for (uint32_t i = 0; i < p->count; i++)
		order[i] = i;
	qsort_r(order, p->count, sizeof(*order), by_text, p->groups);
	for (uint32_t i = 0; i < p->count; i++) {
		const char *text = p->groups[order[i]].text;
		if (!count || strcmp(texts[count - 1], text) != 0)
			texts[count++] = text;
		of_group[order[i]] = count - 1;
	}
	*ret = (struct ma_export_frames){ ma_take_ptr(texts), ma_take_ptr(of_group), count };
	return NULL;
}

void ma_export_frames_deinit(struct ma_export_frames *f)
{
	free(f->texts);
	free(f->of_group);
}

static struct ma_error *put_text(FILE *out, const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(TEXT_BYTES);
	ma_escape_json(&b, text, strlen(text));
	MA_TRY(ma_buf_error(&b));
	fwrite(b.data, 1, b.len, out);
	return NULL;
}

static struct ma_error *speedscope(FILE *out, const struct ma_path_groups *p, const struct ma_export_frames *f,
				   const char *name)
{
	fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"memattach " MA_VERSION
	      "\",\n\"name\":",
	      out);
	MA_TRY(put_text(out, name));
	fputs(",\n\"shared\":{\"frames\":[", out);
	for (uint32_t i = 0; i < f->count; i++) {
		fputs(i ? ",\n{\"name\":" : "\n{\"name\":", out);
		MA_TRY(put_text(out, f->texts[i]));
		fputc('}', out);
	}
	fprintf(out,
		"]},\n\"profiles\":[{\"type\":\"sampled\",\"name\":\"memory by "
		"path\",\"unit\":\"bytes\",\"startValue\":0,"
		"\"endValue\":%" PRIu64 ",\n\"samples\":[",
		p->bytes);
	bool first = true;
	for (uint32_t i = 0; i < p->count; i++) {
		uint32_t way[MA_GROUP_DEPTH_MAX];
		uint32_t n = ma_export_way(p, i, way);
		if (!p->groups[i].bytes)
			continue;
		fputs(first ? "\n[" : ",\n[", out);
		first = false;
		while (n-- > 0)
			fprintf(out, "%" PRIu32 "%s", f->of_group[way[n]], n ? "," : "]");
	}
	fputs("],\n\"weights\":[", out);
	first = true;
	for (uint32_t i = 0; i < p->count; i++) {
		if (!p->groups[i].bytes)
			continue;
		fprintf(out, "%s%" PRIu64, first ? "" : ",", p->groups[i].bytes);
		first = false;
	}
	fputs("]}]}\n", out);
	return NULL;
}

struct ma_error *ma_export_speedscope(FILE *out, const struct ma_path_groups *p, const char *name)
{
	struct ma_export_frames f;
	MA_TRY(ma_export_frames(p, &f));
	struct ma_error *err = speedscope(out, p, &f, name);
	ma_export_frames_deinit(&f);
	return err;
}
