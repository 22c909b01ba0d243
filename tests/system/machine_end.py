# SPDX-License-Identifier: MIT
"""The machine restarts, and is switched off, over the channel."""
import time

import channel
import damages
import life
from channel import MACHINE

BAD_REQUEST = 3
POWER_OFF, REBOOT, WARM_RESET = 1, 2, 3


def starts(client):
    return len(client.frames(channel.HELLO))


def end_machine(client, checks, end):
    """The answer comes, and that what ran has ended before."""
    since = len(client.process.out)
    error, _, words = client.ask(MACHINE, 0, end)
    checks.check(error == 0, "end %d is answered: %s %s" % (end, error, words))
    for number in 0, 1:
        until = time.monotonic() + client.seconds
        while (states := [state for state, _, _ in channel.events(
                client.process.out[since:], number)]) \
                .count(life.STOPPED) == 0 and time.monotonic() < until:
            time.sleep(0.1)
        checks.check(life.STOPPED in states and life.RUNNING not in
                     states[:states.index(life.STOPPED)],
                     "VM %d has stopped first: %s" % (number, states))


def machine_end(setup, back_end, checks):
    # Bochs goes on after a reset, in any case; but after a cold one its
    # firmware waits for ever for a PM timer that is not there.
    is_qemu = back_end.emulator == "qemu"
    more = {"on_reset": "reset"} if is_qemu else {}
    ways = (WARM_RESET, REBOOT) if is_qemu else (WARM_RESET,)
    machine, client = life.boot(setup, back_end, checks, [
        damages.Vm(b"one", 0, b"period=50", memory=4 << 20),
        damages.Vm(b"two", 0, b"period=50", memory=4 << 20, cpus=(1,)),
        damages.Vm(b"refused", 7)], # nothing waits for it
        **more)
    try:
        error, _, _ = client.ask(MACHINE, 0, 0)
        checks.check(error == BAD_REQUEST, "0 is no end")
        for count, how in enumerate(ways, 2):
            for number in 0, 1:
                client.wait_for(number, life.RUNNING)
            end_machine(client, checks, how)
            end = time.monotonic() + client.seconds
            while starts(client) < count and time.monotonic() < end:
                time.sleep(0.2)
            checks.check(starts(client) == count, "start number %d" % count)
        for number in 0, 1:
            client.wait_for(number, life.RUNNING)
        end_machine(client, checks, POWER_OFF)
        status = machine.process.finish(client.seconds)
        told = machine.process.text("out") + machine.process.text("err")
        checks.check(status == 0 if is_qemu else "soft power off" in told,
                     "the emulator ends: %s" % status)
        checks.check("PANIC" not in machine.text(), "no panic")
    finally:
        machine.stop()
