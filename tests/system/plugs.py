# SPDX-License-Identifier: MIT
"""A stock Linux that runs gets disks and a network device, and loses them."""
import hashlib
import os
import random
import re
import subprocess
import time

import disks
import kept_records
from control import Tool
from partitions import make_disk
from process import Process

SECONDS = 240
FIRST, SIZE = 4096, 8 << 20 # of the partition: sector, bytes
NOISE = 256 << 10           # bytes of an image
LOG_BYTES = 64 << 30        # of a file with a hole
LINUX = """\
  %s: {memory: 192MiB, cpus: [%d], kernel: $kernels/cloud-amd64/vmlinuz, \
initrd: $demo, %s
    cmdline: 'console=ttyS0 quiet cryptomgr.notests %s'}
"""
MANIFEST = "machine: {serial: {mode: channel}}\nvms:\n" + \
    LINUX % ("user", 0, "on-reset: restart,", "") + \
    LINUX % ("server", 1, "networks: [lan],",
             "mullion.run=mullion-network+serve;sleep+100000")


class Shell:
    """The shell on a guest's console."""

    def __init__(self, tool, checks, seconds):
        self.checks, self.seconds = checks, seconds
        self.console = Process([tool.mullctl, "console", "user", "--connect",
                                tool.address], checks.note)
        self.count = 0

    def ready(self, life):
        return self.checks.check(
            self.console.wait_for(r"starts it again", self.seconds, count=life),
            "Linux runs, life %d" % life)

    def do(self, words):
        """All that was printed until its end; it must succeed."""
        self.count += 1
        end = "END%d=" % self.count
        self.console.send("%s; r=$?; echo; echo %s$r\n" % (words, end))
        done = self.console.wait_for(r"^%s\d+$" % end, self.seconds)
        text = self.console.text()
        found = re.search(r"^%s(\d+)$" % end, text, re.M)
        self.checks.check(done and found.group(1) == "0", "guest: " + words)
        return text[:found.start()] if found else ""

    def until(self, condition):
        self.do("for i in $(seq 300); do %s && break; usleep 100000; done; %s"
                % (condition, condition))

    def sum(self, device, kib):
        shown = self.do("dd if=%s bs=1k count=%d 2>/dev/null | sha256sum"
                        % (device, kib))
        return (re.findall(r"[0-9a-f]{64}", shown) or [""])[-1]


def partition(file):
    with open(file, "rb") as image:
        image.seek(FIRST * 512)
        return image.read(SIZE)


def beside(file):
    whole = file.read_bytes()
    return hashlib.sha256(whole[:FIRST * 512] +
                          whole[FIRST * 512 + SIZE:]).hexdigest()


def refusals(tool, checks):
    for words, status, message in (
            (("attach", "user", "--nic", "lam"), 3,
             'no switch "lam"; there is: lan'),
            (("attach", "user", "--nic", "lan,mac=ff:ff:ff:ff:ff:ff"), 1,
             "of a group"),
            (("attach", "user", "--nic", "lan,mac=x"), 2, "mac is an address"),
            (("attach", "user", "--partition", "none"), 3,
             "there is no such partition"),
            (("attach", "user"), 2, "one thing"),
            (("detach", "user", "disk0"), 1, 'no "disk0"; it has: none'),
            (("detach", "server", "wan"), 1, 'no "wan"; it has: nic0')):
        _, told = tool.run(*words, status=status)
        checks.check(message in told, "it says why: %s" % message)


def in_memory(tool, shell, checks, folder):
    data = random.Random(1).randbytes(NOISE)
    (folder / "noise.img").write_bytes(data)
    told = tool.json("attach", "user", folder / "noise.img", "--read-only")
    checks.check(told["disk"] == 0 and told["state"] == "present",
                 "a disk in memory comes: %s" % told)
    shell.do("insmod /lib/modules/$(uname -r)/virtio_blk.ko")
    shell.until("test -b /dev/vda")
    checks.check(shell.sum("/dev/vda", NOISE >> 10) ==
                 hashlib.sha256(data).hexdigest(), "it is as its image")
    tool.run("detach", "user", "disk0")
    shell.do("test ! -e /dev/vda")
    checks.check(not tool.json("disks", "user")["disks"], "and goes")
    tool.run("delete", "noise.img")


def is_flushed(log):
    """Whether a flush came behind all that was written."""
    flags = [(flags & kept_records.FLUSH, bool(data))
             for _, data, flags in kept_records.log_entries(log)]
    return any(data for _, data in flags) and flags[-1] == (
        kept_records.FLUSH, False)


def of_machine(tool, shell, checks, file, log):
    """A partition, written, taken away, looked at, and had again."""
    guard = beside(file)
    told = tool.json("attach", "user", "--partition", "data")
    checks.check(told["partition"] == "data" and told["access"] == "read-write"
                 and told["size"] == SIZE, "a partition comes: %s" % told)
    shell.until("test -b /dev/vda")
    shell.do("dd if=/dev/urandom of=/tmp/new bs=64k count=64 2>/dev/null")
    shell.do("dd if=/tmp/new of=/dev/vda bs=64k conv=fsync 2>/dev/null")
    written = shell.sum("/tmp/new", 4096)
    _, words = tool.run("attach", "server", "--partition", "data", status=1)
    checks.check('which vm "user" has, too' in words, "it is nobody else's")
    tool.run("detach", "user", "data")
    shell.do("test ! -e /dev/vda")
    checks.check(hashlib.sha256(partition(file)[:4 << 20]).hexdigest() ==
                 written, "what was written is on the machine's disk")
    checks.check(beside(file) == guard, "and nothing beside it has changed")
    told = tool.json("attach", "user", "--partition", "data", "--read-only")
    checks.check(told["access"] == "read-only", "it comes again, to be read")
    shell.until("test -b /dev/vda")
    checks.check(shell.sum("/dev/vda", 4096) == written, "and is as it was")
    tool.run("detach", "user", "disk0")
    # What its guest does not flush is flushed for it.
    tool.json("attach", "user", "--partition", "data")
    shell.until("test -b /dev/vda")
    shell.do("dd if=/tmp/new of=/dev/vda bs=64k seek=64 2>/dev/null")
    tool.run("detach", "user", "data")
    checks.check(is_flushed(log), "the last that its disk hears is a flush")
    checks.check(hashlib.sha256(partition(file)[4 << 20:]).hexdigest() ==
                 written, "of what the guest did not flush")


def network(tool, shell, checks):
    shell.do("insmod /lib/modules/$(uname -r)/failover.ko; "
             "insmod /lib/modules/$(uname -r)/net_failover.ko; "
             "insmod /lib/modules/$(uname -r)/virtio_net.ko")
    told = tool.json("attach", "user", "--nic", "lan,rate=1Gbit")
    checks.check((told["nic"], told["switch"], told["rate_kbit"]) ==
                 (0, "lan", 1000000), "a nic comes: %s" % told)
    listed = {vm["name"]: (vm["disks"], vm["nics"])
              for vm in tool.json("list")["vms"]}
    checks.check(listed == {"user": (0, 1), "server": (0, 1)},
                 "list counts what they have: %s" % listed)
    shown = tool.json("show", "user")["networks"]
    checks.check(shown[0]["mac"] == told["mac"], "show tells of it")
    shell.until("test -e /sys/class/net/eth0")
    shell.do("grep %s /sys/class/net/eth0/address" % told["mac"])
    shell.do("ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0")
    shell.do("ping -c 2 -w 20 10.0.0.2 > /dev/null")
    shell.do("wget -qO /tmp/sum http://10.0.0.2/sum; "
             "wget -qO- http://10.0.0.2/data | sha256sum | cmp - /tmp/sum")
    tool.run("detach", "user", "nic0")
    shell.do("test ! -e /sys/class/net/eth0")
    tool.run("attach", "user", "--nic", "lan,mac=02:00:00:00:00:77")
    shell.until("test -e /sys/class/net/eth0")
    shell.do("grep 02:00:00:00:00:77 /sys/class/net/eth0/address")
    _, words = tool.run("attach", "server", "--nic",
                        "lan,mac=02:00:00:00:00:77", status=1)
    checks.check('and so has vm "user"' in words, "an address is one VM's")
    shell.do("ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up")
    shell.do("ping -c 2 -w 20 10.0.0.2 > /dev/null")
    # With an address of its own choice it is not heard.
    shell.do("ip link set eth0 down; "
             "ip link set eth0 address 02:00:00:00:00:78; "
             "ip link set eth0 up; ! ping -c 1 -W 1 10.0.0.2 > /dev/null")
    tool.run("detach", "user", "lan")
    shell.do("test ! -e /sys/class/net/eth0")
    checks.check(set(tool.states().values()) == {"running"}, "both go on")


def never_lets_go(tool, shell, checks):
    """A guest that stands still, and is reset; one from which it is pulled."""
    tool.run("attach", "user", "--partition", "data")
    shell.until("test -b /dev/vda")
    tool.run("pause", "user")
    _, words = tool.run("detach", "user", "data", "--timeout", "1", status=124)
    checks.check("has not let go of it after 1 s" in words
                 and "--force" in words, "it says what can be done: %s" % words)
    checks.check(tool.json("disks", "user")["disks"][0]["state"] == "going",
                 "it is still going")
    _, words = tool.run("attach", "user", "--nic", "lan", status=4)
    checks.check("not let go of disk0" in words, "nothing else comes meanwhile")
    tool.run("resume", "user")
    tool.run("reset", "user")
    shell.ready(2)
    checks.check(not tool.json("disks", "user")["disks"],
                 "the next life has it no more")
    tool.run("attach", "user", "--partition", "data")
    tool.run("pause", "user")
    tool.run("detach", "user", "data", "--force")
    tool.run("attach", "server", "--partition", "data", "--read-only")
    tool.run("detach", "server", "data")
    tool.run("reset", "user")
    shell.ready(3)


def is_pulled_out(tool, shell):
    """From under drivers, which then take the next one."""
    shell.do("for m in virtio_blk failover net_failover virtio_net; do "
             "insmod /lib/modules/$(uname -r)/$m.ko; done")
    for _ in range(2):
        tool.json("attach", "user", "--partition", "data")
        shell.until("test -b /dev/vda")
        tool.run("detach", "user", "data", "--force")
        shell.until("test ! -e /dev/vda")
        tool.json("attach", "user", "--nic", "lan")
        shell.until("test -e /sys/class/net/eth0")
        shell.do("ip link set eth0 up")
        tool.run("detach", "user", "lan", "--force")
        shell.until("test ! -e /sys/class/net/eth0")


def tool_dies(tool, shell, checks, folder):
    """In the middle of an upload, and of what comes behind it."""
    (folder / "large.img").write_bytes(random.Random(2).randbytes(1 << 20))
    tool.run("upload", folder / "large.img", "--kind", "disk",
             seconds=SECONDS)
    for wait in 0.05, 0.3, 1, 3:
        with subprocess.Popen(
                [tool.mullctl, "attach", "user", "large.img", "--connect",
                 tool.address], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL) as attach:
            time.sleep(wait)
            attach.kill()
        end = time.monotonic() + SECONDS
        while (there := tool.json("disks", "user")["disks"]) and \
                there[0]["state"] == "coming" and time.monotonic() < end:
            time.sleep(0.2)
        checks.check(not there or there[0]["state"] == "present",
                     "killed after %.2f s: %s" % (wait, there))
        if there:
            tool.run("detach", "user", "disk0")
    tool.run("delete", "large.img")
    shell.do("true")


def plugs(setup, back_end, checks):
    """All of it, on one machine whose memory is then as it was."""
    folder = disks.fresh_folder(setup, checks)
    file = make_disk(folder / "disk.img", ("1:2048:4095", "before"),
                     ("2:%d:+8M" % FIRST, "data"), ("3:0:+1M", "behind"))
    log = folder / "disk.log"
    with open(log, "wb") as empty:
        empty.truncate(LOG_BYTES)
    manifest = folder / "manifest.yaml"
    manifest.write_text(setup.fill_in(MANIFEST))
    address = "unix:/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, *("--qemu-arg=" + word for word in (
                           "-blockdev", "driver=blklogwrites,node-name=data,"
                           "file.driver=file,file.filename=%s,log.driver=file,"
                           "log.filename=%s" % (file, log),
                           "-device", "nvme,serial=1,drive=data")), manifest],
                      checks.note, environment=back_end.environment)
    tool = Tool(setup, checks, address)
    seconds = SECONDS * back_end.patience
    shell = None
    try:
        checks.check(process.wait_for(r"server.*SERVES", seconds), "both run")
        shell = Shell(tool, checks, seconds)
        shell.ready(1)
        before = tool.json("info")
        refusals(tool, checks)
        in_memory(tool, shell, checks, folder)
        of_machine(tool, shell, checks, file, log)
        network(tool, shell, checks)
        never_lets_go(tool, shell, checks)
        is_pulled_out(tool, shell)
        tool_dies(tool, shell, checks, folder)
        after = tool.json("info")
        for what in "memory_free", "hypervisor_pages":
            checks.check(after[what] == before[what], "%s: %d, was %d"
                         % (what, after[what], before[what]))
        audit = tool.json("audit")
        checks.check(audit["finished"] and not audit["faults"],
                     "the audit finds no fault: %s" % audit)
        checks.check(set(tool.states().values()) == {"running"}, "both go on")
    finally:
        if shell:
            shell.console.stop()
        process.stop()
    log.unlink()
    checks.check("PANIC" not in process.text("err"), "no panic")
