// SPDX-License-Identifier: Apache-2.0
/* modules.h - what each module keeps, and what the instances of its classes take. */
#ifndef MA_MODULES_H
#define MA_MODULES_H

#include "trees.h"

struct ma_module {
	char *name;        /* untrusted bytes */
	size_t package;    /* bytes of the name before its first dot: the name of the package */
	uint32_t node;     /* MA_NO_INDEX: there are only instances of its classes */
	uint64_t addr;     /* set by who outlives the graph */
	uint64_t bytes;    /* of the instances of its classes */
	uint64_t count;    /* how many these are */
	uint64_t retained; /* what would be freed with the module, its namespace and all that only it leads to */
};

struct ma_modules {
	struct ma_module *rows; /* most retained first */
	size_t count;
};

/* Of `t` the graph, the tree and retained sizes. At most one pass over the file for the names. */
MA_CHECK struct ma_error *ma_modules_create(const struct ma_trees *t, struct ma_modules *ret);
/* The same rows by package: no object is retained by two modules, so these are sums. Nodes are MA_NO_INDEX. */
MA_CHECK struct ma_error *ma_modules_packages(const struct ma_modules *m, struct ma_modules *ret);
void ma_modules_deinit(struct ma_modules *m);

#endif
