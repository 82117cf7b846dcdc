// SPDX-License-Identifier: Apache-2.0
/* resume.h - what is here of a snapshot whose link was cut: PATH.part, and in PATH.part.resume its key at the far side.
 */
#ifndef MA_RESUME_H
#define MA_RESUME_H

#include <memattach/error.h>
#include <memattach/siphash.h>
#include <memattach/types.h>
#include <stdbool.h>

struct ma_resume {         /* zero: not wanted */
	bool wanted, rest; /* rest: a part is there */
	uint8_t key[MA_SIPHASH_KEY_BYTES];
	char *part, *note;
};

/* A new key; or that of the part, which is copied into `fd`. */
MA_CHECK struct ma_error *ma_resume_begin(const char *path, int fd, struct ma_resume *ret, uint64_t *bytes_ret);
/* Writes the key down, if wanted. */
MA_CHECK struct ma_error *ma_resume_note(const struct ma_resume *r);
/* Removes the note, and when it is `whole` the part. */
void ma_resume_end(const struct ma_resume *r, bool whole);
void ma_resume_deinit(struct ma_resume *r);

#endif
