# SPDX-License-Identifier: MIT
"""build/bench.json: a JSON array, one object a line."""
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
PATH = os.path.join(BUILD, "bench.json")


_begun = set()


def read(path=PATH):
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except (OSError, ValueError):
        return []


def write(lines, path=PATH):
    with open(path + ".tmp", "w", encoding="ascii") as file:
        file.write("[\n" + ",\n".join(json.dumps(o) for o in lines) + "\n]\n")
    os.replace(path + ".tmp", path)


def add(objects, part=None):
    """Adds @objects.  What the same script (or part of it) has added in an
    earlier run is replaced as a whole."""
    by = " ".join([os.path.basename(sys.argv[0])] + ([part] if part else []))
    old = [o for o in read() if by in _begun or o.get("by") != by]
    _begun.add(by)
    write(old + [o | {"by": by} for o in objects])
