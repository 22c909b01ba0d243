# SPDX-License-Identifier: MIT
"""Disks in memory: what a stock Linux sees of them, and when they forget."""
import hashlib
import os
import random
import re
import struct

import disks
from control import Tool
from process import Process

SECONDS = 240
SIZE = (3 << 20) + 1024 # the last block is short

# Linux runs what its second disk begins with; the first one is of the same
# image.  What is written where the word is tells the second life.
SCRIPT = """\
failed=0
report() { # status text
	if test "$1" = 0; then echo "PASS $2"; else
		echo "FAIL $2"; failed=1; fi
}
sum() { sha256sum | cut -c -64; }
part() { dd if=/dev/vda bs=4k skip=100 count=300 2> /dev/null; }

image=$(sed 's/.*mullion.sum=\\([^ ]*\\).*/\\1/' /proc/cmdline)
dd if=/dev/vda bs=512 skip=16 count=1 2> /dev/null | head -n 1 > /tmp/word
read -r word written < /tmp/word
test "$(sum < /dev/vdb)" = "$image"
report $? "the disk to read only is as its image"
if test "$word" = written; then
	test "$(part | sum)" = "$written"
	report $? "what was written outlives a restart"
	exit $failed
fi
test "$(sum < /dev/vda)" = "$image"
report $? "the private disk begins as its image"
test "$(cat /sys/block/vda/ro /sys/block/vdb/ro | tr '\\n' ' ')" = "0 1 "
report $? "Linux knows which one it may write"
test "$(cat /sys/block/vda/serial)" = mullion-disk0
report $? "disks have serial numbers"
test "$(cat /sys/block/vda/size)" = %(sectors)d
report $? "it has all sectors of its image"
! dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=notrunc 2> /dev/null
report $? "the disk to read only is not written"
dd if=/dev/urandom of=/tmp/data bs=4k count=300 2> /dev/null
dd if=/tmp/data of=/dev/vda bs=4k seek=100 conv=notrunc 2> /dev/null
written=$(sum < /tmp/data)
echo "written $written" | dd of=/dev/vda bs=512 seek=16 conv=notrunc,sync \\
	2> /dev/null
sync
echo 3 > /proc/sys/vm/drop_caches
test "$(part | sum)" = "$written"
report $? "what was written is read again"
test $failed = 0 && reboot -f
exit 1
""" % {"sectors": SIZE // 512}

LINUX = """\
machine: {serial: {mode: channel}}
vms:
  linux:
    memory: 128MiB
    cpus: [0]
    kernel: $kernels/cloud-amd64/vmlinuz
    initrd: $demo
    cmdline: console=ttyS0 quiet cryptomgr.notests mullion.sum=%s \
mullion.run=head+-c+4096+/dev/vdb>/tmp/script;sh+/tmp/script
    disks:
    - {image: base.img, room: 8MiB}
    - {image: base.img, access: read-only}
"""


def make_image(path):
    """Noise behind the script; returns its SHA-256."""
    head = SCRIPT.encode().ljust(4096, b"\n")
    image = head + random.Random(7).randbytes(SIZE - len(head))
    assert len(image) == SIZE
    path.write_bytes(image)
    return hashlib.sha256(image).hexdigest()


def linux_disks(setup, back_end, checks):
    """Two disks of one image, one of them to read only; and a restart."""
    folder = disks.fresh_folder(setup, checks)
    manifest = folder / "linux.yaml"
    manifest.write_text(setup.fill_in(
        LINUX % make_image(folder / "base.img")))
    process = Process([setup.mullctl, "run", "-v", *back_end.words, manifest],
                      checks.note, environment=back_end.environment)
    try:
        status = process.finish(SECONDS * back_end.patience)
    finally:
        process.stop()
    shown = process.text("out")
    checks.check(status == 0, "exit status %s" % status)
    checks.check_lines(shown)
    checks.check(re.search(r"^DONE exit code 0", shown, re.M)
                 and "outlives a restart" in shown,
                 "both of its lives come to their end")
    checks.check("linux: running again, restart 1" in process.text("err"),
                 "the log tells of the restart")


# ---- with mullctl, on either back end -----------------------------------------

SMALL = 402 # sectors, of a block that is short at the end
TWO = """\
machine: {serial: {mode: channel}}
vms:
  one: {memory: 16MiB, cpus: [0], kernel: $guests/disk.elf, cmdline: \
'lives=2 stay=1', disks: [base.img, {image: base.img, access: read-only}]}
  two: {memory: 16MiB, cpus: [1], kernel: $guests/disk.elf, cmdline: \
'lives=2 stay=1', disks: [base.img, {image: base.img, access: read-only}]}
"""
MADE = """\
name: made
memory: 16MiB
cpus: 1
kernel: disk.elf
cmdline: lives=2 stay=1
disks: [%s, {image: %s, access: read-only}]
"""


class Lives:
    """Which lives the consoles of the VMs have told of."""

    def __init__(self, process, checks, seconds):
        self.process, self.checks, self.seconds = process, checks, seconds
        self.known = {}

    def wait(self, vm, life, words):
        """For the next life of @vm, which is number @life."""
        pattern = r"^(?:%s +\| )?disk: life (\d+)" % vm
        count = self.known[vm] = self.known.get(vm, 0) + 1
        self.process.wait_for(pattern, self.seconds, count=count)
        seen = re.findall(pattern, self.process.text("out"), re.M)
        self.checks.check(len(seen) >= count and seen[count - 1] == str(life),
                          "%s: %s (%s)" % (vm, words, seen))


def restarts_keep(tool, lives):
    for vm in "one", "two":
        lives.wait(vm, 1, "a disk begins as its image")
        lives.wait(vm, 2, "a restart of its own keeps what was written")
    tool.run("reset", "one")
    lives.wait("one", 3, "so does one by command")
    tool.run("stop", "one", "--force")
    tool.run("start", "one", "--wait")
    lives.wait("one", 1, "a stop loses it")
    lives.wait("one", 2, "and all begins anew")
    tool.run("reset", "two")
    lives.wait("two", 3, "the other one's disk is its own")


def show_tells(tool, checks):
    shown = tool.json("show", "one")["disks"]
    checks.check([(disk["disk"], disk["access"], disk["room"] >> 20)
                  for disk in shown] ==
                 [(0, "private", 4), (1, "read-only", 0)]
                 and shown[0]["image"] == shown[1]["image"],
                 "show tells of the disks: %s" % shown)
    table, _ = tool.run("show", "one")
    checks.check(re.search(r"^DISK +MEDIUM +ACCESS +ROOM\n0 +image \d+ +private "
                           r"+4 MiB\n1 +image \d+ +read-only +0 bytes", table, re.M),
                 "as a table, too")
    yaml, _ = tool.run("show", "one", "-o", "yaml")
    checks.check('disks:\n  - disk: 0' in yaml, "and as YAML")


def come_and_go(tool, checks, lives):
    """While nobody runs who would have to let go of them."""
    tool.run("stop", "one", "--force")
    tool.run("detach", "one", "0")
    shown = tool.json("show", "one")["disks"]
    checks.check([disk["disk"] for disk in shown] == [1],
                 "the other disk is still shown: %s" % shown)
    table, _ = tool.run("attach", "one", "base.img")
    checks.check(re.search(r"^Disk: +0$", table, re.M),
                 "a disk of the package's image comes")
    tool.run("start", "one", "--wait")
    lives.wait("one", 1, "and begins as its image")
    lives.wait("one", 2, "and is kept")


def lives_as_made(tool, checks, image, seconds):
    """Two lives of a VM that the run's own consoles do not know."""
    console = Process([tool.mullctl, "console", "made", "--all", "--connect",
                       tool.address], checks.note)
    try:
        lives = Lives(console, checks, seconds)
        lives.wait("made", 1, "it has the disk " + image)
        lives.wait("made", 2, "and it is kept")
    finally:
        console.stop()


def made_later(tool, checks, seconds, folder):
    """From an image that was uploaded, and from a file that is then."""
    free = tool.json("info")["memory_free"]
    tool.run("stop", "two", "--force")
    tool.run("destroy", "two")
    checks.check(tool.json("info")["memory_free"] >= free + (20 << 20),
                 "all its memory is free again, with the disk's")
    told = tool.json("upload", folder / "base.img", "--name", "spare",
                     "--kind", "disk")
    checks.check(told["kind"] == "disk", "a disk is uploaded")
    _, words = tool.run("upload", folder / "odd.img", "--kind", "disk",
                        status=1)
    checks.check("sectors" in words, "but not one of parts of sectors")
    for image in "spare", "other.img":
        file = folder / "made.yaml"
        file.write_text(MADE % (image, image))
        tool.json("create", file, "--start")
        lives_as_made(tool, checks, image, seconds)
        _, words = tool.run("delete", image, status=4)
        checks.check("made from image" in words, "an image in use stays")
        tool.run("stop", "made", "--force")
        tool.run("destroy", "made")
        tool.run("delete", image)
    audit = tool.json("audit")
    checks.check(audit["finished"] and not audit["faults"],
                 "the audit finds no fault")


def disk_lives(setup, back_end, checks):
    """Two VMs with disks of one image, and one that is made later."""
    folder = disks.fresh_folder(setup, checks)
    # Each sector is another one, and the line has not much to carry.
    image = b"".join(struct.pack("<I", i) * 128 for i in range(SMALL))
    (folder / "base.img").write_bytes(image)
    (folder / "other.img").write_bytes(image[::-1])
    (folder / "odd.img").write_bytes(image[:1000])
    (folder / "disk.elf").write_bytes(
        (setup.guests / "disk.elf").read_bytes())
    manifest = folder / "two.yaml"
    manifest.write_text(setup.fill_in(TWO))
    address = "unix:/tmp/mullctl-test-%d-%s-%s" % (os.getpid(), checks.name,
                                                   back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    seconds = SECONDS * back_end.patience
    try:
        lives = Lives(process, checks, seconds)
        restarts_keep(tool, lives)
        show_tells(tool, checks)
        come_and_go(tool, checks, lives)
        made_later(tool, checks, seconds, folder)
    finally:
        process.stop()
    checks.check_lines(process.text("out"))
