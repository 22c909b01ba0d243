# SPDX-License-Identifier: MIT
"""One partition is the base of several VMs' disks; what each writes lies in its
own memory."""
import os
import random

import disks
import kept_records
import machines
from control import Tool
from memory_disks import Lives
from partitions import make_disk
from process import Process

BYTES = 1 << 20
MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  one: {memory: 16MiB, cpus: [0], kernel: $guests/disk.elf, \
cmdline: 'lives=2 stay=1', disks: [{partition: base, access: private, \
room: 4MiB}, {partition: base, access: read-only}]}
  two: {memory: 16MiB, cpus: [1], kernel: $guests/disk.elf, \
cmdline: 'lives=2 stay=1', disks: [{partition: base, access: private, \
room: 4MiB}, {partition: base, access: read-only}]}
  writer: {memory: 16MiB, cpus: [2], kernel: $guests/durable.elf, \
cmdline: size=3, disks: [{partition: base, access: private, room: 4MiB}]}
  other: {memory: 16MiB, cpus: [3], kernel: $guests/durable.elf, \
disks: [{partition: old, access: private, room: 4MiB}]}
"""


def lives_on(tool, process, checks, vm, seconds, life):
    """It writes, is reset, and finds all that was flushed."""
    checks.check(process.wait_for(r"^%s +\| durable: flushed \d{3}" % vm,
                                  seconds), "%s writes" % vm)
    told, _ = kept_records.told_by(process, vm)
    tool.run("reset", vm)
    checks.check(process.wait_for(r"^%s +\| durable: life after" % vm, seconds,
                                  count=life), "%s lives again" % vm)
    found = kept_records.found_by(process, vm)
    checks.check(found >= told - 8, "%s finds %d of %d" % (vm, found, told))


def overlays(setup, back_end, checks):
    """Lives of four VMs on two bases, neither of which changes."""
    folder = disks.fresh_folder(setup, checks)
    files = [make_disk(folder / "base.img", ("1:2048:+1M", "base")),
             make_disk(folder / "old.img", ("1:2048:+1M", "old"))]
    for number, file in enumerate(files):
        with open(file, "r+b") as image:
            image.seek(2048 * 512)
            image.write(random.Random(number).randbytes(BYTES))
    before = [file.read_bytes() for file in files]
    manifest = folder / "overlays.yaml"
    manifest.write_text(setup.fill_in(MANIFEST))
    address = "unix:/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words,
                       "--listen", address, "--disk", "%s,nvme" % files[0],
                       "--disk", files[1], manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    seconds = machines.SECONDS * back_end.patience
    try:
        lives = Lives(process, checks, seconds)
        for vm in "one", "two":
            lives.wait(vm, 1, "a disk begins as its base")
            lives.wait(vm, 2, "a restart of its own keeps what was written")
        for life in 2, 3:
            for vm in "writer", "other":
                lives_on(tool, process, checks, vm, seconds, life)
        shown = tool.json("disks", "writer")["disks"][0]
        checks.check(shown["partition"] == "base" and shown["used"] > BYTES // 10,
                     "disks tells of the overlay: %s" % shown)
        tool.run("stop", "one", "--force")
        tool.run("start", "one", "--wait")
        lives.wait("one", 1, "a stop loses it")
    finally:
        process.stop()
    checks.check([file.read_bytes() for file in files] == before,
                 "the bases are as they were")
    checks.check_lines(process.text("out"))
