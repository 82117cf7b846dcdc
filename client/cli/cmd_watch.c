// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "human.h"

#include <memattach/session.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT_PERCENT 90

/* "90%", "2GB", "512MB", "1.5GiB", bytes. */
static struct ma_error *parse_at(const char *text, struct ma_watch_options *ret)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = { { "", 1 },     { "B", 1 },     { "kB", 1e3 },   { "KB", 1e3 },        { "MB", 1e6 },
		      { "GB", 1e9 }, { "TB", 1e12 }, { "KiB", 1024 }, { "MiB", 1048576.0 }, { "GiB", 1073741824.0 } };
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	if (end != text && !errno && !strcmp(end, "%") && v >= 1 && v <= 99) {
		ret->at_percent = (unsigned)v;
		return NULL;
	}
	for (size_t i = 0; end != text && !errno && i < MA_ARRAY_SIZE(units); i++)
		if (!strcmp(end, units[i].name) && v * units[i].factor >= 1 && v * units[i].factor < 1e18) {
			ret->at_bytes = (uint64_t)(v * units[i].factor);
			return NULL;
		}
	return ma_errorf(MA_ERR_USAGE, "--at wants 1%% to 99%%, or a size like 2GB or 512MB, not '%s'", text);
}

struct told {
	pid_t pid;
	unsigned percent; /* 0 with a size */
};

static void tell_armed(void *arg, const struct ma_watch_look *look)
{
	const struct told *told = arg;
	char usage[MA_HUMAN_MAX], limit[MA_HUMAN_MAX], at[MA_HUMAN_MAX];
	ma_human_bytes(usage, look->usage, false);
	ma_human_bytes(at, look->at, false);
	if (!told->percent)
		fprintf(stderr, "watching pid %d: %s has %s resident, a snapshot comes at %s\n", (int)told->pid,
			look->what, usage, at);
	else
		fprintf(stderr, "watching pid %d: %s has %s of %s in use, a snapshot comes at %s\n", (int)told->pid,
			look->what, usage, ma_human_bytes(limit, look->limit, false), at);
}

static void tell_fired(const struct told *told, const struct ma_watch_look *look)
{
	static const char *const why[] = {
		[MA_WATCH_REACHED] = "",
		[MA_WATCH_EARLY] = ": later a copy would find no room",
		[MA_WATCH_STALLED] = ": its memory cgroup stands still for want of memory",
	};
	char usage[MA_HUMAN_MAX];
	fprintf(stderr, "pid %d: %s is at %s%s\n", (int)told->pid, look->what,
		ma_human_bytes(usage, look->usage, false), why[look->cause]);
}

struct ma_error *ma_cmd_watch(const struct ma_cli *cli)
{
	struct told told;
	struct ma_watch_options options = { .armed = tell_armed, .arg = &told };
	struct ma_watch_look look;
	if (cli->at)
		MA_TRY(parse_at(cli->at, &options));
	else
		options.at_percent = AT_PERCENT;
	MA_TRY(ma_cli_parse_pid(cli->args[0], &options.pid));
	told = (struct told){ options.pid, options.at_percent };
	struct ma_error *err = ma_session_watch(&options, &look);
	if (err)
		return ma_error_prefix(err, "pid %d", (int)options.pid);
	tell_fired(&told, &look);
	return ma_cmd_snap(cli);
}
