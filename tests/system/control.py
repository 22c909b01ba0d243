# SPDX-License-Identifier: MIT
"""mullctl's verbs over a channel, against the real hypervisor."""
import json
import os
import re
import subprocess
import time

import disks
import library
import machines
from process import ESCAPES, Process

MANIFEST = """\
machine: {serial: {mode: channel}}
vms:
  steady: {memory: 16MiB, cpus: [0], kernel: $guests/counter.elf, \
cmdline: 'count=100000 period=200'}
  short: {memory: 16MiB, cpus: [1], kernel: $guests/counter.elf, \
cmdline: count=2 period=100}
"""


class Tool:
    """mullctl at an address, of an emulator that is @patience times slower
    than QEMU."""

    def __init__(self, setup, checks, address, patience=1):
        self.mullctl, self.checks, self.address = setup.mullctl, checks, address
        self.patience = patience

    def run(self, *words, status=0, seconds=60):
        """Output and messages; checks the exit status."""
        done = subprocess.run(
            [self.mullctl, *map(str, words), "--connect", self.address],
            capture_output=True, text=True, check=False,
            timeout=seconds * self.patience)
        self.checks.note("$ mullctl %s\n%s%s" % (" ".join(map(str, words)),
                                                 done.stdout, done.stderr))
        self.checks.check(done.returncode == status, "mullctl %s ends with %d"
                          % (" ".join(map(str, words)), done.returncode))
        return done.stdout, done.stderr

    def ask(self, *words):
        """As json(), of what is asked for often: neither noted nor checked."""
        done = subprocess.run(
            [self.mullctl, *words, "-o", "json", "--connect", self.address],
            capture_output=True, check=True, timeout=60 * self.patience)
        return json.loads(done.stdout)

    def json(self, *words):
        return json.loads(self.run(*words, "-o", "json")[0] or "{}")

    def states(self):
        return {vm["name"]: vm["state"] for vm in self.json("list")["vms"]}

    def wait_for_states(self, **states):
        end = time.monotonic() + machines.SECONDS * self.patience
        while (seen := self.states()) != states and time.monotonic() < end:
            time.sleep(0.5)
        self.checks.check(seen == states, "the VMs are %s" % seen)


def boot(setup, checks, folder, vms=MANIFEST, more=()):
    """QEMU whose serial line is a socket, with @more words; returns it and the
    address."""
    manifest, disk = folder / "manifest.yaml", folder / "disk.img"
    manifest.write_text(setup.fill_in(vms))
    disks.pack(setup, checks, manifest, "-o", disk, "--format", "fat")
    words = [*machines.qemu(disk, on_reset="reset"), *more]
    # A socket's path is short.
    line = "/tmp/mullctl-test-%d-%s" % (os.getpid(), checks.name)
    at = words.index("-serial")
    words[at:at + 2] = ["-chardev", "socket,id=line,server=on,wait=off,path=%s"
                        % line, "-serial", "chardev:line"]
    return Process(words, checks.note), "unix:" + line


def look(tool, checks):
    info = tool.json("info")
    checks.check(info["cpus"] == 2 and info["schema"] == 1,
                 "info tells of %s CPUs" % info["cpus"])
    both, words = tool.run("--version")
    checks.check(both == "mullctl %s\nhypervisor %s\n" %
                 (info["mullctl"], info["version"]) and not words,
                 "--version shows both sides, which match")
    shown = tool.json("show", "steady")
    checks.check(shown["cmdline"] == "count=100000 period=200"
                 and shown["vcpus"] == [{"vcpu": 0, "processor": 0}],
                 "show tells what the manifest says")
    checks.check(tool.json("show", "1")["name"] == "short",
                 "a VM's number will do as well")
    table, _ = tool.run("list")
    checks.check(re.search(r"^0 +steady +running +1 +16 MiB", table, re.M)
                 and "\033" not in table, "list shows a table, uncoloured")
    yaml, _ = tool.run("list", "-o", "yaml")
    checks.check('  - number: 1\n    name: "short"\n    state: "stopped"'
                 in yaml, "list shows YAML")


def lives(tool, checks):
    tool.run("start", "steady", status=4)
    _, words = tool.run("show", "nobody", status=3)
    checks.check("mullctl list" in words, "the message says what to do next")
    tool.run("list", "--colour", status=2)
    _, words = tool.run("stop", "steady", "--timeout", "1")
    checks.check("did not power itself off" in words,
                 "stop says that the guest did not listen")
    tool.wait_for_states(steady="stopped", short="stopped")
    tool.run("start", "steady", "--wait")
    tool.wait_for_states(steady="running", short="stopped")
    tool.run("reset", "steady")
    tool.wait_for_states(steady="running", short="stopped")
    tool.run("stop", "steady", "--force")
    tool.wait_for_states(steady="stopped", short="stopped")


def leaves_console(tool, checks):
    """By Ctrl-], on a terminal; keys before it still go to the VM."""
    typed = tool.json("stats", "steady")["typed"]
    console = Process([tool.mullctl, "console", "steady", "--connect",
                       tool.address], checks.note, terminal=True)
    checks.check(console.wait_for(r"^counter: \d+$", 30),
                 "the console shows what is printed")
    console.send("q\x03\x1d")
    checks.check(console.finish(10) == 0, "Ctrl-] leaves the console")
    typed = tool.json("stats", "steady")["typed"] - typed
    checks.check(typed == 2, "%d keys went to the VM" % typed)


def is_killed_at_a_console(tool, checks):
    """Nothing leaks, and others are served as before."""
    def memory():
        info = tool.json("info")
        return info["memory_free"], info["hypervisor_pages"]

    before = memory()
    for _ in range(3):
        console = Process([tool.mullctl, "console", "steady", "--connect",
                           tool.address], checks.note)
        checks.check(console.wait_for(r"^counter: \d+$", 30),
                     "the console shows what is printed")
        console.process.kill()
        console.finish(10)
    checks.check(memory() == before, "its death leaves all memory as it was")


def completes(tool, checks, folder):
    """In real shells: verbs, options, names of VMs and images."""
    source = "source <(mullctl completion %s)"
    installed = "mullctl completion zsh > %s/_mullctl; fpath=(%s $fpath); " \
        "autoload -U compinit; compinit -u -D" % (folder, folder)
    for shell, words, load in (
            ("bash", ("bash", "--norc", "-i"), source % "bash"),
            ("zsh", ("zsh", "-f", "-i"), source % "zsh"),
            ("zsh with it installed", ("zsh", "-f", "-i"), installed)):
        typing = Process(words, checks.note, terminal=True, environment={
            "MULLCTL_CONNECT": tool.address, "TERM": "dumb", "PS1": "",
            "PATH": "%s:%s" % (tool.mullctl.parent, os.environ["PATH"])})
        typing.send(load + "; echo rea''dy\n")
        checks.check(typing.wait_for("^ready", 30), "%s takes it" % shell)
        typing.send("echo mullctl rebo\t --war\t sh\n")
        typing.send("\x15mullctl rebo\t--war\t\x01echo \n")
        checks.check(typing.wait_for("^mullctl reboot --warm", 30),
                     "%s completes verbs and options" % shell)
        typing.send("mullctl show ste\t\x01echo \n")
        checks.check(typing.wait_for("^mullctl show steady", 30),
                     "%s completes a VM's name" % shell)
        typing.send("mullctl download cou\t\x01echo \n")
        checks.check(typing.wait_for("^mullctl download counter.elf", 30),
                     "%s completes an image's name" % shell)
        typing.stop()


def wait_for_hypervisor(tool):
    """Asks again until it speaks."""
    end = time.monotonic() + machines.SECONDS
    while time.monotonic() < end and subprocess.run(
            [tool.mullctl, "list", "--connect", tool.address],
            capture_output=True, check=False).returncode == 6:
        time.sleep(0.5)


def ends(tool, checks, process):
    up = tool.json("info")["up"]
    _, words = tool.run("log", "--previous")
    checks.check("nothing is left" in words, "there was no run before")
    before, _ = tool.run("log")
    tool.run("reboot", "--warm")
    wait_for_hypervisor(tool)
    checks.check(tool.json("info")["up"] < up, "the machine has started anew")
    left, _ = tool.run("log", "--previous")
    checks.check(left.startswith(before) and "warm reset" in
                 left[len(before):], "log --previous shows how the run before "
                 "ended")
    tool.run("shutdown")
    checks.check(process.finish(30) == 0, "shutdown ends the emulator")


def control(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    process, address = boot(setup, checks, folder)
    tool = Tool(setup, checks, address)
    try:
        wait_for_hypervisor(tool)
        tool.wait_for_states(steady="running", short="stopped")
        look(tool, checks)
        completes(tool, checks, folder)
        is_killed_at_a_console(tool, checks)
        leaves_console(tool, checks)
        lives(tool, checks)
        tool.run("start", "steady", "--wait")
        library.library(setup, checks, folder, address)
        ends(tool, checks, process)
    finally:
        process.stop()
    shown, _ = tool.run("list", "-o", "json", status=6)
    checks.check(not shown, "without a hypervisor there is no document")


# ---- run --listen -----------------------------------------------------------

def ways_to_look(tool, checks):
    log, _ = tool.run("log")
    checks.check(re.search(r"^\[ +[0-9.]+\] steady: running$", log, re.M),
                 "log shows lines without their levels")
    quiet, _ = tool.run("log", "--level", "error")
    checks.check("steady: running" not in quiet, "--level leaves out the rest")
    told = [(event["vm"], event["state"])
            for event in tool.json("events")["events"]]
    checks.check(("short", "stopped") in told and ("steady", "running") in told,
                 "events tells what happened")
    stats = tool.json("stats", "steady")
    checks.check(any(row["exit"] == "hypercall" and row["count"] > 2
                     for row in stats["exits"]), "stats names hypercalls")
    checks.check(len(tool.json("stats")["cpus"]) == 2, "stats shows the CPUs")
    tool.run("trace", "exit,manage")
    checks.check(tool.json("trace")["manage"], "trace is switched on")
    tool.run("trace", "none")
    checks.check(not tool.json("trace")["exit"], "trace is switched off")
    tool.run("trace", "nothing", status=2)


def lines_of(drawn):
    """What was drawn from a line's start on, as wide as it stood there: blanks
    for what a cursor was moved over."""
    placed = re.sub(rb"\x1b\[(?:\d+;(\d+))?H",
                    lambda at: b"\r" + b" " * (int(at[1] or 1) - 1), drawn)
    moved = re.sub(rb"\x1b\[(\d*)C", lambda by: b" " * int(by[1] or 1),
                   placed)
    return ESCAPES.sub(b"", moved).replace(b"\x0f", b"").split(b"\r")


def top(tool, checks):
    tables, _ = tool.run("top", "--batch", "-n", 2)
    checks.check(len(re.findall(r"^steady +running ", tables, re.M)) == 2
                 and tables.count("Memory free:") == 2, "top prints two tables")
    seen = tool.json("top", "-n", 1, "--interval", 2)
    rows = {row["name"]: row for row in seen["vms"]}
    # Under Bochs the guest itself has less than 0.05 %, which is told as 0.
    checks.check(rows["steady"]["exits_per_s"] > 1
                 and rows["steady"]["printed_per_s"] > 1
                 and rows["steady"]["guest_percent"]
                 + rows["steady"]["hypervisor_percent"] > 0
                 and rows["short"]["exits_per_s"] == 0,
                 "top tells rates: %s" % rows["steady"])
    tool.run("top", "--interval", "0", status=2)
    screen = Process([tool.mullctl, "top", "--connect", tool.address],
                     checks.note, terminal=True, size=(24, 80),
                     environment={"TERM": "vt100", "NO_COLOR": "1"})
    try:
        checks.check(screen.wait_for("TOP EXIT.*RST", 30)
                     and screen.wait_for("steady +running", 10),
                     "top draws a row for each VM")
        drawn = lines_of(screen.out)
        checks.check(b"\x1b[1;24r" in screen.out
                     and max(map(len, drawn)) < 80,
                     "a line has less than 80 columns: %r"
                     % max(drawn, key=len))
        screen.send("h")
        checks.check(screen.wait_for("this help", 10), "h shows the keys")
        screen.send("hp")
        checks.check(screen.wait_for("Pause steady[?] y/n", 10),
                     "a command is asked about")
        screen.send("y")
        tool.wait_for_states(steady="paused", short="stopped")
        tool.run("resume", "steady")
        screen.send("q")
    finally:
        checks.check(screen.finish(10) == 0, "q leaves")


def listen(setup, back_end, checks):
    """Several clients of one run, at the same time."""
    folder = disks.fresh_folder(setup, checks)
    manifest = folder / "two.yaml"
    manifest.write_text(setup.fill_in(MANIFEST))
    address = "unix:/tmp/mullctl-test-%d-%s-%s" % (os.getpid(), checks.name,
                                                   back_end.name)
    process = Process([setup.mullctl, "run", "-v", *back_end.words, "--listen",
                       address, manifest], checks.note,
                      environment=back_end.environment)
    tool = Tool(setup, checks, address)
    console = None
    try:
        checks.check(process.wait_for("short: stopped", machines.SECONDS,
                                      "err"), "the VMs run")
        console = Process([setup.mullctl, "console", "steady", "--all",
                           "--connect", address], checks.note)
        checks.check(console.wait_for("^counter: 2$", 30),
                     "the console's history comes first")
        ways_to_look(tool, checks)
        top(tool, checks)
        audit = tool.json("audit")
        checks.check(audit["finished"] and not audit["faults"]
                     and audit["entries"] > 0,
                     "audit looks at %d entries and finds no fault"
                     % audit["entries"])
        seen = int(re.findall(r"counter: (\d+)\n", console.text())[-1])
        checks.check(console.wait_for("^counter: %d$" % (seen + 5), 30),
                     "the console goes on beside others")
        numbers = re.findall(r"^counter: (\d+)$", console.text(), re.M)
        checks.check(numbers == [str(i + 1) for i in range(len(numbers))]
                     and "\n\n" not in console.text(),
                     "nothing is shown twice or lost")
        tool.run("stop", "steady", "--force")
        tool.wait_for_states(steady="stopped", short="stopped")
        tool.run("start", "short", "--wait")
        checks.check(process.process.poll() is None,
                     "the run goes on without VMs")
    finally:
        if console:
            console.stop()
        process.stop()
    tool.run("list", status=6)
