# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody here wrote."""
import os
import shutil
import socket
import subprocess

import pytest

from lib.harness import EXACT, free_port, run_both, until, victim
from lib.profiles import SOME, cpu, heap

PYTHON = "/usr/bin/python3"
SETS = 200000


def redis_cli(port, *words):
    return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True,
                          check=True, timeout=60).stdout


def fill(port, count):
    """SETs by the protocol, quick and without a helper. Key and value (28 and 220 bytes, and 4 of
    redis's own) fill their size classes: used_memory is what the allocator has in use, the profile
    what redis asked for."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        answers = s.makefile("rb")
        for at in range(0, count, 1000):
            s.sendall(b"".join(
                b"*3\r\n$3\r\nSET\r\n$28\r\nkey:%024d\r\n$220\r\n%s\r\n" % (i, b"v" * 220)
                for i in range(at, at + 1000)))
            for _ in range(1000):
                assert answers.readline() == b"+OK\r\n"


@pytest.fixture
def redis(start, tmp_path):
    def begin(**settings):
        redis_port = free_port()
        target = start(["/usr/bin/redis-server", "--port", redis_port, "--save", "", "--dir",
                        tmp_path, "--bind", "127.0.0.1"], **settings)
        until("redis answers", lambda: redis_ping(redis_port))
        target.redis_port = redis_port
        return target
    return begin


def redis_ping(port):
    try:
        return redis_cli(port, "ping") == "PONG\n"
    except subprocess.CalledProcessError:
        return False


def used_memory(port):
    info = redis_cli(port, "info", "memory")
    return int(next(line.split(":")[1] for line in info.splitlines()
                    if line.startswith("used_memory:")))


def test_redis_heap_sums_to_its_used_memory(redis):
    target = redis(heap_rate=16384)
    fill(target.redis_port, SETS)
    used = used_memory(target.redis_port)
    profile = heap(target)
    assert profile.total("inuse_space") == pytest.approx(used, rel=0.10)
    assert profile.complete_share() >= 0.99
    commands = profile.total("inuse_space", "setCommand|setGenericCommand|processCommand|call|"
                             "readQueryFromClient|aeProcessEvents|main")
    assert commands / profile.total("inuse_space") > 0.8


@pytest.mark.alone
def test_redis_under_load_has_whole_cpu_stacks(redis):
    target = redis()
    load = subprocess.Popen(
        ["redis-benchmark", "-p", str(target.redis_port), "-n", "10000000", "-t", "set,get",
         "-q", "-P", "4"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("the load has come", lambda: int(redis_cli(
            target.redis_port, "info", "stats").split("total_commands_processed:")[1].split()[0])
            > 10000)
        profile = cpu(target, 3)
    finally:
        load.kill()
        load.wait()
    assert profile.total("samples") >= SOME
    assert profile.complete_share() >= 0.99
    assert profile.total("samples", "aeProcessEvents|aeMain|main") > 0


def test_redis_saves_in_the_background_and_shuts_down(redis, tmp_path):
    target = redis(heap_rate=65536)
    fill(target.redis_port, 20000)
    assert "started" in redis_cli(target.redis_port, "bgsave")
    until("the child has written", lambda: "rdb_bgsave_in_progress:0" in redis_cli(
        target.redis_port, "info", "persistence"))
    assert "rdb_last_bgsave_status:ok" in redis_cli(target.redis_port, "info", "persistence")
    subprocess.run(["redis-cli", "-p", str(target.redis_port), "shutdown", "nosave"], check=False,
                   capture_output=True, timeout=30)
    assert target.process.wait(20) == 0
    assert (tmp_path / "dump.rdb").stat().st_size > 20000 * 20


PYTHON_WORK = """
import sys
def make(n):
    return [{'key': str(i), 'value': 'x' * 100} for i in range(n)]
kept = make(50000)
print('ready', flush=True)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
import threading
def work():
    while True: fib(18)
threading.Thread(target=work, daemon=True).start()
sys.stdin.read()
"""


def test_python_heap_and_cpu_stacks_are_whole(start):
    target = start([PYTHON, "-c", PYTHON_WORK], heap_rate=4096, X_PYTHONMALLOC="malloc",
                   stack_depth=512)
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space") > 10 << 20
    assert profile.complete_share() >= 0.99
    samples = cpu(target, 2)
    # Instructions of 3.14 may be functions that jump to each other: without names, if stripped.
    assert samples.total("samples", r"_PyEval_EvalFrameDefault.*|python3\.\d+\+0x.*") >= SOME
    assert samples.complete_share() >= 0.99
    assert target.finish() == 0


def test_python_runs_its_own_tests_as_without_the_agent():
    code = ("import json,zlib,hashlib,subprocess,threading,sqlite3\n"
            "print(len(zlib.compress(json.dumps(list(range(9999))).encode())))\n"
            "print(hashlib.sha256(b'x'*10**6).hexdigest())\n"
            "t=[threading.Thread(target=lambda:sorted(range(9999))) for _ in range(8)]\n"
            "[x.start() for x in t];[x.join() for x in t]\n"
            "print(subprocess.check_output(['echo','hi']))\n"
            "print(sqlite3.connect(':memory:').execute('select 6*7').fetchone())")
    bare, agent = run_both([PYTHON, "-c", code])
    assert agent == bare and bare[0] == 0


SQL = b"""create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
insert into t select i, 'row number ' || i from n;
select count(*), sum(length(b)) from t;
create index tb on t(b);
select b from t where b > 'row number 199' order by b limit 3;
"""


def test_sqlite3_gives_the_same_answers():
    bare, agent = run_both(["sqlite3", ":memory:"], SQL, heap_rate=65536)
    assert agent == bare and bare[0] == 0


def test_sqlite3_heap_is_its_page_cache(start):
    target = start(["sqlite3", ":memory:"], heap_rate=4096)
    target.process.stdin.write(SQL)
    target.process.stdin.flush()
    target.expect("200000|3288895")
    profile = heap(target)
    assert profile.total("inuse_space") > 5 << 20
    assert profile.total("inuse_space", "sqlite3_.*|sqlite3.*|main") > 5 << 20
    assert target.finish() == 0


def test_cxx_names_are_demangled_and_keep_their_system_name(start):
    target = start([victim("v_cxx")], **EXACT)
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space", r"app::Holder<long>::fill\(int\)") >= 8 << 20
    texts = profile.proto.string_table
    systems = {texts[f.name]: texts[f.system_name] for f in profile.proto.function}
    assert systems["app::Holder<long>::fill(int)"] == "_ZN3app6HolderIlE4fillEi"


def test_exceptions_of_cxx_have_names_in_a_cpu_profile(start):
    target = start([victim("v_cxx"), "throw", "0"])
    profile = cpu(target, 1)
    assert profile.total("samples", r"app::thrower\(int\)|(int )?app::hot<int>\(int\)")
    assert target.finish() == 0
    assert "caught " in target.out


@pytest.mark.skipif(not os.path.exists(victim("v_rust")), reason="no rustc")
def test_rust_names_are_demangled(start):
    target = start([victim("v_rust")], **EXACT)
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space", r".*store::keep_boxes.*") >= 8 << 20
    names = {profile.text(f.name) for f in profile.proto.function}
    assert not any(n.startswith(("_ZN", "_R")) for n in names), sorted(names)
    samples = cpu(target, 1)
    assert samples.total("samples", r".*burn_in_rust.*") >= SOME
    assert samples.by_label("thread", "samples").get("burner", 0) >= SOME


@pytest.mark.parametrize("argv", [
    ["ls", "-la", "/usr/bin"], ["sort", "/etc/services"], ["gzip", "-c", "/usr/bin/env"],
    ["openssl", "dgst", "-sha256", "/usr/bin/env"], ["gcc", "--version"],
    ["perl", "-e", "print join ',', map { $_ * 2 } 1..100"], ["git", "--version"],
    ["find", "/etc/apt"], ["tar", "cf", "-", "/etc/apt"],
], ids=lambda argv: argv[0])
def test_everyday_programs_give_the_same_output(argv):
    if not shutil.which(argv[0]):
        pytest.skip(f"no {argv[0]} here")
    bare, agent = run_both(argv)
    assert agent == bare


