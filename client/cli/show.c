// SPDX-License-Identifier: Apache-2.0
#include "show.h"

#include "cleanup.h"
#include "report.h"
#include "spinner.h"

static struct ma_error *show(const struct ma_cli *cli, const struct ma_snap *s, const char *path, const char *id,
			     uint64_t taken_ns)
{
	const struct ma_report_options opt = {
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
	struct ma_analysis a;
	/* who takes a snapshot and asks for JSON wants it soon; `memattach report` has the rest */
	ma_spinner_start("reading the snapshot");
	struct ma_error *err = ma_analysis_create(s, !cli->json || !taken_ns, &a);
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
