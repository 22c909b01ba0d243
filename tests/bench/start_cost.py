#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the way to a guest's first instruction costs, on SVM in QEMU and on VT-x
in Bochs.

Two ways: from the hypervisor's own first instruction (the firmware has just been
left) to the guest's, on a machine with a screen; and in a machine that runs,
beside a VM whose console the service CPU sends, `mullctl create --start`: the
request that makes the VM, and from the request that starts it to the guest's
first instruction.  In QEMU a plugin counts executed instructions by function,
those of the functions that they call included for the KINDS, which are told
apart: what waits for the machine, and what depends on how large memory and images
are.  Bochs's clock counts them: see start_ticks.py.  Each turn of a string
instruction counts.  Adds to build/bench.json; -v lists the functions of the rest.
STARTS and CREATES in the environment say how often each is measured.
"""
import collections
import os
import re
import statistics
import subprocess
import sys
import tempfile

import boot_cost
import results
import start_ticks
from start_ways import KIND_OF, KINDS, Asked, Marks, Symbols, start_words

PLUGIN = os.path.join(results.BUILD, "count_by_symbol.so")
STARTS = int(os.environ.get("STARTS", "20"))
CREATES = int(os.environ.get("CREATES", "1000"))
CREATES_BOCHS = max(1, CREATES // 10) # which takes ten times as long
PERIOD = 5 # of the load's lines, in ms
# What is left may be so many instructions.
BOUNDS = {"start": 3_000_000, "create": 200_000, "create-service": 200_000}


def build_plugin():
    source = os.path.join(results.TOP, "tests/bench/count_by_symbol.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", PLUGIN],
                   check=True)


def plugin_words(symbols, log, cpu=0, **places):
    words = [f"{key}={symbols.address(name):#x}" for key, names
             in places.items() for name in names.split()]
    words += [f"whole={symbols.address(name):#x}" for name in KIND_OF]
    words += [f"cpu={cpu}"]
    for word in "-plugin", ",".join([PLUGIN] + words), "-d", "plugin", "-D", log:
        yield "--qemu-arg"
        yield word


def counted(symbols, log):
    """Of each run instructions by kind, and those of the rest by function."""
    with open(log, encoding="ascii", errors="replace") as file:
        runs = file.read().split("reached\n")[:-1]
    if not runs:
        sys.exit("start_cost.py: the guest was not entered")
    for text in runs:
        kinds, rest = collections.Counter(), collections.Counter()
        for at, count, whole in re.findall(
                r"^at=(\d+) instructions=(\d+) whole=(\d+)$", text, re.M):
            if int(whole):
                kinds[KIND_OF[symbols.name(int(whole))]] += int(count)
            else:
                rest[symbols.name(int(at))] += int(count)
        yield kinds, rest


def start(symbols, folder):
    """Also how many KiB of pages the hypervisor has taken before the VM."""
    log, serial = os.path.join(folder, "start"), os.path.join(folder, "serial")
    runs = []
    for _ in range(STARTS):
        boot_cost.output(*start_words(), "--serial", serial, "--qemu-arg",
                         "-vga", "--qemu-arg", "std", *plugin_words(
                             symbols, log, start="_start", stop="svm_vmrun"))
        runs += counted(symbols, log)
    with open(serial, encoding="ascii", errors="replace") as file:
        used = re.search(r"(\d+) KiB used by the hypervisor", file.read())
    return runs, {"hypervisor_kib": int(used.group(1))}


def create(symbols, folder, cpus=3):
    """A VM that has the last one of three CPUs alone."""
    log = os.path.join(folder, "create")
    words = plugin_words(symbols, log, cpus - 1 if cpus > 2 else 0,
                         within="request_create request_life",
                         start="request_life", stop="svm_vmrun")
    with Asked(folder, cpus, PERIOD, words) as machine:
        machine.create(CREATES, Marks(log, b"reached\n"))
    return list(counted(symbols, log)), {}


def create_on_service_cpu(symbols, folder):
    """The same beside the management channel, which has its turns between."""
    return create(symbols, folder, 2)


def start_vmx(symbols, folder):
    return start_ticks.start(symbols, folder), {}


def create_vmx(symbols, folder):
    return start_ticks.create(symbols, folder, CREATES_BOCHS), {}


WAYS = (("start", "svm", start), ("start", "vmx", start_vmx),
        ("create", "svm", create),
        ("create-service", "svm", create_on_service_cpu),
        ("create-service", "vmx", create_vmx))


def tell(op, backend, runs, more, verbose):
    """Prints the table of the medians; returns the line for bench.json."""
    lefts = [rest.total() for _, rest in runs]
    left = round(statistics.median(lefts))
    kinds = {kind: round(statistics.median(kinds[kind] for kinds, _ in runs))
             for kind, _, _ in KINDS}
    print(f"{op}, {backend}, {len(runs)} times:")
    for kind, text, functions in KINDS:
        print(f"{kinds[kind]:12,}  {text} ({', '.join(functions)})")
    print(f"{left:12,}  the rest ({min(lefts):,} to {max(lefts):,}); at most "
          f"{BOUNDS[op]:,}")
    if verbose:
        for name, count in runs[lefts.index(max(lefts))][1].most_common(40):
            print(f"{count:24,}  {name}")
    return {"op": op, "backend": backend, "apart": 0.1, "instructions": left,
            "min": min(lefts), "max": max(lefts), "runs": len(runs),
            "all": left + sum(kinds.values()), **kinds, **more}


def main():
    verbose = "-v" in sys.argv[1:]
    build_plugin()
    symbols, lines = Symbols(), []
    for op, backend, way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(tell(op, backend, *way(symbols, folder), verbose))
    results.add(lines)
    verdict = all(line["instructions"] <= BOUNDS[line["op"]] for line in lines)
    print(f"{'PASS' if verdict else 'FAIL'} a guest's first instruction comes "
          f"soon enough")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
