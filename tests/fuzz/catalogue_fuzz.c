// SPDX-License-Identifier: Apache-2.0
/* The input is catalogue.db, as somebody else may have left it. */
#include "catalogue.h"
#include "cleanup.h"
#include "fuzz.h"
#include "when.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[128];

/* XDG_DATA_HOME of this process: /tmp/catalogue_fuzz-PID, removed at its end. */
static void leave(void)
{
	char inner[96];
	snprintf(inner, sizeof(inner), "%s/memattach", folder);
	unlink(path);
	rmdir(inner);
	rmdir(folder);
}

static void make(void)
{
	char inner[96];
	snprintf(folder, sizeof(folder), "/tmp/catalogue_fuzz-%d", (int)getpid());
	snprintf(inner, sizeof(inner), "%s/memattach", folder);
	snprintf(path, sizeof(path), "%s/catalogue.db", inner);
	if (mkdir(folder, 0700) || mkdir(inner, 0700))
		abort();
	setenv("XDG_DATA_HOME", folder, 1);
	atexit(leave);
}

static void look(void)
{
	_cleanup_catalogue_ struct ma_catalogue *c = NULL;
	_cleanup_rows_ struct ma_catalogue_rows rows = { 0 };
	char taken[MA_WHEN_TEXT_MAX];
	struct ma_error *err = ma_catalogue_open_read(&c);
	if (!err)
		err = ma_catalogue_list(c, &(struct ma_catalogue_filter){ 0 }, &rows);
	for (size_t i = 0; i < rows.count; i++) {
		(void)ma_catalogue_same_process(&rows.v[0], &rows.v[i]);
		(void)ma_catalogue_name_matches("a*", rows.v[i].command);
		(void)ma_when_text(taken, rows.v[i].taken_ns);
		if (strlen(rows.v[i].id) >= MA_ID_MAX || !rows.v[i].path || !rows.v[i].host)
			abort();
	}
	ma_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!folder[0])
		make();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	look();
	return 0;
}
