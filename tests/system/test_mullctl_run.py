#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mullctl run against fake_qemu.py: consoles, input, exit status, cleanliness.
usage: test_mullctl_run.py [MULLCTL]   (needs mtools)"""
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MULLCTL = os.path.abspath(
    sys.argv[1] if len(sys.argv) > 1 else HERE + "/../../build/mullctl")
failed = 0
folder = tempfile.mkdtemp()
temporary = folder + "/tmp"
os.mkdir(temporary)


def report(good, words):
    global failed
    print("PASS" if good else "FAIL", words, flush=True)
    failed += not good


def write(name, data):
    with open(folder + "/" + name, "wb") as file:
        file.write(data)
    return folder + "/" + name


def read(name):
    with open(folder + "/" + name, "rb") as file:
        return file.read()


def bzimage():
    image = bytearray(8192)
    image[0x202:0x206] = b"HdrS"
    image[0x206:0x208] = b"\x0f\x02"  # protocol 2.15
    image[0x236] = 1                  # 64-bit entry point
    return bytes(image)


KERNEL = write("kernel", bzimage())
EFI = write("mullion.efi", b"MZ" + bytes(1000))
FLASH = write("flash", b"flash")
TWO = write("two.yaml", b"""
vms:
  web: {memory: 64MiB, cpus: [0], kernel: kernel}
  database: {memory: 64MiB, cpus: [1], kernel: kernel}
""")
WAITING = write("waiting.yaml", b"""
vms:
  web: {memory: 64MiB, cpus: [0], kernel: kernel, autostart: false}
  database: {memory: 64MiB, cpus: [1], kernel: kernel}
""")


def environment(scenario, **more):
    return dict(os.environ, FAKE_SCENARIO=scenario, FAKE_PID=folder + "/pid",
                MULLCTL_QEMU=HERE + "/fake_qemu.py", MULLION_EFI=EFI,
                OVMF_CODE=FLASH, OVMF_VARS=FLASH, TMPDIR=temporary, **more)


def emulator_is_gone():
    try:
        os.kill(int(read("pid")), 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    return False


def is_clean():
    return emulator_is_gone() and not os.listdir(temporary)


def run(scenario, *arguments, text=b"", what=None, timeout="20",
        **more):
    what = what or ["--kernel", KERNEL]
    done = subprocess.run(
        [MULLCTL, "run", *what, "--timeout", timeout, *arguments], input=text,
        env=environment(scenario, **more), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=60)
    if not is_clean():
        report(False, scenario + " leaves something behind")
    return done.returncode, done.stdout, done.stderr.decode()


def test_endings():
    status, out, err = run("poweroff")
    report(status == 0, "a power-off ends the run with 0")
    report(out == b"hello from the guest\r\n\x01\x00\xff",
           "a single console is shown to the byte, and nothing else")
    report("mullctl: linux: powered off after" in err
           and "log speaks" not in err,
           "standard error says what became of it")

    status, out, err = run("code", FAKE_CODE="5")
    report(status == 69 and "exit code 5" in err,
           "a guest's exit code is 64 and more")
    report(run("code", FAKE_CODE="0")[0] == 0, "exit code 0 is a success")
    report(run("code", FAKE_CODE="300")[0] == 127, "exit codes are capped")

    status, out, err = run("crash")
    report(status == 4 and out == b"last words", "a crash ends with 4")
    report("crashed after" in err and "rip 0x1234?[31m" in err
           and "log speaks" in err, "a crash shows reason and log, harmlessly")

    status, out, err = run("refused")
    report(status == 3 and "SHA-256 does not match" in err,
           "a refused VM ends with 3 and words")
    report(run("reset", "--no-reboot")[0] == 5, "--no-reboot ends with 5")
    status, out, err = run("reset")
    report(status == 0 and out == b"again\n", "a reset alone does not end it")

    status, out, err = run("death")
    report(status == 7 and "qemu: no more" in err,
           "the emulator's death ends with 7 and its words")
    status, out, err = run("panic")
    report(status == 7 and "PANIC on CPU 0: assertion failed" in err,
           "a panic ends with 7 and its words")
    start = time.time()
    status, out, err = run("silence", timeout="2")
    report(status == 6 and "was still running" in err
           and time.time() - start < 15, "a timeout ends with 6")


def test_consoles():
    status, out, err = run("noise")
    report(status == 0 and out == b"right\n", "noise on the line is ignored")
    status, out, err = run("two", what=[TWO])
    report(status == 0 and out.decode().splitlines() == [
        "web      | one", "database | from the other", "web      | two",
        "database | prompt> typed"], "several consoles are told apart")
    report("web: powered off" in err and "database: powered off" in err,
           "the run waits for every VM")
    status, out, err = run("waiting", what=[WAITING])
    report(status == 0 and "web" not in err,
           "a VM that does not start by itself is not waited for")
    status, out, err = run("next_vm", what=[TWO], text=b"one\ntwo\n")
    report(status == 0 and b"web      | one\n" in out
           and b"database | two\n" in out, "input goes on to the next VM")
    status, out, err = run("prompt", text=b"poweroff\n")
    report(status == 0 and out == b"booting\r\nlogin: <poweroff\n>",
           "input waits for the prompt, its end does not end the run")


def test_options():
    status, out, err = run("serial_mode", "-v", "--serial", folder + "/serial")
    report(out == b"serial mode 2", "the package gets the channel")
    report("log speaks" in err and "Firmware speaks" in err
           and "\x1b" not in err, "-v shows the log, harmlessly")
    serial = read("serial")
    report(b"Firmware speaks\r\n" in serial and b"log speaks\n" in serial
           and b"serial mode" not in serial, "--serial writes log and text")

    run("poweroff", "--keep", folder + "/kept", "--deterministic", "--smp",
        "3", "--machine-memory", "1GiB", "--qemu-arg", "-foo")
    command = read("kept/command").decode().split("\n")
    report("shift=6,sleep=off" in command and "3" in command
           and "1024M" in command and "-foo" in command,
           "--keep leaves the emulator's command line")

    run("poweroff", "--keep", folder + "/kept", "--disk", KERNEL, "--disk",
        FLASH + ",nvme", "--disk", write("a,b", b""))
    command = read("kept/command").decode().split("\n")
    report("if=none,id=disk0,format=raw,file=" + KERNEL in command
           and "virtio-blk-pci,drive=disk0,disable-legacy=on" in command
           and "if=none,id=disk1,format=raw,file=" + FLASH in command
           and "nvme,drive=disk1,serial=1" in command
           and "if=none,id=disk2,format=raw,file=%s/a,,b" % folder in command,
           "--disk gives the machine disks")

    run("poweroff", "--keep", folder + "/kept", "--nic", "virtio", "--nic",
        "e1000e,hostfwd=tcp::1-:2")
    command = read("kept/command").decode().split("\n")
    report("user,id=net0" in command
           and "virtio-net-pci,disable-legacy=on,netdev=net0,romfile="
           in command and "user,id=net1,hostfwd=tcp::1-:2" in command
           and "e1000e,netdev=net1,romfile=" in command,
           "--nic gives the machine network cards")

    for words, arguments, status in [
            ("a card that is none",
             ["--kernel", KERNEL, "--nic", "ne2000"], 1),
            ("a card for Bochs", ["--kernel", KERNEL, "--nic", "virtio",
                                  "--emulator", "bochs"], 1),
            ("a disk that is not there",
             ["--kernel", KERNEL, "--disk", folder + "/none,nvme"], 1),
            ("a disk for Bochs", ["--kernel", KERNEL, "--disk", KERNEL,
                                  "--emulator", "bochs"], 1),
            ("neither manifest nor kernel", [], 1),
            ("both", [TWO, "--kernel", KERNEL], 1),
            ("--memory without --kernel", [TWO, "--memory", "1GiB"], 1),
            ("odd --memory", ["--kernel", KERNEL, "--memory", "3MiB"], 1),
            ("unknown emulator", [TWO, "--emulator", "vice"], 1),
            ("a kernel that is none", ["--kernel", FLASH], 1),
            ("no mullion.efi", [TWO, "--efi", folder + "/none"], 2),
            ("no qemu", [TWO, "--qemu", "no-such-qemu"], 2)]:
        done = subprocess.run([MULLCTL, "run", *arguments],
                              env=environment("silence"),
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        report(done.returncode == status
               and done.stderr.startswith(b"mullctl:")
               and not done.stdout and is_clean(),
               "%s: status %d and words" % (words, status))


def test_words():
    def say(*arguments):
        done = subprocess.run([MULLCTL, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout, done.stderr

    status, overview, err = say("help")
    verbs = re.findall(r"^  ([a-z]+) ", overview.split("verbs:")[1].split(
        "exit status")[0], re.M)
    report(status == 0 and {"check", "pack", "run", "list", "reboot", "help",
                            "man"} < set(verbs), "help lists the verbs")
    page = say("man")[1].replace("\\-", "-")
    for verb in verbs:
        text = say("help", verb)[1]
        report(text == say(verb, "--help")[1] and "usage: mullctl " + verb
               in text, "help explains " + verb)
        report(all(word in page for word in text.split()
                   if word.startswith("--")),
               "the manual page has the options of " + verb)
    report(say("chekc")[2].endswith('did you mean "check"?\n')
           and say("run", "--kernle=x")[2].endswith("mean --kernel?\n"),
           "what was meant is guessed")
    report(say()[0] == 1 and say("--version")[1].startswith("mullctl "),
           "mullctl alone is a mistake, its version is not")


def test_installed():
    """mullctl in bin finds the hypervisor in share."""
    for name in "bin", "share/mullion":
        os.makedirs(folder + "/prefix/" + name)
    tool = shutil.copy(MULLCTL, folder + "/prefix/bin")
    what = [tool, "pack", TWO, "-o", folder + "/packed/"]
    bare = {name: value for name, value in os.environ.items()
            if name != "MULLION_EFI"}
    done = subprocess.run(what, env=bare, capture_output=True, check=False)
    report(done.returncode == 2 and b"/bin/mullion.efi" in done.stderr,
           "without a hypervisor there is no package")
    shutil.copy(EFI, folder + "/prefix/share/mullion/mullion.efi")
    done = subprocess.run(what, env=bare, capture_output=True, check=False)
    report(done.returncode == 0
           and read("packed/EFI/BOOT/BOOTX64.EFI") == read("mullion.efi"),
           "an installed mullctl finds the installed hypervisor")


def test_completion():
    def complete(*words):
        done = subprocess.run(
            ["bash", "-c", 'eval "$(%s completion bash)"\n'
             "mullctl() { echo 'NUMBER  NAME'; echo '0       web'; }\n"
             'timeout() { shift; "$@"; }\n' # the real one knows no functions
             "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _mullctl\n"
             'echo "${COMPREPLY[@]}"' % MULLCTL, "bash", "mullctl", *words],
            stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout.split()

    report(complete("st") == ["start", "stop", "stats"],
           "bash completes verbs")
    report(complete("stop", "--f") == ["--force"], "bash completes options")
    report(complete("console", "w") == ["web"]
           and complete("stats", "w") == ["web"]
           and not complete("list", "w"), "bash completes names of VMs")


def test_signals():
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        process = subprocess.Popen(
            [MULLCTL, "run", "--kernel", KERNEL], env=environment("silence"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        process.stdout.read(4)
        process.send_signal(number)
        process.communicate(timeout=20)
        report(process.returncode == -number and is_clean(),
               "%s ends it and leaves nothing" % number.name)


class Terminal:
    """mullctl on a terminal of its own."""

    def __init__(self, scenario):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""

        def own_terminal():
            os.setsid()
            import fcntl
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [MULLCTL, "run", "--kernel", KERNEL, "--timeout", "30"],
            env=environment(scenario), stdin=slave, stdout=slave,
            stderr=slave, preexec_fn=own_terminal)

    def wait_for(self, text):
        while text not in self.seen:
            self.seen += os.read(self.master, 4096)

    def type(self, text):
        os.write(self.master, text)

    def end(self):
        status = self.process.wait(30)
        os.set_blocking(self.master, False)
        try:
            self.seen += os.read(self.master, 65536)
        except BlockingIOError:
            pass
        return status

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before


def test_terminal():
    terminal = Terminal("echo")
    terminal.wait_for(b"ready")
    terminal.type(b"a\r\x03\x1d\x1d")
    terminal.wait_for(b"61")
    terminal.wait_for(b"0d")
    terminal.wait_for(b"03")
    terminal.wait_for(b"1d")
    report(True, "keys reach the guest unchanged, Ctrl-C as well")
    terminal.type(b"\x1d?")
    terminal.wait_for(b"press the power button")
    report(True, "Ctrl-] ? shows the keys")
    terminal.type(b"\x1dq")
    report(terminal.end() == 130, "Ctrl-] q ends with 130")
    report(terminal.is_restored() and is_clean(), "the terminal is as before")
    report(b"starting the firmware" in terminal.seen, "progress is shown")

    terminal = Terminal("button")
    terminal.wait_for(b"press it")
    terminal.type(b"\x1db")
    report(terminal.end() == 0 and b"command 1 for 0" in terminal.seen,
           "Ctrl-] b presses the power button")
    report(b"the hypervisor says: not found" in terminal.seen,
           "an error in a reply is shown")

    terminal = Terminal("silence")
    terminal.wait_for(b"stay")
    terminal.process.send_signal(signal.SIGTERM)
    report(terminal.end() == -signal.SIGTERM and terminal.is_restored()
           and is_clean(), "a signal restores the terminal")


try:
    test_endings()
    test_consoles()
    test_options()
    test_words()
    test_installed()
    test_completion()
    test_signals()
    test_terminal()
finally:
    subprocess.run(["rm", "-r", folder])
print("FAIL" if failed else "PASS", "mullctl run:", failed, "failures")
sys.exit(failed != 0)
