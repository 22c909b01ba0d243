# SPDX-License-Identifier: MIT
"""Sockets between stock kernels in partitions, and with mullctl: what
guests/linux/vsock.c says."""
import os
import random
import subprocess
import time

import disks
from control import Tool
from process import Process

GUEST = "  %s: {memory: 192MiB, cpus: [%d], kernel: " \
    "$kernels/cloud-amd64/vmlinuz, initrd: $demo, vsock: %s, " \
    "on-poweroff: stop,\n    cmdline: 'console=ttyS0 cryptomgr.notests " \
    "mullion.run=%s'}\n"
SEVERAL = 3 << 20 # bytes
# A line of 115200 baud takes its time.
SOME = 40000
SECONDS = 300


def manifest():
    serve = "vsock+echo+1000"
    use = "vsock+talk+3+1000+%d;vsock+refused+3+1001;" \
        "vsock+refused+5+1000;vsock+talk+2+2000+%d;vsock+refused+2+2001;" \
        "vsock+end+3+1000" % (SEVERAL, SOME)
    alone = "vsock+refused+3+1000;vsock+refused+4+1000;vsock+echo+1000"
    return "vms:\n" + \
        GUEST % ("serve", 0, "{cid: 3, group: backbone}", serve) + \
        GUEST % ("use", 1, "{cid: 4, group: backbone}", use) + \
        GUEST % ("alone", 2, "5", alone)


def through(setup, checks, address, vm, seconds):
    """What mullctl sends to a guest comes back."""
    data = random.Random(1).randbytes(SOME)
    done = subprocess.run(
        [setup.mullctl, "vsock", vm, "1000", "--connect", address],
        input=data, capture_output=True, check=False, timeout=seconds)
    checks.note("mullctl vsock %s: %d, %d bytes, %s" % (
        vm, done.returncode, len(done.stdout), done.stderr.decode()))
    checks.check(done.returncode == 0 and done.stdout == data,
                 "%d bytes come back to mullctl from %s" % (SOME, vm))


def send_back(tool, checks):
    """A listening mullctl, by which a guest's own bytes come back."""
    read, write = os.pipe()
    listener = subprocess.Popen(
        [tool.mullctl, "vsock", "use", "2000", "--listen", "--connect",
         tool.address], stdin=read, stdout=subprocess.PIPE)
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as to:
        while piece := os.read(listener.stdout.fileno(), 4096):
            to.write(piece)
    checks.check(listener.wait(60 * tool.patience) == 0, "mullctl ends with the connection")


def count(tool, checks):
    """What has been seen is in the counters."""
    use, = tool.json("stats", "use")["sockets"]
    serve, = tool.json("stats", "serve")["sockets"]
    alone, = tool.json("stats", "alone")["sockets"]
    checks.note("%s\n%s\n%s" % (use, serve, alone))
    checks.check(use["group"] == serve["group"] == "backbone" and
                 not alone["group"], "each tells its group")
    checks.check(use["connections"] == 3 and use["refused"] >= 3,
                 "three were opened by it, three not at all")
    checks.check(alone["connections"] == 1 and alone["refused"] == 2,
                 "one by mullctl, two to who is not in its group")
    checks.check(serve["connections"] == 3 and not serve["refused"],
                 "two by a guest, and one by mullctl")
    for end in (use, serve):
        checks.check(min(end["sent_bytes"], end["received_bytes"]) >= SEVERAL,
                     "bytes are counted both ways")
        checks.check(end["spoofed"] + end["malformed"] + end["full"] == 0,
                     "no packet was lost")


def sockets(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    path = folder / "sockets.yaml"
    path.write_text(setup.fill_in(manifest()))
    address = "unix:/tmp/mullctl-test-%d-sockets-%s" % (os.getpid(),
                                                        back_end.name)
    patience = SECONDS * back_end.patience
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, path], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address, back_end.patience)

    def says(words):
        checks.check(process.wait_for(words, patience), "seen: " + words)

    try:
        says(r"^use +\| PASS %d of %d bytes came back from 3" %
             (SEVERAL, SEVERAL))
        says(r"^use +\| PASS 3:1001 does not let it in")
        says(r"^use +\| PASS 5:1000 does not let it in")
        says(r"^alone +\| PASS 3:1000 does not let it in")
        says(r"^alone +\| PASS 4:1000 does not let it in")
        says(r"^alone +\| LISTENS 1000")
        send_back(tool, checks)
        says(r"^use +\| PASS %d of %d bytes came back from 2" % (SOME, SOME))
        says(r"^use +\| PASS 2:2001 does not let it in")
        through(setup, checks, address, "alone", patience)
        through(setup, checks, address, "serve", patience)
        _, words = tool.run("vsock", "serve", "1001", status=4)
        checks.check("nothing listens" in words, "a closed port is told")
        says(r"^use +\| CONNECTED")
        count(tool, checks)
        tool.run("reset", "serve")
        says(r"^use +\| PASS the connection has ended")
        checks.check(process.wait_for(r"^serve +\| LISTENS", patience, count=2),
                     "it starts again")
        audit = tool.json("audit")
        checks.check(audit["faults"] == 0, "the audit finds no fault")
        checks.check("FAIL" not in process.text(), "no guest has failed")
        # With VMs of 576 MiB to be erased first.
        began = time.monotonic()
        tool.run("shutdown")
        checks.note("the shutdown took %.1f s" % (time.monotonic() - began))
        process.finish(60 * back_end.patience)
    finally:
        process.stop()
