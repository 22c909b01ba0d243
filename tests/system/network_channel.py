# SPDX-License-Identifier: MIT
"""The management channel over UDP, with the serial line in use beside it."""
import re
import secrets
import socket
import time

import control
import disks
from process import Process

MANIFEST = """\
machine:
  serial: {mode: channel}
  uplink: {nic: 1, switch: outside}
  channel: {address: 10.0.2.15, key-file: channel.key}
vms:
  steady: {memory: 16MiB, cpus: [0], kernel: $guests/counter.elf, \
cmdline: 'count=100000 period=200'}
"""
MADE = """\
name: made
memory: 16MiB
cpus: [1]
kernel: %s
cmdline: count=3 period=100
"""
# Until mullctl gives a session up that nobody answers, and more.
SILENT = 4


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def keys(folder):
    for name in ("channel.key", "other.key"):
        (folder / name).write_text(secrets.token_hex(32) + "\n")
    return folder / "channel.key", folder / "other.key"


def wait_for(tool):
    control.wait_for_hypervisor(tool)
    return tool.json("info")["up"]


def both_lines(tool, serial, checks):
    """Each has what is printed, all of it, whoever asks where."""
    consoles = [Process([tool.mullctl, "console", "steady", "--connect",
                         address], checks.note)
                for address in (tool.address, serial.address)]
    for console in consoles:
        checks.check(console.wait_for(r"^counter: \d+$", 30, count=5),
                     "a console shows what is printed")
    # The serial line's client is still there while this one is killed.
    consoles[0].process.kill()
    consoles[0].finish(10)
    count = consoles[1].text().count("counter: ")
    checks.check(consoles[1].wait_for(r"^counter: \d+$", 30,
                                      count=count + 30),
                 "nobody waits for one that is gone")
    consoles[1].stop()
    shown = [int(number) for number in
             re.findall(r"^counter: (\d+)\r?$", consoles[1].text(), re.M)]
    checks.check(shown == list(range(shown[0], shown[0] + len(shown))),
                 "nothing of it is lost")


def one_at_a_time(tool, checks):
    console = Process([tool.mullctl, "console", "steady", "--connect",
                       tool.address], checks.note)
    console.wait_for(r"^counter: \d+$", 30)
    _, words = tool.run("list", status=4)
    checks.check("another client has the channel" in words,
                 "a second client is told so")
    console.stop()
    tool.run("list")


def upload_and_create(setup, tool, folder, checks):
    manifest = folder / "made.yaml"
    manifest.write_text(MADE % (setup.guests / "counter.elf"))
    tool.run("create", manifest, seconds=200)
    tool.run("start", "made", "--wait")
    tool.wait_for_states(steady="running", made="stopped")
    printed = tool.json("stats", "made")["printed"]
    checks.check(printed > 20, "what was uploaded has run: %d" % printed)


def network_channel(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    right, wrong = keys(folder)
    port = free_port()
    place = "udp:127.0.0.1:%d," % port
    process, line = control.boot(setup, checks, folder, MANIFEST, [
        "-netdev", "user,id=outside,hostfwd=udp:127.0.0.1:%d-10.0.2.15:6855"
        % port, "-device", "virtio-net-pci,disable-legacy=on,netdev=outside,romfile="])
    serial = control.Tool(setup, checks, line)
    tool = control.Tool(setup, checks, place + str(right))
    stranger = control.Tool(setup, checks, place + str(wrong))
    try:
        wait_for(serial)
        wait_for(tool)
        control.Tool.wait_for_states(tool, steady="running")
        _, words = stranger.run("list", status=6)
        checks.check("is this its key?" in words, "a wrong key is no key")
        both_lines(tool, serial, checks)
        time.sleep(SILENT)
        one_at_a_time(tool, checks)
        upload_and_create(setup, tool, folder, checks)
        serial.wait_for_states(steady="running", made="stopped")
        log, _ = serial.run("log")
        checks.check("the channel is at 10.0.2.15, UDP port 6855" in log,
                     "the log says where it is")
        up = tool.json("info")["up"]
        tool.run("reboot")
        checks.check(wait_for(tool) < up, "it comes again after a restart")
        tool.run("shutdown")
        checks.check(process.finish(30) == 0, "shutdown ends the emulator")
    finally:
        process.stop()
    _, words = tool.run("list", status=6)
    checks.check("no answer" in words, "nobody answers any more")
