#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests, two at a time; ends with a table and "N passed, N failed".
usage: run.py [--all] [--host] [--only PATTERN] [--backends svm,vmx] ...
Writes build/system-tests.json, too: a line for each test and back end."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import time
import traceback

import backends
import booted
import checks as checking
import host
import scenarios
import special

# Seconds: what has not begun by then is not run without --all, so that a table
# comes in time, whatever hangs.
LATEST = 40 * 60
TREE = pathlib.Path(__file__).resolve().parents[2]


class Test:
    def __init__(self, name, run, backend="", long=False):
        self.name = name
        self.run = run # called with the checks
        self.backend = backend
        self.long = long


def emulator_tests(setup, back_ends):
    for row in scenarios.SCENARIOS:
        for back_end in filter(lambda b: backends.is_on(row, b), back_ends):
            yield Test(row.name,
                       lambda checks, row=row, back_end=back_end:
                       booted.run_scenario(setup, row, back_end, checks),
                       back_end.name, backends.is_long(row, back_end))
    for name, row in special.TESTS.items():
        for back_end in filter(lambda b: backends.is_on(row, b), back_ends):
            yield Test(name, lambda checks, row=row, back_end=back_end:
                       row.run(setup, back_end, checks),
                       back_end.name, backends.is_long(row, back_end))


def host_tests(setup, fuzz_seconds):
    for name, run in host.tests(setup, fuzz_seconds):
        yield Test(name, run)
    for name, function in special.WITHOUT_MACHINE.items():
        yield Test(name, lambda checks, function=function:
                   function(setup, checks))


def run_test(setup, test, latest):
    checks = checking.Checks(test.name, test.backend, setup.folder)
    try:
        if time.monotonic() < latest:
            test.run(checks)
        else:
            checks.check(False, "not run: the others took too long")
    except Exception: # a broken test is a failed one, and the others go on
        checks.check(False, traceback.format_exc())
    checks.close()
    print("%s %s %s (%.1f s)" % (checks.verdict, test.name, test.backend,
                                 checks.seconds), flush=True)
    return checks


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=TREE / "build")
    parser.add_argument("--all", action="store_true",
                        help="also what takes long")
    parser.add_argument("--host", action="store_true",
                        help="only what needs no emulator")
    parser.add_argument("--only", default="", metavar="PATTERN",
                        help="only tests whose name matches")
    parser.add_argument("--backends",
                        default=os.environ.get(
                            "BACKENDS", ",".join(backends.BACK_ENDS)),
                        help="svm (QEMU), vmx, vmx-skylake, vmx-cannonlake, "
                        "svm-ryzen and svm-x2apic (Bochs)")
    parser.add_argument("--jobs", type=int,
                        default=int(os.environ.get("JOBS", "2")))
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    setup = booted.Setup(TREE, options.build.resolve())
    back_ends = [backends.BACK_ENDS[name] for name in
                 re.split(r"[ ,]+", options.backends.strip())]
    tests = list(host_tests(setup, 120 if options.all else 40))
    if not options.host:
        tests += emulator_tests(setup, back_ends)
    tests = [test for test in tests
             if re.search(options.only, test.name)
             and (options.all or not test.long)]
    if options.list:
        print("\n".join("%s %s" % (t.name, t.backend) for t in tests))
        return 0
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        latest = start + (float("inf") if options.all else LATEST)
        done = list(pool.map(lambda test: run_test(setup, test, latest), tests))
    checking.print_table(done)
    checking.print_failures(done)
    checking.write_table(done, setup.build / "system-tests.json")
    failed = sum(len(test.failures) for test in done)
    print("%.0f s in all; logs are in %s" % (time.monotonic() - start,
                                             setup.folder))
    print("%d passed, %d failed" % (sum(test.passed for test in done), failed))
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
