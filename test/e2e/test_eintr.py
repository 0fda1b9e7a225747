# SPDX-License-Identifier: Apache-2.0
"""Calls that a thread dump interrupts. The table below stands in agent/docs/eintr.md."""
import subprocess
import time

import pytest

from lib.eintr_calls import CALLS, ENDED_BY_A_SIGNAL, NEVER_ENDED, early, end
from lib.harness import CONTENTION, Target, environment, free_port, until, victim
from lib.profiles import counts

# Of these the program sees EINTR, or a sleep that was too short, when a goroutine profile is taken.
SEES_EINTR = set()

# Made by syscall(): when the dump is called right between a look at the thread and its call, nobody
# can tell which call it was.
MAY_SEE_EINTR = {"syscall_futex_timed", "syscall_nanosleep"}


@pytest.fixture
def program(tmp_path):
    """program(agent=True, argument...): what it leaves behind should it be killed is taken away."""
    begun = []

    def begin(*arguments, agent=True, **settings):
        port = free_port()
        env = environment(port, children="off", **settings) if agent else environment(preload=())
        target = Target([victim("v_eintr"), *arguments], env, port, cwd=tmp_path)
        begun.append(target)
        target.ready = [int(word) for word in target.expect("ready").split()[1:]]
        return target.answers() if agent else target

    yield begin
    for target in begun:
        target.kill()
        _, sems, *queues = getattr(target, "ready", [0, 0, 0, 0])
        subprocess.run(["ipcrm", "-s", str(sems), *(w for q in queues for w in ("-q", str(q)))],
                       capture_output=True, check=False)


def test_kernel_ends_the_calls_that_the_manual_says(program):
    """Without the agent: proof that the program sees what there is to be seen."""
    target = program(agent=False)
    assert target.ready[0] == CALLS
    target.ask("poke 3", "poked")
    assert early(target) == {name: 3 for name in ENDED_BY_A_SIGNAL} | dict.fromkeys(NEVER_ENDED, 0)


@pytest.mark.parametrize("settings", [{}, CONTENTION], ids=["idle", "full"])
def test_thread_dump_ends_only_the_calls_of_the_table(program, settings):
    target = program(**settings)
    for _ in range(5):
        profile = counts(target, "goroutine")
        assert {s.labels["thread"] for s in profile.samples if "[no answer]" in s.names} == set()
        assert len(profile.samples) == CALLS + 2  # main, and who is joined
        assert profile.complete_share() == 1
        target.ask("asleep", "asleep")
    times = early(target)
    assert {name for name, n in times.items() if n} == SEES_EINTR
    assert all(n <= 5 for n in times.values()), times


def test_thread_dump_that_meets_a_thread_on_its_way_into_a_call_is_not_seen(program):
    """All calls that have a limit, of 2 ms, again and again."""
    target = program("2")
    for _ in range(60):
        assert counts(target, "goroutine").samples
    times = end(target)
    assert {name for name, (n, _) in times.items() if n} <= SEES_EINTR | MAY_SEE_EINTR, times
    assert not {name for name, (_, calls) in times.items() if calls < 10}, times


def test_limits_are_kept_while_threads_are_listed_all_the_time(program):
    target = program("200")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert counts(target, "goroutine").samples
    times = end(target)
    assert {name for name, (n, _) in times.items() if n} <= SEES_EINTR | MAY_SEE_EINTR, times
    assert not {name for name, (_, calls) in times.items() if calls < 5}, times


def test_programs_own_signals_end_what_they_end_without_the_agent(program):
    target = program(**CONTENTION)
    counts(target, "goroutine")
    target.ask("asleep", "asleep")
    target.ask("poke 3", "poked")
    times = early(target)
    assert {name: n - (name in SEES_EINTR) for name, n in times.items()} == (
        {name: 3 for name in ENDED_BY_A_SIGNAL} | dict.fromkeys(NEVER_ENDED, 0))


def rounds(target):
    return int(target.ask("rounds", "rounds").split()[1])


def test_signals_of_threads_that_wait_with_masks_are_not_lost(start):
    target = start([victim("v_suspend")])
    for _ in range(4):
        for _ in range(50):
            assert len(counts(target, "goroutine").samples) == 3
        before = rounds(target)
        until("they wake each other", lambda: rounds(target) > before + 10, 5)
    assert target.finish() == 0
    assert int(target.out.split()[-1]) < 200  # a call may end early, as long as nothing is lost
