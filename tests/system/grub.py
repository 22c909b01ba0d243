# SPDX-License-Identifier: MIT
"""A disk as people have it: GRUB, which a guest's firmware finds there, loads a
stock Linux from a file system."""
import pathlib
import struct
import subprocess

import disks
import machines
from process import Process

SECTOR = 512
SIZE = 28 << 20
START = 1 << 20          # of the only partition, and GRUB's room before it
BOOTABLE, FAT32 = 0x80, 0x0c
TABLE = 446              # where the master boot record has the partitions
EFI_LOADER = "/EFI/BOOT/BOOTX64.EFI"
MODULES = pathlib.Path("/usr/lib/grub")
COMMON = ("part_msdos", "fat", "linux", "serial", "terminal", "configfile",
          "normal", "echo", "search", "search_fs_file")
# For each firmware: its file, GRUB's format, what else its image needs, and
# how the guest ends.
KINDS = {
    "seabios": ("/usr/share/seabios/bios-256k.bin", "i386-pc", ("biosdisk",),
                r"grub: powered off"),
    "ovmf": ("/usr/share/ovmf/OVMF.fd", "x86_64-efi", (),
             r"grub: powered off"),
}
EARLY = """\
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
search --file --set=root /boot/grub/grub.cfg
configfile ($root)/boot/grub/grub.cfg
"""
MENU = """\
set timeout=0
echo "GRUB is started by $grub_platform"
menuentry "Linux from the disk" {
	linux /vmlinuz console=ttyS0 cryptomgr.notests mullion.run=selftest \
mullion.cpus=2
	initrd /initrd.gz
}
"""
MANIFEST = """\
vms:
  grub:
    platform: pc
    memory: 512MiB
    cpus: [0, 1]
    firmware: %s
    disks: [%s]
"""


def make_grub(folder, form, early, *modules):
    """GRUB with @modules in one file, which does what @early says."""
    (folder / "early.cfg").write_text(early)
    subprocess.run(["grub-mkimage", "-O", form, "-d", MODULES / form, "-p",
                    "/boot/grub", "-c", folder / "early.cfg", "-o",
                    folder / "grub", *modules], check=True)
    return folder / "grub"


def boot_record(size):
    """With GRUB's first 446 bytes, which read what begins in sector 1."""
    entry = struct.pack("<B3sB3sII", BOOTABLE, b"\xfe\xff\xff", FAT32,
                        b"\xfe\xff\xff", START // SECTOR,
                        (size - START) // SECTOR)
    code = (MODULES / "i386-pc/boot.img").read_bytes()[:TABLE]
    return code + entry + bytes(3 * len(entry)) + b"\x55\xaa"


def make_image(disk, size, files, behind_record=b""):
    """A master boot record, what lies @behind_record, and a FAT with @files by
    their names, as firmware of either kind reads it."""
    assert len(behind_record) < START - SECTOR
    with open(disk, "wb") as image:
        image.truncate(size)
        image.write(boot_record(size) + behind_record)
    fat = "%s@@%d" % (disk, START)
    subprocess.run(["mformat", "-i", fat, "-T", str((size - START) // SECTOR),
                    "::"], check=True)
    for name in "/boot", "/boot/grub", "/EFI", "/EFI/BOOT":
        subprocess.run(["mmd", "-i", fat, "::" + name], check=True)
    for name, file in files.items():
        subprocess.run(["mcopy", "-i", fat, file, "::" + name], check=True)
    return disk


def make_disk(setup, folder, kind):
    _, form, more, _ = KINDS[kind]
    loader = make_grub(folder, form, EARLY, *COMMON, *more)
    (folder / "grub.cfg").write_text(MENU)
    files = {"/boot/grub/grub.cfg": folder / "grub.cfg",
             "/vmlinuz": setup.kernels / "cloud-amd64/vmlinuz",
             "/initrd.gz": setup.demo}
    if kind == "ovmf":
        files[EFI_LOADER] = loader
    return make_image(folder / "disk.img", SIZE, files,
                      loader.read_bytes() if kind == "seabios" else b"")


def grub(kind):
    def run(setup, back_end, checks):
        folder = disks.fresh_folder(setup, checks)
        firmware, form, _, end = KINDS[kind]
        manifest = folder / "grub.yaml"
        manifest.write_text(MANIFEST % (firmware,
                                        make_disk(setup, folder, kind)))
        process = Process([setup.mullctl, "run", "-v", *back_end.words,
                           manifest], checks.note,
                          environment=back_end.environment)
        try:
            process.finish(4 * machines.SECONDS * back_end.patience)
        finally:
            process.stop()
        shown = process.text("out")
        for words in (r"GRUB is started by %s" % form.rpartition("-")[2],
                      r"Booting `Linux from the disk'",
                      r"Command line: BOOT_IMAGE=.*/vmlinuz console=ttyS0",
                      r"^DONE 13 0"):
            checks.check(process.wait_for(words, 0), "seen: " + words)
        checks.check(process.wait_for(end, 0, "err"), "seen: " + end)
        checks.check_lines(shown)
    return run
