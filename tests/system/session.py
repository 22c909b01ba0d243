# SPDX-License-Identifier: MIT
"""docs/session.md: a session as a person has it, recorded from the real thing.
Where it differs from the record in more than its numbers, the test fails and
leaves the new one beside its log."""
import difflib
import itertools
import json
import os
import re

import disks
import machines
from control import Tool, boot, wait_for_hypervisor
from process import Process

MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  steady: {memory: 16MiB, cpus: [0], kernel: $guests/counter.elf}
"""
TICKER = """\
name: ticker
memory: 16MiB
cpus: 1
kernel: ticker
cmdline: period=500
"""
HEAD = """\
# A session

Made by `tests/system/session.py` with the hypervisor in QEMU, whose serial line
is a socket; the test fails when what is shown here no longer happens.
`session.cast` beside it plays in asciinema. `MULLCTL_CONNECT` says where the
hypervisor is.

```
"""
# Command, what to wait for, and what is typed then.
STEPS = (
    ("mullctl list", None),
    ("mullctl info | head -n 8", None),
    ("mullctl upload counter.elf --name ticker", None),
    ("mullctl images", None),
    ("cat ticker.yaml", None),
    ("mullctl create ticker.yaml", None),
    ("mullctl start ticker --wait", None),
    ("mullctl list", None),
    ("mullctl console ticker", (r"^counter: 4$", "\x1d")),
    ("mullctl pause ticker", None),
    ("mullctl dump ticker -o ticker.core", None),
    ("gdb -batch -ex bt counter.elf ticker.core | tail -n 3", None),
    ("mullctl resume ticker", None),
    ("mullctl stats ticker | head -n 7", None),
    ("mullctl stop ticker --force", None),
    ("mullctl destroy ticker", None),
    ("mullctl delete ticker", None),
    ("mullctl audit", None),
    ("mullctl list", None),
)
COLUMNS, ROWS = 100, 30
# What is another one each time: numbers and their units, and how far columns
# and progress bars reach.
VARIES = re.compile(r"[0-9a-f]{16,}|\d[0-9a-f.,:]*( ?([KMG]i)?B(/s)?| m?s\b)?|\[[=> ]*\]| +")


def shown(text):
    """What stays on the screen of @text, without the states of a bar that were
    written over."""
    return "".join(line.split("\r")[-1] + "\n" for line in
                   text.replace("\r\n", "\n").split("\n")).rstrip("\n")


def in_brief(text):
    """A slow machine counts further."""
    lines = (VARIES.sub("~", line).strip("~") for line in text.splitlines())
    return [line for line, _ in itertools.groupby(lines)]


class Recorder:
    def __init__(self, checks, folder, environment):
        self.checks, self.folder, self.environment = checks, folder, environment
        self.text, self.cast, self.clock = "", [], 0.0

    def show(self, text, seconds):
        self.clock += seconds
        self.cast.append([round(self.clock, 2), "o",
                          text.replace("\n", "\r\n")])

    def step(self, command, typed):
        self.show("$ ", 0.3)
        for letter in command:
            self.show(letter, 0.05)
        self.show("\n", 0.2)
        process = Process(
            ["sh", "-c", "exec 2>&1; stty cols %d rows %d; cd %s; %s" % (
                COLUMNS, ROWS, self.folder, command)], self.checks.note,
            terminal=True, environment=self.environment)
        if typed:
            pattern, keys = typed
            self.checks.check(process.wait_for(pattern, machines.SECONDS),
                              "%s shows %s" % (command, pattern))
            process.send(keys)
        status = process.finish(machines.SECONDS)
        self.checks.check(status == 0, "%s ends with %s" % (command, status))
        text = shown(re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "",
                            process.out.decode("utf-8",
                                                      "replace")))
        self.text += "$ %s\n%s" % (command, text + "\n" if text else "")
        if text:
            self.show(text + "\n", 0.5)

    def write(self, folder):
        (folder / "session.md").write_text(HEAD + self.text + "```\n")
        head = {"version": 2, "width": COLUMNS, "height": ROWS,
                "title": "mullctl: create, upload, console, dump, destroy"}
        (folder / "session.cast").write_text("".join(
            json.dumps(line) + "\n" for line in [head] + self.cast))


def is_as_recorded(checks, record, folder):
    record = in_brief(record)
    now = in_brief((folder / "session.md").read_text())
    checks.note("\n".join(difflib.unified_diff(record, now, "docs", "now")))
    checks.check(record == now, "docs/session.md is what happens; if it should "
                 "change: cp %s/session.* docs/" % folder)


def session(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    (folder / "counter.elf").write_bytes(
        (setup.guests / "counter.elf").read_bytes())
    (folder / "ticker.yaml").write_text(TICKER)
    process, address = boot(setup, checks, folder, MANIFEST)
    recorder = Recorder(checks, folder, {
        "MULLCTL_CONNECT": address, "NO_COLOR": "1",
        "PATH": "%s:%s" % (setup.mullctl.parent, os.environ["PATH"])})
    tool = Tool(setup, checks, address)
    try:
        wait_for_hypervisor(tool)
        tool.wait_for_states(steady="running")
        for step in STEPS:
            recorder.step(*step)
    finally:
        process.stop()
    recorder.write(folder)
    is_as_recorded(checks, (setup.tree / "docs/session.md").read_text(), folder)
