// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "remote.h"

#include <limits.h>
#include <string.h>

#define SCHEME_BYTES 6u /* of each */

static bool is_tls(const char *text)
{
	return !strncmp(text, "tls://", SCHEME_BYTES);
}

bool ma_remote_url_is(const char *text)
{
	return is_tls(text) || !strncmp(text, "ssh://", SCHEME_BYTES);
}

static bool number(const char *text, unsigned long most, unsigned long *ret)
{
	unsigned long v = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > most)
			return false;
		v = v * 10 + (unsigned long)(*text - '0');
	}
	*ret = v;
	return v >= 1 && v <= most;
}

/* A host or user must not look like an option of ssh, which a ProxyJump starts, nor hold what a shell reads. */
static bool plain(const char *text)
{
	static const char no[] = " \t\r\n'\"`$\\;&<>|(){}*?!~#";
	return *text && *text != '-' && !strpbrk(text, no);
}

static struct ma_error *parse_host(char *text, struct ma_remote_url *u)
{
	unsigned long port;
	char *at = strrchr(text, '@'), *host = at ? at + 1 : text, *colon;
	if (at)
		*at = '\0';
	if (*host == '[') { /* an IPv6 address */
		char *end = strchr(++host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return ma_errorf(MA_ERR_USAGE, "there is no host in it");
		*end = '\0';
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strchr(host, ':');
	}
	if (colon) {
		*colon = '\0';
		if (!number(colon + 1, 65535, &port))
			return ma_errorf(MA_ERR_USAGE, "its port is no number from 1 to 65535");
		u->port = (unsigned)port;
	}
	if (at && strchr(text, ':'))
		return ma_errorf(MA_ERR_USAGE, "a password does not belong there: use a key or the agent");
	if (!plain(host) || (at && !plain(text)))
		return ma_errorf(MA_ERR_USAGE, "there is no host in it");
	u->host = strdup(host);
	u->user = at ? strdup(text) : NULL;
	return u->host && (!at || u->user) ? NULL : &ma_enomem;
}

static struct ma_error *parse(const char *text, struct ma_remote_url *u)
{
	unsigned long pid;
	_cleanup_free_ char *copy = strdup(text + SCHEME_BYTES);
	if (!copy)
		return &ma_enomem;
	char *slash = strchr(copy, '/');
	if (!slash)
		return ma_errorf(MA_ERR_USAGE, "which process? %s/PID, /name:PATTERN, /tree:PID or /cgroup:PATH",
				 is_tls(text) ? "tls://host[:port]" : "ssh://[user@]host[:port]");
	*slash++ = '\0';
	MA_TRY(parse_host(copy, u));
	u->tls = is_tls(text);
	if (u->tls && u->user)
		return ma_errorf(MA_ERR_USAGE, "tls:// has no user: the certificate says who we are");
	if (!strncmp(slash, "name:", 5) && slash[5]) {
		u->name = strdup(slash + 5);
		return u->name ? NULL : &ma_enomem;
	}
	if (!strncmp(slash, "cgroup:/", 8)) {
		u->cgroup = strdup(slash + 7);
		return u->cgroup ? NULL : &ma_enomem;
	}
	u->tree = !strncmp(slash, "tree:", 5);
	slash += u->tree ? 5 : 0;
	if (!number(slash, INT_MAX, &pid))
		return ma_errorf(MA_ERR_USAGE,
				 "'%s' is neither a process id nor name:PATTERN, tree:PID or cgroup:/PATH", slash);
	u->pid = (pid_t)pid;
	return NULL;
}

struct ma_error *ma_remote_url_parse(const char *text, struct ma_remote_url *ret)
{
	struct ma_remote_url u = { 0 };
	struct ma_error *err = parse(text, &u);
	if (err) {
		ma_remote_url_deinit(&u);
		return ma_error_prefix(err, "target '%s'", text);
	}
	*ret = u;
	return NULL;
}

void ma_remote_url_deinit(struct ma_remote_url *u)
{
	free(u->user);
	free(u->host);
	free(u->name);
	free(u->cgroup);
	*u = (struct ma_remote_url){ 0 };
}
