# SPDX-License-Identifier: MIT
"""Packages that are broken in one way each, and what must be said of it."""
import struct

from packages import (BZIMAGE, ELF64, INITRD, SHARE_CPUS, Image, Vm, flipped,
                      machine, package)

TEXT_FILE = b"This is a text file, and no kernel at all.\n" * 100


def linux_image(old=None, **fields):
    """A bzImage as far as its header goes, with @fields at their places."""
    image = bytearray(old or bytes(16384))
    places = {"boot_flag": (0x1FE, "<H", 0xAA55),
              "jump": (0x200, "<H", 0x6AEB), "magic": (0x202, "<I", 0x53726448),
              "version": (0x206, "<H", 0x20F), "loadflags": (0x211, "<B", 1),
              "xloadflags": (0x236, "<H", 1), "cmdline_size": (0x238, "<I", 2047),
              "setup_sects": (0x1F1, "<B", 3), "syssize": (0x1F4, "<I", 896),
              "alignment": (0x230, "<I", 0x200000),
              "init_size": (0x260, "<I", 1 << 20)}
    for name, (at, form, value) in places.items():
        struct.pack_into(form, image, at, fields.get(name, value))
    return bytes(image)


def bad_ones(elf):
    """Rows: the VM's name, what differs from a good VM, its own image or None,
    the words that must be said of it."""
    def kernel(data=elf, kind=ELF64, **more):
        return Image(b"", kind, data, **more)

    records = [
        ("record-flip", dict(damage=flipped(40)), None, "record is damaged"),
        ("record-crc", dict(damage=flipped(2303, 7)), None,
         "record is damaged"),
        ("no-kernel", dict(kernel=99), None, "has no kernel"),
        ("no-memory", dict(memory=0), None, "memory of 0"),
        ("odd-memory", dict(memory=(16 << 20) + 4096), None,
         "not a multiple of 2 MiB"),
        ("huge-memory", dict(memory=1 << 44), None, "of memory, but only"),
        ("no-vcpu", dict(count=0), None, "number of vCPUs is not 1 to 64"),
        ("many-vcpus", dict(count=65535), None,
         "number of vCPUs is not 1 to 64"),
        ("far-cpu", dict(cpus=(250,)), None, "needs CPU 250, but"),
        ("bad-flag", dict(flags=0x80000001), None, "does not know"),
        ("bad-reserved", dict(reserved=1), None, "does not know"),
        ("bad-pad", dict(pad=1), None, "does not know"),
        ("bad-policy", dict(ends=(7, 2, 1)), None,
         "on-poweroff is neither stop nor restart"),
        ("bad-console", dict(console=5000), None, "is not a power of two"),
        ("endless-line", dict(line=b"x" * 2048), None,
         "command line is longer than"),
        # No emulator has it, so that the others boot is seen as well.
        ("cache-ways", dict(cache=(4, 0, 0)), None,
         "no Cache Allocation Technology: leave"),
        ("initrd-for-elf", dict(initrd=0), None, "initrd is an image of"),
    ]
    images = [
        ("kernel-flip", kernel(spoil=flipped(5000, 3)),
         "SHA-256|hash"),
        ("wrong-hash", kernel(sha256=bytes(32)), "SHA-256|hash"),
        ("image-record", kernel(damage=flipped(60)), "image is damaged"),
        ("odd-offset", kernel(offset=12345), "image is damaged"),
        ("over-header", kernel(offset=0), "image is damaged"),
        ("absurd-size", kernel(size=(1 << 64) - 1), "image is damaged"),
        ("behind-end", kernel(size=1 << 40), "image is damaged"),
        ("empty-image", kernel(size=0), "image is damaged"),
        ("text-as-linux", kernel(TEXT_FILE, BZIMAGE), "no Linux bzImage"),
        ("text-as-elf", kernel(TEXT_FILE), "no guest of Mullion"),
        ("half-an-elf", kernel(elf[:6000]), "kernel"),
        ("initrd-kernel", kernel(TEXT_FILE, INITRD), "neither a Linux bzImage"),
        ("old-linux", kernel(linux_image(version=0x204), BZIMAGE),
         "too old"),
        ("big-linux", kernel(linux_image(init_size=0x7FFFFFFF), BZIMAGE),
         "kernel"),
    ]
    return [(n, f, None, w) for n, f, _, w in records] + \
        [(n, {}, image, words) for n, image, words in images]


def good(elf_index=0, cpus=(1,)):
    return Vm(b"good", elf_index, b"count=5 period=100", cpus)


def everything(elf):
    """One package with a good VM and every bad one; and [(name, words)]."""
    images = [Image(b"counter.elf", ELF64, elf)]
    vms, expected = [good()], []
    for name, fields, image, words in bad_ones(elf):
        fields = dict(dict(kernel=0), **fields)
        if image:
            image.name = name.encode()
            fields["kernel"] = len(images)
            images.append(image)
        vms.append(Vm(name.encode(), **fields))
        expected.append((name, words))
    return package(vms, images, machine(flags=SHARE_CPUS)), expected


def two(elf, **header):
    """A small good package, for damage to what all share."""
    vms = [good(cpus=(0,)), Vm(b"other", 1, b"count=2 period=100", (1,))]
    images = [Image(b"counter.elf", ELF64, elf),
              Image(b"again.elf", ELF64, elf + bytes(4096))]
    return package(vms, images, **header)


RUNS = r"^(good +\| )?counter: 5"
NONE_RUNS = r"no VM can be started"


def whole(elf):
    """Rows: name, bytes (None: no file), patterns that must be seen."""
    fine = two(elf)
    start = len(fine) - len(elf) - 4096 # of the second image, nearly
    duplicate = package(
        [good(cpus=(0,)), Vm(b"good", 0, b"", (1,)), Vm(b"Bad name!", 0),
         Vm(b"x" * 32, 0), Vm(b"same-cpu", 0, b"", (0,))],
        [Image(b"counter.elf", ELF64, elf)])
    nothing = (NONE_RUNS,)
    return (
        ("no-package", None, (r"PACKAGE\.MPK",) + nothing),
        ("empty-file", b"", nothing),
        ("text-file", TEXT_FILE, ("no package of Mullion",) + nothing),
        ("magic-flip", flipped(3)(fine), ("no package of Mullion",) + nothing),
        ("version-4", two(elf, version=4), ("version 4",) + nothing),
        ("header-flip", flipped(30)(fine),
         (r"header is damaged \(CRC-32\)",) + nothing),
        ("no-vms", two(elf, vm_count=0), ("number of VMs",) + nothing),
        ("far-records", two(elf, vm_offset=1 << 62),
         ("VM records lie outside",) + nothing),
        ("cut-in-header", fine[:100], ("too short",) + nothing),
        ("cut-in-records", fine[:1024], ("end is missing",) + nothing),
        ("cut-in-image-1", fine[:8192],
         ("ends at byte 8192", "kernel's image is damaged") + nothing),
        ("cut-in-image-2", fine[:start + 5000],
         ('image "again.elf"', "other.*image is damaged", RUNS)),
        ("bad-machine", two(elf, machine=machine(service=200, cpus=999,
                                                 baud=7)),
         ("machine: there is no CPU 200", "machine: more than 256 CPUs",
          "serial rate 7", RUNS)),
        ("names-and-cpus", duplicate,
         ("another VM has this name", "name is not 1 to 31",
          'uses CPU 0, and so does vm "good"', RUNS)),
    )
