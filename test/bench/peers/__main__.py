# SPDX-License-Identifier: Apache-2.0
"""Runs all works under all systems in turns, and prints a table for each work.

CPU is user and system time of all processes of a run, the start and what is written at the end
included; ratios are medians over the rounds, to the bare program of the same round (Go: to the Go
program without a profile). samples: those in a CPU profile by those due in the CPU time of the
work; worst share: how far the part of one of equal threads is from equal, in parts of the whole.
`>`: stopped after --limit seconds.
"""
import argparse
import os
import sys

from bench.peers.runs import run
from bench.peers.systems import all_systems, loader_libraries, missing
from bench.peers.table import work_lines
from bench.peers.works import all_works, is_there


def systems_for(work, systems):
    return [s for s in systems if work.kind in s.kinds and (not s.works or work.name in s.works)
            and (work.go or not s.go)]


def take_turns(work, systems, rounds, limit):
    """A system that fails or is late is not run again: its last run stands for the others."""
    results = {system.name: [] for system in systems}
    for i in range(rounds):
        for system in systems[i % len(systems):] + systems[:i % len(systems)]:
            runs = results[system.name]
            again = not (runs and runs[-1].failed)
            runs.append(run(work, system, limit) if again else runs[-1])
    return results


def found_systems(names):
    libraries, found = loader_libraries(), []
    for system in all_systems():
        lacks = missing(system, libraries)
        if lacks:
            print(f"left out: {system.name} ({', '.join(lacks)})")
        elif system.name == "bare" or any(name in system.name for name in names):
            found.append(system)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="works whose name has this in it")
    parser.add_argument("--systems", default="", help="comma list of parts of names of systems")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one run")
    options = parser.parse_args()
    systems = found_systems(options.systems.split(","))
    print(f"{options.rounds} rounds, {os.cpu_count()} cores", flush=True)
    for work in all_works():
        if options.only not in work.name:
            continue
        if not is_there(work):
            print(f"left out: {work.name} ({work.needs})")
            continue
        results = take_turns(work, systems_for(work, systems), options.rounds, options.limit)
        exact = [system.name for system in systems if system.exact]
        print("\n".join(work_lines(work.name, results, "agent, rate 1", exact)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
