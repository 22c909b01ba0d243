# SPDX-License-Identifier: MIT
"""A kernel of others that says nothing, and draws: its screen is memory."""
import struct
import time

from control import Tool
from process import Process

MANIFEST = """\
vms:
  game: {memory: 16MiB, cpus: [0], kernel: $kernels/foreign/invaders.multiboot}
"""
SCREEN, COLUMNS, ROWS = 0xb8000, 80, 25 # a PC's, of letters and colours
SECONDS = 60


def screen(core):
    """The lines of text in the memory that an ELF core holds."""
    data = core.read_bytes()
    table, = struct.unpack_from("<Q", data, 32)
    count, = struct.unpack_from("<H", data, 56)
    for at in range(table, table + 56 * count, 56):
        kind, _, offset, _, start, size = struct.unpack_from("<IIQQQQ", data,
                                                             at)
        if kind == 1 and start <= SCREEN < start + size:
            text = data[offset + SCREEN - start:][:2 * COLUMNS * ROWS:2]
            return [text[i:i + COLUMNS].decode("latin-1").rstrip(" \0")
                    for i in range(0, len(text), COLUMNS)]
    return []


def game(setup, back_end, checks):
    """The game of GRUB: Multiboot by the header's address fields."""
    folder = setup.folder / ("foreign-game-" + back_end.name)
    folder.mkdir(parents=True, exist_ok=True)
    manifest, core = folder / "manifest.yaml", folder / "core"
    address = "unix:%s" % (folder / "socket")
    manifest.write_text(setup.fill_in(MANIFEST))
    run = Process([setup.mullctl, "run", "-v", *back_end.words, manifest,
                   "--listen", address], checks.note,
                  environment=back_end.environment)
    end = time.monotonic() + SECONDS * back_end.patience
    try:
        if not checks.check(run.wait_for(r"game: running", SECONDS *
                                         back_end.patience, "err"),
                            "the game runs"):
            return
        tool, drawn = Tool(setup, checks, address), 0
        while drawn < 40 and time.monotonic() < end:
            time.sleep(1)
            tool.run("dump", "game", "-o", core)
            drawn = sum(line.count("-*-") for line in screen(core))
        checks.note("\n".join(screen(core)))
        checks.check(drawn == 40, "%d invaders come" % drawn)
        checks.check(tool.states() == {"game": "running"}, "it still runs")
    finally:
        run.stop()
