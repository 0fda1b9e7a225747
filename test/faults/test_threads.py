# SPDX-License-Identifier: Apache-2.0
"""Threads, their stacks, their ends."""
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from lib.fault_rows import HZ, PYTHON, RSS_CAP_KIB, have, profiled, program, row, status_numbers
from lib.harness import ROOT, until, victim
from lib.profiles import counts, cpu, heap

SOURCES = ROOT / "test/faults/programs"


# ------------------------------------------------------------------ stacks


@row("F41", "16 KiB threads that allocate", severity=1, naive="rc 139", fast=True)
def test_small_stacks(case):
    case.same([victim("v_smallstack"), "100"])


@row("F43", "minimal stacks, in use when ticks come", severity=1)
def test_minimal_stacks(case):
    bare, under = profiled(case, [program("f_small_stack"), "0", "16384", "20480", "65536"])
    assert under == bare and under.endswith("ok 80\n")


@pytest.fixture(scope="module")
def fibres(tmp_path_factory):
    if not Path("/usr/include/boost/context/fiber.hpp").exists():
        pytest.skip("no libboost-context-dev here (make deps DEPS=faults)")
    out = tmp_path_factory.mktemp("fibres") / "fibres"
    subprocess.run(["g++", "-O1", "-g", "-fno-builtin", "-o", out, SOURCES / "boost_fibres.cc",
                    "-lboost_context"], check=True)
    return str(out)


@row("F45", "fibres of Boost.Context", severity=1)
def test_boost_fibres(case, fibres):
    case.same([fibres, "20"])
    target = case.start([fibres, "0"], cpu_hz=500)
    with case.fire(target, ("/goroutine?debug=2", "/heap")):
        profile = cpu(target, 2)
    stacks = [s for s in profile.samples if s.has(r"fibre_alloc\b.*")]
    ends = sum(s.values["samples"] for s in stacks if s.has(r".*fiber_entry.*")
               or s.has("make_fcontext"))
    weight = sum(s.values["samples"] for s in stacks)
    case.note(f"{ends} of {weight} samples reach the entry")
    assert stacks and ends / weight > 0.95
    assert not any(s.has("main") for s in stacks)
    assert target.finish() == 0 and target.err == ""


# A stack walk has memory beside it that cannot be read, or is about to go: see f_gone.c.

@row("F45b", "memory that another thread unmaps, guard pages inside a stack", severity=1,
     fast=True)
def test_gone_memory(case):
    for mode in ("unmapped", "carved"):
        case.same([program("f_gone"), mode, "1"])


@row("F45c", "frame pointers that lead nowhere", severity=1)
def test_wild_frame_pointers(case):
    for mode in ("unmapped", "none", "data", "other", "execute"):
        case.same([program("f_gone"), mode, "3"])


@row("F45d", "stacks whose ends nobody tells", severity=1)
def test_unknown_stacks(case):
    for mode in ("neighbours", "carved", "pthread", "given", "default", "grown", "handler",
                 "clone"):
        case.same([program("f_gone"), mode, "3"])


# ------------------------------------------------------------------ many


@row("F46", "20,000 short threads", severity=2)
def test_churn(case):
    target = case.start([program("f_churn"), "20000"], wait=False)
    until("its memory is read", lambda: status_numbers(target.pid, "VmRSS").get("VmRSS", 0) > 2000)
    with case.fire(target, ("/heap", "/mutex", "/threadcreate", "/goroutine")):
        assert target.line(120) == "ran 20000"
    profile = counts(target, "threadcreate")
    created = profile.total("threadcreate", "main")
    lost = profile.total("threadcreate", "pprofagent.lostEvents")
    rss = status_numbers(target.pid, "VmRSS", "VmHWM")
    bare = case.start_bare([program("f_churn"), "20000"])
    assert bare.line(120) == "ran 20000"
    had = status_numbers(bare.pid, "VmHWM")["VmHWM"]
    case.note(f"{created} created, {lost} lost, {had} -> {rss['VmHWM']} KiB")
    assert created + lost == 20000
    assert rss["VmHWM"] - had <= RSS_CAP_KIB
    if case.mode == "full":
        profile = heap(target)
        seen = sum(s.values["alloc_objects"] for s in profile.samples if s.has("churn_work"))
        gone = profile.total("alloc_objects", "pprofagent.lostEvents")
        case.note(f"{seen} allocations + {gone} lost")
        assert seen + gone >= 200000 and seen <= 200000
    assert target.finish() == 0 and target.err == ""


@row("F46b", "memory after 64 and after 40,000 threads", severity=2)
def test_churn_does_not_grow(case):
    target = case.start([victim("v_threads"), "40000"], wait=False)
    with case.fire(target, ("/heap", "/threadcreate", "/goroutine")):
        status = target.finish(240)
    growth = int(target.out.split()[-1])
    case.note(f"{growth} KiB more than after 64 threads")
    assert status == 0 and target.err == ""
    assert growth < ((10 if case.mode != "fire" else 40) << 10)


@row("F47", "2,000 live threads", severity=3)
def test_many_threads(case):
    argv = [program("f_many_threads"), "2000"]
    target = case.start(argv, wait=False)
    assert target.line(120) == "ready 2000"
    target.answers()
    first = time.monotonic()
    profile = counts(target, "goroutine")
    took = time.monotonic() - first
    total = profile.total("goroutine")
    silent = sum(s.values["goroutine"] for s in profile.samples if "[no answer]" in s.names)
    with case.fire(target):
        for path in ("/profile?seconds=1", "/heap", "/goroutine?debug=1", "/goroutine?debug=2"):
            assert target.get(path).status in (200, 500)
    rss = status_numbers(target.pid, "VmHWM")["VmHWM"]
    bare = case.start_bare(argv)
    assert bare.line(120) == "ready 2000"
    had = status_numbers(bare.pid, "VmHWM")["VmHWM"]
    case.note(f"{total} in {took:.2f} s, {silent} silent, {had} -> {rss} KiB")
    assert total == 2001 and silent == 0
    assert took <= 3
    assert rss - had <= RSS_CAP_KIB
    assert target.finish(60) == 0 and target.out.endswith("ended 2000\n") and target.err == ""


# ------------------------------------------------------------------ ends


@row("F48", "destructors of threads that allocate, lock and wait", severity=1, fast=True)
def test_thread_ends(case):
    _, under = case.same([program("f_tls_end")])
    assert under.out == b"rounds, 200 objects\n"


KEYS = ("import ctypes\nlibc=ctypes.CDLL(None)\nk=ctypes.c_uint()\nn=0\n"
        "while libc.pthread_key_create(ctypes.byref(k),None)==0: n+=1\nprint(n)")


@row("F48b", "all keys of thread-specific data", severity=4, fast=True)
def test_keys(case):
    # Documented: the agent has one, and its server some after the first request.
    bare, under = case.both([PYTHON, "-c", KEYS])
    case.note(f"{int(bare.out)} -> {int(under.out)} keys")
    assert under.status == 0 and int(bare.out) - 8 <= int(under.out) <= int(bare.out)


@row("F49", "cancellation", severity=1, fast=True)
def test_cancellation(case):
    case.same([victim("v_cancel")])


@row("F50", "exit with busy threads, 200 times", severity=1)
def test_exit_busy(case):
    for _ in range(200 if case.mode != "fire" else 60):
        status, out = 0, b""
        outcome = case.under([victim("v_exit"), "busy"], 20)
        status, out = outcome.status, outcome.out
        assert (status, out, outcome.err) == (3, b"leaving\n", b""), outcome
    case.notes.clear()
    case.note("each time rc 3")


# ------------------------------------------------------------------ privileges and priorities

SETUID = ("import os,threading as t\n"
          "e=t.Event();[t.Thread(target=e.wait,daemon=True).start() for _ in range(3)]\n"
          "import sys;print('ready',flush=True);sys.stdin.readline()\n"
          "os.setgid(65534);os.setuid(65534)\n"
          "print({l for i in os.listdir('/proc/self/task') for l in "
          "open(f'/proc/self/task/{i}/status') if l[:3] in ('Uid','Gid')},flush=True)\n"
          "sys.stdin.readline()")


@row("F113e", "threads that run code with another thread pointer (arch_prctl), as emulators do",
     severity=1, fast=("fire",))
def test_thread_pointer(case):
    """The agent's signal interrupts that code: its thread variables are not there."""
    case.same([program("f_thread_pointer")], settings=HZ)


@row("F51", "setuid reaches all threads", severity=1, fast=True)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_setuid(case):
    target = case.start([PYTHON, "-c", SETUID])
    assert target.line() == "ready"
    target.get("/heap")  # the server's threads are there
    with case.fire(target, ("/heap", "/goroutine?debug=2")):
        target.tell("go")
        line = target.line()
    assert set(re.findall(r"\d+", line)) == {"65534"}, line
    assert target.get("/heap").status == 200
    target.tell("end")
    assert target.finish() == 0 and target.err == ""


def policies(pid):
    """{thread's name: scheduling policy}"""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.setdefault((task / "comm").read_text().strip(), set()).add(
            os.sched_getscheduler(int(task.name)))
    return found


@row("F54", "real-time caller", severity=2, fast=True)
@pytest.mark.parametrize("policy", ["-f", "-r"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_realtime(case, policy):
    have("chrt")
    if subprocess.run(["chrt", policy, "10", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no real-time threads may be had here")
    target = case.start(["chrt", policy, "10", victim("v_blocks"), "1"])
    with case.fire(target):
        cpu(target) if not case.polls else target.get("/heap")
        found = policies(target.pid)
    agents = {p for name, ps in found.items() if name.startswith("pprof") for p in ps}
    case.note(str(found))
    assert agents == {os.SCHED_OTHER}
    assert found["v_blocks"] == {os.SCHED_FIFO if policy == "-f" else os.SCHED_RR}
    assert target.finish() == 0 and target.err == ""


@row("F55", "threads that the program sees", severity=4, fast=True)
def test_threads_seen(case):
    tasks = "import os,time;time.sleep(.3);print(len(os.listdir('/proc/self/task')))"
    bare, under = case.both([PYTHON, "-c", tasks])
    more = int(under.out) - int(bare.out)
    case.note(f"+{more} threads")
    assert under.err == b"" and more <= (2 if not case.polls else 11)  # as the README says


@row("F55b", "no room for another thread", severity=2, fast=True)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_no_more_threads(case):
    # One process, no thread more: the program runs, the agent is not there.
    bare, under = case.both(["setpriv", "--reuid=64999", "--clear-groups", "prlimit", "--nproc=1",
                             victim("v_family")])
    assert (under.status, under.out) == (bare.status, bare.out)
    assert under.err == bare.err
