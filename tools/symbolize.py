#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the STACK lines of a panic into functions and source lines.

Reads a log (files, or standard input) and prints it; behind each line
"STACK addr addr ..." comes one line a caller, innermost first.
"""
import argparse
import re
import subprocess
import sys

STACK = re.compile(r"STACK((?: [0-9a-f]{1,16})+)")


def call_sites(words):
    """Addresses inside the calls: a return address is behind its call, which
    may have been the last thing that its function does."""
    return [f"{(int(word, 16) - 1) % 2**64:x}" for word in words]


def symbolize(elf, words):
    """One text a call site; inlined functions come on lines of their own."""
    run = subprocess.run(
        ["addr2line", "-f", "-i", "-p", "-e", elf, *call_sites(words)],
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
                    stack = STACK.search(line)
                    if stack:
                        for site in symbolize(options.elf,
                                              stack.group(1).split()):
                            print("   ", site, flush=True)
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
