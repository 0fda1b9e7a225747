# SPDX-License-Identifier: Apache-2.0
"""An allocator inside the program: its heap is right where its hooks are used, and the profile,
the index and the agent page say so where it is not seen."""
import json
import re
import subprocess
from pathlib import Path

import pytest

from lib.harness import AGENT, CONTENTION, EXACT, Later, environment, free_port, run, until, victim
from lib.profiles import Profile, heap

LIB = "/usr/lib/x86_64-linux-gnu/"
HOOKED = ("jemalloc", "tcmalloc")
KEEPERS = ("keep_malloc", "keep_calloc", "keep_aligned", "keep_memalign", "keep_posix",
           "keep_realloc", "keep_shrunk")
ON = {"allocator_hooks": "on"}


def allocators(target):
    return json.loads(target.get("/agent?format=json").text)["allocators"]


def begins(target, later):
    """Waits until a profile of some seconds has its first half, and checks that it goes on."""
    def kept():
        return json.loads(target.get("/agent?format=json").text)["kept_for_clients"]
    until("its first half is taken", lambda: kept()["waiting_bytes"])
    assert later.running()


def notes(target):
    """The same sentence everywhere."""
    texts = [line.removeprefix("Note: ") for line in target.get("/debug/pprof/").text.splitlines()
             if line.startswith("Note: ")]
    for path in ("/heap", "/allocs"):
        said = [c for c in heap(target, path).comments if not c.startswith("dropped")]
        assert said == texts
        for text in texts:
            assert f"# {text}\n" in target.get(path + "?debug=1").text
    return texts


def inner(start, allocator, **settings):
    target = start([victim(f"v_inner_{allocator}")], **settings)
    target.expect("ready")
    return target


def hooked(start, allocator, **settings):
    """One whose hooks are in from its start on."""
    target = inner(start, allocator, **ON, **settings)
    until("the hooks are in", lambda: "heap is seen since" in
          allocators(target)[victim(f"v_inner_{allocator}")])
    return target


# gperftools reports what it rounds an aligned size up to.
SIZES = {"keep_aligned": 10_048, "keep_memalign": 10_240, "keep_posix": 10_112}


def check_kept(profile, blocks, allocator):
    sizes = SIZES if allocator == "tcmalloc" else {}
    for keeper in KEEPERS:
        size = sizes.get(keeper, 10_000)
        assert profile.total("inuse_space", keeper) == blocks * size, keeper
        assert profile.total("inuse_objects", keeper) == blocks, keeper


@pytest.mark.parametrize("allocator", HOOKED)
def test_every_function_of_the_allocator_is_in_the_profile(start, allocator):
    target = hooked(start, allocator, **EXACT)
    target.ask("keep 50", "kept")
    target.ask("churn 300", "churned")
    profile = heap(target)
    check_kept(profile, 50, allocator)
    assert profile.total("alloc_space", "keep_realloc") == 50 * 10_016
    assert profile.total("alloc_space", "keep_shrunk") == 50 * 20_100
    assert profile.total("alloc_objects", "churn") == 300
    assert profile.total("inuse_objects", "churn") == 0
    assert profile.complete_share() == 1.0
    target.ask("drop", "dropped")
    for keeper in KEEPERS:
        assert heap(target).total("inuse_objects", keeper) == 0
    assert target.finish() == 0 and target.err == ""


@pytest.mark.parametrize("allocator", HOOKED)
def test_frames_of_the_hook_and_of_the_allocator_are_cut(start, allocator):
    target = hooked(start, allocator, **EXACT)
    target.ask("keep 5", "kept")
    for sample in heap(target).samples:
        if any(name in KEEPERS for name in sample.names):
            assert sample.names[0] in KEEPERS, sample.names


@pytest.mark.parametrize("allocator", HOOKED)
def test_sampled_heap_is_within_its_error(start, allocator):
    """64 MiB at a mean of 16 KiB are 4,000 samples: a standard deviation of 1.6 %."""
    target = hooked(start, allocator, heap_rate=16384)
    target.ask("small 64000", "kept")
    assert heap(target).total("inuse_space", "keep_small") == pytest.approx(64e6, rel=0.08)


@pytest.mark.parametrize("allocator", HOOKED)
def test_threads_of_it_are_in_the_profile(start, allocator):
    target = hooked(start, allocator, **EXACT)
    for _ in range(5):
        target.ask("threads 40", "joined")
    profile = heap(target)
    assert profile.total("inuse_objects", "keep_in_thread") == 5 * 40 * 10
    assert profile.total("alloc_objects", "churn") == 5 * 40 * 100
    assert profile.total("inuse_objects", "churn") == 0


@pytest.mark.parametrize("allocator", HOOKED)
def test_profile_of_some_seconds_uses_the_hooks_meanwhile(start, allocator):
    target = inner(start, allocator, **EXACT)
    target.ask("keep 3", "kept")
    assert heap(target).total("alloc_objects", "keep_malloc") == 0
    path = victim(f"v_inner_{allocator}")
    assert "only in profiles with seconds=N" in allocators(target)[path]
    later = Later(target, "/heap?seconds=3")
    begins(target, later)
    assert "heap is seen since" in allocators(target)[path]
    target.ask("keep 20", "kept")
    target.ask("churn 30", "churned")
    assert later.running()
    profile = Profile(later.answer().body)
    check_kept(profile, 20, allocator)
    assert profile.total("alloc_objects", "churn") == 30
    assert any("heap is seen since" in c for c in profile.comments)
    until("the hooks are out", lambda: "only in profiles" in allocators(target)[path])
    # Frees are not seen any more: nothing must stay in use for ever.
    assert heap(target).total("inuse_objects") == heap(target).total("inuse_objects", "_IO_.*")
    target.ask("drop", "dropped")
    target.ask("keep 1", "kept")
    assert heap(target).total("alloc_objects", "keep_malloc") == 20
    assert target.finish() == 0 and target.err == ""


@pytest.mark.parametrize("allocator", HOOKED)
def test_threads_that_end_after_a_change_of_the_hooks(start, allocator):
    """jemalloc keeps threads in its list that did not call it after the change: the next threads,
    at the same places, crash."""
    target = inner(start, allocator, **EXACT)
    path = victim(f"v_inner_{allocator}")
    for _ in range(3):
        target.ask("rest 60", "resting")
        target.get("/heap?seconds=1")
        until("the hooks are out", lambda: "only in profiles" in allocators(target)[path])
        target.ask("leave", "left")
        target.ask("threads 100", "joined")
    assert target.finish() == 0 and target.err == ""


@pytest.mark.parametrize("allocator", HOOKED)
def test_profiles_that_overlap_keep_the_hooks_until_the_last_has_ended(start, allocator):
    target = inner(start, allocator, **EXACT)
    path = victim(f"v_inner_{allocator}")
    first = Later(target, "/heap?seconds=2")
    second = Later(target, "/allocs?seconds=4")
    first.answer()
    begins(target, second)
    target.ask("keep 7", "kept")
    assert second.running()
    check_kept(Profile(second.answer().body), 7, allocator)
    until("the hooks are out", lambda: "only in profiles" in allocators(target)[path])


def test_what_was_allocated_before_is_said(start):
    target = inner(start, "jemalloc", **EXACT)
    target.ask("keep 100", "kept")
    later = Later(target, "/heap?seconds=2")
    comment, = [c for c in Profile(later.answer().body).comments if "seen since" in c]
    before = int(comment.split("; ")[1].split()[0])
    assert 7_000_000 <= before < 12_000_000, comment


@pytest.mark.parametrize("allocator", HOOKED)
def test_forked_child_goes_on_with_the_hooks(start, allocator):
    target = hooked(start, allocator, **EXACT)
    target.ask("keep 2", "kept")
    for _ in range(5):
        assert target.ask("fork", "child") == "child 0"
    check_kept(heap(target), 2, allocator)
    assert target.finish() == 0 and target.err == ""


@pytest.mark.parametrize("allocator", HOOKED)
@pytest.mark.parametrize("settings", [{}, ON], ids=["seconds", "on"])
@pytest.mark.parametrize("argv, word", [
    (["v_errno", "3"], b"errno changed"), (["v_threads", "500"], b"threads 500"),
    (["v_smallstack", "10"], b"smallstack"), (["v_fork", "storm", "50"], b"storm 50 wrong 0"),
    (["v_exit", "busy"], b"leaving"),
], ids=lambda x: x[0] if isinstance(x, list) else "")
def test_programs_run_with_its_hooks(allocator, settings, argv, word):
    program = [victim(f"{argv[0]}_{allocator}"), *argv[1:]]
    bare = run(program, environment(preload=()))
    agent = run(program, environment(free_port(), heap_rate=4096, **settings))
    assert agent[0] == bare[0] and agent[2] == bare[2]
    assert word in agent[1]


@pytest.mark.parametrize("settings", [{}, CONTENTION], ids=["default", "all"])
def test_malloc_of_libc_is_not_used_where_the_program_has_its_own(start, settings):
    """Two allocators move the end of the heap by sbrk(2), which has no lock."""
    bare = run([victim("v_own_malloc")], environment(preload=()))
    assert bare == (0, b"ready\nlibc's heap 0\n", b"")
    target = start([victim("v_own_malloc")], **settings)
    for path in ("/debug/pprof/", "/heap", "/heap?debug=1", "/goroutine?debug=2", "/block",
                 "/agent", "/symbol", "/profile?seconds=1", "/trace?seconds=1", "/processes",
                 "/ui"):
        assert target.get(path).status == 200
    assert (target.finish(), target.out.encode(), target.err.encode()) == bare


# ---- what is not seen is said ----

@pytest.mark.parametrize("allocator", HOOKED)
def test_setting_off_leaves_the_allocator_alone(start, allocator):
    target = inner(start, allocator, allocator_hooks="off", **EXACT)
    later = Later(target, "/heap?seconds=1")
    target.ask("keep 3", "kept")
    assert Profile(later.answer().body).total("alloc_objects", "keep_malloc") == 0
    note, = notes(target)
    assert note.startswith("this program allocates with ") and "its heap is not seen" in note
    assert "PPROFAGENT_ALLOCATOR_HOOKS=off" in note


def test_allocator_without_hooks_is_named_everywhere(start):
    target = start([victim("v_bump")], **EXACT)
    target.expect("ready")
    note, = notes(target)
    assert note == ("this program allocates with mimalloc, linked statically: its heap is not "
                    "seen; build without it, or use its own statistics (MIMALLOC_SHOW_STATS=1)")
    assert allocators(target) == {victim("v_bump"): note}


# Debian 12 has 5.3.0 and 2.10.
JEMALLOC, GPERFTOOLS = r"jemalloc 5\.\d+\.\d+", r"tcmalloc \(gperftools\) 2\.\d+(\.\d+)?"
MIMALLOC = max(Path(LIB).glob("libmimalloc.so.[0-9]"), default=Path("libmimalloc.so.2")).name


@pytest.mark.parametrize("allocator, name", [("jemalloc", JEMALLOC), ("tcmalloc", GPERFTOOLS)])
def test_stripped_program_is_named_by_its_texts(start, tmp_path, allocator, name):
    program = tmp_path / "stripped"
    subprocess.run(["strip", "-o", program, victim(f"v_inner_{allocator}")], check=True)
    target = start([program], **EXACT)
    target.expect("ready")
    note, = notes(target)
    assert re.match(f"this program allocates with {name}, linked statically: its heap is ", note)


@pytest.mark.parametrize("library, name", [
    ("libjemalloc.so.2", JEMALLOC), ("libtcmalloc_minimal.so.4", GPERFTOOLS),
    (MIMALLOC, "mimalloc"),
])
def test_library_after_the_agent_is_seen_and_needs_no_note(start, library, name):
    target = start([victim("v_blocks"), "1"], preload=(AGENT, LIB + library), **EXACT)
    target.expect("ready")
    assert notes(target) == []
    seen, = [text for path, text in allocators(target).items() if library in path]
    assert re.fullmatch(f"{name}: malloc and free are seen", seen)


@pytest.mark.parametrize("library", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_operator_new_of_a_library_is_not_seen_and_said(start, library):
    """It does not call malloc by its symbol."""
    target = start([victim("v_cxx")], preload=(AGENT, LIB + library), **EXACT)
    target.expect("ready")
    note, = notes(target)
    assert note.startswith("operator new of this program is that of ")


def test_library_before_the_agent_is_not_seen_and_said(start):
    target = start([victim("v_blocks"), "1"], preload=(LIB + "libjemalloc.so.2", AGENT))
    target.expect("ready")
    note, = notes(target)
    assert "libjemalloc.so.2" in note and "not seen" in note and "after the agent" in note


def test_redis_is_seen_and_has_no_note(start):
    target = start(["/usr/bin/redis-server", "--port", free_port(), "--save", "", "--bind",
                    "127.0.0.1"], **EXACT)
    assert notes(target) == []
    seen, = [text for path, text in allocators(target).items() if "libjemalloc" in path]
    assert re.fullmatch(f"{JEMALLOC}: malloc and free are seen", seen)


def test_program_without_such_an_allocator_has_no_note(start):
    target = start([victim("v_blocks"), "1"])
    target.expect("ready")
    assert notes(target) == [] and allocators(target) == {}


LOADER = f"""import ctypes, sys
print("ready", flush=True)
sys.stdin.readline()
ctypes.CDLL("{MIMALLOC}")
print("loaded", flush=True)
sys.stdin.read()"""


def test_library_that_is_loaded_later_is_found(start):
    target = start(["/usr/bin/python3", "-c", LOADER])
    target.expect("ready")
    assert notes(target) == []
    target.ask("go", "loaded")
    note, = until("it is found", lambda: notes(target))
    assert re.match(r"libmimalloc\.so\.[\d.]+ allocates with mimalloc: its heap is not seen", note)
