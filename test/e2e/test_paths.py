# SPDX-License-Identifier: Apache-2.0
"""Paths of scrapers and other tools: delta_*, fgprof, and those of gperftools."""
import http.client
import json
import re
import select
import socket
from pathlib import Path

import pytest

from lib.harness import CONTENTION, DEADLINE_S, EXACT, Later, pairs, request, until, victim
from lib.profiles import CONTENTION_TYPES, HEAP_TYPES, Profile

ALLOY, PYROSCOPE = {"User-Agent": "Alloy/v1.5"}, {"User-Agent": "pyroscope/1.9"}
WALL_TYPES = ["samples/count", "time/nanoseconds"]


def acceptable(answer):
    """What Alloy takes for a profile (its scrape/validate.go), and our own headers."""
    assert 200 <= answer.status < 300, answer
    assert answer.headers["Content-Type"].startswith("application/octet-stream")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in answer.headers
    assert answer.body[:2] == b"\x1f\x8b"
    assert not answer.body.lstrip().startswith((b"<", b"{"))
    return Profile(answer.body)


def delta(target, kind, client=None, query=""):
    answer = target.get(f"/delta_{kind}{query}", headers=client or ALLOY)
    profile = acceptable(answer)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="delta_{kind}"'
    assert profile.types == (HEAP_TYPES if kind == "heap" else CONTENTION_TYPES)
    assert profile.period_type == ("space/bytes" if kind == "heap" else "contentions/count")
    # What is in use is no difference: no duration may be read as its own.
    assert (profile.proto.duration_nanos > 0) == (kind != "heap")
    assert all(any(s.values.values()) for s in profile.samples)
    return profile


def plain(target, path):
    return Profile(target.get(path).body)


# ------------------------------------------------------------------ delta_heap

KEPT = 1024  # blocks of 1 KiB that v_blocks keeps, and as many that it churns


@pytest.fixture
def blocks(start):
    target = start([victim("v_blocks"), "1", "1024"], **EXACT)
    assert target.expect("ready") == f"ready {KEPT * 1024} {KEPT * 1024}"
    return target


def objects(profile, function):
    """(allocated, in use) objects, with bytes to match."""
    found = [sum(s.values[v] for s in profile.samples if s.names[0] == function)
             for v in ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")]
    assert found[1] == 1024 * found[0] and found[3] == 1024 * found[2]
    return found[0], found[2]


def test_allocations_are_differences_and_what_is_in_use_is_not(blocks):
    first = delta(blocks, "heap")
    assert objects(first, "keep_blocks") == (KEPT, KEPT)
    assert objects(first, "churn_blocks") == (KEPT, 0)
    blocks.ask("churn", "churned")
    blocks.ask("churn", "churned")
    second = delta(blocks, "heap")
    assert objects(second, "churn_blocks") == (2 * KEPT, 0)
    assert objects(second, "keep_blocks") == (0, KEPT)
    blocks.ask("drop", "dropped")
    third = delta(blocks, "heap")
    assert objects(third, "keep_blocks") == objects(third, "churn_blocks") == (0, 0)
    assert not any(s.has("keep_blocks") or s.has("churn_blocks") for s in third.samples)


def test_an_idle_client_is_given_no_allocations(blocks):
    delta(blocks, "heap")
    again = delta(blocks, "heap")
    assert again.total("alloc_objects") == again.total("alloc_space") == 0
    assert again.total("inuse_objects") == plain(blocks, "/heap").total("inuse_objects") > KEPT - 1


def test_durations_lie_end_to_end(blocks):
    profiles = [delta(blocks, "mutex").proto for _ in range(4)]
    for before, after in zip(profiles, profiles[1:]):
        assert after.duration_nanos == after.time_nanos - before.time_nanos
    started = profiles[0].time_nanos - profiles[0].duration_nanos
    assert 0 < profiles[0].time_nanos - started < 120e9


def test_each_client_has_its_own_differences(blocks):
    assert objects(delta(blocks, "heap", ALLOY), "churn_blocks") == (KEPT, 0)
    blocks.ask("churn", "churned")
    # A new one goes on where the last of the others stopped.
    assert objects(delta(blocks, "heap", PYROSCOPE), "churn_blocks") == (KEPT, 0)
    blocks.ask("churn", "churned")
    assert objects(delta(blocks, "heap", ALLOY), "churn_blocks") == (2 * KEPT, 0)
    assert objects(delta(blocks, "heap", PYROSCOPE), "churn_blocks") == (KEPT, 0)
    assert objects(plain(blocks, "/heap"), "churn_blocks") == (3 * KEPT, 0)


def test_the_ninth_client_takes_the_place_of_the_first(blocks):
    clients = [{"User-Agent": f"scraper/{i}"} for i in range(9)]
    for client in clients[:8]:
        delta(blocks, "heap", client)
    assert "  delta_clients: 8\n" in blocks.get("/agent").text
    blocks.ask("churn", "churned")
    assert objects(delta(blocks, "heap", clients[0]), "churn_blocks") == (KEPT, 0)
    assert objects(delta(blocks, "heap", clients[8]), "churn_blocks") == (0, 0)
    # The second one is forgotten, and begins where the last one stopped; the third is not.
    assert objects(delta(blocks, "heap", clients[1]), "churn_blocks") == (0, 0)
    assert objects(delta(blocks, "heap", clients[3]), "churn_blocks") == (KEPT, 0)
    assert "  delta_clients: 8\n" in blocks.get("/agent").text


def test_parameters_of_delta_paths_are_ignored(blocks):
    delta(blocks, "heap", query="?debug=1&seconds=1&gc=1")
    assert objects(delta(blocks, "heap", query="?seconds=x"), "churn_blocks") == (0, 0)


def test_head_leaves_the_differences_as_they_are(blocks):
    answer = blocks.get("/delta_heap", method="HEAD", headers=ALLOY)
    assert answer.status == 200 and not answer.body
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="delta_heap"'
    assert objects(delta(blocks, "heap", ALLOY), "churn_blocks") == (KEPT, 0)


def test_delta_paths_are_not_in_the_index(blocks):
    assert "delta_" not in blocks.get("/debug/pprof/").text
    assert blocks.get("/delta_allocs").status == 404
    assert blocks.get("/delta_heap", method="POST").status == 405


# ------------------------------------------------------------------ delta_mutex, delta_block

WAITERS = 3


def contend(target):
    """Main keeps a mutex that others want; what the waiters measured."""
    return pairs(target.ask(f"mutex 100 {WAITERS} 1", "mutex"))


def of_main(profile):
    """How often main's critical sections ended with others waiting."""
    return sum(s.values["contentions"] for s in profile.samples if s.has("holder_gives_up"))


@pytest.fixture
def contender(start):
    """Contention that the settings record, all of it."""
    target = start([victim("v_contend")], buffer="64M", **CONTENTION)
    target.expect("ready")
    return target


@pytest.fixture
def unrecorded(start):
    """Contention that the settings leave off."""
    target = start([victim("v_contend")], buffer="64M")
    target.expect("ready")
    return target


SAMPLED = {"block_rate_ns": 100_000, "mutex_fraction": 10}
OFF = {"block_rate_ns": 0, "mutex_fraction": 0}


def agent(target):
    return json.loads(target.get("/agent?format=json").text)


def test_contention_is_given_once_and_adds_up(contender):
    for kind in ("mutex", "block"):
        assert not delta(contender, kind).samples  # and from now on it is recorded
    given = []
    for _ in range(3):
        truth = contend(contender)
        mutex, block = delta(contender, "mutex"), delta(contender, "block")
        assert of_main(mutex) == 1
        assert block.total_at("contentions", "lock_mutex") == WAITERS
        assert 0.8 * truth["charged"] < mutex.total("delay") <= 1.2 * truth["waited"]
        assert 0.8 * truth["waited"] < block.total_at("delay", "lock_mutex") <= truth["waited"]
        given.append((mutex, block))
    for number, kind in enumerate(("mutex", "block")):
        for value in ("contentions", "delay"):
            assert (sum(both[number].total(value) for both in given)
                    == plain(contender, f"/{kind}").total(value) > 0)
        assert not delta(contender, kind).samples  # nothing has happened since


def test_recording_goes_on_for_a_client_and_its_delta_is_its_own(contender):
    delta(contender, "mutex", ALLOY)
    contend(contender)
    assert of_main(delta(contender, "mutex", PYROSCOPE)) == 1
    contend(contender)
    assert of_main(delta(contender, "mutex", ALLOY)) == 2
    assert of_main(delta(contender, "mutex", PYROSCOPE)) == 1


def test_head_begins_no_recording(unrecorded):
    assert unrecorded.get("/delta_block", method="HEAD", headers=ALLOY).status == 200
    contend(unrecorded)
    assert not plain(unrecorded, "/block").samples
    delta(unrecorded, "block")
    contend(unrecorded)
    assert plain(unrecorded, "/block").samples


def test_delta_clients_have_what_the_settings_leave_off_recorded_at_moderate_rates(unrecorded):
    assert agent(unrecorded)["recording"] == OFF
    delta(unrecorded, "block")
    assert agent(unrecorded)["recording"] == OFF | {"block_rate_ns": SAMPLED["block_rate_ns"]}
    delta(unrecorded, "mutex")
    assert agent(unrecorded)["recording"] == SAMPLED
    waiting = Later(unrecorded, "/mutex?seconds=2")  # that one is exact
    until("rate 1", lambda: agent(unrecorded)["recording"]["mutex_fraction"] == 1)
    waiting.answer()
    assert agent(unrecorded)["recording"] == SAMPLED


def test_rates_of_the_settings_hold_for_delta_clients_too(contender):
    delta(contender, "block")
    delta(contender, "mutex")
    assert agent(contender)["recording"] == {"block_rate_ns": 1, "mutex_fraction": 1}


ROUNDS = 1500


@pytest.mark.alone
def test_sampled_totals_are_those_of_the_program(unrecorded):
    """Each round main's critical section ends once with a waiter: ROUNDS events, one in ten of them
    is recorded and stands for ten. The sum has the standard deviation 10 * sqrt(ROUNDS * 0.1 *
    0.9) = 116; a right one is further away than five of them once in 1.7 million runs. Each wait is
    longer than the block rate, and so kept as it is."""
    for kind in ("mutex", "block"):
        delta(unrecorded, kind)
    truth = pairs(unrecorded.ask(f"mutex 1 1 {ROUNDS}", "mutex"))
    mutex, block = delta(unrecorded, "mutex"), delta(unrecorded, "block")
    deviation = 10 * (ROUNDS * 0.1 * 0.9) ** 0.5
    assert abs(of_main(mutex) - ROUNDS) < 5 * deviation
    assert of_main(mutex) % 10 == 0
    assert block.total_at("contentions", "lock_mutex") == ROUNDS
    assert 0.8 * truth["waited"] < block.total_at("delay", "lock_mutex") <= truth["waited"]


@pytest.mark.slow  # of 15 s each
def test_recording_ends_three_periods_after_the_last_request(unrecorded):
    """Two requests at once make the shortest period there is, 15 s."""
    for kind in ("mutex", "block", "mutex", "block"):
        delta(unrecorded, kind)
    state = agent(unrecorded)
    assert state["tables"]["delta_clients"] == 2 and state["recording"] == SAMPLED
    until("the clients forgotten",
          lambda: agent(unrecorded)["tables"]["delta_clients"] == 0, deadline_s=45 + DEADLINE_S)
    state = agent(unrecorded)
    assert state["recording"] == OFF and state["kept_for_clients"]["delta_bytes"] == 0
    contend(unrecorded)
    assert not plain(unrecorded, "/block").samples
    assert not delta(unrecorded, "block").samples  # begins anew
    contend(unrecorded)
    assert delta(unrecorded, "block").total_at("contentions", "lock_mutex") == WAITERS


# ------------------------------------------------------------------ fgprof


@pytest.fixture
def parked(start):
    """v_park, with the tids of its threads by kind."""
    target = start([victim("v_park")])
    target.expect("ready")
    target.threads = pairs(target.ask("states", "states"))
    return target


def wall(target, seconds=2):
    answer = target.get(f"/debug/fgprof?seconds={seconds}")
    profile = acceptable(answer)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="fgprof"'
    assert profile.types == WALL_TYPES
    assert profile.period_type == "wallclock/nanoseconds"
    assert profile.proto.duration_nanos >= 0.99e9 * seconds
    assert profile.proto.period >= 1e9 / 99 * 0.99
    assert not any("libpprofagent" in f for s in profile.samples for f in s.mappings)
    return profile


def switches(target, thread):
    text = Path(f"/proc/{target.pid}/task/{thread}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1))


@pytest.mark.alone
def test_each_thread_has_all_of_the_time_where_it_was(parked):
    profile = wall(parked)
    whole = profile.proto.duration_nanos
    tids = profile.by_label("tid", "time")
    assert set(tids) == set(parked.threads.values()) | {parked.pid}
    for tid, time in tids.items():
        assert abs(time - whole) <= 0.1 * whole, (tid, time, whole)
    for kind, tid in parked.threads.items():
        if kind == "main":
            continue
        stacks = [s for s in profile.samples if s.labels["tid"] == tid]
        assert {s.labels["thread"] for s in stacks} == {kind}
        at_home = sum(s.values["time"] for s in stacks if s.has(f"park_{kind}"))
        assert at_home >= 0.9 * whole, (kind, at_home, whole)


def test_sleepers_are_not_woken(parked):
    sleepers = [parked.threads[kind] for kind in ("poll", "epoll_wait", "select")]
    before = [switches(parked, tid) for tid in sleepers]
    wall(parked, seconds=1)
    assert [switches(parked, tid) for tid in sleepers] == before


@pytest.mark.alone
def test_a_thread_that_works_half_the_time_is_seen_at_work_and_at_rest(start):
    target = start([victim("v_spin"), "50", "100"])
    target.expect("ready")
    profile = wall(target, seconds=3)
    whole = profile.proto.duration_nanos
    names = profile.by_label("thread", "time")
    assert abs(names["spin-0"] - whole) <= 0.1 * whole
    assert abs(names["spin-1"] - whole) <= 0.1 * whole
    busy = {name: sum(s.values["time"] for s in profile.samples
                      if s.labels["thread"] == name and s.has("spin_three|spin_one"))
            for name in ("spin-0", "spin-1")}
    assert busy["spin-1"] >= 0.9 * whole
    assert 0.3 * whole < busy["spin-0"] < 0.95 * whole


@pytest.mark.alone
def test_threads_that_do_not_answer_count_at_a_place_of_their_own(start):
    target = start([victim("v_park")])
    target.expect("ready")
    masked = pairs(target.ask("masked", "masked"))
    profile = wall(target)
    silent = profile.by_label("tid", "time")[masked["raw"]]
    assert abs(silent - profile.proto.duration_nanos) <= 0.1 * profile.proto.duration_nanos
    assert {tuple(s.names) for s in profile.samples
            if s.labels["tid"] == masked["raw"]} == {("[no answer]",)}


@pytest.mark.alone
def test_folded_stacks_are_nanoseconds(parked):
    answer = parked.get("/debug/fgprof?seconds=1&format=folded&thread=off")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    rows = [line.rsplit(" ", 1) for line in answer.text.splitlines()]
    sleep = [int(ns) for stack, ns in rows if ";park_nanosleep;" in stack]
    assert len(sleep) == 1 and 900_000_000 < sleep[0] < 5_000_000_000
    running = sum(int(ns) for stack, ns in rows if ";park_running" in stack)
    assert abs(running - sleep[0]) <= 0.1 * sleep[0]
    main = next(stack for stack, _ in rows if ";main;" in stack)
    assert main.startswith("_start;")


def test_bad_parameters_of_fgprof(parked):
    for query, text in (("seconds=0", "bad seconds"), ("seconds=x", "bad seconds"),
                        ("seconds=1&format=svg", "unknown format")):
        answer = parked.get(f"/debug/fgprof?{query}")
        assert answer.status == 400 and answer.text.startswith(text)
        assert answer.headers["X-Go-Pprof"] == "1"


def test_one_fgprof_at_a_time_and_a_client_that_leaves_ends_it(parked):
    clients = [socket.create_connection(("127.0.0.1", parked.port)) for _ in range(2)]
    for client in clients:
        client.sendall(b"GET /debug/fgprof?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # Of two that come at once either may be the first.
    refused, = select.select(clients, [], [], DEADLINE_S)[0]
    answer = http.client.HTTPResponse(refused)
    answer.begin()
    assert (answer.status, answer.read()) == (
        500, b"Could not enable fgprof: wall-clock profiling already in use\n")
    assert answer.headers["X-Go-Pprof"] == "1"
    for client in clients:
        client.close()
    until("its place is free", lambda: parked.get("/debug/fgprof?seconds=1").status == 200)


@pytest.mark.alone
def test_fgprof_and_a_cpu_profile_at_the_same_time(parked):
    cpu = Later(parked, "/profile?seconds=2")
    profile = wall(parked)
    assert cpu.answer().status == 200
    assert profile.total("time", "park_nanosleep") >= 0.9 * profile.proto.duration_nanos


# ------------------------------------------------------------------ gperftools

ALIASES = {"heap": "heap", "growth": "allocs", "contention": "mutex", "cmdline": "cmdline",
           "symbol": "symbol"}


def get(target, path, **kwargs):
    return request(target.port, path, **kwargs)


@pytest.mark.parametrize("path", ALIASES)
def test_paths_of_gperftools_are_those_of_go(blocks, path):
    def same(query):
        theirs = get(blocks, f"/pprof/{path}{query}")
        ours = blocks.get(f"/{ALIASES[path]}{query}")
        keep = ("Content-Type", "Content-Disposition", "X-Go-Pprof", "X-Content-Type-Options")
        assert theirs.status == ours.status
        assert [theirs.headers.get(k) for k in keep] == [ours.headers.get(k) for k in keep]
        return theirs, ours
    theirs, ours = same("")
    if path in ("cmdline", "symbol"):
        assert theirs.body == ours.body
    else:
        assert Profile(theirs.body).types == Profile(ours.body).types
        same("?debug=1")
        same("?seconds=x")
        same("?seconds=1&debug=1")


def test_other_paths_of_gperftools_are_unknown(blocks):
    for path in ("", "/", "/pmuprofile", "/block", "/nosuch"):
        answer = get(blocks, f"/pprof{path}")
        assert (answer.status, answer.text) == (404, "Unknown profile\n")


def test_symbols_are_posted_to_the_path_of_gperftools(blocks):
    leaf = next(s for s in plain(blocks, "/heap").samples if s.names[0] == "keep_blocks")
    address = leaf.addresses[0]
    answer = get(blocks, "/pprof/symbol", method="POST", body=f"{address:#x}")
    assert answer.text == f"num_symbols: 1\n{address:#x} keep_blocks\n"
    assert get(blocks, "/pprof/symbol").text == "num_symbols: 1\n"
    assert get(blocks, "/pprof/heap", method="POST").status == 405


# ------------------------------------------------------------------ go tool pprof


def test_pprof_reads_the_paths_of_gperftools(pprof, start):
    target = start([victim("v_spin")])
    target.expect("ready")
    base = f"http://127.0.0.1:{target.port}/pprof"
    out, _ = pprof("-top", f"{base}/heap")
    assert "Type: inuse_space" in out
    out, _ = pprof("-top", f"{base}/growth")
    assert "Type: alloc_space" in out
    out, _ = pprof("-top", "-sample_index=delay", f"{base}/contention")
    assert "Type: delay" in out
    out, _ = pprof("-top", f"{base}/profile?seconds=1")
    assert "Type: cpu" in out and "spin_three" in out


def test_pprof_reads_fgprof_and_deltas(pprof, start):
    target = start([victim("v_blocks"), "1", "1024"], **EXACT)
    target.expect("ready")
    base = f"http://127.0.0.1:{target.port}/debug"
    out, _ = pprof("-top", f"{base}/fgprof?seconds=1")
    assert "Type: time" in out and "main" in out
    out, _ = pprof("-top", "-sample_index=alloc_space", f"{base}/pprof/delta_heap")
    assert "churn_blocks" in out
    out, _ = pprof("-top", f"{base}/pprof/delta_mutex")
    assert "Type: delay" in out
