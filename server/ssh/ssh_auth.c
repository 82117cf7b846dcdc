// SPDX-License-Identifier: Apache-2.0
/* Who is there, and who we are: the host's key against known_hosts, and logging in with a key or the agent. */
#include "buffer.h"
#include "cleanup.h"
#include "ssh_private.h"

#include <string.h>

static const char *known_hosts_name(const struct ma_ssh *s)
{
	return s->options.known_hosts ? s->options.known_hosts : "~/.ssh/known_hosts";
}

/* "ED25519 key SHA256:...", as ssh shows it. The caller frees it; NULL when it can not be told. */
static char *fingerprint(struct ma_ssh *s)
{
	ssh_key key = NULL;
	unsigned char *hash = NULL;
	size_t bytes = 0;
	char *text = NULL;
	if (ssh_get_server_publickey(s->session, &key) != SSH_OK)
		return NULL;
	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &bytes) == SSH_OK) {
		char *print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, bytes);
		const char *type = ssh_key_type_to_char(ssh_key_type(key));
		if (print && asprintf(&text, "%s key %s", type ? type : "its", print) < 0)
			text = NULL;
		ssh_string_free_char(print);
	}
	ssh_clean_pubkey_hash(&hash);
	ssh_key_free(key);
	return text;
}

/* The line for known_hosts. The caller frees it with ssh_string_free_char(). */
static char *entry(struct ma_ssh *s)
{
	char *line = NULL;
	if (ssh_session_export_known_hosts_entry(s->session, &line) != SSH_OK || !line)
		return NULL;
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

struct ma_error *ma_ssh_check_host(struct ma_ssh *s)
{
	enum ssh_known_hosts_e known = ssh_session_is_known_server(s->session);
	if (known == SSH_KNOWN_HOSTS_OK)
		return NULL;
	_cleanup_free_ char *print = fingerprint(s);
	char *line = entry(s);
	const char *shown = print ? print : "its key", *file = known_hosts_name(s), *host = s->options.host;
	struct ma_error *err;
	if (known == SSH_KNOWN_HOSTS_CHANGED || known == SSH_KNOWN_HOSTS_OTHER)
		err = ma_errorf(
			MA_ERR_PERMISSION,
			"REMOTE HOST IDENTIFICATION HAS CHANGED: it has %s, not the one in %s: somebody may be in "
			"between; if the change is right, remove the old line (ssh-keygen -f %s -R '%.*s') and add "
			"this one: %s",
			shown, file, file, line ? (int)strcspn(line, " ") : (int)strlen(host), line ? line : host,
			line ? line : "?");
	else
		err = ma_errorf(MA_ERR_PERMISSION,
				"the authenticity of host '%s' can not be established: its %s is not known; compare it "
				"there (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then add this line to %s: %s",
				host, shown, file, line ? line : "?");
	ssh_string_free_char(line);
	return err;
}

/* ------------------------------------------------------------------ logging in */

static int ask_passphrase(const char *prompt, char *buf, size_t len, int echo, int verify, void *userdata)
{
	struct ma_ssh *s = userdata;
	char *key = NULL;
	(void)prompt;
	(void)echo;
	(void)verify;
	if (s->asked == MA_SSH_GIVEN_UP)
		return -1;
	if (ssh_userauth_publickey_auto_get_current_identity(s->session, &key) != SSH_OK)
		key = NULL;
	free(s->locked);
	s->locked = strdup(key ? key : "a key");
	ssh_string_free_char(key);
	s->asked = ma_ssh_ask(s->locked ? s->locked : "a key", buf, len);
	return s->asked == MA_SSH_TOLD ? 0 : -1;
}

static void put_methods(struct ma_buf *b, int methods)
{
	static const struct {
		int bit;
		const char *name;
	} names[] = { { SSH_AUTH_METHOD_PUBLICKEY, "publickey" },
		      { SSH_AUTH_METHOD_PASSWORD, "password" },
		      { SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive" },
		      { SSH_AUTH_METHOD_HOSTBASED, "hostbased" },
		      { SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi" } };
	for (size_t i = 0; i < MA_ARRAY_SIZE(names); i++)
		if (methods & names[i].bit)
			ma_buf_printf(b, "%s%s", b->len ? ", " : "", names[i].name);
}

static struct ma_error *refused(struct ma_ssh *s)
{
	_cleanup_buf_ struct ma_buf methods = MA_BUF_INIT(256);
	char *user = NULL;
	if (!ssh_is_connected(s->session))
		return ma_errorf(MA_ERR_OS, "cannot log in: the link is cut");
	if (s->asked == MA_SSH_GIVEN_UP)
		return ma_errorf(MA_ERR_CANCELLED, "interrupted");
	if (s->asked == MA_SSH_NO_TERMINAL)
		return ma_errorf(
			MA_ERR_PERMISSION,
			"cannot log in: %s has a passphrase, and there is no terminal to ask for it on; add it to the "
			"agent (ssh-add)",
			s->locked ? s->locked : "the key");
	put_methods(&methods, ssh_userauth_list(s->session, NULL));
	bool known = ssh_options_get(s->session, SSH_OPTIONS_USER, &user) == SSH_OK;
	struct ma_error *err = ma_errorf(
		MA_ERR_PERMISSION,
		"permission denied for user '%s' (the host takes: %s): no key of %s was accepted%s; name one with "
		"--identity, or add it to the agent (ssh-add)",
		known ? user : "?", ma_buf_text(&methods),
		s->options.identity ? s->options.identity : "~/.ssh or the agent",
		s->asked == MA_SSH_TOLD ? ", or the passphrase was wrong" : "");
	if (known)
		ssh_string_free_char(user);
	return err;
}

struct ma_error *ma_ssh_log_in(struct ma_ssh *s)
{
	s->callbacks.auth_function = ask_passphrase;
	s->callbacks.userdata = s;
	ssh_callbacks_init(&s->callbacks);
	ssh_set_callbacks(s->session, &s->callbacks);
	int rc = ssh_userauth_none(s->session, NULL);
	if (rc != SSH_AUTH_SUCCESS && rc != SSH_AUTH_ERROR)
		rc = ssh_userauth_publickey_auto(s->session, NULL, NULL);
	return rc == SSH_AUTH_SUCCESS ? NULL : refused(s);
}
