# SPDX-License-Identifier: MIT
"""build/bench.json: a JSON array, one object a line."""
import json
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
PATH = os.path.join(BUILD, "bench.json")


def add(objects):
    """Adds @objects; those of the same op and back end are replaced."""
    try:
        with open(PATH, encoding="ascii") as file:
            old = json.load(file)
    except (OSError, ValueError):
        old = []
    new = {(o["op"], o["backend"]) for o in objects}
    lines = [o for o in old if (o["op"], o["backend"]) not in new] + objects
    with open(PATH + ".tmp", "w", encoding="ascii") as file:
        file.write("[\n" + ",\n".join(json.dumps(o) for o in lines) + "\n]\n")
    os.replace(PATH + ".tmp", PATH)
