#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts lines: of files, of functions, and of what runs below the guests.

Warns where a file has over 400 lines; fails over 700, and where a function
has over 60.  Rows of tables do not count."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parents[1]
ROOMS = ("arch", "boot", "drivers", "guests", "include", "kernel", "tests",
         "tools")
FILE_WARN, FILE_MOST, FUNCTION_MOST = 400, 700, 60
CORE_MOST, PRIVILEGED_MOST = 8000, 16000
NOT_CORE = re.compile(r"kernel/(devices|loaders)/")


def sources(*rooms):
    for room in rooms:
        for path in sorted((TREE / room).rglob("*")):
            if path.suffix in (".c", ".h", ".S", ".py", ".sh"):
                yield path.relative_to(TREE).as_posix()


def lines_of(name):
    return (TREE / name).read_text(encoding="utf-8").splitlines()


def functions(lines):
    """Name and length of each: from the line before "{" in the first column
    to "}" there, without rows of a table ("{ ... }," and "case")."""
    start = None
    for number, line in enumerate(lines):
        if line == "{" and number:
            start = number
        elif line == "}" and start is not None:
            body = lines[start + 1:number]
            head = " ".join(lines[max(0, start - 5):start])
            names = re.findall(r"(\w+)\(", head)
            yield (names[0] if len(names) == 1 else
                   next((n for l in reversed(lines[:start])
                         for n in re.findall(r"^\S.*?(\w+)\(", l)), "?"),
                   sum(not re.match(r"\s*(\{.*\},?|case .*:)$", row)
                       for row in body), start + 1)
            start = None


def code_lines(name):
    """Neither empty nor comment."""
    text = re.sub(r"/\*.*?\*/", "", "\n".join(lines_of(name)), flags=re.S)
    return sum(bool(line.strip()) for line in text.splitlines())


def main():
    bad = 0
    for name in sources(*ROOMS):
        lines = lines_of(name)
        if name.endswith("_table.h"):
            continue
        if len(lines) > FILE_MOST:
            print("%s: %d lines, at most %d" % (name, len(lines), FILE_MOST))
            bad = 1
        elif len(lines) > FILE_WARN:
            print("%s: warning: %d lines" % (name, len(lines)))
        if not name.endswith(".c"):
            continue
        for function, length, line in functions(lines):
            if length > FUNCTION_MOST:
                print("%s:%d: %s has %d lines, at most %d"
                      % (name, line, function, length, FUNCTION_MOST))
                bad = 1
    counts = {name: code_lines(name)
              for name in sources("arch/x86", "kernel", "drivers")
              if not name.endswith(".py")}
    core = sum(count for name, count in counts.items()
               if not NOT_CORE.match(name) and not name.startswith("drivers"))
    for what, count, most in (("core", core, CORE_MOST),
                              ("privileged", sum(counts.values()),
                               PRIVILEGED_MOST)):
        print("%s: %d lines of code%s" % (what, count, "" if count <= most else
                                          ", warning: more than %d" % most))
    return bad


if __name__ == "__main__":
    sys.exit(main())
