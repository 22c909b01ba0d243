# SPDX-License-Identifier: MIT
"""A stock Linux with an ext4, on a partition and on an overlay, is killed at
random moments: what it had synced is there in its next life."""
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import disks
import overlay_image
from control import Tool
from partitions import make_disk
from process import Process

BOOT_SECONDS = 400 # of a busy machine
FIRST = {"base": 2048, "changes": 36864, "plain": 81920} # sectors
SECTORS = {"base": 32768, "changes": 43008, "plain": 40960}
VMS = ("plain", "over")
MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  plain: {memory: 128MiB, cpus: [0], kernel: $kernels/cloud-amd64/vmlinuz, \
initrd: $build/demo.cpio.gz, disks: [{partition: plain}], cmdline: \
'console=ttyS0 quiet cryptomgr.notests mullion.run=mullion-files'}
  over: {memory: 128MiB, cpus: [1], kernel: $kernels/cloud-amd64/vmlinuz, \
initrd: $build/demo.cpio.gz, disks: [{partition: base, overlay: changes}], \
cmdline: 'console=ttyS0 quiet cryptomgr.notests mullion.run=mullion-files'}
"""
# Of guests, by a reset or a stop, and then of the machine.
PLAN = ((2, True), (2, False), (2, True), (1, True), (1, False))


def make(folder):
    file = make_disk(folder / "disk.img", *(
        ("%d:%d:+%dK" % (number + 1, FIRST[name], SECTORS[name] // 2), name)
        for number, name in enumerate(FIRST)))
    for name in "base", "plain":
        subprocess.run(
            ["mke2fs", "-q", "-t", "ext4", "-E",
             "offset=%d" % (FIRST[name] * 512), file,
             "%dk" % (SECTORS[name] // 2)], check=True,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
    return file


def part(file, name):
    with open(file, "rb") as image:
        image.seek(FIRST[name] * 512)
        return image.read(SECTORS[name] * 512)


class Machine:
    """One run of it, with both guests."""

    def __init__(self, setup, back_end, checks, folder, disk, told):
        self.checks, self.told = checks, told
        address = "unix:/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
        self.process = Process(
            [setup.mullctl, "run", "-v", *back_end.words, "--listen", address,
             "--disk", "%s,nvme" % disk, folder / "manifest.yaml"],
            checks.note, environment=back_end.environment)
        self.tool = Tool(setup, checks, address)
        self.lives = {vm: 0 for vm in VMS}

    def lines(self, vm, words):
        return re.findall(r"^%s +\| files: %s(.*?)\r?$" % (vm, words),
                          self.process.text("out"), re.M)

    def note_told(self, vm):
        synced = self.lines(vm, "synced ")
        if synced:
            self.told[vm] = max(self.told[vm], int(synced[-1]))

    def wait_for_life(self, vm):
        """It has looked at its files, and has written some."""
        self.lives[vm] += 1
        found = self.process.wait_for(
            r"(?s)(^%s +\| files: life with [^\n]*up to .*?){%d}"
            r"^%s +\| files: synced " % (vm, self.lives[vm], vm), BOOT_SECONDS)
        if not self.checks.check(found, "%s writes in its life %d"
                                 % (vm, self.lives[vm])):
            return False
        life = self.lines(vm, "life with ")[-1].split()
        self.checks.check(int(life[-1]) >= self.told[vm],
                          "%s has all of %d synced files: %s"
                          % (vm, self.told[vm], " ".join(life)))
        for words in "wrong", "missing", "failed":
            self.checks.check(not self.lines(vm, words),
                              "%s has no file that is %s" % (vm, words))
        return True

    def kill_guest(self, vm, way):
        time.sleep(random.uniform(0.5, 4))
        if way == "reset":
            self.tool.run("reset", vm)
        else:
            self.tool.run("stop", vm, "--force")
            self.note_told(vm)
            self.tool.run("start", vm)
        self.note_told(vm)
        return self.wait_for_life(vm)

    def kill(self, emulator):
        time.sleep(random.uniform(0.5, 4))
        process = self.process.process
        if emulator:
            children = pathlib.Path("/proc/%d/task/%d/children" % (
                process.pid, process.pid)).read_text().split()
            self.checks.check(len(children) == 1, "one child, the emulator")
            os.kill(int(children[0]), signal.SIGKILL)
        else:
            process.kill()
        self.process.finish(20)
        self.process.stop()
        time.sleep(0.5) # the kernel ends the emulator
        for vm in VMS:
            self.note_told(vm)


def check_files(checks, folder, name, content):
    """The file system as it is then, by Linux' own checker."""
    file = folder / (name + ".ext4")
    file.write_bytes(content)
    for words in ("-p", "-fn"):
        done = subprocess.run(["/usr/sbin/e2fsck", words, file],
                              capture_output=True, text=True, check=False)
        checks.check(done.returncode <= (1 if words == "-p" else 0),
                     "%s: e2fsck %s has no complaint: %s" % (
                         name, words, done.stdout[-300:]))
    file.unlink()


def killed(setup, back_end, checks):
    """Resets, stops, and ends of the emulator."""
    folder = disks.fresh_folder(setup, checks)
    (folder / "manifest.yaml").write_text(setup.fill_in(MANIFEST))
    disk, told, kills = make(folder), {vm: 0 for vm in VMS}, 0
    base = part(disk, "base")
    for guests, emulator in PLAN:
        machine = Machine(setup, back_end, checks, folder, disk, told)
        try:
            if not all([machine.wait_for_life(vm) for vm in VMS]):
                break
            for number in range(guests):
                for vm in VMS:
                    way = ("reset", "stop")[(number + (vm == "over")) % 2]
                    kills += machine.kill_guest(vm, way)
            machine.kill(emulator)
            kills += len(VMS)
        finally:
            machine.process.stop()
        checks.check(part(disk, "base") == base, "the base is as it was")
        content, wrong = overlay_image.content(part(disk, "changes"), base)
        checks.check(not wrong, "the overlay is whole %s" % wrong)
        check_files(checks, folder, "over", content)
        check_files(checks, folder, "plain", part(disk, "plain"))
    expected = sum(len(VMS) * (guests + 1) for guests, _ in PLAN)
    checks.check(kills == expected, "%d kills of %d guests; synced: %s"
                 % (kills, expected, told))
