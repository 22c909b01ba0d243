#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what each exit costs, on both back ends, from inside a guest.

guests/bench.c reads the time-stamp counter before and after each operation:
in QEMU with icount (SVM) and in Bochs (VT-x), where a tick is an instruction
and the count repeats exactly.  The median of 1,000 is held against its bound,
without mitigations of speculation; what all of them add that this processor can
execute stands in a column of its own.

What crosses CPUs is counted on each side for itself, on SVM in Bochs, too, on a
processor with x2APIC: QEMU's clock counts the instructions of both CPUs, whose
turns are long.  With two CPUs Bochs's ticks after each has done 16 instructions.
Adds to build/bench.json, a line for each operation and back end.
"""
import os
import re
import subprocess
import sys
import tempfile

import results

sys.path.append(os.path.join(results.TOP, "tests", "system"))
import backends # pylint: disable=wrong-import-position

BUILD = results.BUILD
LIMIT = 900  # seconds, on a loaded machine
QEMU_SHIFT = 6 # of its clock, with --deterministic
# Back end, and which one takes its place for two CPUs.
FOR_TWO = {"svm": "svm-x2apic", "vmx": "vmx"}
MANIFEST = """machine: {mitigations: %s, share-cpus: %s}
vms:
  bench: {memory: 32MiB, cpus: [%s], kernel: %s/guests/bench.elf,
          cmdline: shift=%d rounds=%d, shared: [{name: bench, size: 4KiB}]}
"""
# Two CPUs that nobody else uses, so that the guest has their local APICs, and
# what is measured there.
OWN = "1, 2"
OWN_OPS = "ipi-send", "ipi-receive", "doorbell-send", "doorbell-receive"
# Four vCPUs on one CPU, so that nothing but the sender's part is counted.
FOUR = "0, 0, 0, 0"
# The median may be this many instructions.
BOUNDS = {
    ("cpuid", "svm"): 100, ("hypercall", "svm"): 95, ("rdmsr", "svm"): 110,
    ("cpuid", "vmx"): 110, ("hypercall", "vmx"): 100, ("rdmsr", "vmx"): 120,
    # To three vCPUs at once; one by one they are three times ipi-register-1.
    ("ipi-call-3", "svm"): 2300, ("ipi-call-3", "vmx"): 2300,
    # No exits: by the processor.
    ("x2apic-eoi", "vmx"): 20, ("self-ipi-register", "vmx"): 100,
    ("own-ipi-send", "svm"): 150, ("own-ipi-receive", "svm"): 100,
    ("own-ipi-send", "vmx"): 150, ("own-ipi-receive", "vmx"): 100,
}


def run(back_end, text):
    """Operation: minimum, median, maximum, as the guest of the manifest @text
    tells them."""
    machine = backends.BACK_ENDS[back_end]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
        manifest.write(text)
        manifest.flush()
        done = subprocess.run(
            [os.path.join(BUILD, "mullctl"), "run", manifest.name,
             "--timeout", str(LIMIT), "--deterministic", *machine.words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
            env=os.environ | machine.environment)
    if done.returncode:
        sys.exit(f"exits.py: {back_end}: mullctl ended with "
                 f"{done.returncode}:\n{done.stdout}{done.stderr}")
    return said(done.stdout)


def shift(back_end):
    """Of its clock: what the guest must shift a difference right by."""
    return QEMU_SHIFT if backends.BACK_ENDS[back_end].emulator == "qemu" else 0


def said(text):
    return {name: (int(low), int(median), int(high))
            for name, low, median, high
            in re.findall(r"BENCH (\S+) (\d+) (\d+) (\d+)", text)}


def measure(back_end, mitigations, cpus, rounds=1000):
    """With one CPU most of them; with two what one interrupts the other by;
    with four interrupts to several."""
    return run(back_end, MANIFEST % (mitigations, str(cpus == FOUR).lower(),
                                     cpus, BUILD, shift(back_end), rounds))


def measure_all(back_end, mitigations):
    found = {}
    for cpus in "0", FOUR:
        found.update(measure(back_end, mitigations, cpus))
    two = FOR_TWO[back_end]
    found.update(measure(two, mitigations, "0, 1"))
    own = measure(two, mitigations, OWN)
    found.update({"own-" + name: own[name] for name in OWN_OPS})
    return found


def main():
    failed = 0
    lines = []
    print(f"{'operation':16} back end  minimum  median  maximum  bound  "
          f"mitigated")
    for back_end in FOR_TWO:
        mitigated = measure_all(back_end, "all")
        costs = measure_all(back_end, "off")
        for name, (low, median, high) in costs.items():
            bound = BOUNDS.get((name, back_end))
            print(f"{name:16} {back_end:8} {low:8} {median:7} {high:8} "
                  f"{bound or '':6} {mitigated[name][1]:10}")
            lines.append({"op": name, "backend": back_end,
                          "instructions": median, "min": low, "max": high,
                          "with_mitigations": mitigated[name][1]})
            if bound and median > bound:
                print(f"FAIL {name} on {back_end}: {median} > {bound}")
                failed += 1
    results.add(lines)
    print(f"{'FAIL' if failed else 'PASS'} exits cost no more than their "
          f"bounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
