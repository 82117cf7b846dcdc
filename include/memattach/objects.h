// SPDX-License-Identifier: Apache-2.0
/* memattach/objects.h - the objects of a snapshot, who holds whom, and what would be freed with each: the graph, its
 * dominator tree and the tree of shortest ways.
 *
 * An object has a number: its rank in the order of addresses, from 0 to ma_objects_count() - 1. Functions with a number
 * that is no object's return false or 0. All names and paths are untrusted bytes of the target. Different threads may
 * work on different `struct ma_objects` at the same time, not on one. */
#ifndef MEMATTACH_OBJECTS_H
#define MEMATTACH_OBJECTS_H

#include <memattach/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* what libmemattach.so exports */

#define MA_OBJECT_NONE UINT32_MAX

struct ma_objects;

struct ma_object {
	uint64_t addr, size;
	uint64_t retained; /* bytes that would be freed with it, its own included */
	const char *type;  /* belongs to the snapshot; types of the same name may differ in type_id */
	uint32_t type_id;  /* 0 = its definition is lost */
	uint32_t dominator; /* the nearest object that all ways from the roots lead through, or MA_OBJECT_NONE */
	uint32_t parent;    /* the one before it on a shortest way from a root; MA_OBJECT_NONE: it is a root */
};

struct ma_object_type { /* types of the same name together */
	const char *name;
	uint64_t count, bytes;
	uint64_t retained; /* by all of them together, no object counted twice */
};

/* Reads the whole snapshot, which must stay open as long as *ret lives. 32 bytes an object and 4 a reference, after up
 * to 73 bytes an object while it is made. MA_ERR_LIMIT above 2^31 - 2 objects or references. */
MA_CHECK struct ma_error *ma_objects_create(const struct ma_snap *s, struct ma_objects **ret);
void ma_objects_destroy(struct ma_objects *o);

uint32_t ma_objects_count(const struct ma_objects *o);
bool ma_objects_get(const struct ma_objects *o, uint32_t number, struct ma_object *ret);
/* The number of the object at `addr`, or MA_OBJECT_NONE. */
uint32_t ma_objects_find(struct ma_objects *o, uint64_t addr);
/* To what objects `number` refers: the first `room` of them are put into `ret`. Returns how many there are. References
 * that are borrowed, and those of instances to their classes, are not among them. */
size_t ma_objects_references(const struct ma_objects *o, uint32_t number, uint32_t *ret, size_t room);
/* The `room` objects with the largest retained size, or all when there are fewer; largest first. Returns how many. */
size_t ma_objects_largest(const struct ma_objects *o, uint32_t *ret, size_t room);
/* Most bytes first; belongs to `o`. */
const struct ma_object_type *ma_objects_types(const struct ma_objects *o, size_t *count_ret);
/* The shortest way to each of `count` different objects, as Python would write it: "app.cache[0].rows". The caller
 * frees each of ret[0 .. count - 1] with free(). Two or three passes over the file, however many objects are asked for.
 * MA_ERR_USAGE when a number is no object's or is there twice. */
MA_CHECK struct ma_error *ma_objects_paths(struct ma_objects *o, const uint32_t *numbers, size_t count, char **ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
