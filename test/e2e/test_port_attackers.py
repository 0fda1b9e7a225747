# SPDX-License-Identifier: Apache-2.0
"""Clients that harm others: whatever they do, a good client is answered, and no worker waits."""
import re
import select
import socket
import sys
import threading
from pathlib import Path

import pytest

from lib.harness import (AGENT, DEADLINE_S, PREFIX, listening, raw_request, request, sampling,
                         until, victim)

ATTACKERS = 150
PARKED = 56  # of 64 connections

# Long names to ask for.
LIBRARIES = ("libstdc++.so.6",)

YEAR = 99999999


def head(method, path, *headers):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


BODY = "Content-Length: 100"


def long_names(target):
    """A body of 1 MiB for symbol, whose answer fits into no buffer of a socket."""
    maps = Path(f"/proc/{target.pid}/maps").read_text()
    low, high = re.search(r"^(\w+)-(\w+) r-xp .*libstdc\+\+", maps, re.M).groups()
    step = (int(high, 16) - int(low, 16)) // 300
    asked = "+".join(hex(int(low, 16) + i * step) for i in range(300))
    lines = target.get("/symbol?" + asked).text.splitlines()[1:]
    address = max(lines, key=len).split(" ")[0]
    body = "+".join([address] * ((1 << 20) // (len(address) + 1)))
    return head("POST", f"{PREFIX}/symbol", f"Content-Length: {len(body)}") + body.encode()


# What each kind sends: at once, then byte by byte. All ask without the token where there is one.
KINDS = {
    "says nothing": lambda target: (b"", b""),
    "half a request line": lambda target: (b"GET /debug/pp", b""),
    "header byte by byte": lambda target: (b"GET / HTTP/1.1\r\n", b"X-Long: " + b"x" * 4000),
    "body that never comes, 401": lambda target: (head("POST", f"{PREFIX}/symbol", BODY), b""),
    "body that never comes, 403": lambda target: (
        head("POST", "/", BODY).replace(b"localhost", b"evil"), b""),
    "body that never comes, 404": lambda target: (head("GET", f"{PREFIX}/nosuch", BODY), b""),
    "body that never comes, 405": lambda target: (head("POST", f"{PREFIX}/heap", BODY), b""),
    "method nobody knows, with a body": lambda target: (head("BREW", PREFIX, BODY), b""),
    "body of symbol that never comes": lambda target: (
        head("POST", f"{PREFIX}/symbol", BODY), b""),
    "body of symbol byte by byte": lambda target: (
        head("POST", f"{PREFIX}/symbol", "Content-Length: 1000000"), b"0" * 4000),
    "chunk that never comes": lambda target: (
        head("POST", f"{PREFIX}/symbol", "Transfer-Encoding: chunked") + b"ffff\r\n", b""),
    "answer that is never read": lambda target: (long_names(target), b""),
    "a year of heap": lambda target: (head("GET", f"{PREFIX}/heap?seconds={YEAR}"), b""),
    "a year of CPU": lambda target: (head("GET", f"{PREFIX}/profile?seconds={YEAR}"), b""),
    "a year of wall time": lambda target: (head("GET", f"/debug/fgprof?seconds={YEAR}"), b""),
    "a year of trace": lambda target: (head("GET", f"{PREFIX}/trace?seconds={YEAR}"), b""),
}


class Attackers:
    """So many connections at any time: what the server closes is opened anew."""

    def __init__(self, port, first, then=b"", reads=True):
        self.port, self.sends, self.reads = port, first + then, reads
        self.at_once = len(first)
        self.sent = {}  # socket: how much of it
        self.opened = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        until("all have come", lambda: self.opened > ATTACKERS)
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _open(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", self.port))
        self.sent[s] = 0
        self.opened += 1

    def _close(self, s):
        del self.sent[s]
        s.close()

    def _attack(self, s):
        sent = self.sent[s]
        piece = self.sends[sent:max(self.at_once, sent + 1)]
        try:
            if piece:
                self.sent[s] += s.send(piece)
            elif self.reads and not s.recv(65536):
                self._close(s)
        except BlockingIOError:
            pass
        except OSError:
            self._close(s)

    def _run(self):
        while not self.over.is_set():
            while len(self.sent) < ATTACKERS:
                self._open()
            for s in list(self.sent):
                self._attack(s)
            self.opened += 1  # a round
            self.over.wait(0.005)
        for s in list(self.sent):
            self._close(s)


def good(target, path, **kwargs):
    answer = target.get(path, timeout=DEADLINE_S, **kwargs)
    assert answer.status == 200, answer
    return answer


POLLS = {"7", "271"}  # poll, ppoll: a wait for descriptors


def threads_that_wait_for_clients(target):
    """Of the agent's: the accepting one always does."""
    count = 0
    for task in Path(f"/proc/{target.pid}/task").iterdir():
        try:
            ours = (task / "comm").read_text().startswith(("pprofagent", "pprof:"))
            count += ours and (task / "syscall").read_text().split()[0] in POLLS
        except OSError:
            continue
    return count


# One of each way to occupy the port; the others with --slow.
QUICK = ("half a request line", "body that never comes, 403", "body of symbol that never comes",
         "a year of heap", "a year of trace")


@pytest.mark.parametrize("kind", [
    pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS])
def test_good_client_is_answered_beside(start, kind):
    token = {"token": "s3cret"} if "401" in kind else {}
    headers = {"Authorization": "Bearer s3cret"} if token else {}
    target = start([sys.executable, "-c", "import sys; sys.stdin.read()"], wait=False,
                   preload=(*LIBRARIES, AGENT), **token)
    until("it listens", lambda: listening(target.pid))
    good(target, "/heap", headers=headers)
    first, then = KINDS[kind](target)
    with Attackers(target.port, first, then, reads="never read" not in kind):
        for _ in range(5):
            good(target, "/cmdline", headers=headers)
            good(target, "/heap", headers=headers)
            good(target, "/goroutine?debug=1", headers=headers)
        # One trace is written, and one dump called, by their workers; one answer is not read.
        workers = kind in ("a year of wall time", "a year of trace", "answer that is never read")
        until("no worker waits for a client",
              lambda: threads_that_wait_for_clients(target) <= 1 + workers)
    assert target.process.poll() is None and target.err == ""


def test_good_client_is_answered_beside_those_that_come_and_go(start):
    target = start([victim("v_blocks"), "1"])
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            with socket.create_connection(("127.0.0.1", target.port)) as s:
                s.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n\r\n")

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            good(target, "/cmdline")
    finally:
        over.set()
        for thread in threads:
            thread.join()


# ------------------------------------------------------------------ requests that wait


def wait_for(target, path):
    s = socket.create_connection(("127.0.0.1", target.port), timeout=DEADLINE_S)
    s.sendall(head("GET", path))
    return s


def answer_at_the_end(s):
    """Of a program that ended. The kernel resets a connection whose request was not read yet."""
    try:
        return answer_of(s)
    except ConnectionResetError:
        return b""


def answer_of(s):
    got = b""
    while piece := s.recv(65536):
        got += piece
    return got


def test_client_that_leaves_ends_its_cpu_profile(start):
    target = start([victim("v_spin")])
    with wait_for(target, f"{PREFIX}/profile?seconds={YEAR}"):
        until("samples are taken", lambda: sampling(target))
        assert target.get("/profile?seconds=1").status == 500
    until("it has ended", lambda: target.get("/profile?seconds=1").status == 200)


def refusal_when_all_wait(target, held):
    """The answer 503 to one more; None while there is a place, which that one took for a second: a
    held request that came then was refused, and is sent again."""
    answer = target.get("/heap?seconds=1")
    for refused in select.select(held, [], [], 0)[0]:
        refused.close()
        held[held.index(refused)] = wait_for(target, f"{PREFIX}/heap?seconds={YEAR}")
    return answer if answer.status == 503 else None


def test_requests_that_wait_are_bounded_and_leave_their_places(start):
    target = start([victim("v_blocks"), "1"])
    held = [wait_for(target, f"{PREFIX}/heap?seconds={YEAR}") for _ in range(PARKED)]
    try:
        crowded = until("all places are taken", lambda: refusal_when_all_wait(target, held))
        assert crowded.headers["Retry-After"] == "1"
        assert crowded.text == "too many profiles are being taken; try again\n"
        assert target.get("/heap").status == 200
        held.pop().close()
        until("a place is free", lambda: target.get("/heap?seconds=1").status == 200)
    finally:
        for s in held:
            s.close()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_answer_after_a_wait_is_of_the_version_that_was_asked(start, version):
    target = start([victim("v_blocks"), "1"])
    with socket.create_connection(("127.0.0.1", target.port), timeout=DEADLINE_S) as s:
        s.sendall(f"GET {PREFIX}/heap?seconds=1 HTTP/{version}\r\nHost: localhost\r\n\r\n"
                  .encode())
        answer = answer_of(s)
    assert answer.startswith(f"HTTP/{version} 200 OK\r\n".encode())
    assert b'filename="heap-delta"' in answer


def test_program_that_ends_is_not_kept_by_those_that_wait(start):
    target = start([victim("v_blocks"), "1"])
    paths = ["heap", "profile", "goroutine", "mutex"]
    held = [wait_for(target, f"{PREFIX}/{path}?seconds={YEAR}") for path in paths]
    until("they wait", lambda: sampling(target))
    assert target.finish() == 0 and target.err == ""
    assert [answer_at_the_end(s) for s in held] == [b""] * len(held)


def test_fork_leaves_waiting_requests_to_the_parent(start):
    target = start([victim("v_fork"), "line", "1"], wait=False)
    target.expect("ready")
    target.answers()
    held = [wait_for(target, f"{PREFIX}/{path}?seconds=2") for path in ("heap", "profile")]
    until("they wait", lambda: sampling(target))
    child = int(target.ask("go", "child").split()[1])
    port = until("the child listens", lambda: listening(child))[0].rpartition(":")[2]
    assert request(int(port, 16), f"{PREFIX}/profile?seconds=1").status == 200
    assert all(answer_of(s).startswith(b"HTTP/1.1 200 OK") for s in held)


# ------------------------------------------------------------------ bodies and headers


def test_body_that_comes_late_is_awaited(start):
    target = start([victim("v_blocks"), "1"])
    with socket.create_connection(("127.0.0.1", target.port), timeout=DEADLINE_S) as s:
        s.sendall(head("POST", f"{PREFIX}/symbol", "Content-Length: 6",
                       "Expect: 100-continue"))
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"0x")
        assert target.get("/heap").status == 200
        s.sendall(b"1234")
        answer = answer_of(s)
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"\r\n\r\nnum_symbols: 1\n")


def test_body_in_chunks_is_that_of_a_length(start):
    target = start([victim("v_blocks"), "1"])
    body = long_words(target)
    plain = target.get("/symbol", method="POST", body=body)
    chunks = [body[i:i + 7777] for i in range(0, len(body), 7777)]
    pieces = target.get("/symbol", method="POST", body=iter([c.encode() for c in chunks]))
    assert (plain.status, plain.body) == (pieces.status, pieces.body)
    assert plain.body.count(b"\n") > 1000


def long_words(target):
    maps = Path(f"/proc/{target.pid}/maps").read_text()
    low = int(re.search(r"^(\w+)-\w+ r-xp .*libc\.so", maps, re.M).group(1), 16)
    return "+".join(hex(low + 4096 + i) for i in range(60000))


def test_refused_bodies_do_not_reset_the_answer(start):
    """What is unread at a close resets the connection: the client would lose its answer."""
    target = start([victim("v_blocks"), "1"])
    body = b"x" * 3000000
    for path, status in (("/symbol", 413), ("/heap", 405), ("/nosuch", 405)):
        assert target.get(path, method="POST", body=body).status == status


@pytest.mark.parametrize("lines", [
    "Host: localhost\r\n folded", "Host : localhost", "Host: localhost\r\n: empty",
    "Host: localhost\r\nno colon", "Host: local\rhost", "Host: localhost\r\nX: a\0b",
    "Host: localhost\r\nContent-Length: 1\r\nContent-Length: 1",
    "Host: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    "Host: localhost\r\nContent-Length: 0x1",
])
def test_headers_that_are_none_are_400(start, lines):
    target = start([victim("v_blocks"), "1"])
    answer = raw_request(target.port, f"GET {PREFIX}/cmdline HTTP/1.1\r\n{lines}\r\n\r\n"
                         .encode())
    assert answer.split(b" ")[1] == b"400", answer
