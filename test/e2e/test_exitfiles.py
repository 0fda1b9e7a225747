"""Profiles that are written to files when the program ends."""
import re

import pytest

from harness import environment, run, victim
from profiles import Profile

VARIABLES = ("cpuprofile", "heapprofile", "allocsprofile", "blockprofile", "mutexprofile")
# How it ends, and the status.
WAYS = {"return": 3, "exit": 3, "quick": 3, "_exit": 3, "_Exit": 3, "thread": 0, "signal": 3,
        "other": 3}


def end(tmp_path, how, ms=100, **settings):
    """In tmp_path, with no port; (status, stdout, stderr)."""
    env = environment(address="off", **settings)
    return run([victim("v_ends"), how, str(ms)], env, cwd=tmp_path)


def files_in(path):
    return {p.name for p in path.iterdir()}


def read(path):
    return Profile(path.read_bytes())


@pytest.mark.parametrize("how", WAYS)
def test_every_way_out_leaves_all_files(tmp_path, how):
    status, out, err = end(tmp_path, how, heap_rate=1, **{v: v for v in VARIABLES})
    assert (status, out, err) == (WAYS[how], b"leaving\n", b"")
    assert files_in(tmp_path) == set(VARIABLES)
    heap = read(tmp_path / "heapprofile")
    assert heap.total("inuse_objects", "keep_blocks") == 1000
    assert read(tmp_path / "allocsprofile").default_type == "alloc_space"
    cpu = read(tmp_path / "cpuprofile")
    assert cpu.types == ["samples/count", "cpu/nanoseconds"]
    assert cpu.total("samples", "burn") >= 4  # of 10, fewer what passed before it began
    # Their rates are 1 when nothing else is said.
    assert read(tmp_path / "mutexprofile").total("delay", "hold_lock") > 40e6
    assert read(tmp_path / "blockprofile").total("delay", "wait_for_lock") > 40e6


def test_program_that_is_soon_over_leaves_its_files(tmp_path):
    status, out, err = end(tmp_path, "exit", 0, heap_rate=1, heapprofile="heap")
    assert (status, out, err) == (3, b"leaving\n", b"")
    assert read(tmp_path / "heap").total("inuse_objects", "keep_blocks") == 1000


def test_killed_program_leaves_none(tmp_path):
    status, _, _ = end(tmp_path, "kill", heapprofile="heap")
    assert status == -9
    assert files_in(tmp_path) == set()


def test_names_have_pid_program_and_start(tmp_path):
    status, _, _ = end(tmp_path, "return", heapprofile="%e-%p-%t-%%-%x")
    assert status == 3
    name, = files_in(tmp_path)
    assert re.fullmatch(r"v_ends-\d+-\d{10}-%-%x", name)


@pytest.mark.parametrize("how", ["fork", "child", "vfork"])
def test_child_does_not_write_over_its_parents_file(tmp_path, how):
    status, out, err = end(tmp_path, how, heap_rate=1, heapprofile="heap")
    assert (status, out, err) == (3, b"leaving\nchild 4\n", b"")
    assert files_in(tmp_path) == {"heap"}
    assert read(tmp_path / "heap").total("inuse_objects", "keep_blocks") == 1000


def test_child_writes_a_file_of_its_own(tmp_path):
    status, out, err = end(tmp_path, "fork", heap_rate=1, heapprofile="heap.%p")
    assert (status, out, err) == (3, b"leaving\nchild 4\n", b"")
    assert len(files_in(tmp_path)) == 2
    for file in tmp_path.iterdir():
        assert read(file).total("inuse_objects", "keep_blocks") == 1000


@pytest.mark.parametrize("variable, title", [
    ("cpuprofile", "CPU"), ("heapprofile", "memory"), ("allocsprofile", "allocs"),
    ("blockprofile", "block"), ("mutexprofile", "mutex")])
def test_bad_path_gets_its_line_and_the_program_runs_on(tmp_path, variable, title):
    status, out, err = end(tmp_path, "return", 0, **{variable: "/no/such"})
    assert (status, out) == (3, b"leaving\n")
    assert err.decode() == (f"pprofagent: could not create {title} profile: open /no/such: "
                            "No such file or directory\n")


def test_old_file_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "heap").write_bytes(b"x" * 1000000)
    assert end(tmp_path, "return", heapprofile="heap")[0] == 3
    read(tmp_path / "heap")
    assert files_in(tmp_path) == {"heap"}


def test_cpu_profile_over_http_is_in_use_meanwhile(tmp_path, start):
    target = start([victim("v_spin")], cwd=tmp_path, cpuprofile=tmp_path / "cpu")
    answer = target.get("/profile?seconds=1")
    assert answer.status == 500
    assert answer.text == ("Could not enable CPU profiling: cpu profiling already in use\n")
    target.process.terminate()
