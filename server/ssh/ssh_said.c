// SPDX-License-Identifier: Apache-2.0
#include "ssh_talk.h"

#include <string.h>

void ma_ssh_said_add(struct ma_ssh_said *said, const char *text, size_t bytes)
{
	const size_t most = sizeof(said->text) - 1;
	if (bytes > most) {
		text += bytes - most;
		bytes = most;
	}
	if (said->bytes + bytes > most) {
		size_t drop = said->bytes + bytes - most;
		memmove(said->text, said->text + drop, said->bytes - drop);
		said->bytes -= drop;
	}
	memcpy(said->text + said->bytes, text, bytes);
	said->bytes += bytes;
}

struct ma_error *ma_ssh_said_explain(struct ma_ssh_said *said, bool sudo, struct ma_error *err)
{
	while (said->bytes && strchr("\r\n ", said->text[said->bytes - 1]))
		said->bytes--;
	said->text[said->bytes] = '\0';
	const char *newline = strrchr(said->text, '\n'), *last = newline ? newline + 1 : said->text;
	if (!*last || err == &ma_enomem)
		return err;
	struct ma_error *longer =
		sudo && !strncmp(last, "sudo: ", strlen("sudo: "))
			? ma_errorf(MA_ERR_PERMISSION, "%s (--sudo wants a rule there with NOPASSWD: nobody is asked)",
				    last)
			: ma_errorf(err->code, "%s; it says: %s", err->message, last);
	ma_error_free(err);
	return longer;
}
