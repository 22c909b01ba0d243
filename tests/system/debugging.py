# SPDX-License-Identifier: MIT
"""A guest in stock gdb: its core, and itself."""
import os
import re
import signal
import socket
import struct
import subprocess
import time

import disks
import looks
import machines
from control import Tool
from process import Process

FIRMWARE = "/usr/share/seabios/bios-256k.bin"
MANIFEST = """\
machine: {share-cpus: true, serial: {mode: channel}}
vms:
  guest: {memory: 16MiB, cpus: [0, 1], kernel: $guests/counter.elf, \
cmdline: 'period=50'}
  pc: {memory: 16MiB, cpus: [2], platform: pc, firmware: %s}
""" % FIRMWARE


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


def wait_for(tool, state):
    """Until the guest is in that state."""
    end = time.monotonic() + machines.SECONDS
    while (seen := tool.states()["guest"]) != state and \
            time.monotonic() < end:
        time.sleep(0.2)
    tool.checks.check(seen == state, "the guest is " + seen)


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
    wait_for(tool, "running")
    first = core.stat()
    tool.run("pause", "guest")
    wait_for(tool, "paused")
    tool.run("dump", "guest", "-o", core)
    wait_for(tool, "paused")
    now = core.stat()
    checks.check(now.st_ino != first.st_ino and now.st_mode & 0o777 == 0o600
                 and os.listdir(folder).count("guest.core.new") == 0,
                 "a new file takes the old one's place when it is whole")
    checks.check(now.st_size == 17 << 20 and now.st_blocks * 512 < 2 << 20,
                 "zeros take no room: %d KiB" % (now.st_blocks / 2))
    core_is_right(core, operator, setup, checks)
    headers_are_right(core, checks)
    tool.run("resume", "guest")
    wait_for(tool, "running")


def dump_pc(tool, folder, checks):
    """Its firmware is there, below 4 GiB, as part of its memory."""
    core = folder / "pc.core"
    _, words = tool.run("dump", "pc", "-o", core, seconds=600)
    told = subprocess.run(["readelf", "-lW", core], capture_output=True,
                          text=True, check=True).stdout
    checks.note(told)
    firmware = re.search(r"LOAD +0x([0-9a-f]+) 0x\w+ 0x0*ffe00000 0x200000",
                         told)
    checks.check(firmware and "1 vCPU" in words, "the firmware's memory is there")
    with open(core, "rb") as data, open(FIRMWARE, "rb") as image:
        data.seek(int(firmware.group(1), 16) + (2 << 20) - 16)
        image.seek(-16, os.SEEK_END)
        checks.check(data.read(16) == image.read(),
                     "it begins where a processor does")


def dumped_stopped(tool, checks):
    _, words = tool.run("dump", "guest", "-o", "/dev/null", status=4)
    checks.check("guest is stopped" in words, "told why there is no dump")


# ---- debug ------------------------------------------------------------------

def debug_words(tool, *words):
    return [tool.mullctl, "debug", "guest", *words, "--connect", tool.address]


def code(operator, at, size=16):
    """What the guest's memory really has there."""
    return operator.memory(at, size)


def by_pipe(tool, operator, setup, checks):
    """gdb starts mullctl: breakpoints, steps, memory; then it lets go."""
    program = setup.guests / "counter.elf"
    at = looks.symbol(program, "sleep_ns")
    text = gdb(checks, "set remotetimeout 60",
               "target remote | " + " ".join(map(str, debug_words(
                   tool, "--stdio"))),
               "info threads", "break *%d" % at, "continue", "bt",
               "p/x *(unsigned char *)$pc",
               'printf "rip %#lx cr3 %#lx efer %#lx\n", $rip, $cr3, $efer',
               "stepi", 'printf "one step: %#lx\n", $pc', "stepi", "stepi",
               "set var *(long *)0xfff000 = 0x123456789abcdef",
               "set $before = $r15", "set var $r15 = 77",
               "maintenance flush register-cache",
               'printf "r15 %d\\n", $r15', "set var $r15 = $before",
               "finish", "continue",
               'printf "memory %#lx\\n", *(long *)0xfff000',
               "continue 3", "info breakpoints", "delete", "detach",
               program=program, seconds=600)
    first = struct.unpack("B", program_bytes(program, at, 1))[0]
    for words, pattern in (
            ("each vCPU is a thread", r"\* 1 +Thread 1 \(vCPU 0.*\n"
             r" +2 +Thread 2 \(vCPU 1 \(not started\)\)"),
            ("the breakpoint is hit",
             r"Thread 1 hit Breakpoint 1, .*sleep_ns \(ns=\d+\) at guests/sdk"),
            ("gdb shows who called", r"#1 .* in guest_main \(\) at guests/c"),
            ("the INT3 is not seen", r"^\$1 = %#x$" % first),
            ("system registers are there",
             r"^rip %#x cr3 0x[0-9a-f]{4,} efer 0x[145d]\w\w$" % at),
            ("a step is one instruction", r"^one step: %#x$" % (at + 2)),
            ("finish finds the caller",
             r"^0x\w+ in guest_main \(\) at guests/counter\.c"),
            ("a register stays as it was set", r"^r15 77$"),
            ("memory stays as it was set", r"^memory 0x123456789abcdef"),
            ("it was hit at each round",
             r"breakpoint already hit [56] times"),
            ("gdb lets it go", r"\[Inferior 1 \(Remote target\) detached\]")):
        checks.check(re.search(pattern, text, re.M), words)
    left_alone(tool, operator, setup, checks)


def program_bytes(program, at, size):
    """What the program has at a linear address."""
    told = subprocess.run(
        ["objdump", "-s", "--start-address=%d" % at,
         "--stop-address=%d" % (at + size), program], capture_output=True,
        text=True, check=True).stdout
    return bytes.fromhex("".join(re.findall(
        r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", told, re.M)).replace(" ", ""))


def left_alone(tool, operator, setup, checks):
    """The guest runs as if nothing had been."""
    program = setup.guests / "counter.elf"
    at = looks.symbol(program, "sleep_ns")
    wait_for(tool, "running")
    length = len(operator.process.out)
    operator.wait(lambda: len(re.findall(
        rb"counter: \d", operator.process.out[length:])) > 2, "it counts on")
    tool.run("pause", "guest")
    wait_for(tool, "paused")
    checks.check(code(operator, at) == program_bytes(program, at, 16),
                 "no breakpoint is left")
    tool.run("resume", "guest")
    wait_for(tool, "running")


def by_port(tool, operator, setup, checks):
    """Over TCP; Ctrl-C stops the guest, and gdb dies with breakpoints set."""
    stub = Process(debug_words(tool, "--listen", "tcp:127.0.0.1:0"),
                   checks.note)
    told = r"target remote (127\.0\.0\.1:\d+)"
    debugger = None
    try:
        checks.check(stub.wait_for(told, 60, "err"), "told how to come")
        debugger = Process(["gdb", "-nx", "-q", setup.guests / "counter.elf"],
                           checks.note)
        debugger.send("set remotetimeout 60\nset breakpoint always-inserted on"
                      "\ntarget remote %s\ninfo symbol $pc\n"
                      % re.search(told, stub.text("err")).group(1))
        # Anywhere: the guest was stopped at whatever it was doing.
        checks.check(debugger.wait_for(r"in section \.text", 60),
                     "gdb shows where it is")
        debugger.send("continue\n")
        checks.check(debugger.wait_for("Continuing", 60), "it goes on")
        wait_for(tool, "running")
        debugger.process.send_signal(signal.SIGINT)
        checks.check(debugger.wait_for("received signal SIGINT", 60),
                     "Ctrl-C stops it")
        wait_for(tool, "paused")
        debugger.send("break sleep_ns\ncontinue 2\n")
        checks.check(debugger.wait_for("hit Breakpoint 1", 60), "it is hit")
        debugger.process.kill()
        checks.check(stub.finish(60) == 0, "debug ends when gdb is gone")
    finally:
        if debugger:
            debugger.stop()
        stub.stop()
    left_alone(tool, operator, setup, checks)


def refused(tool, checks):
    tool.run("debug", "guest", "--listen", "here", status=2)
    tool.run("stop", "guest", "--force")
    _, words = tool.run("debug", "guest", status=4)
    checks.check("mullctl start guest" in words, "told what to do first")


# ---- a stock Linux ----------------------------------------------------------

LINUX = """\
  linux: {memory: 512MiB, cpus: [0, 1], \
kernel: $kernels/cloud-amd64/vmlinuz, initrd: $demo, \
cmdline: 'console=ttyS0 quiet nokaslr'}
"""
# Opens files without end, on both processors.
OPENER = "(while true; do cat /proc/uptime > /dev/null; done) &"


HITS = 10


def kernel_symbols(console, checks, *names):
    """Their addresses, as this boot's kernel tells them."""
    console.send("grep -E ' (%s)$' /proc/kallsyms\n" % "|".join(names))
    found = {}
    for name in names:
        pattern = r"^([0-9a-f]{16}) \w %s$" % name
        if checks.check(console.wait_for(pattern, 60), "kallsyms has " + name):
            found[name] = int(re.search(pattern, console.text(), re.M)[1], 16)
    return found


def linux_by_gdb(tool, checks, symbols):
    """Stock gdb without the kernel's symbols."""
    stub = [tool.mullctl, "debug", "linux", "--stdio", "--connect",
            tool.address]
    opens = symbols["do_sys_openat2"]
    text = gdb(checks, "set remotetimeout 60",
               "target remote | " + " ".join(map(str, stub)),
               "break *%#x" % opens, "continue",
               'printf "at %#lx\\n", $pc', "x/s $rsi",
               'printf "from %#lx\\n", *(long *)$rsp', "bt 2", "x/i $pc",
               "x/s %#x" % symbols["linux_banner"], "info registers",
               "stepi", 'printf "then %#lx\\n", $pc', "stepi", "stepi",
               'printf "later %#lx\\n", $pc', "continue",
               'printf "again %#lx\\n", $pc', *["continue"] * (HITS - 2),
               "delete", "detach", seconds=300)
    hits = re.findall(r"^Thread (\d) hit Breakpoint 1", text, re.M)
    caller = symbols["__x64_sys_openat"]
    steps = [int(step, 16) for step in
             re.findall(r"^(?:then|later) (0x[0-9a-f]+)$", text, re.M)]
    come = re.search(r"^from (0x[0-9a-f]+)$", text, re.M)
    for words, good in (
            ("the breakpoint is hit", "at %#x\n" % opens in text),
            ("it is hit each time, and nothing else stops its two vCPUs",
             len(hits) == HITS and "SIG" not in text),
            ("a file of the process is opened",
             re.search(r'^0x[0-9a-f]+:\s+"/', text, re.M)),
            ("its caller is the system call",
             come and 0 < int(come[1], 16) - caller < 0x100),
            ("gdb shows the caller", come and
             re.search(r"^#1 +%s in " % come[1].replace("0x", "0x0*"), text,
                       re.M)),
            ("the kernel's memory is read",
             re.search(r'"Linux version \d', text)),
            ("paging is on", re.search(r"^cr0 +0x8005\w+", text, re.M)),
            ("steps go on", len(steps) == 2
             and opens < steps[0] < steps[1] < opens + 0x100),
            ("it is hit again", "again %#x\n" % opens in text),
            ("gdb lets it go", "detached]" in text)):
        checks.check(good, words)


# exit(3) behind an INT3, as a whole program of 64-bit Linux
TRAP = struct.pack(
    "<16sHHIQQQIHHHHHHIIQQQQQQ", b"\x7fELF\2\1\1", 2, 62, 1, 0x400078, 64, 0,
    0, 64, 56, 1, 0, 0, 0, 1, 5, 0, 0x400000, 0x400000, 0x200, 0x200, 4096) + \
    bytes.fromhex("cc b83c000000 bf03000000 0f05")


def foreign_break(tool, console, checks):
    """An INT3 that is the guest's own stops it, and is done then."""
    for at in range(0, len(TRAP), 16): # what is typed has 256 bytes of room
        console.send("printf '%s' >> /tmp/trap; echo byte $((%d))\n" % (
            "".join("\\%03o" % byte for byte in TRAP[at:at + 16]), at))
        console.wait_for("^byte %d$" % at, 20)
    console.send("chmod +x /tmp/trap\n")
    debugger = Process(["gdb", "-nx", "-q"], checks.note)
    try:
        debugger.send("set remotetimeout 60\ntarget remote | %s debug linux "
                      "--stdio --connect %s\ncontinue\n"
                      % (tool.mullctl, tool.address))
        checks.check(debugger.wait_for("Continuing", 60), "it goes on")
        console.send("/tmp/trap; echo status $?\n")
        checks.check(debugger.wait_for("received signal SIGTRAP", 60),
                     "the guest's own INT3 is told")
        debugger.send("print/x $pc\ncontinue\n")
        checks.check(debugger.wait_for(r"\$1 = 0x400078$", 60),
                     "and where it is")
        checks.check(console.wait_for("^status 133$", 20),
                     "the guest gets it")
        debugger.process.send_signal(signal.SIGINT)
        checks.check(debugger.wait_for("received signal SIGINT", 60),
                     "Ctrl-C stops it")
        debugger.send("detach\nquit\n")
        checks.check(debugger.wait_for("detached", 60), "gdb lets it go")
    finally:
        debugger.stop()


def abandoned(tool, checks, folder):
    """A dump that is ended half-way leaves nothing behind."""
    core = folder / "linux.core"
    dumping = Process([tool.mullctl, "dump", "linux", "-o", core, "--connect",
                       tool.address], checks.note)
    end = time.monotonic() + 60
    while tool.states()["linux"] != "paused" and time.monotonic() < end:
        time.sleep(0.2)
    dumping.process.terminate()
    checks.check(dumping.finish(20) == -15 and not core.exists()
                 and not os.path.exists("%s.new" % core),
                 "an ended dump is gone")


def linux(tool, checks, folder):
    console = Process([tool.mullctl, "console", "linux", "--all", "--connect",
                       tool.address], checks.note)
    try:
        checks.check(console.wait_for("/root # ", 2 * machines.SECONDS),
                     "Linux has a shell")
        symbols = kernel_symbols(console, checks, "do_sys_openat2",
                                 "__x64_sys_openat", "linux_banner")
        console.send(OPENER + "\n" + OPENER + "\n")
        linux_by_gdb(tool, checks, symbols)
        console.send("kill %1 %2; echo alive $((6 * 7))\n")
        checks.check(console.wait_for("^alive 42$", 60), "Linux goes on")
        foreign_break(tool, console, checks)
        abandoned(tool, checks, folder)
        console.send("echo still $((7 * 7))\n")
        checks.check(console.wait_for("^still 49$", 60),
                     "and after a dump that was ended, too")
    finally:
        console.stop()


# ---- the run ----------------------------------------------------------------

def debugging(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    manifest = folder / "guest.yaml"
    with_linux = back_end.kind == "svm" # it takes minutes elsewhere
    manifest.write_text(setup.fill_in(MANIFEST + LINUX * with_linux))
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
        dump_pc(tool, folder, checks)
        by_pipe(tool, operator, setup, checks)
        by_port(tool, operator, setup, checks)
        refused(tool, checks)
        dumped_stopped(tool, checks)
        if with_linux:
            linux(tool, checks, folder)
    except TimeoutError:
        pass
    finally:
        process.stop()
