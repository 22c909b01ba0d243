# SPDX-License-Identifier: MIT
"""The ways of start_cost.py on VT-x, by Bochs's clock: between two stops of
bochs_breaks.py it has gone on by as many ticks as the processor has executed
instructions.  There is one processor, so no load.

The functions of the kinds are stopped at where they begin and where they return.
"""
import collections
import json
import os
import re
import subprocess
import sys

import boot_cost
import results
from start_ways import ELF, KIND_OF, LIMIT, Asked, Marks, start_words

sys.path.append(os.path.join(results.TOP, "tests/system"))
import machines # pylint: disable=wrong-import-position
import screens # pylint: disable=wrong-import-position

BREAKS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "bochs_breaks.py")
ENTRY = "vmx_enter"
AT_START = "measure_by_pm_timer", "measure_by_pit", "clock_wait_us", \
           "block_read_now"
CALLER = "manage_poll" # of the requests: it returns, and was not seen to begin


def returns(name):
    """The addresses at which a function returns, or one in which it ends."""
    text = boot_cost.output("objdump", "-d", "--no-show-raw-insn",
                            "--disassemble=" + name, ELF)
    found = [int(at, 16) for at in
             re.findall(r"^\s*([0-9a-f]+):\s+ret\b", text, re.M)]
    ends_in = set(re.findall(r"\bjmp\s+[0-9a-f]+ <(\w+)>", text)) - {name}
    return found + [at for other in ends_in for at in returns(other)]


def points(symbols, functions, others):
    """Addresses by name: "FUNCTION", and "FUNCTION.N" where that returns."""
    found = {name: symbols.address(name) for name in others}
    for name in functions:
        found[name] = symbols.address(name)
        found |= {f"{name}.{i}": at for i, at in enumerate(returns(name))}
    return found


def bochs(folder, symbols, functions, begin):
    """The environment for mullctl, and the log's path."""
    plan, log = (os.path.join(folder, name) for name in ("plan", "ticks"))
    with open(plan, "w", encoding="ascii") as file:
        json.dump({"log": log, "begin": begin, "end": ENTRY,
                   "points": points(symbols, functions, begin + [ENTRY])}, file)
    return dict(os.environ, BOCHS=BREAKS, BREAKS=plan), log


class Account:
    """Of one run, from stop to stop."""

    def __init__(self):
        self.kinds, self.rest = collections.Counter(), collections.Counter()
        self.inside = None # the outermost function of a kind
        self.since = None  # ticks; None: nothing is counted

    def begin(self, ticks):
        """Who called is of no interest."""
        self.since, self.inside = ticks, None

    def stop(self, name, ticks):
        function, _, is_return = name.partition(".")
        # What returns has its last instruction still before it.
        now = ticks + bool(is_return)
        if self.since is not None:
            if self.inside:
                self.kinds[KIND_OF[self.inside]] += now - self.since
            else:
                self.rest["ticks"] += now - self.since
            self.since = now
        if is_return and not self.inside and self.since is not None and \
                function in KIND_OF and function != CALLER:
            sys.exit(f"start_ticks.py: {function} returns that was not called")
        if not self.inside and not is_return and function in KIND_OF:
            self.inside = function
        elif is_return and function == self.inside:
            self.inside = None


def stops(log):
    with open(log, encoding="ascii") as file:
        for line in file:
            name, ticks = line.split()
            yield name, int(ticks)


def start(symbols, folder):
    """Once: each run in Bochs is like the other, bit by bit."""
    environment, log = bochs(folder, symbols, KIND_OF, ["_start"])
    server = screens.start_server(folder, lambda note: None)
    try:
        server.wait_for(r"^\d+\n", LIMIT)
        environment |= {"DISPLAY": ":" + server.text().strip(),
                        "BOCHS_DISPLAY": "x",
                        "BOCHS_LINES": machines.BOCHS_SCREEN}
        subprocess.run([*start_words(), "--emulator", "bochs"], check=True,
                       env=environment, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
    finally:
        server.stop()
    account = Account()
    for name, ticks in stops(log):
        account.stop(name, ticks)
        if name == "_start":
            account.begin(ticks)
        elif name == ENTRY:
            return [(account.kinds, account.rest)]
    sys.exit("start_ticks.py: the guest was not entered")


def create(symbols, folder, runs):
    """On the service CPU.  The request that makes the VM is counted until it
    returns, the one that starts it until the VM is entered."""
    functions = [name for name in KIND_OF if name not in AT_START]
    environment, log = bochs(folder, symbols, functions + ["request_create"],
                             ["request_create", "request_life"])
    with Asked(folder, 1, None, ["--emulator", "bochs"], environment) as machine:
        machine.create(runs, Marks(log, ENTRY.encode()))
    found, account = [], Account()
    for name, ticks in stops(log):
        account.stop(name, ticks)
        if name in ("request_create", "request_life"):
            account.begin(ticks)
        elif name.startswith("request_create."):
            account.since = None
        elif name == ENTRY:
            found.append((account.kinds, account.rest))
            account = Account()
    return found
