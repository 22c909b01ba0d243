#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes the ELF file of the kernel out of a bzImage, as Linux's own
scripts/extract-vmlinux does: what a loader for PVH starts.
usage: extract_vmlinux.py BZIMAGE VMLINUX"""
import ctypes
import lzma
import pathlib
import struct
import sys
import zlib

# Linux, Documentation/arch/x86/boot.rst, "Details of Header Fields"
SETUP_SECTS = 0x1f1
MAGIC_AT = 0x202
PAYLOAD_OFFSET = 0x248
PAYLOAD_LENGTH = 0x24c

LZ4_LEGACY = b"\x02\x21\x4c\x18"
LZ4_BLOCK = 8 << 20 # bytes of each block when it is unpacked


def unlz4(packed, size):
    """LZ4's legacy frame: blocks, each with its length before it."""
    library = ctypes.CDLL("liblz4.so.1")
    block = ctypes.create_string_buffer(LZ4_BLOCK)
    whole, at = bytearray(), len(LZ4_LEGACY)
    while len(whole) < size:
        length, = struct.unpack_from("<I", packed, at)
        at += 4
        got = library.LZ4_decompress_safe(packed[at:at + length], block,
                                          length, LZ4_BLOCK)
        if got <= 0:
            raise ValueError("the kernel's LZ4 block is damaged")
        whole += block.raw[:got]
        at += length
    return bytes(whole)


def extract(image):
    if image[MAGIC_AT:MAGIC_AT + 4] != b"HdrS":
        raise ValueError("it is no bzImage")
    start = ((image[SETUP_SECTS] or 4) + 1) * 512
    offset, = struct.unpack_from("<I", image, PAYLOAD_OFFSET)
    length, = struct.unpack_from("<I", image, PAYLOAD_LENGTH)
    packed = image[start + offset:start + offset + length]
    size, = struct.unpack_from("<I", packed, len(packed) - 4)
    if packed.startswith(LZ4_LEGACY):
        kernel = unlz4(packed, size)
    elif packed.startswith(b"\xfd7zXZ"):
        kernel = lzma.LZMADecompressor().decompress(packed)
    elif packed.startswith(b"\x1f\x8b"):
        kernel = zlib.decompressobj(31).decompress(packed)
    else:
        raise ValueError("its compression is not known")
    if not kernel.startswith(b"\x7fELF"):
        raise ValueError("it holds no ELF file")
    return kernel


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        kernel = extract(pathlib.Path(sys.argv[1]).read_bytes())
    except ValueError as error:
        sys.exit("%s: %s" % (sys.argv[1], error))
    pathlib.Path(sys.argv[2]).write_bytes(kernel)


if __name__ == "__main__":
    main()
