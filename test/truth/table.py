# SPDX-License-Identifier: Apache-2.0
"""Measures how true profiles are, and prints one table with the shares, in percent.

    make truth                                            all of it
    make truth TRUTH_ARGS='--only lines --match clang'    some of it

lines: functions, files and lines of each address against llvm-symbolizer, by compiler, flags and
form of debug information; stacks: how many are complete, by program; cpu, memory, locks: totals
against what the programs measure. What is measured is shown on stderr as it comes. "!" marks a
figure that is farther off than it may be, "-" one that cannot be measured here. Exit status 1 if
there is a figure so marked.
"""
import argparse
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

from truth import lines, stacks, totals
from truth.figures import Figure, table


def cpu():
    with tempfile.TemporaryDirectory() as folder:
        yield from totals.cpu(Path(folder))


PARTS = {
    "lines": "Lines as llvm-symbolizer's, of locations",
    "stacks": "Complete stacks, of CPU samples",
    "cpu": "CPU time, of getrusage's",
    "memory": "Memory, of the program's counters",
    "locks": "Waits, of the waiters' own clock",
}


def figures_of(part, options):
    if part == "lines":
        return lines.figures(options.match, options.jobs)
    source = {"stacks": stacks.figures, "cpu": cpu, "memory": totals.memory,
              "locks": totals.locks}[part]
    return (figure for figure in source() if re.search(options.match, figure.row))


def measure(part, options):
    """The figures of a part; a part that breaks off has a wrong one."""
    found = []
    try:
        for figure in figures_of(part, options):
            found.append(figure)
            print(f"{part:7} {figure.row:44} {figure.column:16} {figure.cell}",
                  *figure.remarks, sep="\n        ", file=sys.stderr, flush=True)
    except Exception:  # pylint: disable=broad-exception-caught
        traceback.print_exc()
        found.append(Figure("broke off", "", 0.0))
    return found


def titled(part, figures):
    """Rust has forms of debug information, and so columns, of its own."""
    rust = [figure for figure in figures if part == "lines" and figure.row.endswith("(rs)")]
    others = [figure for figure in figures if figure not in rust]
    return {PARTS[part]: others, f"{PARTS[part]}, Rust": rust}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--match", default="", help="rows that have this regular expression")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    parts = {}
    for part in options.only or PARTS:
        parts |= titled(part, measure(part, options))
    print(*table(parts), sep="\n")
    figures = [figure for found in parts.values() for figure in found]
    wrong = sum(figure.is_wrong for figure in figures)
    measured = sum(figure.share is not None for figure in figures)
    print(f"\n{measured} figures in {(time.monotonic() - begun) / 60:.0f} minutes: "
          + (f"{wrong} are farther off than they may be" if wrong else "all hold"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
