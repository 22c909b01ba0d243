# SPDX-License-Identifier: MIT
"""Emulators started without mullctl: the serial line carries text."""
import socket
import time

from process import Process

SECONDS = 120
QEMU = ("qemu-system-x86_64 -nodefaults -machine q35 -accel tcg -cpu max "
        "-m 512M -display none -monitor none -boot menu=off "
        "-serial stdio").split()
FLASH = "if=pflash,format=raw,unit=%d,%s,file=/usr/share/OVMF/OVMF_%s_4M.fd"
BOCHS = """\
display_library: %(display)s
romimage: file=/usr/share/ovmf/OVMF.fd, address=0xffe00000
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: 512
cpu: model=%(cpu)s, count=%(cpus)d, ips=100000000, reset_on_triple_fault=0
clock: sync=none, time0=1800000000
ata0-master: type=disk, %(disk)s
boot: disk
com1: enabled=1, mode=socket-client, dev=localhost:%(port)d
log: %(folder)s/bochs.log
panic: action=fatal
info: action=ignore
error: action=report
"""
# Debian's Bochs has this screen, too: OVMF has a driver for it, and none for
# its usual one.
BOCHS_SCREEN = """\
pci: enabled=1, chipset=i440fx, slot1=cirrus
vga: extension=cirrus
"""


def qemu(disk, cpus=2, on_reset="shutdown"):
    """@disk: a folder, or an image of a disk."""
    drive = "file=%s%s" % ("fat:" if disk.is_dir() else "", disk)
    return QEMU + ["-smp", str(cpus), "-action", "reboot=" + on_reset,
                   "-drive", FLASH % (0, "readonly=on", "CODE"),
                   "-drive", FLASH % (1, "snapshot=on", "VARS"),
                   "-drive", "if=none,id=boot,format=raw,readonly=on," + drive,
                   "-device", "virtio-blk-pci,drive=boot,bootindex=0"]


def bochs(cpu, disk, folder, port, cpus=2, display="term", more=""):
    """Writes its files to @folder.  It connects its serial line to @port."""
    if disk.is_dir():
        source = "mode=vvfat, path=%s, cylinders=1024, heads=16, spt=63" % disk
    else:
        source = "mode=flat, path=%s" % disk
        (disk.parent / (disk.name + ".lock")).unlink(missing_ok=True)
    (folder / "bochsrc").write_text(more + BOCHS % dict(
        display=display, cpu=cpu, cpus=cpus, disk=source, port=port,
        folder=folder))
    (folder / "continue").write_text("c\n")
    return ["bochs", "-q", "-f", folder / "bochsrc", "-rc",
            folder / "continue"]


class Machine:
    """A running emulator, whose serial line is read as it comes."""

    def __init__(self, back_end, disk, folder, note, environment=None,
                 **more):
        if back_end.emulator == "bochs":
            with socket.create_server(("localhost", 0)) as listener:
                port = listener.getsockname()[1]
                more["more"] = more.get("more", "") + back_end.lines + "\n"
                words = bochs(back_end.cpu, disk, folder, port, **more)
                self.process = Process(words, note, environment=environment,
                                       listener=listener)
        else:
            self.process = Process(qemu(disk, **more), note,
                                   environment=environment)
        # Bochs takes SIGTERM for a key, and stops at a prompt for its answer.
        self.gently = back_end.emulator != "bochs"

    def wait_for(self, pattern, seconds):
        return self.process.wait_for(pattern, seconds)

    def text(self):
        return self.process.text()

    def stop(self):
        self.process.stop(self.gently)


def boots(back_end, checks, disk, folder, patterns, seconds=SECONDS):
    """Boots @disk and checks that the serial line shows each of @patterns."""
    machine = Machine(back_end, disk, folder, checks.note)
    end = time.monotonic() + seconds * back_end.patience
    try:
        for pattern in patterns:
            checks.check(machine.wait_for(pattern, end - time.monotonic()),
                         "seen: " + pattern)
        checks.check("PANIC" not in machine.text(), "no panic")
    finally:
        machine.stop()
