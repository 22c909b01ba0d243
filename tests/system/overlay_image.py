# SPDX-License-Identifier: MIT
"""Another reader of overlays on partitions, by the decision page's words."""
import struct
import zlib

BLOCK = 4096
HEADER = struct.Struct("<QII16sQI16sI")
MAGIC = int.from_bytes(b"MULLOVER", "little")


def content(changes, base):
    """What a disk has, of the bytes of both partitions; and what is wrong."""
    if not any(changes[:BLOCK]):
        return base, []
    head = HEADER.unpack_from(changes)
    if head[:3] != (MAGIC, 1, BLOCK) or head[7] != zlib.crc32(changes[:60]):
        return base, ["the header is wrong"]
    if head[4] != len(base):
        return base, ["it is for a base of %d bytes" % head[4]]
    blocks, first = -(-len(base) // BLOCK), 1 + head[5]
    places = len(changes) // BLOCK - first
    entries = struct.unpack_from("<%dI" % (head[5] * 1024), changes, BLOCK)
    used = [entry for entry in entries if entry]
    wrong = []
    if len(set(used)) != len(used) or max(used, default=0) > places:
        wrong.append("places are named twice, or are none")
    if any(entries[blocks:]):
        wrong.append("blocks behind the last one have places")
    data = bytearray(base)
    for block, place in enumerate(entries[:blocks]):
        if place and place <= places:
            at = (first + place - 1) * BLOCK
            length = min(BLOCK, len(base) - block * BLOCK)
            data[block * BLOCK:block * BLOCK + length] = \
                changes[at:at + length]
    return bytes(data), wrong
