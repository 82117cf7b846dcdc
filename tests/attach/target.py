# SPDX-License-Identifier: Apache-2.0
"""A target program: started in a session of its own, driven by lines on its stdin and stdout, always ended.

A program in tests/targets prints "ready", answers "ping" with "pong", and at "end" prints what it found and exits.
Every wait is for an event (a line, the end of the output, the exit) and has a deadline."""
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

TARGETS = Path(__file__).resolve().parent.parent / "targets"
DEADLINE = 60.0


class Harmed(AssertionError):
    """What a program does or is that it would not, had nobody attached. tools/test never tries such a test again."""


def require(true, text):
    if not true:
        raise Harmed(text)


def program_path(name):
    return TARGETS / f"{name}.py"


def line_of(name, mark):
    """Line number of the line of tests/targets/NAME.py that ends in the comment "# LINE:mark"."""
    for number, text in enumerate(program_path(name).read_text().splitlines(), 1):
        if text.rstrip().endswith(f"# LINE:{mark}"):
            return number
    raise LookupError(f"no LINE:{mark} in {name}.py")


def wait_until(true, seconds=10.0, what="", step=0.002):
    """Polls what has no descriptor to wait on (a state in /proc). Returns the value of true()."""
    end = time.monotonic() + seconds
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what or true}")
        time.sleep(step)


def cpu_ns(pid):
    """CPU time that the main thread of a process has had, by the kernel's books. What it waited for a CPU is not in it."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[0])


class Target:
    def __init__(self, python, program, *args, wrap=(), env=None, cwd=None, program_dir=TARGETS, pid_of=None):
        """wrap: a command that runs ours (unshare, setpriv); pid_of(wrapper's pid) gives the target's pid then."""
        self.name = program
        self.stderr = tempfile.TemporaryFile()
        self.buffer, self.lines, self.eof = b"", [], False
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MEMATTACH", "MALLOC"))}
        if os.environ.get("MEMATTACH_RAW") == "live":
            environ["TARGET_RAW_MB"] = "256"  # enough for it to be worth while
        environ.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", **(env or {}))
        # a tree is entered first: `wrap` runs in it
        words = [*getattr(python, "wrap", ()), *wrap, getattr(python, "path", python)]
        self.popen = subprocess.Popen([*words, str(Path(program_dir) / f"{program}.py"), *map(str, args)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, env=environ,
                                      cwd=cwd, start_new_session=True, bufsize=0)
        self.pid_of = pid_of
        self.pid = self.popen.pid

    # -------------------------------------------------------------- talking
    def read_line(self, seconds=DEADLINE):
        """The next line, or None at the end of the output."""
        end = time.monotonic() + seconds
        fd = self.popen.stdout.fileno()
        while b"\n" not in self.buffer:
            if self.eof:
                return None
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Harmed(f"target {self.name} ({self.pid}) said nothing for {seconds} s; {self.describe()}")
            data = os.read(fd, 65536)
            self.eof = not data
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def expect(self, wanted, seconds=DEADLINE):
        """Reads up to the line `wanted`; lines before it are kept as the program's output."""
        while True:
            line = self.read_line(seconds)
            if line is None:
                raise Harmed(f"target {self.name} ended before '{wanted}'; {self.describe()}")
            if line == wanted or line.startswith(wanted + " "):
                return line
            self.lines.append(line)

    def send(self, line):
        try:
            os.write(self.popen.stdin.fileno(), line.encode() + b"\n")
        except BrokenPipeError:
            raise Harmed(f"target {self.name} ended before it was told '{line}'; {self.describe()}") from None

    def ask(self, question, answer, seconds=DEADLINE):
        self.send(question)
        return self.expect(answer, seconds)

    def wait_ready(self):
        self.expect("ready")
        if self.pid_of:
            self.pid = self.pid_of(self.popen.pid)

    def ping(self, seconds=DEADLINE):
        self.ask("ping", "pong", seconds)

    def finish(self, seconds=DEADLINE):
        """Sends "end" and returns (output lines, exit code, stderr)."""
        try:
            self.send("end")
        except Harmed:
            pass  # it ended by itself: who asks compares how
        while True:
            line = self.read_line(seconds)
            if line is None:
                break
            self.lines.append(line)
        code = self.popen.wait(seconds)
        return self.lines, code, self.errors()

    def end_well(self, wanted=None, seconds=DEADLINE):
        """Finishes and requires what the same program says when nobody attaches: `wanted`, of baseline(), or as much of it as is given."""
        got = self.finish(seconds)
        require(got[1] == 0, f"{self.name}: exit code {got[1]}, output {got[0]}, stderr {got[2]!r}")
        wrong = [x for x in got[0] if x.startswith("wrong ")]
        require(not wrong, f"{self.name}: {wrong}")
        require(wanted is None or got[:len(wanted)] == wanted, f"{self.name} ended with {got} instead of {wanted}")
        return got

    # -------------------------------------------------------------- looking
    def errors(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def describe(self):
        state = "running" if self.alive() else f"exit code {self.popen.returncode}"
        return f"{state}, output {self.lines[-5:]}, stderr {self.errors()[-800:]!r}"

    def signal(self, number):
        os.kill(self.pid, number)

    def session(self):
        """Every process of the session that we made for the target: it and what it started."""
        found = []
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/stat") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if name.isdigit() and int(fields[3]) == self.popen.pid and fields[0] != "Z":
                found.append(int(name))
        return found

    def close(self):
        """Ends the program and all that it started, each by its own pid, and reaps it; harmless when it has ended."""
        try:
            for pid in self.session():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.popen.wait(10)
        finally:
            for stream in (self.popen.stdin, self.popen.stdout, self.stderr):
                stream.close()


_baselines = {}


def baseline(python, program, *args, **options):
    """What the program prints, and its exit code, when nobody attaches. One run for each command."""
    key = (getattr(python, "id", python), program, args, tuple(sorted((k, str(v)) for k, v in options.items())))
    if key not in _baselines:
        t = Target(python, program, *args, **options)
        try:
            t.wait_ready()
            t.ping()
            _baselines[key] = t.finish()
        finally:
            t.close()
    return _baselines[key]


def in_group(folder):
    """The `wrap` of a Target that starts it in a cgroup (the fixture `cgroup`)."""
    return ("/bin/sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh")
