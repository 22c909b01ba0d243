# SPDX-License-Identifier: MIT
"""A guest's core in gdb, which is another's reader of it."""
import os
import re
import socket
import struct
import subprocess

import disks
import looks
import machines
from control import Tool
from process import Process

MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  guest: {memory: 16MiB, cpus: [0, 1], kernel: $guests/counter.elf, \
cmdline: 'period=50'}
"""


class Connection:
    """A socket of a run, as looks.Operator takes a process."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.input, self.got, self.process = self.socket.fileno(), b"", self

    def poll(self):
        return None

    @property
    def out(self):
        try:
            self.got += self.socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        return self.got


def gdb(checks, *commands, program=None, core=None, seconds=60):
    """What stock gdb says."""
    words = ["gdb", "-nx", "-batch", "-ex", "set width 0"]
    for command in commands:
        words += ["-ex", command]
    words += [str(word) for word in (program, core) if word]
    done = subprocess.run(words, capture_output=True, text=True, check=False,
                          timeout=seconds)
    checks.note("$ %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


# ---- dump -------------------------------------------------------------------

def quads(operator, at, count):
    got = operator.memory(at, 8 * count)
    data = bytes(8 * count) if isinstance(got, int) else got
    return struct.unpack("<%dQ" % count, data)


def core_is_right(core, operator, setup, checks):
    """Against what the channel tells of the paused guest."""
    registers = struct.unpack("<18Q", operator.registers()[:144])
    rsp, rip = registers[4], registers[16]
    text = gdb(checks, "info threads", "info registers",
               "x/2xg $rsp", "x/2xg 0x8000000000000000 + $rsp", "bt",
               program=setup.guests / "counter.elf", core=core)
    names = "rax rcx rdx rbx rsp rbp rsi rdi".split() + \
        ["r%d" % i for i in range(8, 16)] + ["rip", "eflags"]
    shown = dict(re.findall(r"^(\w+) +(0x[0-9a-f]+) ", text, re.M))
    checks.check(all(int(shown.get(name, "-1"), 16) == value
                     for name, value in zip(names, registers)),
                 "gdb shows the registers")
    stack = r"(?m)^0x[0-9a-f]+[^:]*:\s+" + r"\s+".join(
        "0x%016x" % quad for quad in quads(operator, rsp, 2))
    checks.check(len(re.findall(stack, text)) == 2,
                 "gdb shows the stack, by both addresses")
    checks.check(re.search(r"in guest_main \(\) at guests/counter\.c", text)
                 and 0x200000 <= rip < 0x210000, "gdb shows who called")
    checks.check(re.search(r"^  2 +LWP 2 ", text, re.M),
                 "each vCPU is a thread")


def headers_are_right(core, checks):
    told = subprocess.run(["readelf", "-hlnW", core], capture_output=True,
                          text=True, check=True)
    checks.note(told.stdout + told.stderr)
    checks.check(not told.stderr and "CORE (Core file)" in told.stdout,
                 "readelf finds no fault")
    checks.check(re.search(r"LOAD +0x100000 0x8000000000000000 "
                           r"0x0{16} 0x1000000 0x1000000", told.stdout),
                 "all of physical memory is there")
    checks.check(told.stdout.count("NT_PRSTATUS") == 2
                 and told.stdout.count("QEMU  ") == 2, "notes of both vCPUs")


def dump(tool, operator, setup, folder, checks):
    core = folder / "guest.core"
    tool.run("dump", "guest", status=2)
    tool.run("dump", "guest", "-o", folder / "nowhere" / "core", status=1)
    tool.run("dump", "guest", "-o", core)
    tool.wait_for_states(guest="running")
    first = core.stat()
    tool.run("pause", "guest")
    tool.wait_for_states(guest="paused")
    tool.run("dump", "guest", "-o", core)
    tool.wait_for_states(guest="paused")
    now = core.stat()
    checks.check(now.st_ino != first.st_ino and now.st_mode & 0o777 == 0o600
                 and os.listdir(folder).count("guest.core.new") == 0,
                 "a new file takes the old one's place when it is whole")
    checks.check(now.st_size == 17 << 20 and now.st_blocks * 512 < 2 << 20,
                 "zeros take no room: %d KiB" % (now.st_blocks / 2))
    core_is_right(core, operator, setup, checks)
    headers_are_right(core, checks)
    tool.run("resume", "guest")
    tool.wait_for_states(guest="running")


def dumped_stopped(tool, checks):
    tool.run("stop", "guest", "--force")
    _, words = tool.run("dump", "guest", "-o", "/dev/null", status=4)
    checks.check("guest is stopped" in words, "told why there is no dump")


# ---- the run ----------------------------------------------------------------

def debugging(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    manifest = folder / "guest.yaml"
    manifest.write_text(setup.fill_in(MANIFEST))
    path = "/tmp/mullctl-test-%d-%s-%s" % (os.getpid(), checks.name,
                                           back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       "unix:" + path, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, "unix:" + path)
    seconds = machines.SECONDS * back_end.patience
    try:
        checks.check(process.wait_for("counter: 2$", seconds), "it runs")
        operator = looks.Operator(Connection(path), checks, seconds)
        dump(tool, operator, setup, folder, checks)
        dumped_stopped(tool, checks)
    except TimeoutError:
        pass
    finally:
        process.stop()
