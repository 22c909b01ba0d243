# SPDX-License-Identifier: MIT
"""Tests that need no emulator: unit tests, fuzzers, lint, mullctl."""
import hashlib
import re
import subprocess
import sys

SECONDS = 600


def run_program(checks, *arguments, seconds=SECONDS, folder=None):
    """Its exit status and everything that it said."""
    checks.note("$ " + " ".join(map(str, arguments)))
    try:
        done = subprocess.run([str(word) for word in arguments], cwd=folder,
                              stdin=subprocess.DEVNULL, timeout=seconds,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        status, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        status, text = None, error.stdout or b""
    text = text.decode("utf-8", "replace")
    checks.note(text)
    return status, text


def with_verdicts(program, *arguments):
    """A program that says itself what holds, line by line."""
    def run(checks):
        status, text = run_program(checks, program, *arguments)
        found = checks.check_lines(text)
        checks.check(found and status == 0, "ends well (%s)" % status)
    return run


def lint(setup, name):
    def run(checks):
        status, _ = run_program(checks, "make", "-s", "B=%s" % setup.build,
                                name, folder=setup.tree)
        checks.check(status == 0, name)
    return run


def fuzz(setup, name, seconds):
    def run(checks):
        status, text = run_program(
            checks, setup.build / "fuzz" / name, "-max_total_time=%d" % seconds,
            "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
            "-artifact_prefix=%s/" % setup.folder, folder=setup.folder,
            seconds=seconds + 120)
        ran = re.search(r"number_of_executed_units:\s*(\d+)", text)
        checks.check(ran and int(ran.group(1)) > 1000, "it runs often")
        checks.check(status == 0, "no input breaks a rule")
    return run


def kernels(setup):
    """The stock kernels are those that are named in the tree."""
    known = dict(reversed(line.split(" ", 1)) for line in (
        setup.tree / "guests/linux/kernels.sha256").read_text().splitlines())

    def run(checks):
        for flavour in ("cloud-amd64", "amd64"):
            folder = setup.kernels / flavour
            version = (folder / "version").read_text().strip()
            found = hashlib.sha256((folder / "vmlinuz").read_bytes())
            words = "%s is %s" % (version, found.hexdigest())
            if version in known:
                checks.check(found.hexdigest() == known[version], words)
            else: # Debian has a newer one, which apt's signature vouches for
                checks.check(found.hexdigest() in
                             (folder / "SHA256").read_text(), words)
    return run


def lint_names(setup):
    """What `make lint` makes."""
    return re.search(r"^lint: ([a-z -]+)", (setup.tree / "Makefile")
                     .read_text(), re.M).group(1).split()


def tests(setup, fuzz_seconds):
    fuzzers = sorted(setup.tree.glob("tests/fuzz/fuzz_*.c"))
    for source in fuzzers:
        yield source.stem, fuzz(setup, source.stem,
                                max(fuzz_seconds // len(fuzzers), 1))
    for source in sorted(setup.tree.glob("tests/unit/test_*.c")):
        yield ("unit-" + source.stem.removeprefix("test_"),
               with_verdicts(setup.build / "unit" / source.stem))
    for name in lint_names(setup):
        yield name, lint(setup, name)
    yield "kernels", kernels(setup)
    yield "mullctl-run", with_verdicts(
        sys.executable, setup.tree / "tests/system/test_mullctl_run.py",
        setup.mullctl)
