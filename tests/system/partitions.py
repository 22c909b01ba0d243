# SPDX-License-Identifier: MIT
"""The machine's own disks: what the hypervisor finds on them."""
import subprocess

import disks
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
    process = Process([setup.mullctl, "run", "-v", *back_end.words,
                       "--disk", "%s,nvme" % first, "--disk", second,
                       "--disk", damaged, "--disk", "%s,nvme" % blank,
                       "--kernel", setup.guests / "counter.elf",
                       "--memory", "16MiB", "--cmdline", "count=1 period=1"],
                      checks.note, environment=back_end.environment)
    status = process.finish(machines.SECONDS * back_end.patience)
    log = process.text("err")
    checks.check(status == 0, "exit status %s" % status)
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
