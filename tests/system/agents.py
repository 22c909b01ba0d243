# SPDX-License-Identifier: MIT
"""A stock guest's virtio console: Debian's driver and qemu-guest-agent."""
import base64
import json
import os
import time

import disks
import host
from control import Tool
from process import Process

MANIFEST = """\
vms:
  debian: {memory: 256MiB, cpus: [0], \
kernel: $kernels/cloud-amd64/vmlinuz, initrd: %s, \
cmdline: 'console=ttyS0 console=hvc0 quiet cryptomgr.notests mullion.console=hvc0'}
"""
SECONDS = 240


def run_in_guest(tool, checks, *words):
    """What a program prints, by the agent."""
    pid = tool.json("agent", "debian", "exec", json.dumps(
        {"path": words[0], "arg": words[1:],
         "capture-output": True}))["return"]["pid"]
    end = time.monotonic() + 60
    while not (status := tool.json(
            "agent", "debian", "guest-exec-status",
            '{"pid": %d}' % pid)["return"])["exited"]:
        if time.monotonic() > end:
            break
        time.sleep(0.5)
    checks.check(status.get("exitcode") == 0, "%s ends well" % words[0])
    return base64.b64decode(status.get("out-data", "")).decode()


def asks(tool, checks):
    checks.check("{}" in tool.run("agent", "ping")[0],
                 "the agent of the only VM answers a ping")
    checks.check(tool.json("agent", "ping", "debian")["return"] == {},
                 "in JSON, too, and with the command first")
    told, _ = tool.run("agent", "debian", "get-osinfo")
    checks.check("Debian GNU/Linux 12" in told, "it tells of its system")
    info = tool.json("agent", "debian", "guest-info")["return"]
    checks.check(len(info["supported_commands"]) > 30,
                 "an answer of several KiB comes whole")
    text = run_in_guest(tool, checks, "/bin/busybox", "seq", "1", "20000")
    checks.check(text.split() == [str(i) for i in range(1, 20001)],
                 "so do the %d bytes that a program prints" % len(text))
    _, words = tool.run("agent", "debian", "nonsense", status=1)
    checks.check("guest-nonsense" in words, "what it refuses is said")
    tool.run("agent", "nobody", "ping", status=3)


def agent(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    root, manifest = folder / "agent.cpio.gz", folder / "debian.yaml"
    status, _ = host.run_program(
        checks, setup.tree / "guests/linux/make_agent_root.sh", root,
        setup.demo)
    checks.check(status == 0, "an initramfs is made with Debian's agent")
    manifest.write_text(setup.fill_in(MANIFEST % root))
    address = "unix:/tmp/mullctl-test-%d-agent-%s" % (os.getpid(),
                                                      back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        checks.check(process.wait_for(r"/root # ", SECONDS * back_end.patience),
                     "a shell asks on hvc0")
        process.send("echo $((6 * 7)) by $(tty)\n")
        checks.check(process.wait_for(r"^42 by /dev/hvc0", 60),
                     "what is typed gets there")
        process.send("seq 1 3000\n")
        checks.check(process.wait_for(r"^2999\n3000$", 120),
                     "it prints more than its buffers hold")
        checks.check([line for line in process.text().split("\n")
                      if line.isdecimal()][-3000:] ==
                     [str(i) for i in range(1, 3001)], "and nothing is lost")
        asks(tool, checks)
        audit = tool.json("audit")
        checks.check(audit["faults"] == 0, "the audit finds no fault")
        tool.run("reset", "debian")
        checks.check(process.wait_for(r"in a partition of Mullion",
                                      SECONDS * back_end.patience, count=2),
                     "it starts again")
        tool.run("agent", "debian", "ping")
        tool.run("stop", "debian", "--force")
        _, words = tool.run("agent", "debian", "ping", status=4)
        checks.check("stopped" in words, "a VM that has ended has no agent")
        tool.run("shutdown")
        process.finish(60)
    finally:
        process.stop()
