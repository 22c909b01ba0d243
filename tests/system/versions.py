# SPDX-License-Identifier: MIT
"""What mullctl says to a hypervisor of another version."""
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time
import zlib

import channel
from control import Tool

UNSUPPORTED = 9
INFO_SIZE = 536


class OtherHypervisor:
    """Knows INFO and nothing else."""

    def __init__(self, path, version, interface):
        self.info = (version.encode().ljust(32, b"\0") + struct.pack(
            "<I", interface)).ljust(INFO_SIZE, b"\0")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            with line:
                self.answer(line)

    def answer(self, line):
        taken = b""
        while bytes_ := line.recv(4096):
            taken += bytes_
            *parts, taken = taken.split(b"\0")
            for part in filter(None, parts):
                raw = channel.uncobs(part)
                number, = struct.unpack_from("<I", raw, 4)
                command, = struct.unpack_from("<I", raw, 8)
                known = command == channel.INFO
                line.sendall(channel.frame(
                    channel.REPLY, channel.HYPERVISOR, number, struct.pack(
                        "<IIQ", number, 0 if known else UNSUPPORTED, 0) +
                    (self.info if known else b"no such command")))

    def close(self):
        self.listener.close()


class OtherFrames(OtherHypervisor):
    """Its log comes in frames of version 2, and requests are text to it."""

    def answer(self, line):
        raw = struct.pack("<BBHI", 2, channel.LOG, channel.HYPERVISOR, 1)
        raw += b"a line of the log"
        raw += struct.pack("<I", zlib.crc32(raw))
        line.sendall(b"\0" + channel.cobs(raw) + b"\0")
        while line.recv(4096):
            pass


def other_frames(setup, checks):
    path = pathlib.Path("/tmp/mullctl-test-%d-frames" % os.getpid())
    other = OtherFrames(path, "0.9.0", 9)
    tool = Tool(setup, checks, "unix:%s" % path)
    try:
        _, words = tool.run("list", status=6)
        checks.check("version 2 of the protocol" in words
                     and "use the mullctl" in words,
                     "other frames are told from silence")
        began = time.monotonic()
        subprocess.run(
            ["bash", "-c", "source <(mullctl completion bash); "
             "COMP_WORDS=(mullctl show x) COMP_CWORD=2; _mullctl; true"],
            check=True, env=dict(os.environ, MULLCTL_CONNECT=tool.address,
                                 PATH="%s:%s" % (setup.mullctl.parent,
                                                 os.environ["PATH"])))
        checks.check(time.monotonic() - began < 5,
                     "completion does not wait for who is silent")
    finally:
        other.close()
        path.unlink()


def versions(setup, checks):
    path = pathlib.Path("/tmp/mullctl-test-%d-versions" % os.getpid())
    other = OtherHypervisor(path, "0.0.7", 1)
    tool = Tool(setup, checks, "unix:%s" % path)
    try:
        shown, words = tool.run("--version")
        checks.check(shown.splitlines()[0].startswith("mullctl ")
                     and shown.splitlines()[1] == "hypervisor 0.0.7",
                     "--version shows both sides")
        checks.check("is version 0.0.7" in words and "newer hypervisor" in
                     words, "and says that they do not match")
        _, words = tool.run("list", status=1)
        checks.check("is version 0.0.7" in words,
                     "a verb that does not work says so, too")
    finally:
        other.close()
        path.unlink()
    other_frames(setup, checks)
    shown, words = tool.run("--version", status=6)
    checks.check(shown.startswith("mullctl ") and "cable" in words,
                 "without a hypervisor, its own version at least")
