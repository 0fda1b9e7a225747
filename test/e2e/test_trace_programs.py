# SPDX-License-Identifier: Apache-2.0
"""Traces of programs at work, of what annotates itself, and the flight recorder."""
import json
import re
import subprocess
import time
from collections import Counter

import pytest

from lib.harness import free_port, until
from lib.profiles import counts
from lib.trace_client import begin, check, during, names_of
from lib.trace_reader import BEGUN, Trace


def test_threads_live_and_end(start):
    target = begin(start)
    body, _ = during(target, lambda: target.ask("threads 200", "threads"))
    trace = check(body)
    short = [g for g in trace.goroutines.values() if g.entry == "nothing"]
    assert len(short) == 200 and all(g.ended and g.by.entry == "main" for g in short)
    created = [e for e in trace.history("GoCreate") if e.newstack == ["nothing"]]
    assert {tuple(e.stack) for e in created} == {("short_threads", "obey", "main")}
    joins = [w for w in trace.waits() if w.stack[0] == "pthread_join"]
    assert all(w.waker is None or w.waker.entry == "nothing" for w in joins)


def test_what_does_not_wait_is_not_in_it(start):
    target = begin(start)
    body, _ = during(target, lambda: target.ask("quiet 1000000", "quiet"), 3)
    trace = check(body)
    assert len(trace.goroutines) == 1
    happened = Counter(e.name for e in trace.events if e.ts > BEGUN)
    assert happened.keys() <= {"HeapAlloc", "ProcStop", "GoPreempt"}, happened


def test_program_that_is_deadlocked(start, tool, tmp_path):
    target = begin(start)
    target.ask("deadlock", "deadlock")
    until("both wait", lambda: sum("lock_for_ever" in s.names for s in
                                   counts(target, "goroutine").samples) == 2)
    body = target.get("/trace?seconds=0.2").body
    trace = check(body)
    for name in ("dead_0", "dead_1"):
        g = trace.named(name)
        assert [w.kind for w in g.waits] == ["sync"] and g.waits[0].end is None
        assert g.waits[0].stack[-2:] == ["lock_for_ever", "locks_both"]
    (tmp_path / "trace").write_bytes(body)
    assert "locks_both" in tool.pages(tmp_path / "trace", "/goroutines", "/jsontrace")[0]


def test_five_hundred_threads(start, tool, tmp_path):
    target = begin(start)
    body, line = during(target, lambda: target.ask("storm 500 60", "storm"), 2)
    assert line == "storm 30000"
    trace = check(body)
    assert sum(g.entry == "fights" for g in trace.goroutines.values()) == 500
    woken = [w for w in trace.waits() if w.stack[0] == "pthread_mutex_lock" and w.end]
    assert sum(w.waker is not None for w in woken) > 0.9 * len(woken) > 0
    (tmp_path / "trace").write_bytes(body)
    assert "fights" in names_of(tool.top(tmp_path / "trace", "sync"))


def test_samples_and_heap(start, tool, tmp_path):
    target = begin(start, heap_rate=1)
    body, _ = during(target, lambda: target.ask("hog 300", "hog"), query="&cpu=1")
    trace = check(body)
    samples = [e for e in trace.events if e.name == "CPUSample"]
    hog = [e for e in samples if "computes" in e.stack]
    assert len(hog) > 5 and all(e.stack[-1] == "hog" for e in hog), samples
    assert {trace.goroutines[e.target].entry for e in hog} == {"hog"}
    heap = [e.bytes for e in trace.events if e.name == "HeapAlloc"]
    assert max(heap) >= 1 << 20 and min(heap) < 1 << 20
    (tmp_path / "trace").write_bytes(body)
    tool.parsed(tmp_path / "trace")
    events = json.loads(tool.pages(tmp_path / "trace", "/jsontrace")[0])["traceEvents"]
    assert any(e.get("name") == "Heap" for e in events)
    without = Trace(target.get("/trace?seconds=0.2&cpu=0").body)
    assert not [e for e in without.events if e.name == "CPUSample"]


@pytest.mark.alone  # of the heap there is an event every so much CPU time
def test_events_have_their_own_time_whatever_the_heap_does(start):
    """The heap's events had the time at which they were made, and pushed all that was still in the
    ring behind them: thousands of events at one moment."""
    target = begin(start, heap_rate=1, buffer="16M")
    body, _ = during(target, lambda: target.ask("storm 8 4000", "storm"), 2)
    trace = check(body)
    assert len(trace.history("HeapAlloc")) > 2
    times = Counter(e.ts for e in trace.history("GoBlockSync", "GoBlockCond", "GoUnblock"))
    assert len(times) > 2000 and max(times.values()) < 100, times.most_common(5)


def test_events_that_found_the_ring_full_are_missed(start):
    target = begin(start, buffer="64k")
    for count in (200000, 800000, 3200000):
        body, _ = during(target, lambda n=count: target.ask(f"fight 4 {n}", "fight"), 2)
        comments = check(body).comments
        if comments:
            break
    lost = re.search(r"execution traces dropped: ring full: (\d+)", target.get("/agent").text)[1]
    missing = re.fullmatch(r"(\d+) events are missing: they came faster than they were read",
                           *comments)[1]
    assert 0 < int(missing) <= int(lost)  # there may have been traces before this one


def test_tasks_regions_and_logs(start, tool, tmp_path):
    target = begin(start, "v_annotate")
    assert target.ask("go", "done") == "done 0"
    body, line = during(target, lambda: target.ask("go", "done"))
    assert line == "done 1"
    trace = check(body)
    titles = {e.title: e for e in trace.events if e.name == "UserTaskCreate"}
    assert titles.keys() == {"request", "lookup"}
    assert titles["lookup"].parent == titles["request"].task
    wrapper = "pprofagent_task_begin"  # of the header, inlined
    assert titles["request"].stack == [wrapper, "serve", "main"]
    assert titles["lookup"].stack == [wrapper, "worker"]
    regions = [(e.mode, e.title, e.task) for e in trace.events if e.name == "UserRegion"]
    lookup = titles["lookup"].task
    assert regions == [(0, "index", lookup), (0, "page", 0), (1, "page", 0), (1, "index", lookup)]
    assert [(e.key, e.message, e.task, e.stack) for e in trace.events if e.name == "UserLog"] == [
        ("key", "alpha ä", lookup, ["pprofagent_log", "looks_up", "worker"])]
    assert [e.task for e in trace.events if e.name == "UserTaskEnd"] == [
        lookup, titles["request"].task]
    (tmp_path / "trace").write_bytes(body)
    tasks, regions, each = tool.pages(tmp_path / "trace", "/usertasks", "/userregions",
                                      "/usertask?type=lookup")
    assert "request" in tasks and "lookup" in tasks and "alpha ä" in each
    assert "index" in regions and "page" in regions


# ------------------------------------------------------------------ the flight recorder


def test_flight_recorder(start, tool, tmp_path):
    target = begin(start, flight="1M")
    target.ask("threads 100", "threads")
    gone = time.monotonic()
    time.sleep(2)
    target.ask("hog 1", "hog")
    whole = target.get("/trace?flight=1").body
    since_s = time.monotonic() - gone - 0.1  # behind those threads, in front of the hog
    last = check(target.get(f"/trace?flight=1&seconds={since_s:.2f}").body)
    entries = Counter(g.entry for g in check(whole).goroutines.values())
    assert entries["nothing"] == 100 and entries["hog"] == 1
    assert {"hog"} <= {g.entry for g in last.goroutines.values()}
    assert "nothing" not in {g.entry for g in last.goroutines.values()}
    body, _ = during(target, lambda: target.ask("threads 10", "threads"))
    check(body)
    target.ask("storm 20 2000", "storm")  # more than it keeps
    body = target.get("/trace?flight=1").body
    trace = check(body)
    assert "fights" in {g.entry for g in trace.goroutines.values()}
    (tmp_path / "trace").write_bytes(body)
    tool.parsed(tmp_path / "trace")


def test_flight_recorder_that_is_off(start):
    answer = begin(start).get("/trace?flight=1")
    assert answer.status == 400 and "PPROFAGENT_FLIGHT" in answer.text


# ------------------------------------------------------------------ programs


def test_redis_under_load(start, tool, tmp_path):
    port = free_port()
    target = start(["/usr/bin/redis-server", "--port", port, "--save", "", "--dir", tmp_path,
                    "--bind", "127.0.0.1"])

    def load():
        done = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "5000", "-c", "20",
                               "-t", "set,get", "-q"], capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0 and done.stdout.count("requests per second") == 2, done

    until("redis answers", lambda: subprocess.run(
        ["redis-cli", "-p", str(port), "ping"], capture_output=True, timeout=60,
        check=False).stdout == b"PONG\n")
    body, _ = during(target, load, 2.5)
    trace = check(body)
    redis = trace.named("redis-server")
    polls = [w for w in redis.waits if w.kind == "net" and "aeMain" in w.stack]
    assert len(polls) > 100 and polls[5].stack[0] == "epoll_wait" and polls[5].stack[-1] == "main"
    (tmp_path / "trace").write_bytes(body)
    assert {"epoll_wait", "aeMain"} <= names_of(tool.top(tmp_path / "trace", "net"))
    assert target.err == ""


PYTHON = """
import sys, threading, time
lock, event = threading.Lock(), threading.Event()
def work():
    for _ in range(200):
        with lock:
            time.sleep(0.0001)
    event.set()
print("ready", flush=True)
for line in sys.stdin:
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    event.wait()
    [t.join() for t in threads]
    print("done", flush=True)
"""


def test_python_threads(start):
    target = start(["/usr/bin/python3", "-c", PYTHON])
    target.expect("ready")
    body, _ = during(target, lambda: target.ask("go", "done"))
    trace = check(body)
    assert {"sync", "sleep"} <= {w.kind for w in trace.waits()} | {"cond"}
    made = [g for g in trace.goroutines.values() if g.by]
    assert len(made) == 4 and all(g.ended for g in made)
    assert target.finish() == 0 and target.err == ""
