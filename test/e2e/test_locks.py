# SPDX-License-Identifier: Apache-2.0
"""Locks and waits do under the agent what they do without it."""
import http.client
import subprocess

import pytest

from lib.contention_turn import V_LOCKS_WAITS
from lib.harness import (CONTENTION, DEADLINE_S, Target, environment, free_port, run, run_both,
                         victim)
from lib.profiles import contention

MODES = {"idle": {}, "full": {**CONTENTION, "heap_rate": 1},
         "sampled": {"block_rate": 1000000, "mutex_fraction": 10}}


def differences(bare, agent):
    """Lines of two outputs that are not the same, with the last line that is in both."""
    before, ours = bare.decode().splitlines(), agent.decode().splitlines()
    found = [f"{i}: {a!r} became {b!r}" for i, (a, b) in enumerate(zip(before, ours), 1) if a != b]
    return found[:20] + [f"{len(before)} lines, {len(ours)} with the agent"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", ["v_codes", "v_waitcodes", "v_cancel", "v_oldcond"])
def test_every_call_returns_what_it_returns_without_the_agent(program, mode):
    bare, agent = run_both([victim(program)], **MODES[mode])
    assert bare[0] == 0 and bare[1], bare
    assert agent[1] == bare[1], differences(bare[1], agent[1])
    assert agent == bare


MARGINS = {
    "before main and after it": ([victim("v_early")], 3),
    "exit while threads wait": ([victim("v_early"), "leave", "20"], 3),
    "fork while threads wait": ([victim("v_lockfork"), "60"], 0),
    "fork storm": ([victim("v_fork"), "storm", "60"], 0),
    "fork without handlers": ([victim("v_fork"), "raw"], 0),
    "forking threads": ([victim("v_fork"), "threads", "100"], 0),
    "small stacks": ([victim("v_smallstack"), "30"], 0),
}


@pytest.mark.parametrize("rates", [{}, CONTENTION], ids=["idle", "full"])
@pytest.mark.parametrize("case", MARGINS)
def test_margins_of_a_programs_life_are_as_without_the_agent(case, rates):
    argv, status = MARGINS[case]
    bare, agent = run_both(argv, **rates)
    assert agent == bare and bare[0] == status


def test_exit_with_waiting_threads_is_the_same_every_time():
    bare = run([victim("v_early"), "leave", "8"], environment(preload=()))
    for _ in range(30):
        agent = run([victim("v_early"), "leave", "8"], environment(free_port(), **CONTENTION))
        assert agent == bare


def test_codes_are_the_same_while_profiles_are_taken(start):
    bare = run([victim("v_codes")], environment(preload=()))
    for path in ("/block?seconds=1", "/goroutine?debug=2"):
        target = start([victim("v_codes")], wait=False, **CONTENTION)
        while target.process.poll() is None:
            try:
                target.get(path, timeout=5)
            except (OSError, http.client.HTTPException):  # not yet, or no more
                pass
        assert target.finish() == 0
        assert target.out.encode() == bare[1], differences(bare[1], target.out.encode())


def test_program_of_old_conditions_really_asks_for_the_old_ones():
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", victim("v_oldcond")],
                             capture_output=True, text=True, check=True).stdout
    assert "pthread_cond_wait@GLIBC_2.2.5" in symbols


HANDOVERS = b"mutex 100000\nrobust 25000\ncond 25000\nsem 25000\nrwlock 25000\n"


@pytest.mark.alone
@pytest.mark.parametrize("first, second", [(True, False), (False, True), (True, True)],
                         ids=["maker has the agent", "other has the agent", "both"])
def test_locks_are_shared_with_a_process_that_has_no_agent(tmp_path, first, second):
    def begin(number, agent):
        settings = CONTENTION if agent else {"preload": ()}
        return Target([victim("v_handover"), tmp_path / "shared", number, 50000],
                      environment(free_port(), **settings))
    maker = begin(0, first)
    try:
        maker.expect("ready")
        other = begin(1, second)
        try:
            assert other.finish(DEADLINE_S) == 0
            assert maker.finish(DEADLINE_S) == 0
        finally:
            other.kill()
    finally:
        maker.kill()
    assert maker.out.encode() == b"ready\n" + HANDOVERS
    assert other.out.encode() == HANDOVERS


def test_locks_of_cxx_and_c11_are_the_same_and_are_in_the_block_profile(start):
    bare = run([victim("v_locks")], environment(preload=()))
    target = start([victim("v_locks")], **CONTENTION)
    while target.line() != "ready":
        pass
    profile = contention(target, "block")
    delays = {name: profile.total("delay", rf"app::{name}\(\)") for name in V_LOCKS_WAITS}
    assert {n: d for n, d in delays.items() if d < V_LOCKS_WAITS[n] * 1e6} == {}
    assert profile.total("delay", r"app::wait_thread\(std::thread&\)") > 0
    assert not any("libpprofagent" in f for s in profile.samples for f in s.mappings)
    mutex = contention(target, "mutex")
    assert mutex.total("delay") > 9 * 19e6
    assert mutex.complete_share() >= 0.99 and profile.complete_share() >= 0.99
    assert target.finish() == 0
    assert (0, target.out.encode()) == bare[:2]
    assert target.err == ""
