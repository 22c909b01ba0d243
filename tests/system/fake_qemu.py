#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for qemu in test_mullctl_run.py: speaks the management channel on
its standard input and output."""
import os
import struct
import subprocess
import sys
import time

import channel
from channel import (CONSOLE, EVENT, HELLO, HYPERVISOR, INPUT, LOG, REPLY,
                     REQUEST)

STOPPED, STARTING, RUNNING, STOPPING, CRASHED, REFUSED = 1, 2, 3, 4, 5, 6
POWEROFF, RESET, TRIPLE_FAULT, BAD_IMAGE, EXIT_CODE = 1, 2, 3, 6, 7
sequence = 0


def say(data):
    while data:
        data = data[os.write(1, data):]


def frame(kind, stream, payload):
    global sequence
    sequence += 1
    return channel.frame(kind, stream, sequence - 1, payload)


def send(kind, stream, payload):
    say(frame(kind, stream, payload))


def console(vm, text):
    send(CONSOLE, vm, text)


def event(vm, state, reason=0, code=0, words=""):
    send(EVENT, vm, struct.pack("<32sIIIIQ160s", b"name", state, reason, code,
                                0, 0, words.encode()))


pending = b""


def hear(kind):
    """The stream and payload of the next frame of this kind."""
    global pending
    while True:
        while b"\0" in pending:
            part, pending = pending.split(b"\0", 1)
            if not part:
                continue
            got = channel.unframe(part)
            assert got, part
            if got[0] == kind:
                return got[1:]
        more = os.read(0, 4096)
        if not more:
            sys.exit(0)
        pending += more


def package():
    """What mullctl put on the disk."""
    for argument in sys.argv:
        if "id=boot" in argument:
            disk = argument.split("file=")[1]
    return subprocess.run(
        ["mcopy", "-i", disk, "::/EFI/MULLION/PACKAGE.MPK", "-"],
        env=dict(os.environ, MTOOLS_SKIP_CHECK="1"), check=True,
        stdout=subprocess.PIPE).stdout


def boot(vms=1):
    say(b"\x1b[2J\x1b[01;01HFirmware speaks\r\n")
    send(HELLO, HYPERVISOR, struct.pack("<32sIIQ", b"9.9", 4, vms, 1 << 30))
    send(LOG, HYPERVISOR, b"[    0.000001] the log speaks\n")
    for vm in range(vms):
        event(vm, STARTING)
        event(vm, RUNNING)


def poweroff():
    boot()
    console(0, b"hello from the guest\r\n\x01\x00\xff")
    event(0, STOPPED, POWEROFF, words="power-off")


def prompt():
    boot()
    console(0, b"booting\r\n")
    time.sleep(0.5)
    console(0, b"login: ")
    text = b""
    while not text.endswith(b"\n"):
        text += hear(INPUT)[1]
    console(0, b"<" + text + b">")
    event(0, STOPPED, POWEROFF)


def code():
    boot()
    event(0, STOPPED, EXIT_CODE, int(os.environ["FAKE_CODE"]))


def crash():
    boot()
    console(0, b"last words")
    event(0, CRASHED, TRIPLE_FAULT, words="triple fault at rip 0x1234\x1b[31m")


def refused():
    boot(0)
    event(0, REFUSED, BAD_IMAGE, words="the kernel's SHA-256 does not match")


def reset():
    vm_at = struct.unpack("<Q", package()[24:32])[0]
    on_reset = struct.unpack("<I", package()[vm_at + 60:vm_at + 64])[0]
    boot()
    event(0, STOPPING, RESET)
    if on_reset == 1:
        event(0, STOPPED, RESET)
        return
    event(0, STARTING)
    event(0, RUNNING)
    console(0, b"again\n")
    event(0, STOPPED, POWEROFF)


def silence():
    boot()
    console(0, b"I will stay\n")
    time.sleep(60)


def death():
    boot()
    sys.stderr.write("qemu: no more\n")
    sys.exit(1)


def panic():
    boot()
    say(frame(LOG, HYPERVISOR, b"cut short")[:9])
    say(b"\0\nPANIC on CPU 0: assertion failed\n")
    time.sleep(60)


def noise():
    boot()
    bad = bytearray(frame(CONSOLE, 0, b"wrong"))
    bad[12] ^= 1
    say(bytes(bad) + b"\0" + b"\0\xff\xff" + b"\0\0")
    send(CONSOLE, 7, b"of no VM")
    send(EVENT, 0, b"too short")
    send(99, 0, b"of the future")
    console(0, b"right\n")
    event(0, STOPPED, POWEROFF)


def waiting():
    boot(0)
    event(0, STOPPED)
    event(1, STARTING)
    event(1, RUNNING)
    event(1, STOPPED, POWEROFF)


def two():
    boot(2)
    console(0, b"one\r\ntw")
    console(1, b"from the other\n")
    console(0, b"o\n")
    console(1, b"prompt> ")
    time.sleep(0.4)
    console(1, b"typed\n")
    event(0, STOPPED, POWEROFF)
    event(1, STOPPED, POWEROFF)


def next_vm():
    boot(2)
    console(0, b"first> ")
    console(1, b"second> ")
    for vm in range(2):
        stream, payload = hear(INPUT)
        console(stream, payload)
        event(stream, STOPPED, POWEROFF)


def button():
    boot()
    console(0, b"press it\n")
    stream, payload = hear(REQUEST)
    command, vm, _ = struct.unpack("<IIQ", payload)
    console(0, b"command %d for %d\n" % (command, vm))
    send(REPLY, HYPERVISOR, struct.pack("<IIQ", 0, 8, 0))
    event(0, STOPPED, POWEROFF)


def echo():
    boot()
    console(0, b"ready\n")
    while True:
        console(0, hear(INPUT)[1].hex().encode() + b"\n")


def serial_mode():
    boot()
    console(0, b"serial mode %d" % package()[56 + 16])
    event(0, STOPPED, POWEROFF)


with open(os.environ["FAKE_PID"], "w") as file:
    file.write(str(os.getpid()))
globals()[os.environ["FAKE_SCENARIO"]]()
time.sleep(60)  # what is not ended by mullctl is found by the test
