# SPDX-License-Identifier: MIT
"""One test: its log file, its checks, its verdict."""
import json
import re
import time

# What unit tests (cmocka) and test guests say of a single check.
GOOD_LINE = re.compile(r"^(?:\[       OK \] |PASS |\S+ +\| PASS )(.*)")
BAD_LINE = re.compile(r"^(?:\[  FAILED  \] |FAIL |\S+ +\| FAIL )(.*)")


class Checks:
    """Counts what holds and what does not, and writes both down."""

    def __init__(self, name, backend, folder):
        self.name = name
        self.backend = backend
        self.folder = folder
        self.passed = 0
        self.failures = []
        self.skipped = ""
        self.start = time.monotonic()
        self.when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        suffix = "-" + backend if backend else ""
        self.log_name = folder / (name + suffix + ".log")
        self.log = open(self.log_name, "w", encoding="utf-8",
                        errors="replace")

    def note(self, text):
        self.log.write(text if text.endswith("\n") else text + "\n")
        self.log.flush()

    def check(self, good, words):
        self.note(("PASS " if good else "FAIL ") + words)
        if good:
            self.passed += 1
        else:
            self.failures.append(words)
        return good

    def check_lines(self, text):
        """Each line of @text that is somebody's check becomes one here."""
        found = 0
        for line in text.splitlines():
            good, bad = GOOD_LINE.match(line), BAD_LINE.match(line)
            if good:
                self.passed += 1
            elif bad:
                self.failures.append(bad.group(1).strip())
            found += bool(good or bad)
        return found

    def skip(self, words):
        self.skipped = words
        self.note("SKIP " + words)

    def close(self):
        self.seconds = time.monotonic() - self.start
        if not self.passed and not self.failures and not self.skipped:
            self.failures.append("nothing was checked")
        self.note("%d passed, %d failed" % (self.passed, len(self.failures)))
        self.log.close()

    @property
    def count(self):
        return self.passed + len(self.failures)

    @property
    def verdict(self):
        if self.failures:
            return "FAIL"
        return "skip" if self.skipped else "pass"


def print_table(tests):
    width = max([len(test.name) for test in tests] + [4])
    print("\n%-*s  %-11s  %-7s  %7s  %s" % (width, "test", "on", "verdict",
                                            "seconds", "checks"))
    for test in tests:
        print("%-*s  %-11s  %-7s  %7.1f  %d" % (width, test.name, test.backend,
                                                test.verdict, test.seconds,
                                                test.count))


def write_table(tests, path):
    """A JSON array, one object a line.  What other runs left there stays, so
    that a table can be made in pieces; `when` tells the pieces apart."""
    try:
        old = json.loads(path.read_text())
    except (OSError, ValueError):
        old = []
    new = [{"test": test.name, "backend": test.backend,
            "verdict": test.verdict, "seconds": round(test.seconds, 1),
            "checks": test.count, "when": test.when} for test in tests]
    ran = {(row["test"], row["backend"]) for row in new}
    rows = [row for row in old if (row["test"], row["backend"]) not in ran]
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows + new)) +
                    "\n]\n")


def print_failures(tests):
    for test in tests:
        for words in test.failures[:10]:
            print("FAIL %s %s: %s" % (test.name, test.backend, words))
        if test.failures:
            print("     see %s" % test.log_name)
        if test.skipped:
            print("skip %s: %s" % (test.name, test.skipped))
