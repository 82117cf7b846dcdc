// SPDX-License-Identifier: Apache-2.0
#ifndef MA_SSH_PRIVATE_H
#define MA_SSH_PRIVATE_H

#include "ssh.h"
#include "ssh_talk.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

enum ma_ssh_asked { MA_SSH_NOT_ASKED, MA_SSH_TOLD, MA_SSH_NO_TERMINAL, MA_SSH_GIVEN_UP };

struct ma_ssh {
	struct ma_ssh_options options;
	ssh_session session;
	ssh_channel channel;
	struct ssh_callbacks_struct callbacks;
	enum ma_ssh_asked asked; /* for a passphrase, the last time */
	char *locked;            /* the key that it is of */
	struct ma_ssh_said said;
};

/* The helper, as bytes, and its SHA-256 in hex; "" in a build without one. */
extern const unsigned char ma_helper_begin[], ma_helper_end[];
extern const char ma_helper_sha256[];

/* A new channel in place of the old one, on which `command` runs. */
MA_CHECK struct ma_error *ma_ssh_exec(struct ma_ssh *s, const char *command);
MA_CHECK struct ma_error *ma_ssh_check_host(struct ma_ssh *s);
MA_CHECK struct ma_error *ma_ssh_log_in(struct ma_ssh *s);
/* Asks for the passphrase of the key on the terminal; in `buf` when it was told. */
enum ma_ssh_asked ma_ssh_ask(const char *key, char *buf, size_t len);

#endif
