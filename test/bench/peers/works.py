# SPDX-License-Identifier: Apache-2.0
"""The programs that are run under each system."""
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.peers.systems import B, CPU, HEAP, LOCKS

SPIN_THREADS, SPIN_MS = 4, 500
PYTHON = """
kept = {}
for i in range(%d):
    kept[i %% 50000] = [str(i), (i, i + 1), {"a": i}]
"""
SQL = """
create table t(a integer primary key, b text, c real);
insert into t with recursive n(i) as (select 1 union all select i+1 from n where i<%d)
    select i, 'row number '||i, i*1.5 from n;
create index ti on t(b);
select count(*), sum(c) from t where b like '%%7%%';
"""
FUNCTION = """
struct s%(n)d { int a[%(n)d %% 7 + 1]; struct s%(n)d *next; };
int f%(n)d(struct s%(n)d *s, int n)
{
    int sum = 0;
    for (; s; s = s->next)
        for (int i = 0; i < %(n)d %% 7 + 1; i++)
            sum += s->a[i] > n ? s->a[i] * %(n)d : f%(n)d(s->next, i);
    switch (sum %% 5) { case 0: return n; case 1: return sum * n; case 2: return ~sum; }
    return sum;
}
"""


@dataclass(frozen=True)
class Work:
    """command(folder) prepares and returns the words; drive: for servers, what runs beside."""
    name: str
    kind: str
    command: object
    go: tuple = ()       # arguments of the Go program with the same work
    env: tuple = ()
    drive: object = None
    hz: int = 0
    needs: str = ""


def bench(name, *arguments):
    return lambda folder: [str(B / "bench" / name), *map(str, arguments)]


def python(folder):
    script = Path(folder) / "work.py"
    script.write_text(PYTHON % 100000, encoding="ascii")
    return ["/usr/bin/python3", str(script)]


def sqlite(folder):
    script = Path(folder) / "work.sql"
    script.write_text(SQL % 200000, encoding="ascii")
    return ["sqlite3", "-init", str(script), ":memory:", ".quit"]


def compiler(folder):
    """The compiler proper: the driver only starts it."""
    source = Path(folder) / "work.c"
    source.write_text("".join(FUNCTION % {"n": n} for n in range(1, 60)), encoding="ascii")
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True,
                         check=True).stdout.strip()
    return [cc1, "-quiet", "-O2", str(source), "-o", "/dev/null"]


def redis(folder):
    return ["redis-server", "--port", "0", "--unixsocket", f"{folder}/redis", "--save", "",
            "--dir", str(folder)]


def drive_redis(folder):
    client = ["redis-cli", "-s", f"{folder}/redis"]
    subprocess.run(["redis-benchmark", "-s", f"{folder}/redis", "-n", "100000", "-t",
                    "set,get,lpush", "-P", "16", "-q", "-r", "100000"], check=True,
                   capture_output=True)
    subprocess.run([*client, "shutdown", "nosave"], check=False, capture_output=True)


def all_works():
    malloc = (("PYTHONMALLOC", "malloc"),)
    return [
        Work("pairs", HEAP, bench("b_pairs", 2000000), ("pairs", 2000000)),
        Work("pairs, 27 deep", HEAP, bench("b_pairs", 2000000, 1, 24)),
        Work("fifo", HEAP, bench("b_fifo", 2000000), ("fifo", 2000000)),
        Work("replace in 1 M", HEAP, bench("b_replace", 300000), ("replace", 300000)),
        Work("redis", HEAP, redis, drive=drive_redis, needs="redis-server"),
        Work("sqlite", HEAP, sqlite, needs="sqlite3"),
        Work("python", HEAP, python, env=malloc),
        Work("C++ containers", HEAP, bench("b_containers", 60)),
        Work("compiler", HEAP, compiler, needs="gcc"),
        Work("lock pairs", LOCKS, bench("b_mutex", "pairs", 10000000, 2)),
        Work("contention", LOCKS, bench("b_mutex", "contend", 50000, 4)),
        *(Work(f"CPU, {hz} Hz", CPU, bench("b_spin", SPIN_THREADS, SPIN_MS),
               ("spin", SPIN_THREADS, SPIN_MS), hz=hz) for hz in (100, 1000)),
    ]


def is_there(work):
    return not work.needs or shutil.which(work.needs) is not None
