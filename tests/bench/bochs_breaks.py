#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bochs that stops at addresses and writes down when.

Debian's Bochs is a debugger, and its clock counts executed instructions.  This
program stands in for it (variable BOCHS of mullctl) and has it stop at the
points that the file named by BREAKS tells: a JSON object of
  log     the file that gets a line "NAME TICKS" for each stop
  points  addresses by name
  begin   the names of those where it stops always
  end     the name of the last one: it stops at the others from one of begin
          on until there

For a machine of one processor: with more, Bochs passes over some of the stops.
"""
import json
import os
import re
import signal
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             "../system"))
import process # pylint: disable=wrong-import-position

PROMPT = re.compile(rb"<bochs:\d+> ")
STOP = re.compile(rb"^\(0\) Breakpoint (\d+), .*?^Next at t=(\d+)",
                  re.M | re.S)
# So many of each kind it has: by linear address, and by selector and offset.
MOST = 16
CODE_SELECTOR = 0x8 # of the hypervisor


def end_with_parent():
    """mullctl kills this program, which cannot end Bochs then."""
    process.C_LIBRARY.prctl(process.PR_SET_PDEATHSIG, signal.SIGKILL)


class Debugger:
    """Its prompt, by pipes."""

    def __init__(self, words):
        self.process = subprocess.Popen(["bochs", *words],
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        preexec_fn=end_with_parent)
        self.said = b""
        self.prompt()

    def prompt(self):
        """What it said before the next prompt; None when it has ended."""
        while True:
            found = PROMPT.search(self.said)
            if found:
                text, self.said = (self.said[:found.start()],
                                   self.said[found.end():])
                return text
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                return None
            self.said += more

    def tell(self, *commands):
        """What it said to the last."""
        self.process.stdin.write("".join(line + "\n" for line in commands)
                                 .encode())
        self.process.stdin.flush()
        text = b""
        for _ in commands:
            text = self.prompt()
        return text


def place(number, address):
    """The command for the breakpoint of that @number, from 1."""
    if number <= MOST:
        return f"lb {address:#x}"
    return f"vb {CODE_SELECTOR:#x}:{address:#x}"


def follow(debugger, plan, log):
    names = list(plan["points"])
    numbers = [n for n, name in enumerate(names, 1)
               if name not in plan["begin"]]
    if len(names) > 2 * MOST:
        sys.exit(f"bochs_breaks.py: {len(names)} points are more than "
                 f"{2 * MOST}")
    debugger.tell(*(place(n, plan["points"][name])
                    for n, name in enumerate(names, 1)))
    debugger.tell(*(f"bpd {n}" for n in numbers))
    while True:
        stop = STOP.search(debugger.tell("c") or b"")
        if not stop:
            return
        number, ticks = map(int, stop.groups())
        name = names[number - 1]
        print(name, ticks, file=log)
        if name in plan["begin"]:
            debugger.tell(*(f"bpe {n}" for n in numbers))
        elif name == plan["end"]:
            debugger.tell(*(f"bpd {n}" for n in numbers))


def main():
    if "--help" in sys.argv: # mullctl asks whether it is a debugger
        return
    with open(os.environ["BREAKS"], encoding="ascii") as file:
        plan = json.load(file)
    debugger = Debugger(sys.argv[1:])
    try:
        with open(plan["log"], "w", 1, "ascii") as log:
            follow(debugger, plan, log)
    finally:
        debugger.process.kill()


if __name__ == "__main__":
    main()
