#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs many cases of each device's fuzzer, in pieces that take turns.

A folder keeps what was done: each fuzzer's corpus, and a line for each piece.
So it can be ended at any time, and goes on where it was when started again.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time

DEVICES = ("virtio", "block", "net", "vsock", "virtio_console", "balloon",
           "nic")
PIECE = 250_000
MAX_LENGTH = 512 # bytes of a case: about a hundred steps


class Fuzzer:
    """One of them, and the lines "cases seconds coverage" of its pieces."""

    def __init__(self, name, folder, programs):
        self.name = name
        self.program = programs / ("fuzz_" + name)
        self.corpus = folder / name
        self.corpus.mkdir(parents=True, exist_ok=True)
        self.log = folder / (name + ".pieces")
        self.log.touch()
        self.failed = any(folder.glob(name + "-crash-*"))

    def pieces(self):
        return [tuple(map(int, line.split()))
                for line in self.log.read_text().splitlines()]

    def cases(self):
        return sum(piece[0] for piece in self.pieces())

    def run(self, cases):
        """False: a case broke a rule, and lies in the folder."""
        begin = time.monotonic()
        done = subprocess.run(
            [self.program, self.corpus, "-max_len=%d" % MAX_LENGTH,
             "-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1",
             "-artifact_prefix=%s-" % self.corpus,
             # It begins with the corpus and with a case of no bytes.
             "-runs=%d" % (cases + 1 + len(list(self.corpus.iterdir())))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode("utf-8", "replace")
        ran = int(re.findall(r"number_of_executed_units:\s*(\d+)", text)[-1])
        # What it knew before is no case more.
        again = re.findall(r"^#(\d+)\s+INITED", text, re.M)
        coverage = re.findall(r"cov: (\d+)", text)
        with self.log.open("a") as log:
            log.write("%d %d %s\n" % (
                ran - int(again[-1] if again else 0),
                time.monotonic() - begin, coverage[-1] if coverage else 0))
        self.failed = done.returncode != 0
        if self.failed:
            print(text[-4000:])
        return not self.failed

    def row(self):
        pieces = self.pieces()
        seconds = sum(piece[1] for piece in pieces)
        return "%-16s %11d %8d %7d %8d %s" % (
            self.name, self.cases(), seconds,
            self.cases() // max(seconds, 1),
            pieces[-1][2] if pieces else 0,
            "a case breaks a rule" if self.failed else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--folder", type=pathlib.Path,
                        help="what was done (BUILD/fuzz-long)")
    parser.add_argument("--cases", type=int, default=10_000_000,
                        help="of each fuzzer (10,000,000)")
    parser.add_argument("--only", nargs="+", default=DEVICES,
                        help="these fuzzers (%s)" % " ".join(DEVICES))
    parser.add_argument("--table", action="store_true",
                        help="only tell what was done")
    arguments = parser.parse_args()
    folder = arguments.folder or arguments.build / "fuzz-long"
    fuzzers = [Fuzzer(name, folder, arguments.build / "fuzz")
               for name in arguments.only]
    left = [] if arguments.table else list(fuzzers)
    while left:
        for fuzzer in list(left):
            missing = arguments.cases - fuzzer.cases()
            if missing <= 0 or not fuzzer.run(min(missing, PIECE)):
                left.remove(fuzzer)
    print("%-16s %11s %8s %7s %8s" % ("fuzzer", "cases", "seconds", "a s",
                                      "coverage"))
    for fuzzer in fuzzers:
        print(fuzzer.row())
    return any(fuzzer.failed for fuzzer in fuzzers)


if __name__ == "__main__":
    sys.exit(main())
