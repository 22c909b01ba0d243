#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second client of the management channel, made from docs/protocol.md alone.
usage: second_client.py SOCKET list|info|button VM|reset VM|stop VM|start VM|
       console VM SECONDS"""
import random
import socket
import struct
import sys
import time
import zlib

CONSOLE, EVENT, REPLY, REQUEST = 3, 4, 5, 17
BUTTON, RESET, STOP, START, INFO, LIST = 1, 2, 3, 4, 16, 18
STATES = {1: "stopped", 2: "starting", 3: "running", 4: "stopping",
          5: "crashed", 6: "refused", 7: "paused", 8: "destroyed"}
PATIENCE = 1.3 # seconds: 1, and what 2,000 bytes take on the line
TRIES = 5


class Refused(Exception):
    """The hypervisor answered: no."""


def stuff(data):
    """COBS: a zero behind the data, then blocks up to each zero."""
    out = bytearray()
    for part in (data + b"\0").split(b"\0")[:-1]:
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out += bytes([len(part) + 1]) + part
    return bytes(out)


def unstuff(data):
    out, at = bytearray(), 0
    while at < len(data):
        code = data[at]
        if at + code > len(data):
            return b""
        out += data[at + 1:at + code]
        at += code
        if code < 255 and at < len(data):
            out.append(0)
    return bytes(out)


class Client:
    def __init__(self, path):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(path)
        self.pending = bytearray()
        self.consoles = {}
        self.events = []

    def frames(self, until):
        """Type, stream and payload of each frame that comes till then."""
        while (left := until - time.monotonic()) > 0:
            self.line.settimeout(left)
            try:
                self.pending += self.line.recv(4096)
            except TimeoutError:
                return
            while (end := self.pending.find(0)) >= 0:
                raw = unstuff(self.pending[:end])
                del self.pending[:end + 1]
                if len(raw) < 12 or raw[0] != 1 or \
                        raw[-4:] != struct.pack("<I", zlib.crc32(raw[:-4])):
                    continue # plain text, or damaged
                _, kind, stream, _ = struct.unpack("<BBHI", raw[:8])
                payload = raw[8:-4]
                if kind == CONSOLE:
                    self.consoles[stream] = \
                        self.consoles.get(stream, b"") + payload
                if kind == EVENT:
                    self.events.append((stream, *struct.unpack("<II",
                                                               payload[32:40])))
                yield kind, payload

    def ask(self, command, vm=0, argument=0, data=b""):
        """The reply's value and data."""
        asked = struct.pack("<IIQ", command, vm, argument) + data
        for _ in range(64): # until it has no menu key of a firmware
            self.sequence = random.randrange(1 << 32)
            raw = struct.pack("<BBHI", 1, REQUEST, 0xffff,
                              self.sequence) + asked
            wire = b"\0" + stuff(raw + struct.pack("<I", zlib.crc32(raw))) + \
                b"\0"
            if not set(b"\x1b\x7f") & set(wire):
                break
        for _ in range(TRIES): # the same number each time
            self.line.sendall(wire)
            for kind, payload in self.frames(time.monotonic() + PATIENCE):
                if kind != REPLY:
                    continue
                answered, error, value = struct.unpack("<IIQ", payload[:16])
                if answered != self.sequence:
                    continue
                if error:
                    raise Refused(error, payload[16:].decode())
                return value, payload[16:]
        raise TimeoutError("no answer")

    def list(self):
        """Name, number and state of each VM."""
        found, first = [], 0
        while True:
            first, data = self.ask(LIST, argument=first)
            for at in range(0, len(data), 272):
                name, number, state = struct.unpack("<32sII",
                                                    data[at:at + 40])
                found.append((name.split(b"\0")[0].decode(), number,
                              STATES[state]))
            if not first:
                return found

    def info(self):
        """Version, processors, VMs, free bytes."""
        _, data = self.ask(INFO)
        version, _, cpus, vms, _, _, free = struct.unpack("<32sIIIIQQ",
                                                          data[:64])
        return version.split(b"\0")[0].decode(), cpus, vms, free


def main():
    client, words = Client(sys.argv[1]), sys.argv[2:]
    commands = {"button": BUTTON, "reset": RESET, "stop": STOP, "start": START}
    try:
        if words[0] == "list":
            for name, number, state in client.list():
                print(number, name, state)
        elif words[0] == "info":
            print("Mullion %s: %d CPUs, %d VMs, %d bytes free" % client.info())
        elif words[0] == "console":
            for _ in client.frames(time.monotonic() + float(words[2])):
                pass
            sys.stdout.buffer.write(client.consoles.get(int(words[1]), b""))
        else:
            client.ask(commands[words[0]], int(words[1]))
    except (Refused, TimeoutError) as error:
        sys.exit("second_client.py: %s" % (error,))


if __name__ == "__main__":
    main()
