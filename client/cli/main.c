// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "cli.h"
#include "escape.h"
#include "options.h"
#include "out.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define EXIT_INTERRUPTED 130 /* as a shell reports SIGINT */

static unsigned terminal_columns(void)
{
	struct winsize w;
	return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80;
}

static bool terminal_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

/* One line, whatever is in it. */
static int fail(const struct ma_error *err)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(1 << 20);
	ma_escape_text(&b, err->message, strlen(err->message));
	fprintf(stderr, "memattach: %s\n", b.failed ? ma_enomem.message : ma_buf_text(&b));
	return err->code == MA_ERR_CANCELLED ? EXIT_INTERRUPTED : ma_error_exit_code(err);
}

static struct ma_error *run(int argc, char **argv, FILE *out)
{
	struct ma_cli cli = { .out = out, .columns = terminal_columns() };
	struct ma_request request;
	MA_TRY(ma_options_parse(argc, argv, &cli, &request));
	cli.colour = cli.colour && terminal_colour();
	switch (request.wish) {
	case MA_WISH_VERSION:
		fprintf(out, "memattach " MA_VERSION "\n");
		return NULL;
	case MA_WISH_HELP:
		ma_options_help(out, request.command);
		return NULL;
	case MA_WISH_STDIO:
		return ma_cmd_stdio();
	case MA_WISH_RUN:
		break;
	}
	return request.command->run(&cli);
}

int main(int argc, char **argv)
{
	/* a reader that went away is an error of write(), so that what is under way is undone first */
	signal(SIGPIPE, SIG_IGN);
	int errnum;
	FILE *out = ma_out_open(STDOUT_FILENO, &errnum);
	if (!out)
		return fail(&ma_enomem);
	_cleanup_error_ struct ma_error *err = run(argc, argv, out);
	_cleanup_error_ struct ma_error *closed = ma_out_close(out, &errnum);
	if (err)
		return fail(err);
	if (closed && errnum == EPIPE)
		return 1;
	return closed ? fail(closed) : 0;
}
