// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "ssh_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CONNECT_SECONDS 20L
#define STEP_MS 200

static struct ma_error *set(struct ma_ssh *s, enum ssh_options_e option, const void *value)
{
	if (!value || ssh_options_set(s->session, option, value) == SSH_OK)
		return NULL;
	return ma_errorf(MA_ERR_USAGE, "ssh: %s", ssh_get_error(s->session));
}

/* libssh takes the home folder from the user database; who sets HOME means that one. */
static struct ma_error *set_folder(struct ma_ssh *s)
{
	const char *home = getenv("HOME");
	_cleanup_free_ char *folder = NULL;
	if (!home || home[0] != '/')
		return NULL;
	if (asprintf(&folder, "%s/.ssh", home) < 0)
		return &ma_enomem;
	return set(s, SSH_OPTIONS_SSH_DIR, folder);
}

static struct ma_error *read_config(struct ma_ssh *s)
{
	struct stat st;
	const char *home = getenv("HOME");
	_cleanup_free_ char *own = NULL;
	if (s->options.config) {
		if (stat(s->options.config, &st))
			return ma_errorf(MA_ERR_USAGE, "--ssh-config %s: there is no such file", s->options.config);
		if (ssh_options_parse_config(s->session, s->options.config) != SSH_OK)
			return ma_errorf(MA_ERR_USAGE, "%s: %s", s->options.config, ssh_get_error(s->session));
		return NULL;
	}
	if (home && home[0] == '/' && asprintf(&own, "%s/.ssh/config", home) < 0)
		return &ma_enomem;
	const char *const files[] = { own, "/etc/ssh/ssh_config" };
	for (size_t i = 0; i < MA_ARRAY_SIZE(files); i++)
		if (files[i] && !stat(files[i], &st) && ssh_options_parse_config(s->session, files[i]) != SSH_OK)
			return ma_errorf(MA_ERR_USAGE, "%s: %s", files[i], ssh_get_error(s->session));
	return NULL;
}

/* libssh makes of ProxyJump a ProxyCommand of this form; that ssh has to read the same configuration, as it does when
 * ssh itself makes it. */
static struct ma_error *jump_by_config(struct ma_ssh *s)
{
	static const char begin[] = "ssh ", jump[] = " -W '[%h]:%p' ";
	const char *config = s->options.config;
	_cleanup_free_ char *longer = NULL;
	char *command = NULL;
	if (!config || ssh_options_get(s->session, SSH_OPTIONS_PROXYCOMMAND, &command) != SSH_OK)
		return NULL;
	bool ours = !strncmp(command, begin, strlen(begin)) && strstr(command, jump);
	int n = ours ? asprintf(&longer, "ssh -F '%s'%s", config, command + strlen(begin) - 1) : 0;
	ssh_string_free_char(command);
	if (n < 0) {
		longer = NULL;
		return &ma_enomem;
	}
	if (ours && strpbrk(config, "%'\\"))
		return ma_errorf(MA_ERR_USAGE, "--ssh-config %s: with ProxyJump its name may have no %%, ' or \\",
				 config);
	return set(s, SSH_OPTIONS_PROXYCOMMAND, longer);
}

/* What the command line says wins over the configuration, so it comes last. */
static struct ma_error *configure(struct ma_ssh *s)
{
	static const int no = 0;
	const long seconds = CONNECT_SECONDS;
	const struct ma_ssh_options *o = &s->options;
	MA_TRY(set_folder(s));
	MA_TRY(set(s, SSH_OPTIONS_HOST, o->host));
	MA_TRY(set(s, SSH_OPTIONS_TIMEOUT, &seconds));
	MA_TRY(set(s, SSH_OPTIONS_PROCESS_CONFIG, &no));
	MA_TRY(read_config(s));
	MA_TRY(jump_by_config(s));
	MA_TRY(set(s, SSH_OPTIONS_USER, o->user));
	MA_TRY(set(s, SSH_OPTIONS_PORT, o->port ? &o->port : NULL));
	MA_TRY(set(s, SSH_OPTIONS_KNOWNHOSTS, o->known_hosts));
	MA_TRY(set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, o->known_hosts));
	return set(s, SSH_OPTIONS_ADD_IDENTITY, o->identity);
}

/* The messages of libssh begin with what every one of them says. */
static const char *why(struct ma_ssh *s)
{
	const char *text = ssh_get_error(s->session);
	return text && *text ? text : "no reason given";
}

/* Of a command on the way libssh drops what it says. */
static struct ma_error *not_connected(struct ma_ssh *s)
{
	const char *text = why(s);
	bool late = strstr(text, "imeout") || strstr(text, "timed out");
	enum ma_error_code code = late ? MA_ERR_TIMEOUT : MA_ERR_OS;
	char *command = NULL;
	if (ssh_options_get(s->session, SSH_OPTIONS_PROXYCOMMAND, &command) != SSH_OK)
		return ma_errorf(code, "cannot connect: %s", text);
	const size_t skip = !strncmp(command, "exec ", 5) ? 5 : 0; /* libssh's, for its shell */
	struct ma_error *err =
		ma_errorf(code, "cannot connect by way of: %s (it says why when you run it): %s", command + skip, text);
	ssh_string_free_char(command);
	return err;
}

static struct ma_error *connect_to_host(struct ma_ssh *s)
{
	if (s->options.identity) {
		struct stat st;
		if (stat(s->options.identity, &st))
			return ma_errorf(MA_ERR_USAGE, "--identity %s: there is no such file", s->options.identity);
	}
	MA_TRY(configure(s));
	if (ssh_connect(s->session) != SSH_OK)
		return not_connected(s);
	MA_TRY(ma_ssh_check_host(s));
	return ma_ssh_log_in(s);
}

struct ma_error *ma_ssh_connect(const struct ma_ssh_options *options, struct ma_ssh **ret)
{
	struct ma_ssh *s = calloc(1, sizeof(*s));
	if (!s)
		return &ma_enomem;
	s->options = *options;
	s->session = ssh_new();
	struct ma_error *err = s->session ? connect_to_host(s) : &ma_enomem;
	if (err) {
		ma_ssh_close(s);
		return err;
	}
	*ret = s;
	return NULL;
}

static void close_channel(struct ma_ssh *s)
{
	if (!s->channel)
		return;
	ssh_channel_send_eof(s->channel);
	ssh_channel_close(s->channel);
	ssh_channel_free(s->channel);
	s->channel = NULL;
}

void ma_ssh_close(struct ma_ssh *s)
{
	if (!s)
		return;
	close_channel(s);
	if (s->session) {
		ssh_disconnect(s->session);
		ssh_free(s->session);
	}
	free(s->locked);
	free(s);
}

struct ma_error *ma_ssh_exec(struct ma_ssh *s, const char *command)
{
	close_channel(s);
	s->said.bytes = 0;
	s->channel = ssh_channel_new(s->session);
	if (!s->channel)
		return &ma_enomem;
	if (ssh_channel_open_session(s->channel) != SSH_OK || ssh_channel_request_exec(s->channel, command) != SSH_OK)
		return ma_errorf(MA_ERR_OS, "the far side runs no command: %s", why(s));
	return NULL;
}

/* ------------------------------------------------------------------ the stream */

/* Keeps the end of what the far side says on its standard error; it must be read, or it would fill the channel. */
static void listen_to_errors(struct ma_ssh *s)
{
	char text[256];
	int n;
	while ((n = ssh_channel_read_nonblocking(s->channel, text, sizeof(text), 1)) > 0)
		ma_ssh_said_add(&s->said, text, (size_t)n);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct ma_error *far_read(void *arg, void *data, size_t bytes, int timeout_ms, size_t *got_ret)
{
	struct ma_ssh *s = arg;
	const int64_t end = now_ms() + timeout_ms;
	for (;;) {
		listen_to_errors(s);
		int64_t left = timeout_ms < 0 ? STEP_MS : end - now_ms();
		int step = left > STEP_MS ? STEP_MS : left > 0 ? (int)left : 0;
		int n = ssh_channel_read_timeout(s->channel, data, (uint32_t)bytes, 0, step);
		if (n > 0) {
			*got_ret = (size_t)n;
			return NULL;
		}
		if (ssh_channel_is_eof(s->channel) || ssh_channel_is_closed(s->channel)) {
			listen_to_errors(s);
			if (!ssh_is_connected(s->session))
				return ma_errorf(MA_ERR_OS, "the link is cut");
			*got_ret = 0;
			return NULL;
		}
		if (n == SSH_ERROR || !ssh_is_connected(s->session))
			return ma_errorf(MA_ERR_OS, "the link is cut");
		if (timeout_ms >= 0 && now_ms() >= end)
			return ma_errorf(MA_ERR_TIMEOUT, "nothing came from the far side for %d s", timeout_ms / 1000);
	}
}

static struct ma_error *far_write(void *arg, const void *data, size_t bytes, int timeout_ms)
{
	struct ma_ssh *s = arg;
	const char *p = data;
	(void)timeout_ms; /* libssh has one of its own */
	while (bytes) {
		uint32_t most = bytes < 32768 ? (uint32_t)bytes : 32768;
		int n = ssh_channel_write(s->channel, p, most);
		if (n <= 0)
			return ma_errorf(MA_ERR_OS, "the link is cut");
		p += n;
		bytes -= (size_t)n;
	}
	return NULL;
}

struct ma_stream ma_ssh_stream(struct ma_ssh *s)
{
	return (struct ma_stream){ s, far_read, far_write };
}

struct ma_error *ma_ssh_explain(struct ma_ssh *s, struct ma_error *err)
{
	if (s->channel)
		listen_to_errors(s);
	return ma_ssh_said_explain(&s->said, s->options.sudo, err);
}
