// SPDX-License-Identifier: Apache-2.0
/* ssh.h - a command on another machine over SSH, by libssh: the only files that include it are in this folder. */
#ifndef MA_SSH_H
#define MA_SSH_H

#include "stream.h"

#include <stdbool.h>

struct ma_ssh_options {
	const char *host, *user; /* user NULL, port 0: as the configuration says, else ours and 22 */
	unsigned port;
	const char *identity, *known_hosts, *config; /* files; NULL: those of ~/.ssh */
	bool sudo;                                   /* the command on the far side is started by sudo -n */
};

struct ma_ssh;

/* Connects, checks the host's key against known_hosts (unknown or changed: MA_ERR_PERMISSION), and logs in with a key
 * or the agent. Asks for the passphrase of a key on the terminal, if there is one. */
MA_CHECK struct ma_error *ma_ssh_connect(const struct ma_ssh_options *options, struct ma_ssh **ret);
/* Starts the far side's half of docs/protocol.md: the memattach that is installed there when it is of this version and
 * `copy` is false, else a helper of ours that is copied there and removes itself. MA_ERR_UNSUPPORTED when neither can
 * be. Of an earlier start the rest is dropped. *copied_ret: it is the helper. */
MA_CHECK struct ma_error *ma_ssh_start(struct ma_ssh *s, bool copy, bool *copied_ret);
/* The standard output and input of what was started. */
struct ma_stream ma_ssh_stream(struct ma_ssh *s);
/* Puts what the far side said on its standard error last, if anything, behind the message of err, and returns err. */
MA_CHECK struct ma_error *ma_ssh_explain(struct ma_ssh *s, struct ma_error *err);
void ma_ssh_close(struct ma_ssh *s);

#endif
