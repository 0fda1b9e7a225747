# SPDX-License-Identifier: Apache-2.0
"""
What Go's own tests of net/http/pprof and runtime/pprof ask, asked of the agent.

Here: TestHandlers, TestCPUProfileMultithreaded, TestCPUProfileMultithreadMagnitude,
TestMutexProfile, TestGoroutineCounts. Elsewhere:

  TestDescriptions            test_pages.py test_index_describes_each_profile
  TestDeltaProfile            test_contention.py test_delta_has_what_was_contended_in_it_...
  TestDeltaProfileEmptyBase   test_pages.py test_delta_has_only_what_changed
  TestBlockProfile            test_contention.py test_wait_counts_for_as_long_as_it_was
  TestBlockProfileBias        test_contention.py test_sampled_waits_stand_for_all_of_them
  TestCPUProfileWithFork      test_process.py test_fork_during_a_cpu_profile_leaves_both_well
  TestMutexProfileRateAdjust  test_contention.py test_text_has_the_numbers_of_the_proto
  TestCPUProfileLabel, TestGoroutineProfileLabelRace, TestLabelSystemstack   test_labels.py
  TestEmptyCallStack, TestNewProfile...                                      test_custom.py
  TestTracebackAll and the dump's shape                                      test_threads.py
"""
import re

import pytest

from lib.cpu_profiles import assert_most_of, times
from lib.harness import CONTENTION, status_of, victim
from lib.profiles import counts, cpu

pytestmark = pytest.mark.alone  # shares of the processors are compared

BINARY, TEXT = "application/octet-stream", "text/plain; charset=utf-8"

# Of TestHandlers; trace is not served yet.
HANDLERS = [
    ("/%3Cscript%3Escripty%3Cscript%3E", 404, TEXT, None, "Unknown profile\n"),
    ("/heap", 200, BINARY, 'attachment; filename="heap"', None),
    ("/heap?debug=1", 200, TEXT, None, None),
    ("/cmdline", 200, TEXT, None, None),
    ("/profile?seconds=1", 200, BINARY, 'attachment; filename="profile"', None),
    ("/symbol", 200, TEXT, None, None),
    ("/mutex", 200, BINARY, 'attachment; filename="mutex"', None),
    ("/block?seconds=1", 200, BINARY, 'attachment; filename="block-delta"', None),
    ("/goroutine?seconds=1", 200, BINARY, 'attachment; filename="goroutine-delta"', None),
    ("/debug/pprof/", 200, "text/html; charset=utf-8", None, "Types of profiles available:"),
]


@pytest.fixture(scope="module")
def spinner(shared_start):
    return shared_start([victim("v_spin"), "40"])


@pytest.mark.parametrize("path, status, kind, disposition, part", HANDLERS,
                         ids=[row[0] for row in HANDLERS])
def test_handlers(spinner, path, status, kind, disposition, part):
    answer = spinner.get(path)
    assert answer.status == status
    assert answer.headers["Content-Type"] == kind
    assert answer.headers.get("Content-Disposition") == disposition
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert part is None or part in answer.text


def test_cpu_profile_multithreaded(start):
    target = start([victim("v_spin"), "50", "50"])
    profile = cpu(target, 2)
    threads = profile.by_label("thread", "samples")
    assert threads["spin-0"] > 0 and threads["spin-1"] > 0
    assert profile.total("samples", "spin_three") > profile.total("samples", "spin_one") > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_cpu_profile_multithread_magnitude(start, threads):
    """As much in the profile as the threads' clocks say."""
    target = start([victim("v_spin"), *["100"] * threads])
    target.expect("ready")
    before = sum(times(target).values())
    profile = cpu(target, 3)
    assert_most_of(profile.total("cpu"), sum(times(target).values()) - before)


def test_mutex_profile(start):
    target = start([victim("v_contend")], **CONTENTION)
    target.expect("ready")
    target.ask("mutex 100 5 2", "mutex")
    lines = target.get("/mutex?debug=1").text.split("\n")
    assert lines[:3] == ["--- mutex:", "cycles/second=1000000000", "sampling period=1"]
    assert re.fullmatch(r"\d+ \d+ @( 0x[0-9a-f]+)+", lines[3])
    assert re.match(r"#\t0x[0-9a-f]+\s+\w+\+0x[0-9a-f]+\s+\S+:\d+$", lines[4])


def test_goroutine_counts(start):
    target = start([victim("v_spin"), *["1"] * 20])
    text = target.get("/goroutine?debug=1").text
    assert text.startswith("goroutine profile: total 21\n")
    rows = [int(n) for n in re.findall(r"^(\d+) @", text, re.M)]
    assert sum(rows) == 21 and rows == sorted(rows, reverse=True)
    assert counts(target, "goroutine").total("goroutine") == 21
    assert int(status_of(target.pid, "Threads")) > 21  # ours are not shown
