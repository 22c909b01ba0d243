# SPDX-License-Identifier: MIT
"""load.c in guests of Mullion's, on SVM in QEMU."""
import os
import subprocess
import sys
import tempfile

import load_guest

BUILD = load_guest.BUILD
LIMIT = 1800  # seconds, on a loaded machine
VM = """\
  %s:
    memory: 256MiB
    cpus: [%d]
    kernel: %s
    initrd: %s
    cmdline: %s
"""


def vm(name, cpu, more, *lines):
    return VM % (name, cpu, load_guest.KERNEL, load_guest.INITRAMFS,
                 load_guest.command(*lines)) + more


def run(machine, vms, *options):
    with tempfile.TemporaryDirectory() as folder:
        manifest, log = (os.path.join(folder, name)
                         for name in ("load.yaml", "log"))
        with open(manifest, "w", encoding="ascii") as file:
            file.write("machine: {mitigations: off, %s}\nvms:\n%s"
                       % (machine, "".join(vms)))
        command = [os.path.join(BUILD, "mullctl"), "run", "-v", manifest,
                   "--timeout", str(LIMIT), *options]
        for word in load_guest.plugin_words(log):
            command += ["--qemu-arg", word]
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        if done.returncode:
            sys.exit(f"load_mullion.py: mullctl ended with "
                     f"{done.returncode}:\n{text}")
        return load_guest.measured(text, log)


def streams():
    """From one guest to another, each on its own CPU."""
    network = "    networks: [lan]\n"
    return run("cpus: 2", [
        vm("take", 0, network, *load_guest.TAKE),
        vm("send", 1, network, *load_guest.SEND)])


def blocks(folder):
    """On a disk in memory, on a partition of an NVMe and of a virtio disk."""
    image = os.path.join(folder, "memory.img")
    with open(image, "wb") as file:
        file.truncate(load_guest.DISK_SIZE)
    disks = [load_guest.make_disk(folder, name) for name in ("nvme", "virtio")]
    return run("cpus: 1", [vm(
        "disks", 0, "    disks: [%s, {partition: nvme}, {partition: virtio}]\n"
        % image, *load_guest.BLOCKS)],
        "--disk", disks[0] + ",nvme", "--disk", disks[1])


def uplink(card):
    """Through the machine's card to a listener of the host's."""
    with load_guest.Sink() as sink:
        return run("uplink: {nic: 1, switch: lan}", [
            vm("send", 0, "    networks: [lan]\n",
               *load_guest.send_outside(sink.port))], "--nic", card)
