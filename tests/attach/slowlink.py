# SPDX-License-Identifier: Apache-2.0
"""Two machines and a slow link between them: network namespaces, a veth pair that `tc tbf` lets through at a rate, and a
forwarder on the near side that holds every byte back for a while (this file, run as a program)."""
import asyncio
import os
import re
import select
import shutil
import subprocess
import sys

NEAR, FAR = "10.77.0.2", "10.77.0.1"
HELD_MAX = 1 << 20  # bytes under way in one direction


async def pass_on(reader, writer, delay):
    loop, queue = asyncio.get_running_loop(), asyncio.Queue(HELD_MAX // 65536)

    async def write():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(write())
    try:
        while True:
            data = await reader.read(65536)
            await queue.put((loop.time() + delay, data))
            if not data:
                break
        await task
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, asyncio.CancelledError):
        task.cancel()
        writer.transport.abort()


async def forward(host, port, delay):
    async def serve(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(pass_on(reader, far_writer, delay), pass_on(far_reader, writer, delay))
        for w in (writer, far_writer):
            w.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Refused(Exception):
    """This machine has no such link; says why."""


class SlowLink:
    """`far` and `near`: words before a command that runs there. Both see the processes of this machine."""

    def __init__(self, rate="10mbit", delay=0.05):
        if os.geteuid() != 0:
            raise Refused("network namespaces need root")
        missing = [p for p in ("ip", "tc", "nsenter") if not shutil.which(p)]
        if missing:
            raise Refused(f"no {missing[0]} on this machine")
        self.delay, self.running = delay, []
        self.names = [f"memattach-{os.getpid()}-{side}" for side in ("far", "near")]
        self.far, self.near = (("nsenter", f"--net=/run/netns/{name}") for name in self.names)
        try:
            self.make(rate)
        except subprocess.CalledProcessError as e:
            self.close()
            raise Refused(f"no slow link can be made here: {' '.join(e.cmd)}: {e.stderr.strip()}") from None

    def make(self, rate):
        def run(*words):
            subprocess.run(words, check=True, capture_output=True, text=True)

        far, near = self.names
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "far", "netns", far, "type", "veth", "peer", "name", "near", "netns", near)
        for name, dev, address in ((far, "far", FAR), (near, "near", NEAR)):
            run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", dev)
            run("ip", "-n", name, "link", "set", dev, "up")
            run("tc", "-n", name, "qdisc", "add", "dev", dev, "root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms")

    def carried(self):
        """Bytes that the far side has sent, as its device counts them."""
        shown = subprocess.run(("ip", "-s", "-n", self.names[0], "link", "show", "far"), check=True, capture_output=True,
                               text=True).stdout
        return int(re.search(r"TX:[^\n]*\n\s*(\d+)", shown).group(1))

    def forward(self, port):
        """A port of 127.0.0.1 on the near side that leads to `port` on the far side."""
        p = subprocess.Popen((*self.near, sys.executable, __file__, FAR, str(port), str(self.delay)), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        self.running.append(p)
        assert select.select([p.stdout], [], [], 30)[0], "the forwarder does not start"
        return int(p.stdout.readline())

    def close(self):
        for p in self.running:
            p.kill()
            p.wait()
            p.stdout.close()
        for name in self.names:
            subprocess.run(("ip", "netns", "del", name), capture_output=True)


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
