// SPDX-License-Identifier: Apache-2.0
/* cli.h - what main() gives to a command, and what commands share.
 *
 * A command is one function in cmd_<verb>.c with a row in commands.c. The row says which options and how
 * many arguments it takes, so a command finds them checked. It prints its result to cli->out and returns
 * errors: main() alone prints those (one line on stderr) and chooses the exit code. */
#ifndef MA_CLI_H
#define MA_CLI_H

#include <memattach/error.h>
#include <memattach/types.h>
#include <memattach/wire.h>
#include <stdio.h>

/* Options that a command may allow: in order, so that no bit is given away twice. */
enum ma_cli_option {
	MA_OPT_OUTPUT = 1 << 0,       /* -o FILE, --output FILE */
	MA_OPT_JSON = 1 << 1,         /* --json */
	MA_OPT_CSV = 1 << 2,          /* --csv */
	MA_OPT_BYTES = 1 << 3,        /* --bytes */
	MA_OPT_TYPE = 1 << 4,         /* --type GLOB */
	MA_OPT_MODULE = 1 << 5,       /* --module GLOB */
	MA_OPT_BRIEF = 1 << 6,        /* --brief */
	MA_OPT_FULL = 1 << 7,         /* --full */
	MA_OPT_HTML = 1 << 8,         /* --html FILE */
	MA_OPT_MAX_PAUSE = 1 << 9,    /* --max-pause MS, --raw HOW */
	MA_OPT_NATIVE = 1 << 10,      /* --native */
	MA_OPT_VALUES = 1 << 11,      /* --values none|hash|prefix:N|all */
	MA_OPT_AT = 1 << 12,          /* --at 90%|SIZE */
	MA_OPT_EVERY = 1 << 13,       /* --every TIME */
	MA_OPT_COUNT = 1 << 14,       /* --count N */
	MA_OPT_KEEP = 1 << 15,        /* --keep N */
	MA_OPT_TREE = 1 << 16,        /* --tree */
	MA_OPT_PID = 1 << 17,         /* --pid PID: of which process */
	MA_OPT_NAME = 1 << 18,        /* --name PATTERN */
	MA_OPT_PRUNE = 1 << 19,       /* --prune */
	MA_OPT_FAIL = 1 << 20,        /* --fail-over SIZE, --fail-growth PATH */
	MA_OPT_FORMAT = 1 << 21,      /* --format F: of export */
	MA_OPT_TABLE = 1 << 22,       /* --table T: of export */
	MA_OPT_IDENTITY = 1 << 23,    /* --identity FILE: of ssh://, as the next three */
	MA_OPT_KNOWN_HOSTS = 1 << 24, /* --known-hosts FILE */
	MA_OPT_SSH_CONFIG = 1 << 25,  /* --ssh-config FILE */
	MA_OPT_SUDO = 1 << 26,        /* --sudo */
	MA_OPT_LIMIT_RATE = 1 << 27,  /* --limit-rate RATE */
	MA_OPT_TLS = 1 << 28,         /* --ca FILE, --cert FILE, --key FILE: of tls:// only */
	MA_OPT_CGROUP = 1 << 29,      /* --cgroup PATH */
	MA_OPT_RESUME = 1 << 30,      /* --resume, --linger TIME */

	MA_OPT_SSH = MA_OPT_IDENTITY | MA_OPT_KNOWN_HOSTS | MA_OPT_SSH_CONFIG | MA_OPT_SUDO,
	MA_OPT_FAR = MA_OPT_SSH | MA_OPT_TLS | MA_OPT_LIMIT_RATE,
};

/* An enumerator is an int: from here on they are these. */
#define MA_OPT_EXE (UINT64_C(1) << 31)  /* --exe FILE: of core:FILE */
#define MA_OPT_CORE (UINT64_C(1) << 32) /* --core FILE */
#define MA_OPT_STOP (UINT64_C(1) << 33) /* --stop */

#define MA_KEEP_ALL UINT64_MAX

struct ma_cli {
	const char *format, *table; /* of export, or NULL */
	const char *html;           /* --html, or NULL */

	FILE *out;   /* the result; write errors are reported by main() */
	char **args; /* arguments after the command's name (for `memattach TARGET`: TARGET) */
	int args_count;
	const char *output; /* -o, or NULL */
	const char *type_glob, *module_glob;
	bool json, csv, bytes, native, brief, full;
	bool colour;           /* bars and colour: standard output is a terminal, and neither --no-color nor NO_COLOR */
	unsigned columns;      /* width of the terminal, else 80 */
	uint64_t max_pause_ns; /* 0 = no limit */
	bool raw_live;         /* large raw data is not copied */
	uint64_t fail_over;    /* bytes, 0 = no limit */
	const char *fail_growth; /* NULL = none */
	enum ma_values values;
	uint32_t values_limit; /* N of prefix:N */
	uint64_t pid;          /* --pid, 0 = not given */
	const char *name;      /* --name, or NULL */
	const char *cgroup;    /* --cgroup, or NULL */
	const char *exe;       /* --exe, or NULL */
	const char *core;      /* --core, or NULL */
	uint64_t keep;         /* --keep; MA_KEEP_ALL = not given */
	bool prune, tree, stop;
	uint64_t every_s, count;                         /* 0 = not given */
	const char *at;                                  /* --at, or NULL */
	const char *identity, *known_hosts, *ssh_config; /* NULL = not given */
	const char *ca, *cert, *key;                     /* the same */
	bool sudo, resume;
	uint64_t limit_rate; /* bytes a second, 0 = no limit */
	uint64_t linger_s;   /* 0 = not given */
};

struct ma_command {
	const char *name; /* NULL = `memattach TARGET` */
	const char *args; /* for the usage line */
	int args_min, args_max;
	uint64_t options; /* enum ma_cli_option and MA_OPT_* */
	const char *summary;
	const char *help; /* lines that `memattach help NAME` prints */
	struct ma_error *(*run)(const struct ma_cli *cli);
};

extern const struct ma_command ma_commands[];
extern const size_t ma_commands_count;
/* The command of that name, or NULL. */
const struct ma_command *ma_command_find(const char *name);

struct ma_error *ma_cmd_target(const struct ma_cli *cli);
struct ma_error *ma_cmd_snap(const struct ma_cli *cli);
struct ma_error *ma_cmd_report(const struct ma_cli *cli);
struct ma_error *ma_cmd_paths(const struct ma_cli *cli);
struct ma_error *ma_cmd_export(const struct ma_cli *cli);
struct ma_error *ma_cmd_diff(const struct ma_cli *cli);
struct ma_error *ma_cmd_query(const struct ma_cli *cli);
struct ma_error *ma_cmd_check(const struct ma_cli *cli);
struct ma_error *ma_cmd_stacks(const struct ma_cli *cli);
struct ma_error *ma_cmd_doctor(const struct ma_cli *cli);
struct ma_error *ma_cmd_ls(const struct ma_cli *cli);
struct ma_error *ma_cmd_rm(const struct ma_cli *cli);
/* `memattach --stdio`. */
MA_CHECK struct ma_error *ma_cmd_stdio(void);
struct ma_error *ma_cmd_watch(const struct ma_cli *cli);

/* The path in "core:FILE", or NULL when it is no such target. */
const char *ma_cli_core(const char *text);
/* The id of a local process from an argument; MA_ERR_USAGE when it is none, or a core file. */
MA_CHECK struct ma_error *ma_cli_parse_pid(const char *text, pid_t *ret);

#endif
