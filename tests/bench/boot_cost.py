#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Mullion costs a guest: executed instructions, idle left out.

The same Debian kernel and initramfs are started under Mullion and directly by
QEMU, on a machine as bare (microvm without PIC, PIT and RTC); a plugin counts
from the kernel's entry to the first instruction of user space.  Then: which
exits were taken how often, and what one costs.  Writes build/bench.json.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import results

TOP, BUILD = results.TOP, results.BUILD
PLUGIN = os.path.join(BUILD, "instruction_count.so")
INITRAMFS = os.path.join(BUILD, "demo.cpio.gz")
BUSYBOX = "/bin/busybox"
LIMIT = 600  # seconds; a loaded machine is slow
BOUND = 1.10
# Where the 64-bit boot protocol enters a kernel that Mullion has put at its
# preferred address, and the 32-bit protocol one at 1 MiB.
ENTRY_MULLION, ENTRY_DIRECT = 0x1000200, 0x100000
COMMAND_LINE = "console=ttyS0 nokaslr mullion.run=true"


def output(*command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def entry_of_user_space():
    return int(re.search(r"Entry point address:\s+(0x[0-9a-f]+)",
                         output("readelf", "-h", BUSYBOX)).group(1), 16)


def symbol(name):
    for line in output("nm", os.path.join(BUILD, "mullion.elf")).splitlines():
        address, _, found = line.split()
        if found == name:
            return int(address, 16)
    sys.exit(f"boot_cost.py: no symbol {name} in build/mullion.elf")


def build_plugin():
    source = os.path.join(TOP, "tests/bench/instruction_count.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", PLUGIN],
                   check=True)


def plugin_arguments(log, start, stop, total):
    return ["-plugin", f"{PLUGIN},start={start:#x},stop={stop:#x}"
            + (",sum=1" if total else ""), "-d", "plugin", "-D", log]


def figures(log):
    """The plugin's last line, as numbers by name."""
    with open(log, encoding="ascii", errors="replace") as file:
        lines = [line for line in file if line.startswith(("reached", "end"))]
    if not lines:
        sys.exit("boot_cost.py: the plugin said nothing")
    return {name: int(value) for name, value
            in re.findall(r"(\w+)=(\d+)", lines[-1])}


def run(command, log):
    start = time.monotonic()
    done = subprocess.run(command, timeout=LIMIT, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"boot_cost.py: {' '.join(command)} ended with "
                 f"{done.returncode}:\n{done.stderr.decode()}")
    return figures(log), time.monotonic() - start


def under_mullion(folder, kernel, start, stop, total=False,
                  cmdline=COMMAND_LINE):
    log, serial = os.path.join(folder, "log"), os.path.join(folder, "serial")
    command = [os.path.join(BUILD, "mullctl"), "run", "--kernel", kernel,
               "--serial", serial, "--timeout", str(LIMIT),
               "--initrd", INITRAMFS, "--cmdline", cmdline]
    for argument in plugin_arguments(log, start, stop, total):
        command += ["--qemu-arg", argument]
    counted, seconds = run(command, log)
    with open(serial, encoding="ascii", errors="replace") as file:
        text = file.read()
    line = re.search(r"exits:(.*)", text)
    exits = {name: int(count) for name, count
             in re.findall(r"([a-z-]+) (\d+)", line.group(1))} if line else {}
    return counted, seconds, exits


def directly(folder, kernel, stop):
    log = os.path.join(folder, "log")
    command = ["qemu-system-x86_64", "-M", "microvm,acpi=on,pic=off,pit=off,"
               "rtc=off,isa-serial=on,pcie=on", "-cpu", "max", "-m", "512",
               "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot",
               "-serial", "file:" + os.path.join(folder, "console"),
               "-kernel", kernel, "-initrd", INITRAMFS, "-append",
               COMMAND_LINE + " tsc_early_khz=2000000"]
    return run(command + plugin_arguments(log, ENTRY_DIRECT, stop, False), log)


def main():
    kernel = os.path.join(BUILD, "kernels", "cloud-amd64", "vmlinuz")
    user = entry_of_user_space()
    build_plugin()
    with tempfile.TemporaryDirectory() as folder:
        ours, our_time, exits = under_mullion(
            folder, kernel, ENTRY_MULLION, user)
        _, _, quiet = under_mullion(
            folder, kernel, ENTRY_MULLION, user,
            cmdline=COMMAND_LINE + " quiet")
        theirs, their_time = directly(folder, kernel, user)
        cost, _, _ = under_mullion(folder, kernel,
                                      symbol("svm_after_vmrun"),
                                      symbol("svm_vmrun"), total=True)
    ratio = ours["instructions"] / theirs["instructions"]
    mean = cost["total"] // max(cost["passes"], 1)
    print(f"kernel entry to user space, instructions: "
          f"{ours['instructions']:,} under Mullion, "
          f"{theirs['instructions']:,} directly: {ratio:.3f} times")
    print(f"wall time of the whole run: {our_time:.1f} s with firmware and "
          f"hypervisor, {their_time:.1f} s directly")
    print("exits: " + ", ".join(f"{name} {count:,}" for name, count in
                                sorted(exits.items(), key=lambda e: -e[1])))
    print(f"an exit: {cost['min']} instructions at least, {mean} on average, "
          f"{cost['total']:,} in all ({cost['passes']:,} exits)")
    results.add([
        {"op": "boot-linux", "backend": "svm", "apart": 0.05,
         "instructions": ours["instructions"],
         "direct": theirs["instructions"], "ratio": round(ratio, 4),
         "hypervisor": cost["total"], "exits": exits,
         "exits_quiet": quiet},
        {"op": "exit-mean", "backend": "svm", "apart": 0.1,
         "instructions": mean,
         "min": cost["min"], "max": cost["max"], "passes": cost["passes"]},
    ])
    verdict = ratio <= BOUND
    print(f"{'PASS' if verdict else 'FAIL'} at most {BOUND} times the "
          f"instructions of a direct start")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
