#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Figures and documents: docs/bench.json holds the figures that tables of
docs/performance.md and docs/processor.md are made of.

  figures.py check     the tables are just those (make lint)
  figures.py compare   build/bench.json has each of these figures; which differ
  figures.py keep      puts the figures of build/bench.json into both

A figure that a table names and that no run makes is a mistake; so is a figure
in docs/bench.json that no table names.
"""
import os
import re
import sys

import results
import tables

DOCUMENTS = [os.path.join(results.TOP, "docs", name)
             for name in ("performance.md", "processor.md")]
KEPT = os.path.join(results.TOP, "docs/bench.json")
PLACE = r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end -->)"
APART = 0.02  # but for those that say how far they are


class Figures(dict):
    """By operation and back end; remembers which were asked for."""

    def __init__(self, lines):
        super().__init__({(o["op"], o["backend"]): o for o in lines})
        self.used = set()

    def __getitem__(self, key):
        self.used.add(key)
        if key not in self:
            sys.exit("figures.py: a table needs %s on %s: no run has made it"
                     % key)
        return super().__getitem__(key)


def filled(text, figures):
    def table(found):
        made = getattr(tables, found[2].replace("-", "_"))(figures)
        return found[1] + "\n".join(made) + "\n" + found[3]
    return re.sub(PLACE, table, text, flags=re.S)


def read(document):
    with open(document, encoding="ascii") as file:
        return file.read()


def check():
    figures = Figures(results.read(KEPT))
    wrong = 0
    for document in DOCUMENTS:
        if filled(read(document), figures) != read(document):
            print(f"figures.py: {document} and docs/bench.json differ")
            wrong += 1
    for op, backend in sorted(set(figures) - figures.used):
        print(f"figures.py: no table has {op} on {backend}")
        wrong += 1
    return 1 if wrong else 0


def compare():
    """Of the scripts that have run: what they made against what is kept."""
    made = {(o["op"], o["backend"]): o for o in results.read()}
    ran = {o["by"] for o in made.values()}
    missing = 0
    for line in results.read(KEPT):
        key = line["op"], line["backend"]
        if line["by"] not in ran:
            continue
        if key not in made:
            print(f"figures.py: {key[0]} on {key[1]} was not made")
            missing += 1
        elif abs(made[key]["instructions"] / line["instructions"] - 1) > \
                line.get("apart", APART):
            print(f"{key[0]} on {key[1]}: {line['instructions']:,} in the "
                  f"documents, {made[key]['instructions']:,} now")
    return 1 if missing else 0


def keep():
    """What has not been made anew stays."""
    new = results.read()
    ran = {o["by"] for o in new}
    new += [o for o in results.read(KEPT) if o["by"] not in ran]
    texts = [filled(read(document), Figures(new)) for document in DOCUMENTS]
    results.write(sorted(new, key=lambda o: o["by"]), KEPT)
    for document, text in zip(DOCUMENTS, texts):
        with open(document, "w", encoding="ascii") as file:
            file.write(text)
    return 0


def main():
    verbs = {"check": check, "compare": compare, "keep": keep}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        print("figures.py: check, compare or keep")
        return 2
    return verbs[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
