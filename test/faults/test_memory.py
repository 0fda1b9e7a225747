# SPDX-License-Identifier: Apache-2.0
"""Allocators, memory limits, and what a full ring or table loses."""
import ctypes
import json
import os
import re
import time
from pathlib import Path

import pytest

from lib.fault_rows import (MORE_S, RSS_CAP_KIB, TIMES_BARE, finish, have, limited, program, row,
                            status_numbers)
from lib.harness import AGENT, DEADLINE_S, free_port, until, victim
from lib.profiles import heap

COLLECTOR = "pprofagent"  # the thread that reads the ring
LIB = "/usr/lib/x86_64-linux-gnu/"
MIB = 1 << 20
# Objects of libc, frees of objects from before the boot, stacks for which the ring had no room.
STRAY = 50


# ------------------------------------------------------------------ before and after main

@row("F70", "malloc, locks and files in an indirect function's resolver, preinit and constructors",
     severity=1, fast=True)
def test_before_main(case):
    _, under = case.same([program("f_early")])
    assert under.out == b"resolver 12 preinit 12 constructor 12 main 12\nanswer 42 freed 4\n"
    _, under = case.same([victim("v_early")])
    assert under.status == 3


def same_beside(case, library, argv=("/bin/true",)):
    """As case.same, with a library preloaded: after the agent, so that it begins before it and ends
    after it."""
    bare = case.bare(argv, env={"LD_PRELOAD": library})
    under = case.under(argv, TIMES_BARE * bare.wall_s + MORE_S, preload=(AGENT, library))
    case.note(f"{bare.end} -> {under.end}")
    assert not under.timed_out
    assert (under.status, under.out, under.err) == (bare.status, bare.out, bare.err), under
    return under


@pytest.mark.xfail(strict=True, reason="its hooks are called before the loader has relocated them")
@row("F70b", "the same in a library that the loader deals with before the agent", severity=1)
def test_before_the_agent(case):
    """As with any library that is preloaded and defines malloc; see agent/docs/limits.md."""
    under = same_beside(case, program("p_early.so"))
    assert under.out == b"resolver 12 constructor 12\nanswer 42 freed 2\n"


@row("F70c", "string functions whose first call uses hooked functions", severity=1, fast=True)
def test_strings_that_start_a_sanitizer(case):
    """The agent calls them while it looks for the real functions."""
    under = same_beside(case, program("p_strings.so"))
    assert under.out == b"good 20\n"


@row("F71", "a library's destructor that frees, allocates and locks after all others", severity=1,
     fast=True)
def test_after_main(case):
    under = same_beside(case, program("p_late.so"))
    assert under.out == b"late 100000\n"


# ------------------------------------------------------------------ the family of malloc


@row("F72", "errno over calls that do not fail, at 200 stack depths", severity=2)
def test_errno(case):
    _, under = case.same([victim("v_errno"), "300"])
    assert under.out.startswith(b"errno changed 0 of")


@row("F73", "what every function of the family gives", severity=1, fast=True)
def test_family(case):
    _, under = case.same([victim("v_family")])
    assert under.out.endswith(b"family ok\n")


def agent_page(target):
    return json.loads(target.get("/agent?format=json").text)


def exact_settings(case):
    """A ring that holds all events even before somebody reads it."""
    return {} if case.mode == "idle" else {"buffer": "256M"}


@row("F74", "blocks that libc and a plugin with libc's own malloc make, and the host frees",
     severity=1)
def test_foreign_blocks(case):
    argv = [program("f_foreign"), program("p_foreign.so"), "2000"]
    _, under = case.same(argv)
    assert under.out == b"foreign made 32000 wrong 0\n"
    target = case.start(argv, **exact_settings(case))
    with case.fire(target):
        target.expect("foreign")
    profile = heap(target)
    left = [s for s in profile.samples if s.values["inuse_objects"] and s.has("run")]
    case.note(f"{profile.total('alloc_objects')} seen, {len(left)} stacks left")
    assert not left, left
    assert target.finish() == 0 and target.err == ""


@row("F74b", "and the reverse: frees that nobody sees, of blocks that were seen", severity=1)
def test_foreign_frees(case):
    """Such a block counts as live until its address is another block: no more than that."""
    argv = [program("f_foreign"), program("p_foreign.so"), "20000", "back"]
    _, under = case.same(argv)
    assert under.out == b"foreign made 320000 wrong 0\n"
    target = case.start(argv, **exact_settings(case))
    with case.fire(target):
        target.expect("foreign")
    profile = heap(target)
    memory = agent_page(target)["memory"]
    live = profile.total("inuse_objects")
    case.note(f"{profile.total('alloc_objects')} seen, {live} count as live; {memory}")
    if case.mode != "idle":
        assert live < 5000 and agent_page(target)["drops"]["lost_alloc_live"] == 0
    assert target.finish() == 0 and target.err == ""


OTHERS = {"jemalloc": LIB + "libjemalloc.so.2", "tcmalloc": LIB + "libtcmalloc_minimal.so.4"}
PROGRAMS = (["v_errno", "20"], ["v_threads", "300"], ["v_fork", "storm", "30"],
            ["v_cxx", "throw", "2000"])


@row("F75", "other allocators, preloaded before and after the agent", severity=2)
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("agent_first", [True, False], ids=["after", "before"])
def test_other_allocators(case, name, agent_first):
    other = OTHERS[name]
    preload = (AGENT, other) if agent_first else (other, AGENT)
    for argv in PROGRAMS:
        argv = [victim(argv[0]), *argv[1:]]
        bare = case.bare(argv, env={"LD_PRELOAD": other})
        under = case.under(argv, TIMES_BARE * bare.wall_s + MORE_S, preload=preload)
        assert not under.timed_out and (under.status, under.err) == (bare.status, bare.err), under
        if argv[0] != victim("v_threads"):  # that prints its memory
            assert under.out == bare.out
    target = case.start([victim("v_blocks"), "8"], preload=preload, **exact_settings(case))
    with case.fire(target):
        target.expect("ready")
    inactive = agent_page(target)["hooks_inactive"]
    kept = heap(target).total("inuse_space", "keep_blocks")
    case.note(f"{name}: {kept} bytes seen, {'malloc not seen' if 'malloc' in inactive else 'all'}")
    if agent_first:
        assert "malloc" not in inactive and kept > 0
        assert case.mode == "idle" or kept == 8 * MIB
    else:
        assert inactive["malloc"] and kept == 0
    assert target.finish() == 0


@row("F75b", "a program that brings its own jemalloc", severity=2)
def test_own_allocator(case):
    have("redis-server")
    target = case.start(["redis-server", "--port", free_port(), "--save", "", "--bind",
                         "127.0.0.1"], **exact_settings(case))
    with case.fire(target):
        if case.mode == "idle":
            assert "malloc" not in agent_page(target)["hooks_inactive"]
        else:
            until("redis is seen", lambda: heap(target).total("inuse_space",
                                                              "createSharedObjects") > 100_000)
    os.kill(target.pid, 15)
    assert target.process.wait(DEADLINE_S) == 0
    assert target.err == ""


@row("F76", "dlopen storm", severity=1)
def test_dlopen_storm(case):
    case.same([victim("v_plugin"), "storm", "5000"])


@row("F76b", "dlopen storm, ten in a row while the CPU is profiled", severity=1,
     modes=("full", "fire"))
def test_dlopen_storm_in_cpu_profile(case):
    for _ in range(10):
        target = case.start([victim("v_plugin"), "storm", "1500"], wait=False, cpu_hz=1000)
        with case.fire(target, ("/profile?seconds=1", "/heap")) as poller:
            assert target.finish(60) == 0
        assert target.out.endswith("storm ok 1500\n") and target.err == ""
        assert not poller.failures or case.mode == "full", poller.failures


@row("F77", "C++ exceptions", severity=1)
def test_exceptions(case):
    for _ in range(3):
        _, under = case.same([victim("v_cxx"), "throw", "60000"], again=True)
        assert under.out.endswith(b"caught 120000\n")


@row("F78", "a C program with a C++ plugin that throws, 4 threads", severity=1)
def test_throwing_plugin(case):
    argv = [program("f_throwhost"), program("p_throw.so"), "4", "25000"]
    _, under = case.same(argv)
    assert under.out == b"caught 100000\n"


@row("F78b", "whose unwinder a C++ plugin of a C program is bound to", severity=1,
     modes=("idle", "full"), naive="libunwind's")
def test_unwinder_of_a_plugin(case):
    argv = [program("f_throwhost"), program("p_throw.so"), "1", "10"]
    under = finish(argv, case.environment(1, X_LD_DEBUG="bindings", address="off"))
    assert under.out == b"caught 10\n"
    bound = set(re.findall(rb"p_throw.so \[0\] to (\S+) \[0\]: normal symbol `_Unwind_\w+'|"
                           rb"libstdc\+\+\S+ \[0\] to (\S+) \[0\]: normal symbol `_Unwind_\w+'",
                           under.err))
    bound = {os.path.basename(a or b) for a, b in bound}
    case.note(str(sorted(bound)))
    assert bound == {b"libgcc_s.so.1"}


@row("F84", "requests that cannot be had", severity=2, fast=True)
def test_huge_requests(case):
    bare, under = case.same([program("f_huge"), "50"])
    assert b"wrong 0" in bare.out
    target = case.start([program("f_huge"), "50"])
    with case.fire(target):
        while not target.line().startswith("huge"):
            pass
    profile = heap(target)
    seen = [s for s in profile.samples if s.has("ask_for_it")]
    case.note(f"{sum(s.values['alloc_objects'] for s in seen)} events of 50 allocations")
    assert not any(s.values["inuse_objects"] for s in seen)
    assert all(s.labels["bytes"] == 100 for s in seen)
    assert case.mode == "idle" or sum(s.values["alloc_objects"] for s in seen) == 50
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ limits


def peak_bytes(case, argv, lines):
    """The most address space that the bare program has, seen when it said its last line."""
    target = case.start_bare(argv)
    for _ in range(lines):
        target.line()
    return status_numbers(target.pid, "VmPeak")["VmPeak"] << 10


SQL = """create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
insert into t select i, hex(i * 7919) || printf('%0100d', i) from n;
create index tb on t(b);
select count(*), sum(length(b)), min(b), max(b) from t where b > '33';
select a from t order by b desc limit 3;
"""


@row("F79", "address space for the program and 4, 20, 60, 300 MiB", severity=1)
@pytest.mark.parametrize("more_mib", [4, 20, 60, 300])
def test_address_space(case, more_mib):
    argv = [victim("v_blocks"), "16"]
    limit = peak_bytes(case, argv, 1) + more_mib * MIB
    bare, under = case.both(argv, preexec_fn=limited(AS=limit))
    assert (under.status, under.out, under.err) == (bare.status, bare.out, bare.err), under


@row("F83", "sqlite3 with little address space", severity=2)
def test_sqlite_with_little_memory(case):
    have("sqlite3")
    limit = 160 * MIB
    _, under = case.same(["sqlite3", ":memory:"], stdin=SQL.encode(),
                         preexec_fn=limited(AS=limit))
    assert under.status == 0 and under.out


# ------------------------------------------------------------------ what a full table or ring loses


def under_cap(case, target, argv, talk):
    """P5: no more than 64 MiB beyond the program's own."""
    bare = case.start_bare(argv)
    talk(bare)
    bare_kib = status_numbers(bare.pid, "VmHWM")["VmHWM"]
    kib = status_numbers(target.pid, "VmHWM")["VmHWM"]
    case.note(f"{bare_kib} -> {kib} KiB (+{(kib - bare_kib) / 1024:.1f} MiB)")
    assert kib - bare_kib <= RSS_CAP_KIB


def of_bytes(profile, value, size):
    """Sum over the samples of blocks of one size, those that were lost as well."""
    return sum(s.values[value] for s in profile.samples if s.labels.get("bytes") == size)


def produced(drops, events):
    return events["alloc_events"] + drops["lost_alloc_ring"]


# More than the stack of a thread; less; with room for the core.
HOLES_KIB = ("1024", "300", "16384")


@row("F80", "one thread maps at a place that it has unmapped a moment before", severity=1,
     fast=True)
def test_places_that_the_program_left(case):
    for kib in HOLES_KIB:
        case.same([program("f_holes"), kib, "400"])


@row("F81", "endless new stacks: 10^6 paths of calls, each allocates and keeps", severity=3)
def test_endless_new_stacks(case):
    argv = [program("f_stacks"), "20"]
    target = case.start(argv, wait=False)
    with case.fire(target):
        assert target.line(300) == f"kept {1 << 20}"
    profile = heap(target)
    page = agent_page(target)
    lost = profile.total("alloc_objects", "pprofagent.lostEvents")
    case.note(f"{page['tables']['stacks']} stacks, {lost} objects in lostEvents; {page['memory']}")
    case.note(str({k: v for k, v in page["drops"].items() if v}))
    if case.mode != "idle":
        assert profile.total("alloc_objects") == pytest.approx(1 << 20, abs=200)
        assert profile.total("alloc_objects") == produced(page["drops"], page["events"])
        assert (1 << 20) <= of_bytes(profile, "alloc_objects", 24) <= \
            (1 << 20) + 10
        assert page["drops"]["stacks_dropped"] > 0 and lost > 0
    under_cap(case, target, argv, lambda bare: bare.line(60))
    assert target.finish() == 0 and target.err == ""


@row("F82", "events faster than they can be read, 8 threads", severity=3)
def test_ring_overflow(case):
    threads, count = 8, 500_000
    argv = [program("f_storm"), threads, count]
    target = case.start(argv)
    target.expect("ready")
    with case.fire(target):
        target.tell("go")
        words = target.line(300).split()
    assert words[1] == str(threads * count)
    profile = heap(target)
    page = agent_page(target)
    case.note(str({k: v for k, v in page["drops"].items() if v}))
    if case.mode != "idle":
        account(profile, page, threads * count, int(words[3]))
    under_cap(case, target, argv, lambda bare: (bare.line(), bare.tell("go"), bare.line(60)))
    assert target.finish() == 0 and target.err == ""


def lost_of_ring(page):
    return page["drops"]["lost_alloc_ring"]


def account(profile, page, made, kept):
    """seen + lost = produced. What was lost has no size: it stands beside the other few blocks."""
    seen = sum(s.values["alloc_objects"] for s in profile.samples if s.has("make_blocks"))
    unsited = profile.total("alloc_objects", "pprofagent.lostEvents")
    lost = lost_of_ring(page)
    assert lost <= unsited
    assert made <= seen + unsited <= made + 200, (seen, unsited, made)
    live = sum(s.values["inuse_objects"] for s in profile.samples if s.has("make_blocks"))
    assert kept - lost <= live <= kept + page["drops"]["lost_free_ring"], (live, kept)


# ptrace(2): stops one thread and not its process.
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17


class Stopped:
    """A thread that does not get on, within a with block."""

    def __init__(self, tid):
        self.tid, self.libc = tid, ctypes.CDLL(None, use_errno=True)

    def _call(self, request):
        zero = ctypes.c_void_p(0)
        if self.libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.tid), zero, zero) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def __enter__(self):
        self._call(SEIZE)
        self._call(INTERRUPT)
        os.waitpid(self.tid, 0x40000000)  # __WALL

    def __exit__(self, *_):
        self._call(DETACH)


def thread_of(pid, name):
    for comm in Path(f"/proc/{pid}/task").glob("*/comm"):
        if comm.read_text().strip() == name:
            return int(comm.parent.name)
    raise AssertionError(f"no thread {name}")


@row("F82b", "the reader of the ring does not get on: nobody waits for it for long", severity=1,
     modes=("full",))
def test_stopped_reader(case):
    threads, count = 8, 200_000
    target = case.start([program("f_storm"), threads, count])
    target.expect("ready")
    with Stopped(thread_of(target.pid, COLLECTOR)):
        started = time.monotonic()
        target.tell("go")
        words = target.line(60).split()
        case.note(f"{time.monotonic() - started:.2f} s with the reader stopped")
    assert words[1] == str(threads * count)
    profile = heap(target)
    page = agent_page(target)
    case.note(str({k: v for k, v in page["drops"].items() if v}))
    account(profile, page, threads * count, int(words[3]))
    assert lost_of_ring(page) > 0
    assert target.finish() == 0 and target.err == ""


@row("F81b", "10^6 live sampled objects", severity=2)
def test_million_live_objects(case):
    many_live_objects(case, 1_000_000)


@row("F81c", "2*10^6 live sampled objects: all have a place", severity=2, modes=("full",))
def test_two_million_live_objects(case):
    page = many_live_objects(case, 2_000_000)
    assert page["drops"]["live_dropped"] == page["drops"]["lost_alloc_live"] == 0


@row("F81d", "5*10^6 live sampled objects: those without a place are in the losses", severity=2,
     modes=("full",))
def test_five_million_live_objects(case):
    page = many_live_objects(case, 5_000_000)
    assert page["drops"]["live_dropped"] > 0 and page["drops"]["lost_alloc_live"] > 0


def many_live_objects(case, count):
    argv = [program("f_live"), count]
    target = case.start(argv, wait=False)
    with case.fire(target):
        assert target.line(300) == f"live {count}"
        target.answers()
        check_live(case, target, count, count)
        assert target.ask("half", "live") == f"live {count // 2}"
        check_live(case, target, count, count // 2)
        assert target.ask("all", "live") == "live 0"
        check_live(case, target, count, 0)
    under_cap(case, target, argv, lambda bare: bare.line(60))
    page = agent_page(target)
    assert target.finish(60) == 0 and target.err == ""
    return page


def check_live(case, target, made, count):
    """At rate 1 all objects are counted: those that the tables have and those that they lost."""
    profile = heap(target)
    page = agent_page(target)
    live = profile.total("inuse_objects", "make_live")
    lost = profile.total("inuse_objects", "pprofagent.lostEvents")
    drops = {k: v for k, v in page["drops"].items() if v}
    case.note(f"{live} + {lost} of {count} live, {drops}")
    if case.mode == "idle":
        return
    lost_frees = page["drops"]["lost_free_ring"]
    ring = page["drops"]["lost_alloc_ring"]
    assert made - ring - STRAY <= profile.total("alloc_objects", "make_live") <= made
    assert count - STRAY <= live + lost <= count + lost_frees + STRAY
    assert live <= count + lost_frees
    assert profile.total("inuse_space", "make_live") == live * 40
    lost_bytes = profile.total("inuse_space", "pprofagent.lostEvents")
    assert lost_bytes == pytest.approx(lost * 40, rel=0.01, abs=40 * STRAY)
