# SPDX-License-Identifier: Apache-2.0
"""Many clients at once: they wait for each other, and what is kept for them has a limit."""
import http.client
import json
import threading

import pytest

from lib.harness import CONTENTION, DEADLINE_S, EXACT, PREFIX, until, victim
from lib.profiles import Profile

STACKS = 5_000


@pytest.fixture
def stacks(start):
    """A program with a heap profile that takes a while."""
    target = start([victim("v_stacks"), STACKS], **EXACT)
    target.expect("ready")
    return target


def agent(target):
    return json.loads(target.get("/agent?format=json").text)


class Crowd:
    """Clients that ask for paths, each one after the other; their answers by path."""

    def __init__(self, target, clients):
        self.answers, self.errors = [], []
        self.threads = [threading.Thread(target=self._ask, args=(target, paths))
                        for paths in clients]
        for thread in self.threads:
            thread.start()

    def _ask(self, target, paths):
        for path in paths:
            try:
                self.answers.append((path, target.get(path)))
            except OSError as error:
                self.errors.append((path, error))

    def is_there(self):
        return any(thread.is_alive() for thread in self.threads)

    def statuses(self):
        for thread in self.threads:
            thread.join()
        assert not self.errors
        return [answer.status for _, answer in self.answers]


def test_scrapers_at_once_all_get_their_profiles(stacks):
    crowd = Crowd(stacks, [["/heap", "/goroutine"] * 10] * 5)
    assert crowd.statuses() == [200] * 100
    heaps = [answer.body for path, answer in crowd.answers if path == "/heap"]
    assert Profile(heaps[-1]).total_at("alloc_objects", "keep_block") == STACKS


def test_short_answers_do_not_wait_for_seventeen_long_ones(stacks):
    """One at work and sixteen that wait: more than there are workers."""
    crowd = Crowd(stacks, [["/heap"]] * 17)
    seen = 0
    while crowd.is_there():
        for path in ("/cmdline", "/agent", "/symbol"):
            assert stacks.get(path).status == 200
            seen += 1
    assert crowd.statuses() == [200] * 17
    assert seen
    # The last one has its answer before its worker gives the buffer back.
    until("all buffers are given back",
          lambda: agent(stacks)["kept_for_clients"]["job_bytes"] == 0)


def test_no_hook_waits_for_eight_clients(start):
    """Not for thread dumps: the handler of their signal reads code by a system call, which waits
    for the kernel's lock of the address space. The first round maps what the agent needs."""
    target = start([victim("v_nowait")], **CONTENTION)
    target.expect("ready")
    paths = ["/heap", "/mutex", "/block?debug=1", "/heap?debug=1", "/delta_heap"]
    clients = [["/profile?seconds=1&share=1"] * 2] * 4 + [paths * 20] * 4
    crowd, waits = Crowd(target, clients), []
    while crowd.is_there():
        waits.append(target.ask("again", "waits"))
    assert set(crowd.statuses()) == {200}
    assert set(waits[1:]) == {"waits 0"}, waits


# ------------------------------------------------------------------ what is kept for them

MANY_STACKS = 30_000
LIMIT_BYTES = 16 << 20


class Waiter:
    """Waits for a profile of a day, unless it is refused."""

    def __init__(self, target):
        self.connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=0.5)
        self.connection.request("GET", f"{PREFIX}/heap?seconds=99999")

    def leave(self):
        self.connection.close()


def kept(target):
    counters = agent(target)["kept_for_clients"]
    uses = ("delta_bytes", "waiting_bytes", "flight_bytes", "tree_bytes", "job_bytes")
    return counters, sum(counters[use] for use in uses)


def test_what_is_kept_for_clients_has_a_limit(start):
    """Each heap profile is some MiB; all clients together want some hundred. Two requests at once
    make the shortest period of a delta client, 15 s: it is known for three of them."""
    target = start([victim("v_stacks"), MANY_STACKS], **EXACT)
    target.expect("ready")
    for kind in ("heap", "mutex", "block"):
        for client in [f"client {i}" for i in range(8)] * 2:
            answer = target.get(f"/delta_{kind}", headers={"User-Agent": client})
            assert answer.status == 200
    waiters = [Waiter(target) for _ in range(6)]
    until("all waiters wait or are refused", lambda: kept(target)[0]["waiting_bytes"] and
          kept(target)[0]["refused"])
    assert target.get("/heap?debug=1").status == 200
    assert target.get("/goroutine?debug=2").status == 200
    counters, _ = kept(target)
    assert counters["limit_bytes"] == LIMIT_BYTES
    assert LIMIT_BYTES / 4 < counters["peak_bytes"] <= LIMIT_BYTES
    assert counters["deltas_dropped"]
    for waiter in waiters:
        waiter.leave()
    until("nothing is kept", lambda: kept(target)[1] == 0, deadline_s=45 + DEADLINE_S)
    assert kept(target)[0]["peak_bytes"] <= LIMIT_BYTES
