// SPDX-License-Identifier: Apache-2.0
/* ssh_talk.h - what the client makes of all that the far side says before the protocol begins. */
#ifndef MA_SSH_TALK_H
#define MA_SSH_TALK_H

#include "stream.h"

#include <stdbool.h>

/* With the script that runs there (ssh_start.c): what it has, what it is to do, and the helper, if it needs one. */
MA_CHECK struct ma_error *ma_ssh_talk(const struct ma_stream *stream, bool sudo, bool copy, bool *copied_ret);

/* The end of its standard error. */
struct ma_ssh_said {
	char text[512];
	size_t bytes;
};
void ma_ssh_said_add(struct ma_ssh_said *said, const char *text, size_t bytes);
/* Puts its last line, if any, behind the message of err, and returns err. */
MA_CHECK struct ma_error *ma_ssh_said_explain(struct ma_ssh_said *said, bool sudo, struct ma_error *err);

#endif
