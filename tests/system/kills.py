# SPDX-License-Identifier: MIT
"""Guests that write to partitions are killed at random moments, or the tool,
or the whole machine: what a guest heard was flushed is there, and nothing
beside its partition has changed."""
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import time

import disks
import kept_records
import machines
from control import Tool
from partitions import make_disk
from process import Process

FIRST, SECTORS = 4096, 4096 # of the partition: 2 MiB from 2 MiB on
LOG_BYTES = 64 << 30        # of a file with a hole
SPARE_BYTES = 8 << 20       # what is uploaded when the tool is killed
VMS = ("nvme", "virtio")
MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  nvme: {memory: 16MiB, cpus: [0], kernel: $guests/durable.elf, \
disks: [{partition: nvme}]}
  virtio: {memory: 16MiB, cpus: [1], kernel: $guests/durable.elf, \
cmdline: size=3, disks: [{partition: virtio}]}
"""
MADE = """\
name: %s
memory: 16MiB
cpus: 1
kernel: durable.elf
cmdline: size=%d
disks: [{partition: %s}]
"""
SIZES = {"nvme": 8, "virtio": 3} # sectors of a record


class Disk:
    """A disk with the partition of one VM, between noise."""

    def __init__(self, folder, name):
        self.name, self.size = name, SIZES[name]
        self.file = make_disk(folder / (name + ".img"),
                              ("1:2048:4095", "before"),
                              ("2:%d:%d" % (FIRST, FIRST + SECTORS - 1), name),
                              ("3:%d:+1M" % (FIRST + SECTORS), "behind"))
        self.log = folder / (name + ".log")
        with open(self.file, "r+b") as image:
            for sector in 2048, FIRST + SECTORS:
                image.seek(sector * 512)
                image.write(random.Random(sector).randbytes(1 << 20))
        self.guard = self.read()[1]

    def read(self):
        """The partition, and a hash of all beside it."""
        whole = self.file.read_bytes()
        start, end = FIRST * 512, (FIRST + SECTORS) * 512
        return whole[start:end], hashlib.sha256(
            whole[:start] + whole[end:]).hexdigest()

    def words(self):
        """For QEMU: what it is told goes to the file, and to the log."""
        self.log.unlink(missing_ok=True)
        with open(self.log, "wb") as log:
            log.truncate(LOG_BYTES)
        device = ("nvme,serial=1" if self.name == "nvme" else
                  "virtio-blk-pci,disable-legacy=on")
        return ["-blockdev", "driver=blklogwrites,node-name=%s,"
                "file.driver=file,file.filename=%s,log.driver=file,"
                "log.filename=%s" % (self.name, self.file, self.log),
                "-device", "%s,drive=%s" % (device, self.name)]

    def check(self, checks, told, why):
        data, guard = self.read()
        wrong, flushed = kept_records.check_bytes(data, told, self.size)
        checks.check(not wrong, "%s: all up to %d is there after %s%s"
                     % (self.name, flushed, why,
                        "".join("; " + words for words in wrong[:3])))
        checks.check(guard == self.guard,
                     "%s: nothing beside the partition has changed" % self.name)

    def check_flushes(self, checks, told):
        wrong, flushes, kept = kept_records.check_log(
            self.log, FIRST, SECTORS, told, self.size)
        checks.check(not wrong, "%s: each end of a flush was that of one "
                     "(%d of them, %d records)%s"
                     % (self.name, flushes, kept,
                        "".join("; " + words for words in wrong[:3])))
        self.log.unlink()


class Boot:
    """A run of the machine with both disks."""

    def __init__(self, setup, back_end, checks, folder, both, seed):
        self.checks, self.folder, self.disks = checks, folder, both
        self.random = random.Random(seed)
        self.seconds = machines.SECONDS * back_end.patience
        address = "unix:/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
        self.process = Process(
            [setup.mullctl, "run", "-v", *back_end.words, "--listen", address,
             *("--qemu-arg=" + word for disk in both.values()
               for word in disk.words()), folder / "manifest.yaml"],
            checks.note, environment=back_end.environment)
        self.tool = Tool(setup, checks, address)
        self.emulator = None
        self.seen = {vm: 0 for vm in both}

    def wait_for_life(self, vm):
        """The next one has looked at its disk, and writes."""
        self.seen[vm] += 1
        end = time.monotonic() + self.seconds
        while (kept_records.told_by(self.process, vm)[1] < self.seen[vm]
               and time.monotonic() < end
               and self.process.process.poll() is None):
            time.sleep(0.02)
        return self.checks.check(
            kept_records.told_by(self.process, vm)[1] >= self.seen[vm],
            "%s lives for the %d. time" % (vm, self.seen[vm]))

    def wait(self, most):
        moment = self.random.uniform(0, most)
        self.checks.note("killed after %.3f s" % moment)
        time.sleep(moment)

    def told(self, vm):
        return kept_records.told_by(self.process, vm)[0]

    # ---- the guest -------------------------------------------------------

    def kill_guest(self, vm):
        """By a reset, or a stop; then it must find its disk as it was."""
        self.wait(0.4)
        way = self.random.choice(("reset", "stop"))
        if way == "stop":
            self.tool.run("stop", vm, "--force")
            self.disks[vm].check(self.checks, self.told(vm), "a forced stop")
            self.tool.run("start", vm, "--wait")
        else:
            self.tool.run("reset", vm)
        return self.wait_for_life(vm)

    def destroy(self, vm):
        """Another VM gets the partition then."""
        self.wait(0.4)
        self.tool.run("stop", vm, "--force")
        self.tool.run("destroy", vm)
        self.disks[vm].check(self.checks, self.told(vm), "its VM's end")
        file = self.folder / "made.yaml"
        file.write_text(MADE % (vm, SIZES[vm], vm))
        self.tool.json("create", file, "--start")
        self.checks.check(self.grows(vm, self.told(vm) + 100),
                          "%s: a VM made later goes on" % vm)
        self.tool.run("stop", vm, "--force")
        self.disks[vm].check(self.checks, self.told(vm), "that one's end")

    def grows(self, vm, least):
        """Whether all up to @least is flushed soon, as its disk tells."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            data = self.disks[vm].read()[0]
            if kept_records.check_bytes(data, 0, SIZES[vm])[1] >= least:
                return True
            time.sleep(0.1)
        return False

    # ---- the tool --------------------------------------------------------

    def kill_tool(self, number):
        """While it uploads, or uploads to attach."""
        words = (["upload", self.folder / "spare.img", "--kind", "disk"]
                 if number % 2 else
                 ["attach", VMS[number // 2 % 2], self.folder / "spare.img"])
        with subprocess.Popen(
                [self.tool.mullctl, *map(str, words), "--connect",
                 self.tool.address], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL) as tool:
            self.wait(0.3)
            tool.kill()
        for vm in VMS:
            self.tool.run("pause", vm)
            told = self.told(vm)
            time.sleep(0.3) # what the disk has begun
            self.disks[vm].check(self.checks, told,
                                 "the tool's death at %s" % words[0])
            self.tool.run("resume", vm)

    # ---- the machine -----------------------------------------------------

    def kill_machine(self, emulator):
        """The emulator, or the tool that runs it, by SIGKILL."""
        self.wait(0.5)
        process = self.process.process
        if emulator:
            children = pathlib.Path("/proc/%d/task/%d/children" % (
                process.pid, process.pid)).read_text().split()
            self.checks.check(len(children) == 1, "one child, the emulator")
            self.emulator = int(children[0])
            os.kill(self.emulator, signal.SIGKILL)
        else:
            process.kill()
        self.process.finish(20)
        self.process.stop()
        time.sleep(0.5) # the kernel ends the emulator
        for vm in self.disks:
            self.disks[vm].check(self.checks, self.told(vm),
                                 "the machine's death")
            self.disks[vm].check_flushes(self.checks, self.told(vm))


def one_boot(boot, guests, tools, destroys, emulator):
    """Kills @guests and @tools, then the machine; returns how many that is."""
    kills = 0
    try:
        if not all([boot.wait_for_life(vm) for vm in VMS]):
            return 0
        for number in range(guests):
            if not boot.kill_guest(VMS[number % 2]):
                return 0
            kills += 1
        for number in range(tools):
            boot.kill_tool(number)
            kills += 1
        if destroys:
            boot.destroy("virtio")
            kills += 2
        boot.checks.check(not boot.tool.json("audit")["faults"],
                          "the audit finds no fault")
        boot.kill_machine(emulator)
        kills += 1
    finally:
        boot.process.stop()
    boot.checks.check_lines(boot.process.text("out"))
    boot.checks.check("PANIC" not in boot.process.text("err"), "no panic")
    return kills


def killed(plan, manifest=MANIFEST, kind=Disk):
    """@plan: for each boot, how often guests and the tool are killed, and
    whether a VM is destroyed.  @kind: of disks that @manifest names."""
    def run(setup, back_end, checks):
        folder = disks.fresh_folder(setup, checks)
        seed = int(os.environ.get("SEED", random.SystemRandom().getrandbits(32)))
        checks.note("SEED=%d" % seed)
        (folder / "manifest.yaml").write_text(setup.fill_in(manifest))
        (folder / "durable.elf").write_bytes(
            (setup.guests / "durable.elf").read_bytes())
        (folder / "spare.img").write_bytes(
            random.Random(seed).randbytes(SPARE_BYTES))
        both = {vm: kind(folder, vm) for vm in VMS}
        kills = 0
        for number, (guests, tools, destroys) in enumerate(plan):
            boot = Boot(setup, back_end, checks, folder, both, seed + number)
            kills += one_boot(boot, guests, tools, destroys, number % 3 != 2)
        expected = sum(guests + tools + 2 * destroys + 1
                       for guests, tools, destroys in plan)
        checks.check(kills == expected, "%d kills of %d, with SEED=%d"
                     % (kills, expected, seed))
    return run


SHORT = ((6, 2, True),)
LONG = ((12, 4, True), (12, 4, False), (12, 4, False), (6, 2, True),
        *[(2, 1, False)] * 8)
