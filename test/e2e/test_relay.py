# SPDX-License-Identifier: Apache-2.0
"""pid=N: the answers of a descendant's agent through the port of its ancestor."""
import http.client
import os
import re
import signal
import socket
import threading
import time

import pytest

from lib.family import (PYTHON, Family, descendants, port_of, processes, start_inert_parent,
                        wait_for_agents)
from lib.harness import (EXACT, PREFIX, Later, listening, raw_request, request, sampling, until,
                         victim)
from lib.profiles import Profile


@pytest.fixture
def family(start):
    return Family(start)


def without_date(answer):
    return re.sub(rb"Date: [^\r]*", b"", answer)


def raw(port, path, head=b"Host: localhost", method=b"GET", version=b"1.1"):
    return raw_request(port, b"%s %s HTTP/%s\r\n%s\r\n\r\n" % (method, path, version, head))


# ------------------------------------------------------------------ byte for byte

@pytest.mark.parametrize("path", [
    b"cmdline", b"threadcreate?debug=1", b"goroutine?debug=2", b"symbol?0x1", b"symbol", b"nothing",
    b"heap?seconds=x", b"heap?seconds=1&debug=1", b"block?debug=1", b"ui", b"delta_nothing"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_answers_are_the_very_bytes_of_the_process(family, path, method, version):
    child = family.serving("fork", 1)[0]
    path = PREFIX.encode() + b"/" + path
    mark = b"&" if b"?" in path else b"?"
    own = raw(port_of(child), path, method=method, version=version)
    relayed = raw(family.port, path + mark + b"pid=%d" % child, method=method, version=version)
    assert without_date(relayed) == without_date(own) and own.startswith(b"HTTP/")


def test_profiles_are_those_of_the_process(start):
    family = Family(start, **EXACT)
    children = family.serving("fork", 2)
    # They keep 1 and 2 MiB; which is which is not said.
    kept = [Profile(family.get(f"/heap?pid={child}").body).total("inuse_space", "keep_child")
            for child in children]
    assert sorted(kept) == [1 << 20, 2 << 20]
    assert Profile(family.get(f"/heap?pid={family.pid}").body).total(
        "inuse_space", "keep_child") == 0
    assert f"pid: {children[0]}" in family.get(f"/agent?pid={children[0]}").text


def test_grandchildren_are_reached_from_the_first_process(family):
    line = family.serving("line", 3)
    for pid in line:
        assert f"\n  pid: {pid}\n" in family.get(f"/agent?pid={pid}").text


def test_cpu_profile_is_recorded_in_the_process(family):
    child = family.serving("burn", 1)[0]
    profile = Profile(family.get(f"/profile?seconds=2&pid={child}").body)
    assert profile.total("cpu", "burn_child") > 0


def test_symbol_takes_a_body(family):
    child = family.serving("fork", 1)[0]
    heap = Profile(family.get(f"/heap?pid={child}").body)
    address = next(l.address for s in heap.proto.sample for l in heap.proto.location
                   if l.id == s.location_id[0])
    for body in (f"{address:#x}", "+".join(["0x1"] * 100000) + f"+{address:#x}"):
        answer = family.get(f"/symbol?pid={child}", method="POST", body=body)
        assert answer.status == 200 and answer.text.startswith("num_symbols: 1\n0x")
    assert family.get(f"/heap?pid={child}", method="POST", body="x").status == 405
    assert family.get(f"/symbol?pid={child}", method="POST", body="x" * (2 << 20)).status == 413


def test_other_parameters_reach_the_process(family):
    child = family.serving("fork", 1)[0]
    plain = family.get(f"/agent?format=json&pid={child}")
    assert plain.headers["Content-Type"].startswith("application/json")
    for query in (f"pid={child}&format=json", f"%70id={child}&format=json",
                  f"pid={child}&format=json&pid=1"):
        answer = family.get(f"/agent?{query}")
        assert f'"pid":{child},' in answer.text
    top = family.get(f"/heap?pid={child}&format=top&type=alloc_space")
    assert "\nType: alloc_space\n" in top.text


# ------------------------------------------------------------------ who is asked

@pytest.mark.parametrize("pid", ["x", "", "0", "-5", "1.5", "12x", "99999999999999999999",
                                 "%00", "1" * 100])
def test_what_is_no_process_id_is_400(family, pid):
    answer = family.get(f"/heap?pid={pid}")
    assert (answer.status, answer.text) == (
        400, 'invalid value for "pid" - must be a process id\n')
    assert answer.headers["X-Go-Pprof"] == "1"


def test_processes_that_are_no_descendants_are_unknown(family, start):
    other = Family(start)
    for pid in (1, os.getpid(), other.pid, 4194304, 99999999999):
        answer = family.get(f"/heap?pid={pid}")
        assert (answer.status, answer.text) == (404, "Unknown process\n")
    assert other.get(f"/heap?pid={family.pid}").status == 404
    child = family.serving("fork", 1)[0]
    assert request(port_of(child), f"{PREFIX}/heap?pid={family.pid}").status == 404


def test_own_pid_is_this_process(family):
    assert family.get(f"/cmdline?pid={family.pid}").text == victim("v_generations")
    assert family.get(f"/symbol?0x1&pid={family.pid}").text == "num_symbols: 1\n"
    assert family.get(f"/nothing?pid={family.pid}").status == 404


def test_process_that_has_ended_is_unknown(family):
    child = family.serving("fork", 1)[0]
    assert family.get(f"/cmdline?pid={child}").status == 200
    os.kill(child, signal.SIGKILL)
    until("it is gone", lambda: family.get(f"/cmdline?pid={child}").status in (404, 502))


def test_inert_process_says_so(start):
    target, inert = start_inert_parent(start)
    answer = target.get(f"/heap?pid={inert}")
    assert (answer.status, answer.text) == (502, f"process {inert} does not serve\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_other_users_are_unknown(start):
    code = ("import os,time\n"
            "if os.fork()==0:\n"
            " os.setresuid(65534,65534,65534)\n"
            " if os.fork()==0: time.sleep(100)\n"
            " time.sleep(100)\n"
            "print('ready',flush=True);input()")
    target = start([PYTHON, "-c", code])
    target.expect("ready")
    until("its children", lambda: len(descendants(target.pid)) == 2)
    for pid in descendants(target.pid):
        assert target.get(f"/heap?pid={pid}").status == 404


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_other_network_namespace_is_named(start):
    code = ("import subprocess;p=subprocess.Popen(['unshare','-n','sleep','100']);"
            "print('ready',flush=True);input()")
    target = start([PYTHON, "-c", code])
    target.expect("ready")
    pid = until("it serves there", lambda: next((p for p, e in processes(target).items()
                if e["program"] == "sleep" and e["state"] == "serving"), None))
    answer = target.get(f"/heap?pid={pid}")
    assert (answer.status, answer.text) == (
        502, f"process {pid} is in another network namespace\n")


FAKE = """
import ctypes, os, socket, sys, threading
def serve(own):
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(8)
    os.write(1, b'port %d\\n' % s.getsockname()[1])
    if own:
        ctypes.CDLL(None).prctl(15, b'pprof:%d' % s.getsockname()[1])
    while True:
        c = s.accept()[0]; c.recv(9999); os.write(1, b'asked 1\\n')
        c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n{"agent":{"pid":%d,"process_start_ticks":1,' % pid)
        c.close()
pid = os.fork()
if pid == 0:
    pid = os.getpid()
    if sys.argv[1] == 'itself':
        serve(True)
    port = int(os.read(0, 99))
    ctypes.CDLL(None).prctl(15, b'pprof:%d' % port)
    os.write(1, b'named 0\\n')
    os.read(0, 9)
else:
    os.write(1, b'child %d\\n' % pid)
    os.waitpid(pid, 0)
"""


def test_fake_agent_that_cannot_name_its_start_is_refused(start):
    target = start([PYTHON, "-c", FAKE, "itself"], children="off")
    words = dict(target.line().split() for _ in range(2))
    pid = int(words["child"])
    until("its thread has the name", lambda: port_of(pid))
    answer = target.get(f"/heap?pid={pid}")
    assert answer.status == 502
    assert answer.text == (
        f"process {pid} does not confirm its pid and start time by its agent page\n")


def test_process_that_names_the_port_of_another_is_not_asked(start):
    """The server on that port would be given the token."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        target = start([PYTHON, "-c", FAKE, "other"], children="off")
        pid = int(target.expect("child").split()[1])
        target.tell(str(server.getsockname()[1]))
        target.expect("named")
        answer = target.get(f"/heap?pid={pid}")
        assert (answer.status, answer.text) == (
            502, f"process {pid} does not listen on its port\n")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_relay_is_not_relayed(family):
    child = family.serving("fork", 1)[0]
    answer = family.get(f"/heap?pid={child}", headers={"Pprofagent-Relay": "127.0.0.1"})
    assert (answer.status, answer.text) == (502, "a relayed request is not relayed again\n")


def test_token_is_passed_on(start):
    target = start([victim("v_generations")], wait=False, token="sesame")
    target.expect("ready")
    bearer = {"Authorization": "Bearer sesame"}
    until("it answers", lambda: port_of(target.pid))
    target.tell("fork 1")
    child = int(target.expect("child").split()[1])
    wait_for_agents([child])
    assert target.get(f"/cmdline?pid={child}").status == 401
    assert target.get(f"/cmdline?pid={child}", headers=bearer).status == 200
    assert target.get(f"/cmdline?pid={child}&token=sesame").status == 200


# ------------------------------------------------------------------ time

def test_process_that_does_not_answer_is_502_after_two_seconds(family):
    child = family.serving("fork", 1)[0]
    os.kill(child, signal.SIGSTOP)
    start_s = time.monotonic()
    answer = family.get(f"/heap?pid={child}")
    took_s = time.monotonic() - start_s
    assert (answer.status, answer.text) == (502, f"process {child} does not answer\n")
    assert 1.9 < took_s < 10
    os.kill(child, signal.SIGCONT)
    until("it answers again", lambda: family.get(f"/heap?pid={child}").status == 200)


def test_processes_that_do_not_answer_hold_up_no_one(family):
    child = family.serving("fork", 1)[0]
    os.kill(child, signal.SIGSTOP)
    waiting = [Later(family.target, f"/heap?pid={child}") for _ in range(20)]
    assert family.get("/cmdline", timeout=5).status == 200
    assert {later.answer().status for later in waiting} == {502}
    os.kill(child, signal.SIGCONT)


class Status:
    """As a Target, for sampling()."""

    def __init__(self, pid):
        self.pid = pid


def test_client_that_leaves_ends_the_work_of_the_process(family):
    child = family.serving("burn", 1)[0]
    connection = http.client.HTTPConnection("127.0.0.1", family.port)
    connection.request("GET", f"{PREFIX}/profile?seconds=600&pid={child}")
    until("the process is sampled", lambda: sampling(Status(child)))
    connection.close()
    until("sampling has ended", lambda: not sampling(Status(child)), deadline_s=5)
    assert family.get(f"/profile?seconds=1&pid={child}").status == 200


def test_a_process_that_ends_meanwhile_ends_the_answer(family):
    child = family.serving("burn", 1)[0]
    asked = Later(family.target, f"/profile?seconds=600&pid={child}")
    until("the process is sampled", lambda: sampling(Status(child)))
    os.kill(child, signal.SIGKILL)
    answer = asked.answer()
    assert (answer.status, answer.text) == (502, f"process {child} ended without an answer\n")


def test_a_hundred_relays_at_once(family):
    children = family.serving("fork", 4)
    answers, lock = [], threading.Lock()

    def ask(pid):
        answer = family.get(f"/heap?debug=1&pid={pid}", timeout=60)
        with lock:
            answers.append((answer.status, pid, answer.text))

    threads = [threading.Thread(target=ask, args=(children[i % 4],)) for i in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    for status, pid, text in answers:
        # What the process cannot answer in time, on a machine with other work, says so.
        assert status in (200, 503) or text == f"process {pid} does not answer\n"
    assert sum(status == 200 for status, _, _ in answers) >= 50
    assert len(listening(family.pid)) == 1


def test_relays_take_no_render_slot_and_no_worker(family):
    child = family.serving("burn", 1)[0]
    waiting = [Later(family.target, f"/heap?seconds=3&pid={child}") for _ in range(20)]
    profile = Profile(family.get("/heap").body)
    assert profile.total("inuse_space", "keep_parent") == 8 << 20
    assert all(later.running() for later in waiting)
    assert {later.answer().status for later in waiting} == {200}


def test_go_tool_pprof_reads_a_relayed_profile(start, pprof):
    family = Family(start, **EXACT)
    child = family.serving("fork", 1)[0]
    out, _ = pprof("-top", "-sample_index=inuse_space",
                   f"http://127.0.0.1:{family.port}{PREFIX}/heap?pid={child}")
    assert "keep_child" in out
