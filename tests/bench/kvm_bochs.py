# SPDX-License-Identifier: MIT
"""guests/bench.c under KVM on VT-x: Debian's kernel with kvm-intel and what
load_kvm.py has for SVM, on Bochs, where a tick is an instruction.  GRUB loads it
from a disk, as Bochs loads no kernel by itself."""
import os
import pathlib
import sys
import tempfile

import load_guest
import load_kvm
import results

sys.path.append(os.path.join(results.TOP, "tests", "system"))
import backends # pylint: disable=wrong-import-position
import grub # pylint: disable=wrong-import-position
import machines # pylint: disable=wrong-import-position

LIMIT = 3000  # seconds, on a loaded machine
MODULES = "kvm kvm-intel irqbypass".split()
GRUB = ("part_msdos", "fat", "linux", "boot", "search", "search_fs_file")
MENU = """\
search --file --set=root /vmlinuz
linux /vmlinuz %s
initrd /initrd.gz
boot
"""
SIZE = 40 << 20 # of the disk


def make_initramfs(to):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ("dev", "proc", "sys", "run"):
            os.mkdir(os.path.join(folder, name))
        load_kvm.put_busybox(folder)
        load_kvm.put_modules(folder, MODULES)
        load_kvm.put_bench(folder)
        load_guest.archive(folder, to)


def make_disk(folder, words):
    """With GRUB, the kernel and its initramfs."""
    make_initramfs(folder / "initrd.gz")
    return grub.make_image(folder / "disk.img", SIZE, {
        grub.EFI_LOADER: grub.make_grub(folder, "x86_64-efi", MENU % words,
                                        *GRUB),
        "/vmlinuz": load_guest.KERNEL, "/initrd.gz": folder / "initrd.gz"})


def exits(vcpus):
    """What it said; all vCPUs are on one CPU."""
    notes = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        disk = make_disk(folder, f"{load_kvm.COMMAND_LINE} host.kvm=kvm-intel "
                         f"host.do=exits host.vcpus={vcpus} "
                         "host.bench=shift=0+rounds=200")
        machine = machines.Machine(backends.BACK_ENDS["vmx"], disk, folder,
                                   notes.append, cpus=1)
        try:
            done = machine.wait_for("HOST done", LIMIT)
            text = machine.text()
        finally:
            machine.stop()
    if not done:
        sys.exit("kvm_bochs.py: it did not come to its end:\n" + text +
                 "\n".join(notes))
    return text


if __name__ == "__main__":
    print(exits(int(sys.argv[1])))
