#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a packet from one VM to another costs, on both sides.

guests/packets.c rings its network device's bell for 1 or 8 packets.  Both VMs
are on one processor, and the receiver sleeps, so that the hypervisor has copied
them out of the sender and into the receiver before the sender goes on: what the
sender's time-stamp counter shows is all of it.  In Bochs, where a tick is an
instruction.  (QEMU's clock also runs while the channel is served.)
Adds to build/bench.json.
"""
import os
import re
import subprocess
import sys
import tempfile

import results

LIMIT = 900  # seconds, on a loaded machine
MANY = 8
MANIFEST = """machine: {{mitigations: off, share-cpus: true}}
vms:
  send: {{memory: 16MiB, cpus: [0], kernel: {0}/guests/packets.elf,
         cmdline: do=send, networks: [lan]}}
  take: {{memory: 16MiB, cpus: [0], kernel: {0}/guests/packets.elf,
         cmdline: do=take, networks: [lan]}}
"""
# Instructions for each packet behind the first.
BOUNDS = {"of-1514": 4000, "of-60": 3500, "for-nobody": 2000}


def measure():
    """Operation: median."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
        manifest.write(MANIFEST.format(results.BUILD))
        manifest.flush()
        done = subprocess.run(
            [os.path.join(results.BUILD, "mullctl"), "run", manifest.name,
             "--emulator", "bochs", "--timeout", str(LIMIT)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
    if done.returncode:
        sys.exit(f"packets.py: mullctl ended with {done.returncode}:\n"
                 f"{done.stdout}{done.stderr}")
    return {name: int(median) for name, median
            in re.findall(r"BENCH (\S+) \d+ (\d+) \d+", done.stdout)}


def main():
    costs = measure()
    failed = 0
    lines = []
    print("packet         first  each further one  bound")
    for kind, bound in BOUNDS.items():
        first = costs[f"net-1-{kind}"]
        more = (costs[f"net-{MANY}-{kind}"] - first) // (MANY - 1)
        print(f"{kind:12} {first:7} {more:17} {bound:6}")
        lines.append({"op": f"packet-{kind}", "backend": "vmx",
                      "instructions": more, "first": first})
        failed += more > bound
    results.add(lines)
    print(f"{'FAIL' if failed else 'PASS'} packets cost no more than their "
          f"bounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
