// SPDX-License-Identifier: Apache-2.0
#include "taking.h"

#include "cleanup.h"
#include "escape.h"
#include "human.h"
#include "interrupt.h"
#include "out_file.h"
#include "series_key.h"

#include <inttypes.h>
#include <string.h>

#define QUIET_NS 1000000000u  /* progress shows from here on, */
#define REFRESH_NS 100000000u /* and changes this often */

struct progress {
	bool shown;
	uint64_t next_ns;
};

static void show_progress(void *arg, const struct ma_attach_progress *now)
{
	struct progress *p = arg;
	char objects[MA_HUMAN_MAX];
	if (now->elapsed_ns < p->next_ns)
		return;
	p->next_ns = now->elapsed_ns + REFRESH_NS;
	p->shown = true;
	fprintf(stderr, "\r\033[K%s   %s objects   ring %u %%   %.1f s", now->phase,
		ma_human_count(objects, now->objects), now->ring_percent, (double)now->elapsed_ns / 1e9);
}

/* What could not be undone, or the like: one line that does not end the command. */
static void warn(const char *target, const char *text)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 16);
	ma_escape_text(&b, text, strlen(text));
	fprintf(stderr, "memattach: %s: %s\n", target, ma_buf_text(&b));
}

/* "pid 4242: " before the message, unless it begins with the pid, or of a link with the host, as it is. */
static struct ma_error *name_target(struct ma_error *err, const char *target, const char *host)
{
	bool named =
		!strncmp(err->message, target, strlen(target)) || (host && !strncmp(err->message, host, strlen(host)));
	return named ? err : ma_error_prefix(err, "%s", target);
}

/* One key for all that are taken together: where it can not be stored, their hashes match at least each other's. */
static struct ma_error *key_of(struct ma_taking *t, uint8_t key[MA_SIPHASH_KEY_BYTES])
{
	if (!t->keyed)
		MA_TRY(ma_series_key_get(t->key, &t->note));
	t->keyed = true;
	memcpy(key, t->key, MA_SIPHASH_KEY_BYTES);
	return NULL;
}

/* A core of each of several would go to the same file. */
static struct ma_error *open_core(const struct ma_cli *cli, const struct ma_taking *t, struct ma_out_file *ret)
{
	static const char *const none[] = { NULL };
	if (t->target.core || ma_target_is_far(&t->target) || cli->every_s || cli->tree || cli->cgroup ||
	    cli->args_count > 1)
		return ma_errorf(MA_ERR_USAGE, "--core goes with one process, of this machine, and one snapshot");
	return ma_out_file_open(cli->core, none, ret);
}

void ma_taking_deinit(struct ma_taking *t)
{
	free(t->note);
	ma_target_close(&t->target);
	*t = (struct ma_taking){ 0 };
}

struct ma_error *ma_take_snapshot(const struct ma_cli *cli, struct ma_taking *t, pid_t pid, const char *path,
				  struct ma_session_result *ret)
{
	struct progress progress = { false, QUIET_NS };
	_cleanup_free_ char *label = NULL;
	struct ma_out_file core = { 0 };
	uint64_t core_bytes;
	struct ma_session_options options = {
		.attach = {
			.pid = pid,
			.core = t->target.core,
			.stop = cli->stop,
			.exe = cli->exe,
			.threads_only = t->threads_only,
			.native = cli->native,
			.values = { .mode = cli->values, .limit = cli->values_limit },
			.max_pause_ns = cli->max_pause_ns,
			/* in several processes the same page may be counted once only if it is in each of the copies */
			.raw_live = cli->raw_live && !cli->tree && !cli->cgroup,
			.progress = isatty(STDERR_FILENO) ? show_progress : NULL,
			.progress_arg = &progress,
			.cancel = ma_interrupt_cancel(),
		},
		.path = path,
	};
	const bool far = ma_target_is_far(&t->target);
	int named = t->target.core
			    ? asprintf(&label, "core:%s", t->target.core)
			    : asprintf(&label, "%s%spid %d", far ? t->target.url.host : "", far ? ": " : "", (int)pid);
	if (named < 0) {
		label = NULL;
		return &ma_enomem;
	}
	if (t->target.core && cli->native)
		return ma_errorf(MA_ERR_USAGE, "%s: --native needs a process", label);
	if (!far && pid == getpid())
		return ma_errorf(MA_ERR_USAGE, "pid %d is memattach itself", (int)pid);
	if (!t->threads_only && cli->values != MA_VALUES_NONE)
		MA_TRY(key_of(t, options.attach.values.key));
	options.attach.note = t->note;
	if (cli->raw_live && (cli->stop || cli->core || t->target.core))
		return ma_errorf(MA_ERR_USAGE,
				 "--raw live keeps data out of a copy: not with --stop, --core and core files");
	if (cli->stop && (far || t->target.core || cli->core || cli->native))
		return ma_errorf(MA_ERR_USAGE,
				 "--stop goes with processes of this machine, without --core and --native");
	if (cli->core)
		MA_TRY(open_core(cli, t, &core));
	options.attach.core_out = cli->core ? &core.fd : NULL;
	ma_interrupt_catch(false);
	struct ma_error *err = ma_target_snapshot(cli, &t->target, &options, ret);
	ma_interrupt_release();
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (!err && cli->core)
		err = ma_out_file_commit(&core, &core_bytes);
	ma_out_file_deinit(&core);
	if (err)
		return name_target(err, label, t->target.url.host);
	if (ret->attach.left_behind) {
		warn(label, ret->attach.left_behind);
		free(ret->attach.left_behind);
		ret->attach.left_behind = NULL;
	}
	return NULL;
}
