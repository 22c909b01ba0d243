# SPDX-License-Identifier: MIT
"""The two ways to a guest's first instruction that start_cost.py measures, for
whatever counts there: functions by kind, the machines, and who asks them."""
import bisect
import os
import re
import subprocess
import sys
import time

import boot_cost
import results

MULLCTL = os.path.join(results.BUILD, "mullctl")
ELF = os.path.join(results.BUILD, "mullion.elf")
COUNTER = os.path.join(results.BUILD, "guests", "counter.elf")
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
    ("channel", "the channel meanwhile: log, events, the load's console",
     ["manage_poll"]),
]
KIND_OF = {name: kind for kind, _, names in KINDS for name in names}
# The load has timers and lines for its console, which the service CPU sends.
LOAD = """machine: {share-cpus: true}
vms:
  load: {memory: 16MiB, cpus: [%d], kernel: %s, cmdline: period=%d,
    autostart: %s}
"""
SECOND = """name: second
memory: 64MiB
cpus: [%d]
kernel: counter.elf
cmdline: count=1 period=1
"""


class Symbols:
    """Of build/mullion.elf, by name and by any address within."""

    def __init__(self):
        words = [line.split() for line in boot_cost.output(
            "nm", "-n", "-S", ELF).splitlines()]
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


def start_words():
    """A package with one VM, of 16 MiB."""
    return [MULLCTL, "run", "--kernel", COUNTER, "--memory", "16MiB",
            "--cmdline", "count=1", "--timeout", str(LIMIT)]


class Marks:
    """How often @text stands in a file that grows."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.at = self.found = 0

    def count(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                more = file.read()
        except OSError:
            return 0
        whole = more[:more.rfind(b"\n") + 1]
        self.at += len(whole)
        self.found += whole.count(self.text)
        return self.found


class Asked:
    """A machine whose load prints a line each @period ms (None: there is none),
    and what a client asks of it."""

    def __init__(self, folder, cpus, period, words, environment=None):
        self.loaded = bool(period)
        self.address = f"unix:{folder}/line"
        self.files = [os.path.join(folder, name)
                      for name in ("load.yaml", "second.yaml")]
        for path, text in zip(self.files, (
                LOAD % (min(cpus - 1, 1), COUNTER, period or 1,
                        str(bool(period)).lower()),
                SECOND % (cpus - 1 if cpus > 2 else 0))):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        self.machine = subprocess.Popen(
            [MULLCTL, "run", self.files[0], "--listen", self.address, "--smp",
             str(cpus), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=environment)

    def wait(self, what):
        end = time.monotonic() + LIMIT
        while not what():
            if time.monotonic() > end or self.machine.poll() is not None:
                self.machine.terminate()
                sys.exit("start_cost.py: the VM does not come so far\n" +
                         self.machine.communicate()[1])
            time.sleep(0.02)

    def ask(self, *words):
        return boot_cost.output(MULLCTL, *words, "--connect", self.address)

    def is_in(self, name, state):
        done = subprocess.run([MULLCTL, "list", "--connect", self.address],
                              capture_output=True, text=True, check=False)
        return re.search(rf"\b{name}\b.*\b{state}\b", done.stdout)

    def create(self, runs, marks):
        """Creates and starts a VM of 64 MiB, whose image is there, @runs times.
        Each time it is over when there is one of @marks more: requests to the
        hypervisor meanwhile would be counted."""
        self.wait(lambda: self.is_in("load", "running" if self.loaded else
                                     "stopped"))
        if not self.loaded:
            self.ask("destroy", "load")
        for run in range(1, runs + 1):
            self.ask("create", self.files[1], "--start")
            self.wait(lambda: marks.count() >= run)
            self.wait(lambda: self.is_in("second", "stopped"))
            self.ask("destroy", "second")
        self.ask("shutdown")
        self.machine.communicate(timeout=LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.machine.terminate()
        self.machine.communicate(timeout=LIMIT)
