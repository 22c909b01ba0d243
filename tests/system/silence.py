# SPDX-License-Identifier: MIT
"""Guests that have the local APICs of their CPUs: what they do by themselves
costs no exit."""
import os
import subprocess

import disks
from control import Tool
from process import Process

WATCHED = int(os.environ.get("SILENCE_SECONDS", "5"))
SECONDS = 25 + WATCHED # of the guests' time: Linux boots, and then is watched
NO_ANSWER = 6 # exit status
MANIFEST = """vms:
  silent: {memory: 16MiB, cpus: [1, 2], kernel: $guests/silent.elf,
    cmdline: 'seconds=%d'}
  linux: {memory: 256MiB, cpus: [3, 4], kernel: $kernels/cloud-amd64/vmlinuz,
    initrd: $demo, cmdline: 'console=ttyS0 quiet cryptomgr.notests'}
"""


def counts(tool, vm):
    stats = tool.json("stats", vm)
    return (float(stats["time"]) / 1e9,
            {row["exit"]: row["count"] for row in stats["exits"]},
            stats["exits_not_asked_for"])


def grown(before, after):
    return {name: count - before.get(name, 0) for name, count in after.items()
            if count != before.get(name, 0)}


def watch(tool, checks, vms):
    """Nothing but interrupts for other CPUs, for some seconds of the
    hypervisor's clock; Linux asks for random numbers now and then, for which
    the home CPU may have to look."""
    before = {vm: counts(tool, vm) for vm in vms}
    while True:
        after = {vm: counts(tool, vm) for vm in vms}
        passed = min(after[vm][0] - before[vm][0] for vm in vms)
        if passed >= WATCHED:
            break
    for vm in vms:
        more = grown(before[vm][1], after[vm][1])
        sent = more.pop("ipi", 0)
        other = after[vm][2] - before[vm][2]
        asked = more.get("memory", 0)
        checks.check(other <= asked,
                     "%s: %d exits beside the %d interrupts that it sent to "
                     "another CPU and its %d requests to a device, in %.1f s"
                     % (vm, other, sent, asked, after[vm][0] - before[vm][0]))
        checks.check(sum(more.values()) <= (0 if vm == "silent" else WATCHED),
                     "%s: it does next to nothing else %s" % (vm, more or ""))


def silence(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    path = folder / "silence.yaml"
    path.write_text(setup.fill_in(MANIFEST % SECONDS))
    address = "unix:/tmp/mullctl-test-%d-silence-%s" % (os.getpid(),
                                                        back_end.name)
    patience = 300 * back_end.patience
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, path], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    try:
        checks.check(process.wait_for("^silent +. silent: at work", patience)
                     and process.wait_for("root #", patience),
                     "both are at work")
        # What Linux still has to do by itself, such as feeding its pool.
        process.wait_for("at rest", 5)
        watch(tool, checks, ("silent", "linux"))
        checks.check(process.wait_for(r"^silent +. DONE \d+ 0", patience),
                     "timers and interrupts between CPUs come as they should")
        # Bochs may be slower than a client waits for the answer.
        done = subprocess.run([setup.mullctl, "stop", "linux", "--force",
                               "--connect", address], capture_output=True,
                              check=False, timeout=patience)
        checks.check(done.returncode in (0, NO_ANSWER),
                     "mullctl stop ends with %d" % done.returncode)
        checks.check(process.wait_for("linux: stopped: stopped by command",
                                      patience, name="err"),
                     "its CPUs are taken back from a guest that rests")
        tool.wait_for_states(linux="stopped", silent="stopped")
    finally:
        process.stop()
