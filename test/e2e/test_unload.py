# SPDX-License-Identifier: Apache-2.0
"""Libraries that are unloaded before a profile is asked for, and whose file is gone by then: names
and lines are those of the code that ran."""
import os
import re
from pathlib import Path

import pytest

from lib.compiled import compiled
from lib.harness import EXACT, status_of, until, victim
from lib.host import open_folder
from lib.profiles import SOME, Profile, heap

# The numbers of the lines are in KEEP and BURN.
SOURCE = """\
#include <stdlib.h>
#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)
static void *volatile kept[64];
static volatile unsigned long work;
static __attribute__((noinline)) void NAME(PREFIX, _keep)(int i)
{
	kept[i] = malloc(65536);
}
void plugin_keep(void)
{
	for (int i = 0; i < 64; i++)
		NAME(PREFIX, _keep)(i);
	work++;
}
static inline __attribute__((always_inline)) void NAME(PREFIX, _inlined)(void)
{
	for (int i = 0; i < 1000000; i++) work += 1;
}
static __attribute__((noinline)) void NAME(PREFIX, _burn)(void)
{
	NAME(PREFIX, _inlined)();
	work++;
}
void plugin_burn(void)
{
	NAME(PREFIX, _burn)();
	work++;
}
void plugin_touch(void)
{
	NAME(PREFIX, _keep)(0);
	free(kept[0]);
}
"""
KEEP = [("_keep", 8), ("plugin_keep", 13)]
BURN = [("_inlined", 18), ("_burn", 22), ("plugin_burn", 27)]
BYTES = 64 * 65536
NOBODY = 65534
LIBRARY = re.compile(r"first\.so|other\.so|memfd:plugin")


def become_nobody():
    """root could also read files that are gone through /proc/self/map_files."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@pytest.fixture(name="folder")
def make_folder():
    with open_folder() as path:
        yield path


@pytest.fixture(name="unloading")
def make_unloading(start, folder):
    """unloading(**settings) -> the victim, with a library and another build of it."""
    def begin(**settings):
        for prefix in ("first", "other"):
            os.chmod(compiled(folder, "gcc", "-O1", "-g", "-shared", "-fPIC", "-Wl,--build-id=sha1",
                              f"-DPREFIX={prefix}", source=SOURCE, name=f"{prefix}.so"), 0o755)
        return start([victim("v_unload"), folder / "first.so", folder / "other.so"],
                     preexec=become_nobody, **settings)
    return begin


def places(prefix, rows):
    """The frames of rows, names that begin with _ behind the prefix."""
    return [(prefix + name if name[0] == "_" else name, line) for name, line in rows]


def assert_places(profile, value, prefix, rows, total):
    """All samples of this build's function have these frames innermost; their sum."""
    wanted = places(prefix, rows)
    found = [s for s in profile.samples if s.has(wanted[0][0])]
    assert sum(s.values[value] for s in found) >= total, profile.samples
    for sample in found:
        assert list(zip(sample.names, sample.lines))[:len(rows)] == wanted, sample
        assert sample.names[len(rows):len(rows) + 2] == ["call_in", "use_library"], sample


def assert_all_named(profile):
    """No frame of the libraries is without a name and a line."""
    for sample in profile.samples:
        assert "plugin_burn" not in sample.names or "main" in sample.names, sample
    for loc in profile.proto.location:
        file = profile.mapping_files[loc.mapping_id - 1] if loc.mapping_id else ""
        if LIBRARY.search(file):
            assert loc.line and all(line.line for line in loc.line), (file, loc)


def is_library(fd):
    try:
        return LIBRARY.search(os.readlink(fd)) is not None
    except OSError:
        return False


def held_files(target):
    """Descriptors of libraries, of the thread that has most: the agent's have a table of their
    own."""
    return max((sum(map(is_library, task.glob("fd/*")))
                for task in Path(f"/proc/{target.pid}/task").iterdir()), default=0)


@pytest.mark.parametrize("how", ["removed", "replaced", "memfd", "early"])
def test_code_of_a_library_that_is_gone_has_its_names_and_lines(unloading, folder, how):
    target = unloading(cpuprofile=folder / "cpu", **EXACT)
    target.ask(how, "closed")
    prefixes = ["first", "other"] if how == "replaced" else ["first"]
    in_use = heap(target)
    assert target.finish() == 0 and target.err == ""
    ticks = Profile((folder / "cpu").read_bytes())
    for prefix in prefixes:
        assert_places(in_use, "inuse_space", prefix, KEEP, BYTES)
        assert_places(ticks, "samples", prefix, BURN, SOME)
    for profile in (in_use, ticks):
        assert_all_named(profile)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
def test_file_system_of_a_library_is_not_kept_busy(start, folder):
    library = compiled(folder, "gcc", "-O1", "-shared", "-fPIC", "-DPREFIX=first", source=SOURCE,
                       name="first.so")
    mounted = folder / "mounted"
    mounted.mkdir()
    script = 'mount -t tmpfs none "$1" && cp "$2" "$1" && exec "$0" "$1"/first.so none'
    target = start(["unshare", "-m", "sh", "-c", script, victim("v_unload"), mounted, library],
                   **EXACT)
    assert target.ask("unmount", "closed") == "closed unmounted"
    assert target.finish() == 0


def test_names_are_taken_without_a_request(unloading):
    """The file is closed soon, and the names are there when a request asks for them."""
    target = unloading(**EXACT)
    target.ask("removed", "closed")
    until("the library's file is closed", lambda: not held_files(target))
    assert_places(heap(target), "inuse_space", "first", KEEP, BYTES)


def test_libraries_loaded_ten_thousand_times_cost_little(unloading):
    """Descriptors and memory are bounded. Not all stacks are known: dlclose stops waiting for the
    collector where it is called all the time."""
    target = unloading(heap_rate=4096)
    target.ask("loop 500", "closed")
    before_kb = int(status_of(target.pid, "VmRSS").split()[0])
    target.tell("loop 10000")
    most = 0
    while not target.out_lines[1:]:
        most = max(most, held_files(target))
    target.expect("closed")
    until("the library's file is closed", lambda: not held_files(target))
    # One announced, one held, two in use by the thread that reads names; one that is closed and
    # opened again while the folder is read has two numbers.
    assert 0 < most <= 8
    assert int(status_of(target.pid, "VmRSS").split()[0]) < before_kb + (24 << 10)
    assert target.get("/heap").status == 200
    assert target.finish() == 0 and target.err == ""
