# SPDX-License-Identifier: Apache-2.0
"""format=top and format=folded, and the label of threads."""
import re
from collections import Counter

import pytest

from lib import contention_turn
from lib.harness import CONTENTION, until, victim
from lib.profiles import Profile

TEXT = "text/plain; charset=utf-8"
HEAP = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
WAITS = ("contentions", "delay")
# Of two programs that stand still: each request gets the same profile.
STILL = [("waits", "block", WAITS), ("waits", "mutex", WAITS),
         ("waits", "threadcreate", ("threadcreate",)), ("blocks", "heap", HEAP),
         ("blocks", "allocs", HEAP), ("blocks", "goroutine", ("goroutine",))]


@pytest.fixture(scope="module")
def still(shared_start):
    waits = shared_start([victim("v_contend")], **CONTENTION)
    waits.expect("ready")
    for kind in ("mutex", "write"):
        contention_turn.Turn(waits, f"{kind} 20 3 2")
    blocks = shared_start([victim("v_cxx")], heap_rate=1)
    blocks.expect("ready")
    targets = {"waits": waits, "blocks": blocks}
    # A profile whose lines were not all read in its time says so, and the next one has more.
    until("all lines are read", lambda: not any(
        "names only" in comment for who, name, _ in STILL
        for comment in Profile(targets[who].get(f"/{name}").body).comments))
    return targets


def without_time(text):
    """Versions of pprof write the time in two ways."""
    return re.sub(r"^Time: .*\n", "", text, flags=re.M)


# Values of each unit, all rows and some; pprof takes a while for each.
TOPS = [("waits", "block", "contentions", "0"), ("waits", "block", "delay", "3"),
        ("waits", "mutex", "delay", "0"), ("waits", "threadcreate", "threadcreate", "1"),
        ("blocks", "heap", "alloc_objects", "0"), ("blocks", "heap", "alloc_space", "5"),
        ("blocks", "heap", "inuse_objects", "2"), ("blocks", "heap", "", ""),
        ("blocks", "allocs", "", ""), ("blocks", "goroutine", "goroutine", "0")]


@pytest.mark.parametrize("who, name, kind, rows", TOPS, ids=lambda x: x)
def test_top_is_the_text_of_pprof(pprof, still, tmp_path, who, name, kind, rows):
    target, path = still[who], tmp_path / "profile"
    path.write_bytes(target.get(f"/{name}").body)
    answer = target.get(f"/{name}?format=top&type={kind}&n={rows}")
    assert answer.status == 200 and answer.headers["Content-Type"] == TEXT
    assert re.search(r"^Time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", answer.text, re.M)
    out, _ = pprof("-symbolize=none", "-top", f"-nodecount={rows or 40}",
                   f"-sample_index={kind}", str(path))
    assert without_time(answer.text) == without_time(out)
    assert len(answer.text.splitlines()) > 5
    assert name != "heap" or rows or "(inline)" in answer.text


def folded(profile, kind):
    """{stack: value} as format=folded has to have it."""
    sums = Counter()
    for sample in profile.samples:
        thread = [sample.labels["thread"]] if "thread" in sample.labels else []
        names = [name.replace(";", ":") for name in (*thread, *reversed(sample.names))]
        sums[";".join(names)] += sample.values[kind]
    return Counter({stack: value for stack, value in sums.items() if value > 0})


def lines_of(text):
    """{stack: value}; stacks of the same names may differ in addresses."""
    sums = Counter()
    for line in text.splitlines():
        stack, value = re.fullmatch(r"(\S.*) (\d+)", line).groups()
        sums[stack] += int(value)
    return sums


@pytest.mark.parametrize("who, name, types", STILL, ids=lambda x: x if isinstance(x, str) else "")
def test_folded_stacks_are_those_of_the_profile(still, who, name, types):
    target = still[who]
    profile = Profile(target.get(f"/{name}").body)
    for kind in types:
        answer = target.get(f"/{name}?format=folded&type={kind}")
        assert answer.status == 200 and answer.headers["Content-Type"] == TEXT
        assert lines_of(answer.text) == folded(profile, kind)


def test_changes_have_formats_too(still):
    for path in ("/heap?seconds=1&format=top", "/delta_heap?format=top&type=alloc_space",
                 "/delta_block?format=folded"):
        who = "waits" if "block" in path else "blocks"
        answer = still[who].get(path)
        assert answer.status == 200 and answer.headers["Content-Type"] == TEXT, path
        head = still[who].get(path, method="HEAD")
        assert head.headers["Content-Type"] == TEXT
        assert "Content-Disposition" not in head.headers


BAD = [
    ("/heap?format=svg", "unknown format: there are pprof, folded and top"),
    ("/delta_heap?format=svg", "unknown format: there are pprof, folded and top"),
    ("/profile?format=svg", "unknown format: there are pprof, folded and top"),
    ("/heap?format=top&debug=1", "format and debug params are incompatible"),
    ("/heap?format=top&type=cpu", "unknown type: there are alloc_objects, alloc_space, "
                                  "inuse_objects and inuse_space"),
    ("/goroutine?format=folded&type=cpu", "unknown type: there is goroutine"),
    ("/heap?format=top&n=-1", 'invalid value for "n" - must be an integer >= 0'),
    ("/goroutine?thread=x", 'invalid value for "thread" - must be name, pool or off'),
]


@pytest.mark.parametrize("path, text", BAD, ids=[path for path, _ in BAD])
def test_bad_values_are_400_with_what_there_is(still, path, text):
    answer = still["blocks"].get(path)
    assert (answer.status, answer.text) == (400, text + "\n")
    assert answer.headers["X-Go-Pprof"] == "1"


@pytest.fixture(scope="module")
def pool(shared_start):
    target = shared_start([victim("v_spin"), "50", "100"], thread_label="pool")
    target.expect("ready")
    return target


def labels(profile):
    return {(s.labels.get("thread"), "tid" in s.labels) for s in profile.samples}


def test_threads_of_a_pool_have_one_label(pool):
    profile = Profile(pool.get("/profile?seconds=1").body)
    assert ("spin-*", False) in labels(profile)
    assert not any(has_tid for _, has_tid in labels(profile))
    stacks = [(tuple(s.addresses), s.labels["thread"]) for s in profile.samples]
    assert len(set(stacks)) == len(stacks)
    top = pool.get("/profile?seconds=1&format=top").text
    assert re.search(r"^Type: cpu$", top, re.M) and re.search(r" spin_three$", top, re.M)


def test_a_request_chooses_the_label(pool):
    named = labels(Profile(pool.get("/goroutine?thread=name").body))
    assert {("spin-0", True), ("spin-1", True)} <= named
    nameless = Profile(pool.get("/goroutine?thread=off").body)
    assert labels(nameless) == {(None, False)}
    text = pool.get("/goroutine?format=folded").text
    assert "\nspin-*;" in "\n" + text and "spin-0" not in text
    assert "spin-" not in pool.get("/goroutine?format=folded&thread=off").text
    assert 'thread: "spin-0"' in pool.get("/goroutine?debug=2").text


def test_tid_is_a_number_to_pprof(pprof, pool, tmp_path):
    path = tmp_path / "goroutine"
    path.write_bytes(pool.get("/goroutine?thread=name").body)
    tid = next(s.labels["tid"] for s in Profile(path.read_bytes()).samples
               if s.labels["thread"] == "spin-1")
    tags, _ = pprof("-symbolize=none", "-tags", str(path))
    assert re.search(rf"^ .*: +{tid}$", tags, re.M), tags
    for focus in (f"tid={tid}", f"{tid}:{tid}"):
        top, _ = pprof("-symbolize=none", "-top", f"-tagfocus={focus}", str(path))
        assert "accounting for 1, " in top
