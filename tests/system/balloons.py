# SPDX-License-Identifier: MIT
"""Memory that a stock Linux gives, another VM has, and Linux gets back."""
import os
import re
import time

import disks
from control import Tool
from process import Process

SECONDS = 300
MIB = 1 << 20
SIZE, SMALL = 768, 256 # MiB of the guest
OTHER = 448 # of a VM that has room only when it has given

# Its first disk holds what it runs: it fills memory with patterns, when it is
# small and when it is large again.
SCRIPT = """\
total() { sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }
fill() { # MiB
	for i in $(seq $1); do
		dd if=/dev/zero bs=64k count=16 2> /dev/null |
			tr '\\0' "\\\\$(printf %%03o $((i %% 200 + 1)))" > /tmp/f$i
	done
	bad=0
	for i in $(seq $1); do
		test "$(tr -d "\\\\$(printf %%03o $((i %% 200 + 1)))" < /tmp/f$i |
			wc -c)" = 0 || bad=1
	done
	rm -f /tmp/f*
	test $bad = 0 && echo "PASS $1 MiB hold what is written" ||
		echo "FAIL $1 MiB do not hold what is written"
}
echo "guest: has $(total) kB"
while test $(total) -gt %(small)d; do usleep 200000; done
echo "guest: is small"
fill 40
while test $(total) -lt %(large)d; do usleep 200000; done
echo "guest: is large"
fill 400
""" % {"small": (SMALL + 32) * 1024, "large": (SIZE - 64) * 1024}

LINUX = """\
machine: {serial: {mode: channel}}
vms:
  linux:
    memory: {size: %dMiB, elastic: true, least: 128MiB}
    cpus: [0, 1]
    kernel: $kernels/cloud-amd64/vmlinuz
    initrd: $demo
    cmdline: console=ttyS0 quiet cryptomgr.notests \
mullion.run=head+-c+4096+/dev/vda>/tmp/script;sh+/tmp/script
    disks:
    - {image: script.img, access: read-only}
""" % SIZE

MADE = """\
name: made
memory: %dMiB
cpus: 1
kernel: counter.elf
cmdline: count=100000 period=1
""" % OTHER


def audit(tool, checks):
    told = tool.json("audit")
    checks.check(told["finished"] and not told["faults"],
                 "the audit finds no fault: %s" % told)


def gives(tool, checks, seconds):
    """Down to SMALL; how much of it came back in whole frames is noted."""
    began = time.monotonic()
    before = tool.json("info")["memory_free"]
    told = tool.json("balloon", "linux", "%dMiB" % SMALL, "--timeout", seconds)
    after = tool.json("info")["memory_free"]
    asked = (SIZE - SMALL) * MIB
    checks.note("of %d MiB, %d MiB came back in whole frames (%.1f %%), in "
                "%.1f s" % (asked // MIB, told["free_for_others"] // MIB,
                            100 * told["free_for_others"] / asked,
                            time.monotonic() - began))
    checks.check(told["in_balloon"] == asked, "Linux lends all: %s" % told)
    checks.check(told["free_for_others"] >= asked * 3 // 4,
                 "most of it in whole frames")
    checks.check(after - before == told["free_for_others"],
                 "which are free for others")
    listed, = tool.json("list")["vms"]
    checks.check(listed["memory"] == told["memory"] < SIZE * MIB,
                 "the list has what it has now: %s" % listed)
    shown = tool.json("show", "linux")
    checks.check(shown["memory"] == told["memory"] and
                 shown["most_memory"] == SIZE * MIB and
                 shown["least_memory"] == 128 * MIB,
                 "show has what it can have, too: %s" % shown)
    audit(tool, checks)
    said = {row["what"]: row["value"]
            for row in tool.json("balloon", "linux")["guest_says"]}
    checks.check(SMALL * MIB * 3 // 4 < said["total"] <= SMALL * MIB,
                 "the guest knows how much it has: %s" % said)


def another_has_it(tool, checks, folder):
    tool.run("create", folder / "made.yaml", "--start")
    limit = time.monotonic() + 60 # it takes its memory when it starts
    while (free := tool.json("info")["memory_free"]) >= OTHER * MIB and \
            time.monotonic() < limit:
        time.sleep(1)
    checks.check(free < OTHER * MIB, "the other VM has what was given")
    audit(tool, checks)
    _, words = tool.run("balloon", "linux", "%dMiB" % SIZE, status=1)
    checks.check("are free" in words, "it cannot come back: %s" % words)
    _, words = tool.run("balloon", "linux", "64MiB", status=1)
    checks.check("128 to %d MiB" % SIZE in words, "nor go below the least")
    _, words = tool.run("balloon", "made", status=1)
    checks.check("not elastic" in words, "the other one has none")
    tool.run("stop", "made", "--force")
    tool.run("destroy", "made")


def balloon(setup, back_end, checks):
    """Down, another VM, up again."""
    folder = disks.fresh_folder(setup, checks)
    (folder / "script.img").write_bytes(SCRIPT.encode().ljust(4096, b"\n"))
    (folder / "counter.elf").write_bytes(
        (setup.guests / "counter.elf").read_bytes())
    (folder / "made.yaml").write_text(MADE)
    manifest = folder / "linux.yaml"
    manifest.write_text(setup.fill_in(LINUX))
    address = "unix:/tmp/mullctl-test-%d-%s-%s" % (os.getpid(), checks.name,
                                                   back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--smp",
                       "3", "--listen", address, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address, back_end.patience)
    seconds = SECONDS * back_end.patience
    try:
        checks.check(process.wait_for(r"guest: has", seconds), "Linux runs")
        _, words = tool.run("create", folder / "made.yaml", status=1)
        checks.check("of memory" in words, "there is no room: %s" % words)
        gives(tool, checks, seconds)
        checks.check(process.wait_for(r"40 MiB hold", seconds), "it lives on")
        another_has_it(tool, checks, folder)
        told = tool.json("balloon", "linux", "%dMiB" % SIZE, "--timeout",
                         seconds)
        checks.check(told["memory"] == SIZE * MIB, "all came back: %s" % told)
        checks.check(process.wait_for(r"^DONE exit code 0", seconds),
                     "it uses what came back")
        audit(tool, checks)
    finally:
        process.stop()
    checks.check_lines(process.text("out"))
    checks.check(re.search(r"PASS 400 MiB", process.text("out")),
                 "its memory is memory")
