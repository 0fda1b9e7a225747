# SPDX-License-Identifier: Apache-2.0
"""Totals of profiles against what the programs measure by themselves: CPU time by getrusage, memory
by counters, each kind of lock by the clock of its waiters. A share is the profile's value by the
program's."""
from pathlib import Path

from lib import lock_kinds
from lib.contention_turn import Turn
from lib.harness import (CONTENTION, EXACT, Target, environment, free_port, sampling, until,
                         victim)
from lib.profiles import Profile, heap
from truth.figures import Figure
from truth.lines import HERE, run

# Kind, threads, ms each, samples per second, tolerance: four standard deviations of the samples,
# each thread being off by less than one.
BURNS = [("user", 2, 500, 100, 0.04), ("user", 8, 250, 100, 0.04), ("user", 4, 250, 1000, 0.02),
         ("user", 200, 3, 100, 0.43), ("user", 200, 3, 1000, 0.05), ("system", 2, 500, 100, 0.04),
         ("system", 2, 500, 1000, 0.02), ("pieces", 4, 250, 100, 0.06)]

MIB = 64
# Rate, tolerance: four times 1/sqrt(number of samples); at rate 1 it is exact.
RATES = [(1, 0.0), (4096, 0.04), (65536, 0.13), (524288, 0.36)]


def near(row, column, share, tolerance):
    return Figure(row, column, share, 1 - tolerance, 1 + tolerance)


def cpu(folder):
    """The profile lasts until the program ends: nothing depends on the time that a request has."""
    program = folder / "burn"
    run("gcc", "-O2", "-g", "-D_GNU_SOURCE", "-pthread", "-o", program, HERE / "burn.c")
    for kind, threads, ms, hz, tolerance in BURNS:
        out = folder / "cpu.pb.gz"
        target = Target([program, kind, threads, ms],
                        environment(free_port(), cpu_hz=hz, cpuprofile=out))
        try:
            until("the profile has begun", lambda: sampling(target))
            burnt = int(target.ask("go", "burnt").split()[1])
            assert target.finish() == 0
        finally:
            target.kill()
        seen = Profile(Path(out).read_bytes()).total("cpu", "burner")
        yield near(f"{threads} threads, {ms} ms {kind} each, {hz} Hz", "share", seen / burnt,
                   tolerance)


def memory():
    for rate, tolerance in RATES:
        port = free_port()
        settings = EXACT if rate == 1 else {"heap_rate": rate}
        target = Target([victim("v_blocks"), str(MIB)], environment(port, **settings), port)
        try:
            kept, churned = (int(word) for word in target.expect("ready").split()[1:])
            target.answers()
            profile = heap(target)
            row = f"a sample each {rate:,} bytes"
            yield near(row, "in use", profile.total("inuse_space", "keep_blocks") / kept,
                       tolerance)
            yield near(row, "allocated", profile.total("alloc_space", "churn_blocks") / churned,
                       tolerance)
            target.ask("drop", "dropped")
            left = heap(target).total("inuse_space", "keep_blocks")
            yield near(row, "freed", 1 - left / kept, 0.0)
        finally:
            target.kill()


# Program, its kinds: {kind: (functions that wait, functions of main that end it, or None)}.
PROGRAMS = [("v_contend", lock_kinds.LIBC), ("v_futex_rust", lock_kinds.RUST),
            ("v_futex_cxx", lock_kinds.CXX),
            ("v_futex", {f"lock_{k}": ("g_mutex_lock_slowpath", end)
                         for k, end in lock_kinds.FUTEX.items()})]
HOLD_MS, TOLERANCE = 100, 0.05


def locks():
    for name, kinds in PROGRAMS:
        if not Path(victim(name)).exists():
            continue
        port = free_port()
        target = Target([victim(name)], environment(port, **CONTENTION), port)
        try:
            target.expect("ready")
            target.answers()
            for kind, functions in kinds.items():
                yield from one_lock(target, name, kind, functions)
        finally:
            target.kill()


def one_lock(target, name, kind, functions):
    waiters = 2 if kind == "spin" else 3  # these burn what the holder needs to come back
    rounds = " 1" if name == "v_contend" else ""
    turn = Turn(target, f"{kind} {HOLD_MS} {waiters}{rounds}")
    waits, ends = (rf".*\b(?:{f})(\(.*\))?" if f else None for f in functions[:2])
    waited, charged = turn.truth["waited"], turn.truth["charged"]
    seen = turn.gained_by("block", "delay", lambda s: s.has(waits))
    yield near(f"{name} {kind}", "block", seen / waited, TOLERANCE)
    if ends:
        over = (lambda s: s.has("holder_gives_up")) if name == "v_contend" else lambda s: True
        seen = turn.gained_by("mutex", "delay", lambda s: s.has(ends) and over(s))
        yield near(f"{name} {kind}", "mutex", seen / charged, TOLERANCE)
