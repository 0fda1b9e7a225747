# SPDX-License-Identifier: Apache-2.0
"""Limits of the host. What strangers ask for over HTTP is not taken from the program's share."""
import resource

import pytest

from lib.fault_rows import POLLED, program, row, status_numbers
from lib.harness import AGENT, BUILD, PREFIX, listening, request, until, victim
from lib.host import STRANGER, as_root, control_group, enter

# An agent whose HTTP server ends 0.3 s after its last client, in place of 30 s.
BRIEF = (BUILD / "brief" / "libpprofagent.so",)
IDLE_THREADS = 2


def threads(target):
    return status_numbers(target.pid, "Threads")["Threads"]


def once_open(target, path="/cmdline"):
    """The first answer of its port."""
    def ask():
        try:
            return request(target.port, PREFIX + path, timeout=10)
        except ConnectionRefusedError:
            return None
    return until("the port is open", ask)


def needs_its_threads(case, target, limit, expected):
    """The program starts 8 threads at a time, whatever was asked before."""
    target.expect("ready")
    if case.mode != "naive":
        answer = once_open(target)
        assert answer.status == expected, answer
        if expected == 503:
            assert answer.headers["Retry-After"] and limit in answer.text
    with case.fire(target):
        for _ in range(5):
            assert target.ask("go", "failed") == "failed 0"
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ memory

@row("F142", "RLIMIT_AS and RLIMIT_DATA that the program sets itself", severity=1,
     fast=("full",))
@pytest.mark.parametrize("which", ["as", "data"])
@pytest.mark.parametrize("mib, statuses", [(40, {503}), (80, {200, 503}), (400, {200})])
def test_memory_limit_of_its_own(case, which, mib, statuses):
    """Three quarters of what is free then are the program's, whatever is asked."""
    target = case.start([program("f_limits"), which, mib], wait=False)
    target.expect("ready")
    until("it listens", lambda: listening(target.pid))
    target.ask("limit", "limited")
    with case.fire(target):
        answer = once_open(target, "/heap")
        assert answer.status in statuses, answer
        assert answer.status == 200 or "RLIMIT_AS" in answer.text
        for _ in range(10):
            assert target.ask("go", "failed") == "failed 0"
    assert target.finish() == 0 and target.err == ""


@row("F142d", "the same before the agent has begun", severity=1, fast=("idle",))
@pytest.mark.parametrize("which", ["as", "data"])
def test_memory_limit_at_the_start(case, which):
    """Below such a limit it stays off without a word, as below one that is there before."""
    target = case.start([program("f_limits"), which, 1, "now"], wait=False)
    target.expect("ready")
    until("it listens or has given up", lambda: listening(target.pid) or threads(target) == 1)
    assert target.finish() == 0 and target.err == ""


@row("F142b", "the same for whatever is heavy", severity=1, modes=("idle", "full"),
     fast=("idle",))
@pytest.mark.parametrize("path, body", [("/symbol", b"0x1000"), ("/trace?seconds=1", None),
                                        ("/profile?seconds=1", None), ("/delta_heap", None)])
def test_memory_limit_of_all_heavy_work(case, path, body):
    """The server is there when the limit comes."""
    target = case.start([program("f_limits"), "as", 40])
    target.expect("ready")
    target.ask("limit", "limited")
    answer = request(target.port, PREFIX + path, method="POST" if body else "GET", body=body)
    assert answer.status == 503 and "RLIMIT_AS" in answer.text, answer
    assert answer.headers["Retry-After"] and answer.headers["Cache-Control"] == "no-store"
    assert target.ask("go", "failed") == "failed 0"
    assert target.finish() == 0 and target.err == ""


@as_root
@row("F142c", "the same where thread ids go as far as they can", severity=1,
     modes=("idle", "full"), fast=("idle",))
def test_memory_limit_of_many_thread_ids(case, tmp_path):
    """A CPU profile has two numbers for each id: 32 MiB, of which it takes what is near those that
    are used. So the limit leaves room for it."""
    (tmp_path / "pid_max").write_text("4194304\n")
    argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/sys/kernel/pid_max && exec "$@"',
            tmp_path / "pid_max", "env", f"LD_PRELOAD={AGENT}", program("f_limits"), "as", 100]
    target = case.start(argv, preload=(), wait=False)
    target.expect("ready")
    once_open(target)
    target.ask("limit", "limited")
    taken_kib = status_numbers(target.pid, "VmSize")["VmSize"]
    assert request(target.port, PREFIX + "/profile?seconds=1").status == 200
    assert status_numbers(target.pid, "VmSize")["VmSize"] - taken_kib < 8 << 10
    assert target.ask("go", "failed") == "failed 0"
    assert target.finish() == 0 and target.err == ""


@row("F147", "RLIMIT_CPU: the last seconds of it", severity=2, modes=("idle", "full"),
     fast=("idle",))
def test_processor_limit(case):
    """The limit comes down to less than 5 s when the server is there already, and goes up again."""
    target = case.start([program("f_limits"), "as", 8])
    target.expect("ready")
    hard = resource.prlimit(target.pid, resource.RLIMIT_CPU)[1]
    assert target.get("/heap").status == 200
    resource.prlimit(target.pid, resource.RLIMIT_CPU, (4, hard))
    answer = target.get("/heap")
    assert answer.status == 503 and "RLIMIT_CPU" in answer.text and answer.headers["Retry-After"]
    assert target.get("/cmdline").status == 200
    resource.prlimit(target.pid, resource.RLIMIT_CPU, (1000, hard))
    assert target.get("/heap").status == 200
    assert target.ask("go", "failed") == "failed 0"
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ locked memory

CURRENT, FUTURE, ONFAULT = 1, 2, 4  # MCL_* of sys/mman.h
LOCKED_CAP_KIB = 8 << 10  # P5
LOCK_SPARE_KIB = 16 << 10


def locked_kib(target):
    return status_numbers(target.pid, "VmLck")["VmLck"]


def lock(target, flags):
    target.expect("ready")
    assert target.ask(f"lock {flags}", "lock") == "lock 0 0"
    return locked_kib(target)


@as_root
@row("F143", "mlockall: what is locked of ours", severity=1, modes=("idle", "fire"), fast=True)
@pytest.mark.parametrize("flags", [CURRENT, FUTURE, CURRENT | FUTURE, CURRENT | FUTURE | ONFAULT])
@pytest.mark.parametrize("asked_before", [False, True])
def test_locked_memory(case, flags, asked_before):
    """Before and after all profiles were asked for, and with threads of ours that came since."""
    bare_kib = lock(case.start_bare([program("f_locked")]), flags)
    target = case.start([program("f_locked")])
    if asked_before:
        assert target.get("/heap").status == 200
    assert lock(target, flags) - bare_kib <= LOCKED_CAP_KIB
    with case.fire(target):
        if case.polls:
            for path in POLLED:
                assert target.get(path).status in (200, 500), path
        assert locked_kib(target) - bare_kib <= LOCKED_CAP_KIB
    assert target.ask("free", "free") == "free 0" and locked_kib(target) == 0
    assert target.finish() == 0 and target.err == ""


def size_kib(target):
    target.expect("ready")
    return status_numbers(target.pid, "VmSize")["VmSize"]


@as_root
@row("F144", "mlockall below RLIMIT_MEMLOCK, as a user", severity=1, modes=("idle", "full"),
     fast=True)
@pytest.mark.parametrize("flags", [CURRENT, CURRENT | FUTURE])
def test_limit_of_locked_memory(case, flags):
    """What it may lock without us it may lock with us, where 16 MiB are to spare."""
    limit = size_kib(case.start_bare([program("f_locked")])) + LOCK_SPARE_KIB
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if hard != resource.RLIM_INFINITY and hard < limit << 10:
        pytest.skip(f"RLIMIT_MEMLOCK has to be {limit} KiB; it is {hard >> 10} KiB")
    argv = [program("f_locked"), STRANGER, limit]
    for target in (case.start_bare(argv), case.start(argv)):
        lock(target, flags)
        assert target.ask(f"map {LOCK_SPARE_KIB - LOCKED_CAP_KIB}", "map") == "map 0"
        assert target.finish() == 0


@as_root
@row("F144b", "all of RLIMIT_MEMLOCK is the program's from mlockall(MCL_FUTURE) on", severity=1,
     modes=("idle", "full"), fast=True)
def test_future_of_locked_memory(case):
    """What the agent has mapped for a request by then, or maps for the next one, is not in it."""
    target = case.start([program("f_locked"), STRANGER, 4096])
    assert target.get("/heap").status == 200
    lock(target, FUTURE)
    assert target.get("/goroutine?debug=2").status == 200
    assert target.ask("map 4000", "map") == "map 0"
    assert target.finish() == 0


# ------------------------------------------------------------------ threads

@as_root
@row("F140", "RLIMIT_NPROC: the program's threads, after a request", severity=1,
     naive="none is left", fast=("idle",))
@pytest.mark.parametrize("limit, status", [(12, 503), (24, 200), (40, 200)])
def test_threads_of_the_user(case, limit, status):
    target = case.start([program("f_limits"), "threads", 8, STRANGER, limit], wait=False)
    needs_its_threads(case, target, "RLIMIT_NPROC", status)


@as_root
@row("F140b", "pids.max: the program's threads, after a request", severity=1, naive="none is left",
     fast=("idle",))
@pytest.mark.parametrize("limit, status", [(12, 503), (24, 200)])
def test_threads_of_a_control_group(case, limit, status):
    with control_group("pids") as group:
        (group / "pids.max").write_text(str(limit))
        target = case.start([program("f_limits"), "threads", 8], wait=False, preexec=enter(group))
        try:
            needs_its_threads(case, target, "pids.max", status)
        finally:
            target.kill()


@row("F141", "threads of the server end when nobody asks", severity=2, modes=("idle", "full"),
     fast=True)
def test_server_ends(case):
    """A request that comes while they end is answered by the next server."""
    target = case.start([victim("v_blocks"), "1"], preload=BRIEF)
    target.expect("ready")
    for _ in range(20):
        before = threads(target)
        until("a thread of the server ends", lambda: threads(target) < before)
        assert target.get("/heap").status == 200
        assert threads(target) > 1 + IDLE_THREADS
    until("all have ended", lambda: threads(target) == 1 + IDLE_THREADS)
    assert target.get("/heap").status == 200
    assert target.finish() == 0 and target.err == ""


def next_write(target):
    """The next line when it ends a profile that the program wrote."""
    line = target.line()
    return line if line.startswith("write ") else None


@row("F141b", "the same while the program asks for its profiles itself", severity=2,
     modes=("full",), fast=True)
def test_server_ends_beside_the_program(case):
    """Its thread renders for the program as well, and a job may come while it ends."""
    target = case.start([victim("v_custom")], preload=BRIEF)
    target.expect("ready")
    for _ in range(8):
        before = threads(target)
        until("a thread of the server ends", lambda: threads(target) < before)
        target.tell("write heap")
        assert until("it is written", lambda: next_write(target)) == "write 0"
        assert target.get("/heap").status == 200
    assert target.finish() == 0 and target.err == ""
