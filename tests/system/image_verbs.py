# SPDX-License-Identifier: MIT
"""mullctl's verbs about images, and VMs that are made of them."""
import random
import signal
import time

import disks
from control import Tool, boot, wait_for_hypervisor
from process import Process

VM = """\
name: made
memory: 16MiB
cpus: 1
kernel: %s
cmdline: count=100000 period=100
"""
BIG = 2 << 20


def names(tool):
    return {image["name"]: image for image in tool.json("images")["images"]}


def there_and_back(setup, tool, checks, folder):
    counter = setup.guests / "counter.elf"
    told = tool.json("upload", counter, "--name", "tick")
    checks.check(told["kind"] == "elf" and told["sent"] < told["size"] * 2 / 3
                 and told["sent_from"] == 0,
                 "it is compressed, %d of %d bytes" % (told["sent"],
                                                       told["size"]))
    image = names(tool)["tick"]
    checks.check(image["state"] == "uploaded" and image["number"] == 1
                 and image["received"] == image["size"], "it is listed")
    checks.check(tool.json("upload", counter, "--name", "tick")["was_there"],
                 "what is there is not sent again")
    tool.run("download", "tick", folder / "back")
    checks.check((folder / "back").read_bytes() == counter.read_bytes(),
                 "it comes back as it was")
    tool.run("download", "nothing", folder / "none", status=3)
    checks.check(not (folder / "none").exists(), "and no file without one")


def refusals(setup, tool, checks, folder):
    other = folder / "other"
    other.write_bytes(b"an initial RAM disk")
    _, words = tool.run("upload", other, "--name", "tick", status=4)
    checks.check("--replace" in words, "a name that is taken is told")
    tool.run("upload", other, "--name", "counter.elf", "--replace", status=4)
    tool.run("upload", other, "--kind", "elf", status=1)
    tool.run("upload", other, "--kind", "elves", status=2)
    tool.run("upload", folder / "missing", status=1)
    tool.run("upload", other, "--name", "n" * 32, status=1)
    tool.run("upload", other)
    checks.check(names(tool)["other"]["kind"] == "initrd",
                 "what is no kernel is an initrd")
    other.write_bytes(b"another one")
    tool.run("upload", other, "--replace")
    checks.check(names(tool)["other"]["size"] == 11, "--replace replaces it")
    tool.run("delete", "other")
    tool.run("delete", "other", status=3)
    tool.run("delete", "counter.elf", status=4)


def makes_a_vm(setup, tool, checks, folder):
    file = folder / "made.yaml"
    file.write_text(VM % "tick")
    _, words = tool.run("create", file, status=1)
    checks.check("made.yaml:3: " in words and "0 are free" in words,
                 "a mistake is shown with its line")
    tool.run("destroy", "short")
    told = tool.json("create", file)
    checks.check(told == {"schema": 1, "number": 1, "name": "made",
                          "kernel_image": 1}, "the VM is number 1")
    tool.wait_for_states(steady="running", made="stopped")
    tool.run("start", "made", "--wait")
    checks.check(tool.json("show", "made")["vcpus"][0]["processor"] == 1,
                 "it has the processor that was free")
    console = Process([tool.mullctl, "console", "made", "--connect",
                       tool.address], checks.note)
    checks.check(console.wait_for(r"^counter: \d+$", 30), "it runs")
    console.stop()
    audit = tool.json("audit")
    checks.check(not audit["faults"], "the audit knows the store's frames")
    file.write_text(VM.replace("cpus: 1", "cpus: [1]") % "tick")
    tool.run("create", file, status=4)
    _, words = tool.run("delete", "tick", status=4)
    checks.check("made from image 1" in words, "an image in use stays")
    tool.run("stop", "made", "--force")
    tool.run("destroy", "made")
    tool.run("delete", "tick")
    # A file is uploaded first; the manifest's own form will do as well.
    (folder / "image.elf").write_bytes(
        (setup.guests / "counter.elf").read_bytes())
    file.write_text("vms:\n  made: {memory: 16MiB, cpus: [1], "
                    "kernel: image.elf}\n")
    tool.run("create", file, "--start")
    tool.wait_for_states(steady="running", made="running")
    checks.check("image.elf" in names(tool), "its kernel was uploaded")
    tool.run("stop", "made", "--force")
    tool.run("destroy", "made")
    tool.run("delete", "image.elf")


def is_interrupted(tool, checks, folder):
    """Killed in the middle of an upload, and by Ctrl-C."""
    big = folder / "big"
    big.write_bytes(random.Random(3).randbytes(BIG))
    for number in signal.SIGKILL, signal.SIGINT:
        client = Process([tool.mullctl, "upload", big, "--connect",
                          tool.address], checks.note)
        time.sleep(2)
        client.process.send_signal(number)
        client.finish(10)
        came = names(tool)["big"]
        checks.check(came["state"] == "partial" and
                     0 < came["received"] < BIG,
                     "%d bytes came" % came["received"])
    _, words = tool.run("upload", folder / "back", status=4)
    checks.check("mullctl delete big" in words,
                 "one upload is not lost for another")
    told = tool.json("upload", big)
    checks.check(told["sent_from"] >= came["received"]
                 and told["sent"] == BIG - told["sent_from"],
                 "it goes on at %d" % told["sent_from"])
    checks.note("%d bytes in %.1f s" % (told["sent"], told["time"] / 1e9))
    tool.run("delete", "big")


def image_verbs(setup, _, checks):
    folder = disks.fresh_folder(setup, checks)
    process, address = boot(setup, checks, folder)
    tool = Tool(setup, checks, address)
    try:
        wait_for_hypervisor(tool)
        tool.wait_for_states(steady="running", short="stopped")
        there_and_back(setup, tool, checks, folder)
        refusals(setup, tool, checks, folder)
        makes_a_vm(setup, tool, checks, folder)
        free = tool.json("info")["memory_free"]
        is_interrupted(tool, checks, folder)
        checks.check(tool.json("info")["memory_free"] == free,
                     "all memory is free again")
    finally:
        process.stop()
