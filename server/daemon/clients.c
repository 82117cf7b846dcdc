// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "daemon.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define RULES_MAX 4096u
#define LINE_MAX_BYTES 4096

struct rule {
	int client;             /* of names */
	bool any_user, nothing; /* nothing: to see in /metrics, not to attach to */
	unsigned uid;
	char *pattern;
};

struct ma_clients {
	char *names[MA_CLIENTS_MAX];
	bool named[MA_CLIENTS_MAX]; /* else it is a name of an earlier list */
	int count;
	struct rule *rules;
	size_t rule_count;
};

void ma_clients_destroy(struct ma_clients *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->count; i++)
		free(c->names[i]);
	for (size_t i = 0; i < c->rule_count; i++)
		free(c->rules[i].pattern);
	free(c->rules);
	free(c);
}

static int number_of(const struct ma_clients *c, const char *name)
{
	for (int i = 0; i < c->count; i++)
		if (!strcmp(c->names[i], name))
			return i;
	return -1;
}

int ma_clients_find(const struct ma_clients *c, const char *name)
{
	int i = number_of(c, name);
	return i >= 0 && c->named[i] ? i : -1;
}

/* Gives the name a number, unless it has one. */
static struct ma_error *add_name(struct ma_clients *c, const char *name, int *ret)
{
	*ret = number_of(c, name);
	if (*ret >= 0)
		return NULL;
	if (c->count == MA_CLIENTS_MAX)
		return ma_errorf(MA_ERR_LIMIT, "more than %d clients", MA_CLIENTS_MAX);
	c->names[c->count] = strdup(name);
	if (!c->names[c->count])
		return &ma_enomem;
	*ret = c->count++;
	return NULL;
}

static struct ma_error *user_of(const char *text, struct rule *r)
{
	char *end;
	r->nothing = !strcmp(text, "-");
	r->any_user = r->nothing || !strcmp(text, "*");
	if (r->any_user)
		return NULL;
	errno = 0;
	unsigned long uid = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && uid < UINT_MAX) {
		r->uid = (unsigned)uid;
		return NULL;
	}
	const struct passwd *p = getpwnam(text);
	if (!p)
		return ma_errorf(MA_ERR_USAGE, "there is no user '%s' here", text);
	r->uid = p->pw_uid;
	return NULL;
}

static struct ma_error *add(struct ma_clients *c, const char *name, const char *user, const char *pattern)
{
	if (!ma_tls_name_ok(name))
		return ma_errorf(MA_ERR_USAGE, "'%s' is no name of a client", name);
	if (c->rule_count == RULES_MAX)
		return ma_errorf(MA_ERR_LIMIT, "more than %u rules", RULES_MAX);
	struct rule r = { 0 };
	MA_TRY(user_of(user, &r));
	MA_TRY(add_name(c, name, &r.client));
	c->named[r.client] = true;
	struct rule *rules = realloc(c->rules, (c->rule_count + 1) * sizeof(*rules));
	if (!rules)
		return &ma_enomem;
	c->rules = rules;
	r.pattern = strdup(pattern);
	if (!r.pattern)
		return &ma_enomem;
	rules[c->rule_count++] = r;
	return NULL;
}

/* NAME USER PATTERN, the pattern being the rest of the line. */
static struct ma_error *parse_line(struct ma_clients *c, char *line)
{
	static const char blanks[] = " \t\r\n";
	size_t bytes = strlen(line);
	while (bytes && strchr(blanks, line[bytes - 1]))
		line[--bytes] = '\0';
	char *name = line + strspn(line, blanks);
	if (!*name || *name == '#')
		return NULL;
	char *user = name + strcspn(name, blanks);
	if (*user)
		*user++ = '\0';
	user += strspn(user, blanks);
	char *pattern = user + strcspn(user, blanks);
	if (*pattern)
		*pattern++ = '\0';
	pattern += strspn(pattern, blanks);
	if (!*pattern)
		return ma_errorf(MA_ERR_USAGE, "a line is: name of the client, user, pattern of the command line");
	return add(c, name, user, pattern);
}

static struct ma_error *parse(FILE *f, struct ma_clients *c)
{
	_cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
	if (!line)
		return &ma_enomem;
	for (unsigned number = 1; fgets(line, LINE_MAX_BYTES, f); number++) {
		struct ma_error *err = !strchr(line, '\n') && !feof(f) ? ma_errorf(MA_ERR_LIMIT, "the line is too long")
								       : parse_line(c, line);
		if (err)
			return ma_error_prefix(err, "line %u", number);
	}
	return ferror(f) ? ma_errorf(MA_ERR_OS, "cannot read it") : NULL;
}

static struct ma_error *add_names(struct ma_clients *c, const struct ma_clients *before)
{
	for (int i = 0, number; before && i < before->count; i++)
		MA_TRY(add_name(c, before->names[i], &number));
	return NULL;
}

struct ma_error *ma_clients_read(const char *path, const struct ma_clients *before, struct ma_clients **ret)
{
	struct stat st;
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	if (!f)
		return ma_error_os(errno, "%s", path);
	if (fstat(fileno(f), &st) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return ma_errorf(MA_ERR_PERMISSION, "%s may be written by others: chmod go-w %s", path, path);
	struct ma_clients *c = calloc(1, sizeof(*c));
	if (!c)
		return &ma_enomem;
	struct ma_error *err = add_names(c, before);
	if (!err)
		err = parse(f, c);
	if (err) {
		ma_clients_destroy(c);
		return ma_error_prefix(err, "%s", path);
	}
	*ret = c;
	return NULL;
}

static bool matches(const struct rule *r, int client, unsigned uid, const char *command)
{
	return r->client == client && (r->any_user || r->uid == uid) && !fnmatch(r->pattern, command, 0);
}

bool ma_clients_may(const struct ma_clients *c, int client, unsigned uid, const char *command)
{
	for (size_t i = 0; i < c->rule_count; i++)
		if (!c->rules[i].nothing && matches(&c->rules[i], client, uid, command))
			return true;
	return false;
}

bool ma_clients_may_watch(const struct ma_clients *c, int client, unsigned uid, const char *command)
{
	for (size_t i = 0; i < c->rule_count; i++)
		if (matches(&c->rules[i], client, uid, command))
			return true;
	return false;
}

bool ma_clients_may_all(const struct ma_clients *c, int client)
{
	for (size_t i = 0; i < c->rule_count; i++)
		if (c->rules[i].client == client && c->rules[i].any_user && !c->rules[i].nothing &&
		    !strcmp(c->rules[i].pattern, "*"))
			return true;
	return false;
}
