# SPDX-License-Identifier: Apache-2.0
"""What clients that ask for all they can get cost the program."""
import http.client
import random
import re
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from lib.fault_rows import RSS_CAP_KIB, have, row, status_numbers
from lib.harness import PREFIX, request, until
from lib.host import as_root, control_group, enter

ROUNDS = 3000  # of redis' own work, while the clients ask
KEYS = 500
LIMIT_BYTES = RSS_CAP_KIB << 10

PATHS = ("/heap", "/heap?debug=1", "/allocs", "/block", "/mutex", "/threadcreate", "/goroutine",
         "/goroutine?debug=2", "/profile?seconds=1", "/trace?seconds=1", "/heap?seconds=1",
         "/trace?flight=1", "/", "/symbol?0x1000")
LONG = ("profile", "heap", "mutex", "block", "goroutine", "trace")

# As Go answers the second of two at the same time.
TAKEN = re.compile("Could not enable (CPU profiling|tracing|fgprof): .* already (in use|enabled)")


class Redis:
    """A redis-server and one client of its own."""

    def __init__(self, start, tmp_path):
        self.path = tmp_path / "socket"
        self.path.unlink(missing_ok=True)
        self.target = start(["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "",
                             "--dir", tmp_path])
        self.socket = until("redis listens", self._connect)
        self.lines = self.socket.makefile("rb")

    def _connect(self):
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self.path))
            return client
        except OSError:
            client.close()
            return None

    def work(self, rounds):
        """Each answer is the right one."""
        for i in range(rounds):
            key, value = b"key%d" % (i % KEYS), b"%d-" % i * 50
            self.socket.sendall(b"SET %s %s\r\nGET %s\r\n" % (key, value, key))
            assert self.lines.readline() == b"+OK\r\n"
            assert self.lines.readline() == b"$%d\r\n" % len(value)
            assert self.lines.readline() == value + b"\r\n"

    def high_kib(self):
        return status_numbers(self.target.pid, "VmHWM")["VmHWM"]

    def close(self):
        self.lines.close()
        self.socket.close()
        self.target.kill()


class Hostile:
    """Clients of eight kinds, until the end of the with block. answers: how many of each status;
    faults: those that no client should get."""

    def __init__(self, target):
        self.port, self.pid = target.port, target.pid
        self.answers, self.faults = Counter(), []
        self._over = threading.Event()
        kinds = (self._any, self._any, self._delta, self._delta, self._flight, self._names,
                 self._long, self._slow)
        self._threads = [threading.Thread(target=self._run, args=(kind, i))
                         for i, kind in enumerate(kinds)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind, number):
        dice, count = random.Random(number), 0
        while not self._over.is_set():
            kind(dice, number, count)
            count += 1

    def _ask(self, path, method="GET", headers=None, body=None):
        try:
            answer = request(self.port, PREFIX + path, method, headers, body, timeout=30)
        except (OSError, http.client.HTTPException) as error:
            self.answers[type(error).__name__] += 1  # cut short: others wait
            return
        self.answers[answer.status] += 1
        if answer.status not in (200, 503) and not TAKEN.match(answer.text):
            self.faults.append((path, answer.status, answer.text))

    def _any(self, dice, _number, _count):
        self._ask(dice.choice(PATHS))

    def _delta(self, dice, number, count):
        self._ask("/delta_" + dice.choice(("heap", "block", "mutex")),
                  headers={"User-Agent": f"client {number} {count % 400}"})

    def _flight(self, _dice, _number, _count):
        self._ask("/trace?flight=1")

    def _names(self, dice, _number, _count):
        code = [int(line.split("-")[0], 16) for line in
                Path(f"/proc/{self.pid}/maps").read_text().splitlines() if " r-xp " in line]
        words = "+".join(hex(dice.choice(code) + dice.randrange(1 << 19)) for _ in range(50000))
        self._ask("/symbol", "POST", body=words.encode())

    def _send(self, path):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.sendall(f"GET {PREFIX}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client

    def _long(self, dice, _number, _count):
        clients = [self._send(f"{name}?seconds=99999") for name in LONG]
        self._over.wait(dice.uniform(0.5, 2))
        for client in clients:
            client.close()

    def _slow(self, _dice, _number, _count):
        clients = [self._send(path) for path in ("heap", "delta_heap", "trace?flight=1",
                                                 "heap?debug=1", "goroutine?debug=2")]
        for _ in range(10):
            self._over.wait(0.1)
            for client in clients:
                client.settimeout(0.01)
                try:
                    client.recv(256)
                except OSError:
                    pass
        for client in clients:
            client.close()


def bear_them(case, redis):
    """Redis' work while the clients ask."""
    with Hostile(redis.target) as clients:
        redis.work(ROUNDS)
    case.note(str(dict(clients.answers)))
    assert not clients.faults, clients.faults[:5]
    assert clients.answers[200] > 0
    assert redis.target.process.poll() is None


@row("F145", "hostile clients: memory of the agent", severity=1, modes=("full",), fast=True)
def test_memory_of_hostile_clients(case, tmp_path):
    have("redis-server")
    bare = Redis(case.start_bare, tmp_path)
    bare.work(ROUNDS)
    bare_kib = bare.high_kib()
    bare.close()
    redis = Redis(lambda argv: case.start(argv, flight="1M"), tmp_path)
    bear_them(case, redis)
    redis.work(ROUNDS)
    case.note(f"{bare_kib} -> {redis.high_kib()} KiB")
    assert redis.high_kib() - bare_kib <= RSS_CAP_KIB
    redis.close()


def count_of(group, name):
    """Of memory.events or memory.oom_control, by its name in both."""
    for file in ("memory.events", "memory.oom_control"):
        if (group / file).exists():
            return int(re.search(rf"^{name} (\d+)", (group / file).read_text(), re.M).group(1))
    pytest.skip("this control group does not count kills")


@as_root
@row("F146", "hostile clients: a control group of 64 MiB more than the program needs", severity=1,
     modes=("full",), fast=True)
def test_control_group_of_hostile_clients(case, tmp_path):
    have("redis-server")
    with control_group("memory") as group:
        usage, limit = (("memory.current", "memory.max") if (group / "memory.max").exists()
                        else ("memory.usage_in_bytes", "memory.limit_in_bytes"))
        bare = Redis(lambda argv: case.start_bare(argv, preexec=enter(group)), tmp_path)
        bare.work(ROUNDS)
        bytes_most = int((group / usage).read_text()) + LIMIT_BYTES
        bare.close()
        (group / limit).write_text(str(bytes_most))
        redis = Redis(lambda argv: case.start(argv, flight="1M", preexec=enter(group)),
                      tmp_path)
        try:
            bear_them(case, redis)
            redis.work(ROUNDS)
            assert count_of(group, "oom_kill") == 0
            if (group / "memory.failcnt").exists():
                assert (group / "memory.failcnt").read_text() == "0\n"
            else:
                assert count_of(group, "max") == 0
        finally:
            redis.close()
