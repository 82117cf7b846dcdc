// SPDX-License-Identifier: Apache-2.0
/* data_folder.h - where snapshots, their catalogue and the key of hashes are kept. */
#ifndef MA_DATA_FOLDER_H
#define MA_DATA_FOLDER_H

#include <memattach/error.h>
#include <memattach/types.h>

/* $XDG_DATA_HOME/memattach, else ~/.local/share/memattach; it need not be there. MA_ERR_USAGE when the user has no home
 * folder. The caller frees *ret. */
MA_CHECK struct ma_error *ma_data_folder(char **ret);
/* The same, made with mode 0700 where it is not there: what is in a snapshot is its owner's alone. */
MA_CHECK struct ma_error *ma_data_folder_make(char **ret);

#endif
