# SPDX-License-Identifier: Apache-2.0
"""Profiles that are written to files when the program ends."""
import os
import re
import stat
import subprocess

import pytest

from lib.harness import environment, run, victim
from lib.host import open_folder
from lib.profiles import Profile

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
    status, out, err = end(tmp_path, how, heap_rate=1, X_AWAIT_PROFILE=1,
                           **{v: v for v in VARIABLES})
    assert (status, out, err) == (WAYS[how], b"leaving\n", b"")
    assert files_in(tmp_path) == set(VARIABLES)
    heap = read(tmp_path / "heapprofile")
    assert heap.total("inuse_objects", "keep_blocks") == 1000
    assert read(tmp_path / "allocsprofile").default_type == "alloc_space"
    cpu = read(tmp_path / "cpuprofile")
    assert cpu.types == ["samples/count", "cpu/nanoseconds"]
    assert cpu.total("samples", "burn") >= 4  # of 10, fewer what the agent's threads used
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


# ---------------------------------------------------------------- what the name leads to


def leave_heap(tmp_path, name, **kwargs):
    """A program that writes its heap to that name; its output."""
    env = environment(address="off", heap_rate=1, heapprofile=name)
    status, out, err = run([victim("v_ends"), "return", "0"], env, cwd=tmp_path, **kwargs)
    assert (status, err) == (3, b"")
    return out


def has_heap(data):
    return Profile(data).total("inuse_objects", "keep_blocks") == 1000


def test_device_stays_a_device(tmp_path):
    node = tmp_path / "null"
    os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    before = os.stat(node)
    leave_heap(tmp_path, node)
    after = os.stat(node)
    assert stat.S_ISCHR(after.st_mode) and after.st_ino == before.st_ino
    assert files_in(tmp_path) == {"null"}


def test_symbolic_link_is_written_through(tmp_path):
    (tmp_path / "real").write_bytes(b"x" * 100000)
    (tmp_path / "link").symlink_to("real")
    leave_heap(tmp_path, "link")
    assert (tmp_path / "link").is_symlink()
    assert has_heap((tmp_path / "real").read_bytes())
    assert files_in(tmp_path) == {"link", "real"}


def test_symbolic_link_to_nothing_makes_its_target(tmp_path):
    (tmp_path / "link").symlink_to("real")
    leave_heap(tmp_path, "link")
    assert has_heap((tmp_path / "real").read_bytes())


def test_fifo_with_a_reader_gets_the_profile(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    leave_heap(tmp_path, "fifo")
    assert has_heap(os.read(reader, 1 << 20))
    os.close(reader)
    assert files_in(tmp_path) == {"fifo"}


def test_fifo_without_a_reader_holds_up_nothing(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert leave_heap(tmp_path, "fifo") == b"leaving\n"
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)


def test_standard_output_that_is_a_pipe_gets_the_profile(tmp_path):
    out = leave_heap(tmp_path, "/dev/stdout")
    assert out.startswith(b"leaving\n") and has_heap(out[len(b"leaving\n"):])


def test_standard_output_that_is_a_file_keeps_what_the_program_wrote(tmp_path):
    env = environment(address="off", heap_rate=1, heapprofile="/dev/stdout")
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([victim("v_ends"), "return", "0"], env=env, stdout=out, check=False)
    data = (tmp_path / "out").read_bytes()
    assert data.startswith(b"leaving\n") and has_heap(data[len(b"leaving\n"):])


def test_files_are_for_their_owner_alone(tmp_path):
    leave_heap(tmp_path, "heap")
    assert stat.S_IMODE(os.stat(tmp_path / "heap").st_mode) == 0o600


def test_the_start_creates_and_truncates_nothing(tmp_path):
    (tmp_path / "heap").write_bytes(b"precious")
    os.chmod(tmp_path, 0o755)
    status, _, err = end(tmp_path, "kill", heapprofile="heap", cpuprofile="cpu")
    assert (status, err) == (-9, b"")
    assert files_in(tmp_path) == {"heap"}
    assert (tmp_path / "heap").read_bytes() == b"precious"


def test_files_at_names_beside_it_are_left_alone(tmp_path):
    for name in ("heap.pprofagent", "heap.tmp", "heap.XXXXXX"):
        (tmp_path / name).write_bytes(b"of another user")
    os.mkfifo(tmp_path / "heap.fifo")
    leave_heap(tmp_path, "heap")
    for name in ("heap.pprofagent", "heap.tmp", "heap.XXXXXX"):
        assert (tmp_path / name).read_bytes() == b"of another user"
    assert has_heap((tmp_path / "heap").read_bytes())


def test_file_in_a_directory_that_takes_no_new_ones():
    """As an ordinary user, for whom the directory is closed and the file is not."""
    with open_folder() as folder:
        directory = folder / "closed"
        directory.mkdir(mode=0o755)
        (directory / "heap").write_bytes(b"")
        os.chmod(directory / "heap", 0o666)
        env = environment(address="off", heap_rate=1, heapprofile=directory / "heap")
        status, _, err = run([victim("v_ends"), "return", "0"], env, user=65534, group=65534)
        assert (status, err) == (3, b"")
        assert has_heap((directory / "heap").read_bytes())
        assert files_in(directory) == {"heap"}


def test_several_instances_with_one_name_leave_one_whole_file(tmp_path):
    env = environment(address="off", heap_rate=1, heapprofile="heap")
    for _ in range(10):
        running = [subprocess.Popen([victim("v_ends"), "return", "0"], env=env, cwd=tmp_path,
                                    stdout=subprocess.DEVNULL) for _ in range(4)]
        assert [process.wait() for process in running] == [3] * 4
        assert has_heap((tmp_path / "heap").read_bytes())
        assert files_in(tmp_path) == {"heap"}
        (tmp_path / "heap").unlink()


def test_full_disk_leaves_nothing_behind(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], check=True)
    try:
        (disk / "fill").write_bytes(b"x" * 8192)
        assert leave_heap(tmp_path, disk / "heap") == b"leaving\n"
        assert files_in(disk) == {"fill"}
    finally:
        subprocess.run(["umount", disk], check=True)
