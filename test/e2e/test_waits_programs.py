# SPDX-License-Identifier: Apache-2.0
"""Block, mutex, threadcreate and goroutine of programs that nobody here wrote, under load, while
somebody fetches them all the time."""
import http.client
import re
import subprocess
import threading

import pytest

from lib.go_tools import Pprof
from lib.harness import CONTENTION, free_port, until
from lib.profiles import contention, counts

PYTHON = "/usr/bin/python3"
PATHS = ["/block", "/mutex", "/threadcreate", "/goroutine?debug=2", "/goroutine"]


class Poller:
    """Fetches the profiles in a loop; every answer must be good."""

    def __init__(self, target):
        self.target, self.stop, self.bad, self.rounds = target, False, [], 0
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.stop:
            for path in PATHS:
                try:
                    answer = self.target.get(path)
                except (OSError, http.client.HTTPException) as error:
                    self.bad.append((path, error))
                    return
                if answer.status != 200 or not answer.body:
                    self.bad.append((path, answer))
            self.rounds += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.stop = True
        self.thread.join(60)
        if exception == (None, None, None):
            assert not self.bad
            assert self.rounds > 1


def top(pprof, target, name):
    """Names of a -top listing."""
    out, err = pprof("-top", "-cum", "-nodecount=200", target.url(f"/{name}"))
    assert "Type: delay" in out and "error" not in err.lower()
    return re.findall(r"^ *\S+ +[\d.]+% +[\d.]+% +\S+ +[\d.]+% +(.+?)(?: \(inline\))?$", out,
                      re.M)


def assert_whole(target, kinds=("block", "mutex")):
    for name in kinds:
        profile = contention(target, name)
        assert profile.total("delay") > 0 and profile.complete_share() >= 0.99
    # A sleeper whose caller has an array of variable size cannot be followed: see test_threads.py.
    assert counts(target, "goroutine").complete_share() >= 0.9
    assert counts(target, "threadcreate").complete_share() >= 0.99
    assert not [c for c in profile.comments if c.startswith("dropped")]


def assert_named(names, *wanted):
    missing = [w for w in wanted if not any(re.fullmatch(w, n) for n in names)]
    assert not missing, (missing, names)


@pytest.fixture(scope="module")
def one_pprof(tmp_path_factory):
    """The distribution's pprof: both read the same, and each program is run once."""
    return Pprof("/usr/bin/go", tmp_path_factory.mktemp("pprof"))


# ------------------------------------------------------------------ redis


def redis_says(port, *words):
    return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True,
                          timeout=60, check=False).stdout


@pytest.mark.alone
def test_redis_with_io_threads(start, tmp_path, one_pprof):
    port = free_port()
    target = start(["/usr/bin/redis-server", "--port", port, "--save", "", "--dir", tmp_path,
                    "--bind", "127.0.0.1", "--io-threads", "4", "--io-threads-do-reads", "yes"],
                   **CONTENTION)
    until("redis answers", lambda: redis_says(port, "ping") == "PONG\n")
    with Poller(target):
        load = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "40000", "-c", "50",
                               "-P", "8", "-t", "set,get", "--threads", "2", "-q"],
                              capture_output=True, text=True, timeout=120, check=False)
    assert load.returncode == 0 and load.stdout.count("requests per second") == 2, load
    # Wakes the thread that frees the old data: a wait that all versions have.
    assert redis_says(port, "flushall", "async") == "OK\n"
    until("its wait is recorded", lambda: contention(target, "block").total(
        "delay", "bioProcessBackgroundJobs"))
    threads = counts(target, "goroutine").samples
    assert {s.labels["thread"] for s in threads} >= {
        "redis-server", "bio_close_file", "bio_lazy_free", "io_thd_1", "io_thd_2", "io_thd_3"}
    inputs = [s for s in threads if s.labels["thread"].startswith("io_thd_")]
    assert all(s.has("IOThreadMain") for s in inputs)
    # Before redis 8 these wait for locks of the main thread's, since then for their sockets.
    by_locks = not any(s.has("epoll_wait") for s in inputs)
    assert_whole(target, ("block", "mutex") if by_locks else ("block",))
    waits = top(one_pprof, target, "block")
    assert_named(waits, "bioProcessBackgroundJobs")
    if by_locks:
        assert_named(waits, "IOThreadMain")
        assert_named(top(one_pprof, target, "mutex"), "beforeSleep", "aeMain", "main")
    created = counts(target, "threadcreate")
    assert created.total("threadcreate", "bioInit|initThreadedIO|InitServerLast") >= 6
    subprocess.run(["redis-cli", "-p", str(port), "shutdown", "nosave"], check=False,
                   capture_output=True, timeout=30)
    assert target.process.wait(20) == 0
    assert target.err == ""


# ------------------------------------------------------------------ python

PYTHON_WORK = """
import queue, sys, threading
queues = [queue.Queue(4), queue.Queue(4)]
lock, condition = threading.Lock(), threading.Condition()
total, turns = 0, 0
def produce(n):
    for i in range(n):
        queues[0].put(i)
    queues[0].put(None)
def work():
    while (item := queues[0].get()) is not None:
        queues[1].put(sum(range(item % 100)))
    queues[0].put(None)
    queues[1].put(None)
def collect(ends):
    global total
    while ends:
        item = queues[1].get()
        if item is None:
            ends -= 1
        else:
            with lock:
                total += item
def play(me, n):
    global turns
    for _ in range(n):
        with condition:
            condition.wait_for(lambda: turns % 2 == me)
            turns += 1
            condition.notify_all()
N = int(sys.argv[1])
for round in range(2):
    threads = [threading.Thread(target=produce, args=(N,)),
               *(threading.Thread(target=work) for _ in range(3)),
               threading.Thread(target=collect, args=(3,)),
               *(threading.Thread(target=play, args=(me, N)) for me in range(2))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    while queues[0].qsize():
        queues[0].get()
print(total, turns, flush=True)
sys.stdin.read()
"""


@pytest.mark.alone  # 14 threads that record all they do need a processor for the collector
def test_python_with_locks_conditions_and_queues(start, one_pprof):
    count = 10000
    target = start([PYTHON, "-c", PYTHON_WORK, str(count)], **CONTENTION)
    with Poller(target):
        line = target.line()
    assert line == f"{2 * sum(sum(range(i % 100)) for i in range(count))} {4 * count}"
    assert_whole(target)
    # Since 3.13 locks wait by semaphores, and what takes and gives back the lock of the interpreter
    # is static: without names in a stripped file.
    unnamed = r"python3\.\d+\+0x[0-9a-f]+"
    assert_named(top(one_pprof, target, "block"), "PyThread_acquire_lock_timed|_PySemaphore_Wait",
                 f"PyEval_RestoreThread|{unnamed}")
    assert_named(top(one_pprof, target, "mutex"),
                 f"PyEval_SaveThread|PyEval_RestoreThread|{unnamed}")
    created = counts(target, "threadcreate")
    assert created.total("threadcreate", "PyThread_start_(new|joinable)_thread") == 14
    assert target.finish() == 0
    assert target.err == ""


# ------------------------------------------------------------------ mariadb


@pytest.fixture
def mariadb(start, tmp_path):
    """A MariaDB with an empty database, and a ring that holds its waits while other programs have
    the processors: what does not fit into one is counted as lost, and has no stack."""
    data, socket = tmp_path / "data", tmp_path / "socket"
    subprocess.run(["mariadb-install-db", "--no-defaults", "--skip-test-db", "--user=root",
                    "--auth-root-authentication-method=normal", f"--datadir={data}"],
                   capture_output=True, timeout=120, check=True)
    target = start(["/usr/sbin/mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
                    f"--socket={socket}", "--skip-networking", "--innodb-log-file-size=8M",
                    "--innodb-buffer-pool-size=32M", f"--log-error={tmp_path / 'log.err'}"],
                   buffer="64M", **CONTENTION)
    target.tool = lambda name, *words: subprocess.run(
        [name, "--no-defaults", "-S", socket, *words], capture_output=True, text=True,
        timeout=120, check=False)
    until("mariadb answers", lambda: target.tool("mariadb-admin", "ping").returncode == 0)
    target.log = tmp_path / "log.err"
    return target


@pytest.mark.alone
def test_mariadb_under_16_clients(mariadb, one_pprof):
    with Poller(mariadb):
        load = mariadb.tool("mariadb-slap", "-a", "--auto-generate-sql-load-type=mixed",
                            "--auto-generate-sql-unique-query-number=10", "--concurrency=16",
                            "--number-of-queries=6000", "--engine=innodb")
    assert load.returncode == 0 and "Number of clients running queries: 16" in load.stdout, load
    sums = mariadb.tool("mariadb", "-N", "-e", "select sum(seq) from seq_1_to_100000", "mysql")
    assert sums.stdout == "5000050000\n", sums
    assert_whole(mariadb)
    connection = ["handle_one_connection", r"do_command\(THD\*, bool\)"]
    assert_named(top(one_pprof, mariadb, "block"), *connection)
    assert_named(top(one_pprof, mariadb, "mutex"), *connection)
    assert counts(mariadb, "threadcreate").total("threadcreate") >= 16
    assert mariadb.tool("mariadb-admin", "shutdown").returncode == 0
    assert mariadb.process.wait(30) == 0
    assert "Shutdown complete" in mariadb.log.read_text()
    assert "pprofagent" not in mariadb.err
