#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the addresses of a panic into functions and source lines.

Reads a log (files, or standard input) and prints it; behind each line
"STACK addr addr ..." comes one line a caller, innermost first, and behind the
registers of an exception ("RIP addr") the place that caused it.
"""
import argparse
import re
import subprocess
import sys

STACK = re.compile(r"STACK((?: [0-9a-f]{1,16})+)")
FAULT = re.compile(r"\bRIP ([0-9a-f]{16})\b")


def call_sites(words):
    """Addresses inside the calls: a return address is behind its call, which
    may have been the last thing that its function does."""
    return [f"{(int(word, 16) - 1) % 2**64:x}" for word in words]


def places(line):
    stack, fault = STACK.search(line), FAULT.search(line)
    if stack:
        return call_sites(stack.group(1).split())
    return [fault.group(1)] if fault else []


def symbolize(elf, addresses):
    """One text a place; inlined functions come on lines of their own."""
    run = subprocess.run(
        ["addr2line", "-f", "-i", "-p", "-e", elf, *addresses],
        stdout=subprocess.PIPE, check=True, text=True)
    return run.stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-e", "--elf", default="build/mullion.elf",
                        help="the hypervisor that spoke (%(default)s)")
    parser.add_argument("log", nargs="*", help="default: standard input")
    options = parser.parse_args()

    try:
        for name in options.log or ["-"]:
            with (sys.stdin if name == "-" else
                  open(name, errors="replace")) as log:
                for line in log:
                    print(line.rstrip("\r\n"), flush=True)
                    addresses = places(line)
                    if not addresses:
                        continue
                    for place in symbolize(options.elf, addresses):
                        print("   ", place, flush=True)
    except FileNotFoundError as missing:
        what = missing.filename
        hint = " (Debian: binutils)" if what == "addr2line" else ""
        return f"symbolize: {what} is not there{hint}"
    except subprocess.CalledProcessError:
        return f"symbolize: addr2line cannot read {options.elf}"
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
