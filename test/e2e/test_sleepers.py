# SPDX-License-Identifier: Apache-2.0
"""Threads in calls that a signal would end, in code whose frames hang on a register that nobody
tells: each stack is complete, and nobody is woken for it."""
import subprocess
from pathlib import Path

import pytest

from lib.harness import ROOT, pairs, victim
from lib.profiles import THREAD_ROOTS, counts

CALLS = {"pause", "poll", "ppoll", "select", "pselect", "epoll_wait", "sleep", "usleep",
         "nanosleep", "clock_nanosleep", "sem_timedwait", "cond_timedwait", "sigsuspend",
         "sigtimedwait", "read", "deep_read", "deep_pause"}
COMPILERS = {
    "gcc": ["gcc", "-O0"],
    "gcc-O2": ["gcc", "-O2", "-fno-omit-frame-pointer"],
    "clang": ["clang", "-O0"],
    "clang-O2": ["clang", "-O2", "-fno-omit-frame-pointer"],
}


def stacks_of(target):
    """{call: its sample} of all threads that make one."""
    profile = counts(target, "goroutine")
    found = {}
    for sample in profile.samples:
        calls = [name for name in sample.names if name.startswith("in_")]
        if calls:
            assert len(calls) == 1, sample
            found[calls[0].removeprefix("in_")] = sample
    assert [s.names[-1] for s in profile.samples if "main" in s.names] == ["_start"]
    return found


def check_stacks(target):
    found = stacks_of(target)
    assert set(found) == CALLS
    for call, sample in found.items():
        at = sample.names.index("in_" + call)
        assert sample.names[at:-1] == ["in_" + call, "run", "start_thread"], sample
        assert sample.names[-1] in THREAD_ROOTS, sample
        assert at >= 1, sample
    deep = [name.split(".")[0] for name in found["deep_pause"].names]  # as in x.constprop.0
    deep = deep[deep.index("pause"):]  # libc may have functions of its own in it
    assert deep[:3] == ["pause", "with_many", "in_deep_pause"]


def test_stacks_are_complete_and_no_thread_is_woken(start):
    target = start([victim("v_sleepers")])
    assert target.line() == f"ready {len(CALLS)}"
    for _ in range(20):
        check_stacks(target)
    assert pairs("x " + target.ask("early", "early")) == {"early": 0}


@pytest.mark.parametrize("build", COMPILERS)
def test_frames_of_other_compilers_are_followed(start, tmp_path, build):
    program = tmp_path / "sleepers"
    source = Path(ROOT, "test/victim/v_sleepers.c")
    subprocess.run([*COMPILERS[build], "-w", "-g", "-D_GNU_SOURCE", "-DAS_IT_IS", "-pthread",
                    "-fno-inline", "-fno-optimize-sibling-calls", "-o", program, source],
                   check=True)
    target = start([program])
    assert target.line() == f"ready {len(CALLS)}"
    check_stacks(target)
    assert pairs("x " + target.ask("early", "early")) == {"early": 0}
