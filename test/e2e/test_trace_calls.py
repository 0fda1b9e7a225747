# SPDX-License-Identifier: Apache-2.0
"""Requests for traces; and programs do not notice that one is taken."""
import http.client
import signal
import subprocess
import time

import pytest

from lib.eintr_calls import CALLS, ENDED_BY_A_SIGNAL, NEVER_ENDED, early
from lib.harness import Later, environment, free_port, run, run_both, until, victim
from lib.trace_client import Tracing, begin, check

OFFERED = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
           "Content-Disposition": 'attachment; filename="trace"'}
BUSY = "Could not enable tracing: runtime error: tracing is already enabled\n"


def test_answer_is_that_of_go(start):
    target = begin(start)
    answer = target.get("/trace?seconds=0.1")
    assert answer.status == 200
    assert OFFERED.items() <= answer.headers.items()
    check(answer.body)
    head = target.get("/trace?seconds=60", method="HEAD")
    assert (head.status, head.body) == (200, b"") and OFFERED.items() <= head.headers.items()


# ------------------------------------------------------------------ requests

@pytest.mark.parametrize("seconds, wanted", [("0.5", 0.5), ("1e-1", 0.1), ("abc", 1), ("-1", 1),
                                             ("NaN", 0), (None, 1), ("0", 1)])
def test_seconds(shared_start, seconds, wanted, once={}):
    target = once.setdefault("target", None) or shared_start([victim("v_trace_work")])
    once["target"] = target
    begun = time.monotonic()
    answer = target.get("/trace" + (f"?seconds={seconds}" if seconds else ""))
    took = time.monotonic() - begun
    trace = check(answer.body)
    assert took >= wanted
    assert 0.9 * wanted <= trace.end / 1e9 <= took


def test_second_one_at_the_same_time(start):
    target = begin(start)
    first = Tracing(target, "seconds=2")
    for _ in range(2):
        answer = target.get("/trace?seconds=0.1")
        assert (answer.status, answer.text) == (500, BUSY)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "Content-Disposition" not in answer.headers
    check(first.body())
    check(target.get("/trace?seconds=0.1").body)


def test_other_requests_go_on(start):
    target = begin(start)
    tracing = Tracing(target, "seconds=2")
    profile = Later(target, "/profile?seconds=1")
    for path in ("/heap", "/goroutine", "/goroutine?debug=2", "/mutex?seconds=1", "/threadcreate"):
        assert target.get(path).status == 200, path
    assert profile.answer().status == 200
    trace = check(tracing.body())
    assert trace.end >= 1.9e9


def test_client_that_leaves_ends_it(start):
    target = begin(start)
    for _ in range(3):
        Tracing(target, "seconds=1000").leave()
        until("the next one works",
              lambda: target.get("/trace?seconds=0.01").status == 200, 3)
    assert target.ask("threads 10", "threads")


def test_program_that_ends_during_a_trace(start):
    target = begin(start)
    tracing = Tracing(target, "seconds=1000")
    target.ask("threads 10", "threads")
    target.tell("exit 7")
    assert target.process.wait(20) == 7
    try:
        got = tracing.body()
    except (http.client.IncompleteRead, ConnectionResetError):
        got = None
    # Cut off, and said so; or whole, when it is finished before the program has waited long enough.
    if got is not None:
        assert len(check(got).goroutines) > 10
    assert target.err == ""


def test_program_that_is_killed_leaves_a_client_that_knows(start):
    target = begin(start)
    tracing = Tracing(target, "seconds=1000")
    target.process.kill()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        tracing.body()


def test_forked_child_is_not_traced_and_works(start):
    target = start([victim("v_fork")], wait=False)
    assert target.finish() == 0
    flown = run([victim("v_fork")], environment(free_port(), flight="1M"))
    bare = run([victim("v_fork")], environment(preload=()))
    assert flown[0] == bare[0] and flown[2] == bare[2]


# ------------------------------------------------------------------ programs do not notice

@pytest.mark.parametrize("name", ["v_calls", "v_calls_ended", "v_calls_fortified", "v_codes",
                                  "v_waitcodes", "v_cancel"])
def test_calls_return_the_same(name):
    bare, traced = run_both([victim(name)], flight="1M")
    assert traced == bare and bare[0] == 0


@pytest.mark.parametrize("call", ["read", "recv", "recvfrom", "poll", "ppoll"])
def test_buffers_are_checked_as_without(call):
    bare, traced = run_both([victim("v_calls_fortified"), call], flight="1M")
    assert traced == bare and bare[0] == -signal.SIGABRT


def test_fortified_calls_are_the_checking_ones():
    symbols = subprocess.run(["nm", "-D", victim("v_calls_fortified")], capture_output=True,
                             text=True, check=True).stdout
    for call in ("read", "recv", "recvfrom", "poll", "ppoll"):
        assert f"__{call}_chk" in symbols


@pytest.mark.parametrize("settings", [{}, {"flight": "1M"}], ids=["live", "flight"])
def test_signals_end_what_they_end_without_a_trace(start, settings, tmp_path):
    target = start([victim("v_eintr")], cwd=tmp_path, children="off", **settings)
    _, sems, *queues = [int(word) for word in target.expect("ready").split()[1:]]
    try:
        tracing = Tracing(target)
        target.ask("poke 1", "poked")  # calls that begin with the trace on
        target.ask("asleep", "asleep")
        target.ask("poke 3", "poked")
        target.ask("asleep", "asleep")
        times = early(target)
    finally:
        tracing.leave()
        subprocess.run(["ipcrm", "-s", str(sems), *(w for q in queues for w in ("-q", str(q)))],
                       capture_output=True, check=False)
    assert len(times) == CALLS
    assert times == {name: 4 for name in ENDED_BY_A_SIGNAL} | dict.fromkeys(NEVER_ENDED, 0)
