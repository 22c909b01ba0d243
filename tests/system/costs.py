# SPDX-License-Identifier: MIT
"""What exits cost, held against the figures of the documents."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import exits # pylint: disable=wrong-import-position
import results # pylint: disable=wrong-import-position

ROUNDS = 200 # enough for a median that repeats
MORE = 1.02 # times what stands in docs/bench.json


def kept(back_end):
    """Of those whose count repeats exactly."""
    path = pathlib.Path(results.TOP) / "docs" / "bench.json"
    return {line["op"]: line["instructions"] for line in results.read(path)
            if line["by"] == "exits.py" and line["backend"] == back_end
            and line["min"] == line["instructions"]}


def costs(setup, back_end, checks):
    exits.BUILD = str(setup.build)
    figures, seen = kept(back_end.kind), 0
    try:
        found = {**exits.measure(back_end.kind, "off", "0", ROUNDS),
                 **exits.measure(back_end.kind, "off", exits.FOUR, ROUNDS)}
    except SystemExit as words:
        checks.check(False, str(words))
        return
    for name, (_, median, _) in found.items():
        if name not in figures:
            continue
        seen += 1
        checks.check(median <= MORE * figures[name],
                     "%s: %d instructions; docs/bench.json says %d: if that is "
                     "meant, `make bench` and `tests/bench/figures.py keep`"
                     % (name, median, figures[name]))
    checks.check(seen > 15, "%d figures are compared" % seen)
