# SPDX-License-Identifier: MIT
"""Makes boot packages, good and damaged, as <mullion/package.h> has them; a
second implementation of what `mullctl pack` writes."""
import dataclasses
import hashlib
import struct
import zlib

MAGIC, VERSION, NO_IMAGE, PAGE = 0x0147504B4C4C554D, 3, 0xFFFFFFFF, 4096
BZIMAGE, ELF64, INITRD = 1, 2, 3
STOP, RESTART = 1, 2
TEXT, CHANNEL = 1, 2 # of the serial line
SHARE_CPUS = 1    # of the machine
VM = struct.Struct("<32s Q 10I 64H 2048s 512s 128s 128s I 512s 13I I I")
IMAGE = struct.Struct("<32s I I Q Q 32s I I")
MACHINE = struct.Struct("<I I Q I I I I I I 16s 18I 352x") # no schedules
HEADER = struct.Struct("<Q I I Q Q Q I I I I 480s 13I I")
assert (VM.size, IMAGE.size, MACHINE.size, HEADER.size) == (3600, 96, 480, 592)


def sealed(record):
    """@record with its CRC, which is its last field."""
    body = bytes(record[:-4]) + bytes(4)
    return body[:-4] + struct.pack("<I", zlib.crc32(body))


@dataclasses.dataclass
class Vm:
    """Fields as the header's struct mull_vm; @edit changes the record's bytes
    before it is sealed, @damage after."""
    name: bytes
    kernel: int
    line: bytes = b""
    cpus: tuple = (0,)
    memory: int = 16 << 20
    initrd: int = NO_IMAGE
    flags: int = 1
    count: int | None = None
    ends: tuple = (STOP, RESTART, STOP) # power-off, reset, crash
    console: int = 65536
    reserved: int = 0
    cache: tuple = (0, 0, 0) # ways with code-ways << 16, percent, MB/s
    pad: int = 0
    damage: object = None

    def record(self):
        cpus = list(self.cpus) + [0] * (64 - len(self.cpus))
        count = len(self.cpus) if self.count is None else self.count
        record = sealed(VM.pack(self.name, self.memory, self.flags, count,
                                self.kernel, self.initrd, *self.ends,
                                self.console, 0, 0, *cpus, self.line,
                                b"", b"", b"", 0, b"",
                                *[self.reserved] * 10, *self.cache,
                                self.pad, 0))
        return self.damage(record) if self.damage else record


@dataclasses.dataclass
class Image:
    name: bytes
    kind: int
    data: bytes
    offset: int | None = None # where the record says that it is
    size: int | None = None
    sha256: bytes | None = None
    reserved: int = 0
    damage: object = None     # changes the record's bytes
    spoil: object = None      # changes the image's bytes, not its hash

    def record(self, offset):
        record = sealed(IMAGE.pack(
            self.name, self.kind, self.reserved,
            offset if self.offset is None else self.offset,
            len(self.data) if self.size is None else self.size,
            self.sha256 or hashlib.sha256(self.data).digest(), 0, 0))
        return self.damage(record) if self.damage else record


def machine(serial_mode=TEXT, flags=0, cpus=0, service=0, memory=0,
            port=0x3F8, baud=115200):
    return MACHINE.pack(cpus, service, memory, serial_mode, port, baud, flags,
                        0, 0, b"", *[0] * 18)


def package(vms, images, about=None, **header):
    """The bytes; @header sets fields of the header to something else."""
    at_vms = HEADER.size
    at_images = at_vms + VM.size * len(vms)
    at = at_images + IMAGE.size * len(images)
    records, body = b"".join(vm.record() for vm in vms), b""
    for image in images:
        offset = (at + PAGE - 1) // PAGE * PAGE
        records += image.record(offset)
        body += bytes(offset - at)
        body += image.spoil(image.data) if image.spoil else image.data
        at = offset + len(image.data)
    fields = dict(magic=MAGIC, version=VERSION, header_size=HEADER.size,
                  total=at, vm_offset=at_vms, image_offset=at_images,
                  vm_count=len(vms), vm_size=VM.size,
                  image_count=len(images), image_size=IMAGE.size,
                  machine=about or machine(), reserved=0)
    fields.update(header)
    reserved = fields.pop("reserved")
    return sealed(HEADER.pack(*fields.values(), *[reserved] * 13, 0)) + \
        records + body


def flipped(at, bit=0):
    """Turns one bit of what it is given."""
    def flip(data):
        data = bytearray(data)
        data[at] ^= 1 << bit
        return bytes(data)
    return flip
