# SPDX-License-Identifier: Apache-2.0
"""Signals that the agent's own calls would raise, and threads that take none."""
import http.client
import re
import socket
import time

import pytest

from lib.fault_rows import limited, program, row
from lib.harness import until
from lib.profiles import Profile, counts

EXIT_FILES = ("heapprofile", "cpuprofile", "allocsprofile")


# ------------------------------------------------------------------ raised by writes


@row("F36", "limit on the size of files, with profiles at exit", severity=1, fast=True)
def test_limited_files(case, tmp_path):
    files = {name: tmp_path / name for name in EXIT_FILES}
    # The outputs are files too: the limit leaves room for what the program prints.
    argv = ["sh", "-c", f"{program('f_raised')} size; echo rc $?"]
    bare, under = case.same(argv, settings=files, preexec_fn=limited(FSIZE=64))
    assert bare.out == under.out == b"rc 3\n"


@row("F36b", "stderr is a pipe that nobody reads", severity=1, fast=True)
def test_closed_stderr(case, tmp_path):
    argv = ["bash", "-c", f"exec 3>&1; {program('f_raised')} pipe 2>&1 >&3 | :; "
            "echo ${PIPESTATUS[0]}"]
    # A bad setting is a line on stderr.
    case.same(argv, settings={"heap_rate": "many"})


@row("F36c", "a cancelled thread ends the process, with profiles at exit", severity=1, fast=True)
def test_cancelled_exit(case, tmp_path):
    files = {name: tmp_path / name for name in EXIT_FILES}
    _, under = case.same([program("f_raised"), "cancelled"], settings=files)
    assert under.status == 4


# ------------------------------------------------------------------ raised by filters


@row("F37", "filter on all threads whose SIGSYS handler answers", severity=1, fast=True)
def test_trapping_filter(case):
    target = case.start([program("f_raised"), "trap"])
    target.expect("ready")
    paths = ("/goroutine?debug=2", "/heap", "/profile?seconds=1", "/threadcreate")
    with case.fire(target, paths):
        target.get("/goroutine")  # opens the core
        assert target.ask("filter", "opened") == "opened no"
        for path in paths:
            try:
                target.get(path)  # may say that it could not: it was refused to open a file
            except (OSError, http.client.HTTPException):
                pass  # its threads left, since the filter refuses what they need
            assert target.ask("again", "opened") == "opened no"
    assert target.finish() == 0 and target.err == ""
    assert target.out.endswith("lived\n")


# ------------------------------------------------------------------ the disposition, at any moment

PROFILE = (b"GET /debug/pprof/profile?seconds=10 HTTP/1.1\r\nHost: localhost\r\n\r\n")


def begin_and_leave(target, count):
    """CPU profiles whose clients leave: they begin and end as often as there can be."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", target.port)) as client:
            client.sendall(PROFILE)
            time.sleep(0.03)  # the profile is on, whether it took any tick or not


@row("F40", "disposition set while profiles begin and end", severity=1)
def test_disposition_race(case):
    target = case.start([program("f_disposition")], cpu_hz=1000)
    target.expect("ready")
    with case.fire(target, ("/goroutine?debug=2", "/heap")):
        begin_and_leave(target, 100)
    assert target.finish() == 0 and target.err == ""
    assert target.out == "ready\nalive\n"


# ------------------------------------------------------------------ threads that take no signal


@pytest.mark.alone
@row("F38", "threads of the kernel", severity=3, fast=True)
def test_kernel_threads(case):
    target = case.start([program("f_kernel_threads")], wait=False)
    if target.line() != "ready":
        pytest.skip("no io_uring here")
    target.answers()
    counts(target, "goroutine")  # the first one opens the core
    begin = time.monotonic()
    text = target.get("/goroutine?debug=2").text
    took = time.monotonic() - begin
    case.note(f"{took:.3f} s")
    assert "main(...)" in text and "iou-" in text
    assert took < 0.2  # the patience of a thread dump: none was waited for
    assert target.finish() == 0 and target.err == ""


MASKED = ("attributes", "inherited", "unblock", "block", "default", "ignore", "handler")


@row("F39", "signals blocked or set one by one, or by attributes", severity=2, fast=True)
@pytest.mark.parametrize("way", MASKED)
def test_masked(case, way):
    target = case.start([program("f_masked"), way], wait=False)
    assert target.line() == "ready"
    target.answers()

    def profile():
        answer = target.get("/profile?seconds=1")
        return answer if answer.status == 200 else None
    found = Profile(until("a CPU profile", profile).body)
    assert any(s.has("burn_masked") for s in found.samples)
    text = target.get("/goroutine?debug=2").text
    assert re.search(r"^burn_masked\(", text, re.M), text
    if way == "handler":
        for number in range(1, 4):
            assert target.ask("raise", "raised") == f"raised {number}"
    assert target.finish() == 0 and target.err == ""
