# SPDX-License-Identifier: MIT
"""Runs one row of the table of scenarios."""
import re
import shlex
import string
import time

from process import Process


class Setup:
    """Where things are; the same for all tests."""

    def __init__(self, tree, build):
        self.tree = tree
        self.build = build
        self.mullctl = build / "mullctl"
        self.guests = build / "guests"
        self.kernels = build / "kernels"
        self.demo = build / "demo.cpio.gz"
        self.kexec = build / "kexec.cpio.gz"
        self.folder = build / "test"

    def fill_in(self, text):
        return string.Template(text).substitute(
            guests=self.guests, kernels=self.kernels, demo=self.demo,
            build=self.build, kexec=self.kexec)


def mullctl_arguments(setup, scenario, back_end):
    words = [setup.mullctl, "run", "-v"] + back_end.words
    words += shlex.split(setup.fill_in(scenario.command))
    words += shlex.split(scenario.options)
    if scenario.vms is None:
        words.append(setup.tree / "guests/linux/demo.yaml")
    elif scenario.vms:
        manifest = setup.folder / ("%s-%s.yaml" % (scenario.name,
                                                    back_end.name))
        manifest.write_text("machine: {%s}\nvms:\n" % scenario.machine +
                            setup.fill_in(scenario.vms))
        words.append(manifest)
    return words


def both(process):
    return process.text("out") + "\n" + process.text("err")


def watch(process, scenario, checks, end):
    """Types what is to be typed, and waits for what is to be counted."""
    for pattern, text in scenario.typed:
        seen = process.wait_for(pattern, end - time.monotonic())
        checks.check(seen, "seen before typing: " + pattern)
        if not seen:
            return
        process.send(text)
    if scenario.status is not None:
        return
    # Nobody ends this run but the test, when it has seen everything.
    for pattern in scenario.expect:
        process.wait_for(pattern, end - time.monotonic())
    for pattern in scenario.expect_log:
        process.wait_for(pattern, end - time.monotonic(), "err")
    for pattern, count in scenario.counts:
        process.wait_for(pattern, end - time.monotonic(), count=count)


def judge_pace(process, scenario, checks):
    """A counter that is held up catches up, unless it starves."""
    vm, rate, pattern = scenario.pace
    lasted = re.search(pattern, process.text("err"))
    seconds = float(lasted.group(1)) if lasted else 0
    lines = len(re.findall(r"^%s +\| counter: \d+" % vm, process.text("out"),
                           re.M))
    checks.check(seconds and lines >= 0.9 * rate * seconds,
                 "%s keeps its pace: %d lines in %.1f s" % (vm, lines, seconds))


def judge(process, scenario, status, checks):
    out, log = process.text("out"), process.text("err")
    checks.check_lines(out)
    for pattern in scenario.expect:
        checks.check(re.search(pattern, out, re.M), "console: " + pattern)
    for pattern in scenario.expect_log:
        checks.check(re.search(pattern, log, re.M), "log: " + pattern)
    for pattern, count in scenario.counts:
        found = len(re.findall(pattern, out, re.M))
        checks.check(found >= count,
                     "%s: %d times of %d" % (pattern, found, count))
    if scenario.pace:
        judge_pace(process, scenario, checks)
    for pattern in scenario.never + (r"PANIC on CPU",):
        checks.check(not re.search(pattern, both(process), re.M),
                     "never: " + pattern)
    if scenario.status is not None:
        checks.check(status == scenario.status, "exit status %s, expected %d"
                     % (status, scenario.status))


def run_scenario(setup, scenario, back_end, checks):
    seconds = scenario.seconds * back_end.patience
    process = Process(mullctl_arguments(setup, scenario, back_end),
                      checks.note, scenario.terminal, back_end.environment)
    end = time.monotonic() + seconds
    status = None
    try:
        watch(process, scenario, checks, end)
        if scenario.status is None:
            process.stop()
        else:
            status = process.finish(end - time.monotonic())
    finally:
        if process.process.poll() is None:
            process.stop()
    judge(process, scenario, status, checks)
