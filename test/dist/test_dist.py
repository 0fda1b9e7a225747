# SPDX-License-Identifier: Apache-2.0
"""The archive of `make dist`, unpacked in minimal systems that have nothing else of ours.

`make dist-test` makes these systems (scripts/dist_chroots) and runs this, as root. The programs run
in a chroot and are asked from outside.
"""
import functools
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from conformance import comparison, programs
from lib.chroots import CHROOTS, inside
from lib.harness import BUILD, ROOT, Target, environment, free_port, until
from lib.profiles import contention, cpu, heap

SUITES = os.environ.get("DIST_SUITES", "bullseye bookworm trixie").split()
OLDEST = "bullseye"
AGENT_THERE = "/opt/pprofagent/lib/pprofagent/libpprofagent.so"
PYTHON_WORK = ("import sys,threading\n"
               "kept,end=[],threading.Event()\n"
               "def work():\n"
               "    while not end.is_set():\n"
               "        kept.append(str(sum(range(20000)))*100)\n"
               "        del kept[:-500]\n"
               "ts=[threading.Thread(target=work) for _ in range(2)]\n"
               "[t.start() for t in ts]\n"
               "print('ready',flush=True)\n"
               "sys.stdin.read(); end.set(); [t.join() for t in ts]; print('ok')\n")
# Where a compiler can promise tail calls (python 3.14 with gcc 16), each instruction is a function
# that jumps to the next one: they have no names in a stripped file, and the loop has no frame.
INTERPRETER = r"(?:_PyEval_EvalFrameDefault|python3\.\d+\+0x[0-9a-f]+)"


@pytest.fixture(scope="session")
def archive():
    found = [path for path in BUILD.glob("pprofagent-*.tar.gz") if "-debug" not in path.name]
    assert len(found) == 1, f"{found}: more than one version, or none"
    return found[0]


@pytest.fixture(scope="session", params=SUITES)
def suite(request, archive):
    """The name of a system in which the archive is unpacked as /opt/pprofagent."""
    place = CHROOTS / request.param / "opt"
    shutil.rmtree(place / "pprofagent", ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(place)
    (place / archive.name.removesuffix(".tar.gz")).rename(place / "pprofagent")
    return request.param


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """compiled(source, compiler...): a program; made in the oldest system, it runs in all."""
    kept = tmp_path_factory.mktemp("compiled")

    def compile_there(source, *compiler):
        if not (kept / source.stem).exists():
            there = CHROOTS / OLDEST / "tmp"
            shutil.copy(ROOT / "agent/pprofagent.h", there)
            shutil.copy(source, there)
            subprocess.run(inside(OLDEST, *compiler, "-g", "-pthread", "-I/tmp", "-o",
                                  f"/tmp/{source.stem}", f"/tmp/{source.name}", "-ldl"), check=True)
            shutil.copy(there / source.stem, kept)
        return kept / source.stem

    return compile_there


def start_in(suite, argv, port, settings):
    """A Target under the agent of the archive, in the system."""
    given = environment(port, preload=[AGENT_THERE], **settings)
    words = [f"{name}={value}" for name, value in given.items()
             if name.startswith(("LD_", "PPROFAGENT_"))]
    return Target(inside(suite, *words, *argv), dict(os.environ), port)


@pytest.fixture
def begin(suite):
    """begin(argv...) -> a Target in the system; it must end well by itself."""
    targets = []

    def start(*argv):
        target = start_in(suite, argv, free_port(), {"heap_rate": 4096})
        targets.append(target)
        return target.answers()

    yield start
    for target in targets:
        target.kill()


def check(target, name):
    """Each kind of profile has the function in it."""
    until(f"{name} has memory", lambda: any(one.has(name) for one in heap(target).samples))
    assert any(sample.has(name) for sample in cpu(target).samples)
    dump = target.get("/goroutine?debug=2")
    assert dump.status == 200 and re.search(rf"^{name}\(", dump.text, re.M)
    assert target.get("/mutex?seconds=1").status == 200
    page = target.get("/agent").text
    assert "glibc: " in page
    return page


def test_cxx(begin, suite, compiled):
    shutil.copy(compiled(ROOT / "test/dist/program.cpp", "g++", "-O1"),
                CHROOTS / suite / "tmp/cxx.run")
    target = begin("/tmp/cxx.run")
    target.expect("ready")
    check(target, r"work(\(\))?")
    assert any(one.has(r"keep_memory(\(\))?") for one in contention(target, "mutex", 1).samples)
    status = target.finish()
    assert (status, target.out, target.err) == (0, "ready\nok caught\n", "")


def test_command(begin, suite):
    """All that it needs is in the archive and in the system: run, list, check and a profile."""
    command = "/opt/pprofagent/bin/pprofagent"
    target = begin("python3", "-c", PYTHON_WORK)
    target.expect("ready")
    for words, text in ((["--lib"], "/opt/pprofagent/lib/pprofagent/libpprofagent.so\n"),
                        (["check", "python3"], "It works.\n"),
                        (["run", "--address", "off", "echo", "yes"], "yes\n"),
                        (["help", "run"], "127 there is no CMD.\n")):
        done = subprocess.run(inside(suite, command, *words), capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0 and done.stdout.endswith(text), (words, done)
    until("python has memory", lambda: any(one.has(INTERPRETER) for one in heap(target).samples))
    done = subprocess.run(inside(suite, command, "top", f"http://127.0.0.1:{target.port}", "heap",
                                 "-n", "0"), capture_output=True, text=True, check=True)
    assert "\nType: inuse_space\n" in done.stdout and re.search(INTERPRETER, done.stdout)
    for page in ("man1/pprofagent.1", "man7/libpprofagent.7"):
        assert (CHROOTS / suite / "opt/pprofagent/share/man" / page).is_file()


def test_python(begin):
    target = begin("python3", "-c", PYTHON_WORK)
    target.expect("ready")
    check(target, INTERPRETER)
    status = target.finish()
    assert (status, target.out, target.err) == (0, "ready\nok\n", "")


def test_redis(begin, suite):
    port = free_port()
    target = begin("redis-server", "--port", str(port), "--save", "", "--daemonize", "no")
    load = subprocess.Popen(inside(suite, "redis-benchmark", "-p", str(port), "-q", "-l", "-t",
                                   "set,lpush", "-r", "100000"), stdout=subprocess.DEVNULL)
    try:
        check(target, "main")
    finally:
        load.kill()
        load.wait()
    done = subprocess.run(inside(suite, "redis-cli", "-p", str(port), "shutdown", "nosave"),
                          check=False)
    assert done.returncode == 0
    assert (target.finish(), target.err) == (0, "")


def test_old_names_are_missing_there(begin, suite):
    """What the page says of libc is so: Debian 11 has glibc 2.31, the others all functions."""
    page = begin("python3", "-c", "input()").get("/agent").text
    missing = "strerrordesc_np mallinfo2 _dl_find_object" if suite == "bullseye" else "nothing"
    assert f"missing_in_glibc: {missing}\n" in page


def test_http_is_as_at_home(suite, compiled):
    """All that test/conformance asks: Go's program is outside of the system, the agent's in it."""
    shutil.copy(compiled(programs.HERE / "victim.c", "gcc", *programs.C_FLAGS),
                CHROOTS / suite / "tmp/victim")
    outcome = comparison.run("/tmp/victim", functools.partial(start_in, suite))
    assert len(outcome.of(comparison.EQUAL)) > len(comparison.all_items())
    assert {verdict.key: verdict.differences for verdict in outcome.of(comparison.DIFFERENT)} == {}
    assert outcome.complaints()[0] == {}
