// SPDX-License-Identifier: Apache-2.0
/* list.h - the Python processes of this machine. Reads /proc; nothing is stopped. */
#ifndef MA_LIST_H
#define MA_LIST_H

#include "messages.h"

/* Calls `found` for each CPython process that may be looked at, by rising pid; an error of it ends the list. */
MA_CHECK struct ma_error *ma_list_processes(struct ma_error *(*found)(void *arg, const struct ma_process *p),
					    void *arg);
/* The same for those of ma_session_family(), in its order; those that may not be looked at are without a version. A
 * family without any is no error. */
MA_CHECK struct ma_error *ma_list_family(const struct ma_family *f,
					 struct ma_error *(*found)(void *arg, const struct ma_process *p), void *arg);

#endif
