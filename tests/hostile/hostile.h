// SPDX-License-Identifier: Apache-2.0
/* hostile.h - files that harm whoever trusts them. */
#ifndef MA_TEST_HOSTILE_H
#define MA_TEST_HOSTILE_H

/* Of `of` files each has every string of the list somewhere, number `file` each of them in another place. With `grown`
 * a later one of the same process, in which the containers hold more. */
void hostile_names(const char *path, unsigned file, unsigned of, unsigned grown);

/* Small files that make much: one for each NAME of the list, "FOLDER/bomb-NAME.mem". */
void hostile_bombs(const char *folder);

#endif
