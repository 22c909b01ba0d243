# SPDX-License-Identifier: MIT
"""A stock Linux sleeps (suspend-to-idle) and is woken at its console; see
guests/linux/suspend."""
import time

from process import Process
from scenarios import LINUX

SETTLE = 5  # seconds in which it falls asleep
QUIET = 4   # and in which it then says nothing
WAKE = 30   # to wake up
BUTTON = "\x1db"


def sleeps(checks, process, what, times):
    """It stops, whatever ran."""
    checks.check(process.wait_for(r"^Sleeps: " + what, LINUX),
                 "Linux goes to sleep: " + what)
    checks.check(process.wait_for(r"PM: suspend entry \(s2idle\)", 30,
                                  count=times), "by suspend-to-idle")
    time.sleep(SETTLE)
    before = process.text()
    time.sleep(QUIET)
    checks.check(process.text() == before, "it says nothing for %d s" % QUIET)


def linux_suspend(setup, back_end, checks):
    process = Process(
        [setup.mullctl, "run", "-v", *back_end.words,
         "--kernel", setup.kernels / "cloud-amd64/vmlinuz",
         "--initrd", setup.build / "demo.cpio.gz", "--cpus", "2",
         "--memory", "512MiB", "--cmdline", "console=ttyS0 cryptomgr.notests "
         "mullion.run=suspend mullion.cpus=2"],
        checks.note, terminal=True, environment=back_end.environment)
    try:
        sleeps(checks, process, "a byte", 1)
        process.send("\n")
        checks.check(process.wait_for(r"^PASS the kernel sleeps and wakes",
                                      WAKE), "a typed byte wakes it")
        checks.check(process.wait_for(r"^DONE 4 0", WAKE), "it is well")
        checks.check(process.wait_for(r"^DONE 9 0", LINUX),
                     "its CPUs go, come back, work and rest")
        sleeps(checks, process, "the button", 2)
        process.send(BUTTON)
        time.sleep(1)
        process.send("\n")
        checks.check(process.wait_for(r"^Waits for the button", WAKE),
                     "a byte wakes it again")
        checks.check(process.wait_for(r"^PASS a press while it sleeps", 1),
                     "a press while it sleeps is kept")
        process.send(BUTTON)
        checks.check(process.wait_for(r"^PASS the button works", WAKE),
                     "the button still works")
        checks.check(process.wait_for(r"linux: powered off", WAKE, "err"),
                     "it powers off")
        checks.check("\nFAIL " not in process.text(), "Linux finds no fault")
    finally:
        process.stop()
        checks.note(process.text())
        checks.note(process.text("err"))
