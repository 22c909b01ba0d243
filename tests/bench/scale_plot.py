#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws docs/scale.svg by gnuplot, from the figures of scale.py that
docs/bench.json keeps."""
import os
import subprocess
import sys

import figures
import results
import tables

PICTURE = os.path.join(results.TOP, "docs/scale.svg")
# Title; unit and its size; lines: name in bench.json, words, colour.
PANELS = [
    ("Start: all CPUs", "million instructions", 1e6, [
        ("instructions", "each until its guest begins", "#3465a4")]),
    ("Start: the boot CPU", "million instructions", 1e6, [
        ("boot", "until the last guest has begun", "#c17d11"),
        ("made", "until guests may run", "#4e9a06")]),
    ("Memory of the hypervisor", "MiB", 1024, [
        ("kib", "pages beside its image", "#3465a4")]),
    ("A command, with its whole answer", "thousand instructions", 1e3, [
        ("list", "LIST: all VMs", "#3465a4"),
        ("show", "SHOW: one VM", "#c17d11"),
        ("cpu_stats", "CPU\\\\_STATS: all CPUs", "#4e9a06"),
        ("vm_stats", "VM\\\\_STATS: one VM", "#a40000")]),
]
# Straight lines are straight: no axis is logarithmic.
HEAD = """\
set terminal svg size 900,640 font "sans-serif,11" background "white"
set multiplot layout 2,2 margins 0.075,0.98,0.1,0.955 spacing 0.1,0.16
set xlabel "CPUs, and as many partitions"
set xrange [0:67]
set xtics (1, 8, 16, 32, 64)
set yrange [0:*]
set border 3 linecolor "#555753"
set tics nomirror out
set grid ytics linecolor "#d3d7cf" linewidth 0.5
set title offset 0,-0.6
set key top left Left reverse samplen 2 spacing 1.2
"""
LINE = ('"-" using 1:2 with linespoints linewidth 1.6 pointtype 7 '
        'pointsize 0.5 linecolor "%s" title "%s"')


def panel(title, unit, size, lines, measured):
    yield f'set title "{title}"\nset ylabel "{unit}" offset 1.5,0\n'
    # Room for the words above the lines.
    highest = max(line[name] for line in measured for name, _, _ in lines)
    yield f"set yrange [0:{1.25 * highest / size}]\n"
    yield "plot " + ", ".join(LINE % (colour, words)
                              for _, words, colour in lines) + "\n"
    for name, _, _ in lines:
        for line in measured:
            yield f"{line['count']} {line[name] / size}\n"
        yield "e\n"


def main():
    kept = figures.Figures(results.read(figures.KEPT))
    measured = [kept[f"scale-{count}", "svm"] for count in tables.SCALE]
    words = HEAD + "".join("".join(panel(*one, measured)) for one in PANELS)
    drawn = subprocess.run(["gnuplot"], input=words, text=True, check=True,
                           stdout=subprocess.PIPE).stdout
    with open(PICTURE, "w", encoding="ascii") as file:
        file.write(drawn)
    print("scale_plot.py: docs/scale.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
