// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <string.h>

/* The offline build has no command that touches a process. */
#ifdef MA_HAVE_ATTACH
#define ATTACHING(fn) fn
#else
static struct ma_error *not_built(const struct ma_cli *cli)
{
	(void)cli;
	return ma_errorf(MA_ERR_UNSUPPORTED, "this build reads snapshots only: it can not attach to a process");
}
#define ATTACHING(fn) not_built
#endif

#define FAR_HELP                                                                                                     \
	"PID may also be ssh://[user@]host[:port]/PID: the process is on that machine, where nothing has to be\n"    \
	"installed, and the snapshot comes here. In place of /PID: /name:PATTERN (a part of its command line),\n"    \
	"/tree:PID, /cgroup:PATH. With tls:// in place of ssh:// a memattachd there serves it (port 7433 unless\n"   \
	"given), to those with a certificate that it knows. With -o FILE --resume it keeps what a cut link leaves\n" \
	"for some minutes, and the same command again fetches the rest; with ssh:// for as long as --linger says.\n"

#define VALUES_HELP                                                                                                   \
	"--values says what the file has of the contents of str and bytes: their length and a keyed hash, by which\n" \
	"equal ones can be counted and matched but not read (hash); the first N characters or all of them, of int\n"  \
	"and float the value, too (prefix:N, all); nothing, and of the command line its first word (none).\n"         \
	"Names of attributes, variables, functions and types are always there.\n"

#define CORE_HELP                                                                                                      \
	"PID may also be core:FILE, the core file of a process that has died (or that gcore made), of this kind of\n"  \
	"machine. The files that it had mapped are read from where they were, and must be the same ones; --exe says\n" \
	"where the program is now. Nothing of it is run: where an extension or a rare type would have to be asked "    \
	"for\n"                                                                                                        \
	"its references, they are guessed from its words and shown as <guessed>.\n"                                    \
	"With --stop a process is not cloned: it stands still while its memory is copied, 0.9 ms a MB, at most half "  \
	"a\n"                                                                                                          \
	"second unless --max-pause says else, and is read like a core. For those that may not be cloned.\n"            \
	"With --core FILE a core file is written of the copy, at its safe point: what gcore makes, without its "       \
	"pause. gdb\n"                                                                                                 \
	"reads it. It holds everything that was in memory, passwords too, whatever --values says; mode 0600.\n"

#define MA_OPT_WHICH (MA_OPT_PID | MA_OPT_NAME)
#define MA_ARGS_MANY 4096

#define WHO_HELP                                                                                                     \
	"--name in place of PID: the one Python process whose command line has PATTERN in it. --tree: also the\n"    \
	"Python processes below it, one after the other; their report counts shared pages once. --cgroup PATH: in\n" \
	"the same way those of a control group (as /proc/PID/cgroup says it, or its folder) and of those below it.\n"

#define SNAP_HELP                                                                                                   \
	"SNAP is a file, an id of `memattach ls`, or @TIME with --pid or --name, for the snapshot nearest to it:\n" \
	"@now, @30m (ago), @10:05 (the last one), @2026-11-21T10:05 (local), @2026-11-21T10:05:00Z.\n"

const struct ma_command ma_commands[] = {
	{ NULL, "PID", 0, 1,
	  MA_OPT_FAR | MA_OPT_BRIEF | MA_OPT_FULL | MA_OPT_NAME | MA_OPT_TREE | MA_OPT_CGROUP | MA_OPT_RESUME |
		  MA_OPT_KEEP | MA_OPT_OUTPUT | MA_OPT_JSON | MA_OPT_BYTES | MA_OPT_MAX_PAUSE | MA_OPT_VALUES |
		  MA_OPT_EXE | MA_OPT_CORE | MA_OPT_STOP,
	  "take a snapshot and print the report",
	  "Stops the process for as long as one fork() takes, reads the copy, and prints what is in its memory and\n"
	  "who holds it. The snapshot file stays: with -o where you say, else in\n"
	  "$XDG_DATA_HOME/memattach (or ~/.local/share/memattach). memattach ls lists it.\n"
	  "Who holds what is found in the same command when 50 bytes for each object are at most a quarter of the\n"
	  "memory that is available; else by memattach report, there or elsewhere. JSON has it with --full "
	  "only.\n" WHO_HELP FAR_HELP CORE_HELP VALUES_HELP,
	  ATTACHING(ma_cmd_target) },
	{ "snap", "PID...", 0, MA_ARGS_MANY,
	  MA_OPT_FAR | MA_OPT_NAME | MA_OPT_TREE | MA_OPT_CGROUP | MA_OPT_RESUME | MA_OPT_EVERY | MA_OPT_COUNT |
		  MA_OPT_KEEP | MA_OPT_OUTPUT | MA_OPT_MAX_PAUSE | MA_OPT_VALUES | MA_OPT_EXE | MA_OPT_CORE |
		  MA_OPT_STOP,
	  "take a snapshot, no report",
	  "Writes the snapshot file and prints one line: its path and size, how long it took and how long the process\n"
	  "was stopped, and its id (memattach ls). With --every TIME a series: --count N of them, or until Ctrl-C "
	  "(which\n"
	  "waits for the one under way) or the end of the process. -o then names a folder.\n" WHO_HELP VALUES_HELP,
	  ATTACHING(ma_cmd_snap) },
	{ "report", "SNAP", 1, MA_ARGS_MANY,
	  MA_OPT_TREE | MA_OPT_JSON | MA_OPT_HTML | MA_OPT_BYTES | MA_OPT_TYPE | MA_OPT_MODULE | MA_OPT_BRIEF |
		  MA_OPT_WHICH,
	  "print the report of a snapshot",
	  "Needs neither the process nor the machine where the snapshot was taken. --type prints the types whose\n"
	  "name matches: how large their objects are, what holds them, the largest. --module prints what modules\n"
	  "and packages retain, and of a single module what its globals do. The fields of --json are in "
	  "docs/json.md.\n" SNAP_HELP,
	  ma_cmd_report },
	{ "paths", "SNAP TYPE|ADDR", 2, 2, MA_OPT_JSON | MA_OPT_BYTES | MA_OPT_WHICH,
	  "say what holds an object or a type",
	  "The shortest way to the object at ADDR (0x7f...) from a module, a frame or the interpreter, as Python "
	  "would\n"
	  "write it, and what refers to it. Of a TYPE (app.Session; * and ? match several) the ways to all its "
	  "objects,\n"
	  "those merged that go through the same holder: [*] stands for what differs.\n" SNAP_HELP,
	  ma_cmd_paths },
	{ "diff", "OLD [MIDDLE] NEW", 2, 3, MA_OPT_JSON | MA_OPT_HTML | MA_OPT_BYTES | MA_OPT_FAIL | MA_OPT_WHICH,
	  "print what grew between two snapshots",
	  "Containers that were there both times and hold more now, each with its path, what it gained, and of which\n"
	  "types; then resident memory, what modules retain, and types: before, after, change, an hour. Of one\n"
	  "process objects are matched by address, of two by path. With a third snapshot from between them also:\n"
	  "whether growth is steady, and what was born before it and is still alive. --fail-over looks at the Python\n"
	  "objects and at resident memory. --fail-growth takes a path as it is printed and what is below it, or a\n"
	  "pattern with * and ?. --html writes the report of NEW with the comparison in it.\n",
	  ma_cmd_diff },
	{ "query", "SNAP SQL", 2, 2, MA_OPT_CSV | MA_OPT_JSON | MA_OPT_WHICH, "ask a snapshot with SQL",
	  "One SELECT of SQLite over these tables:\n"
	  "  objects(addr, type, size, refcnt, gc, place,   place: arena, malloc, static, other\n"
	  "          length, hash, value,                   of contents, as far as --values asked for them\n"
	  "          retained, dominator)                   these two are not part of *\n"
	  "  edges(src, dst, name)                          who refers to whom, and how\n"
	  "  types(type, count, bytes, retained)\n"
	  "  modules(module, package, addr, retained, instances, bytes)\n"
	  "  waste(kind, type, count, bytes)                what the same data would not take\n"
	  "  duplicates(type, size, count, bytes, example)  equal str and bytes\n"
	  "  frames(tid, depth, file, function, line)       depth 0 is the innermost\n"
	  "  memory(name, bytes)                            the rows of resident memory\n"
	  "For instance: memattach query SNAP \"SELECT type, sum(size) FROM objects GROUP BY 1 ORDER BY 2 "
	  "DESC\"\n" SNAP_HELP,
	  ma_cmd_query },
	{ "export", "SNAP [OUT]", 1, 2, MA_OPT_OUTPUT | MA_OPT_FORMAT | MA_OPT_TABLE | MA_OPT_BYTES | MA_OPT_WHICH,
	  "write a snapshot in the format of another tool",
	  "Into OUT (or -o OUT), else to standard output. Without --format the end of OUT's name says which:\n"
	  "  json         all of it: the report and every table; with --table one table\n"
	  "  csv, arrow   one table; all of them where OUT is a folder (name/) or with --table all.\n"
	  "               arrow is Arrow IPC: pyarrow, Polars, pandas, and DuckDB through pyarrow\n"
	  "  collapsed, speedscope, pprof   bytes by the way to them, for flame graphs\n"
	  "  heapsnapshot, hprof            Chrome, VS Code; Eclipse MAT\n"
	  "OUT can be read by its owner only. A file of that name is replaced once the new one is whole.\n" SNAP_HELP,
	  ma_cmd_export },
	{ "check", "SNAP", 1, 1, MA_OPT_WHICH, "check every byte of a snapshot",
	  "Reads all of it and compares every checksum. Exit code 6 and the first thing that is wrong when it is\n"
	  "damaged.\n" SNAP_HELP,
	  ma_cmd_check },
	{ "ls", "", 0, 0, MA_OPT_JSON | MA_OPT_BYTES | MA_OPT_WHICH | MA_OPT_PRUNE,
	  "list the snapshots that were taken",
	  "All snapshots of this user on this machine, the newest last, also those written with -o. A file\n"
	  "that was moved is found again in the folders where others of them are, elsewhere when it is read. One that\n"
	  "is not there stays in the list as missing, until --prune drops it. The list is catalogue.db in\n"
	  "$XDG_DATA_HOME/memattach (or ~/.local/share/memattach).\n",
	  ma_cmd_ls },
	{ "rm", "[ID...]", 0, MA_ARGS_MANY, MA_OPT_WHICH | MA_OPT_KEEP, "remove snapshots, the files too",
	  "Removes the snapshots with these ids, or with --keep N all but the newest N of each process (of that which\n"
	  "--pid or --name chooses). A file that is no longer the one that was taken is left alone.\n",
	  ma_cmd_rm },
	{ "stacks", "PID", 1, 1, MA_OPT_FAR | MA_OPT_JSON | MA_OPT_MAX_PAUSE | MA_OPT_NATIVE | MA_OPT_EXE,
	  "print the Python stack of every thread",
	  "Like a snapshot, but without the heap, and nothing is kept. With --native the C functions stand between\n"
	  "the Python ones, and threads without Python are there too. PID may be core:FILE (without --native).\n",
	  ATTACHING(ma_cmd_stacks) },
	{ "doctor", "PID", 1, 1, MA_OPT_SSH | MA_OPT_TLS | MA_OPT_JSON,
	  "say whether attaching would work, and what the pause would be",
	  "Only reads /proc; nothing is stopped. Where something is in the way it says what helps.\n",
	  ATTACHING(ma_cmd_doctor) },
	{ "watch", "PID", 1, 1, MA_OPT_AT | MA_OPT_OUTPUT | MA_OPT_MAX_PAUSE | MA_OPT_VALUES,
	  "take a snapshot before memory runs out",
	  "Waits until the process is near the end of its memory, takes one snapshot, and leaves. The end is the\n"
	  "limit of its cgroup (memory.max or memory.high; v1: memory.limit_in_bytes) or the memory of the machine,\n"
	  "whichever is nearer; file cache that can be dropped does not count. The snapshot comes sooner where a\n"
	  "copy of the process would not fit in any more at that point, or where the cgroup waits for memory.\n"
	  "With a size it is resident memory of the process alone that counts.\n",
	  ATTACHING(ma_cmd_watch) },
};
const size_t ma_commands_count = sizeof(ma_commands) / sizeof(ma_commands[0]);

const struct ma_command *ma_command_find(const char *name)
{
	for (size_t i = 0; i < ma_commands_count; i++)
		if (ma_commands[i].name && !strcmp(ma_commands[i].name, name))
			return &ma_commands[i];
	return NULL;
}
