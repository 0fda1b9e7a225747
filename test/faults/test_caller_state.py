# SPDX-License-Identifier: Apache-2.0
"""The state in which the program calls or is interrupted: stack, flags, numbers, errno."""
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.fault_rows import FULL, MORE_S, TIMES_BARE, program, row
from lib.harness import AGENT
from lib.profiles import Profile

STATES = ("plain", "off", "direction", "alignment", "trapping", "rounding", "noted", "numbers",
          "all")
# Where each interval to the next sample is drawn, and each recorded wait is scaled.
SAMPLED = {"heap_rate": 64, "block_rate": 4000000, "mutex_fraction": 2, "flight": "1M",
           "cpu_hz": 1000}
RUNS = {"idle": ({},), "full": (FULL, {**FULL, "flight": "1M"}, SAMPLED), "fire": (SAMPLED,)}


def lines(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_hook_has_a_row():
    """A new hook needs a line in rows[] of programs/f_state.c, and a function that calls it so that
    it waits, if it can."""
    rows = [line.split() for line in lines(["nm", "-D", "--defined-only", AGENT])]
    hooks = {words[-1].split("@")[0] for words in rows if words[-2] in "TWi"}
    listed = set(lines([program("f_state"), "list"]))
    missing, gone = sorted(hooks - listed), sorted(listed - hooks)
    assert not missing, (f"test/faults/programs/f_state.c never calls {missing}: add ROW(NAME) to "
                         "rows[], and long do_NAME(void), which calls it by CALL(NAME, ...)")
    assert not gone, f"test/faults/programs/f_state.c has rows of {gone}, which are no hooks"


def at_once(function, jobs):
    """The rows sleep and wait for most of their time."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(function, jobs))


def results(out):
    """{name: what it gave}, but of those that end the program in that state."""
    return dict(re.findall(r"^(\w+) (?!killed)(.*)$", out.decode(), re.M))


_bare = {}


def bare_results(case):
    """{state: {name: result}}; only of functions that work in that state as they do in any."""
    if not _bare:
        runs = at_once(lambda state: results(case.bare([program("f_state"), state]).out), STATES)
        plain = runs[0]
        for state, found in zip(STATES, runs):
            _bare[state] = {name: text for name, text in found.items() if plain[name] == text}
    return _bare


def check(case, state, wanted, settings):
    under = case.under([program("f_state"), state, *wanted], TIMES_BARE * 3 + MORE_S,
                       settings=settings)
    assert not under.timed_out and under.status == 0, f"{state} {settings}: {under}"
    got = results(under.out)
    other = {name: f"{text} -> {got.get(name)}" for name, text in wanted.items()
             if got.get(name) != text}
    assert not other, f"{state} {settings}: {other}"
    return len(got)


@row("F133", "every hook, its caller's stack, flags and floating point in every state", severity=1,
     fast=True)
def test_states_of_the_caller(case, tmp_path):
    wanted = bare_results(case)
    assert len(wanted["plain"]) > 80 and len(wanted["off"]) > 70, wanted
    jobs = [(state, {**settings, "cpuprofile": tmp_path / "%p"} if settings is SAMPLED
             else settings) for state in STATES for settings in RUNS[case.mode]]
    counts = at_once(lambda job: check(case, job[0], wanted[job[0]], job[1]), jobs)
    case.note(f"{sum(counts)} calls")


def tick_for(case, tmp_path, seconds):
    profile = tmp_path / "cpu"
    under = case.under([program("f_ticks"), seconds], TIMES_BARE * seconds + 30,
                       settings={"cpuprofile": profile, "cpu_hz": 1000})
    if under.status == 2:
        pytest.skip("no AVX here")
    assert under.out == b"kept\n" and under.status == 0, under
    ticks = Profile(profile.read_bytes()).total("samples", "copy_backwards")
    case.note(f"{ticks} ticks")
    return ticks


@row("F134", "registers, flags and copies of code that is interrupted by CPU samples", severity=1,
     modes=("idle",), fast=True)
def test_ticks(case, tmp_path):
    assert tick_for(case, tmp_path, 1) > 500


@row("F134b", "the same for 10,000 samples", severity=1, modes=("idle", "fire"))
def test_many_ticks(case, tmp_path):
    assert tick_for(case, tmp_path, 25) > 10000


# ------------------------------------------------------------------ where there is no hook


def moments(outcome):
    return dict(re.findall(r"^(\w+(?: ends)?)\b(.*)$", outcome.out.decode(), re.M))


@row("F135", "the first calls, children and ends of processes in every state", severity=1,
     fast=True)
def test_life(case, tmp_path):
    """Children write their profiles when they end: in the state in which they were made."""
    settings = {**SAMPLED, "cpuprofile": tmp_path / "%p", "heapprofile": tmp_path / "%p.heap"}
    bare = at_once(lambda state: moments(case.bare([program("f_state_life"), state])), STATES)

    def check_life(state):
        under = case.under([program("f_state_life"), state], 60, settings=settings)
        return under, moments(under)
    for state, wanted, (under, got) in zip(STATES, bare, at_once(check_life, STATES)):
        # What does not work there without an agent need not work with one.
        other = {name: f"{text} -> {got.get(name)}" for name, text in wanted.items()
                 if text == bare[0][name] and got.get(name) != text}
        assert under.status == 0 and not other, f"{state}: {other} {under}"
        assert len(wanted) > 8, wanted


@row("F136", "every function of pprofagent.h in every state of its caller", severity=1,
     modes=("full",), fast=True)
def test_api(case):
    text = (Path(__file__).parents[2] / "agent/pprofagent.h").read_text()
    struct = re.search(r"struct pprofagent_api \{(.*?)\n\};", text, re.S).group(1)
    names = set(re.findall(r"\(\*(\w+)\)\((?!const char \*key, const char)", struct))

    def call(state):
        return case.under([program("f_state_api"), state], 60, settings={"flight": "1M"})
    for state, under in zip(STATES, at_once(call, STATES)):
        got = results(under.out)
        assert under.status == 0, f"{state}: {under}"
        assert set(got) == names, f"f_state_api.c and pprofagent.h: {names ^ set(got)}"
        assert set(got.values()) == {"0"}, f"{state}: {got}"
