# SPDX-License-Identifier: Apache-2.0
"""The comparison itself: a difference is seen, and only what is decided passes."""
import re

import pytest

from conformance import comparison, decided, shape
from conformance.ask import Answer, wire
from conformance.decided import ANY, DECISIONS, Decision

GO = "go1.19.8"
ONE = Decision("because", "section 3", [r"R8 .*"], {"status": (404, 301)}, before=(1, 22))


@pytest.fixture(autouse=True)
def one_decision(monkeypatch):
    monkeypatch.setattr(decided, "DECISIONS", [ONE])


def verdict(theirs, ours, key="R8 GET /", go=GO):
    return comparison.judge(key, go, theirs, ours)


def test_what_is_the_same_is_equal():
    assert verdict({"status": 200}, {"status": 200}).state == comparison.EQUAL


def test_what_is_decided_is_decided():
    assert verdict({"status": 404}, {"status": 301}).state == comparison.DECIDED


@pytest.mark.parametrize("theirs, ours, key, go", [
    (404, 302, "R8 GET /", GO),            # not what was decided
    (200, 301, "R8 GET /", GO),            # Go has changed
    (404, 301, "R9 GET /", GO),            # another row
    (404, 301, "R8 GET /", "go1.22.1"),    # another Go
])
def test_only_what_is_decided_is_decided(theirs, ours, key, go):
    assert verdict({"status": theirs}, {"status": ours}, key, go).state == comparison.DIFFERENT


def test_one_more_difference_is_not_covered():
    found = verdict({"status": 404, "Allow": None}, {"status": 301, "Allow": "GET"})
    assert found.state == comparison.DIFFERENT and list(found.differences) == ["Allow"]


def test_a_fact_that_one_side_lacks_is_a_difference():
    assert verdict({"a": 1}, {}).state == comparison.DIFFERENT
    assert verdict({}, {"a": 1}).state == comparison.DIFFERENT


def test_details_of_different_forms_are_not_compared():
    found = verdict({"body": "<gzip>", "proto.types": []}, {"body": "x"})
    assert list(found.differences) == ["body"]


def test_what_an_empty_profile_cannot_tell_is_not_compared():
    assert verdict({"proto.labels": None}, {"proto.labels": ["a"]}).state == comparison.EQUAL
    assert verdict({"proto.labels": ["b"]}, {"proto.labels": ["a"]}).state == comparison.DIFFERENT


def test_a_decision_that_explains_nothing_is_stale():
    outcome = comparison.Outcome([GO], {("R8 GET /", GO): verdict({}, {})}, [], [], {}, 0)
    assert [d for d, _ in outcome.stale()] == [ONE]
    outcome.verdicts["R8 GET /", GO] = verdict({"status": 404}, {"status": 301})
    assert outcome.stale() == []


def test_decisions_say_why_and_what_the_agent_answers():
    for d in DECISIONS:
        assert d.reason and d.source and d.rows and d.facts
        assert all(ours is not ANY for _, ours in d.facts.values()), d


def test_requests_go_out_as_they_are_written():
    sent = wire("GET", "//a/%2e/../b/?x=%zz", {"Host": None, "X": ["1", "2"]})
    assert sent == b"GET //a/%2e/../b/?x=%zz HTTP/1.1\r\nConnection: close\r\nX: 1\r\nX: 2\r\n\r\n"


# ------------------------------------------------------------------ shapes

HEAP = ("heap profile: 3: 30 [5: 50] @ heap/1048576\n"
        "2: 20 [3: 30] @ 0x11 0x22\n#\t0x10\tf+0x1\ta.c:1\n#\t0x21\tlonger\t+0x2\tb.c:2\n\n"
        "1: 10 [2: 20] @ 0x33\n#\t0x32\tg+0x1\ta.c:1\n\n"
        "\n# runtime.MemStats\n# Alloc = 5\n# MaxRSS = 6\n")


def facts(text):
    return shape.facts(Answer(200, [], text.encode()))


def test_numbers_and_names_do_not_matter():
    other = HEAP.replace("0x1", "0x7").replace("a.c", "zz.c").replace("@ 0x33", "@ 0x33 0x44")
    assert facts(HEAP) == facts(other)


@pytest.mark.parametrize("name, change", [
    ("text.order", ("2: 20 [3: 30] @ 0x11", "0: 0 [3: 30] @ 0x11")),
    ("text.totals", ("3: 30 [5: 50]", "3: 30 [5: 60]")),
    ("text.frames", ("#\t0x32\tg+0x1\ta.c:1", "#\t0x32\tg\ta.c:1")),
    ("text.frame pcs", ("#\t0x32", "#\t0x33")),
    ("text.records", ("[3: 30] @ 0x11 0x22", "[3: 30] @")),
    ("text.structure", ("1: 10 [2: 20] @", "1: 10 [2: 20] :")),
    ("text.head", ("heap/1048576", "heap/512")),
    ("text.tail", ("# Alloc = 5\n", "")),
    ("text.last", ("MaxRSS = 6", "MaxRSS = 6 kB")),
    ("text.structure", ("a.c:1\n\n\n#", "a.c:1\n\n#")),
    ("text.structure", ("b.c:2\n\n", "b.c:2\n")),
    ("text.mark", ("# runtime.MemStats\n", "# MemStats\n")),
])
def test_the_shape_of_a_heap_text_matters(name, change):
    assert change[0] in HEAP
    assert facts(HEAP)[name] != facts(HEAP.replace(*change)).get(name)


COUNTS = ("goroutine profile: total 3\n2 @ 0x11\n# labels: {\"a\":\"1\", \"b\":\"x y\"}\n"
          "#\t0x10\tf+0x1\ta.c:1\n\n1 @ 0x22\n#\t0x21\tg+0x1\ta.c:1\n\n")


@pytest.mark.parametrize("name, change", [
    ("text.labels", ('{"a":"1", "b":"x y"}', '{"b":"x y", "a":"1"}')),
    ("text.labels", ('"a":"1", ', '"a":1, ')),
    ("text.totals", ("total 3", "total 4")),
    ("text.order", ("2 @ 0x11", "0 @ 0x11")),
])
def test_the_shape_of_a_count_text_matters(name, change):
    assert facts(COUNTS)[name] != facts(COUNTS.replace(*change))[name]


DUMP = ("goroutine 1 [select, 2 minutes]:\nmain.f(0x1, ...)\n\t/a.go:1 +0x2\n\n"
        "goroutine 2 [running]:\nmain.g(...)\n\t/a.go:2\ncreated by main.f in goroutine 1\n"
        "\t/a.go:3 +0x4\n")


@pytest.mark.parametrize("change", [
    ("[running]:", "running:"), ("/a.go:3 +0x4\n", "/a.go:3 +0x4\n\n"), ("\t/a.go:2", "/a.go:2"),
    (" in goroutine 1", ""), ("main.g(...)", "main.g"), ("+0x2", "+2"),
])
def test_the_shape_of_a_dump_matters(change):
    assert change[0] in DUMP
    assert facts(DUMP) != facts(DUMP.replace(*change))


def test_each_key_of_a_row_is_one_word_and_a_request():
    for item in comparison.all_items():
        assert re.match(r"(M-)?[A-Z]\d+ \S", item.key), item.key
