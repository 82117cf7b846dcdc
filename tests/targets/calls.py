# SPDX-License-Identifier: Apache-2.0
"""Raw system calls by ctypes, which does not repeat a call that ends with EINTR as Python does. Linux on x86-64.

BLOCKING: name -> function that returns (number, call, release): call() blocks until release() is called."""
import ctypes
import os
import select
import signal
import socket
import struct
import tempfile
import threading
import fcntl

libc = ctypes.CDLL(None, use_errno=True)
NR = dict(read=0, poll=7, readv=19, select=23, pause=34, nanosleep=35, accept=43, recvfrom=45, recvmsg=47, wait4=61, semop=65,
          msgrcv=70, fcntl=72, flock=73, rt_sigtimedwait=128, rt_sigsuspend=130, futex=202, io_setup=206, io_getevents=208,
          semtimedop=220, clock_nanosleep=230, epoll_wait=232, mq_timedreceive=243, waitid=247, openat=257, pselect6=270,
          ppoll=271, splice=275, tee=276, epoll_pwait=281, write=1, sendto=44, io_uring_setup=425, io_uring_enter=426,
          epoll_pwait2=441, futex_waitv=449)
RELEASE_SIGNAL = signal.SIGUSR1


def call(name, *args):
    """(result, errno or 0) of one system call."""
    fixed = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(NR[name]), *fixed)
    return got, ctypes.get_errno() if got == -1 else 0


libc.syscall.restype = ctypes.c_long


def spec(seconds):
    """struct timespec"""
    return ctypes.create_string_buffer(struct.pack("qq", int(seconds), int(seconds % 1 * 1e9)), 16)


def setup(name, *args):
    got, error = call(name, *args)
    if got < 0:
        raise OSError(error, os.strerror(error), name)
    return got


class Signalled:
    """For calls that only a signal ends: sent to the one thread, again until it has come out."""

    def __init__(self):
        self.thread, self.out = None, threading.Event()

    def wrap(self, function):
        def run():
            self.thread = threading.get_ident()
            try:
                return function()
            finally:
                self.out.set()
        return run

    def release(self):
        while not self.out.wait(0.05):
            signal.pthread_kill(self.thread, RELEASE_SIGNAL)


def signalled(name, *args):
    s = Signalled()
    return name, s.wrap(lambda: call(name, *args)), s.release


def pipe_and(name, args):
    """args(reader) are the arguments; a byte in the pipe ends the call."""
    reader, writer = os.pipe()
    given = args(reader)
    return name, lambda: call(name, *given), lambda: os.write(writer, b"x")


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return "write", lambda: call("write", writer, b"y" * 4096, 4096), lambda: os.read(reader, 1 << 20)


def full_socket():
    a, b = socket.socketpair()
    a.setblocking(False)
    try:
        while True:
            a.send(b"x" * 4096)
    except BlockingIOError:
        a.setblocking(True)

    def release():
        b.setblocking(False)
        try:
            while b.recv(1 << 20):
                pass
        except BlockingIOError:
            pass
    return "sendto", lambda: call("sendto", a.fileno(), b"y" * 4096, 4096, 0, None, 0), release


def pollfds(fd):
    return ctypes.create_string_buffer(struct.pack("ihh", fd, select.POLLIN, 0), 8)


def fdset(fd):
    bits = bytearray(128)
    bits[fd // 8] |= 1 << fd % 8
    return ctypes.create_string_buffer(bytes(bits), 128)


def epoll_on(fd):
    e = select.epoll()
    e.register(fd, select.EPOLLIN)
    call.keep.append(e)
    return e.fileno()


call.keep = []
EVENTS = ctypes.create_string_buffer(64)


def socket_read(name, args, timeout=None):
    a, b = socket.socketpair()
    if timeout:
        a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", int(timeout), 0))
    given = args(a.fileno())
    call.keep += [a, b]
    return name, lambda: call(name, *given), lambda: b.send(b"x")


def accepting(timeout=None):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(5)
    if timeout:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", int(timeout), 0))

    def run():
        got, error = call("accept", s.fileno(), None, None)
        return (1, 0) if got > 0 else (got, error)
    return "accept", run, lambda: call.keep.append(socket.create_connection(s.getsockname()))


def futex(op, timeout=None):
    word = ctypes.c_int(0)

    def release():
        word.value = 1
        while call("futex", ctypes.byref(word), 129 if op & 128 else 1, 1, None, None, 0)[0] != 1:
            pass
    return "futex", lambda: call("futex", ctypes.byref(word), op, 0, timeout, None, ctypes.c_long(-1)), release


def futex_waitv():
    word = ctypes.c_int(0)
    waiter = ctypes.create_string_buffer(struct.pack("QQII", 0, ctypes.addressof(word), 2 | 128, 0), 24)

    def release():
        word.value = 1
        while call("futex", ctypes.byref(word), 129, 1, None, None, 0)[0] != 1:
            pass
    return "futex_waitv", lambda: call("futex_waitv", waiter, 1, 0, None, 1), release


def waiting(name):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)

    def run():
        if name == "wait4":
            got, error = call("wait4", pid, None, 0, None)
            return (1, 0) if got == pid else (got, error)
        info = ctypes.create_string_buffer(128)
        return call("waitid", 1, pid, info, 4, None)
    return name, run, lambda: os.write(writer, b"x")


def locked_file():
    f = tempfile.NamedTemporaryFile()
    again = open(f.name, "r+b")
    call.keep += [f, again]
    return f.fileno(), again.fileno()


def flock():
    holder, waiter = locked_file()
    fcntl.flock(holder, fcntl.LOCK_EX)
    return "flock", lambda: call("flock", waiter, 2), lambda: fcntl.flock(holder, fcntl.LOCK_UN)


def ofd_lock():
    holder, waiter = locked_file()

    def change(fd, kind, wait=37):
        return call("fcntl", fd, wait, ctypes.create_string_buffer(struct.pack("hhqqi", kind, 0, 0, 0, 0), 32))
    change(holder, 1)
    return "fcntl", lambda: change(waiter, 1, 38), lambda: change(holder, 2)


def sigtimedwait(timeout):
    number = signal.SIGRTMIN + (5 if timeout else 6)
    mask = ctypes.c_ulong(1 << number - 1)
    s = Signalled()
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])

    def release():
        while not s.out.wait(0.05):
            signal.pthread_kill(s.thread, number)
            break
    return "rt_sigtimedwait", s.wrap(lambda: call("rt_sigtimedwait", ctypes.byref(mask), None, timeout, 8)), release


def message_queue():
    queue = libc.msgget(0, 0o1600)
    buffer = ctypes.create_string_buffer(64)
    message = ctypes.create_string_buffer(struct.pack("q", 1) + b"x", 16)

    def release():
        libc.msgsnd(queue, message, 1, 0)
    return "msgrcv", lambda: call("msgrcv", queue, buffer, 8, 0, 0), release


def semaphore(timeout):
    number = libc.semget(0, 1, 0o1600)
    down = ctypes.create_string_buffer(struct.pack("Hhh", 0, -1, 0), 6)
    up = ctypes.create_string_buffer(struct.pack("Hhh", 0, 1, 0), 6)
    name = "semtimedop" if timeout else "semop"
    return name, lambda: call(name, number, down, 1, timeout), lambda: call("semop", number, up, 1)


def posix_queue(timeout):
    name = b"/memattach-test-%d-%d" % (os.getpid(), len(call.keep))
    rt = ctypes.CDLL("librt.so.1", use_errno=True)
    queue = rt.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None)
    if queue < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    rt.mq_unlink(name)
    buffer = ctypes.create_string_buffer(65536)
    end = spec(__import__("time").time() + 600) if timeout else None
    return ("mq_timedreceive", lambda: call("mq_timedreceive", queue, buffer, 65536, None, end),
            lambda: rt.mq_send(queue, b"x", 1, 0))


def fifo():
    folder = tempfile.TemporaryDirectory()
    call.keep.append(folder)
    path = os.path.join(folder.name, "fifo")
    os.mkfifo(path)

    def run():
        got, error = call("openat", -100, path.encode(), os.O_RDONLY)
        return (1, 0) if got > 0 else (got, error)
    return "openat", run, lambda: call.keep.append(open(path, "wb", buffering=0))


def aio():
    context = ctypes.c_ulong(0)
    setup("io_setup", 4, ctypes.byref(context))
    return signalled("io_getevents", context, 1, 1, EVENTS, None)


def uring():
    params = ctypes.create_string_buffer(120)
    fd = setup("io_uring_setup", 4, params)
    return signalled("io_uring_enter", fd, 0, 1, 1, None, 0)


def spliced(name):
    reader, writer = os.pipe()
    _, other = os.pipe()
    args = (reader, None, other, None, 1, 0) if name == "splice" else (reader, other, 1, 0)
    return name, lambda: call(name, *args), lambda: os.write(writer, b"x")


BUFFER = ctypes.create_string_buffer(64)
VECTOR = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(BUFFER), 64), 16)
HEADER = ctypes.create_string_buffer(struct.pack("QIxxxxQQQQQ", 0, 0, ctypes.addressof(VECTOR), 1, 0, 0, 0), 56)
NO_MASK = ctypes.c_ulong(0)


def event_read(make, release):
    fd = make()
    return "read", lambda: call("read", fd, BUFFER, 64), lambda: release(fd)


def inotify():
    folder = tempfile.TemporaryDirectory()
    call.keep.append(folder)
    fd = libc.inotify_init1(0)
    libc.inotify_add_watch(fd, folder.name.encode(), 0x100)
    return ("read", lambda: (min(call("read", fd, BUFFER, 64)[0], 1), 0),
            lambda: open(os.path.join(folder.name, "x"), "w").close())


BLOCKING = {
    "read": lambda: pipe_and("read", lambda fd: (fd, BUFFER, 1)),
    "readv": lambda: pipe_and("readv", lambda fd: (fd, VECTOR, 1)),
    "read eventfd": lambda: event_read(lambda: libc.eventfd(0, 0), lambda fd: os.write(fd, struct.pack("Q", 1))),
    "read inotify": inotify,
    "write": full_pipe,
    "sendto": full_socket,
    "poll": lambda: pipe_and("poll", lambda fd: (pollfds(fd), 1, -1)),
    "poll 600 s": lambda: pipe_and("poll", lambda fd: (pollfds(fd), 1, 600000)),
    "ppoll": lambda: pipe_and("ppoll", lambda fd: (pollfds(fd), 1, None, None, 0)),
    "ppoll 600 s": lambda: pipe_and("ppoll", lambda fd: (pollfds(fd), 1, spec(600), None, 0)),
    "select": lambda: pipe_and("select", lambda fd: (fd + 1, fdset(fd), None, None, None)),
    "select 600 s": lambda: pipe_and("select", lambda fd: (fd + 1, fdset(fd), None, None, spec(600))),
    "pselect6": lambda: pipe_and("pselect6", lambda fd: (fd + 1, fdset(fd), None, None, None, None)),
    "epoll_wait": lambda: pipe_and("epoll_wait", lambda fd: (epoll_on(fd), EVENTS, 1, -1)),
    "epoll_wait 600 s": lambda: pipe_and("epoll_wait", lambda fd: (epoll_on(fd), EVENTS, 1, 600000)),
    "epoll_pwait": lambda: pipe_and("epoll_pwait", lambda fd: (epoll_on(fd), EVENTS, 1, -1, None, 8)),
    "epoll_pwait2": lambda: pipe_and("epoll_pwait2", lambda fd: (epoll_on(fd), EVENTS, 1, None, None, 8)),
    "epoll_pwait2 600 s": lambda: pipe_and("epoll_pwait2", lambda fd: (epoll_on(fd), EVENTS, 1, spec(600), None, 8)),
    "recvfrom": lambda: socket_read("recvfrom", lambda fd: (fd, BUFFER, 64, 0, None, None)),
    "recvfrom 600 s": lambda: socket_read("recvfrom", lambda fd: (fd, BUFFER, 64, 0, None, None), 600),
    "recvmsg": lambda: socket_read("recvmsg", lambda fd: (fd, HEADER, 0)),
    "accept": accepting,
    "accept 600 s": lambda: accepting(600),
    "futex": lambda: futex(0),
    "futex private 600 s": lambda: futex(128, spec(600)),
    "futex bitset": lambda: futex(9),
    "futex_waitv": futex_waitv,
    "wait4": lambda: waiting("wait4"),
    "waitid": lambda: waiting("waitid"),
    "flock": flock,
    "fcntl": ofd_lock,
    "rt_sigtimedwait": lambda: sigtimedwait(None),
    "rt_sigtimedwait 600 s": lambda: sigtimedwait(spec(600)),
    "msgrcv": message_queue,
    "semop": lambda: semaphore(None),
    "semtimedop": lambda: semaphore(spec(600)),
    "mq_timedreceive": lambda: posix_queue(False),
    "mq_timedreceive 600 s": lambda: posix_queue(True),
    "openat fifo": fifo,
    "splice": lambda: spliced("splice"),
    "tee": lambda: spliced("tee"),
    "io_getevents": aio,
    "io_uring_enter": uring,
    "nanosleep": lambda: signalled("nanosleep", spec(600), None),
    "clock_nanosleep": lambda: signalled("clock_nanosleep", 1, 0, spec(600), None),
    "pause": lambda: signalled("pause"),
    "rt_sigsuspend": lambda: signalled("rt_sigsuspend", ctypes.byref(NO_MASK), 8),
}
