# SPDX-License-Identifier: MIT
"""`mullctl stop` of a guest whose own services listen to its power button."""
import os
import re

import disks
import host
from control import Tool
from process import Process

MANIFEST = """\
vms:
  debian: {memory: 768MiB, cpus: [0], \
kernel: $kernels/cloud-amd64/vmlinuz, initrd: %s, \
cmdline: 'console=ttyS0 quiet systemd.show_status=1'}
"""
SECONDS = 400


def systemd_button(setup, back_end, checks):
    """Debian's kernel with systemd, udev and logind: udev loads the button's
    driver, and logind powers off when it is pressed."""
    folder = disks.fresh_folder(setup, checks)
    root, manifest = setup.build / "systemd.cpio.zst", folder / "debian.yaml"
    status, _ = host.run_program(
        checks, setup.tree / "guests/linux/make_systemd_root.sh", root,
        setup.kernels)
    checks.check(status == 0, "a root with systemd is made of Debian's "
                 "packages")
    manifest.write_text(setup.fill_in(MANIFEST % root))
    address = "unix:/tmp/mullctl-test-%d-button" % os.getpid()
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        checks.check(process.wait_for(r"login:", SECONDS),
                     "systemd brings up the console's login")
        tool.run("stop", "debian", "--timeout", "120", seconds=150)
        checks.check(process.wait_for(r"reboot: Power down", 30),
                     "Linux says that it powers down")
        shown = process.text()
        checks.check(re.search(r"Reached target .*poweroff", shown)
                     and re.search(r"Stopped .*systemd-logind", shown),
                     "systemd stops its services first")
        vm = tool.json("list")["vms"][0]
        checks.check(vm["state"] == "stopped" and "powered off" in vm["reason"],
                     "debian is %s: %s" % (vm["state"], vm["reason"]))
        tool.run("shutdown")
        process.finish(30)
    finally:
        process.stop()
