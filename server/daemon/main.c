// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/mman.h>

#define LISTEN_MAX 16

static const char help[] =
	"usage: memattachd --listen HOST:PORT... [options]   serve memattach tls://HOST:PORT/PID\n"
	"       memattachd init DIR [HOST...]                make a CA, a server and a client pair, a list of clients\n"
	"       memattachd client DIR NAME                   make the pair of a further client\n"
	"\n"
	"  --listen HOST:PORT       where to listen, and nowhere else; may be repeated\n"
	"  --dir DIR                where ca.crt, server.crt, server.key and clients are (/etc/memattachd)\n"
	"  --user NAME              who to become when started as root; only CAP_SYS_PTRACE is kept\n"
	"  --connections N          at once (64)\n"
	"  --per-address N          of one address at once (16)\n"
	"  --new-connections N      of one address within a minute (600)\n"
	"  --requests N             of one client within a minute (120)\n"
	"  --handshake-timeout S    seconds for a client to show who it is (10)\n"
	"  --idle-timeout S         seconds after which a client that sends and takes nothing is cut off (300)\n"
	"  --keep S                 seconds for which a snapshot waits for a client whose link was cut (300)\n"
	"  --help, --version\n";

struct options {
	const char *listen[LISTEN_MAX + 1];
	size_t listen_count;
	const char *user;
	struct ma_daemon daemon;
};

static struct ma_error *number(const char *option, const char *text, unsigned long most, unsigned *ret)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v < 1 || v > most)
		return ma_errorf(MA_ERR_USAGE, "--%s %s: not a number from 1 to %lu", option, text, most);
	*ret = (unsigned)v;
	return NULL;
}

enum {
	LISTEN = 256,
	DIR_,
	USER,
	CONNECTIONS,
	PER_ADDRESS,
	NEW_CONNECTIONS,
	REQUESTS,
	HANDSHAKE,
	IDLE,
	KEEP,
	HELP,
	VERSION
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, LISTEN },
	{ "dir", required_argument, NULL, DIR_ },
	{ "user", required_argument, NULL, USER },
	{ "connections", required_argument, NULL, CONNECTIONS },
	{ "per-address", required_argument, NULL, PER_ADDRESS },
	{ "new-connections", required_argument, NULL, NEW_CONNECTIONS },
	{ "requests", required_argument, NULL, REQUESTS },
	{ "handshake-timeout", required_argument, NULL, HANDSHAKE },
	{ "idle-timeout", required_argument, NULL, IDLE },
	{ "keep", required_argument, NULL, KEEP },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static struct ma_error *parse_one(int c, const char *name, struct options *o)
{
	unsigned seconds = 0;
	switch (c) {
	case LISTEN:
		if (o->listen_count == LISTEN_MAX)
			return ma_errorf(MA_ERR_USAGE, "--listen may be given %d times", LISTEN_MAX);
		o->listen[o->listen_count++] = optarg;
		return NULL;
	case DIR_:
		o->daemon.dir = optarg;
		return NULL;
	case USER:
		o->user = optarg;
		return NULL;
	case CONNECTIONS:
		return number(name, optarg, 10000, &o->daemon.connections);
	case PER_ADDRESS:
		return number(name, optarg, 10000, &o->daemon.per_address);
	case NEW_CONNECTIONS:
		return number(name, optarg, 1000000, &o->daemon.new_connections);
	case REQUESTS:
		return number(name, optarg, 1000000, &o->daemon.requests);
	case HANDSHAKE:
		MA_TRY(number(name, optarg, 3600, &seconds));
		o->daemon.handshake_ms = (int)seconds * 1000;
		return NULL;
	case IDLE:
		MA_TRY(number(name, optarg, 86400, &seconds));
		o->daemon.idle_ms = (int)seconds * 1000;
		return NULL;
	case KEEP:
		MA_TRY(number(name, optarg, 86400, &seconds));
		o->daemon.keep_ms = (int)seconds * 1000;
		return NULL;
	default:
		return ma_errorf(MA_ERR_USAGE, "unknown option, or one without its argument (memattachd --help)");
	}
}

/* ------------------------------------------------------------------ commands */

static struct ma_error *write_clients(const char *dir)
{
	static const char text[] =
		"# Who may attach to what with memattach tls://. A line: the name in the client's certificate, the "
		"user whose\n"
		"# processes (a name, a number, or * for all), and a pattern (* ? [) for the whole command line.\n"
		"client * *\n";
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/clients", dir) < 0)
		return &ma_enomem;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return ma_error_os(errno, "cannot make %s", path);
	return write(fd, text, sizeof(text) - 1) == sizeof(text) - 1 ? NULL
								     : ma_error_os(errno, "cannot write %s", path);
}

static struct ma_error *init(int argc, char **argv)
{
	char name[256] = "localhost";
	const char *const usual[] = { "localhost", "127.0.0.1", "::1", NULL, NULL };
	const char *hosts[64];
	size_t count = 0;
	if (argc < 1 || argc > 32)
		return ma_errorf(MA_ERR_USAGE, "usage: memattachd init DIR [HOST...]");
	for (int i = 1; i < argc; i++)
		hosts[count++] = argv[i];
	for (size_t i = 0; usual[i]; i++)
		hosts[count++] = usual[i];
	if (!gethostname(name, sizeof(name) - 1) && strcmp(name, "localhost"))
		hosts[count++] = name;
	hosts[count] = NULL;
	MA_TRY(ma_tls_make_ca(argv[0]));
	MA_TRY(ma_tls_make_server(argv[0], hosts));
	MA_TRY(ma_tls_make_client(argv[0], "client"));
	MA_TRY(write_clients(argv[0]));
	printf("%s: a CA (ca.crt, ca.key: keep it elsewhere), a server for", argv[0]);
	for (size_t i = 0; i < count; i++)
		printf("%s %s", i ? "," : "", hosts[i]);
	printf(" (server.crt, server.key), a client (client.crt, client.key), and who may attach to what (clients).\n"
	       "A client needs ca.crt, client.crt and client.key in ~/.config/memattach.\n");
	return NULL;
}

static struct ma_error *client(int argc, char **argv)
{
	if (argc != 2)
		return ma_errorf(MA_ERR_USAGE, "usage: memattachd client DIR NAME");
	MA_TRY(ma_tls_make_client(argv[0], argv[1]));
	printf("%s/%s.crt and %s.key; %s/clients must name it, too.\n", argv[0], argv[1], argv[1], argv[0]);
	return NULL;
}

/* ------------------------------------------------------------------ serving */

static struct ma_error *serve(struct options *o)
{
	int fds[LISTEN_MAX * 2];
	size_t count = 0, bytes = sizeof(*o->daemon.shared) + o->daemon.connections;
	o->daemon.listen = o->listen;
	if (!o->listen_count)
		return ma_errorf(MA_ERR_USAGE, "where? --listen HOST:PORT (memattachd --help)");
	if (geteuid() == 0 && !o->user)
		return ma_errorf(MA_ERR_USAGE, "memattachd does not run as root: --user NAME");
	o->daemon.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (o->daemon.shared == MAP_FAILED)
		return &ma_enomem;
	unsetenv("DEBUGINFOD_URLS"); /* libdw would ask other machines on our behalf */
	struct ma_error *err = ma_daemon_load(&o->daemon);
	if (!err)
		err = ma_arrivals_create(&o->daemon.arrivals);
	if (!err)
		err = ma_daemon_listen(&o->daemon, fds, MA_ARRAY_SIZE(fds), &count);
	if (!err)
		err = ma_confine_daemon(o->user);
	if (!err)
		err = ma_daemon_run(&o->daemon, fds, count);
	while (count)
		close(fds[--count]);
	ma_tls_context_destroy(o->daemon.tls);
	ma_clients_destroy(o->daemon.clients);
	ma_arrivals_destroy(o->daemon.arrivals);
	munmap(o->daemon.shared, bytes);
	return err;
}

static struct ma_error *run(int argc, char **argv)
{
	struct options o = {
		.daemon = { .dir = "/etc/memattachd",
			    .connections = 64,
			    .per_address = 16,
			    .new_connections = 600,
			    .requests = 120,
			    .handshake_ms = 10000,
			    .idle_ms = 300000,
			    .keep_ms = 300000 },
	};
	int c, index = 0;
	if (argc > 1 && !strcmp(argv[1], "init"))
		return init(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "client"))
		return client(argc - 2, argv + 2);
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (c == HELP || c == VERSION) {
			fputs(c == HELP ? help : "memattachd " MA_VERSION "\n", stdout);
			return NULL;
		}
		MA_TRY(parse_one(c, c == '?' ? "" : long_options[index].name, &o));
	}
	if (optind < argc)
		return ma_errorf(MA_ERR_USAGE, "'%s': memattachd --help", argv[optind]);
	return serve(&o);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	_cleanup_error_ struct ma_error *err = run(argc, argv);
	if (!err)
		return fflush(stdout) ? 1 : 0;
	fprintf(stderr, "memattachd: %s\n", err->message);
	return ma_error_exit_code(err);
}
