# SPDX-License-Identifier: MIT
"""What guests/durable.c has written: on a disk, and in QEMU's log of a disk.

A sector must be whole, and of the last record that was flushed at its place,
or of a later one."""
import re
import struct
import zlib

SECTOR = 512
MAGIC = 0x6c62617275644d21
HEAD = struct.Struct("<QQQII")
FLUSH, DISCARD = 1, 4 # Linux, drivers/md/dm-log-writes.c


def read_sector(data, at):
    """Number, number flushed and index of a sector; None: it is not whole."""
    magic, number, flushed, index, adler = HEAD.unpack_from(data, at)
    if magic != MAGIC:
        return None
    plain = data[at:at + 28] + bytes(4) + data[at + 32:at + SECTOR]
    if zlib.adler32(plain) != adler:
        return None
    return number, flushed, index


def last_at(place, places, number):
    back = (number - place) % places
    return number - back if number > back else 0


def check_bytes(data, told, size=8):
    """What is wrong in a partition's bytes when all up to number @told is
    flushed, in words; and the last number known as flushed."""
    places = len(data) // SECTOR // size
    sectors = [read_sector(data, i * SECTOR)
               for i in range(places * size)]
    flushed = max([told] + [s[1] for s in sectors if s])
    wrong = []
    for i, sector in enumerate(sectors):
        place = i // size
        least = last_at(place, places, flushed)
        if not least:
            continue
        if (not sector or sector[2] != i % size or sector[0] < least
                or sector[0] % places != place):
            wrong.append("sector %d is %s, not of record %d or later"
                         % (i, sector, least))
    return wrong, flushed


def log_entries(path):
    """Sector, data and flags of what QEMU's blklogwrites has logged."""
    with open(path, "rb") as log:
        magic, version, _, size = struct.unpack("<QQQI", log.read(28))
        assert (magic, version) == (0x6a736677736872, 1) and size == SECTOR
        at = SECTOR
        while True:
            log.seek(at)
            head = log.read(32)
            if len(head) < 32:
                return
            sector, count, flags, _ = struct.unpack("<QQQQ", head)
            if not count and not flags:
                return
            log.seek(at + SECTOR)
            has_data = not flags & DISCARD
            yield sector, log.read(count * SECTOR) if has_data else b"", flags
            at += SECTOR * (1 + count * has_data)


def check_log(path, first, sectors, told, size=8):
    """Whether each flush that the guest heard of the end of has come to the
    disk, behind the writes that it is for: whoever writes a sector that says
    'flushed up to N' must have all records up to N in front of a flush.
    Returns what is wrong, and how many flushes and records there were.
    The partition has @sectors from @first on."""
    wrong, flushes, kept = [], 0, 0
    places = sectors // size
    written = {} # sector: the highest number since the last flush
    stable = {}  # and before it

    def judge(number, why):
        """All up to @number was in front of a flush."""
        nonlocal kept
        for record in range(kept + 1, number + 1):
            if record <= number - places:
                continue # overwritten since
            at = first + record % places * size
            if any(stable.get(at + i, 0) < record for i in range(size)):
                wrong.append("record %d was not flushed %s" % (record, why))
        kept = max(kept, number)

    for sector, data, flags in log_entries(path):
        if flags & FLUSH:
            flushes += 1
            stable.update(written)
            written.clear()
        for i in range(len(data) // SECTOR):
            if not first <= sector + i < first + sectors:
                continue
            it = read_sector(data, i * SECTOR)
            if not it:
                wrong.append("sector %d is written as none" % (sector + i))
                continue
            if not kept: # what was flushed before the log begins
                kept = it[1]
            judge(it[1], "when sector %d was written" % (sector + i))
            written[sector + i] = it[0]
    judge(told, "when the guest told so")
    return wrong, flushes, kept


def told_by(process, vm):
    """The last number that the VM's console has told, and how many lives."""
    text = process.out
    flushed = re.findall(rb"^(?:%s +\| )?durable: flushed (\d+)\r?$"
                         % vm.encode(), text, re.M)
    lives = re.findall(rb"^(?:%s +\| )?durable: life" % vm.encode(), text, re.M)
    return int(flushed[-1]) if flushed else 0, len(lives)


def found_by(process, vm):
    """The last number that the VM's last life has found."""
    found = re.findall(rb"^(?:%s +\| )?durable: life after (\d+)"
                       % vm.encode(), process.out, re.M)
    return int(found[-1]) if found else 0
