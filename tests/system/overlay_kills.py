# SPDX-License-Identifier: MIT
"""Guests with one base, each with an overlay on a partition of its own, are
killed; so are the tool and the machine.  What was flushed is there, also after
losses of power that QEMU's log of a disk tells of; the base never changes."""
import hashlib
import random

import kept_records
import kills
import overlay_image
from partitions import make_disk

BASE, BASE_SECTORS = 4096, 4096         # 2 MiB from 2 MiB on
CHANGES, CHANGES_SECTORS = 16384, 6144  # 3 MiB from 8 MiB on
MOMENTS = 40 # of a log, that are looked at
MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  nvme: {memory: 16MiB, cpus: [0], kernel: $guests/durable.elf, \
disks: [{partition: base, overlay: nvme}]}
  virtio: {memory: 16MiB, cpus: [1], kernel: $guests/durable.elf, \
cmdline: size=3, disks: [{partition: base, overlay: virtio}]}
"""
NOISE = random.Random(1).randbytes(BASE_SECTORS * 512)


class Overlay(kills.Disk):
    """A disk with the overlay of one VM; the base of both is on the first."""

    def __init__(self, folder, name):
        self.name, self.size = name, kills.SIZES[name]
        self.file = make_disk(
            folder / (name + ".img"),
            ("1:%d:%d" % (BASE, BASE + BASE_SECTORS - 1),
             "base" if name == "nvme" else "other"),
            ("2:%d:%d" % (CHANGES, CHANGES + CHANGES_SECTORS - 1), name))
        self.log = folder / (name + ".log")
        with open(self.file, "r+b") as image:
            image.seek(BASE * 512)
            image.write(NOISE)
        self.guard = self.read()[1]
        self.random = random.Random(name)

    def changes(self):
        with open(self.file, "rb") as image:
            image.seek(CHANGES * 512)
            return image.read(CHANGES_SECTORS * 512)

    def read(self):
        whole = self.file.read_bytes()
        start, end = CHANGES * 512, (CHANGES + CHANGES_SECTORS) * 512
        data, wrong = overlay_image.content(whole[start:end], NOISE)
        assert not wrong, wrong
        return data, hashlib.sha256(whole[:start] + whole[end:]).hexdigest()

    def words(self):
        self.before = self.changes()
        return super().words()

    def lose_power(self, stable, pieces):
        """Some of what was written since a flush is there."""
        odds = self.random.random()
        for at, data in pieces:
            if self.random.random() < odds:
                stable[at:at + len(data)] = data
        return overlay_image.content(bytes(stable), NOISE)

    def check_flushes(self, checks, told):
        """At moments of the log: all that a sector there says was flushed
        before is there."""
        entries = list(kept_records.log_entries(self.log))
        moments = set(self.random.sample(
            range(len(entries)), min(MOMENTS, len(entries))))
        stable, pieces, wrong, flushes = bytearray(self.before), [], [], 0
        for number, (sector, data, flags) in enumerate(entries):
            if flags & kept_records.FLUSH:
                flushes += 1
                for at, piece in pieces:
                    stable[at:at + 512] = piece
                pieces = []
            at = (sector - CHANGES) * 512
            pieces += [(at + i, data[i:i + 512])
                       for i in range(0, len(data), 512)]
            if number in moments:
                found, bad = self.lose_power(bytearray(stable), pieces)
                wrong += bad + kept_records.check_bytes(found, 0,
                                                        self.size)[0]
        checks.check(not wrong, "%s: %d losses of power among %d requests and "
                     "%d flushes lose nothing that was flushed%s"
                     % (self.name, len(moments), len(entries), flushes,
                        "".join("; " + words for words in wrong[:3])))
        found, _ = overlay_image.content(bytes(stable), NOISE)
        wrong, _ = kept_records.check_bytes(found, told, self.size)
        checks.check(not wrong, "%s: without a flush at its end all up to %d "
                     "is there%s" % (self.name, told, "".join(
                         "; " + words for words in wrong[:3])))
        self.log.unlink()


SHORT = ((6, 1, False), (2, 0, False))
LONG = ((10, 2, False), *[(4, 1, False)] * 5)


def killed(plan):
    return kills.killed(plan, MANIFEST, Overlay)
