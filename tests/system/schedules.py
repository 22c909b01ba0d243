# SPDX-License-Identifier: MIT
"""VMs that take turns on a CPU by the machine's schedules; guests/slots.c measures
their turns by its own clock.

Time is that of instructions, so that nothing depends on what else this computer
does: 64 ns each in QEMU, where a switch takes 0.13 ms of a slot, 10 ns in Bochs.
"""
import os
import re

import disks
from control import Tool
from process import Process

TURNS = 100
MANIFEST = """machine:
  schedules:
    normal:
      slots:
      - {length: 4ms, vms: [short]}
      - {length: 6ms, vms: [long]}
      background: [rest]
    other:
      slots:
      - {length: 5ms, vms: [rest]}
vms:
  short: {memory: 4MiB, cpus: [1], kernel: $guests/slots.elf,
    cmdline: turns=%(turns)d, shared: [&turns {name: turns, size: 4KiB,
    write: true}]}
  long: {memory: 4MiB, cpus: [1], kernel: $guests/slots.elf,
    cmdline: turns=%(turns)d, shared: [*turns]}
  rest: {memory: 4MiB, cpus: [1], kernel: $guests/counter.elf,
    cmdline: period=100}
""" % {"turns": TURNS}
MS = 1000000
LENGTHS = {"short": 4 * MS, "long": 6 * MS}
NEAR = {"svm": MS // 2, "vmx": MS // 10}


def measured(process, vm, what):
    """The least, the median and the most."""
    found = re.search(r"^%s +. slots: %s %s (\d+) (\d+) (\d+)"
                      % (vm, vm, what), process.text(), re.M)
    return [int(number) for number in found.groups()] if found else [0] * 3


def turns_are_right(process, checks, near):
    """All but the longest way to a turn's begin, which may have been when the
    other VM had ended."""
    for vm, length in LENGTHS.items():
        least, lasts, most = measured(process, vm, "lasts")
        checks.check(length - near < least <= most <= length,
                     "a turn of %s lasts %.3f ms, from %.3f to %.3f"
                     % (vm, lasts / MS, least / MS, most / MS))
        soonest, every, _ = measured(process, vm, "every")
        checks.check(abs(every - 10 * MS) < near // 10
                     and soonest > 10 * MS - near,
                     "and begins every %.3f ms, %.3f at least"
                     % (every / MS, soonest / MS))
        least, switch, most = measured(process, vm, "switch")
        checks.note("switch to %s: %d ticks, %d to %d"
                    % (vm, switch, least, most))


def counts_are_right(told, checks, near):
    checks.check([row["vms"] for row in told["schedules"]] ==
                 ["short", "long", "rest"] and
                 [row["background"] for row in told["schedules"]] ==
                 ["rest", "rest", ""], "schedule tells who runs when")
    checks.check([(row["begins"], row["length"]) for row in told["schedules"]]
                 == [(0, 4 * MS), (4 * MS, 6 * MS), (0, 5 * MS)],
                 "and where each slot lies")
    cpu, = told["cpus"]
    checks.check(cpu["cpu"] == 1 and cpu["slots"] >= 2 * TURNS
                 and cpu["switches"] >= 2 * TURNS,
                 "it counts %d slots, %d switches" % (cpu["slots"],
                                                      cpu["switches"]))
    checks.check(0 < cpu["switch"] <= cpu["switch_worst"]
                 and 0 < cpu["late"] <= cpu["late_worst"],
                 "a switch takes %d ns, at worst %d; a slot begins %d ns late, "
                 "at worst %d" % (cpu["switch"], cpu["switch_worst"],
                                  cpu["late"], cpu["late_worst"]))
    checks.check((cpu["overruns"] == 0) == (cpu["late_worst"] <= 50000),
                 "%d began more than 50 us late" % cpu["overruns"])
    # QEMU gives each of its CPUs long turns, time going on meanwhile.
    if near == NEAR["vmx"]:
        checks.check(not cpu["missed"] and cpu["late_worst"] < near,
                     "no slot was missed")


def state_of(tool):
    return {row["schedule"]: row["state"]
            for row in tool.json("schedule")["schedules"]}


def schedules_change(process, tool, checks, patience):
    """Whoever has no slot does not run, until the other schedule comes back."""
    tool.run("schedule", "--switch", "nobody", status=4)
    tool.run("schedule", "--switch", "other")
    checks.check(state_of(tool) == {"normal": "", "other": "in force"},
                 "the other schedule is in force")
    before = tool.json("stats", "long")["in_guest"]
    tool.run("start", "long", "--wait")
    counted = len(re.findall("^rest ", process.text(), re.M))
    checks.check(process.wait_for("^rest ", patience, count=counted + 3),
                 "a VM runs in its slots")
    checks.check(tool.json("stats", "long")["in_guest"] == before
                 and len(re.findall("slots: long begins", process.text())) == 1,
                 "one without a slot is not run")
    tool.run("schedule", "--switch", "normal")
    checks.check(process.wait_for("slots: long begins", patience, count=2),
                 "with the first schedule, it is")


def schedules(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    path = folder / "schedules.yaml"
    path.write_text(setup.fill_in(MANIFEST))
    address = "unix:/tmp/mullctl-test-%d-slots-%s" % (os.getpid(),
                                                      back_end.name)
    patience, near = 120 * back_end.patience, NEAR[back_end.kind]
    process = Process([setup.mullctl, "run", "-v", *back_end.words,
                       "--deterministic", "--listen", address, path],
                      checks.note, environment=back_end.environment)
    tool = Tool(setup, checks, address, back_end.patience)
    try:
        for vm in LENGTHS:
            checks.check(process.wait_for("slots: %s switch" % vm, patience),
                         "%s has had its turns" % vm)
        turns_are_right(process, checks, near)
        counts_are_right(tool.json("schedule"), checks, near)
        tool.wait_for_states(short="stopped", long="stopped", rest="running")
        schedules_change(process, tool, checks, patience)
        for vm in "long", "rest":
            tool.run("stop", vm, "--force")
        tool.wait_for_states(short="stopped", long="stopped", rest="stopped")
    finally:
        process.stop()
        checks.note(process.text())
        checks.note(process.text("err"))
