// SPDX-License-Identifier: Apache-2.0
/* remote.h - the client's half of docs/protocol.md, over any stream. */
#ifndef MA_REMOTE_H
#define MA_REMOTE_H

#include "messages.h"

/* Where a target is: ssh://[user@]host[:port]/PID or tls://host[:port]/PID, with /name:PATTERN in place of /PID. */
struct ma_remote_url {
	bool tls;
	char *user, *host, *name; /* user NULL: as the configuration says; name: the pattern, or NULL */
	unsigned port;            /* 0: the same */
	pid_t pid;                /* 0 with a name */
};

bool ma_remote_url_is(const char *text);
MA_CHECK struct ma_error *ma_remote_url_parse(const char *text, struct ma_remote_url *ret);
void ma_remote_url_deinit(struct ma_remote_url *u);

/* A far side that has greeted. */
struct ma_remote {
	struct ma_stream stream;
	struct ma_frame_reader reader;
	struct ma_hello hello;
};

/* MA_ERR_UNSUPPORTED: another version of memattach. The stream must outlive *ret. */
MA_CHECK struct ma_error *ma_remote_greet(const struct ma_stream *stream, struct ma_remote *ret);
void ma_remote_deinit(struct ma_remote *r);

/* As ma_session_snapshot(), of a process there into a file here. When the link is cut half way, what came is kept as
 * PATH.part, unless options->attach.threads_only, and the error says so. `rate`: bytes a second at most, 0 = no limit.
 */
MA_CHECK struct ma_error *ma_remote_snapshot(struct ma_remote *r, const struct ma_session_options *options,
					     uint64_t rate, struct ma_session_result *ret);
MA_CHECK struct ma_error *ma_remote_doctor(struct ma_remote *r, pid_t pid, struct ma_doctor *ret);
/* The one Python process there whose command line has `pattern` in it, or matches it (* ? [). */
MA_CHECK struct ma_error *ma_remote_find(struct ma_remote *r, const char *pattern, pid_t *ret);

#endif
