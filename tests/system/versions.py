# SPDX-License-Identifier: MIT
"""What mullctl says to a hypervisor of another version."""
import os
import pathlib
import socket
import struct
import threading

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
                self._answer(line)

    def _answer(self, line):
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
    shown, words = tool.run("--version", status=6)
    checks.check(shown.startswith("mullctl ") and "cable" in words,
                 "without a hypervisor, its own version at least")
