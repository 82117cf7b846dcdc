// SPDX-License-Identifier: Apache-2.0
/* `memattach check`: every byte, every checksum, every record. */
#include "cleanup.h"
#include "snap.h"

static void destroy_cursor(struct ma_snap_cursor **c)
{
	ma_snap_cursor_destroy(*c);
}

/* An id of a name in a record, as it stands in the file, is not kept by the cursor when it is wrong; so what is left
 * to see here is a type that is not defined. */
static struct ma_error *check_objects(const struct ma_snap *s, uint64_t *objects, uint64_t *edges)
{
	__attribute__((__cleanup__(destroy_cursor))) struct ma_snap_cursor *c = NULL;
	struct ma_snap_object o;
	struct ma_snap_edge e;
	MA_TRY(ma_snap_cursor_create(s, &c));
	while (ma_snap_next_object(c, &o)) {
		if (!o.type_id)
			return ma_errorf(MA_ERR_BAD_DATA, "%s: the object at %#llx has a type that is not defined",
					 s->path, (unsigned long long)o.addr);
		if (!(o.extra & MA_OX_CONT))
			++*objects;
		while (ma_snap_next_edge(c, &e))
			++*edges;
	}
	return ma_snap_cursor_error(c);
}

struct ma_error *ma_snap_check(const char *path, uint64_t *objects_ret, uint64_t *edges_ret)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	uint64_t objects = 0, edges = 0;
	MA_TRY(ma_snap_open(path, &s));
	if (!s->tables.complete)
		return ma_errorf(MA_ERR_BAD_DATA, "%s: %s", path, s->tables.missing);
	MA_TRY(check_objects(s, &objects, &edges));
	if (objects_ret)
		*objects_ret = objects;
	if (edges_ret)
		*edges_ret = edges;
	return NULL;
}
