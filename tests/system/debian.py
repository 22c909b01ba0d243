# SPDX-License-Identifier: MIT
"""Debian as people have it: on a disk of the machine, and its installer."""
import os

import disks
import host
import uplink
from agents import run_in_guest
from control import Tool
from process import Process

SECONDS = 600
ON_DISK = """\
machine: {serial: {mode: channel}, uplink: {nic: 1, switch: lan}}
vms:
  debian:
    memory: 512MiB
    cpus: [0]
    kernel: %(folder)s/vmlinuz
    initrd: %(folder)s/initrd.img
    cmdline: console=ttyS0 root=/dev/vda rw
    disks: [{partition: root}]
    networks: [lan]
"""
INSTALLER = """\
machine: {uplink: {nic: 1, switch: lan}}
vms:
  installer:
    memory: 1280MiB
    cpus: [0]
    kernel: $kernels/installer/vmlinuz
    initrd: $kernels/installer/initrd.gz
    cmdline: console=ttyS0
    networks: [lan]
"""


def by_agent(tool, checks, port):
    """What only a running system with a network can answer."""
    tool.run("agent", "debian", "ping")
    shown = run_in_guest(tool, checks, "/bin/sh", "-c", "ip -4 -o addr")
    checks.check("10.0.2.15/24" in shown, "the uplink's network gave it an "
                 "address")
    shown = run_in_guest(
        tool, checks, "/bin/sh", "-c",
        "cd /root && wget -q http://10.0.2.2:%d/data "
        "http://10.0.2.2:%d/sum && sha256sum < data | cmp - sum && echo same"
        % (port, port))
    checks.check(shown == "same\n", "2 MiB from outside are as they were")


def life(setup, back_end, checks, manifest, disk, visit):
    """From power on to login; then @visit, and poweroff as people type it."""
    address = "unix:/tmp/mullctl-test-%d-debian" % os.getpid()
    process = Process(
        [setup.mullctl, "run", "-v", *back_end.words, "--listen", address,
         "--nic", "virtio", "--disk", "%s,nvme" % disk, manifest],
        checks.note, environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        if checks.check(process.wait_for(r"debian login:", SECONDS),
                        "systemd brings up the login"):
            visit(tool)
            process.send("root\n")
            checks.check(process.wait_for(r"root@debian:~#", SECONDS),
                         "root is let in")
            process.send("poweroff\n")
            checks.check(process.wait_for(r"debian: (stopped: )?powered off",
                                          SECONDS, "err"), "and powers off")
            tool.run("shutdown")
            process.finish(30)
    finally:
        process.stop()
    return process.text()


def debian_disk(setup, back_end, checks):
    """A Debian of mmdebstrap's on a GPT partition of an NVMe disk; what it
    fetched and wrote is there in its next life."""
    made, folder = setup.build / "debian-disk", disks.fresh_folder(setup,
                                                                   checks)
    status, _ = host.run_program(
        checks, setup.tree / "guests/linux/make_disk_root.sh", made)
    checks.check(status == 0, "a disk is made of Debian's packages")
    disk, manifest = folder / "disk.img", folder / "debian.yaml"
    disk.write_bytes((made / "disk.img").read_bytes())
    manifest.write_text(ON_DISK % {"folder": made})
    server = uplink.serve(folder)
    port = server.server_address[1]
    try:
        life(setup, back_end, checks, manifest, disk,
             lambda tool: by_agent(tool, checks, port))

        def again(tool):
            shown = run_in_guest(tool, checks, "/bin/sh", "-c",
                                 "cd /root && sha256sum < data | cmp - sum && "
                                 "echo same")
            checks.check(shown == "same\n", "the disk has kept them")
        shown = life(setup, back_end, checks, manifest, disk, again)
        checks.check("recovering journal" not in shown,
                     "it was left in good order")
    finally:
        server.shutdown()
        disk.unlink()


def installer(setup, back_end, checks):
    """Debian's installer from its network image, up to its first dialog."""
    folder = disks.fresh_folder(setup, checks)
    status, _ = host.run_program(
        checks, setup.tree / "guests/linux/fetch_installer.sh", setup.kernels)
    checks.check(status == 0, "the installer is taken out of its package")
    manifest = folder / "installer.yaml"
    manifest.write_text(setup.fill_in(INSTALLER))
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--nic",
                       "e1000e", manifest], checks.note,
                      environment=back_end.environment)
    try:
        checks.check(process.wait_for(r"Select a language", SECONDS),
                     "it asks for a language")
    finally:
        process.stop()
