# SPDX-License-Identifier: MIT
"""What is behind the machine's own network cards."""
import functools
import hashlib
import http.server
import random
import threading

import disks
from process import Process

SECONDS = 240
SIZE = 2 << 20

LINUX = """\
  %s:
    memory: 192MiB
    cpus: [%d]
    kernel: $kernels/cloud-amd64/vmlinuz
    initrd: $demo
    networks: [%s]
    cmdline: console=ttyS0 quiet cryptomgr.notests mullion.port=%d \
mullion.run=mullion-network+%s
"""


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    """The files that guests fetch; returns the server, in its thread."""
    data = random.Random(9).randbytes(SIZE)
    (folder / "data").write_bytes(data)
    (folder / "sum").write_text(hashlib.sha256(data).hexdigest() + "  -\n")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Silent, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def uplink(card, outside=False):
    """A stock Linux reaches the outside by @card; with @outside also that one
    who is on another switch does not."""
    def run(setup, back_end, checks):
        folder = disks.fresh_folder(setup, checks)
        server = serve(folder)
        port = server.server_address[1]
        manifest = folder / "uplink.yaml"
        manifest.write_text(setup.fill_in(
            "machine: {uplink: {nic: 2, switch: lan}}\nvms:\n" +
            LINUX % ("inside", 0, "lan", port, "fetch_outside") +
            (LINUX % ("outside", 1, "wan", port, "outside") if outside
             else "")))
        other = "virtio" if card == "e1000e" else "e1000e"
        process = Process(
            [setup.mullctl, "run", "-v", *back_end.words, "--nic", other,
             "--nic", card, manifest],
            checks.note, environment=back_end.environment)
        try:
            process.finish(SECONDS * back_end.patience)
        finally:
            process.stop()
            server.shutdown()
        shown, log = process.text("out"), process.text("err")
        for words in ("LEASE 10.0.2.15 10.0.2.2", "DONE 5 0") + (
                ("DONE 3 0",) if outside else ()):
            checks.check(words in shown, words)
        checks.check("FAIL" not in shown, "nothing fails")
        kind = {"virtio": "virtio", "e1000e": "82574L"}[card]
        checks.check("nic 2: %s at PCI " % kind in log, "the card is found")
        checks.check("switch lan has an uplink: nic 2" in log,
                     "it is the uplink")
        for words in ("it is polled", "it is reset", "given up"):
            checks.check(words not in log, "not in the log: " + words)
    return run
