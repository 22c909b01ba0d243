# SPDX-License-Identifier: MIT
"""One partition is the base of several VMs' disks; what each writes lies in its
own memory."""
import os
import random

import disks
import kept_records
import machines
import overlay_image
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
  tight: {memory: 16MiB, cpus: [4], kernel: $guests/durable.elf, \
disks: [{partition: base, overlay: small}]}
  wrong: {memory: 16MiB, cpus: [5], kernel: $guests/durable.elf, \
disks: [{partition: base, overlay: noise}]}
"""
SMALL, NOISE = 8192, 16384 # sectors, of partitions for overlays


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


def refusals(process, tool, checks, seconds):
    """An overlay that is full, and a partition that is none."""
    checks.check(process.wait_for(
        r"wrong: .*partition for its overlay is neither empty nor an overlay",
        seconds, "err"), "what is not empty is refused")
    checks.check(process.wait_for(r"tight: mullion-disk0: the room for changes "
                                  r"is full, writes fail", seconds, "err"),
                 "the log tells of the full one")
    checks.check(process.wait_for(r"^tight +\| FAIL records behind \d+ are "
                                  r"written", seconds), "its guest sees it")
    shown = tool.json("disks", "tight")["disks"][0]
    checks.check(shown["overlay"] == "small"
                 and shown["used"] == shown["room"] == 14 * 4096,
                 "disks tells of it: %s" % shown)


def overlays(setup, back_end, checks):
    """Lives of four VMs on two bases, neither of which changes."""
    folder = disks.fresh_folder(setup, checks)
    files = [make_disk(folder / "base.img", ("1:2048:+1M", "base"),
                       ("2:%d:+64K" % SMALL, "small"),
                       ("3:%d:+1M" % NOISE, "noise")),
             make_disk(folder / "old.img", ("1:2048:+1M", "old"))]
    for number, file in enumerate(files):
        with open(file, "r+b") as image:
            image.seek(2048 * 512)
            image.write(random.Random(number).randbytes(BYTES))
            if not number: # beyond its first block alone
                image.seek(NOISE * 512 + 65536)
                image.write(b"somebody's")
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
        refusals(process, tool, checks, seconds)
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
    after = [file.read_bytes() for file in files]
    small = slice(SMALL * 512, SMALL * 512 + 65536)
    found, wrong = overlay_image.content(
        after[0][small], before[0][2048 * 512:2048 * 512 + BYTES])
    checks.check(not wrong and kept_records.read_sector(found, 4096),
                 "the small overlay has what fits into it")
    after[0] = after[0][:small.start] + bytes(65536) + after[0][small.stop:]
    checks.check(after == before, "all else is as it was")
    checks.check_lines("\n".join(
        line for line in process.text("out").splitlines()
        if not line.startswith("tight")))
