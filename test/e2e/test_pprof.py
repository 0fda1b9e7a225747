# SPDX-License-Identifier: Apache-2.0
"""The real go tool pprof against a running program."""
import re

import pytest

from lib.harness import victim


@pytest.fixture(scope="module")
def blocks(shared_start):
    target = shared_start([victim("v_blocks"), "64"], heap_rate=4096)
    target.expect("ready")
    return target


@pytest.fixture(scope="module")
def spinner(shared_start):
    target = shared_start([victim("v_spin")])
    target.expect("ready")
    return target


def top(text):
    """{function: (flat, cum)} of a -top listing, in its own units."""
    rows = re.findall(r"^ *(\S+) +[\d.]+% +[\d.]+% +(\S+) +[\d.]+% +(.+)$", text, re.M)
    return {name.strip(): (flat, cum) for flat, cum, name in rows}


def test_top_of_the_heap(pprof, blocks):
    out, err = pprof("-top", blocks.url("/heap"))
    assert "Type: inuse_space" in out
    rows = top(out)
    assert re.fullmatch(r"6[0-9](\.\d+)?MB", rows["keep_blocks"][1]), out
    assert "File: v_blocks" in out
    assert "Build ID: " in out
    assert "churn_blocks" not in rows
    assert "error" not in err.lower(), err


def test_top_of_allocs(pprof, blocks):
    out, _ = pprof("-top", blocks.url("/allocs"))
    assert "Type: alloc_space" in out
    assert {"keep_blocks", "churn_blocks"} <= set(top(out))


def test_every_sample_index_of_the_heap(pprof, blocks):
    for index in ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space"):
        out, _ = pprof("-top", f"-sample_index={index}", blocks.url("/heap"))
        assert f"Type: {index}" in out
        assert "keep_blocks" in top(out)


def test_top_of_a_cpu_profile(pprof, spinner):
    out, _ = pprof("-top", spinner.url("/profile?seconds=2"))
    assert "Type: cpu" in out
    assert {"spin_three", "spin_one", "spin"} <= set(top(out)), out


def test_bare_host_asks_for_the_cpu_profile(pprof, spinner):
    out, err = pprof("-top", "-seconds", "1", spinner.url())
    assert "Type: cpu" in out
    assert "/debug/pprof/profile?seconds=1" in err
    assert "spin_three" in top(out)


def test_functions_keep_the_agents_names_and_lines(pprof, blocks):
    out, _ = pprof("-list", "^keep_blocks$", blocks.url("/heap"))
    assert re.search(r"\d+(\.\d+)?MB.*malloc\(kept\.size\)", out), out


def test_two_profiles_can_be_subtracted(pprof, blocks, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(blocks.get("/heap").body)
    out, _ = pprof("-top", "-base", str(tmp_path / "a"), str(tmp_path / "b"))
    assert "keep_blocks" not in top(out)


def test_tags_are_shown(pprof, spinner):
    out, _ = pprof("-tags", spinner.url("/profile?seconds=1"))
    assert "spin-0" in out


def test_error_text_reaches_the_user(pprof, blocks):
    _, err = pprof("-top", blocks.url("/heap?seconds=abc"), fails=True)
    assert "400" in err
    assert 'invalid value for "seconds"' in err


def test_unknown_profile_is_reported_as_404(pprof, blocks):
    _, err = pprof("-top", blocks.url("/nosuch"), fails=True)
    assert "404" in err and "Unknown profile" in err


def test_cxx_names_are_whole(pprof, start):
    target = start([victim("v_cxx")], heap_rate=4096)
    target.expect("ready")
    out, _ = pprof("-top", target.url("/heap"))
    assert any(name.startswith("app::Holder<long>::fill(int)") for name in top(out)), out
