# SPDX-License-Identifier: Apache-2.0
"""Real programs that die, and those that look after them."""
import os
import re
import signal

from lib.fault_rows import have, row
from lib.harness import until
from lib.real_programs import ANY_PORT, compare, family, gone, version
from lib.real_servers import PG, Nginx, Postgres, Redis


def postgres_crash(side):
    server = Postgres(side)
    server.make()
    with side.swarm(lambda: server.pid, (server.port,)) as swarm:
        happened = {"start": server.start()}
        server.sql("create table t as select i from generate_series(1, 50000) i")
        os.kill(server.pid, signal.SIGHUP)
        happened["program"] = server.sql(
            "create table p (l text); copy p from program 'echo one; echo two'; "
            "select count(*) from p")
        died = []
        for number in (signal.SIGKILL, signal.SIGSEGV):
            victim = next(pid for pid in family(server.pid) if b"checkpointer" in open(
                f"/proc/{pid}/cmdline", "rb").read())
            os.kill(victim, number)
            gone(victim, "the checkpointer")
            until("recovery is over", lambda: side.done(
                ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-c", "select 1", "postgres"],
                agent=False)[0] == 0)
            died.append(server.sql("select count(*), sum(i) from t"))
        happened["after"] = died
        happened["stop"] = server.stop("immediate")
    assert not swarm.failures, swarm.failures[:5]
    happened["ends"] = re.findall(r"checkpointer process .* was terminated by signal \d+",
                                  re.sub(r"\(PID \d+\)", "", (side.folder / "log").read_text()))
    return happened


@row("F04c", "PostgreSQL recovers when a process of it is killed", severity=1)
def test_postgres_crash(case):
    have(PG + "postgres", "psql")
    bare, _ = compare(case, postgres_crash, user="postgres", address=ANY_PORT)
    assert bare["after"] == ["50000|1250025000\n"] * 2 and len(bare["ends"]) == 2


def redis_crash(side):
    """Up to the memory test at the end of its report: that writes patterns over all memory, with
    no thread but its own in mind. The agent's threads may end the process in there; it is about to
    end by the same signal."""
    redis = Redis(side)
    with side.fire(redis.target):
        redis.load(5000)
        redis.cli("debug", "segfault")
        happened = {"rc": redis.target.finish(60)}
    report = redis.target.out + redis.target.err
    happened["report"] = [word in report for word in (
        "REDIS BUG REPORT START", "crashed by signal: 11", "STACK TRACE", "CLIENT LIST OUTPUT",
        "FAST MEMORY TEST")]
    side.case.note("whole report" if "REPORT END" in report else "cut in its memory test")
    return happened


@row("R30", "redis reports its own crash", severity=2)
def test_redis_crash(case):
    have("redis-server", "redis-benchmark")
    case.note(version("redis-server", "--version")[:26])
    bare, _ = compare(case, redis_crash)
    assert bare["rc"] < 0 and all(bare["report"])


def nginx_crash(side):
    server = Nginx(side)
    with side.swarm(lambda: server.pid, (server.port,)) as swarm:
        happened = {"start": server.start()}
        for number in (signal.SIGKILL, signal.SIGSEGV):
            victim = server.workers()[0]
            os.kill(victim, number)
            until("its place is taken", lambda: victim not in server.workers()
                  and len(server.workers()) == 2)
        happened["pages"] = server.ask(200, keep=True)
        members = family(server.pid)
        happened["stop"] = server.signal("stop")
        for pid in members:
            gone(pid, "nginx")
    assert not swarm.failures, swarm.failures[:5]
    happened["log"] = re.findall(r"exited on signal \d+",
                                 (side.folder / "error.log").read_text())
    return happened


@row("F09c", "nginx starts a worker for one that was killed", severity=1)
def test_nginx_crash(case):
    have("nginx")
    bare, _ = compare(case, nginx_crash, address=ANY_PORT)
    assert bare["log"] == ["exited on signal 9", "exited on signal 11"] and bare["pages"] == 200
