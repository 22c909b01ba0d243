# SPDX-License-Identifier: MIT
"""VMs that are made, paused and destroyed over the channel."""
import os
import random
import struct
import time

import channel
import damages
import disks
import machines
from channel import (CREATE, DESCRIBE, DESTROY, INFO, LIST, PAUSE, RESUME,
                     START, STOP)
from machines import SECONDS
from packages import CHANNEL

STOPPED, RUNNING, REFUSED, PAUSED, DESTROYED = 1, 3, 6, 7, 8
BAD_REQUEST, NOT_FOUND, WRONG_STATE = 3, 8, 17
PIECE = 1008 # bytes of data that a request may have
STATUS = 272 # bytes of struct mull_vm_status


class Client:
    def __init__(self, process, checks, seconds):
        self.process, self.checks, self.seconds = process, checks, seconds
        self.sequence = random.getrandbits(31)

    def frames(self, of_kind):
        return [(stream, payload) for kind, stream, payload in
                channel.frames(self.process.out) if kind == of_kind]

    def ask(self, command, number=0, argument=0, data=b""):
        """The reply's error, value and data."""
        self.sequence += 1
        since = len(self.process.out)
        os.write(self.process.input, channel.request(
            self.sequence, command, number, argument, data))
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            answer = channel.reply(self.process.out[since:], self.sequence)
            if answer:
                return answer
            time.sleep(0.002)
        return None, 0, b""

    def must(self, command, number=0, error=0):
        got, value, data = self.ask(command, number)
        self.checks.check(got == error, "command %d for VM %d ends with %s %s"
                          % (command, number, got, data if got else ""))
        return value

    def create(self, vm):
        """Error, number and words."""
        record = vm.record()
        for at in range(0, len(record), PIECE):
            self.ask(DESCRIBE, 0, at, record[at:at + PIECE])
        return self.ask(CREATE)

    def vms(self):
        """Number: name, state and words."""
        found, first = {}, 0
        while True:
            _, first, data = self.ask(LIST, 0, first)
            for at in range(0, len(data), STATUS):
                name, number, state = struct.unpack_from("<32sII", data, at)
                words = data[at + STATUS - 160:at + STATUS]
                found[number] = (name.rstrip(b"\0").decode(), state,
                                 words.rstrip(b"\0").decode())
            if not first:
                return found

    def wait_for(self, number, state):
        end = time.monotonic() + self.seconds
        while (seen := self.vms().get(number, ("", 0))[1]) != state:
            if time.monotonic() > end:
                break
        return self.checks.check(seen == state, "VM %d is in state %d"
                                 % (number, seen))

    def has_been(self, number, state):
        """By the events."""
        return any(event[0] == state for event in
                   channel.events(self.process.out, number))

    def memory(self):
        """Free frames and used pages, in bytes."""
        data = self.ask(INFO)[2]
        return struct.unpack_from("<QQ", data, 56)

    def console(self, number):
        return b"".join(payload for stream, payload in
                        self.frames(channel.CONSOLE) if stream == number)


def boot(setup, back_end, checks, vms, **more):
    counter = (setup.guests / "counter.elf").read_bytes()
    folder = disks.fresh_folder(setup, checks)
    disk = disks.boot_folder(setup, folder, damages.package(
        vms, [damages.Image(b"counter.elf", damages.ELF64, counter)],
        damages.machine(serial_mode=CHANNEL, flags=damages.SHARE_CPUS)))
    machine = machines.Machine(back_end, disk, folder, checks.note, **more)
    seconds = SECONDS * back_end.patience
    checks.check(machine.process.wait_for("running", seconds), "it boots")
    return machine, Client(machine.process, checks, seconds)


def cycles(client, checks, count):
    """Whether they leave exactly the memory that there was before."""
    before = client.memory()
    for i in range(count):
        vm = damages.Vm(b"again", 0, b"period=10", cpus=(i % 2, 1 - i % 2),
                        memory=4 << 20)
        error, number, words = client.create(vm)
        if error != 0 or client.must(START, number) \
                or not client.wait_for(number, RUNNING) \
                or client.must(STOP, number) \
                or not client.wait_for(number, STOPPED) \
                or client.must(DESTROY, number):
            checks.check(False, "round %d: %s %s" % (i, error, words))
            return
        if i == 0: # what is made once, at the first use
            first = client.memory()
    after = client.memory()
    checks.check(after == first, "memory after %d rounds: %s, first %s"
                 % (count, after, first))
    checks.check(after == before, "and before: %s" % (before,))


def mistakes(client, checks):
    for vm, words in ((damages.Vm(b"steady", 0), "has this name"),
                      (damages.Vm(b"refused", 0), "has this name"),
                      (damages.Vm(b"x", 0, cpus=(2,)), "needs CPU 2"),
                      (damages.Vm(b"x", 1), "no kernel"),
                      (damages.Vm(b"x", 0, memory=1 << 30), "but only")):
        error, _, told = client.create(vm)
        checks.check(error == BAD_REQUEST and words in told.decode(),
                     "refused: %s" % told.decode())
    client.must(DESTROY, 0, WRONG_STATE)
    client.must(DESTROY, 5, NOT_FOUND)


def pause(client, checks):
    client.must(PAUSE, 0)
    client.wait_for(0, PAUSED)
    # The event comes behind what was printed; a list may come before that.
    end = time.monotonic() + client.seconds
    while not client.has_been(0, PAUSED) and time.monotonic() < end:
        time.sleep(0.02)
    printed = client.console(0)
    time.sleep(0.5)
    checks.check(client.console(0) == printed, "it prints nothing")
    client.must(RESUME, 0)
    client.wait_for(0, RUNNING)
    end = time.monotonic() + client.seconds
    while client.console(0) == printed and time.monotonic() < end:
        time.sleep(0.05)
    checks.check(client.console(0) != printed, "it goes on")
    client.must(PAUSE, 0)
    client.wait_for(0, PAUSED)
    client.must(STOP, 0)
    client.wait_for(0, STOPPED)


def life(setup, back_end, checks, count=25):
    """Mistakes, a pause, and @count VMs one after the other."""
    machine, client = boot(setup, back_end, checks, [
        damages.Vm(b"steady", 0, b"period=50", memory=4 << 20),
        damages.Vm(b"refused", 7)])
    try:
        checks.check(client.vms()[1][1:] == (REFUSED, "has no kernel"),
                     "a refused one is listed, with its reason")
        mistakes(client, checks)
        cycles(client, checks, count)
        pause(client, checks)
        client.must(DESTROY, 0)
        client.must(DESTROY, 1)
        checks.check(not client.vms(), "none is left")
        checks.check(client.has_been(0, DESTROYED), "an event tells of it")
    finally:
        machine.stop()


def long_life(setup, back_end, checks):
    life(setup, back_end, checks, 200)


def many(setup, back_end, checks):
    """64 VMs on 4 CPUs, half of them made at run time."""
    def one(number):
        return damages.Vm(b"vm%d" % number, 0, b"period=500",
                          cpus=(number % 4,), memory=4 << 20)

    machine, client = boot(setup, back_end, checks,
                           [one(i) for i in range(32)], cpus=4)
    try:
        for i in range(32, 64):
            error, number, words = client.create(one(i))
            checks.check((error, number) == (0, i), "made: %s %s"
                         % (number, words))
            client.must(START, i)
        error, _, words = client.create(one(64))
        checks.check(error == 1, "one more: %s" % words.decode())
        end = time.monotonic() + client.seconds
        while time.monotonic() < end and not all(
                b"counter: 3\n" in client.console(i) for i in range(64)):
            time.sleep(0.2)
        for i in range(64):
            name = "vm%d" % i
            checks.check(client.console(i).startswith(
                b"counter: %s has 1 vCPU(s)" % name.encode())
                and b"counter: 3\n" in client.console(i), name + " counts")
        seen = client.vms()
        checks.check({i: vm[:2] for i, vm in seen.items()} == {
            i: ("vm%d" % i, RUNNING) for i in range(64)},
            "all are listed: %s" % seen)
    finally:
        machine.stop()
