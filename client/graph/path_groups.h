// SPDX-License-Identifier: Apache-2.0
/* path_groups.h - all memory by who holds it: the dominator tree, with the objects that look the same from above as one
 * node. "module app.cache" has ".items dict" below it, that "[] app.Session", that ".name str": what a flame graph
 * shows. Where several objects share one, it hangs below the next one on the shortest way to it (ma_holder_of()).
 *
 * The elements of a container are one node for each type, the dict of an object's attributes is one with the object,
 * and what repeats on a way (the nodes of a linked list, of a tree) is one with its first. */
#ifndef MA_PATH_GROUPS_H
#define MA_PATH_GROUPS_H

#include "graph.h"

#define MA_NO_GROUP UINT32_MAX
#define MA_GROUP_DEPTH_MAX 202 /* groups on a way; what is deeper counts for the last one */

struct ma_path_group {
	uint32_t parent;               /* position of the group above, MA_NO_GROUP = a root; it stands before */
	uint32_t depth;                /* 0 = a root */
	uint32_t type_id;              /* 0 = not one type, or not known */
	uint64_t bytes, objects;       /* of the group alone */
	uint64_t total, total_objects; /* with all groups below it */
	uint64_t addr;                 /* of one of its objects, the first found */
	const char *text;              /* ".items dict"; untrusted bytes, NUL-terminated */
};

struct ma_path_groups {
	struct ma_path_group *groups;
	size_t count;
	uint64_t bytes, objects; /* of all of them */
	void *names;             /* what the texts point to */
};

/* Groups with less than `least` bytes in all, together with what is below them, become one "(smaller)" beside their
 * neighbours. The graph's books must be open; they are closed by it. 36 bytes an object while it runs. */
MA_CHECK struct ma_error *ma_path_groups_create(struct ma_graph *g, uint64_t least, struct ma_path_groups *ret);
void ma_path_groups_deinit(struct ma_path_groups *p);

#endif
