# SPDX-License-Identifier: Apache-2.0
"""pprofagent.h: what a program may ask of the agent, from C++."""
import errno
from pathlib import Path

import pytest

from lib.harness import Target, environment, victim
from lib.profiles import Profile

BUILT_IN = "list allocs block goroutine heap mutex threadcreate"


@pytest.fixture
def program(start, tmp_path):
    return start([victim("v_api")], cwd=tmp_path, heap_rate=1)


def result(target, line):
    return int(target.ask(line, line.split()[0]).split()[1])


def test_program_without_the_agent_is_told_so(tmp_path):
    target = Target([victim("v_api")], environment(preload=()), cwd=tmp_path)
    try:
        assert target.ask("list", "list") == "list"
        for line in ("heap x", "write heap 0 x", "start x", "stop", "block 1", "mutex 1"):
            assert result(target, line) == -errno.ENOSYS, line
        assert result(target, "count heap") == 0
        assert result(target, "errno") == 0
        assert target.finish() == 0
    finally:
        target.kill()


def test_inert_agent_is_as_none(tmp_path):
    target = Target([victim("v_api")], environment(enabled="false"), cwd=tmp_path)
    try:
        assert target.ask("list", "list") == "list"
        assert result(target, "heap x") == -errno.ENOSYS
        assert result(target, "stop") == -errno.ENOSYS
    finally:
        target.kill()


def test_profiles_are_listed_by_name(program):
    assert program.ask("list", "list") == BUILT_IN
    assert result(program, "count goroutine") == 1
    assert result(program, "count nosuch") == 0


def test_profiles_are_written_to_descriptors(program, tmp_path):
    assert result(program, "heap heap.pb") == 0
    assert Profile((tmp_path / "heap.pb").read_bytes()).total("inuse_space") > 0
    for name in BUILT_IN.split()[1:]:
        assert result(program, f"write {name} 0 {name}.pb") == 0
        Profile((tmp_path / f"{name}.pb").read_bytes())
        assert result(program, f"write {name} 1 {name}.txt") == 0
        text = (tmp_path / f"{name}.txt").read_text()
        assert text.startswith(("heap profile:", "--- ", f"{name} profile: total ")), text[:50]
    assert result(program, "write goroutine 2 dump") == 0
    assert (tmp_path / "dump").read_text().startswith(f"goroutine {program.pid} [")
    assert result(program, "write nosuch 0 none") == -errno.EINVAL
    assert result(program, "closed") == -errno.EBADF
    assert result(program, "errno") == 0


def test_works_before_the_core_is_open(tmp_path):
    """And where nothing is served."""
    target = Target([victim("v_api")], environment(address="off", heap_rate=1), cwd=tmp_path)
    try:
        assert result(target, "heap heap.pb") == 0
        assert Profile((tmp_path / "heap.pb").read_bytes()).samples
        assert result(target, "heap again.pb") == 0
        assert target.finish() == 0
    finally:
        target.kill()


def cpu_ticks(pid):
    """CPU time that a process has used, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_cpu_profile_is_written_when_it_is_stopped(program, tmp_path):
    assert result(program, "start cpu.pb") == 0
    assert result(program, "start other.pb") == -errno.EBUSY
    assert program.get("/profile?seconds=1").status == 500
    before = cpu_ticks(program.pid)
    while cpu_ticks(program.pid) < before + 30:  # on a busy machine it takes more than one
        program.ask("burn 300", "burn")
    assert (tmp_path / "cpu.pb").stat().st_size == 0
    assert result(program, "stop") == 0
    profile = Profile((tmp_path / "cpu.pb").read_bytes())
    assert profile.total("samples", "burn") >= 15
    assert (tmp_path / "other.pb").stat().st_size == 0
    assert result(program, "stop") == 0  # none is running
    assert result(program, "start cpu.pb") == 0
    assert result(program, "stop") == 0


def test_rates_are_the_programs_to_set(program, tmp_path):
    assert result(program, "mutex -1") == 0
    program.ask("contend", "contend")
    assert result(program, "count block") == 0
    assert result(program, "block 1") == 0
    assert result(program, "mutex 1") == 0
    assert result(program, "mutex -1") == 1
    program.ask("contend", "contend")
    assert result(program, "write mutex 0 mutex.pb") == 0
    assert Profile((tmp_path / "mutex.pb").read_bytes()).total("delay", "contend") > 15e6
    assert result(program, "count block") > 0
    assert result(program, "block 0") == 0
    assert result(program, "mutex 0") == 1
    before = program.get("/block?debug=1").text
    program.ask("contend", "contend")
    assert program.get("/block?debug=1").text == before
