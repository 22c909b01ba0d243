# SPDX-License-Identifier: MIT
"""Images that come over the channel."""
import hashlib
import os
import random
import struct
import time

import channel
import damages
import disks
import machines
from machines import SECONDS
from packages import CHANNEL

IMAGES, UPLOAD, UPLOAD_END, IMAGE_READ, IMAGE_DELETE = 40, 41, 42, 43, 44
BLOCK, STORED = 16384, 1 << 31
BUSY, NOT_FOUND, BAD_HASH = 12, 8, 6
PIECE = 1016


class Client:
    def __init__(self, process):
        self.process = process
        self.sequence = random.getrandbits(31)

    def send(self, kind, stream, payload):
        self.sequence += 1
        os.write(self.process.input,
                 channel.frame(kind, stream, self.sequence, payload))
        return self.sequence

    def reply(self, sequence):
        """Error, value and data."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for part in self.process.out[-20000:].split(b"\0"):
                kind, _, payload = channel.unframe(part) or (None, None, b"")
                if kind == channel.REPLY and payload[:4] == struct.pack(
                        "<I", sequence):
                    return struct.unpack("<IQ", payload[4:16]) + (
                        payload[16:],)
            time.sleep(0.005)
        return None, 0, b""

    def ask(self, command, vm=0, argument=0, data=b""):
        return self.reply(self.send(
            channel.REQUEST, channel.HYPERVISOR,
            struct.pack("<IIQ", command, vm, argument) + data))

    def begin(self, name, image, wire, compression):
        error, value, data = self.ask(UPLOAD, data=struct.pack(
            "<32sQQII32s", name, len(image), len(wire), 3, compression,
            hashlib.sha256(image).digest()))
        return (error, value) + struct.unpack("<II", data)

    def send_pieces(self, number, wire, at, end, window):
        """Goes back to what is wanted; returns that."""
        while at < end:
            sent = []
            for offset in range(at, min(at + window - PIECE, end), PIECE):
                piece = wire[offset:min(offset + PIECE, end)]
                sent.append(self.send(channel.UPLOAD_DATA, number,
                                      struct.pack("<Q", offset) + piece))
            error, at, _ = self.reply(sent[-1])
            if error != 0:
                break
        return at


def in_blocks(image):
    """With the frame of compression and none."""
    blocks = (image[at:at + BLOCK] for at in range(0, len(image), BLOCK))
    return b"".join(struct.pack("<I", STORED | len(block)) + block
                    for block in blocks)


def use(client, checks):
    image = random.Random(1).randbytes(150001)
    wire = in_blocks(image)
    half = len(wire) // 2
    error, at, number, window = client.begin(b"uploaded", image, wire, 1)
    checks.check((error, at, number) == (0, 0, 1), "an upload begins")
    client.send_pieces(number, wire, 0, half, window)
    _, at, _, _ = client.begin(b"uploaded", image, wire, 1)
    checks.check(at == half, "it goes on at %d" % at)
    at = client.send_pieces(number, wire, at, len(wire), window)
    checks.check(at == len(wire), "all of it came")
    checks.check(client.ask(UPLOAD_END, argument=number)[0] == 0,
                 "its hash is right")
    _, size, data = client.ask(IMAGE_READ, number, 100000)
    checks.check(size == len(image) and data == image[100000:][:1008],
                 "it can be read back")
    _, _, data = client.ask(IMAGES)
    checks.check(len(data) == 2 * 96 and data[96:104] == b"uploaded",
                 "it is listed behind the package's")
    checks.check(client.ask(IMAGE_DELETE, argument=0)[0] == BUSY,
                 "the package's stays")
    checks.check(client.ask(IMAGE_DELETE, argument=number)[0] == 0,
                 "it can be deleted")
    checks.check(client.ask(IMAGE_READ, number)[0] == NOT_FOUND,
                 "and is gone")
    _, _, number, window = client.begin(b"wrong", image, image[::-1], 0)
    client.send_pieces(number, image[::-1], 0, len(image), window)
    checks.check(client.ask(UPLOAD_END, argument=number)[0] == BAD_HASH,
                 "another hash is refused")


def images(setup, back_end, checks):
    """An image is uploaded, resumed, read, listed and deleted."""
    counter = (setup.guests / "counter.elf").read_bytes()
    folder = disks.fresh_folder(setup, checks)
    disk = disks.boot_folder(setup, folder, damages.package(
        [damages.Vm(b"counter", 0, b"period=1")],
        [damages.Image(b"counter.elf", damages.ELF64, counter)],
        damages.machine(serial_mode=CHANNEL)))
    machine = machines.Machine(back_end, disk, folder, checks.note)
    try:
        if machine.process.wait_for(r"counter: running", SECONDS):
            use(Client(machine.process), checks)
        else:
            checks.check(False, "the guest runs")
    finally:
        machine.stop()
