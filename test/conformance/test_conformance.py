# SPDX-License-Identifier: Apache-2.0
"""The agent answers as Go's net/http/pprof does, but for what is decided."""
import os
import re

import pytest

from conformance import consumers, contract, programs, protos
from conformance.comparison import DIFFERENT, all_items
from lib.go_tools import Pprof, go_tools

GOS = go_tools()


@pytest.mark.parametrize("go", list(GOS))
@pytest.mark.parametrize("key", [item.key for item in all_items()])
def test_row(outcome, key, go):
    verdict = outcome.verdicts[key, go]
    assert verdict.state != DIFFERENT, verdict.differences


def test_there_is_a_go_to_compare_with():
    assert GOS


def test_each_row_is_asked_once():
    keys = [item.key for item in all_items()]
    assert len(keys) == len(set(keys)), sorted(k for k in set(keys) if keys.count(k) > 1)


def test_every_row_of_the_contract_is_asked():
    assert contract.missing() == []
    assert not contract.asked_ids() & set(contract.PLACES)


@pytest.mark.parametrize("one", list(contract.PLACES))
def test_what_is_not_asked_is_elsewhere(one):
    path, name, _ = contract.PLACES[one]
    assert name in (programs.HERE / path).read_text(encoding="utf-8")


def test_every_decision_still_explains_something(outcome):
    assert [(d.reason, d.rows, go) for d, go in outcome.stale()] == []


@pytest.mark.parametrize("rule", [r for r in consumers.RULES if r.check],
                         ids=lambda rule: f"{rule.who}: {rule.text}")
def test_rule(complaints, rule):
    found, counted = complaints
    assert counted[rule] > 0
    assert found.get(rule, []) == []


# ------------------------------------------------------------------ the real go tool pprof


@pytest.fixture(scope="module", params=list(GOS))
def pprof(request, tmp_path_factory):
    return Pprof(GOS[request.param], tmp_path_factory.mktemp("pprof"))


@pytest.fixture(scope="module")
def files(outcome, tmp_path_factory):
    """{name: files of whole profiles and of deltas}"""
    folder, found = tmp_path_factory.mktemp("profiles"), {}
    for number, (row, answer) in enumerate(outcome.answers):
        name = re.search(r'filename="([\w-]+)"', answer.header("Content-Disposition") or "")
        if name and answer.body and len(found.setdefault(name.group(1), [])) < 2:
            path = folder / f"{number}-{name.group(1)}.pb.gz"
            path.write_bytes(answer.body)
            found[name.group(1)].append(str(path))
    return found


NAMES = ["allocs", "block", "goroutine", "heap", "mutex", "threadcreate"]


@pytest.mark.parametrize("name", [*NAMES, "profile", *(f"{n}-delta" for n in NAMES)])
def test_pprof_reads(pprof, files, name):
    out, _ = pprof("-raw", files[name][0])
    assert "PeriodType:" in out and "Mappings" in out


@pytest.mark.parametrize("name, view", [("heap", "inuse_space"), ("allocs", "alloc_space"),
                                        ("block", "delay"), ("mutex", "delay"),
                                        ("goroutine", "goroutine"), ("profile", "cpu")])
def test_pprof_shows_the_default_view(pprof, files, name, view):
    assert f"Type: {view}\n" in pprof("-top", files[name][0])[0]


def test_pprof_merges_and_subtracts(pprof, files):
    one, two = files["heap"][:2]
    assert "keeper" in pprof("-top", one, two)[0]
    assert "keeper" not in pprof("-top", "-base", one, two)[0]


def test_inlined_frames_share_a_location(outcome):
    body = next(a.body for row, a in outcome.main_answers if row.key == "N1 GET heap")
    p = protos.decode(body)
    lines = [[p.string_table[p.function[line.function_id - 1].name] for line in loc.line]
             for loc in p.location]
    assert any(len(names) > 1 and names[-1] == "main" for names in lines), lines


# ------------------------------------------------------------------ the lists


def test_places_of_rules_exist():
    root = programs.harness.ROOT
    for rule in consumers.RULES:
        path, name = rule.place().split(" ")
        if name.startswith("profiles."):
            path, name = "test/lib/profiles.py", name.split(".")[1]
        text = (root / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.M), rule


def test_the_public_header_is_used_once_there_is_one():
    """Then the victim makes its custom profile, and what decided.py says of them goes."""
    header = programs.harness.ROOT / "agent" / "pprofagent.h"
    victim = (programs.HERE / "victim.c").read_text(encoding="utf-8")
    assert not header.exists() or f'"{os.path.basename(header)}"' in victim
