# SPDX-License-Identifier: MIT
"""What a framebuffer shows, read from pictures of the emulator's screen."""
import json
import re
import signal
import socket
import struct
import time

import disks
import machines
from process import Process

GLYPH = 16 # rows; one byte of eight pixels each


class Picture:
    """@rows: for each row, one byte a pixel, 0 where it is black."""

    def __init__(self, rows):
        self.rows = rows

    def lit_rows(self):
        return sum(any(row) for row in self.rows)

    def lines(self, font, scale, left):
        """What lines of @font's characters would be there, if they began at
        column @left: for each row of pixels one."""
        bits = []
        for row in self.rows[::scale]:
            line = row[left::scale]
            bits.append([sum(128 >> x for x in range(8) if line[at + x])
                         for at in range(0, len(line) - 7, 8)])
        for y in range(len(bits) - GLYPH + 1):
            yield "".join(font.get(glyph, "\0")
                          for glyph in zip(*bits[y:y + GLYPH]))

    def text(self, font):
        """All that can be read on it, wherever it is."""
        return "\n".join(line for scale in (1, 2) for left in range(8)
                         for line in self.lines(font, scale, left))


def read_font(setup):
    """The hypervisor's font: what a glyph's rows stand for."""
    text = (setup.build / "gen/font.h").read_text()
    glyphs = re.findall(r"\{ ((?:0x\w\w,? ){%d})\}" % GLYPH, text)
    return {tuple(int(byte, 16) for byte in glyph.replace(",", "").split()):
            chr(0x20 + i) for i, glyph in enumerate(glyphs)}


# ---- QEMU -------------------------------------------------------------------

class Qmp:
    """The emulator's monitor."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command,
                                    "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                return answer

    def picture(self, file):
        self.ask("screendump", filename=str(file))
        data = file.read_bytes()
        width, height = map(int, data.split(b"\n", 3)[1].split())
        pixels = data[-3 * width * height:]
        return Picture([pixels[3 * width * y:3 * width * (y + 1):3]
                        for y in range(height)])


def judge(setup, checks, loader, running):
    """The loader speaks by the firmware's font, the hypervisor by its own."""
    text = running.text(read_font(setup))
    if loader: # a line of text has some ten lit rows; there may be one only
        checks.check(loader.lit_rows() > 6, "the loader is on the screen (%d "
                     "rows)" % loader.lit_rows())
        checks.check(loader.rows != running.rows, "the two screens differ")
    for words in ("Mullion 0.", "processors run", "virtualization: ",
                  ": running"):
        checks.check(words in text, "on the screen: " + words)


def on_qemu(setup, checks, folder):
    path = folder / "qmp"
    process = Process(
        [setup.mullctl, "run", "-v", "--kernel", setup.guests / "counter.elf",
         "--memory", "16MiB", "--qemu-arg", "-vga", "--qemu-arg", "std",
         "--qemu-arg", "-qmp", "--qemu-arg",
         "unix:%s,server=on,wait=off" % path], checks.note)
    try:
        checks.check(process.wait_for(r"^Mullion ", machines.SECONDS, "err"),
                     "the loader speaks")
        qmp = Qmp(path)
        qmp.ask("stop")
        early = "loaded at" not in process.text("err")
        loader = qmp.picture(folder / "loader.ppm")
        qmp.ask("cont")
        checks.check(process.wait_for(r"^counter: 2", machines.SECONDS),
                     "it runs")
        running = qmp.picture(folder / "running.ppm")
    finally:
        process.stop()
    checks.check("Screen:     no framebuffer" not in process.text("err"),
                 "the loader names the framebuffer")
    judge(setup, checks, loader if early else None, running)


# ---- Bochs, on an X server without a screen --------------------------------

def window_picture(file):
    """Of the server's framebuffer, a file of <X11/XWDFile.h>."""
    data = file.read_bytes()
    header = struct.unpack(">25I", data[:100])
    height, line, colours = header[5], header[12], header[19]
    start, width = header[0] + 12 * colours, header[4]
    return Picture([data[start + line * y:start + line * y + 4 * width:4]
                    for y in range(height)])


def start_server(folder, note):
    """An X server, which chooses its number itself."""
    return Process(["Xvfb", "-displayfd", "1", "-screen", "0", "1024x800x24",
                    "-fbdir", folder, "-nolisten", "tcp"], note)


def run_on_bochs(setup, back_end, checks, folder, display):
    manifest = disks.manifest_of_two(setup, folder)
    disks.pack(setup, checks, manifest, "-o", str(folder / "esp") + "/")
    machine = machines.Machine(
        back_end, folder / "esp", folder, checks.note,
        environment={"DISPLAY": ":" + display}, display="x",
        more=machines.BOCHS_SCREEN)
    seconds = machines.SECONDS * back_end.patience
    try:
        checks.check(machine.wait_for(r"Screen: +\d+ x \d+ pixels", seconds),
                     "the loader names the framebuffer")
        checks.check(machine.wait_for(r"counter: 5", seconds), "it runs")
        time.sleep(2) # until Bochs has drawn what is there
        machine.process.process.send_signal(signal.SIGSTOP)
        return window_picture(folder / "Xvfb_screen0")
    finally:
        machine.stop()


def on_bochs(setup, back_end, checks, folder):
    server = start_server(folder, checks.note)
    try:
        server.wait_for(r"^\d+\n", machines.SECONDS)
        running = run_on_bochs(setup, back_end, checks, folder,
                               server.text().strip())
    finally:
        server.stop()
    judge(setup, checks, None, running)


def screen(setup, back_end, checks):
    """Loader and hypervisor can be read on a framebuffer."""
    folder = disks.fresh_folder(setup, checks)
    if back_end.emulator == "qemu":
        on_qemu(setup, checks, folder)
    else:
        on_bochs(setup, back_end, checks, folder)
