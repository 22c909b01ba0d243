# SPDX-License-Identifier: MIT
"""The guest that is the same under each hypervisor: Debian's kernel, the demo's
initramfs with load.c in it; and how its words and the counts beside them are
read."""
import os
import re
import socketserver
import subprocess
import sys
import tempfile
import threading

import results

BUILD, BENCH = results.BUILD, os.path.dirname(os.path.abspath(__file__))
KERNEL = os.path.join(BUILD, "kernels", "cloud-amd64", "vmlinuz")
INITRAMFS = os.path.join(BUILD, "load.cpio.gz")
PLUGIN = os.path.join(BUILD, "count_by_side.so")
COMMAND_LINE = "console=ttyS0 quiet cryptomgr.notests nokaslr mitigations=off"
TAKE = "ifconfig eth0 10.9.0.2 up", "load take"
SEND = "ifconfig eth0 10.9.0.1 up", "load send 10.9.0.2 5001"
DISKS = "memory", "nvme", "virtio"  # /dev/vda and so on
BLOCKS = ["load disk /dev/vd%s %s" % (letter, name)
          for letter, name in zip("abc", DISKS)]
DISK_SIZE = 16 << 20  # what load.c uses


def compile_c(name, to, *options):
    subprocess.run(["gcc", "-std=gnu11", "-O2", *options,
                    os.path.join(BENCH, name), "-o", to], check=True)


def archive(folder, to):
    """Adds what is in @folder as an initramfs's part to the file @to."""
    packed = subprocess.run(
        "find . -print0 | LC_ALL=C sort -z | "
        "cpio --null --quiet -R 0:0 -H newc -o | gzip -1n", shell=True,
        cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    with open(to, "ab") as file:
        file.write(packed)


def build():
    """The plugin, and an initramfs: archives in a row are one."""
    compile_c("count_by_side.c", PLUGIN, "-shared", "-fPIC")
    with open(os.path.join(BUILD, "demo.cpio.gz"), "rb") as demo, \
            open(INITRAMFS, "wb") as file:
        file.write(demo.read())
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "bin"))
        compile_c("load.c", os.path.join(folder, "bin", "load"), "-static",
                  "-s")
        archive(folder, INITRAMFS)


def make_disk(folder, name):
    """A disk with a partition @name as large as the others."""
    path = os.path.join(folder, name + ".img")
    with open(path, "wb") as file:
        file.truncate(DISK_SIZE + (4 << 20))
    subprocess.run(["sgdisk", "--clear", "--new", "1:2048:+16M",
                    "--change-name", "1:" + name, path], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def send_outside(port):
    """By QEMU's user network."""
    return ("ifconfig eth0 10.0.2.15 up", "load send 10.0.2.2 %d" % port)


class Sink(socketserver.ThreadingTCPServer):
    """What takes streams outside, in its thread."""
    daemon_threads = True

    class Take(socketserver.BaseRequestHandler):
        def handle(self):
            while self.request.recv(1 << 20):
                pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Take)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        super().__exit__(*_)


def plugin_words(log):
    return ["-plugin", PLUGIN, "-d", "plugin", "-D", log]


def command(*lines):
    """The kernel's command line that runs @lines one after the other."""
    return COMMAND_LINE + " mullion.run=" + "+&&+".join(
        line.replace(" ", "+") for line in lines)


def measured(text, log):
    """Name: for each time that it was made, what was counted between its marks,
    with its units and bytes; of what a guest said, @text, and the plugin's file
    @log."""
    said = re.findall(r"LOAD (\S+) units=(\d+) bytes=(\d+)", text)
    with open(log, encoding="ascii", errors="replace") as file:
        marks = [{name: int(value) for name, value
                  in re.findall(r"(\w+)=(\d+)", line)}
                 for line in file if line.startswith("mark=")]
    if not said or len(marks) != 2 * len(said) or \
            [mark["mark"] for mark in marks] != [0, 1] * len(said):
        sys.exit(f"{len(marks)} marks for {len(said)} measurements:\n{text}")
    found = {}
    for i, (name, units, size) in enumerate(said):
        begin, end = marks[2 * i], marks[2 * i + 1]
        found.setdefault(name, []).append(
            {side: end[side] - begin[side] for side in begin if side != "mark"}
            | {"units": int(units), "bytes": int(size)})
    return found
