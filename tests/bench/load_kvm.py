# SPDX-License-Identifier: MIT
"""load.c in guests of KVM's: Debian's kernel with kvm-amd and Debian's QEMU
with its virtio devices, all of it on the machine that Mullion has otherwise, SVM
in QEMU.  The host's root file system is an initramfs in build/."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import load_guest
import results

BUILD = load_guest.BUILD
HOST = os.path.join(BUILD, "kvm_host.cpio.gz")
QEMU = "/usr/bin/qemu-system-x86_64"
LIMIT = 2400  # seconds, on a loaded machine
COMMAND_LINE = ("console=ttyS0 quiet cryptomgr.notests nokaslr mitigations=off "
                "rdinit=/init")
SVM = "host.kvm=kvm-amd host.bench=shift=6+rounds=200"
MODULES = """kvm kvm-amd irqbypass llc stp bridge tun tap vhost_iotlb vhost vhost_net
virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
failover net_failover virtio_net virtio_blk""".split()
FIRMWARE = ["bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"]


def put(folder, *files, under):
    to = os.path.join(folder, under)
    os.makedirs(to, exist_ok=True)
    for file in files:
        shutil.copy(file, to)


def put_program(folder, path):
    """With the libraries that it is linked with."""
    shown = subprocess.run(["ldd", path], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    put(folder, path, under="bin")
    put(folder, *re.findall(r"=> (/\S+)", shown),
        under="lib/x86_64-linux-gnu")
    put(folder, *re.findall(r"^\s+(/lib64/\S+)", shown, re.M), under="lib64")


def put_modules(folder, modules):
    package, = glob.glob(os.path.join(os.path.dirname(load_guest.KERNEL),
                                      "linux-image-*.deb"))
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(f"dpkg-deb --fsys-tarfile {package} | tar -x -C "
                       f"{unpacked} ./lib/modules", shell=True, check=True)
        for module in modules:
            found = glob.glob(f"{unpacked}/lib/modules/**/{module}.ko",
                              recursive=True)
            if len(found) != 1:
                sys.exit(f"load_kvm.py: no {module}.ko in {package}")
            put(folder, *found, under="lib/modules")


def put_busybox(folder):
    busybox = "/bin/busybox"
    put(folder, busybox, under="bin")
    for applet in subprocess.run([busybox, "--list"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.split():
        to = os.path.join(folder, "bin", applet)
        if not os.path.exists(to):
            os.symlink("busybox", to)


def put_bench(folder):
    """The first process, what starts a guest without QEMU, and the guest."""
    load_guest.compile_c("kvm_launcher.c", os.path.join(
        folder, "bin", "kvm_launcher"), "-static", "-pthread", "-I",
        os.path.join(results.TOP, "include"))
    put(folder, os.path.join(BUILD, "guests", "bench.elf"), under="guest")
    init = os.path.join(folder, "init")
    shutil.copy(os.path.join(load_guest.BENCH, "kvm_host_init.sh"), init)
    os.chmod(init, 0o755)


def build():
    """The host's root, but for what differs between runs."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ("dev", "proc", "sys", "run", "tmp", "etc"):
            os.mkdir(os.path.join(folder, name))
        put_busybox(folder)
        put_program(folder, QEMU)
        put_modules(folder, MODULES)
        for name in FIRMWARE:
            found = [path for path in ("/usr/share/seabios/" + name,
                                       "/usr/share/qemu/" + name)
                     if os.path.exists(path)]
            put(folder, found[0], under="usr/share/qemu")
        put_bench(folder)
        put(folder, load_guest.KERNEL, under="guest")
        shutil.copy(load_guest.INITRAMFS,
                    os.path.join(folder, "guest", "initrd"))
        if os.path.exists(HOST):
            os.unlink(HOST)
        load_guest.archive(folder, HOST)


def host_for(folder, guests):
    """The host's root with @guests, kernels' command lines by their name."""
    root = os.path.join(folder, "root")
    to = os.path.join(folder, "host.cpio.gz")
    os.makedirs(os.path.join(root, "guest"))
    for name, line in guests.items():
        with open(os.path.join(root, "guest", name), "w",
                  encoding="ascii") as file:
            file.write(line)
    shutil.copy(HOST, to)
    load_guest.archive(root, to)
    return to


def start(folder, what, guests, cpus, options):
    """Starts the host, which does @what: words for its command line; returns
    what it said."""
    serial = os.path.join(folder, "serial")
    command = [
        QEMU, "-nodefaults", "-machine", "q35", "-accel", "tcg", "-cpu", "max",
        "-m", "3072", "-smp", str(cpus), "-display", "none", "-monitor",
        "none", "-no-reboot", "-serial", "file:" + serial, "-kernel",
        load_guest.KERNEL, "-initrd", host_for(folder, guests), "-append",
        f"{COMMAND_LINE} {SVM} {what}", *options]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, check=False,
                               timeout=LIMIT).returncode
    except subprocess.TimeoutExpired:
        ended = "the timeout"
    with open(serial, encoding="ascii", errors="replace") as file:
        text = file.read()
    if ended or "HOST done" not in text:
        sys.exit(f"load_kvm.py: QEMU ended with {ended}:\n{text}")
    return text


def run(what, guests, cpus, options=()):
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        text = start(folder, what, guests, cpus,
                     [*options, *load_guest.plugin_words(log)])
        return load_guest.measured(text, log)


def exits(vcpus):
    """guests/bench.c by kvm_launcher.c: what it said.  Two vCPUs have a CPU
    each, others one."""
    with tempfile.TemporaryDirectory() as folder:
        return start(folder, f"host.do=exits host.vcpus={vcpus}", {},
                     2 if vcpus == 2 else 1, ["-icount", "shift=6,sleep=off"])


def streams(vhost):
    return run(f"host.do=streams host.vhost={vhost}",
               {"take": load_guest.command(*load_guest.TAKE),
                "send": load_guest.command(*load_guest.SEND)}, 2)


def blocks(folder):
    """On a file in tmpfs, on a partition of an NVMe and of a virtio disk."""
    disks = [load_guest.make_disk(folder, name) for name in ("nvme", "virtio")]
    return run(f"host.do=blocks host.size={load_guest.DISK_SIZE}",
               {"disks": load_guest.command(*load_guest.BLOCKS)}, 1, [
                   "-drive", f"if=none,id=disk0,format=raw,file={disks[0]}",
                   "-device", "nvme,drive=disk0,serial=0",
                   "-drive", f"if=none,id=disk1,format=raw,file={disks[1]}",
                   "-device", "virtio-blk-pci,drive=disk1,disable-legacy=on"])


def uplink(vhost):
    """Through a bridge and the machine's virtio card: e1000e has no driver in
    this kernel."""
    with load_guest.Sink() as sink:
        return run(f"host.do=uplink host.vhost={vhost}", {
            "send": load_guest.command(*load_guest.send_outside(sink.port))}, 1,
            ["-netdev", "user,id=net0", "-device", "virtio-net-pci,"
             "netdev=net0,disable-legacy=on,romfile="])
