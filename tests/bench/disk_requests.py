#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a request to a disk in memory costs, on both back ends.

guests/disk.c reads the time-stamp counter before it rings the bell and when the
request has come back, as guests/bench.c does (see exits.py): the exit, the way
through the queue, and the bytes.  Each turn of a string instruction counts as
an instruction there: 512 of them copy 4 KiB, one each 8 bytes.
Adds to build/bench.json, a line for each operation and back end.
"""
import os
import sys
import tempfile

import exits
import results

MANIFEST = """machine: {mitigations: off}
vms:
  bench:
    memory: 32MiB
    cpus: [0]
    kernel: %s/guests/disk.elf
    cmdline: do=bench shift=%d
    disks: [{image: %s}, {image: %s, access: read-only}]
"""
SIZE = 6 << 20 # a thousand blocks are written


def main():
    lines = []
    print(f"{'operation':16} back end  minimum  median  maximum")
    with tempfile.NamedTemporaryFile(suffix=".img") as image:
        image.write(os.urandom(SIZE))
        image.flush()
        for back_end in exits.FOR_TWO:
            costs = exits.run(back_end, MANIFEST % (
                results.BUILD, exits.shift(back_end), image.name, image.name))
            for name, (low, median, high) in costs.items():
                print(f"{name:16} {back_end:8} {low:8} {median:7} {high:8}")
                lines.append({"op": name, "backend": back_end,
                              "instructions": median, "min": low,
                              "max": high})
    results.add(lines)
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main())
