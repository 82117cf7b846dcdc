// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "daemon.h"

#include <stdio.h>

static struct ma_error *path_of(const struct ma_daemon *d, const char *name, char **ret)
{
	if (asprintf(ret, "%s/%s", d->dir, name) >= 0)
		return NULL;
	*ret = NULL;
	return &ma_enomem;
}

struct ma_error *ma_daemon_load(struct ma_daemon *d)
{
	_cleanup_free_ char *ca = NULL, *cert = NULL, *key = NULL, *list = NULL;
	struct ma_tls_context *tls = NULL;
	struct ma_clients *clients = NULL;
	MA_TRY(path_of(d, "ca.crt", &ca));
	MA_TRY(path_of(d, "server.crt", &cert));
	MA_TRY(path_of(d, "server.key", &key));
	MA_TRY(path_of(d, "clients", &list));
	const struct ma_tls_files files = { ca, cert, key };
	MA_TRY(ma_tls_context_create(&files, true, &tls));
	struct ma_error *err = ma_clients_read(list, d->clients, &clients);
	if (err) {
		ma_tls_context_destroy(tls);
		return err;
	}
	ma_tls_context_destroy(d->tls);
	ma_clients_destroy(d->clients);
	d->tls = tls;
	d->clients = clients;
	return NULL;
}
