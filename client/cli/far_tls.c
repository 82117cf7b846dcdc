// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "far_link.h"
#include "tls.h"

#include <string.h>

#define PORT 7433u /* what docs/daemon.md and the unit use */
#define CONNECT_MS 20000

struct link {
	struct ma_tls_context *context;
	struct ma_tls *tls;
};

static void far_close(void *arg)
{
	struct link *l = arg;
	ma_tls_close(l->tls);
	ma_tls_context_destroy(l->context);
	free(l);
}

/* What was given, else `name` in $XDG_CONFIG_HOME/memattach; such a file must be there. */
static struct ma_error *file_of(const char *given, const char *option, const char *name, char **ret)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;
	if (given)
		n = asprintf(ret, "%s", given);
	else if (config && config[0] == '/')
		n = asprintf(ret, "%s/memattach/%s", config, name);
	else if (home && home[0] == '/')
		n = asprintf(ret, "%s/.config/memattach/%s", home, name);
	else
		return ma_errorf(MA_ERR_USAGE, "tls:// needs %s FILE", option);
	if (n < 0) {
		*ret = NULL;
		return &ma_enomem;
	}
	if (access(*ret, R_OK))
		return ma_errorf(MA_ERR_USAGE,
				 "tls:// needs %s FILE: %s can not be read (memattachd init makes such files)", option,
				 *ret);
	return NULL;
}

static struct ma_error *open_context(const struct ma_cli *cli, struct ma_tls_context **ret)
{
	_cleanup_free_ char *ca = NULL, *cert = NULL, *key = NULL;
	MA_TRY(file_of(cli->ca, "--ca", "ca.crt", &ca));
	MA_TRY(file_of(cli->cert, "--cert", "client.crt", &cert));
	MA_TRY(file_of(cli->key, "--key", "client.key", &key));
	const struct ma_tls_files files = { ca, cert, key };
	return ma_tls_context_create(&files, false, ret);
}

struct ma_error *ma_far_open_tls(const struct ma_cli *cli, const struct ma_remote_url *url, struct ma_far *f)
{
	struct link *l = calloc(1, sizeof(*l));
	if (!l)
		return &ma_enomem;
	f->link = l;
	f->close = far_close;
	MA_TRY(open_context(cli, &l->context));
	MA_TRY(ma_tls_connect(l->context, url->host, url->port ? url->port : PORT, CONNECT_MS, &l->tls));
	f->stream = ma_tls_stream(l->tls);
	MA_TRY(ma_remote_greet(&f->stream, &f->remote));
	f->greeted = true;
	return NULL;
}
