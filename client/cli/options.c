// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include "cleanup.h"
#include "when.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_JSON = 256,
	OPT_CSV,
	OPT_FORMAT,
	OPT_TABLE,
	OPT_HTML,
	OPT_BYTES,
	OPT_TYPE,
	OPT_MODULE,
	OPT_BRIEF,
	OPT_FULL,
	OPT_MAX_PAUSE,
	OPT_RAW,
	OPT_NATIVE,
	OPT_VALUES,
	OPT_AT,
	OPT_NO_COLOR,
	OPT_PID,
	OPT_NAME,
	OPT_KEEP,
	OPT_PRUNE,
	OPT_STDIO,
	OPT_EVERY,
	OPT_COUNT,
	OPT_TREE,
	OPT_CGROUP,
	OPT_FAIL_OVER,
	OPT_FAIL_GROWTH,
	OPT_IDENTITY,
	OPT_KNOWN_HOSTS,
	OPT_SSH_CONFIG,
	OPT_SUDO,
	OPT_LIMIT_RATE,
	OPT_RESUME,
	OPT_LINGER,
	OPT_CA,
	OPT_CERT,
	OPT_KEY,
	OPT_EXE,
	OPT_CORE,
	OPT_STOP
};

/* One a line, whatever their number is. */
/* clang-format off */
static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "csv", no_argument, NULL, OPT_CSV },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "table", required_argument, NULL, OPT_TABLE },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "bytes", no_argument, NULL, OPT_BYTES },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "module", required_argument, NULL, OPT_MODULE },
	{ "brief", no_argument, NULL, OPT_BRIEF },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "max-pause", required_argument, NULL, OPT_MAX_PAUSE },
	{ "raw", required_argument, NULL, OPT_RAW },
	{ "native", no_argument, NULL, OPT_NATIVE },
	{ "values", required_argument, NULL, OPT_VALUES },
	{ "at", required_argument, NULL, OPT_AT },
	{ "no-color", no_argument, NULL, OPT_NO_COLOR },
	{ "no-colour", no_argument, NULL, OPT_NO_COLOR },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "keep", required_argument, NULL, OPT_KEEP },
	{ "prune", no_argument, NULL, OPT_PRUNE },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "known-hosts", required_argument, NULL, OPT_KNOWN_HOSTS },
	{ "ssh-config", required_argument, NULL, OPT_SSH_CONFIG },
	{ "sudo", no_argument, NULL, OPT_SUDO },
	{ "limit-rate", required_argument, NULL, OPT_LIMIT_RATE },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "linger", required_argument, NULL, OPT_LINGER },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "exe", required_argument, NULL, OPT_EXE },
	{ "stop", no_argument, NULL, OPT_STOP },
	{ "core", required_argument, NULL, OPT_CORE },
	{ "stdio", no_argument, NULL, OPT_STDIO },
	{ "every", required_argument, NULL, OPT_EVERY },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "tree", no_argument, NULL, OPT_TREE },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "fail-over", required_argument, NULL, OPT_FAIL_OVER },
	{ "fail-growth", required_argument, NULL, OPT_FAIL_GROWTH },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};
/* clang-format on */

static const struct {
	uint64_t bit;
	const char *name, *arg, *text;
} described[] = {
	{ MA_OPT_OUTPUT, "-o, --output", " FILE", "where it goes" },
	{ MA_OPT_JSON, "    --json", "", "machine-readable (docs/json.md)" },
	{ MA_OPT_CSV, "    --csv", "", "comma-separated values" },
	{ MA_OPT_FORMAT, "    --format", " NAME", "the format; else as the name of the file ends" },
	{ MA_OPT_TABLE, "    --table", " NAME", "objects (default), edges, types, frames, memory, all" },
	{ MA_OPT_HTML, "    --html", " FILE", "one HTML file that loads nothing" },
	{ MA_OPT_BYTES, "    --bytes", "", "exact numbers in place of 1.42 GB" },
	{ MA_OPT_TYPE, "    --type", " GLOB", "only types whose name matches" },
	{ MA_OPT_MODULE, "    --module", " GLOB", "what the modules whose name matches retain" },
	{ MA_OPT_BRIEF, "    --brief", "", "without who holds what: soon, and in little memory" },
	{ MA_OPT_FULL, "    --full", "", "with who holds what, also in JSON and where memory is short" },
	{ MA_OPT_MAX_PAUSE, "    --max-pause", " MS", "refuse when the process would be stopped for longer" },
	{ MA_OPT_MAX_PAUSE, "    --raw", " HOW", "large raw data: copy (default), live (a shorter stop)" },
	{ MA_OPT_STOP, "    --stop", "", "no clone: stop it for as long as its memory takes to copy" },
	{ MA_OPT_CORE, "    --core", " FILE", "a core file of the copy, too: it has all values" },
	{ MA_OPT_EXE, "    --exe", " PYTHON", "core:FILE: the program that ran, where it is elsewhere now" },
	{ MA_OPT_NATIVE, "    --native", "", "the native frames of every thread too" },
	{ MA_OPT_VALUES, "    --values", " WHAT", "of contents: none, hash (default), prefix:N, all" },
	{ MA_OPT_AT, "    --at", " POINT", "90% of the memory there is (default), or a size: 2GB" },
	{ MA_OPT_PID, "    --pid", " PID", "snapshots of this process" },
	{ MA_OPT_NAME, "    --name", " PATTERN", "whose command line has PATTERN in it (or matches it: * ? [)" },
	{ MA_OPT_KEEP, "    --keep", " N", "remove all but the newest N of each process" },
	{ MA_OPT_EVERY, "    --every", " TIME", "again after 30s, 5m, 1h" },
	{ MA_OPT_COUNT, "    --count", " N", "so many times in all" },
	{ MA_OPT_TREE, "    --tree", "", "its Python children, too" },
	{ MA_OPT_CGROUP, "    --cgroup", " PATH", "all Python processes of a control group" },
	{ MA_OPT_PRUNE, "    --prune", "", "drop those whose file is gone" },
	{ MA_OPT_FAIL, "    --fail-over", " SIZE", "exit code 7 when memory grew by more, for instance 10MB" },
	{ MA_OPT_FAIL, "    --fail-growth", " PATH", "exit code 7 when what is there grew" },
	{ MA_OPT_IDENTITY, "    --identity", " FILE", "ssh://: the private key to log in with" },
	{ MA_OPT_KNOWN_HOSTS, "    --known-hosts", " FILE", "ssh://: in place of ~/.ssh/known_hosts" },
	{ MA_OPT_SSH_CONFIG, "    --ssh-config", " FILE", "ssh://: in place of ~/.ssh/config" },
	{ MA_OPT_SUDO, "    --sudo", "", "ssh://: attach there by sudo (without a password)" },
	{ MA_OPT_TLS, "    --ca", " FILE", "tls://: whose server to believe (~/.config/memattach/ca.crt)" },
	{ MA_OPT_TLS, "    --cert", " FILE", "tls://: our certificate (~/.config/memattach/client.crt)" },
	{ MA_OPT_TLS, "    --key", " FILE", "tls://: the key of it (~/.config/memattach/client.key)" },
	{ MA_OPT_LIMIT_RATE, "    --limit-rate", " RATE", "ssh://, tls://: bytes a second at most (500k, 2M)" },
	{ MA_OPT_RESUME, "    --resume", "", "fetch the rest of FILE.part, or be able to later" },
	{ MA_OPT_RESUME, "    --linger", " TIME", "ssh://, with --resume: for so long it stays there" },
};

static struct ma_error *parse_ms(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	double ms = strtod(text, &end);
	if (errno || end == text || *end || !(ms > 0) || ms > 86400000.0)
		return ma_errorf(MA_ERR_USAGE, "--max-pause wants milliseconds above 0, not '%s'", text);
	*ret = (uint64_t)(ms * 1e6) ?: 1;
	return NULL;
}

/* "10MB": as the report writes sizes, 1 kB is 1000 bytes; KiB, MiB, GiB are multiples of 1024. */
static struct ma_error *parse_size(const char *option, const char *text, uint64_t *ret)
{
	static const struct {
		const char *unit;
		double bytes;
	} units[] = { { "", 1 },       { "B", 1 },         { "kB", 1e3 },     { "KB", 1e3 }, { "k", 1e3 },
		      { "MB", 1e6 },   { "M", 1e6 },       { "GB", 1e9 },     { "G", 1e9 },  { "TB", 1e12 },
		      { "KiB", 1024 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };
	char *end;
	errno = 0;
	double n = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;
	for (size_t i = 0; n > 0 && !errno && i < MA_ARRAY_SIZE(units); i++) {
		if (strcmp(end + (*end == ' '), units[i].unit) != 0 || n * units[i].bytes >= 1e18)
			continue;
		*ret = (uint64_t)(n * units[i].bytes) ?: 1;
		return NULL;
	}
	return ma_errorf(MA_ERR_USAGE, "%s wants a size above 0 such as 10MB, not '%s'", option, text);
}

static struct ma_error *parse_rate(const char *text, uint64_t *ret)
{
	MA_TRY(parse_size("--limit-rate", text, ret));
	return *ret < 1024 ? ma_errorf(MA_ERR_USAGE, "--limit-rate wants at least 1024 bytes a second") : NULL;
}

static struct ma_error *parse_values(const char *text, struct ma_cli *cli)
{
	static const char *const names[] = {
		[MA_VALUES_NONE] = "none", [MA_VALUES_HASH] = "hash", [MA_VALUES_ALL] = "all"
	};
	for (size_t i = 0; i < MA_ARRAY_SIZE(names); i++) {
		if (names[i] && !strcmp(text, names[i])) {
			cli->values = (enum ma_values)i;
			return NULL;
		}
	}
	const char *n = text + strlen("prefix:");
	char *end;
	unsigned long v = 0;
	if (!strncmp(text, "prefix:", strlen("prefix:")) && n[0] >= '0' && n[0] <= '9')
		v = strtoul(n, &end, 10);
	if (v < 1 || v > MA_VALUES_PREFIX_MAX || *end)
		return ma_errorf(MA_ERR_USAGE,
				 "--values wants none, hash, all, or prefix:N with N from 1 to %u, not '%s'",
				 MA_VALUES_PREFIX_MAX, text);
	cli->values = MA_VALUES_PREFIX;
	cli->values_limit = (uint32_t)v;
	return NULL;
}

static struct ma_error *parse_count(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	errno = 0;
	unsigned long long v = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
	if (text[0] < '0' || text[0] > '9' || errno || *end || v < min || v > max)
		return ma_errorf(MA_ERR_USAGE, "%s wants a number from %llu on, not '%s'", option,
				 (unsigned long long)min, text);
	*ret = v;
	return NULL;
}

static bool is_target(const char *text)
{
	return (text[0] && !text[strspn(text, "0123456789")]) || strstr(text, "://") || ma_cli_core(text);
}

static struct ma_error *find_command(const char *word, const struct ma_command **ret)
{
	*ret = ma_command_find(word);
	if (*ret)
		return NULL;
	return ma_errorf(MA_ERR_USAGE, "'%s' is neither a process id nor a command; see memattach --help", word);
}

static struct ma_error *check_command(const struct ma_cli *cli, const struct ma_command *command, uint64_t given)
{
	const char *name = command->name ? command->name : "memattach PID";
	for (size_t i = 0; i < MA_ARRAY_SIZE(described); i++)
		if (given & described[i].bit & ~command->options)
			return ma_errorf(MA_ERR_USAGE, "%s does not take %s", name, described[i].name + 4);
	if (cli->args_count < command->args_min || cli->args_count > command->args_max)
		return ma_errorf(MA_ERR_USAGE, "usage: memattach %s%s%s", command->name ? command->name : "",
				 command->name ? " " : "", command->args);
	if (cli->brief && cli->full)
		return ma_errorf(MA_ERR_USAGE, "--brief and --full exclude each other");
	if (cli->type_glob && cli->module_glob)
		return ma_errorf(MA_ERR_USAGE, "--type and --module exclude each other");
	if (cli->html && (cli->json || cli->type_glob || cli->module_glob || cli->tree))
		return ma_errorf(MA_ERR_USAGE,
				 "--html is a whole report: no option that prints something else goes with it");
	if (cli->json && cli->csv)
		return ma_errorf(MA_ERR_USAGE, "--json and --csv exclude each other");
	if (cli->count && !cli->every_s)
		return ma_errorf(MA_ERR_USAGE, "--count goes with --every TIME");
	return NULL;
}

static struct ma_error *read_options(int argc, char **argv, struct ma_cli *cli, struct ma_request *ret, uint64_t *given)
{
	opterr = 0;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, ":o:hV", long_options, NULL)) != -1;) {
		switch (c) {
		case 'o':
			cli->output = optarg;
			*given |= MA_OPT_OUTPUT;
			break;
		case OPT_JSON:
			cli->json = true;
			*given |= MA_OPT_JSON;
			break;
		case OPT_CSV:
			cli->csv = true;
			*given |= MA_OPT_CSV;
			break;
		case OPT_FORMAT:
			cli->format = optarg;
			*given |= MA_OPT_FORMAT;
			break;
		case OPT_HTML:
			cli->html = optarg;
			*given |= MA_OPT_HTML;
			break;
		case OPT_TABLE:
			cli->table = optarg;
			*given |= MA_OPT_TABLE;
			break;
		case OPT_BYTES:
			cli->bytes = true;
			*given |= MA_OPT_BYTES;
			break;
		case OPT_TYPE:
			cli->type_glob = optarg;
			*given |= MA_OPT_TYPE;
			break;
		case OPT_MODULE:
			cli->module_glob = optarg;
			*given |= MA_OPT_MODULE;
			break;
		case OPT_BRIEF:
			cli->brief = true;
			*given |= MA_OPT_BRIEF;
			break;
		case OPT_FULL:
			cli->full = true;
			*given |= MA_OPT_FULL;
			break;
		case OPT_MAX_PAUSE:
			MA_TRY(parse_ms(optarg, &cli->max_pause_ns));
			*given |= MA_OPT_MAX_PAUSE;
			break;
		case OPT_RAW:
			cli->raw_live = !strcmp(optarg, "live");
			if (!cli->raw_live && strcmp(optarg, "copy") != 0)
				return ma_errorf(MA_ERR_USAGE, "--raw wants live or copy, not '%s'", optarg);
			*given |= MA_OPT_MAX_PAUSE;
			break;
		case OPT_NATIVE:
			cli->native = true;
			*given |= MA_OPT_NATIVE;
			break;
		case OPT_VALUES:
			MA_TRY(parse_values(optarg, cli));
			*given |= MA_OPT_VALUES;
			break;
		case OPT_AT:
			cli->at = optarg;
			*given |= MA_OPT_AT;
			break;
		case OPT_PID:
			MA_TRY(parse_count("--pid", optarg, 1, INT_MAX, &cli->pid));
			*given |= MA_OPT_PID;
			break;
		case OPT_NAME:
			cli->name = optarg;
			*given |= MA_OPT_NAME;
			break;
		case OPT_KEEP:
			MA_TRY(parse_count("--keep", optarg, 0, UINT32_MAX, &cli->keep));
			*given |= MA_OPT_KEEP;
			break;
		case OPT_EVERY:
			if (!ma_when_duration(optarg, &cli->every_s))
				return ma_errorf(MA_ERR_USAGE, "--every wants a time as 30s, 5m or 1h30m, not '%s'",
						 optarg);
			*given |= MA_OPT_EVERY;
			break;
		case OPT_COUNT:
			MA_TRY(parse_count("--count", optarg, 1, UINT32_MAX, &cli->count));
			*given |= MA_OPT_COUNT;
			break;
		case OPT_TREE:
			cli->tree = true;
			*given |= MA_OPT_TREE;
			break;
		case OPT_CGROUP:
			cli->cgroup = optarg;
			*given |= MA_OPT_CGROUP;
			break;
		case OPT_PRUNE:
			cli->prune = true;
			*given |= MA_OPT_PRUNE;
			break;
		case OPT_FAIL_OVER:
			MA_TRY(parse_size("--fail-over", optarg, &cli->fail_over));
			*given |= MA_OPT_FAIL;
			break;
		case OPT_FAIL_GROWTH:
			cli->fail_growth = optarg;
			*given |= MA_OPT_FAIL;
			break;
		case OPT_NO_COLOR:
			cli->colour = false;
			break;
		case OPT_STOP:
			cli->stop = true;
			*given |= MA_OPT_STOP;
			break;
		case OPT_CORE:
			cli->core = optarg;
			*given |= MA_OPT_CORE;
			break;
		case OPT_EXE:
			cli->exe = optarg;
			*given |= MA_OPT_EXE;
			break;
		case OPT_CA:
			cli->ca = optarg;
			*given |= MA_OPT_TLS;
			break;
		case OPT_CERT:
			cli->cert = optarg;
			*given |= MA_OPT_TLS;
			break;
		case OPT_KEY:
			cli->key = optarg;
			*given |= MA_OPT_TLS;
			break;
		case OPT_IDENTITY:
			cli->identity = optarg;
			*given |= MA_OPT_IDENTITY;
			break;
		case OPT_KNOWN_HOSTS:
			cli->known_hosts = optarg;
			*given |= MA_OPT_KNOWN_HOSTS;
			break;
		case OPT_SSH_CONFIG:
			cli->ssh_config = optarg;
			*given |= MA_OPT_SSH_CONFIG;
			break;
		case OPT_SUDO:
			cli->sudo = true;
			*given |= MA_OPT_SUDO;
			break;
		case OPT_LIMIT_RATE:
			MA_TRY(parse_rate(optarg, &cli->limit_rate));
			*given |= MA_OPT_LIMIT_RATE;
			break;
		case OPT_RESUME:
			cli->resume = true;
			*given |= MA_OPT_RESUME;
			break;
		case OPT_LINGER:
			if (!ma_when_duration(optarg, &cli->linger_s) || cli->linger_s > 86400)
				return ma_errorf(MA_ERR_USAGE,
						 "--linger wants a time up to 24h as 30s, 5m or 1h30m, not '%s'",
						 optarg);
			*given |= MA_OPT_RESUME;
			break;
		case OPT_STDIO:
			ret->wish = MA_WISH_STDIO;
			break;
		case 'h':
			ret->wish = MA_WISH_HELP;
			break;
		case 'V':
			ret->wish = MA_WISH_VERSION;
			break;
		case ':':
			return ma_errorf(MA_ERR_USAGE, "option '%s' wants a value", argv[optind - 1]);
		default:
			return ma_errorf(MA_ERR_USAGE,
					 "option '%s' is not known, or wants no value; see memattach --help",
					 argv[optind - 1]);
		}
	}
	return NULL;
}

struct ma_error *ma_options_parse(int argc, char **argv, struct ma_cli *cli, struct ma_request *ret)
{
	uint64_t given = 0;
	*ret = (struct ma_request){ MA_WISH_RUN, NULL };
	cli->colour = true;
	cli->values = MA_VALUES_HASH;
	cli->keep = MA_KEEP_ALL;
	MA_TRY(read_options(argc, argv, cli, ret, &given));
	if (ret->wish == MA_WISH_VERSION || ret->wish == MA_WISH_STDIO)
		return NULL;
	char **words = argv + optind;
	int count = argc - optind;
	if (count && !strcmp(words[0], "help")) {
		ret->wish = MA_WISH_HELP;
		words++;
		count--;
	}
	if (!count && ret->wish == MA_WISH_HELP)
		return NULL;
	if (!count && !cli->name && !cli->cgroup)
		return ma_errorf(MA_ERR_USAGE, "whose memory? usage: memattach PID; see memattach --help");
	if (!count || is_target(words[0])) { /* memattach --name app */
		ret->command = &ma_commands[0];
	} else {
		MA_TRY(find_command(words[0], &ret->command));
		words++;
		count--;
	}
	cli->args = words;
	cli->args_count = count;
	return ret->wish == MA_WISH_HELP ? NULL : check_command(cli, ret->command, given);
}

void ma_options_help(FILE *out, const struct ma_command *command)
{
	if (!command) {
		fputs("What is in the memory of a running Python process, and who holds it.\n\nusage:\n", out);
		for (size_t i = 0; i < ma_commands_count; i++) {
			char line[64];
			snprintf(line, sizeof(line), "memattach %s%s%s", ma_commands[i].name ? ma_commands[i].name : "",
				 ma_commands[i].name ? " " : "", ma_commands[i].args);
			fprintf(out, "  %-27s %s\n", line, ma_commands[i].summary);
		}
		fputs("  memattach help COMMAND      more about one command\n"
		      "  memattach --version\n"
		      "  memattach --stdio           what ssh:// starts on the far side (docs/protocol.md)\n\n"
		      "exit codes: 0 done, 1 failed, 2 usage, 3 target gone, 4 not permitted,\n"
		      "  5 not supported, 6 bad data, 7 a limit was passed\n",
		      out);
		return;
	}
	fprintf(out, "usage: memattach %s%s%s%s\n\n%s", command->name ? command->name : "", command->name ? " " : "",
		command->args, command->options ? " [options]" : "", command->help);
	if (command->options)
		fputs("\noptions:\n", out);
	for (size_t i = 0; i < MA_ARRAY_SIZE(described); i++) {
		char name[32];
		if (!(command->options & described[i].bit))
			continue;
		snprintf(name, sizeof(name), "%s%s", described[i].name, described[i].arg);
		fprintf(out, "  %-20s %s\n", name, described[i].text);
	}
	if (command->options)
		fputs("      --no-color       neither colour nor bars (also by NO_COLOR)\n", out);
}

const char *ma_cli_core(const char *text)
{
	return strncmp(text, "core:", 5) ? NULL : text + 5;
}

struct ma_error *ma_cli_parse_pid(const char *text, pid_t *ret)
{
	if (strstr(text, "://"))
		return ma_errorf(MA_ERR_UNSUPPORTED, "target '%s': this version attaches to local processes only",
				 text);
	if (ma_cli_core(text))
		return ma_errorf(MA_ERR_USAGE, "'%s' is no process: a core file stands alone, and not here", text);
	char *end;
	errno = 0;
	long v = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : 0;
	if (errno || v < 1 || *end || v > INT_MAX)
		return ma_errorf(MA_ERR_USAGE, "'%s' is no process id", text);
	*ret = (pid_t)v;
	return NULL;
}
