# SPDX-License-Identifier: Apache-2.0
"""The end of a program, in every way, and what it makes of itself before."""
import os
import statistics
import time

import pytest

from lib.fault_rows import (MORE_S, TIMES_BARE, environment, finish, free_port, have, program,
                            row)
from lib.harness import Later, sampling, until, victim

MS = 1000.0
# The contract says 20 ms; a busy machine needs room around it.
EXIT_MS = 20.0


def medians(case, argv, count):
    """Median wall times in ms, bare and under, of runs that take turns."""
    times = ([], [])
    for _ in range(count):
        for agent, kept in enumerate(times):
            env = case.environment(free_port()) if agent else environment(preload=())
            outcome = finish(argv, env, deadline_s=30)
            assert not outcome.timed_out
            kept.append(outcome.wall_s * MS)
    return [statistics.median(kept) for kept in times]


# ------------------------------------------------------------------ what it costs


@pytest.mark.alone
@row("F110", "exit cost of a program that does nothing", severity=2, naive="17 ms more", fast=True)
def test_exit_cost(case):
    bare_ms, under_ms = medians(case, ["/bin/true"], 25)
    case.note(f"median {bare_ms:.1f} -> {under_ms:.1f} ms")
    assert under_ms - bare_ms < EXIT_MS / 2


def end_ms(target):
    """From what the program last did until it is gone."""
    status = target.process.wait(30)
    now_us = time.monotonic() * 1e6
    line = target.line()
    assert status == 3
    return (now_us - int(line)) / MS


@pytest.mark.alone
@row("F110b", "exit while the agent starts", severity=2, modes=("idle", "full"))
def test_exit_while_the_agent_starts(case):
    # The core is opened 20 ms after the start, and exit() waits for the loader.
    worst = 0.0
    for life_ms in (0, 10, 18, 20, 22, 25, 30, 40, 60, 100, 300):
        times = ([], [])
        for _ in range(7):
            for agent, kept in enumerate(times):
                argv = [program("f_linger"), str(life_ms)]
                target = case.start(argv, wait=False) if agent else case.start_bare(argv)
                kept.append(end_ms(target))
        more = statistics.median(times[1]) - statistics.median(times[0])
        worst = max(worst, more)
        assert more < EXIT_MS + 20, f"after {life_ms} ms: {times}"
    case.note(f"worst median {worst:+.1f} ms")


# ------------------------------------------------------------------ every way

@row("F112", "every way out at once", severity=1, fast=True)
@pytest.mark.parametrize("how", ["return", "exit", "thread", "_exit", "quick", "abort", "term",
                                 "handler", "race", "pthread", "atexit", "segv", "exec", "busy"])
def test_every_way_out_at_once(case, how):
    case.same([victim("v_exit"), how])


WAYS = {"return": 3, "exit": 3, "_exit": 3, "_Exit": 3, "syscall": 3, "quick": 3, "abort": -6,
        "term": -15, "segv": -11, "kill": -9, "thread": 3, "race": 3, "exec": 3, "handler": 3,
        "last": 0}


def leave(target, how):
    """(status, stdout, stderr, ms) of a started f_leave."""
    begin = time.monotonic()
    target.tell(how)
    status = target.process.wait(30)
    took_ms = (time.monotonic() - begin) * MS
    target.finish()
    return status, target.out, target.err, took_ms


@row("F112b", "every way out in the middle of a profile of 30 s", severity=1, fast=True)
@pytest.mark.parametrize("how", WAYS)
def test_every_way_out_in_a_profile(case, how):
    times = ([], [])
    for _ in range(3):
        for agent, kept in enumerate(times):
            target = case.start([program("f_leave")]) if agent else \
                case.start_bare([program("f_leave")])
            target.expect("ready")
            asked = Later(target, "/profile?seconds=30") if agent else None
            if agent:
                until("the profile runs", lambda t=target: sampling(t))
            *told, took_ms = leave(target, how)
            if how == "race":
                told[1] = told[1].split()[0]  # the handlers' own output is part of the race
            kept.append((told, took_ms))
            if asked:
                asked.thread.join(20)
                assert not asked.running()
    assert times[0][0][0][0] == WAYS[how]
    assert all(told == times[0][0][0] for told, _ in times[0] + times[1]), times
    bare_ms, under_ms = (statistics.median(ms for _, ms in kept) for kept in times)
    case.note(f"{how} {bare_ms:.1f} -> {under_ms:.1f} ms")
    # Not the rest of the profile. What the end costs is measured alone, above.
    assert under_ms < TIMES_BARE * bare_ms + MORE_S * MS


@row("F112c", "main leaves by pthread_exit, the last thread ends the process", severity=1)
@pytest.mark.parametrize("threads, life_ms", [(0, 0), (1, 0), (3, 5), (2, 150), (30, 2)])
def test_last_thread(case, threads, life_ms):
    _, under = case.same([program("f_lastthread"), str(threads), str(life_ms)])
    assert under.status == 0
    assert under.out.endswith(b"exit handlers\n")


@row("F112e", "the last thread ends while the agent starts, again and again", severity=1)
def test_last_thread_while_the_agent_starts(case):
    # What its streams hold would be lost if a thread of ours were in libc's count just then.
    for i in range(120):
        _, under = case.same([program("f_lastthread"), "3", str(3 + i % 5)])
        assert under.out.endswith(b"exit handlers\n")


@row("F112f", "threads end one by one, by libc or by the raw call, and ways out meet", severity=1,
     fast=True)
@pytest.mark.parametrize("how", ["raw", "raw-last", "raw-alone", "cancelled", "destructor", "keys",
                                 "detached", "many", "two", "atexit", "dlclose", "timer"])
def test_threads_end(case, how):
    # At once, while the agent starts, and when it is there.
    for life_ms in ("0", "22", "60"):
        case.same([program("f_ends"), how, life_ms])


@row("F112d", "exit beside threads in malloc and locks, again and again", severity=1)
def test_exit_with_busy_threads(case):
    for _ in range(60):
        _, under = case.same([victim("v_exit"), "busy"])
        assert under.status == 3


@row("F113", "order of everything that is taken down", severity=2, fast=True)
@pytest.mark.parametrize("arguments", [[], ["exit"]], ids=["return", "exit"])
def test_order_at_exit(case, arguments):
    _, under = case.same([program("f_atexit"), *arguments])
    assert under.status == (6 if arguments else 5)
    assert under.out.endswith(b"last destructor 100\n")


# ------------------------------------------------------------------ what it makes of itself


@row("F113b", "namespaces, roots and ids are changed at once", severity=1, fast=True)
def test_creds_at_once(case):
    case.same([program("f_creds"), "first"])


@row("F113c", "namespaces, roots and ids are changed while profiles are taken", severity=1,
     fast=True)
def test_creds_while_profiles_are_taken(case):
    bare = case.start_bare([program("f_creds"), "later"])
    under = case.start([program("f_creds"), "later"])
    told = []
    for target in (bare, under):
        target.expect("ready")
        with case.fire(under):
            if target is under and case.mode == "fire":
                until("requests are answered", lambda: under.get("/heap").status == 200)
            target.tell("go")
            status = target.process.wait(30)
        target.finish()
        told.append((status, target.out, target.err))
    assert told[1] == told[0]


@row("F113d", "setpriv, unshare, setsid and their like", severity=1, fast=True)
@pytest.mark.parametrize("argv", [
    ["unshare", "-r", "id", "-u"], ["unshare", "-m", "-u", "true"],
    ["unshare", "-rp", "--fork", "sh", "-c", "echo $$"],
    ["setpriv", "--reuid=65534", "--clear-groups", "id"],
    ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "id", "-u"],
    ["nsenter", "-t", str(os.getpid()), "-m", "true"], ["chroot", "/", "id", "-u"],
    ["prlimit", "--nproc=100000", "true"], ["setarch", "-R", "true"],
], ids=lambda argv: "_".join(argv[:2]))
def test_setpriv_and_unshare(case, argv):
    have(argv[0])
    case.same(argv)
