#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a switch from one VM to another costs where they share a CPU by a
schedule: guests/slots.c, two of which compute without end, from the last look of
one at the time-stamp counter to the first of the other.  In QEMU with icount (SVM)
and in Bochs (VT-x), where a tick is an instruction.
Adds to build/bench.json.
"""
import os
import re
import subprocess
import sys
import tempfile

import results

LIMIT = 900   # seconds, on a loaded machine
TURNS = 1000  # those of both together
TICKS = {"svm": 64, "vmx": 1} # of an instruction
OPTIONS = {"svm": [], "vmx": ["--emulator", "bochs"]}
# The service CPU is another one, so that nothing else is done there.
MANIFEST = """machine:
  mitigations: %s
  schedules:
    bench:
      slots:
      - {length: 1ms, vms: [one]}
      - {length: 1ms, vms: [two]}
vms:
  one: {memory: 4MiB, cpus: [1], kernel: %s/guests/slots.elf,
    cmdline: turns=%d, shared: [&turns {name: turns, size: 4KiB, write: true}]}
  two: {memory: 4MiB, cpus: [1], kernel: %s/guests/slots.elf,
    cmdline: turns=%d, shared: [*turns]}
"""
# Instructions of the median.
BOUNDS = {"svm": 1400, "vmx": 1500}


def measure(back_end, mitigations):
    """Least, median and most, of both directions."""
    turns = TURNS // 2
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
        manifest.write(MANIFEST % (mitigations, results.BUILD, turns,
                                   results.BUILD, turns))
        manifest.flush()
        done = subprocess.run(
            [os.path.join(results.BUILD, "mullctl"), "run", manifest.name,
             "--deterministic", "--timeout", str(LIMIT), *OPTIONS[back_end]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
    found = re.findall(r"slots: \w+ switch (\d+) (\d+) (\d+)", done.stdout)
    if done.returncode or len(found) != 2:
        sys.exit(f"switches.py: {back_end}: mullctl ended with "
                 f"{done.returncode}:\n{done.stdout}{done.stderr}")
    low, median, high = zip(*([int(n) // TICKS[back_end] for n in line]
                              for line in found))
    return min(low), max(median), max(high)


def main():
    failed = 0
    lines = []
    print("back end  minimum  median  maximum  bound  mitigated")
    for back_end, bound in BOUNDS.items():
        low, median, high = measure(back_end, "off")
        _, mitigated, _ = measure(back_end, "all")
        print(f"{back_end:8} {low:8} {median:7} {high:8} {bound:6} "
              f"{mitigated:10}")
        lines.append({"op": "partition-switch", "backend": back_end,
                      "instructions": median, "min": low, "max": high,
                      "with_mitigations": mitigated})
        failed += median > bound
    results.add(lines)
    print(f"{'FAIL' if failed else 'PASS'} a switch costs no more than its "
          f"bound")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
