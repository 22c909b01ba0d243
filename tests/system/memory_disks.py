# SPDX-License-Identifier: MIT
"""Disks in memory: what a stock Linux sees of them, and when they forget."""
import hashlib
import random
import re

import disks
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
