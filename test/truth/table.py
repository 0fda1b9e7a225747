# SPDX-License-Identifier: Apache-2.0
"""Measures how true profiles are, and prints the shares.

    make truth                                            all of it
    make truth TRUTH_ARGS='--only lines --match clang'    some of it

lines: functions, files and lines of each address against llvm-symbolizer, by compiler, flags and
form of debug information; stacks: how many are complete, by program; cpu, memory, locks: totals
against what the programs measure. Exit status 1 if a figure is farther off than it may be.
"""
import argparse
import importlib
import importlib.util
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from truth import lines, totals

LEAST = 1.0  # share of the locations that must be equal to the reference's
PARTS = ("lines", "stacks", "cpu", "memory", "locks")


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def compare(variant):
    with tempfile.TemporaryDirectory() as folder:
        try:
            return lines.compare(Path(folder), *variant)
        except lines.Unavailable as error:
            return error


def print_lines(match, jobs):
    title("Functions, files and lines against llvm-symbolizer: locations, same functions, "
          "and same lines")
    bad = 0
    variants = [v for v in lines.variants() if re.search(match, " ".join(v))]
    with ThreadPoolExecutor(jobs) as pool:
        for variant, found in zip(variants, pool.map(compare, variants)):
            row = "{1:<8} {2:<24} {3}".format(*variant)
            if isinstance(found, lines.Unavailable):
                print(f"  {row:<50} not here: {str(found)[-60:]}", flush=True)
                continue
            wrong = found.count == 0 or found.lines < LEAST
            bad += wrong
            print(f"  {row:<50} {found.count:4} {found.names:8.2%} {found.lines:8.2%}"
                  + ("  BAD" if wrong else ""), flush=True)
            for offset, (own, reference) in list(found.wrong.items())[:2]:
                print(f"      {offset:#x}: {own}\n      reference: {reference}")
    return bad


def print_totals(text, figures, match):
    title(text)
    bad = 0
    for what, share, tolerance in figures:
        if not re.search(match, what):
            continue
        wrong = abs(share - 1) > tolerance + 1e-9
        bad += wrong
        print(f"  {what:<70} {share:8.4f} +-{tolerance:<5}" + (" BAD" if wrong else ""),
              flush=True)
    return bad


def print_stacks():
    if not importlib.util.find_spec("truth.stacks"):
        return 0
    title("Complete stacks by program")
    return importlib.import_module("truth.stacks").print_table()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--match", default="", help="rows that have this regular expression")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    wanted = options.only or PARTS
    bad = 0
    if "lines" in wanted:
        bad += print_lines(options.match, options.jobs)
    if "stacks" in wanted:
        bad += print_stacks()
    if "cpu" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            bad += print_totals("CPU time: share of getrusage's", totals.cpu(Path(folder)),
                                options.match)
    if "memory" in wanted:
        bad += print_totals("Memory: share of the program's counters", totals.memory(),
                            options.match)
    if "locks" in wanted:
        bad += print_totals("Locks: share of the waiters' own clock", totals.locks(),
                            options.match)
    print(f"\n{bad} figures are farther off than they may be" if bad else "\nall figures hold")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
