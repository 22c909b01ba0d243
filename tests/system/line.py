# SPDX-License-Identifier: MIT
"""The channel with another client, and over a bad cable."""
import os
import re
import subprocess
import sys
import time

import control
import disks
import machines
import noise

COMMANDS = (("start", "steady"), ("info",), ("stop", "steady", "--force"),
            ("list",))


def client(setup, checks, line, *words):
    done = subprocess.run(
        [sys.executable, setup.tree / "tests/system/second_client.py", line,
         *words], capture_output=True, text=True, check=False, timeout=60)
    checks.note("$ second_client.py %s\n%s%s" % (" ".join(words), done.stdout,
                                                 done.stderr))
    return done.stdout + done.stderr


def wait_for(setup, checks, line, words, pattern):
    end = time.monotonic() + machines.SECONDS
    while not (seen := re.search(pattern, client(setup, checks, line, *words),
                                 re.M)) and time.monotonic() < end:
        time.sleep(0.5)
    checks.check(seen, "the second client sees " + pattern)


def speaks(setup, checks, line):
    """Whoever reads the document can write a client."""
    wait_for(setup, checks, line, ["list"], r"^0 steady running\n1 short stop")
    told = client(setup, checks, line, "info")
    checks.check(re.match(r"Mullion \d+\.\d+\.\d+: 2 CPUs, 2 VMs, \d{8}", told),
                 "info: " + told)
    told = client(setup, checks, line, "console", "0", "2")
    checks.check(re.search(r"^counter: \d+\r?$", told, re.M), "console 0")
    checks.check("steady is running" in
                 client(setup, checks, line, "start", "0"),
                 "an error comes in words")
    client(setup, checks, line, "stop", "0")
    wait_for(setup, checks, line, ["list"], "^0 steady stopped")


def endures(setup, checks, line):
    """Each command succeeds or ends with an error, in bounded time; and what
    is not asked for is not done."""
    bad = line + "-bad"
    cable = noise.Noise(bad, line, 1000, seed=1)
    ends = {}
    try:
        for words in COMMANDS:
            start = time.monotonic()
            done = subprocess.run(
                [setup.mullctl, *words, "--connect", "unix:" + bad],
                capture_output=True, text=True, check=False, timeout=120)
            checks.note("$ mullctl %s\n%s%s" % (" ".join(words), done.stdout,
                                                done.stderr))
            ends[done.returncode] = ends.get(done.returncode, 0) + 1
            checks.check(time.monotonic() - start < 60, "it ends in time")
    finally:
        cable.stop()
    checks.check(set(ends) <= {0, 1, 4, 6, 124}, "exit statuses: %s" % ends)
    checks.check(cable.damaged > len(COMMANDS), "%d bits and bytes were damaged"
                 % cable.damaged)
    # Whatever arrived of it: nobody asked anything of the other VM.
    wait_for(setup, checks, line, ["list"], r"\n1 short stopped$")


def line_test(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    process, address = control.boot(setup, checks, folder)
    line = address.removeprefix("unix:")
    try:
        end = time.monotonic() + machines.SECONDS
        while not os.path.exists(line) and time.monotonic() < end:
            time.sleep(0.1)
        speaks(setup, checks, line)
        endures(setup, checks, line)
    finally:
        process.stop()
