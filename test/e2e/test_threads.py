# SPDX-License-Identifier: Apache-2.0
"""Threadcreate and goroutine: who created the threads, and what each of them does now."""
import json
import re
import time
from pathlib import Path

import pytest

from lib.harness import CONTENTION, EXACT, Later, pairs, sampling, status_of, until, victim
from lib.profiles import SOME, THREAD_ROOTS, Profile, counts, cpu

# ------------------------------------------------------------------ threadcreate

MAKERS = {"pthread": "make_pthread", "thrd": "make_thrd", "detached": "make_detached"}


@pytest.fixture(scope="module")
def creator(shared_start):
    target = shared_start([victim("v_create")], buffer="64M")
    target.expect("ready")
    return target


def created(target, maker):
    return counts(target, "threadcreate").total_at("threadcreate", maker)


def test_twenty_thousand_threads_are_all_counted(creator):
    creator.ask("pthread 12000", "pthread")
    creator.ask("thrd 8000", "thrd")
    assert created(creator, "make_pthread") == 12000
    assert created(creator, "make_thrd") == 8000


def test_stacks_are_the_creators_from_the_call_to_main(creator):
    for kind in MAKERS:
        creator.ask(f"{kind} 10", kind)
    creator.ask("nested 10", "nested")
    profile = counts(creator, "threadcreate")
    for maker in MAKERS.values():
        stacks = [s.names for s in profile.samples if s.names[0] == maker]
        assert [names[:2] for names in stacks] == [[maker, "batch"]] * len(stacks) and stacks
        assert all("main" in names for names in stacks)
    inner = next(s for s in profile.samples if s.names[0] == "make_inner")
    assert inner.names[:2] == ["make_inner", "nested_body"] and "main" not in inner.names
    assert profile.complete_share() >= 0.99
    assert not any(s.labels for s in profile.samples)


def test_threads_that_live_count_as_those_that_are_gone_and_failures_do_not(creator):
    creator.ask("stay 30", "stay")
    creator.ask("detached 100", "detached")
    creator.ask("fail 7", "fail")
    profile = counts(creator, "threadcreate")
    assert profile.total_at("threadcreate", "make_staying") == 30
    assert profile.total_at("threadcreate", "make_detached") >= 100
    assert not any(s.has("make_failing") for s in profile.samples)


def test_text_of_threadcreate_has_the_same_numbers(creator):
    creator.ask("pthread 16", "pthread")
    profile = counts(creator, "threadcreate")
    total = profile.total("threadcreate")
    text = creator.get("/threadcreate?debug=1").text
    assert text.startswith(f"threadcreate profile: total {total}\n")
    rows = [int(n) for n in re.findall(r"^(\d+) @(?: 0x[0-9a-f]+)+$", text, re.M)]
    assert rows == sorted(rows, reverse=True) and sum(rows) == total
    assert re.search(r"^#\t0x[0-9a-f]+\t+make_pthread\+0x[0-9a-f]+\t+.*/v_create\.c:\d+$", text,
                     re.M)
    assert creator.get("/threadcreate?debug=2").text == text
    index = creator.get("/debug/pprof/").text
    assert f"<tr><td>{total}</td><td><a href='threadcreate?debug=1'>" in index


def test_delta_of_threadcreate_has_the_new_ones(start):
    target = start([victim("v_create")])
    target.expect("ready")
    target.ask("thrd 50", "thrd")
    request = Later(target, "/threadcreate?seconds=1")
    while request.running():
        target.ask("pthread 16", "pthread")
    answer = request.answer()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="threadcreate-delta"'
    delta = Profile(answer.body)
    assert delta.total_at("threadcreate", "make_pthread") > 0
    assert delta.total_at("threadcreate", "make_thrd") == 0
    assert target.finish() == 0


# ------------------------------------------------------------------ goroutine

KINDS = ["nanosleep", "join", "mutex", "cond", "sem", "read", "epoll_wait", "poll", "select",
         "array", "rdlock", "wrlock", "barrier", "running"]


@pytest.fixture
def park(start):
    def begin(**settings):
        target = start([victim("v_park")], **settings)
        target.expect("ready")
        return target
    return begin


def tasks(target):
    """Threads of the process by the kernel's list, without the agent's."""
    folder = Path(f"/proc/{target.pid}/task")
    return {int(task.name) for task in folder.iterdir()
            if not (task / "comm").read_text().startswith(("pprofagent", "pprof:", "civetweb"))}


def tids(profile):
    return {int(s.labels["tid"]): s for s in profile.samples}


def end(target, count):
    assert target.ask("end", "end") == f"end {count}"
    assert target.finish() == 0


def test_a_thousand_blocked_threads_are_listed_with_whole_stacks(park, capsys):
    target = park()
    known = {int(tid) for tid in target.ask("many 1000", "many").split()[1:]} | {target.pid}
    began = time.monotonic()
    profile = counts(target, "goroutine")
    took = time.monotonic() - began
    with capsys.disabled():
        print(f" [goroutine profile of 1001 threads: {took * 1000:.0f} ms]", end="")
    assert took < 3
    assert profile.total("goroutine") == len(profile.samples) == 1001
    assert set(tids(profile)) == known
    assert tasks(target) == known
    assert profile.complete_share() == 1
    for kind in ("mutex", "cond", "sem", "read", "epoll_wait", "poll", "select", "nanosleep"):
        stacks = [s for s in profile.samples if s.has(f"park_{kind}")]
        assert len(stacks) == 125
        assert {s.labels["thread"] for s in stacks} == {kind}
    index = target.get("/debug/pprof/").text
    assert "<tr><td>1001</td><td><a href='goroutine?debug=1'>" in index
    end(target, 1000)


def test_labels_are_name_and_tid(park):
    target = park()
    threads = pairs(target.ask("states", "states"))
    shown = tids(counts(target, "goroutine"))
    assert {s.labels["thread"]: tid for tid, s in shown.items()} == (
        {kind: threads[kind] for kind in KINDS} | {"v_park": target.pid})
    assert all(set(s.labels) == {"thread", "tid"} for s in shown.values())
    assert all(s.values == {"goroutine": 1} for s in shown.values())
    end(target, len(KINDS))


def test_text_groups_equal_stacks(park):
    target = park()
    target.ask("many 80", "many")
    text = target.get("/goroutine?debug=1").text
    assert text.startswith("goroutine profile: total 81\n")
    rows = [int(n) for n in re.findall(r"^(\d+) @(?: 0x[0-9a-f]+)+$", text, re.M)]
    assert rows == sorted(rows, reverse=True) and sum(rows) == 81
    assert [n for n in rows if n > 1] == [10] * 8
    end(target, 80)


HEAD = re.compile(r'goroutine (\d+) \[([^\]]+)\](?: \{thread: "([^"]*)"\})?:')
FRAME = re.compile(r"(\S.*)\(\.\.\.\)\n\t(.+):(\d+) \+0x[0-9a-f]+\n")


PSEUDO = ("no answer", "no unwind information", "stack depth limit",
          "stack copy limit")


def dump(target):
    """{tid: (state, name, [functions], created by)} of debug=2, which is text to the last byte."""
    answer = target.get("/goroutine?debug=2")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("\n")
    found = {}
    for block in answer.text.rstrip("\n").split("\n\n"):
        head, rest = (block + "\n").split("\n", 1)
        parts = HEAD.fullmatch(head)
        assert parts, head
        frames, _, maker = rest.partition("created by ")
        left = FRAME.sub("", frames)
        assert left in ("", *(f"[{why}]\n" for why in PSEUDO)), block
        found[int(parts.group(1))] = (parts.group(2), parts.group(3),
                                      [m.group(1) for m in FRAME.finditer(frames)], maker)
    return found


STATES = {
    "nanosleep": "system call (clock_)?nanosleep", "join": "join( {nanosleep})?",  # 2.43: no id
    "mutex": r"mutex lock 0x[0-9a-f]+, held by {main}",
    "cond": r"condition wait( 0x[0-9a-f]+)?", "sem": r"semaphore wait 0x[0-9a-f]+",
    "read": "system call read", "epoll_wait": "system call epoll_wait",
    "poll": "system call poll", "array": "system call poll", "select": "system call p?select6?",
    "rdlock": r"rwlock read lock( 0x[0-9a-f]+)?", "wrlock": r"rwlock write lock( 0x[0-9a-f]+)?",
    "barrier": r"barrier wait( 0x[0-9a-f]+)?", "running": "running",
    "main": "system call read",
}


@pytest.mark.parametrize("settings", [{}, CONTENTION], ids=["idle", "full"])
def test_dump_says_what_each_thread_waits_for(park, settings):
    target = park(**settings)
    threads = pairs(target.ask("states", "states"))
    main = Path(f"/proc/{target.pid}/task/{target.pid}/syscall")
    until("main reads its next order", lambda: main.read_text().split()[0] == "0")
    found = dump(target)
    assert set(found) == set(threads.values())
    for kind, pattern in STATES.items():
        state, name, functions, _ = found[threads[kind]]
        assert re.fullmatch(pattern.format(**threads), state), (kind, state)
        assert name == ("v_park" if kind == "main" else kind)
        assert kind == "main" or f"park_{kind}" in functions, (kind, functions)
        if kind != "array":  # see below
            assert functions[-1] in {"_start", *THREAD_ROOTS}, (kind, functions)
    end(target, len(KINDS))


def test_stack_that_cannot_be_followed_from_outside_says_so(park):
    """A thread that sleeps in poll must not be woken, and the kernel tells only where its stack is;
    the frame of the caller is found by a register."""
    target = park()
    threads = pairs(target.ask("states", "states"))
    names = tids(counts(target, "goroutine"))[threads["array"]].names
    assert "park_array" in names
    assert names[-1] in {"[no unwind information]", *THREAD_ROOTS}, names
    end(target, len(KINDS))


def test_dump_says_which_threads_created_the_threads(park):
    target = park(**CONTENTION)
    threads = pairs(target.ask("states", "states"))
    found = dump(target)
    made = [found[threads[kind]][3] for kind in KINDS]
    assert all(re.fullmatch(rf"begin in goroutine {target.pid}\n\t.+/v_park\.c:\d+ \+0x[0-9a-f]+\n",
                            maker) for maker in made), made
    assert found[target.pid][3] == ""
    end(target, len(KINDS))


def test_wait_that_began_before_its_delta_is_named_all_the_same(park):
    """Nothing was recorded when they began to wait."""
    target = park()
    threads = pairs(target.ask("states", "states"))
    request = Later(target, "/block?seconds=1")
    found = dump(target)
    assert re.fullmatch(STATES["mutex"].format(**threads), found[threads["mutex"]][0])
    assert request.answer().status == 200
    end(target, len(KINDS))


@pytest.mark.alone
def test_threads_with_masks(park):
    target = park()
    threads = pairs(target.ask("masked", "masked"))
    began = time.monotonic()
    profile = tids(counts(target, "goroutine"))
    assert time.monotonic() - began < 2
    assert profile[threads["library"]].has("park_masked")
    assert profile[threads["raw"]].names == ["[no answer]"]
    assert profile[threads["raw"]].labels["thread"] == "raw"
    state, name, functions, _ = dump(target)[threads["raw"]]
    assert state.endswith(", no answer") and (name, functions) == ("raw", [])
    end(target, 2)


def test_threads_that_libc_knows_nothing_of_are_listed_and_live_on(park):
    target = park(**CONTENTION)
    threads = pairs(target.ask("raw", "raw"))
    profile = tids(counts(target, "goroutine"))
    assert set(profile) == set(threads.values()) | {target.pid}
    for kind in ("shared", "own"):
        assert profile[threads[kind]].names == ["park_raw", "clone"]
    assert profile[threads["none"]].names in (["park_raw", "clone"], ["[no answer]"])
    assert set(dump(target)) == set(profile)
    assert cpu(target, 1).proto.duration_nanos > 0
    status = {name: value for name, value in re.findall(
        r"(\w+)=(\S+)", target.ask("status", "status"))}
    assert int(status["SigPnd"], 16) == int(status["ShdPnd"], 16) == 0
    target.ask("many 8", "many")
    assert len(counts(target, "goroutine").samples) == 12
    end(target, 8 + 3)


def signals(target):
    return {name: status_of(target.pid, name)
            for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")}


def test_signals_are_as_before_after_it(park):
    target = park()
    before = signals(target)
    target.ask("states", "states")
    for path in ("/goroutine", "/goroutine?debug=1", "/goroutine?debug=2"):
        assert target.get(path).status == 200
        assert signals(target) == before
        assert not sampling(target)
    end(target, len(KINDS))


def test_pending_signals_are_as_before_after_a_thread_did_not_answer(park):
    target = park()
    before = signals(target)
    raw = pairs(target.ask("masked", "masked"))["raw"]
    counts(target, "goroutine")
    status = open(f"/proc/{target.pid}/task/{raw}/status", encoding="utf-8").read()
    assert re.search(r"^SigPnd:\s*0+$", status, re.M), status
    assert signals(target) == before
    end(target, 2)


def test_goroutines_are_listed_while_a_cpu_profile_is_taken_and_it_after_them(park):
    target = park()
    target.ask("states", "states")
    running = Later(target, "/profile?seconds=2")
    until("sampling is on", lambda: sampling(target))
    for _ in range(3):
        assert len(counts(target, "goroutine").samples) == len(KINDS) + 1
        assert sampling(target)
    profile = Profile(running.answer().body)
    assert profile.total("samples", "park_running") >= SOME
    assert not sampling(target)
    assert cpu(target, 1).total("samples", "park_running") >= SOME
    end(target, len(KINDS))


def test_two_dumps_at_once_are_both_whole(park):
    target = park()
    target.ask("many 200", "many")
    requests = [Later(target, "/goroutine") for _ in range(2)]
    for request in requests:
        assert len(Profile(request.answer().body).samples) == 201
    end(target, 200)


def test_delta_of_goroutines_has_those_that_came(start):
    target = start([victim("v_create")])
    target.expect("ready")
    request = Later(target, "/goroutine?seconds=1")
    until("the dump was called for the first half", lambda: json.loads(
        target.get("/agent?format=json").text)["events"]["roll_answers"])
    target.ask("stay 5", "stay")
    answer = request.answer()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="goroutine-delta"'
    assert Profile(answer.body).total("goroutine", "stays") == 5


def test_threads_that_come_and_go_do_no_harm(start):
    target = start([victim("v_threads"), "100000000"], **EXACT)
    for _ in range(20):
        profile = counts(target, "goroutine")
        assert 1 <= len(profile.samples) <= 18
        assert target.pid in tids(profile)
    assert target.process.poll() is None


# What they print in the end, while others list their threads all the time.
PROGRAMS = {
    "small stacks": ([victim("v_smallstack"), "0"], "smallstack ok "),
    "fibres": ([victim("v_fiber"), "16384", "32", "0"], "fiber ok"),
    "recovery from faults": ([victim("v_sigstack"), "0"], "recovered "),
    "exceptions": ([victim("v_cxx"), "throw", "0"], "caught "),
    "errno": ([victim("v_errno"), "0", "2"], "errno changed 0 of "),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_delicate_programs_live_through_many_thread_dumps(start, case):
    argv, says = PROGRAMS[case]
    target = start(argv, **CONTENTION)
    for _ in range(12):
        assert counts(target, "goroutine").samples
        assert dump(target)
    assert target.finish() == 0
    assert says in target.out and target.err == ""


def test_handler_needs_less_stack_than_it_makes_sure_of(start):
    """HANDLER_BYTES of record/signal.c, with a quarter to spare."""
    target = start([victim("v_handler_stack")], heap_rate=1, **CONTENTION)
    for path in ("/profile?seconds=1", "/trace?seconds=1"):
        assert target.get(path).status == 200
        for _ in range(10):
            assert dump(target)
    assert target.finish() == 0
    own, most = map(int, target.out.split("used ")[1].split())
    assert own + 500 < most < own + 1536, (own, most)


def test_churn_of_threads_does_not_grow_the_agent(start):
    target = start([victim("v_threads"), "20000"], wait=False, **CONTENTION)
    assert target.finish(60) == 0
    assert target.out.startswith("threads 20000 ")
    assert int(target.out.split()[-1]) < 10 << 10, target.out


def with_static_tls(size):
    return ["env", f"GLIBC_TUNABLES=glibc.rtld.optional_static_tls={size}", victim("v_blocks"), "8"]


# libc takes it from the stack of each thread; the agent's have 1 MiB without it.
@pytest.mark.parametrize("size", [900_000, 1_030_000, 1_036_000, 3_000_000])
def test_threads_of_the_agent_have_room_beside_the_static_tls(start, size):
    target = start(with_static_tls(size), **EXACT)
    target.expect("ready")
    for path in ("/heap", "/goroutine?debug=2", "/profile?seconds=1", "/mutex?debug=1"):
        assert target.get(path).status == 200, path
    assert target.finish() == 0


def test_program_with_very_much_static_tls_runs_without_the_agent(start):
    target = start(with_static_tls(20_000_000), wait=False, log="info")
    target.expect("ready")
    assert target.finish() == 0
    assert "cannot start: pthread_create: Cannot allocate memory" in target.err


def test_pprof_shows_where_threads_are(park, pprof):
    target = park()
    target.ask("many 80", "many")
    out, _ = pprof("-top", "-cum", target.url("/goroutine"))
    assert "Type: goroutine" in out
    assert re.search(r"10 .*% +park_sem$", out, re.M), out
    out, _ = pprof("-tags", target.url("/goroutine"))
    assert "epoll_wait" in out
