// SPDX-License-Identifier: Apache-2.0
/* `memattach check`: every byte, every checksum, every record. */
#include "cleanup.h"
#include "snap.h"

static void destroy_cursor(struct ma_snap_cursor **c)
{
	ma_snap_cursor_destroy(*c);
}

static struct ma_error *check_objects(const struct ma_snap *s, uint64_t *objects, uint64_t *edges, uint64_t *values)
{
	__attribute__((__cleanup__(destroy_cursor))) struct ma_snap_cursor *c = NULL;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	struct ma_snap_value v;
	MA_TRY(ma_snap_cursor_create(s, &c));
	MA_TRY(ma_snap_cursor_values(c));
	while (ma_snap_next_object(c, &o)) {
		if (!o.type_id)
			return ma_errorf(MA_ERR_BAD_DATA, "%s: the object at %#llx has a type that is not defined",
					 s->path, (unsigned long long)o.addr);
		if (!(o.extra & MA_OX_CONT))
			++*objects;
		if (ma_snap_value(c, &v) && (v.known || v.read_failed))
			++*values;
		while (ma_snap_next_edge(c, &e))
			++*edges;
	}
	return ma_snap_cursor_error(c);
}

static void destroy_traces(struct ma_trace_cursor **c)
{
	ma_trace_cursor_destroy(*c);
}

static struct ma_error *check_traces(const struct ma_snap *s, uint64_t *traces, uint64_t *bytes)
{
	__attribute__((__cleanup__(destroy_traces))) struct ma_trace_cursor *c = NULL;
	struct ma_snap_trace t;
	MA_TRY(ma_trace_cursor_create(s, &c));
	while (ma_trace_next(c, &t)) {
		++*traces;
		*bytes += t.bytes;
	}
	return ma_trace_cursor_error(c);
}

/* What the agent says it wrote and what came through: nothing was dropped on the way. 0 = it did not say. */
static struct ma_error *check_count(const struct ma_snap *s, const char *what, uint64_t said, uint64_t found)
{
	if (!said || said == found)
		return NULL;
	return ma_errorf(MA_ERR_BAD_DATA, "%s: %llu %s were written and %llu are there", s->path,
			 (unsigned long long)said, what, (unsigned long long)found);
}

struct ma_error *ma_snap_check(const char *path, uint64_t *objects_ret, uint64_t *edges_ret)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	uint64_t objects = 0, edges = 0, values = 0, traces = 0, traced = 0;
	MA_TRY(ma_snap_open(path, &s));
	if (!s->tables.complete)
		return ma_errorf(MA_ERR_BAD_DATA, "%s: %s", path, s->tables.missing);
	MA_TRY(check_objects(s, &objects, &edges, &values));
	MA_TRY(check_count(s, "objects", s->tables.stats[MA_STAT_OBJECTS], objects));
	MA_TRY(check_count(s, "values", s->tables.stats[MA_STAT_VALUES], values));
	/* the agent counts the locals of frames and what interpreters hold, too */
	MA_TRY(check_count(s, "edges", s->tables.stats[MA_STAT_EDGES], edges + s->tables.locals_count));
	MA_TRY(check_count(s, "buffers", s->tables.stats[MA_STAT_RAW], s->tables.raws_count));
	MA_TRY(check_count(s, "native words", s->tables.stats[MA_STAT_RAW_WORDS], s->tables.words_count));
	MA_TRY(check_count(s, "contents", s->tables.stats[MA_STAT_CONTENTS], s->tables.contents_count));
	MA_TRY(check_traces(s, &traces, &traced));
	MA_TRY(check_count(s, "sites", s->tables.stats[MA_STAT_SITES], s->tables.sites_count));
	MA_TRY(check_count(s, "traces", s->tables.stats[MA_STAT_TRACES], traces));
	MA_TRY(check_count(s, "traced bytes", s->tables.stats[MA_STAT_TRACES_BYTES], traced));
	if (objects_ret)
		*objects_ret = objects;
	if (edges_ret)
		*edges_ret = edges;
	return NULL;
}
