# SPDX-License-Identifier: Apache-2.0
"""Each rule that is checked refuses something."""
import gzip
import time

import pytest

from conformance import consumers
from conformance.ask import Answer
from conformance.rows import Row
from lib.profiles import profile_pb2

PROGRAM = "/opt/program"
GOOD = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store"}
BAD = dict(GOOD, **{"Content-Type": "text/plain; charset=utf-8", "X-Go-Pprof": "1"})


class Maker:
    """A small profile that keeps to all rules."""

    def __init__(self, kinds=(("alloc_objects", "count"), ("alloc_space", "bytes"))):
        self.p = profile_pb2.Profile(time_nanos=int(time.time() * 1e9), period=1)
        self.text("")
        for kind, unit in kinds:
            self.p.sample_type.add(type=self.text(kind), unit=self.text(unit))
        self.p.period_type.type = self.text("space")
        self.p.period_type.unit = self.text("bytes")
        self.p.mapping.add(id=1, memory_start=0x1000, memory_limit=0x2000, has_functions=True,
                           filename=self.text(PROGRAM), build_id=self.text("abcd"))
        self.p.function.add(id=1, name=self.text("main"), system_name=self.text("main"))
        for number in (1, 2):
            location = self.p.location.add(id=number, mapping_id=1, address=0x1000 + number)
            location.line.add(function_id=1, line=3)
        self.sample([1], [1, 2])
        self.sample([2, 1], [3, 4])

    def text(self, text):
        table = self.p.string_table
        if text not in table:
            table.append(text)
        return list(table).index(text)

    def sample(self, stack, values):
        sample = self.p.sample.add(location_id=stack, value=values)
        sample.label.add(key=self.text("thread"), str=self.text("one"))
        return sample

    def bytes(self):
        return gzip.compress(self.p.SerializeToString())


def value_missing(m):
    del m.p.sample[0].value[1]


def location_unknown(m):
    m.p.location[0].line[0].function_id = 7


def ids_with_a_gap(m):
    m.p.function[0].id = 2


def name_missing(m):
    del m.p.location[0].line[:]


def program_second(m):
    m.p.mapping[0].filename = m.text("/lib/libc.so.6")


def not_symbolized(m):
    m.p.mapping[0].has_functions = False


def build_id_of_text(m):
    m.p.mapping[0].build_id = m.text("not hexadecimal")


def build_id_missing(m):
    m.p.mapping[0].build_id = 0


def first_string_used(m):
    m.p.string_table[0] = "x"


def executable_info(m):
    m.p.comment.append(m.text("executableInfo=2"))


def nul_in_a_name(m):
    m.p.string_table[m.p.function[0].name] = "ma\0in"


def dash_in_a_type(m):
    m.p.sample_type[0].type = m.text("alloc-objects")


def endless_name(m):
    m.p.function[0].name = m.text("x" * 65536)


def too_many_samples(m):
    for _ in range(16000):
        m.sample([1], [1, 1])


def old(m):
    m.p.time_nanos = 1


BREAKS = [value_missing, location_unknown, ids_with_a_gap, name_missing, program_second,
          not_symbolized, build_id_of_text, build_id_missing, first_string_used, executable_info,
          not_symbolized, nul_in_a_name, dash_in_a_type, endless_name, too_many_samples, old]


def test_a_good_profile_keeps_to_all_rules():
    for rule in consumers.OF_PROFILES:
        assert consumers.broken(rule, Maker().p, PROGRAM) is None, rule


def test_each_rule_of_profiles_has_its_break():
    assert len(BREAKS) == len(consumers.OF_PROFILES)


@pytest.mark.parametrize("rule, spoil", zip(consumers.OF_PROFILES, BREAKS),
                         ids=lambda one: getattr(one, "__name__", None))
def test_rule_of_profiles_refuses(rule, spoil):
    maker = Maker()
    spoil(maker)
    assert consumers.broken(rule, maker.p, PROGRAM) is not None


def answer(status=200, headers=None, body=None):
    return Answer(status, list((GOOD if headers is None else headers).items()),
                  Maker().bytes() if body is None else body)


HEAP = Row("N1", "heap")
BAD_ANSWERS = [
    answer(body=b"<html>"),
    answer(headers=BAD),
    answer(headers=dict(GOOD, **{"Content-Encoding": "gzip"})),
    answer(404, GOOD, b"nothing"),
    answer(308, BAD, b"moved"),
    answer(body=b""),
    answer(headers={"Content-Type": "application/octet-stream"}),
]


def test_good_answers_keep_to_all_rules():
    for rule in consumers.OF_ANSWERS:
        assert consumers.broken(rule, HEAP, answer()) is None, rule
        assert consumers.broken(rule, HEAP, answer(404, BAD, b"Unknown profile\n")) is None, rule


def test_each_rule_of_answers_has_its_break():
    assert len(BAD_ANSWERS) == len(consumers.OF_ANSWERS)


@pytest.mark.parametrize("rule, bad", zip(consumers.OF_ANSWERS, BAD_ANSWERS),
                         ids=lambda one: getattr(getattr(one, "check", None), "__name__", None))
def test_rule_of_answers_refuses(rule, bad):
    assert consumers.broken(rule, HEAP, bad) is not None


WAITS = (("contentions", "count"), ("delay", "nanoseconds"))


def scrapes():
    return {"allocs": [Maker().bytes(), Maker().bytes()],
            "block": [Maker(WAITS).bytes(), Maker(WAITS).bytes()],
            "mutex": [Maker(WAITS).bytes(), Maker(WAITS).bytes()]}


def test_good_scrapes_keep_to_all_rules():
    for rule in consumers.OF_SCRAPES:
        assert consumers.broken(rule, scrapes()) is None, rule


def moved(maker):
    maker.p.location[1].address += 8


def shrunk(maker):
    maker.p.sample[1].value[0] = 1


@pytest.mark.parametrize("spoil", [moved, shrunk])
def test_scrapes_that_cannot_be_subtracted_are_refused(spoil):
    found, second = scrapes(), Maker()
    spoil(second)
    found["allocs"][1] = second.bytes()
    assert consumers.broken(consumers.OF_SCRAPES[2], found) is not None


def test_types_that_change_are_refused():
    found = scrapes()
    found["mutex"][1] = Maker().bytes()
    assert consumers.broken(consumers.OF_SCRAPES[0], found) is not None


def test_types_without_the_names_of_deltas_are_refused():
    found = dict(scrapes(), block=[Maker().bytes()])
    assert consumers.broken(consumers.OF_SCRAPES[1], found) is not None
