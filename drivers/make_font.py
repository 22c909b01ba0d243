#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the framebuffer console's font as a C header.

usage: make_font.py [FONT.psf.gz]

The font is X11's public-domain "Fixed" of 8x16 pixels, as Debian's package
console-setup-linux carries it.  The glyphs are found by the font's own
Unicode table (PSF version 1, documented in kbd's "font-formats-1.txt").
"""
import gzip
import struct
import sys

FONT = "/usr/share/consolefonts/Lat15-Fixed16.psf.gz"
PACKAGE = "console-setup-linux"
MAGIC = b"\x36\x04"
MODE_512_GLYPHS, MODE_HAS_TABLE = 1, 2
TABLE_END, TABLE_SEQUENCE = 0xFFFF, 0xFFFE
HEIGHT = 16
FIRST, LAST = 0x20, 0x7F
# 0x7f is no character: the console draws it for all that it cannot show.
UNKNOWN = bytes([0, 0, 0xFE] + [0x82] * 9 + [0xFE, 0, 0, 0])


def fail(problem):
    sys.exit(f"make_font.py: {problem}")


def read_font(path):
    try:
        with gzip.open(path) as file:
            return file.read()
    except FileNotFoundError:
        fail(f"{path} is missing: install Debian's package {PACKAGE}")
    except OSError as error:
        fail(f"{path} cannot be read: {error}")


def read_glyphs(data, path):
    """A dict from character code to the 16 bytes of its glyph."""
    if data[:2] != MAGIC or len(data) < 4 or data[3] != HEIGHT:
        fail(f"{path} is not a PSF font of version 1 with 16 lines")
    if not data[2] & MODE_HAS_TABLE:
        fail(f"{path} has no Unicode table")
    count = 512 if data[2] & MODE_512_GLYPHS else 256
    table = data[4 + count * HEIGHT:]
    codes = struct.unpack(f"<{len(table) // 2}H", table[:len(table) & ~1])

    glyphs, glyph, single = {}, 0, True
    for code in codes:
        if code == TABLE_END:
            glyph, single = glyph + 1, True
        elif code == TABLE_SEQUENCE:
            single = False  # what follows stands for several characters
        elif single and glyph < count:
            at = 4 + glyph * HEIGHT
            glyphs.setdefault(code, data[at:at + HEIGHT])
    glyphs[LAST] = UNKNOWN
    return glyphs


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else FONT
    glyphs = read_glyphs(read_font(path), path)
    print("/* Made by drivers/make_font.py: do not edit. */")
    print("static const uint8_t font_8x16[96][16] = {")
    for code in range(FIRST, LAST + 1):
        if code not in glyphs:
            fail(f"{path} has no glyph for U+{code:04X}")
        lines = ", ".join(f"0x{line:02x}" for line in glyphs[code])
        print(f"\t{{ {lines} }},")
    print("};")


main()
