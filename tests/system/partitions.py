# SPDX-License-Identifier: MIT
"""The machine's own disks: what the hypervisor finds on them."""
import os
import subprocess

import disks
from control import Tool
import machines
from process import Process


def make_disk(file, *partitions):
    """64 MiB in sectors of 512 bytes; a partition is "NUMBER:FIRST:SIZE",
    as sgdisk takes it, and a name."""
    with open(file, "wb") as image:
        image.truncate(64 << 20)
    words = ["sgdisk", "--clear"]
    for place, name in partitions:
        words += ["--new", place, "--change-name",
                  "%s:%s" % (place.split(":")[0], name)]
    subprocess.run([*words, file], check=True, stdout=subprocess.DEVNULL)
    return file


def change_byte(file, at):
    with open(file, "r+b") as image:
        image.seek(at)
        byte = image.read(1)[0]
        image.seek(at)
        image.write(bytes([byte ^ 1]))


MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  web:
    memory: 16MiB
    cpus: [0]
    kernel: $guests/counter.elf
    cmdline: count=100000 period=1
    disks:
    - partition: web-root
"""


def guid_of(file, number):
    """As sgdisk has it."""
    told = subprocess.run(["sgdisk", "--info=%d" % number, file], check=True,
                          capture_output=True, text=True).stdout
    return next(line.split(": ")[1] for line in told.splitlines()
                if line.startswith("Partition unique GUID")).lower()


def told_by_tool(tool, checks, first):
    """What mullctl info and stats have of the machine's disks."""
    info = tool.json("info")
    found = {row["disk"]: row for row in info["disks"]}
    checks.note("%s\n%s" % (info["disks"], info["partitions"]))
    checks.check(sorted(found) == ["nvme0", "nvme1", "vd0", "vd1", "vd2"],
                 "info has all disks")
    one, other = found["nvme0"], found["vd1"]
    checks.check(one["driver"] == "nvme" and other["driver"] == "virtio" and
                 one["model"] == "QEMU NVMe Ctrl" and
                 one["size"] == other["size"] == 64 << 20 and
                 one["sector"] == 512 and one["state"] == "ready" and
                 one["pci"] != other["pci"],
                 "with driver, model, size and place: %s" % one)
    parts = {(row["disk"], row["partition"]): row
             for row in info["partitions"]}
    checks.check(sorted(parts) == [
        ("nvme0", "data"), ("nvme0", "web-root"), ("vd1", "data"),
        ("vd1", "logs"), ("vd2", "old")], "info has all partitions")
    root, data = parts["nvme0", "web-root"], parts["vd1", "data"]
    checks.check(root["held_by"] == "web" and root["access"] == "write" and
                 root["size"] == 16 << 20 and root["first_sector"] == 2048 and
                 root["guid"] == guid_of(first, 1),
                 "and who has which: %s" % root)
    checks.check(not data["held_by"] and "of that name" in data["unusable"],
                 "and why nobody may have one: %s" % data)
    counts = {row["disk"]: row for row in tool.json("stats")["disks"]}
    checks.check(counts["nvme0"]["reads"] and
                 counts["nvme0"]["read"] >= 512 * counts["nvme0"]["reads"] and
                 not counts["nvme0"]["writes"],
                 "stats counts the reads of its table: %s" % counts["nvme0"])
    checks.check(not any(row["errors"] + row["resets"]
                         for row in counts.values()), "and no error")
    table, _ = tool.run("info")
    checks.check("web-root" in table and root["guid"][:8] in table and
                 root["guid"] not in table, "a table has the short GUID")


def machine_disks(setup, back_end, checks):
    """Partitions by NVMe and by virtio, two of one name, a damaged table, and
    none."""
    folder = disks.fresh_folder(setup, checks)
    first = make_disk(folder / "first.img", ("1:2048:+16M", "web-root"),
                      ("2:0:+8M", "data"))
    second = make_disk(folder / "with,comma.img", ("1:0:+8M", "logs"),
                       ("3:0:+1M", "data"))
    damaged = make_disk(folder / "damaged.img", ("1:2048:+32M", "old"))
    change_byte(damaged, 512 + 60)
    blank = folder / "blank.img"
    blank.write_bytes(bytes(1 << 20))
    manifest = folder / "disks.yaml"
    manifest.write_text(setup.fill_in(MANIFEST))
    address = "unix:/tmp/mullctl-test-%d-%s-%s" % (os.getpid(), checks.name,
                                                   back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words,
                       "--disk", "%s,nvme" % first, "--disk", second,
                       "--disk", damaged, "--disk", "%s,nvme" % blank,
                       "--listen", address, manifest],
                      checks.note, environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        checks.check(process.wait_for(r"counter: 1", machines.SECONDS *
                                      back_end.patience), "the guest runs")
        told_by_tool(tool, checks, first)
        tool.run("shutdown")
        process.finish(60 * back_end.patience)
    finally:
        process.stop()
    log = process.text("err")
    for words in (
            "disk nvme0: QEMU NVMe Ctrl, 64 MiB in sectors of 512 bytes, "
            "write cache",
            "disk nvme0: partition 'web-root', 16384 KiB from sector 2048",
            "disk nvme0: partition 'data', 8192 KiB from sector 34816",
            "disk nvme1: no partitions: it has no protective MBR",
            "disk vd0: virtio disk, ", # what it has been booted from
            "disk vd1: partition 'logs', 8192 KiB from sector 2048",
            "disk nvme0: partition 'data' cannot be used either: one on vd1 "
            "has its name",
            "disk vd1: partition 'data' from sector 18432 cannot be used: "
            "there is another one of that name",
            "disk vd2: the GPT header's CRC-32 is wrong; the GPT at its end is "
            "good",
            "disk vd2: partition 'old', 32768 KiB from sector 2048"):
        checks.check(words in log, "log: " + words)
    for words in ("it is polled", "it is reset", "given up"):
        checks.check(words not in log, "not in the log: " + words)
