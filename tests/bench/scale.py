#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Mullion costs as the machine grows: 1 to 64 CPUs, as many partitions.

Each number is one boot in QEMU: a guest that rests on each CPU, the service CPU
with one as well.  scale_count.c counts instructions of the hypervisor until the
last guest has begun, and what commands cost the service CPU then, asked for by a
client that is not mullctl; the hypervisor tells what memory it took.

It fails when something grows faster than linear: see growth().  Adds to
build/bench.json; scale_plot.py draws what figures.py has kept.
"""
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import results
import tables

sys.path.append(os.path.join(results.TOP, "tests/system"))
import machines
import second_client

BUILD = results.BUILD
PLUGIN = os.path.join(BUILD, "scale_count.so")
COUNTS = tables.SCALE
LIMIT = 900  # seconds for a boot, on a loaded machine
ROUNDS = 20  # of each command
APART = 0.1 # so far are two runs from each other
FROM, STEEPER, NOISE = 8, 1.25, 0.05 # see growth()
NAMES = ("made", "boot", "instructions", "moved", "kib", "list", "cpu_stats",
         "vm_stats", "show")
VM_MIB = 4
VM = ("  p%d: {memory: %dMiB, cpus: [%d], kernel: %s/guests/counter.elf, "
      "cmdline: period=1000000000}\n")
# Their handlers are where the plugin marks a command.
SHOW, VM_STATS, CPU_STATS, LIST = 19, 20, 21, 18
HANDLERS = ("request_list", "request_vm_stats", "request_cpu_stats",
            "request_show")
# Loops that poll a timer without PAUSE.
WAITS = "clock_start", "apic_timer_measure"
PHASES = "kernel_main", "cpu_loop"


def symbols():
    """Address and end of each function."""
    found = {}
    text = subprocess.run(["nm", "-S", os.path.join(BUILD, "mullion.elf")],
                          check=True, text=True, capture_output=True).stdout
    for line in text.splitlines():
        words = line.split()
        at = int(words[0], 16)
        size = int(words[1], 16) if len(words) == 4 else 1
        found[words[-1]] = at, at + size
    return found


def plugin_words(count, log):
    at = symbols()
    words = [PLUGIN, f"cpus={count}", f"vmrun={at['svm_vmrun'][0]:#x}"]
    words += [f"phase={at[name][0]:#x}" for name in PHASES]
    words += [f"mark={at[name][0]:#x}" for name in HANDLERS]
    words += ["wait=%#x-%#x" % at[name] for name in WAITS]
    return ["-plugin", ",".join(words), "-d", "plugin", "-D", str(log)]


def lines(log, kind):
    """What the plugin said of that kind: numbers by name."""
    try:
        text = log.read_text("ascii", "replace")
    except OSError:
        return []
    return [{name: int(value) for name, value
             in re.findall(r"(\w+)=(\d+)", line)}
            for line in text.splitlines(True)
            if line.startswith(kind + "=") and line.endswith("\n")]


class Machine:
    """QEMU with so many CPUs and partitions, and a client at its line."""

    def __init__(self, count, folder):
        self.count, self.log = count, folder / "log"
        manifest, disk, line = (folder / name for name in
                                ("scale.yaml", "disk.img", "line"))
        manifest.write_text(
            f"machine: {{cpus: {count}, serial: {{mode: channel}}}}\nvms:\n"
            + "".join(VM % (i, VM_MIB, i, BUILD) for i in range(count)))
        subprocess.run([os.path.join(BUILD, "mullctl"), "pack", manifest,
                        "-o", disk, "--format", "fat"], check=True,
                       stdout=subprocess.DEVNULL)
        words = machines.qemu(disk, cpus=count)
        at = words.index("-serial")
        words[at:at + 2] = ["-chardev", "socket,id=line,server=on,wait=off,"
                            f"path={line}", "-serial", "chardev:line"]
        words[words.index("-m") + 1] = "1G" # the same for each number
        self.process = subprocess.Popen(words + plugin_words(count, self.log),
                                        stdin=subprocess.DEVNULL)
        self.end = time.monotonic() + LIMIT
        while not line.exists():
            self.go_on()
        self.client = second_client.Client(str(line))

    def go_on(self, seconds=0.1):
        if self.process.poll() is not None or time.monotonic() > self.end:
            self.stop()
            sys.exit(f"scale.py: no end with {self.count} CPUs")
        time.sleep(seconds)

    def listen(self, seconds):
        for _ in self.client.frames(time.monotonic() + seconds):
            pass
        self.go_on(0)

    def wait_for_guests(self):
        """Until all have begun, and have said so."""
        while not lines(self.log, "started"):
            self.listen(1)
        while len(self.client.consoles) < self.count:
            self.listen(1)
        self.listen(3)
        states = {state for _, _, state in self.client.list()}
        if states != {"running"}:
            sys.exit(f"scale.py: the partitions are {states}")

    def stop(self):
        self.process.kill()
        self.process.wait()


# ---- what is measured ---------------------------------------------------------

def start(machine):
    """Instructions until all guests have begun."""
    end, = lines(machine.log, "started")
    phases = lines(machine.log, "phase")
    return {"made": phases[-1]["boot"], "boot": end["boot"],
            "instructions": end["first"], "moved": end["first_moved"]}


def memory(machine):
    """KiB of pages for the hypervisor's structures."""
    _, data = machine.client.ask(second_client.INFO)
    return struct.unpack_from("<Q", data, 64)[0] // 1024


def whole(client, command, vm):
    """Asks for all pieces of an answer; how many they were."""
    asked = first = 0
    while asked == 0 or first:
        value, data = client.ask(command, vm, first)
        asked += 1
        if command == SHOW: # tells how much there is in all
            value = first + len(data) if first + len(data) < value else 0
        first = 0 if command == VM_STATS else value
    return asked


def cost(machine, command, vm=0):
    """The service CPU's instructions for the whole of it, from its first
    handler's begin to that of the next one: the median."""
    for _ in range(5):
        before = len(lines(machine.log, "mark"))
        asked = [whole(machine.client, command, vm)
                 for _ in range(ROUNDS + 1)]
        marks = lines(machine.log, "mark")[before:]
        if len(marks) == sum(asked): # else one was asked twice
            break
    else:
        sys.exit("scale.py: commands are not answered in time")
    at = [mark["boot"] for mark in marks[::asked[0]]]
    return round(statistics.median(b - a for a, b in zip(at, at[1:])))


def measure(count):
    """A line of bench.json."""
    last = count - 1
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(count, pathlib.Path(folder))
        try:
            machine.wait_for_guests()
            return {"op": f"scale-{count}", "backend": "svm", "apart": APART,
                    "count": count, **start(machine), "kib": memory(machine),
                    "list": cost(machine, LIST),
                    "cpu_stats": cost(machine, CPU_STATS),
                    "vm_stats": cost(machine, VM_STATS, last),
                    "show": cost(machine, SHOW, last)}
        finally:
            machine.stop()


# ---- how it grows -------------------------------------------------------------

def growth(measured, name):
    """What it is with the most CPUs, and what it may be: the straight line that
    fits best from 8 to half of them, whatever it begins with, goes on at most
    STEEPER times as steeply; or NOISE lies between."""
    *few, last = [line for line in measured if line["count"] >= FROM]
    slope, begin = statistics.linear_regression(
        [line["count"] for line in few], [line[name] for line in few])
    straight = begin + slope * last["count"]
    steeper = (STEEPER - 1) * slope * (last["count"] - few[-1]["count"])
    return last[name], straight, straight + max(steeper, NOISE * straight)


def judge(measured):
    failed = 0
    for name in NAMES:
        is_now, straight, limit = growth(measured, name)
        good = is_now <= limit
        failed += not good
        print(f"{'PASS' if good else 'FAIL'} {name}: {is_now:,} with "
              f"{measured[-1]['count']}; the line goes to {straight:,.0f}, "
              f"{limit:,.0f} would do")
    return 1 if failed else 0


def main():
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC",
                    os.path.join(results.TOP, "tests/bench/scale_count.c"),
                    "-o", PLUGIN], check=True)
    measured = []
    for count in COUNTS:
        measured.append(measure(count))
        print(f"{count} CPUs and partitions: " + ", ".join(
            f"{name} {measured[-1][name]:,}" for name in NAMES), flush=True)
    results.add(measured)
    return judge(measured)


if __name__ == "__main__":
    sys.exit(main())
