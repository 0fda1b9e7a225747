# SPDX-License-Identifier: Apache-2.0
"""Whatever allocator comes after us keeps working, and its memory is in the heap profile."""
import json
import os

import pytest

from lib.harness import AGENT, EXACT, environment, free_port, run, until, victim
from lib.profiles import heap

LIB = "/usr/lib/x86_64-linux-gnu/"
OTHERS = {
    "jemalloc after us": (AGENT, LIB + "libjemalloc.so.2"),
    "tcmalloc after us": (AGENT, LIB + "libtcmalloc_minimal.so.4"),
    "jemalloc before us": (LIB + "libjemalloc.so.2", AGENT),
    "tcmalloc before us": (LIB + "libtcmalloc_minimal.so.4", AGENT),
}


def preload_of(name):
    preload = OTHERS[name]
    for path in preload[:2]:
        if not os.path.exists(path):
            pytest.skip(f"no {path}")
    return preload


@pytest.mark.parametrize("name", [n for n in OTHERS if n.endswith("after us")])
def test_allocator_after_us_serves_and_is_seen(start, name):
    target = start([victim("v_blocks"), "16"], preload=preload_of(name), **EXACT)
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space", "keep_blocks") == 16 << 20
    assert profile.total("alloc_space", "churn_blocks") == 16 << 20
    assert any(OTHERS[name][1].split("/")[-1] in line for line in
               open(f"/proc/{target.pid}/maps", encoding="utf-8"))
    target.ask("drop", "dropped")
    assert heap(target).total("inuse_space", "keep_blocks") == 0
    assert target.finish() == 0 and target.err == ""


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("argv, word", [
    (["v_errno", "3"], b"errno changed"), (["v_threads", "500"], b"threads 500"),
    (["v_smallstack", "10"], b"smallstack"), (["v_fork", "storm", "50"], b"storm 50 wrong 0"),
    (["v_cxx", "throw", "2000"], b"caught 4000"), (["v_exit", "busy"], b"leaving"),
], ids=lambda x: x[0] if isinstance(x, list) else "")
def test_programs_run_with_it(name, argv, word):
    preload = preload_of(name)
    others = tuple(p for p in preload if p != AGENT)
    program = [victim(argv[0]), *argv[1:]]
    bare = run(program, environment(preload=others))
    agent = run(program, environment(free_port(), preload=preload, heap_rate=4096))
    assert agent[0] == bare[0] and agent[2] == bare[2]
    assert word in agent[1]


@pytest.mark.parametrize("name", [n for n in OTHERS if n.endswith("before us")])
def test_allocator_before_us_is_reported_as_not_seen(start, name):
    """It takes the calls away from us: the agent page must say so."""
    target = start([victim("v_blocks"), "16"], preload=preload_of(name))
    target.expect("ready")
    inactive = json.loads(target.get("/agent?format=json").text)["hooks_inactive"]
    assert inactive["malloc"], inactive
    assert heap(target).total("inuse_space") == 0


def test_program_with_its_own_jemalloc_is_seen(start):
    """redis is linked with jemalloc: the next in lookup order after us, not libc."""
    target = start(["/usr/bin/redis-server", "--port", free_port(), "--save", "", "--bind",
                    "127.0.0.1"], **EXACT)
    until("redis has initialised itself", lambda: heap(target).total("inuse_space") > 700_000)
    assert heap(target).total("inuse_space", "createSharedObjects") > 100_000
