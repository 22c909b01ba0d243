# SPDX-License-Identifier: MIT
"""The management channel's frames, as docs and <mullion/channel.h> describe
them.  Written without a look at kernel/manage/frame.c: a second opinion."""
import struct
import zlib

HELLO, LOG, CONSOLE, EVENT, REPLY = 1, 2, 3, 4, 5
INPUT, REQUEST, UPLOAD_DATA = 16, 17, 18
HYPERVISOR = 0xFFFF
# requests
STOP, START, PAUSE, RESUME, INJECT, DESCRIBE, CREATE = 3, 4, 5, 6, 7, 8, 9
DESTROY, INFO, LIST, AUDIT = 10, 16, 18, 26
REGISTERS, SET_REGISTERS, MEMORY, SET_MEMORY = 48, 49, 50, 51
DEBUG, STEP = 52, 53
MACHINE = 64


def cobs(data):
    out = bytearray()
    for part in (data + b"\0").split(b"\0")[:-1]:
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out += bytes([len(part) + 1]) + part
    return bytes(out)


def uncobs(data):
    out = bytearray()
    while data:
        code, data = data[0], data[1:]
        out += data[:code - 1]
        data = data[code - 1:]
        if code != 255 and data:
            out.append(0)
    return bytes(out)


def frame(kind, stream, sequence, payload):
    raw = struct.pack("<BBHI", 1, kind, stream, sequence) + payload
    raw += struct.pack("<I", zlib.crc32(raw))
    return b"\0" + cobs(raw) + b"\0"


def unframe(part):
    """Kind, stream and payload of what is between two zeros, or None."""
    raw = uncobs(part)
    if len(raw) < 12 or raw[-4:] != struct.pack("<I", zlib.crc32(raw[:-4])):
        return None
    version, kind, stream, _ = struct.unpack("<BBHI", raw[:8])
    return (kind, stream, raw[8:-4]) if version == 1 else None


def frames(stream):
    """Kind, stream and payload of each whole one among the bytes."""
    return filter(None, map(unframe, stream.split(b"\0")))


def request(sequence, command, vm, argument=0, data=b""):
    return frame(REQUEST, HYPERVISOR, sequence,
                 struct.pack("<IIQ", command, vm, argument) + data)


def reply(stream, sequence):
    """Error, value and data of the REPLY with this number among the bytes of
    a stream, or None."""
    for kind, _, payload in frames(stream):
        if kind == REPLY and len(payload) >= 16:
            number, error, value = struct.unpack("<IIQ", payload[:16])
            if number == sequence:
                return error, value, payload[16:]
    return None


def events(stream, vm):
    """State, reason and code of each."""
    return [struct.unpack("<III", payload[32:44])
            for kind, number, payload in frames(stream)
            if (kind, number) == (EVENT, vm)]
