# SPDX-License-Identifier: MIT
"""An operator looks into a VM, and changes it, over the channel."""
import os
import re
import struct
import subprocess
import time

import channel
import damages
import disks
import machines
from machines import SECONDS
from packages import CHANNEL

PAUSED, RUNNING = 7, 3
BREAKPOINT = 9 # a reason
GUEST_MEMORY = 16 << 20


class Operator:
    def __init__(self, process, checks, seconds):
        self.process, self.checks = process, checks
        self.sequence = 0
        self.end = time.monotonic() + seconds

    def wait(self, what, words):
        """Until it is true; what it was then."""
        while not (result := what()):
            if time.monotonic() > self.end or self.process.process.poll() \
                    is not None:
                self.checks.check(False, "in time: " + words)
                raise TimeoutError(words)
            time.sleep(0.02)
        return result

    def ask(self, command, argument=0, data=b"", vm=0):
        self.sequence += 1
        os.write(self.process.input, channel.request(
            self.sequence, command, vm, argument, data))
        return self.wait(lambda: channel.reply(self.process.out,
                                               self.sequence),
                         "an answer to command %d" % command)

    def done(self, *arguments, **named):
        error, value, data = self.ask(*arguments, **named)
        self.checks.check(error == 0, "done: %s %s" % (arguments[0], data
                                                       if error else ""))
        return data or value

    def memory(self, at, size):
        return self.done(channel.MEMORY, at, struct.pack("<I", size))

    def registers(self):
        return self.done(channel.REGISTERS)

    def states(self):
        return channel.events(self.process.out, 0)

    def last_state(self):
        return (self.states() or [(0, 0, 0)])[-1]

    def wait_state(self, state):
        self.wait(lambda: self.last_state()[0] == state, "state %d" % state)

    def audit(self):
        self.done(channel.AUDIT, 1)
        while (record := self.done(channel.AUDIT))[:4] != bytes(4):
            pass
        return struct.unpack("<IIQQQQ", record[:40]) + (record[40:],)


def zeros(operator):
    """Bytes of the guest that are told to be zero."""
    at = found = 0
    while at < GUEST_MEMORY:
        got = operator.memory(at, GUEST_MEMORY - at)
        found += got if isinstance(got, int) else 0
        at += got if isinstance(got, int) else len(got)
    return found


def look(operator, check):
    error, _, words = operator.ask(channel.REGISTERS)
    check(error == 17 and words.endswith(b"is running"),
          "a VM that runs is not looked into")
    operator.done(channel.PAUSE)
    operator.wait_state(PAUSED)
    registers = operator.registers()
    rip, flags, cr0 = struct.unpack("<QQQ", registers[128:152])
    check(0x100000 <= rip < GUEST_MEMORY, "RIP is in the guest: %#x" % rip)
    check(flags & 2 and cr0 & 0x80000001 == 0x80000001, "paging is on")
    check(operator.memory(rip, 16) != bytes(16), "code is at RIP")
    check(operator.ask(channel.MEMORY, GUEST_MEMORY, b"\1\0\0\0")[0] == 2,
          "no memory beyond the guest's")
    check(zeros(operator) > GUEST_MEMORY // 2, "idle memory is zero")


def change(operator, check):
    at = GUEST_MEMORY - 4096
    operator.done(channel.SET_MEMORY, at, b"Mullion")
    check(operator.memory(at - 8, 24) == bytes(8) + b"Mullion" + bytes(9),
          "memory is as it was set")
    before = operator.registers()
    changed = bytearray(before)
    changed[8 * 15:8 * 16] = struct.pack("<Q", 0x1234567890abcdef) # R15
    changed[360:368] = struct.pack("<Q", 0x0013000800000000) # STAR
    operator.done(channel.SET_REGISTERS, 0, bytes(changed))
    check(operator.registers() == bytes(changed), "registers are as set")
    changed[368:376] = struct.pack("<Q", 1 << 60) # LSTAR, not canonical
    check(operator.ask(channel.SET_REGISTERS, 0, bytes(changed))[0] == 3,
          "an impossible value is refused")
    operator.done(channel.SET_REGISTERS, 0, before)


def rip_of(operator):
    return struct.unpack("<Q", operator.registers()[128:136])[0]


def stopped(operator, check):
    operator.wait_state(PAUSED)
    check(operator.last_state()[1:] == (BREAKPOINT, 0),
          "the event names the vCPU")


def resume(operator):
    count = len(operator.states())
    operator.done(channel.RESUME)
    operator.wait(lambda: len(operator.states()) > count, "it goes on")


def step(operator, check):
    count = len(operator.states())
    operator.done(channel.STEP)
    operator.wait(lambda: len(operator.states()) >= count + 2, "a step")
    stopped(operator, check)
    return rip_of(operator)


def debug(operator, check, put):
    """Stops where a line is printed, steps, and goes on."""
    code = operator.memory(put, 16)
    operator.done(channel.DEBUG, 1)
    operator.done(channel.SET_MEMORY, put, b"\xcc")
    for _ in range(2):
        resume(operator)
        stopped(operator, check)
        check(rip_of(operator) == put, "it stops at the breakpoint")
        operator.done(channel.SET_MEMORY, put, code[:1])
        at = put
        dr6 = operator.registers()[184:192]
        for _ in range(3):
            before, at = at, step(operator, check)
            check(at != before, "a step moves on: %#x" % at)
        flags = struct.unpack("<Q", operator.registers()[136:144])[0]
        check(not flags & 0x100, "no TF is left behind")
        check(operator.registers()[184:192] == dr6,
              "no trace of a step in DR6")
        operator.done(channel.SET_MEMORY, put, b"\xcc")
    operator.done(channel.SET_MEMORY, put, code[:1])
    operator.done(channel.DEBUG, 0)


def symbol(path, name):
    text = subprocess.run(["nm", path], capture_output=True, check=True,
                          text=True).stdout
    return int(re.search(r"^(\w+) \w " + name + "$", text, re.M).group(1), 16)


def look_into(setup, back_end, checks):
    folder = disks.fresh_folder(setup, checks)
    counter = (setup.guests / "counter.elf").read_bytes()
    disk = disks.boot_folder(setup, folder, damages.package(
        [damages.Vm(b"guest", 0, b"period=50"),
         damages.Vm(b"other", 0, b"count=1000 period=50")],
        [damages.Image(b"counter.elf", damages.ELF64, counter)],
        damages.machine(serial_mode=CHANNEL, flags=damages.SHARE_CPUS)))
    machine = machines.Machine(back_end, disk, folder, checks.note)
    operator = Operator(machine.process, checks,
                        SECONDS * back_end.patience)
    try:
        operator.wait(lambda: b"counter: 2\n" in machine.process.out,
                      "the guest counts")
        look(operator, checks.check)
        change(operator, checks.check)
        running, faults, _, frames, _, tables, words = operator.audit()
        checks.check((running, faults, words.strip(b"\0")) == (0, 0, b""),
                     "the audit finds nothing: %s" % words)
        checks.check(frames > 2 * GUEST_MEMORY >> 21 and tables > 6,
                     "it looked at %d frames, %d tables" % (frames, tables))
        debug(operator, checks.check,
              symbol(setup.guests / "counter.elf", "sleep_ns"))
        operator.done(channel.RESUME)
        operator.wait_state(RUNNING)
        length = len(machine.process.out)
        operator.wait(lambda: b"counter: " in machine.process.out[length:],
                      "it counts on")
    except TimeoutError:
        pass
    finally:
        machine.stop()
