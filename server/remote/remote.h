// SPDX-License-Identifier: Apache-2.0
/* remote.h - the client's half of docs/protocol.md, over any stream. */
#ifndef MA_REMOTE_H
#define MA_REMOTE_H

#include "messages.h"

/* Where a target is: ssh://[user@]host[:port]/PID or tls://host[:port]/PID. In place of /PID: /name:PATTERN, /tree:PID,
 * /cgroup:PATH. */
struct ma_remote_url {
	bool tls, tree;
	char *user, *host; /* user NULL: as the configuration says */
	unsigned port;     /* 0: the same */
	pid_t pid;         /* 0 with one of the next two */
	char *name, *cgroup;
};

bool ma_remote_url_is(const char *text);
MA_CHECK struct ma_error *ma_remote_url_parse(const char *text, struct ma_remote_url *ret);
void ma_remote_url_deinit(struct ma_remote_url *u);

/* What a snapshot may ask of the link. */
struct ma_remote_link {
	uint64_t rate; /* bytes a second at most, 0 = no limit */
	/* The far side is asked to keep what a cut link leaves, and PATH.part.resume says how it is called there; when
	 * that file is there already, only the rest is asked for. */
	bool resume;
	uint32_t keep_s; /* with `resume`: for so long. memattachd has a time of its own */
};

/* A far side that has greeted. */
struct ma_remote {
	struct ma_stream stream;
	struct ma_frame_reader reader;
	struct ma_hello hello;
	bool broken; /* of no use any more: the link, or what came over it */
	bool heard;  /* something was answered to the last request for a snapshot */
};

/* MA_ERR_UNSUPPORTED: another version of memattach. The stream must outlive *ret. */
MA_CHECK struct ma_error *ma_remote_greet(const struct ma_stream *stream, struct ma_remote *ret);
void ma_remote_deinit(struct ma_remote *r);

/* As ma_session_snapshot(), of a process there into a file here. When the link is cut half way, what came is kept as
 * PATH.part, unless options->attach.threads_only, and the error says so. */
MA_CHECK struct ma_error *ma_remote_snapshot(struct ma_remote *r, const struct ma_session_options *options,
					     const struct ma_remote_link *link, struct ma_session_result *ret);
MA_CHECK struct ma_error *ma_remote_doctor(struct ma_remote *r, pid_t pid, struct ma_doctor *ret);
/* The one Python process there whose command line has `pattern` in it, or matches it (* ? [). With `tree` the one that
 * all others are below, where it means several. */
MA_CHECK struct ma_error *ma_remote_find(struct ma_remote *r, const char *pattern, bool tree, pid_t *ret);
/* ma_session_family() there. */
MA_CHECK struct ma_error *ma_remote_family(struct ma_remote *r, const struct ma_family *f, pid_t **ret,
					   size_t *count_ret);

#endif
