# SPDX-License-Identifier: MIT
"""Scenarios that need more than a row of the table."""
import dataclasses
import os
import re
import subprocess
import time
import typing

import agents
import balloons
import buttons
import channel
import control
import costs
import damages
import debian
import debugging
import disks
import foreign
import grub
import line
import linux_kills
import looks
import life
import image_verbs
import kills
import machine_end
import machines
import network_channel
import memory_disks
import overlay_kills
import overlays
import partitions
import plugs
import rates
import schedules
import screens
import session
import silence
import soak
import sockets
import suspend
import uplink
import uploads
import versions
from backends import BACK_ENDS
from machines import SECONDS
from packages import CHANNEL
from process import Process


@dataclasses.dataclass(frozen=True)
class Special:
    """As a row of scenarios.py, but a function does it."""
    run: typing.Callable # called with set-up, back end and checks
    backends: tuple = ("svm", "vmx")
    vmx_too: bool = False
    skylake_too: bool = False
    long: bool = False


def run_mullctl(setup, back_end, checks, *arguments):
    process = Process([setup.mullctl, "run", *back_end.words, *arguments],
                      checks.note, environment=back_end.environment)
    status = process.finish(2 * SECONDS * back_end.patience)
    return status, process.text("out"), process.text("err")


def deterministic(setup, back_end, checks):
    """Two runs take the same time, by the guest's clock."""
    ticks = []
    for _ in range(2):
        status, out, _ = run_mullctl(
            setup, back_end, checks, "--kernel", setup.guests / "probe.elf",
            "--memory", "16MiB", "--cmdline", "do=ticks", "--deterministic")
        checks.check(status == 0, "exit status %s" % status)
        ticks.append(re.findall(r"ticks \d+: (\d+)", out))
    # The first rounds fill caches of the emulator at no fixed time.
    checks.check(len(ticks[0]) == 20 and ticks[0][2:] == ticks[1][2:],
                 "round trips take %s and %s ticks" % tuple(ticks))


def serial_file(setup, back_end, checks):
    """--serial gets the log; without -v nothing of it is on the consoles."""
    log = disks.fresh_folder(setup, checks) / "serial.txt"
    status, out, error = run_mullctl(
        setup, back_end, checks, "--kernel", setup.guests / "counter.elf",
        "--memory", "16MiB", "--cmdline", "count=1 period=1", "--serial", log)
    checks.check(status == 0, "exit status %s" % status)
    checks.check(re.fullmatch(r"counter: guest has .*\ncounter: 1\n", out),
                 "standard output is the console and nothing else")
    checks.check(re.fullmatch(r"mullctl: guest: powered off.*\n", error),
                 "standard error tells of the end and nothing else")
    checks.check(re.search(r"Leaving the firmware.*guest: running",
                           log.read_text(), re.S), "the log is in the file")


def mistakes(setup, checks):
    """What ends before anything is booted."""
    folder = disks.fresh_folder(setup, checks)
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
        got, out, error = run_mullctl(setup, BACK_ENDS["svm"], checks, *words)
        checks.check(got == status, "exit status %s of %d" % (got, status))
        checks.check(told in error and not out, "told: " + told)


def end_by_signal(setup, back_end, checks):
    """SIGTERM ends mullctl as such, and takes the emulator with it."""
    process = Process([setup.mullctl, "run", *back_end.words, "--kernel",
                       setup.guests / "counter.elf", "--memory", "16MiB",
                       "-v"], checks.note, environment=back_end.environment)
    checks.check(process.wait_for(r"^counter: 1",
                                  SECONDS * back_end.patience), "it runs")
    process.process.terminate()
    status = process.finish(20)
    checks.check(status == -15, "its status is that of the signal (%s)"
                 % status)
    folder = re.search(r"(?:file=|-f )(/\S+)/(?:disk\.img|bochsrc)",
                       process.text("err")).group(1)
    left = subprocess.run(["pgrep", "-f", folder], capture_output=True,
                          check=False).stdout
    checks.check(not left, "no emulator is left")


def debugger(setup, _, checks):
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
    for kind, stream, payload in channel.frames(process.out):
        if kind in (channel.CONSOLE, channel.LOG):
            texts[stream] = texts.get(stream, "") + payload.decode()
    return texts


def wait_for_text(checks, process, stream, pattern, end):
    while not (seen := re.search(pattern, consoles(process).get(stream, ""))):
        if time.monotonic() > end or process.process.poll() is not None:
            break
        time.sleep(0.2)
    return checks.check(seen, "seen: " + pattern)


def later_guest(setup, back_end, checks):
    """A guest in the frames and on the CPU of one that has ended."""
    secret = (setup.guests / "secret.elf").read_bytes()
    folder = disks.fresh_folder(setup, checks)
    disk = disks.boot_folder(setup, folder, damages.package(
        [damages.Vm(b"first", 0, b"secret=1 rounds=2"),
         damages.Vm(b"later", 0, b"secret=2 rounds=2", flags=0)],
        [damages.Image(b"secret.elf", damages.ELF64, secret)],
        damages.machine(serial_mode=CHANNEL, flags=damages.SHARE_CPUS)))
    machine = machines.Machine(back_end, disk, folder, checks.note)
    process = machine.process
    end = time.monotonic() + SECONDS * back_end.patience
    try:
        if wait_for_text(checks, process, channel.HYPERVISOR,
                         "first: stopped: powered off", end):
            os.write(process.input, channel.request(1, channel.START, 1))
            wait_for_text(checks, process, 1, r"DONE \d+ 0", end)
    finally:
        machine.stop()
    checks.check_lines(consoles(process).get(0, ""))
    checks.check_lines(consoles(process).get(1, ""))


TESTS = {
    "bad-vms": Special(disks.bad_vms),
    **{name: Special(run) for name, run in disks.bad_packages()},
    "pack-folder": Special(disks.pack_form("folder")),
    "pack-fat": Special(disks.pack_form("fat")),
    "pack-gpt": Special(disks.pack_form("gpt")),
    "deterministic": Special(deterministic),
    "costs": Special(costs.costs),
    "serial-file": Special(serial_file),
    "uplink-virtio": Special(uplink.uplink("virtio"), backends=("svm",)),
    "uplink-e1000e": Special(uplink.uplink("e1000e", outside=True),
                             backends=("svm",), long=True),
    "network-channel": Special(network_channel.network_channel,
                               backends=("svm",)),
    "debian-disk": Special(debian.debian_disk, backends=("svm",), long=True),
    "installer": Special(debian.installer, backends=("svm",), long=True),
    "machine-disks": Special(partitions.machine_disks, backends=("svm",)),
    "disks-killed": Special(kills.killed(kills.SHORT), backends=("svm",)),
    "disks-killed-100": Special(kills.killed(kills.LONG), backends=("svm",),
                                long=True),
    "overlays-killed": Special(overlay_kills.killed(overlay_kills.LONG),
                               backends=("svm",), long=True),
    "linux-killed": Special(linux_kills.killed, backends=("svm",), long=True),
    "overlays": Special(overlays.overlays, backends=("svm",), long=True),
    "grub-seabios": Special(grub.grub("seabios"), long=True),
    "grub-ovmf": Special(grub.grub("ovmf"), long=True),
    "end-by-signal": Special(end_by_signal, skylake_too=True),
    # Debian's Bochs is its own debugger: gdb cannot talk to it.
    "debugger": Special(debugger, backends=("svm",)),
    "later-guest": Special(later_guest),
    "look-into": Special(looks.look_into),
    "life": Special(life.life),
    "life-200": Special(life.long_life, backends=("svm",), long=True),
    "many-vms": Special(life.many),
    # A minute for the root, and Bochs would need an hour.
    "systemd-button": Special(buttons.systemd_button, backends=("svm",),
                              long=True),
    "schedules": Special(schedules.schedules, backends=("svm", "vmx")),
    "soak": Special(soak.soak, backends=("svm",), long=True),
    "linux-suspend": Special(suspend.linux_suspend, backends=("svm",),
                             long=True),
    "agent": Special(agents.agent, backends=("svm", "vmx")),
    "vsock": Special(sockets.sockets, long=True),
    "images": Special(uploads.images),
    "balloon": Special(balloons.balloon, long=True),
    "silence": Special(silence.silence, backends=("vmx", "svm-x2apic"),
                       vmx_too=True),
    "disks-linux": Special(memory_disks.linux_disks),
    "disks-lives": Special(memory_disks.disk_lives),
    "plugs": Special(plugs.plugs, backends=("svm",), long=True),
    "machine-end": Special(machine_end.machine_end),
    "screen": Special(screens.screen),
    # Bochs's line can be connected to once only.
    "control": Special(control.control, backends=("svm",)),
    "rates": Special(rates.rates, backends=("svm",)),
    "image-verbs": Special(image_verbs.image_verbs, backends=("svm",),
                           long=True),
    "line": Special(line.line_test, backends=("svm",)),
    "session": Special(session.session, backends=("svm",)),
    "listen": Special(control.listen),
    "debugging": Special(debugging.debugging),
    "foreign-game": Special(foreign.game),
}
# These boot nothing.
WITHOUT_MACHINE = {"same-package": disks.same_package, "mistakes": mistakes,
                   "versions": versions.versions}
