# SPDX-License-Identifier: MIT
"""What a serial line of 115,200 baud carries of an upload, and how long `list`
takes while consoles flood it."""
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import time

import channel
import disks
import machines
from control import Tool, wait_for_hypervisor
from process import Process
from slow_line import RATE, SlowLine

SIZE = 128 << 10
SHARE = 0.85
TRIES = 6
LISTS = 50
AGAIN = 1.2 # seconds until it is asked again
SECONDS = 0.2
# Other programs are no part of a line.  The client and the line are on other
# machines in truth, and QEMU's main thread, which is its UART, waits for no
# processor of its guest.  Where that order is not allowed, figures are told but
# not judged: they would be those of the other programs.
CLIENT, LINE, UART, GUEST = 4, 3, 2, 1


def may_hurry():
    """Not everywhere: a container's root may lack the right."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(CLIENT))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        return False
    return True


FIRST = ["chrt", "--rr", str(CLIENT)] if may_hurry() else []
# Two beside the service and two apart from it.
MANIFEST = """\
machine: {share-cpus: true, serial: {mode: channel}}
vms:
""" + "".join("  flood%d: {memory: 16MiB, cpus: [%d], autostart: false, "
              "kernel: $guests/counter.elf, cmdline: period=0}\n"
              % (number, number // 2) for number in range(4))


def boot(setup, checks, folder):
    manifest, disk = folder / "floods.yaml", folder / "disk.img"
    manifest.write_text(setup.fill_in(MANIFEST))
    disks.pack(setup, checks, manifest, "-o", disk, "--format", "fat")
    path = "/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
    line = SlowLine(path)
    words = machines.qemu(disk)
    at = words.index("-serial")
    words[at:at + 2] = ["-chardev", "socket,id=line,fd=%d" % line.far.fileno(),
                        "-serial", "chardev:line"]
    process = Process(words, checks.note, keep=(line.far.fileno(),))
    line.start()
    return process, line, "unix:" + path


def hurry(process, line):
    """They come before other programs, where that is allowed."""
    tasks = {int(task): GUEST for task in
             os.listdir("/proc/%d/task" % process.process.pid)}
    tasks[process.process.pid] = UART
    tasks[line.native_id] = LINE
    for task, priority in tasks.items():
        os.sched_setscheduler(task, os.SCHED_RR, os.sched_param(priority))


def uploads(tool, line, checks, folder):
    """What cannot be compressed, in one go.  Other programs can only make it
    worse, so the best of some tries is what the line carries."""
    image = folder / "image"
    image.write_bytes(random.Random(5).randbytes(SIZE))
    share = 0
    for _ in range(TRIES):
        before = line.dropped
        told = tool.json("upload", image)
        share = max(share, SIZE / (told["time"] / 1e9) / RATE)
        checks.note("%.1f s, %d bytes were dropped" % (told["time"] / 1e9,
                                                      line.dropped - before))
        checks.check(told["sent"] == SIZE, "all of it was sent")
        tool.run("delete", "image")
        if share >= SHARE:
            break
    checks.check(share >= SHARE or not FIRST,
                 "%.1f %% of the line are the image's" % (100 * share))


def is_cut(tool, line, checks, folder):
    """A client that is killed, and a line that ends, in an upload."""
    image = folder / "image"
    free = tool.json("info")["memory_free"]
    for number, end in enumerate((None, line.cut)):
        client = Process([tool.mullctl, "upload", image, "--connect",
                          tool.address], checks.note)
        time.sleep(2)
        if end:
            end()
        else:
            client.process.send_signal(signal.SIGKILL)
        checks.check(client.finish(10) == (6 if end else -signal.SIGKILL),
                     "the upload ends, try %d" % number)
    checks.check("goes on where" in client.text("err"), "it says what to do")
    told = tool.json("upload", image)
    checks.check(told["sent_from"] > SIZE / 8 and
                 told["sent"] == SIZE - told["sent_from"],
                 "it goes on at %d of %d" % (told["sent_from"], SIZE))
    tool.run("delete", "image")
    checks.check(tool.json("info")["memory_free"] == free,
                 "all memory is free again")


class Commands:
    """A client that asks for LIST only."""

    def __init__(self, address):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(address.removeprefix("unix:"))
        self.line.settimeout(AGAIN)
        self.sequence = random.getrandbits(31)

    def is_answered(self):
        """Whether the answer comes before it is time to ask again."""
        end, got = time.monotonic() + AGAIN, b""
        while time.monotonic() < end:
            try:
                got += self.line.recv(4096)
            except TimeoutError:
                break
            *parts, got = got.split(b"\0")
            for part in parts:
                kind, _, payload = channel.unframe(part) or (None, None, b"")
                if kind == channel.REPLY and payload[:8] == struct.pack(
                        "<II", self.sequence, 0):
                    return True
        return False

    def list(self):
        """Seconds until the first three VMs are told."""
        self.sequence += 1
        start = time.monotonic()
        for _ in range(5):
            self.line.sendall(channel.frame(
                channel.REQUEST, channel.HYPERVISOR, self.sequence,
                struct.pack("<IIQ", channel.LIST, 0, 0)))
            if self.is_answered():
                break
        return time.monotonic() - start


def lists(tool, checks):
    for number in range(4):
        tool.run("start", "flood%d" % number)
    tool.wait_for_states(**{"flood%d" % n: "running" for n in range(4)})
    client = Commands(tool.address)
    times = [client.list() for _ in range(LISTS)]
    client.line.close()
    checks.note(" ".join("%.0f" % (1000 * t) for t in sorted(times)))
    checks.check(statistics.median(times) <= SECONDS or not FIRST,
                 "LIST beside floods: %.0f ms, at worst %.0f ms"
                 % (statistics.median(times) * 1000, max(times) * 1000))
    times = []
    for _ in range(LISTS // 5):
        start = time.monotonic()
        subprocess.run(FIRST + [tool.mullctl, "list", "--connect",
                                tool.address],
                       check=False, capture_output=True, timeout=60)
        times.append(time.monotonic() - start)
    checks.note("mullctl list, two commands: %.0f ms, at worst %.0f ms"
                % (statistics.median(times) * 1000, max(times) * 1000))


def rates(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    process, line, address = boot(setup, checks, folder)
    tool = Tool(setup, checks, address)
    try:
        wait_for_hypervisor(tool)
        if FIRST:
            hurry(process, line)
        uploads(tool, line, checks, folder)
        is_cut(tool, line, checks, folder)
        lists(tool, checks)
    finally:
        process.stop()
        line.end()
