# SPDX-License-Identifier: Apache-2.0
"""Mutexes, conditions and what else a thread waits for."""
import os
import time

from lib.contention_turn import V_LOCKS_WAITS
from lib.fault_rows import BARE_DEADLINE_S, MORE_S, TIMES_BARE, have, program, row
from lib.harness import victim
from lib.profiles import contention

JAVA = os.path.join(os.path.dirname(__file__), "programs", "T.java")


def first_difference(bare, under):
    pairs = zip(bare.out.splitlines(), under.out.splitlines())
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def same_lines(case, argv):
    """As case.same; says which line differs."""
    bare, under = case.both(argv)
    assert bare.status == 0 and bare.out, bare
    case.note(f"{len(bare.out.splitlines())} lines")
    assert under.out == bare.out, first_difference(bare, under)
    assert (under.status, under.err) == (0, bare.err), under


@row("F61", "return codes of every lock in every state", severity=1, naive="trylock waits")
def test_return_codes(case):
    same_lines(case, [victim("v_codes")])


@row("F61b", "return codes of locks in odd states: limits, dead owners, unknown kinds", severity=1,
     fast=True)
def test_return_codes_in_odd_states(case):
    same_lines(case, [program("f_oddlocks"), "60"])


@row("F61c", "return codes of conditions, semaphores, barriers, joins, also with signals",
     severity=1, fast=True)
def test_return_codes_of_waits(case):
    same_lines(case, [victim("v_waitcodes")])


@row("F61g", "results and errno of syscall(futex): each operation, signals, memory that is gone",
     severity=1, fast=True)
def test_results_of_futexes(case):
    same_lines(case, [program("f_futex"), "50"])


@row("F61d", "cancellation in waits; conditions of libc's old version", severity=1)
def test_cancelled_waits(case):
    same_lines(case, [victim("v_cancel")])
    same_lines(case, [victim("v_oldcond")])


@row("F61e", "the lock's memory is gone as soon as it is given up", severity=1)
def test_locks_that_are_gone(case):
    _, under = case.same([program("f_gonelock"), "30000"])
    assert under.out == b"gone 30000\n"


@row("F61f", "locks that are taken past the agent and given up through it; jumps out of waits",
     severity=1)
def test_mixed_ways(case):
    _, under = case.same([program("f_mixedlocks"), "2000000"])
    assert under.out == b"mixed 4000000 jumped 1000\n"


TURNS = 1000  # each is a turn of the scheduler, or many, on a busy machine
HANDOVERS = "".join(f"{kind} {count}\n" for kind, count in (
    ("mutex", 2 * TURNS), ("robust", TURNS // 2), ("cond", TURNS // 2), ("sem", TURNS // 2),
    ("rwlock", TURNS // 2))).encode()


def hand_over(case, tmp_path, name, agents):
    """Who makes the file, then who plays with it; agents: which of them has one."""
    def begin(number):
        argv = [victim("v_handover"), tmp_path / name, str(number), str(TURNS)]
        if agents[number]:
            return case.start(argv, wait=False)
        return case.start_bare(argv)
    started = time.monotonic()
    maker = begin(0)
    maker.expect("ready")
    other = begin(1)
    with case.fire(maker if agents[0] else other):
        deadline_s = BARE_DEADLINE_S if not any(agents) else left_s(case)
        assert other.finish(deadline_s) == 0 and maker.finish(deadline_s) == 0
    assert maker.out.encode() == b"ready\n" + HANDOVERS and other.out.encode() == HANDOVERS
    return time.monotonic() - started


bare_s = {}


def left_s(case):
    """Neither is alone: what the scheduler does to them differs from run to run."""
    return max(TIMES_BARE * bare_s[case.number] + MORE_S, BARE_DEADLINE_S)


@row("F62", "handovers between two processes, one of them without an agent", severity=1)
def test_handovers(case, tmp_path):
    if case.number not in bare_s:
        bare_s[case.number] = hand_over(case, tmp_path, "bare", (False, False))
    for agents in ((True, False), (False, True)):
        took_s = hand_over(case, tmp_path, f"with {agents}", agents)
        case.note(f"{bare_s[case.number]:.1f} -> {took_s:.1f} s")


@row("F64", "every lock and wait of C++ and C11: the same, and in the block profile", severity=2)
def test_locks_of_cxx_and_c11(case):
    case.same([victim("v_locks")])
    target = case.start([victim("v_locks")])
    with case.fire(target):
        while target.line() != "ready":
            pass
        profile = contention(target, "block")
    seen = [name for name, ms in V_LOCKS_WAITS.items()
            if profile.total("delay", rf"app::{name}\(\)") >= ms * 1e6]
    case.note(f"{len(seen)} of {len(V_LOCKS_WAITS)} in block")
    assert seen == ([] if case.mode == "idle" else list(V_LOCKS_WAITS))
    assert target.finish() == 0 and target.err == ""


@row("F65", "a lock held for 100 ms while 100 threads wait", severity=3, modes=("full", "fire"))
def test_known_contention(case):
    hold_ms, waiters = 100, 100
    target = case.start([victim("v_contend")])
    target.expect("ready")
    with case.fire(target):
        words = target.ask(f"mutex {hold_ms} {waiters} 1", "mutex").split()
    waited = int(words[words.index("waited") + 1])
    charged = int(words[words.index("charged") + 1])
    total = contention(target, "mutex").total("delay", "unlock_mutex")
    holder = contention(target, "mutex").total("delay", "holder_gives_up")
    block = contention(target, "block").total("delay", "lock_mutex")
    case.note(f"truth {waited / 1e9:.3f} s, mutex {total / 1e9:.3f}, block {block / 1e9:.3f}; "
              f"holder {charged / 1e9:.3f}, {holder / 1e9:.3f}")
    assert 0.9 * waiters * hold_ms * 1e6 <= total <= 1.1 * waited
    assert 0.9 * waiters * hold_ms * 1e6 <= block <= 1.1 * waited
    assert 0.9 * charged <= holder <= 1.1 * charged


@row("F66", "Java", severity=1, naive="hangs: its trylock waits")
def test_java(case):
    have("java", "javac")
    _, under = case.same(["java", JAVA])
    assert len(under.out.splitlines()) == 4
