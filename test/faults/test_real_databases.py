# SPDX-License-Identifier: Apache-2.0
"""Real programs: PostgreSQL, MariaDB and redis from their first start to their end."""
import re
import subprocess

from lib.fault_rows import have, row
from lib.harness import request, until
from lib.profiles import Profile
from lib.real_programs import ANY_PORT, Side, agent_port, compare, family, version, zombies
from lib.real_servers import PG, Postgres, Redis


def postgres_life(side):
    server = Postgres(side)
    happened = {"initdb": server.make()}
    with side.swarm(lambda: server.pid, (server.port,)) as swarm:
        happened["start"] = server.start()
        happened["sum"] = server.sql("select sum(i) from generate_series(1, 300000) i")
        happened["fill"] = server.bench("-i", "-s1", "-q")  # it fails, or it does not
        happened["short"] = server.bench("-c", "8", "-j", "2", "-T", "2")[1:]
        happened["many"] = server.bench("-c", "50", "-j", "2", "-t", "4", "-S")
        happened["parallel"] = server.sql(
            "set force_parallel_mode = on; set max_parallel_workers_per_gather = 2; "
            "select sum(aid), count(distinct bid) from pgbench_accounts")
        until("no zombie is left", lambda: not zombies(family(server.pid)))
        happened["stop"] = server.stop()
    happened["log"] = server.log()
    assert not swarm.failures, swarm.failures[:5]
    if swarm.asked:
        side.case.note(f"{swarm.answers} answers of {len(swarm.asked)} processes")
    return happened


@row("F04", "PostgreSQL life", severity=1, naive="never starts")
def test_postgres(case):
    have(PG + "postgres", "psql", "pgbench")
    case.note(version(PG + "postgres", "--version"))
    bare, _ = compare(case, postgres_life, user="postgres", address=ANY_PORT)
    assert bare["sum"] == "45000150000\n" and bare["start"][1] == bare["stop"][1] == 0
    assert bare["many"] == ["actually processed: 200/200", "failed transactions: 0"]


@row("F04b", "the postmaster and its backends have true profiles", severity=3)
def test_postgres_profiles(case):
    have(PG + "postgres", "psql")
    with Side(case, bare=False, user="postgres") as side:
        server = Postgres(side)
        server.make()
        server.start()
        assert request(side.port, "/debug/pprof/cmdline").body.startswith(b"/usr/lib/postgresql")
        stacks = Profile(request(side.port, "/debug/pprof/goroutine").body)
        assert stacks.total("goroutine", "PostmasterMain") == 1, stacks.samples
        busy = subprocess.Popen(
            ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-Atc",
             "select count(*) from generate_series(1, 30000) a, generate_series(1, 30000) b "
             "where sqrt(a) > b", "-U", "postgres", "postgres"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        try:
            backend = until("a backend runs", lambda: server.sql(
                "select pid from pg_stat_activity where query like '%sqrt%' "
                "and pid <> pg_backend_pid()").strip())
            port = until("its agent serves", lambda: agent_port(int(backend), (server.port,)))
            profile = Profile(request(port, "/debug/pprof/profile?seconds=2").body)
            share = profile.total("samples", "PostgresMain") / profile.total("samples")
            case.note(f"{profile.total('samples')} samples of a backend, {share:.0%} PostgresMain")
            assert profile.total("samples") > 20 and share > 0.9, profile.samples[:5]
            assert profile.total("samples", "(standard_)?ExecutorRun") > 10
            heap = Profile(request(port, "/debug/pprof/heap").body)
            assert case.mode == "idle" or heap.total("alloc_space", "PostgresMain") > 10000
        finally:
            server.sql("select pg_cancel_backend(pid) from pg_stat_activity "
                       "where query like '%sqrt%' and pid <> pg_backend_pid()")
            busy.communicate(timeout=60)
        assert server.stop()[1] == 0


# ------------------------------------------------------------------ MariaDB


def mariadb_life(side):
    data, socket, log = (side.folder / name for name in ("data", "socket", "log.err"))
    # A shell that has no agent starts two programs at a time: each takes itself for the first.
    happened = {"make": side.done([
        "mariadb-install-db", "--no-defaults", "--skip-test-db", "--user=root",
        "--auth-root-authentication-method=normal", f"--datadir={data}"],
        env={"PPROFAGENT_ADDRESS": ANY_PORT})}
    target = side.start(["/usr/sbin/mariadbd", "--no-defaults", "--user=root",
                         f"--datadir={data}", f"--socket={socket}", "--skip-networking",
                         "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M",
                         f"--log-error={log}"])

    def tool(name, *words):
        return side.done([name, "--no-defaults", "-S", socket, *words], agent=False)

    with side.fire(target) as poller:
        until("MariaDB answers", lambda: tool("mariadb-admin", "ping")[0] == 0)
        load = tool("mariadb-slap", "-a", "--auto-generate-sql-load-type=mixed",
                    "--auto-generate-sql-unique-query-number=10", "--concurrency=16",
                    "--number-of-queries=3000", "--engine=innodb")
        happened["load"] = (load[0], re.sub(r"[\d.]+ seconds", "", load[1]), load[2])
        happened["sum"] = tool("mariadb", "-N", "-e", "select sum(seq) from seq_1_to_100000; "
                               "select benchmark(1000, sha2('x', 256))", "mysql")
        happened["stop"] = tool("mariadb-admin", "shutdown")
        happened["rc"] = target.process.wait(60)
    assert not poller.failures, poller.failures[:5]
    text = log.read_text()
    happened["errors"] = re.findall(r"\[(?:ERROR|Warning)\] (.*)", text)
    happened["end"] = "Shutdown complete" in text, "pprofagent" in text
    happened["printed"] = target.out, re.sub(r"(?m)^\S+ \S+ ", "", target.err)
    return happened


@row("R01", "MariaDB life", severity=1)
def test_mariadb(case):
    have("mariadbd", "mariadb-install-db", "mariadb-slap")
    case.note(version("mariadbd", "--version"))
    bare, _ = compare(case, mariadb_life)
    assert bare["rc"] == 0 and bare["sum"][1] == "5000050000\n0\n" and bare["end"] == (True, False)


# ------------------------------------------------------------------ redis


def redis_life(side):
    redis = Redis(side)
    with side.fire(redis.target) as poller:
        redis.load(50000)
        happened = {"fill": redis.cli("debug", "populate", "100000")}
        happened["save"] = redis.cli("bgsave")
        until("the child has written", lambda: "rdb_bgsave_in_progress:0" in redis.cli(
            "info", "persistence")[1])
        happened["saved"] = re.findall(r"rdb_last_bgsave_status:\w+",
                                       redis.cli("info", "persistence")[1])
        happened["file"] = (side.folder / "dump.rdb").stat().st_size > 1000000
        until("no zombie is left", lambda: not zombies(family(redis.target.pid)))
        redis.cli("shutdown", "nosave")
        happened["rc"] = redis.target.finish(30)
    assert not poller.failures, poller.failures[:5]
    happened["log"] = re.sub(r"(?m)^\d+:\w \d+ \w+ \d+ \S+ |\d+ MB|\d+\.\d+ seconds|\d+", "",
                             redis.target.out)
    happened["err"] = redis.target.err
    return happened


@row("F10", "redis under load, BGSAVE, shutdown", severity=1)
def test_redis(case):
    have("redis-server", "redis-benchmark")
    case.note(version("redis-server", "--version")[:26])
    bare, _ = compare(case, redis_life)
    assert bare["saved"] == ["rdb_last_bgsave_status:ok"] and bare["rc"] == 0 and bare["file"]


@row("F10b", "redis has four fifths of its bare rate", severity=2, modes=("idle", "full"))
def test_redis_rate(case):
    """Processor time a request: of a machine that is busy, the rate says little. Both servers are
    there all the time and loaded in turn."""
    have("redis-server", "redis-benchmark")
    with Side(case, bare=True) as one, Side(case, bare=False) as other:
        servers = Redis(one), Redis(other)
        runs = [[server.load(20000) for server in servers] for _ in range(5)]
    rate, spent = (sorted(pair[1][i] / pair[0][i] for pair in runs)[2] for i in (0, 1))
    case.note(f"median rate {rate:.2f} of bare, cpu a request {spent:.2f} of bare")
    assert case.mode != "idle" or spent <= 1.25
