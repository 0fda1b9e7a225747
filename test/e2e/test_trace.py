# SPDX-License-Identifier: Apache-2.0
"""/debug/pprof/trace: each kind of wait, who ended it, and how the real tools show it."""
import json

import pytest

from lib.harness import victim
from lib.trace_client import check, during, names_of
from lib.trace_reader import Trace

pytestmark = pytest.mark.alone  # what waits is compared with the program's own times

# What v_trace plays: the class of the wait and the frame that stands for the call; who ends it
# ("k": its partner, "e": a thread that ends, else nobody of the program).
KINDS = {
    "mutex": "sync pthread_mutex_lock k", "timedlock": "sync pthread_mutex_lock k",
    "rdlock": "sync pthread_rwlock_rdlock k", "wrlock": "sync pthread_rwlock_wrlock k",
    "spin": "sync pthread_spin_lock k", "mtx": "sync pthread_mutex_lock k",
    "cond": "cond pthread_cond_wait k", "broadcast": "cond pthread_cond_wait k",
    "cnd": "cond pthread_cond_wait k", "timeout": "cond pthread_cond_wait -",
    "sem": "sync sem_wait k", "barrier": "sync pthread_barrier_wait k",
    "join": "sync pthread_join e", "read_pipe": "syscall read -", "read_socket": "net read -",
    "recv": "net recv -", "recvfrom": "net recv -", "recvmsg": "net recv -",
    "accept": "net accept -", "accept4": "net accept -", "poll": "net poll -",
    "ppoll": "net poll -", "select": "net select -", "pselect": "net select -",
    "epoll": "net epoll_wait -", "epoll_pwait": "net epoll_wait -",
    "nanosleep": "sleep nanosleep -", "clock_nano": "sleep nanosleep -",
    "usleep": "sleep nanosleep -", "thrd_sleep": "sleep nanosleep -",
    "poll_nothing": "sleep nanosleep -",
}


def play(target, ms=100):
    target.tell(f"play {ms}")
    lines = [target.line() for _ in range(len(KINDS) + 1)]
    assert lines.pop() == "played"
    return {line.split()[0]: int(line.split()[1]) for line in lines}


@pytest.fixture(scope="module")
def played(shared_start, tmp_path_factory):
    """(path of a trace of all kinds of waits, what v_trace measured itself)."""
    target = shared_start([victim("v_trace")])
    target.expect("ready")
    body, times = during(target, lambda: play(target))
    path = tmp_path_factory.mktemp("played") / "trace"
    path.write_bytes(body)
    return path, times


def test_go_tool_parses_it(tool, played):
    text = tool.parsed(played[0])
    threads = len(Trace(played[0].read_bytes()).goroutines)
    if tool.parse == "-d":  # as many events as there are
        assert text.count(" GoCreate ") == threads > 60
    else:
        assert all(f"waiter_{name}" in text and f"wait_{name}" in text for name in KINDS)


def test_go_tool_makes_profiles_of_waits(tool, played):
    wanted = {"sync": {"sync", "cond"}, "net": {"net"}, "syscall": {"syscall"}}
    for kind, classes in wanted.items():
        names = names_of(tool.top(played[0], kind))
        for name, what in KINDS.items():
            wait, frame, _ = what.split()
            if wait in classes:
                assert {frame, f"wait_{name}", f"waiter_{name}"} <= names, (kind, name, names)
    names = names_of(tool.top(played[0], "sched"))
    assert {"wake_mutex", "wake_cond", "wake_sem", "waker_rdlock"} <= names


def test_go_tool_serves_pages(tool, played):
    path, _ = played
    trace, goroutines, *_ = tool.pages(path, "/jsontrace", "/goroutines", "/io?raw=1",
                                       "/block?raw=1", "/syscall?raw=1", "/sched?raw=1",
                                       "/usertasks", "/userregions")
    events = json.loads(trace)["traceEvents"]
    names = {str(e.get("name")) for e in events}
    assert len(events) > 500 and any("waiter_mutex" in n or "w_mutex" in n for n in names)
    for name in KINDS:
        assert f"waiter_{name}" in goroutines and f"waker_{name}" in goroutines


# ------------------------------------------------------------------ what is in it


def test_waits_are_of_their_class_and_last_as_long(played):
    path, times = played
    trace = check(path.read_bytes())
    assert trace.comments == []
    seen, all_ns = {}, 0
    for name, what in KINDS.items():
        kind, frame, _ = what.split()
        g = trace.named(f"w_{name}")
        waits = [w for w in g.waits if f"wait_{name}" in w.stack and w.stack[0] == frame]
        assert [w.kind for w in waits] == [kind] * 2, (name, g.waits)
        for wait in waits:
            assert wait.stack == [frame, f"wait_{name}", "run_waiter", f"waiter_{name}"]
        assert g.entry == f"waiter_{name}" and g.by.entry == "main"
        seen[name] = sum(w.ns for w in waits)
        all_ns += seen[name]
    off = {name: (ns, times[name]) for name, ns in seen.items()
           if not 0.75 * times[name] < ns <= times[name]}
    assert not off
    assert all_ns > 0.95 * sum(times.values())


def test_wakers_are_those_that_woke(played):
    trace = check(played[0].read_bytes())
    for name, what in KINDS.items():
        _, frame, by = what.split()
        waits = [w for w in trace.named(f"w_{name}").waits if w.stack[:2] == [frame,
                                                                             f"wait_{name}"]]
        for wait in waits:
            if by == "k":
                assert wait.waker and wait.waker.label == f"k_{name}", (name, wait)
                assert wait.waker_stack == [f"wake_{name}", "run_waker", f"waker_{name}"]
                assert wait.unblocked <= wait.end
            elif by == "e":
                assert wait.waker.entry == "short_thread" and wait.waker.ended >= wait.unblocked
            else:
                assert wait.waker is None, (name, wait)
