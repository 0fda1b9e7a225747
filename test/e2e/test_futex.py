# SPDX-License-Identifier: Apache-2.0
"""Locks and conditions that are built on futex(2) by syscall(): C, C++20, Rust."""
import re
from pathlib import Path

import pytest

from lib import contention_turn, lock_kinds
from lib.harness import CONTENTION, Later, until, victim
from lib.profiles import contention
from lib.trace_client import begin, check, during

MS = 1_000_000
RUST = pytest.mark.skipif(not Path(victim("v_futex_rust")).exists(), reason="no rustc")


class Turn(contention_turn.Turn):
    def gained(self, name, value, function):
        """Over the stacks that have a function of that name (a pattern)."""
        return self.gained_by(name, value, lambda s: s.has(function))

    def block(self, function, value="delay"):
        return self.gained("block", value, function)

    def mutex(self, function=".*", value="delay"):
        return self.gained("mutex", value, function)

    def assert_all_is_charged(self):
        """What main held them up for, and what they held up each other for; but not the time in
        which a thread that was woken waited for a processor, which no holder made."""
        assert 0.95 * self.truth["charged"] <= self.mutex() <= 1.05 * self.truth["waited"]


@pytest.fixture(scope="module")
def started(shared_start):
    """started(NAME) -> that victim, one for all tests."""
    targets = {}

    def get(name):
        if name not in targets:
            targets[name] = shared_start([victim(name)], **CONTENTION)
            targets[name].expect("ready")
        return targets[name]
    return get


WAITERS = 3

# victim, kind, function of the waiters, of main where the waits end
ROWS = ([("v_futex_rust", k, *f) for k, f in lock_kinds.RUST.items()] +
        [("v_futex_cxx", k, *f) for k, f in lock_kinds.CXX.items()])


@pytest.mark.parametrize("name, kind, wait, end", [
    pytest.param(*row, marks=RUST if row[0] == "v_futex_rust" else (), id=f"{row[0][8:]}-{row[1]}")
    for row in ROWS])
def test_waits_are_counted_and_those_for_locks_are_charged(started, name, kind, wait, end):
    turn = Turn(started(name), f"{kind} 200 {WAITERS}")
    function = rf".*\b{wait}(\(.*\))?"
    assert turn.block(function) == pytest.approx(turn.truth["waited"], rel=0.05)
    if end:
        assert turn.mutex(rf".*\b{end}(\(.*\))?") == pytest.approx(turn.truth["charged"], rel=0.05)
        turn.assert_all_is_charged()
    else:
        # Rust's barriers and channels have a mutex inside: it is held for a moment.
        assert turn.mutex() < 0.05 * turn.truth["charged"]


@pytest.mark.parametrize("kind", lock_kinds.FUTEX)
def test_each_operation_ends_waits(started, kind):
    turn = Turn(started("v_futex"), f"lock_{kind} 100 {WAITERS}")
    assert turn.block("g_mutex_lock_slowpath") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.mutex(lock_kinds.FUTEX[kind]) == pytest.approx(turn.truth["charged"], rel=0.05)
    assert turn.mutex(value="contentions") == 1


@pytest.mark.parametrize("kind", lock_kinds.FUTEX)
def test_waits_of_functions_that_are_not_known_are_in_no_mutex_profile(started, kind):
    turn = Turn(started("v_futex"), f"{kind} 100 {WAITERS}")
    assert turn.block("wait_for") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.mutex() == 0


@pytest.mark.parametrize("kind", ["pi", "pi2"])
def test_locks_of_the_kernel_are_locks_whatever_waits_for_them(started, kind):
    turn = Turn(started("v_futex"), f"{kind} 100 {WAITERS}")
    assert turn.block("wait_for") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.mutex("give_up") == pytest.approx(turn.truth["charged"], rel=0.05)
    turn.assert_all_is_charged()


def test_wait_in_vain_is_a_wait_and_is_charged_to_nobody(started):
    turn = Turn(started("v_futex"), f"lock_timed 200 {WAITERS}")
    assert turn.block("g_mutex_lock_slowpath") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.block("g_mutex_lock_slowpath", "contentions") == WAITERS
    assert turn.mutex() == 0


def test_calls_that_find_nothing_to_wait_for_or_to_wake_are_in_neither_profile(started):
    turn = Turn(started("v_futex"), "quiet 200")
    assert turn.block(".*", "contentions") == 0
    assert turn.mutex(value="contentions") == 0


def test_nothing_counts_twice_where_libcs_locks_are_waited_for_at_once(started):
    turn = Turn(started("v_futex"), "both 200 4")
    assert turn.block("wait_for|wait_for_mutex") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.block("wait_for") == pytest.approx(turn.truth["waited"] / 2, rel=0.06)
    assert turn.mutex() == turn.mutex("leave_mutex") == pytest.approx(
        turn.truth["charged"] / 2, rel=0.06)


# ------------------------------------------------------------------ other views

STATES = {
    ("v_futex_rust", "mutex"): "futex lock 0x[0-9a-f]+", ("v_futex_rust", "park"):
    "park 0x[0-9a-f]+", ("v_futex_rust", "condvar"): "futex condition 0x[0-9a-f]+",
    ("v_futex_cxx", "semaphore"): "futex condition 0x[0-9a-f]+",
    ("v_futex_cxx", "guard"): "futex lock 0x[0-9a-f]+",
    ("v_futex", "pi"): "futex lock 0x[0-9a-f]+", ("v_futex", "plain"): "futex wait 0x[0-9a-f]+",
}


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("name, kind", [
    pytest.param(*row, marks=RUST if row[0] == "v_futex_rust" else (), id=f"{row[0][2:]}-{row[1]}")
    for row in STATES])
def test_dump_of_threads_says_what_they_wait_for(start, name, kind, recorded):
    target = start([victim(name)], **(CONTENTION if recorded else {}))
    target.expect("ready")
    target.tell(f"{kind} 60000 2")
    state = STATES[name, kind]
    if kind == "pi" and not recorded:  # only its hook knows the operation
        state = "futex wait 0x[0-9a-f]+"

    def waits():
        text = target.get("/goroutine?debug=2").text
        return len(re.findall(rf"^goroutine \d+ \[{state}\]", text, re.M)) == 2
    until(f"two threads are in {state}", waits)


def test_index_counts_what_the_profile_has(started):
    target = started("v_futex_cxx")
    target.ask("guard 20 3", "guard")
    target.ask("semaphore 20 3", "semaphore")
    samples = contention(target, "mutex").samples
    text = target.get("/debug/pprof/").text
    count = re.search(r"<tr><td>(\d+)</td><td><a href='mutex\?debug=1'>", text).group(1)
    assert int(count) == len(samples) > 0
    assert target.get("/mutex?debug=1").text.count(" @ 0x") == len(samples)


def test_delta_has_locks_alone_and_each_once(start):
    target = start([victim("v_futex_cxx")])
    target.expect("ready")
    requests = [Later(target, "/mutex?seconds=1"), Later(target, "/delta_mutex")]
    while any(r.running() for r in requests):
        for kind in ("guard", "semaphore"):
            target.ask(f"{kind} 10 2", kind)
    answer = requests[0].answer()
    assert answer.status == 200
    profile = contention(target, "mutex")
    assert profile.total("delay") > 0
    stacks = [tuple(s.names) for s in profile.samples]
    assert all("end_guard" in str(s) for s in stacks) and len(set(stacks)) == len(stacks)


def test_trace_has_the_waits_and_what_woke_them(start):
    target = begin(start, "v_futex", buffer="64M")
    body, _ = during(target, lambda: (target.ask("lock_plain 100 3", "lock_plain"),
                                      target.ask("quiet 100", "quiet")))
    goroutines = check(body).goroutines.values()
    waits = [w for g in goroutines for w in g.waits if w.stack[:1] == ["futex"]]
    # The calls of "quiet" were refused: they are no waits.
    assert [w.stack[:3] for w in waits] == [["futex", "g_mutex_lock_slowpath",
                                             "wait_until_woken"]] * 3
    assert all(wait.kind == "sync" and wait.ns > 90 * MS for wait in waits)
    # main woke all three by one call, and the others may come to run when it waits itself.
    wakers = [wait for wait in waits if wait.waker]
    assert wakers and all(w.waker_stack[:2] == ["wake_plain", "give_up"] for w in wakers)
