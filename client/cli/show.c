// SPDX-License-Identifier: Apache-2.0
#include "show.h"

#include "cleanup.h"
#include "human.h"
#include "report.h"
#include "spinner.h"

#ifdef MA_HAVE_ATTACH
#include <memattach/session.h>
#endif

/* What the analysis takes at its peak: docs/architecture.md. */
#define BYTES_AN_OBJECT 50

/* May the whole graph be looked at? Who has just taken a snapshot may be on the machine that runs short of memory, and
 * who asks for JSON then wants it soon. *why is the reason that the user did not give, else "". */
static bool may_analyse(const struct ma_cli *cli, const struct ma_snap *s, uint64_t taken_ns, char *why, size_t bytes)
{
	char need_text[MA_HUMAN_MAX], left_text[MA_HUMAN_MAX];
	why[0] = 0;
	if (cli->brief || cli->full || !taken_ns)
		return !cli->brief;
	if (cli->json)
		return false;
#ifdef MA_HAVE_ATTACH
	uint64_t objects = ma_snap_tables(s)->stats[MA_STAT_OBJECTS], left = ma_session_memory_left();
	if (objects <= left / 4 / BYTES_AN_OBJECT)
		return true;
	snprintf(why, bytes, "it takes about %s, more than a quarter of the %s that are available here",
		 ma_human_bytes(need_text,
				objects < UINT64_MAX / BYTES_AN_OBJECT ? objects * BYTES_AN_OBJECT : UINT64_MAX, false),
		 ma_human_bytes(left_text, left, false));
#else
	(void)s, (void)bytes, (void)need_text, (void)left_text;
#endif
	return false;
}

static struct ma_error *show(const struct ma_cli *cli, const struct ma_snap *s, const char *path, const char *id,
			     uint64_t taken_ns)
{
	struct ma_report_options opt = {
		.path = *id && !cli->json ? id : path,
		.type_glob = cli->type_glob,
		.bytes = cli->bytes,
		.colour = cli->colour,
		.columns = cli->columns,
		.taken_ns = taken_ns,
	};
	if (cli->module_glob) {
		ma_spinner_start("reading the snapshot");
		struct ma_error *err = ma_report_modules(cli->out, s, cli->module_glob, cli->json, &opt);
		ma_spinner_stop();
		return err;
	}
	char why[128];
	opt.not_analysed = why;
	bool full = may_analyse(cli, s, taken_ns, why, sizeof(why));
	struct ma_analysis a;
	ma_spinner_start("reading the snapshot");
	struct ma_error *err = ma_analysis_create(s, full, &a);
	ma_spinner_stop();
	if (err)
		return err;
	err = cli->json ? ma_report_json(cli->out, &a, &opt) : ma_report_text(cli->out, &a, &opt);
	ma_analysis_deinit(&a);
	return err;
}

struct ma_error *ma_show_report(const struct ma_cli *cli, const char *path, const char *id, uint64_t taken_ns)
{
	_cleanup_snap_ struct ma_snap *s = NULL;
	MA_TRY(ma_snap_open(path, &s));
	return show(cli, s, path, id, taken_ns);
}
