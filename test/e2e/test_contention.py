# SPDX-License-Identifier: Apache-2.0
"""Block and mutex: who waited for how long, and whose critical section it was."""
import re

import pytest

from lib import contention_turn, lock_kinds
from lib.harness import CONTENTION, Later, victim
from lib.profiles import CONTENTION_TYPES, Profile, contention

MS = 1_000_000


class Turn(contention_turn.Turn):
    def gained(self, name, value, leaf, over=None):
        """Over the stacks whose innermost frame is leaf, and that have a function over."""
        return self.gained_by(name, value, lambda s: re.fullmatch(leaf, s.names[0]) and
                              (not over or s.has(over)))

    def block(self, leaf, value="delay"):
        return self.gained("block", value, leaf)

    def mutex(self, leaf, value="delay", over=None):
        return self.gained("mutex", value, leaf, over)


@pytest.fixture(scope="module")
def contender(shared_start):
    target = shared_start([victim("v_contend")], **CONTENTION)
    target.expect("ready")
    return target


@pytest.fixture(scope="module")
def waiter(shared_start):
    target = shared_start([victim("v_waits")], **CONTENTION, buffer="64M")
    target.expect("ready")
    return target


# ------------------------------------------------------------------ locks

@pytest.mark.parametrize("kind", lock_kinds.LIBC)
def test_waits_are_the_waiters_and_their_sum_is_the_unlockers(contender, kind):
    waiters = 2 if kind == "spin" else 5  # these burn what the holder needs to come back
    turn = Turn(contender, f"{kind} 200 {waiters} 1")
    wait, give_up, leave = lock_kinds.LIBC[kind]
    waited, charged = turn.truth["waited"], turn.truth["charged"]
    assert turn.block(wait) == pytest.approx(waited, rel=0.05)
    assert turn.block(wait, "contentions") == waiters
    assert turn.mutex(give_up, over="holder_gives_up") == pytest.approx(charged, rel=0.05)
    assert turn.mutex(give_up, "contentions", over="holder_gives_up") == 1
    # What a woken thread waited for a processor is in its wait, and no holder made it. That all is
    # charged where there is no such time, the next test holds.
    assert 0.95 * charged <= turn.mutex(f"{give_up}|{leave}") <= 1.05 * turn.block(wait)


@pytest.mark.alone
def test_300_ms_with_5_waiters_are_one_and_a_half_seconds(contender):
    turn = Turn(contender, "mutex 300 5 2")
    assert 2 * 1.45e9 <= turn.mutex("unlock_mutex", over="holder_gives_up")
    assert turn.mutex("unlock_mutex") == pytest.approx(turn.truth["waited"], rel=0.05)
    assert turn.mutex("unlock_mutex", "contentions", over="holder_gives_up") == 2
    assert turn.mutex("unlock_mutex", "contentions") == 10  # each but the last of a round
    assert turn.block("lock_mutex", "contentions") == 10


@pytest.mark.alone
def test_hundred_waiters(contender):
    turn = Turn(contender, "mutex 20 100 1")
    total = turn.mutex("unlock_mutex")
    assert 0.9 * 100 * 20 * MS <= total <= 1.1 * turn.truth["waited"]
    assert turn.mutex("unlock_mutex", over="holder_gives_up") == pytest.approx(
        turn.truth["charged"], rel=0.10)
    assert turn.block("lock_mutex", "contentions") == 100


def test_inner_unlocks_of_a_recursive_mutex_are_not_charged(contender):
    turn = Turn(contender, "recursive 50 3 1")
    assert turn.mutex("unlock_recursive", over="unlock_all") > 0.9 * turn.truth["charged"]
    assert not any(s.has("unlock_inner") for s in turn.now["mutex"].samples)


def test_reader_that_is_not_the_last_is_not_charged(contender):
    turn = Turn(contender, "read 50 3 1")
    assert turn.mutex("unlock_rwlock", over="holder_gives_up") > 0.9 * turn.truth["charged"]
    assert not any(s.has("first_reader_gives_up") for s in turn.now["mutex"].samples)


def test_uncontended_locks_are_in_neither_profile(contender):
    turn = Turn(contender, "quiet 200")
    for name in ("block", "mutex"):
        for value in ("contentions", "delay"):
            assert turn.gained(name, value, ".*") == 0


def test_stacks_are_the_programs_from_the_call_to_the_threads_start(contender):
    turn = Turn(contender, "mutex 30 2 1")
    for name in ("block", "mutex"):
        profile = turn.now[name]
        assert profile.complete_share() >= 0.99
        assert not any(s.mappings[0].endswith("libc.so.6") for s in profile.samples)
    waits = [s for s in turn.now["block"].samples if s.names[0] == "lock_mutex"]
    assert all(s.names[:2] == ["lock_mutex", "waiter"] for s in waits) and waits
    ends = [s.names for s in turn.now["mutex"].samples if s.names[0] == "unlock_mutex"]
    assert any(names[:3] == ["unlock_mutex", "holder_gives_up", "turn"] for names in ends)
    assert any(names[:3] == ["unlock_mutex", "waiter_gives_up", "waiter"] for names in ends)


# ------------------------------------------------------------------ other waits

WAITS = {"cond_wait": 100, "cond_timed": 400, "cond_clock": 400, "cnd_waits": 100,
         "cnd_timed": 400, "sem_waits": 100, "sem_timed": 200, "sem_clock": 100,
         "barrier_wait": 100, "join": 100, "join_timed": 100, "join_clock": 100,
         "join_thrd": 100}


@pytest.mark.alone
@pytest.mark.parametrize("kind", WAITS)
def test_wait_counts_for_as_long_as_it_was(waiter, kind):
    turn = Turn(waiter, f"{kind} {WAITS[kind]} 2")
    delay = turn.block(kind)
    assert turn.block(kind, "contentions") == 2
    assert delay >= 2 * 0.98 * WAITS[kind] * MS
    assert delay == pytest.approx(turn.truth["waited"], rel=0.02)
    assert turn.mutex(kind) == 0


def test_calls_that_find_no_reason_to_wait_are_not_in_the_profile(waiter):
    turn = Turn(waiter, "quiet 200")
    assert turn.gained("block", "contentions", ".*") == 0
    assert turn.gained("mutex", "contentions", ".*") == 0


# ------------------------------------------------------------------ sampling

THREADS, ROUNDS, LONG = 4, 10000, 4 * 50
EVENTS = THREADS * ROUNDS


@pytest.mark.alone
def test_every_wait_is_counted_at_rate_1(waiter):
    turn = Turn(waiter, f"many 20 {THREADS} {ROUNDS}")
    for kind in ("sem", "cond", "mutex"):
        assert turn.block(f"many_{kind}", "contentions") == EVENTS
        assert turn.block(f"many_{kind}") == pytest.approx(turn.truth[kind], rel=0.05)
    assert turn.mutex("many_unlock", "contentions") == EVENTS
    assert turn.mutex("many_unlock") == pytest.approx(turn.truth["mutex"], rel=0.05)


@pytest.mark.alone
def test_sampled_waits_stand_for_all_of_them(start):
    # 40,000 of each kind and about 50 us: 1 in 20 is kept, which makes 2 % the standard deviation.
    target = start([victim("v_waits")], block_rate=1000000, mutex_fraction=10, buffer="64M")
    target.expect("ready")
    turn = Turn(target, f"many 20 {THREADS} {ROUNDS}")
    for kind in ("sem", "cond", "mutex"):
        assert turn.truth[kind] < EVENTS * 0.9 * MS, "as short as the test wants them?"
        assert turn.block(f"many_{kind}", "contentions") == pytest.approx(EVENTS, rel=0.10)
        assert turn.block(f"many_{kind}") == pytest.approx(turn.truth[kind], rel=0.10)
    assert turn.mutex("many_unlock", "contentions") == pytest.approx(EVENTS, rel=0.10)
    assert turn.mutex("many_unlock") == pytest.approx(turn.truth["mutex"], rel=0.10)
    # What is longer than the rate is always kept, and as it is.
    assert turn.block("long_sem", "contentions") == LONG
    assert turn.block("long_sem") == pytest.approx(turn.truth["long"], rel=0.02)


# ------------------------------------------------------------------ on for some seconds


def contend(target, requests, kind):
    """Contention until all requests have been answered; at least one turn."""
    while True:
        target.ask(f"{kind} 10 2 5", kind)
        if not any(r.running() for r in requests):
            return


def delta(request, name):
    answer = request.answer()
    assert answer.status == 200, answer
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}-delta"'
    profile = Profile(answer.body)
    assert profile.types == CONTENTION_TYPES
    assert profile.proto.duration_nanos > 0.9e9
    return profile


def test_delta_has_what_was_contended_in_it_and_the_profile_has_all(start):
    target = start([victim("v_contend")], **CONTENTION)
    target.expect("ready")
    target.ask("hog1 10 2 5", "hog1")
    requests = {name: Later(target, f"/{name}?seconds=1") for name in ("block", "mutex")}
    contend(target, requests.values(), "hog2")
    for name, prefix in (("block", "lock"), ("mutex", "unlock")):
        gained, plain = delta(requests[name], name), contention(target, name)
        assert gained.total_at("delay", f"{prefix}_hog2") > 0
        assert gained.total_at("delay", f"{prefix}_hog1") == 0
        assert all(any(s.values.values()) for s in gained.samples)
        assert plain.total_at("delay", f"{prefix}_hog1") > 0
        assert plain.total_at("delay", f"{prefix}_hog2") >= gained.total_at(
            "delay", f"{prefix}_hog2")


FUNCTIONS = {"block": "lock_hog1", "mutex": "unlock_hog1"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_delta_of_what_is_off_records_its_seconds_and_no_more(start, name):
    target, function = start([victim("v_contend")]), FUNCTIONS[name]
    target.expect("ready")
    target.ask("hog1 10 2 5", "hog1")
    assert contention(target, name).samples == []
    request = Later(target, f"/{name}?seconds=1")
    contend(target, [request], "hog1")
    gained = delta(request, name)
    # Two waiters nearly all the time.
    assert 0.5e9 < gained.total_at("delay", function) < 2.2e9
    kept = contention(target, name).total("delay")
    assert kept >= gained.total("delay")
    target.ask("hog1 10 2 5", "hog1")
    assert contention(target, name).total("delay") == kept
    other = next(other for other in FUNCTIONS if other != name)
    assert contention(target, other).samples == []


def test_two_deltas_at_once_end_each_in_its_time(start):
    target = start([victim("v_contend")])
    target.expect("ready")
    requests = [Later(target, f"/mutex?seconds={seconds}") for seconds in (1, 2)]
    contend(target, requests, "hog1")
    short, long = (delta(r, "mutex").total_at("delay", "unlock_hog1") for r in requests)
    assert short > 0.5e9 and long > 1.4 * short
    kept = contention(target, "mutex").total("delay")
    target.ask("hog1 10 2 5", "hog1")
    assert contention(target, "mutex").total("delay") == kept


def test_delta_does_not_switch_off_what_the_settings_have_on(start):
    target = start([victim("v_contend")], **CONTENTION)
    target.expect("ready")
    assert target.get("/mutex?seconds=1").status == 200
    assert target.get("/block?seconds=1").status == 200
    turn = Turn(target, "mutex 20 2 1")
    assert turn.mutex("unlock_mutex") > 0 and turn.block("lock_mutex") > 0


@pytest.mark.parametrize("rates, has", [
    ({"block_rate": 1}, {"block"}), ({"mutex_fraction": 1}, {"mutex"}), ({}, set()),
    ({"block_rate": ""}, {"block"}),
], ids=["block", "mutex", "none", "empty"])
def test_rates_switch_their_own_profile(start, rates, has):
    target = start([victim("v_contend")], **rates)
    target.expect("ready")
    target.ask("mutex 20 2 1", "mutex")
    assert {name for name in FUNCTIONS if contention(target, name).samples} == has


# ------------------------------------------------------------------ text, index, headers

RECORD = re.compile(r"(\d+) (\d+) @((?: 0x[0-9a-f]+)+)")
FIRST = {"block": "--- contention:\ncycles/second=1000000000\n",
         "mutex": "--- mutex:\ncycles/second=1000000000\nsampling period={}\n"}


@pytest.mark.parametrize("name", FIRST)
def test_text_has_the_numbers_of_the_proto(contender, name):
    contender.ask("mutex 20 2 1", "mutex")
    contender.ask("mtx 40 2 1", "mtx")
    text, profile = contender.get(f"/{name}?debug=1").text, contention(contender, name)
    assert text.startswith(FIRST[name].format(1))
    rows = [[int(n) for n in m.groups()[:2]] for m in map(RECORD.fullmatch, text.splitlines())
            if m]
    assert rows == sorted(rows, key=lambda row: -row[0])
    assert sorted(rows) == sorted([s.values["delay"], s.values["contentions"]]
                                  for s in profile.samples)
    assert re.search(rf"^#\t0x[0-9a-f]+\t+(un)?lock_mtx\+0x[0-9a-f]+\t+.*/v_contend\.c:\d+$",
                     text, re.M)


@pytest.mark.parametrize("name", FIRST)
def test_text_of_nothing_is_its_first_lines(start, name):
    target = start([victim("v_blocks"), "1"], mutex_fraction=7)
    target.expect("ready")
    assert target.get(f"/{name}?debug=1").text == FIRST[name].format(7)


def test_index_counts_the_records(contender):
    contender.ask("mutex 20 2 1", "mutex")
    text = contender.get("/debug/pprof/").text
    for name in FIRST:
        count = re.search(rf"<tr><td>(\d+)</td><td><a href='{name}\?debug=1'>", text).group(1)
        assert int(count) == len(contention(contender, name).samples) > 0


NAMES = ["block", "mutex", "threadcreate", "goroutine"]


@pytest.mark.parametrize("name", NAMES)
def test_named_profile_has_gos_headers(contender, name):
    for query in ("", "?debug=0", "?debug=x", "?seconds="):
        answer = contender.get(f"/{name}{query}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        Profile(answer.body)
    for debug in ("1", "2", "-1"):
        answer = contender.get(f"/{name}?debug={debug}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "Content-Disposition" not in answer.headers
        if debug == "-1":  # Go's own oddity
            Profile(answer.body)
        else:
            assert "\n" in answer.text


@pytest.mark.parametrize("name", NAMES)
def test_bad_deltas_have_gos_errors(contender, name):
    for seconds in ("abc", "0", "-1", "1.5"):
        answer = contender.get(f"/{name}?seconds={seconds}")
        assert (answer.status, answer.text) == (
            400, 'invalid value for "seconds" - must be a positive integer\n')
    answer = contender.get(f"/{name}?seconds=1&debug=1")
    assert (answer.status, answer.text) == (400, "seconds and debug params are incompatible\n")


@pytest.mark.parametrize("name", FIRST)
def test_pprof_shows_the_functions(contender, pprof, tmp_path, name):
    function = {"block": "lock_mutex", "mutex": "unlock_mutex"}[name]
    contender.ask("mutex 100 3 1", "mutex")
    out, err = pprof("-top", contender.url(f"/{name}"))
    assert "Type: delay" in out and function in out, out
    assert "error" not in err.lower()
    out, _ = pprof("-top", "-sample_index=contentions", contender.url(f"/{name}"))
    assert function in out
    path = tmp_path / "text"
    path.write_text(contender.get(f"/{name}?debug=1").text)
    out, _ = pprof("-top", str(path))
    assert "Type: delay" in out
