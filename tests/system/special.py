# SPDX-License-Identifier: MIT
"""Scenarios that need more than a row of the table."""
import json
import os
import re
import shutil
import socket
import subprocess
import time

import channel
import damages
from packages import CHANNEL
from process import Process

SECONDS = 120
QEMU = ("qemu-system-x86_64 -nodefaults -machine q35 -accel tcg -cpu max "
        "-m 512M -smp 2 -display none -monitor none -no-reboot -boot menu=off "
        "-serial stdio").split()
FLASH = "if=pflash,format=raw,unit=%d,%s,file=/usr/share/OVMF/OVMF_%s_4M.fd"


def qemu(drive):
    return QEMU + ["-drive", FLASH % (0, "readonly=on", "CODE"),
                   "-drive", FLASH % (1, "snapshot=on", "VARS"),
                   "-drive", "if=none,id=boot,format=raw," + drive,
                   "-device", "virtio-blk-pci,drive=boot,bootindex=0"]


def boots(checks, drive, patterns, seconds=SECONDS):
    """Starts QEMU on @drive and checks that its serial line shows each."""
    process = Process(qemu(drive), checks.note)
    end = time.monotonic() + seconds
    try:
        for pattern in patterns:
            checks.check(process.wait_for(pattern, end - time.monotonic()),
                         "seen: " + pattern)
        checks.check("PANIC" not in process.text(), "no panic")
    finally:
        process.stop()


def fresh_folder(setup, name):
    folder = setup.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def boot_folder(setup, name, package):
    """A boot volume with the hypervisor and @package (None: without)."""
    folder = fresh_folder(setup, name)
    (folder / "EFI/BOOT").mkdir(parents=True)
    shutil.copy(setup.build / "mullion.efi", folder / "EFI/BOOT/BOOTX64.EFI")
    if package is not None:
        (folder / "EFI/MULLION").mkdir()
        (folder / "EFI/MULLION/PACKAGE.MPK").write_bytes(package)
    return folder


def counter(setup):
    return (setup.guests / "counter.elf").read_bytes()


# ---- packages ---------------------------------------------------------------

def bad_vms(setup, checks):
    """All damage to one VM at once: each is named, and the good one runs."""
    package, expected = damages.everything(counter(setup))
    folder = boot_folder(setup, "bad-vms-disk", package)
    boots(checks, "readonly=on,file=fat:%s" % folder,
          [damages.RUNS] +
          [r'(vm "%s": |\] %s: ).*(%s)' % (name, name, words)
           for name, words in expected], 2 * SECONDS)


def bad_package(name, package, patterns):
    def run(setup, checks):
        folder = boot_folder(setup, "package-%s-disk" % name, package(setup))
        boots(checks, "readonly=on,file=fat:%s" % folder, patterns)
    return run


def manifest_of_two(setup, folder):
    manifest = folder / "two.yaml"
    manifest.write_text(setup.fill_in(
        "vms:\n"
        "  good: {memory: 16MiB, cpus: [0], kernel: $guests/counter.elf, "
        "cmdline: 'count=5 period=100'}\n"
        "  other: {memory: 16MiB, cpus: [1], kernel: $guests/counter.elf, "
        "cmdline: count=2 period=100}\n"))
    return manifest


def pack(setup, checks, *arguments):
    done = subprocess.run([setup.mullctl, "pack", *arguments],
                          capture_output=True, text=True, check=False)
    checks.check(done.returncode == 0, "mullctl pack: " + done.stderr)


def pack_forms(form):
    """A folder, a bare file system and a disk with a GPT, each booted."""
    def run(setup, checks):
        folder = fresh_folder(setup, "pack-%s-disk" % form)
        manifest = manifest_of_two(setup, folder)
        output = folder / ("esp/" if form == "folder" else "disk.img")
        more = ["--format", form] if form != "folder" else []
        pack(setup, checks, manifest, "-o", str(output) +
             ("/" if form == "folder" else ""), *more)
        source = "fat:%s" % output if form == "folder" else output
        boots(checks, "readonly=on,file=%s" % source,
              (damages.RUNS, r"^other +\| counter: 2"))
    return run


def same_package(setup, checks):
    """The packer and the tests' own one agree on every byte."""
    folder = fresh_folder(setup, "same-package")
    pack(setup, checks, manifest_of_two(setup, folder), "-o",
         str(folder / "esp") + "/")
    packed = (folder / "esp/EFI/MULLION/PACKAGE.MPK").read_bytes()
    vms = [damages.good(cpus=(0,)),
           damages.Vm(b"other", 0, b"count=2 period=100", (1,))]
    made = damages.package(
        vms, [damages.Image(b"counter.elf", damages.ELF64, counter(setup))])
    checks.check(packed == made, "mullctl pack writes what the format says")


# ---- mullctl ----------------------------------------------------------------

def run_mullctl(setup, checks, *arguments):
    process = Process([setup.mullctl, "run", *arguments], checks.note)
    status = process.finish(2 * SECONDS)
    return status, process.text("out"), process.text("err")


def deterministic(setup, checks):
    """Two runs take the same time, by the guest's clock."""
    ticks = []
    for _ in range(2):
        status, out, _ = run_mullctl(
            setup, checks, "--kernel", setup.guests / "probe.elf", "--memory",
            "16MiB", "--cmdline", "do=ticks", "--deterministic")
        checks.check(status == 0, "exit status %s" % status)
        ticks.append(re.findall(r"ticks \d+: (\d+)", out))
    # The first rounds fill caches of the emulator at no fixed time.
    checks.check(len(ticks[0]) == 20 and ticks[0][2:] == ticks[1][2:],
                 "round trips take %s and %s ticks" % tuple(ticks))


def serial_file(setup, checks):
    """--serial gets the log; without -v nothing of it is on the consoles."""
    log = setup.folder / "serial-file.txt"
    status, out, error = run_mullctl(
        setup, checks, "--kernel", setup.guests / "counter.elf", "--memory",
        "16MiB", "--cmdline", "count=1 period=1", "--serial", log)
    checks.check(status == 0, "exit status %s" % status)
    checks.check(re.fullmatch(r"counter: guest has .*\ncounter: 1\n", out),
                 "standard output is the console and nothing else")
    checks.check(re.fullmatch(r"mullctl: guest: powered off.*\n", error),
                 "standard error tells of the end and nothing else")
    checks.check(re.search(r"Leaving the firmware.*guest: running",
                           log.read_text(), re.S), "the log is in the file")


def mistakes(setup, checks):
    """What ends before anything is booted."""
    folder = fresh_folder(setup, "mistakes")
    manifest = folder / "bad.yaml"
    manifest.write_text("vms:\n  web: {memory: 3, cpus: [0], kernel: none}\n")
    text = folder / "text"
    text.write_bytes(damages.TEXT_FILE)
    for words, status, told in (
            ((manifest,), 1, "bad.yaml:2: vm \"web\""),
            (("--kernel", folder / "none"), 1, "none"),
            (("--kernel", text), 1, "text"),
            (("--kernel", setup.guests / "counter.elf", "--cpus", "0"), 1,
             "--cpus"),
            (("--kernel", setup.guests / "counter.elf", "--qemu",
              "no-such-qemu"), 2, "qemu-system-x86"),
            (("--kernel", setup.guests / "counter.elf", "--efi",
              folder / "none"), 2, "none")):
        got, out, error = run_mullctl(setup, checks, *words)
        checks.check(got == status, "exit status %s of %d" % (got, status))
        checks.check(told in error and not out, "told: " + told)


def end_by_signal(setup, checks):
    """SIGTERM ends mullctl as such, and takes the emulator with it."""
    process = Process([setup.mullctl, "run", "--kernel",
                       setup.guests / "counter.elf", "--memory", "16MiB",
                       "-v"], checks.note)
    checks.check(process.wait_for(r"^counter: 1", SECONDS), "it runs")
    process.process.terminate()
    status = process.finish(20)
    checks.check(status == -15, "its status is that of the signal (%s)"
                 % status)
    folder = re.search(r"file=(\S+)/disk\.img", process.text("err")).group(1)
    left = subprocess.run(["pgrep", "-f", folder], capture_output=True,
                          check=False).stdout
    checks.check(not left, "no emulator is left")


def debugger(setup, checks):
    """`make gdb` stops in the kernel's first function, with its source."""
    process = Process([setup.tree / "tools/gdb.sh", setup.build,
                       setup.tree / "guests/linux/demo.yaml", "-batch", "-ex",
                       "bt", "-ex", "kill"], checks.note)
    process.finish(SECONDS)
    checks.check(re.search(r"hit Breakpoint 1, kernel_main .*kernel/start\.c",
                           process.text()), "gdb stops in kernel_main")
    checks.check("start_on_cpu" in process.text(), "gdb shows who called it")


# ---- the channel ------------------------------------------------------------

def consoles(process):
    """What each VM has printed, by its number; and the log."""
    texts = {}
    for part in process.out.split(b"\0"):
        kind, stream, payload = channel.unframe(part) or (None, None, b"")
        if kind in (channel.CONSOLE, channel.LOG):
            texts[stream] = texts.get(stream, "") + payload.decode()
    return texts


def wait_for_text(checks, process, stream, pattern, end):
    while not (seen := re.search(pattern, consoles(process).get(stream, ""))):
        if time.monotonic() > end or process.process.poll() is not None:
            break
        time.sleep(0.2)
    return checks.check(seen, "seen: " + pattern)


def later_guest(setup, checks):
    """A guest in the frames and on the CPU of one that has ended."""
    secret = (setup.guests / "secret.elf").read_bytes()
    folder = boot_folder(setup, "later-guest-disk", damages.package(
        [damages.Vm(b"first", 0, b"secret=1 rounds=2"),
         damages.Vm(b"later", 0, b"secret=2 rounds=2", flags=0)],
        [damages.Image(b"secret.elf", damages.ELF64, secret)],
        damages.machine(serial_mode=CHANNEL, flags=damages.SHARE_CPUS)))
    process = Process(qemu("readonly=on,file=fat:%s" % folder), checks.note)
    end = time.monotonic() + SECONDS
    try:
        if wait_for_text(checks, process, channel.HYPERVISOR,
                         "first: stopped: powered off", end):
            os.write(process.input, channel.request(1, channel.START, 1))
            wait_for_text(checks, process, 1, r"DONE \d+ 0", end)
    finally:
        process.stop()
    checks.check_lines(consoles(process).get(0, ""))
    checks.check_lines(consoles(process).get(1, ""))


# ---- the screen -------------------------------------------------------------

class Qmp:
    """The emulator's monitor."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command,
                                    "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                return answer

    def picture(self, file):
        """The rows of the screen, as bytes."""
        self.ask("screendump", filename=str(file))
        data = file.read_bytes()
        width, height = map(int, data.split(b"\n", 3)[1].split())
        pixels = data[-3 * width * height:]
        return [pixels[3 * width * y:3 * width * (y + 1)]
                for y in range(height)]


def lit_rows(rows):
    return sum(any(row) for row in rows)


def screen(setup, checks):
    """Loader and hypervisor can be read on a framebuffer."""
    folder = fresh_folder(setup, "screen-files")
    path = folder / "qmp"
    process = Process(
        [setup.mullctl, "run", "-v", "--kernel", setup.guests / "counter.elf",
         "--memory", "16MiB", "--qemu-arg", "-vga", "--qemu-arg", "std",
         "--qemu-arg", "-qmp", "--qemu-arg",
         "unix:%s,server=on,wait=off" % path], checks.note)
    try:
        checks.check(process.wait_for(r"^Mullion ", SECONDS, "err"),
                     "the loader speaks")
        qmp = Qmp(path)
        qmp.ask("stop")
        early = "loaded at" not in process.text("err")
        loader = qmp.picture(folder / "loader.ppm")
        qmp.ask("cont")
        checks.check(process.wait_for(r"^counter: 2", SECONDS), "it runs")
        running = qmp.picture(folder / "running.ppm")
    finally:
        process.stop()
    # A line of text has some ten lit rows; there may be one only by then.
    if early:
        checks.check(lit_rows(loader) > 6, "the loader is on the screen (%d "
                     "rows)" % lit_rows(loader))
    checks.check(lit_rows(running) > 64, "the hypervisor's log is on the "
                 "screen (%d rows)" % lit_rows(running))
    checks.check(loader != running, "the two screens differ")
    checks.check("Screen:     no framebuffer" not in process.text("err"),
                 "the loader names the framebuffer")


def packages():
    for name, _, patterns in damages.whole(b"\x7fELF" + bytes(5000)):
        yield "package-" + name, bad_package(
            name, lambda setup, name=name:
            next(row[1] for row in damages.whole(counter(setup))
                 if row[0] == name), patterns)


TESTS = {
    "bad-vms": bad_vms,
    **dict(packages()),
    "same-package": same_package,
    "pack-folder": pack_forms("folder"),
    "pack-fat": pack_forms("fat"),
    "pack-gpt": pack_forms("gpt"),
    "deterministic": deterministic,
    "serial-file": serial_file,
    "mistakes": mistakes,
    "end-by-signal": end_by_signal,
    "debugger": debugger,
    "later-guest": later_guest,
    "screen": screen,
}
