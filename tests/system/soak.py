# SPDX-License-Identifier: MIT
"""Four VMs under load that share a CPU, for a long time: SOAK_SECONDS of the
machine's time, by its instructions (64 ns each), so that a computer that is busy
otherwise makes no slot late.  Nothing may go wrong in them, no slot be missed, no
clock drift, no memory be lost when one of them ends and starts again."""
import os
import re
import time

import disks
from control import Tool
from process import Process

SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
LOOKS = 24
EVERY = max(4, SECONDS // LOOKS) # seconds between two words of a VM
MANIFEST = """machine:
  cpus: 2
  schedules:
    soak:
      slots:
      - {length: 10ms, vms: [first]}
      - {length: 10ms, vms: [serve]}
      - {length: 10ms, vms: [second]}
      - {length: 10ms, vms: [use]}
vms:
  first: {memory: 8MiB, cpus: [1], kernel: $guests/soak.elf,
    cmdline: every=%(every)d}
  second: {memory: 8MiB, cpus: [1], kernel: $guests/soak.elf,
    cmdline: every=%(every)d}
  serve: {memory: 192MiB, cpus: [1], networks: [lan], disks: [%(disk)s],
    kernel: $kernels/cloud-amd64/vmlinuz, initrd: $demo,
    cmdline: 'console=ttyS0 quiet cryptomgr.notests
      mullion.run=mullion-soak+serve+%(every)d'}
  use: {memory: 192MiB, cpus: [1], networks: [lan], disks: [%(disk)s],
    kernel: $kernels/cloud-amd64/vmlinuz, initrd: $demo,
    cmdline: 'console=ttyS0 quiet cryptomgr.notests
      mullion.run=mullion-soak+use+%(every)d'}
"""
VMS = "first", "second", "serve", "use"
SAID = re.compile(r"^(?P<vm>\w+) +. soak: \w+ up (?P<up>\d+) "
                  r"(?:wall (?P<wall>\d+) )?(?:ticks (?P<ticks>\d+) )?"
                  r"rounds (?P<rounds>\d+) wrong (?P<wrong>\d+)", re.M)
TICK_MS = 100
DRIFT = 50e-6 # a clock's rate is told in kHz and kept as a fraction of 32 bits


class Words:
    """What each VM has said since the first look, with the earliest and the
    latest time, by the hypervisor, when it can have been said."""

    def __init__(self, process, tool):
        self.process, self.tool = process, tool
        self.seen = {vm: [] for vm in VMS}
        self.skipped = None
        self.open = [] # whose latest time is not known yet
        self.before = self.now()
        self.look()

    def now(self):
        return self.tool.ask("info")["up"] / 1e9

    def look(self):
        """Returns the time."""
        now = self.now()
        for line in self.open:
            line["latest"] = now
        self.open = []
        found = {vm: [] for vm in VMS}
        for line in SAID.finditer(self.process.text()):
            found[line["vm"]].append(
                {name: int(number) for name, number in
                 line.groupdict().items() if number and name != "vm"})
        if self.skipped is None:
            self.skipped = {vm: len(lines) for vm, lines in found.items()}
        for vm, lines in found.items():
            for line in lines[self.skipped[vm] + len(self.seen[vm]):]:
                line["earliest"] = line["latest"] = self.before
                self.open.append(line)
                self.seen[vm].append(line)
        self.before = now
        return now


def nothing_is_wrong(words, checks, vm):
    lines = words.seen[vm]
    if checks.check(len(lines) > 2, "%s: spoke %d times" % (vm, len(lines))):
        checks.check(lines[-1]["rounds"] > len(lines)
                     and not lines[-1]["wrong"],
                     "%s: %d rounds, %d things wrong"
                     % (vm, lines[-1]["rounds"], lines[-1]["wrong"]))


def clock_is_right(checks, vm, first, last):
    """Between these two words of it."""
    least = last["earliest"] - first["latest"]
    most = last["latest"] - first["earliest"]
    by_guest = (last["up"] - first["up"]) / 1000
    checks.check(least * (1 - DRIFT) <= by_guest <= most * (1 + DRIFT),
                 "%s: %.2f s by its clock were %.2f to %.2f s of the machine's"
                 % (vm, by_guest, least, most))
    if "wall" in first:
        passed = last["wall"] - first["wall"]
        checks.check(abs(passed - by_guest) <= 1,
                     "%s: by its date they were %d s" % (vm, passed))
    if "ticks" in first:
        ticks = (last["ticks"] - first["ticks"]) * TICK_MS / 1000
        checks.check(abs(ticks - by_guest) <= 0.2 + by_guest / 10000,
                     "%s: by its timer they were %.1f s" % (vm, ticks))


def slots_are_right(tool, checks):
    cpu, = tool.json("schedule")["cpus"]
    checks.check(cpu["slots"] > SECONDS * 90 and not cpu["missed"],
                 "of %d slots %d were missed; one began %.3f ms late at worst"
                 % (cpu["slots"], cpu["missed"], cpu["late_worst"] / 1e6))


def start_again(tool):
    """Ends a VM and starts it; the memory that there is then."""
    tool.run("stop", "second", "--force")
    tool.wait_for_states(**{**dict.fromkeys(VMS, "running"),
                            "second": "stopped"})
    tool.run("start", "second", "--wait")
    info = tool.ask("info")
    return info["memory_free"], info["hypervisor_pages"]


def work(words, tool, checks):
    """Until the machine's time is over; how much "second" had said at each of
    its starts."""
    limit = time.monotonic() + 600 + 2 * SECONDS
    begin = now = words.before
    memory, starts = [], [0]
    while now < begin + SECONDS and time.monotonic() < limit \
            and words.process.process.poll() is None:
        if now > begin + 3.5 * EVERY * len(starts):
            memory.append(start_again(tool))
            now = words.look()
            starts.append(len(words.seen["second"]))
        now = words.look()
    checks.check(now >= begin + SECONDS,
                 "%d s of the machine's time are over" % (now - begin))
    checks.check(len(memory) > 2 and len(set(memory)) == 1,
                 "the same memory is there after each of %d starts: %s"
                 % (len(memory), sorted(set(memory))))
    return starts


def soak(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    path, disk = folder / "soak.yaml", folder / "disk.img"
    with open(disk, "wb") as file:
        file.truncate(4 << 20)
    path.write_text(setup.fill_in(MANIFEST % {"every": EVERY, "disk": disk}))
    address = "unix:/tmp/mullctl-test-%d-soak-%s" % (os.getpid(),
                                                     back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words,
                       "--deterministic", "--listen", address, path],
                      checks.note, environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        checks.check(process.wait_for("soak: use up", 1800),
                     "all are at work")
        words = Words(process, tool)
        starts = work(words, tool, checks)
        for vm in VMS:
            nothing_is_wrong(words, checks, vm)
        for vm in "first", "serve", "use":
            if len(words.seen[vm]) > 1:
                clock_is_right(checks, vm, words.seen[vm][0],
                               words.seen[vm][-1])
        # This one's clock began anew with each start.
        for begin, end in zip(starts, [*starts[1:], None]):
            lines = words.seen["second"][begin:end]
            if len(lines) > 1:
                clock_is_right(checks, "second", lines[0], lines[-1])
        slots_are_right(tool, checks)
    finally:
        process.stop()
        checks.note(process.text())
