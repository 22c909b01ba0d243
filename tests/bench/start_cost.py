#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the way to a guest's first instruction costs, on SVM in QEMU.

Two ways: from the hypervisor's own first instruction (the firmware has just been
left) to the guest's, on a machine with a screen; and in a machine that runs,
`mullctl create --start`: the request that makes the VM, and from the request
that starts it to the guest's first instruction.  A plugin counts executed
instructions by function, those of the functions that they call included for
the KINDS below, which are told apart: what waits for the machine, and what
depends on how large memory and images are.  Each turn of a string instruction
counts.  Adds to build/bench.json; -v lists the functions of the rest.
"""
import bisect
import collections
import os
import re
import subprocess
import sys
import tempfile
import time

import boot_cost
import results

BUILD = results.BUILD
MULLCTL = os.path.join(BUILD, "mullctl")
COUNTER = os.path.join(BUILD, "guests", "counter.elf")
PLUGIN = os.path.join(BUILD, "count_by_symbol.so")
LIMIT = boot_cost.LIMIT
# Kind, what it is, its functions.  What each calls is its own.
KINDS = [
    ("waits", "timed waits: the clocks are measured, other CPUs start",
     ["measure_by_pm_timer", "measure_by_pit", "clock_wait_us"]),
    ("disk", "waiting for the machine's disk", ["block_read_now"]),
    ("line", "waiting for the serial line", ["uart_send_waiting"]),
    ("hashing", "SHA-256 of the image",
     ["br_sha256_init", "br_sha224_update", "br_sha256_out"]),
    ("zeroing", "zeroing: the guest's memory, the screen, pages",
     ["memset"]),
    ("copying", "copying: the image, structures", ["memcpy", "memmove"]),
]
# What is left may be so many instructions.
BOUNDS = {"start": 3_000_000, "create": 200_000, "create-service": 200_000}
FIRST = """machine: {share-cpus: true}
vms:
  first: {memory: 16MiB, cpus: [0], kernel: %s, cmdline: count=1}
"""
SECOND = """name: second
memory: 64MiB
cpus: [%d]
kernel: counter.elf
cmdline: count=1
"""


class Symbols:
    """Of build/mullion.elf, by name and by any address within."""

    def __init__(self):
        words = [line.split() for line in boot_cost.output(
            "nm", "-n", "-S", os.path.join(BUILD, "mullion.elf")).splitlines()]
        # Of two at one place, what has a size is meant: a mark may stand there.
        words.sort(key=lambda line: (line[0], len(line)))
        self.names = [line[-1] for line in words]
        self.addresses = [int(line[0], 16) for line in words]

    def address(self, name):
        if name not in self.names:
            sys.exit(f"start_cost.py: no symbol {name} in build/mullion.elf")
        return self.addresses[self.names.index(name)]

    def name(self, address):
        return self.names[bisect.bisect_right(self.addresses, address) - 1]


def build_plugin():
    source = os.path.join(results.TOP, "tests/bench/count_by_symbol.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", PLUGIN],
                   check=True)


def plugin_words(symbols, log, **places):
    words = [f"{key}={symbols.address(name):#x}" for key, names
             in places.items() for name in names.split()]
    words += [f"whole={symbols.address(name):#x}"
              for _, _, functions in KINDS for name in functions]
    for word in "-plugin", ",".join([PLUGIN] + words), "-d", "plugin", "-D", log:
        yield "--qemu-arg"
        yield word


def counted(symbols, log):
    """Instructions by kind, and those of the rest by function."""
    kind_of = {name: kind for kind, _, functions in KINDS for name in functions}
    kinds, rest = collections.Counter(), collections.Counter()
    with open(log, encoding="ascii", errors="replace") as file:
        text = file.read()
    if "reached\n" not in text:
        sys.exit("start_cost.py: the guest was not entered")
    for at, count, whole in re.findall(
            r"^at=(\d+) instructions=(\d+) whole=(\d+)$", text, re.M):
        if int(whole):
            kinds[kind_of[symbols.name(int(whole))]] += int(count)
        else:
            rest[symbols.name(int(at))] += int(count)
    return kinds, rest


def start(symbols, folder):
    """A package with one VM, of 16 MiB.  Also how many KiB of pages the
    hypervisor has taken before it."""
    log, serial = os.path.join(folder, "start"), os.path.join(folder, "serial")
    command = [MULLCTL, "run", "--kernel", COUNTER, "--memory", "16MiB",
               "--cmdline", "count=1", "--timeout", str(LIMIT),
               "--serial", serial, "--qemu-arg", "-vga", "--qemu-arg", "std",
               *plugin_words(symbols, log, start="_start", stop="svm_vmrun")]
    boot_cost.output(*command)
    with open(serial, encoding="ascii", errors="replace") as file:
        used = re.search(r"(\d+) KiB used by the hypervisor", file.read())
    return *counted(symbols, log), {"hypervisor_kib": int(used.group(1))}


def wait_for(what):
    end = time.monotonic() + LIMIT
    while not what():
        if time.monotonic() > end:
            sys.exit("start_cost.py: the VM does not come so far")
        time.sleep(0.5)


def has_ended(address, name):
    done = subprocess.run([MULLCTL, "list", "--connect", address],
                          capture_output=True, text=True, check=False)
    return re.search(rf"\b{name}\b.*\bstopped\b", done.stdout)


def has_text(path, text):
    """Requests to the hypervisor meanwhile would be counted."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return text in file.read()
    except OSError:
        return False


def create(symbols, folder, cpus=2):
    """A VM of 64 MiB whose image is there, alone on the last of the machine's
    @cpus."""
    log, address = os.path.join(folder, "create"), f"unix:{folder}/line"
    first, second = (os.path.join(folder, name) for name in ("first.yaml",
                                                             "second.yaml"))
    for path, text in (first, FIRST % COUNTER), (second, SECOND % (cpus - 1)):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    words = plugin_words(symbols, log, within="request_create request_life",
                         start="request_life", stop="svm_vmrun")
    with subprocess.Popen([MULLCTL, "run", first, "--listen", address,
                           "--smp", str(cpus), "--timeout", str(LIMIT), *words],
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as machine:
        try:
            wait_for(lambda: has_ended(address, "first"))
            boot_cost.output(MULLCTL, "destroy", "first", "--connect", address)
            boot_cost.output(MULLCTL, "create", second, "--start", "--connect",
                             address)
            wait_for(lambda: has_text(log, "reached\n"))
            boot_cost.output(MULLCTL, "shutdown", "--connect", address)
            machine.wait(LIMIT)
        finally:
            machine.terminate()
    return *counted(symbols, log), {}


def create_on_service_cpu(symbols, folder):
    """The same beside the management channel, which has its turns between."""
    return create(symbols, folder, 1)


def tell(op, kinds, rest, more, verbose):
    """Prints the table; returns the line for bench.json."""
    left = rest.total()
    print(f"{op}: {left + kinds.total():,} instructions, of these")
    for kind, text, functions in KINDS:
        print(f"{kinds[kind]:12,}  {text} ({', '.join(functions)})")
    print(f"{left:12,}  the rest; at most {BOUNDS[op]:,}")
    if verbose:
        for name, count in rest.most_common(40):
            print(f"{count:24,}  {name}")
    return {"op": op, "backend": "svm", "apart": 0.1, "instructions": left,
            "all": left + kinds.total(),
            **{kind: kinds[kind] for kind, _, _ in KINDS}, **more}


def main():
    verbose = "-v" in sys.argv[1:]
    build_plugin()
    symbols, lines = Symbols(), []
    with tempfile.TemporaryDirectory() as folder:
        for op, way in (("start", start), ("create", create),
                        ("create-service", create_on_service_cpu)):
            lines.append(tell(op, *way(symbols, folder), verbose))
    results.add(lines)
    verdict = all(line["instructions"] <= BOUNDS[line["op"]] for line in lines)
    print(f"{'PASS' if verdict else 'FAIL'} a guest's first instruction comes "
          f"soon enough")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
