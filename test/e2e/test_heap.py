# SPDX-License-Identifier: Apache-2.0
"""Heap and allocs: numbers, attribution, and the names that go with them."""
import json
import math
import re
import shutil
import subprocess

import pytest

from lib.compiled import move_debug_information
from lib.harness import EXACT, environment, free_port, run, until, victim
from lib.profiles import cpu, heap

KIB = 1024
BLOCKS = 16 * KIB  # of 1 KiB
KEPT = BLOCKS * KIB


@pytest.fixture(scope="module")
def exact(shared_start):
    """16 MiB in 1 KiB blocks, every allocation recorded."""
    target = shared_start([victim("v_blocks"), "16"], **EXACT)
    target.expect("ready")
    return target


def test_rate_1_counts_every_block_that_is_kept(exact):
    profile = heap(exact)
    assert profile.proto.period == 1
    assert profile.total("inuse_space", "keep_blocks") == KEPT
    assert profile.total("inuse_objects", "keep_blocks") == BLOCKS
    assert profile.total("alloc_objects", "keep_blocks") == BLOCKS


def test_rate_1_counts_what_was_freed_as_allocated_only(exact):
    profile = heap(exact)
    assert profile.total("inuse_space", "churn_blocks") == 0
    assert profile.total("inuse_objects", "churn_blocks") == 0
    assert profile.total("alloc_space", "churn_blocks") == KEPT


def test_stack_is_the_programs_from_malloc_to_main(exact):
    stacks = [s for s in heap(exact).samples if s.has("keep_blocks")]
    assert len(stacks) == 1, stacks
    names = stacks[0].names
    assert names[:2] in (["keep_blocks", "main"], ["malloc", "keep_blocks"]), names
    assert "main" in names
    assert not any("pa_" in n or "libpprofagent" in f
                   for n, f in zip(names, stacks[0].mappings) if n != "malloc"), names


def test_bucket_carries_its_object_size(exact):
    sample = next(s for s in heap(exact).samples if s.has("keep_blocks"))
    assert sample.labels == {"bytes": KIB}


def test_allocs_has_the_same_numbers_and_shows_alloc_space_first(exact):
    profile = heap(exact, "/allocs")
    assert profile.default_type == "alloc_space"
    assert profile.total("alloc_space", "churn_blocks") == KEPT
    assert profile.total("inuse_space", "keep_blocks") == KEPT
    assert heap(exact).default_type == ""


def test_gc_changes_no_number(exact):
    profile = heap(exact, "/heap?gc=1")
    assert profile.total("inuse_space", "keep_blocks") == KEPT


def test_lines_and_files_come_from_debug_information(exact):
    p = heap(exact).proto
    texts = p.string_table
    function = next(f for f in p.function if texts[f.name] == "keep_blocks")
    assert texts[function.filename].endswith("test/victim/v_blocks.c")
    lines = [line.line for loc in p.location for line in loc.line
             if line.function_id == function.id]
    source = open(victim("v_blocks").replace("build/victim", "test/victim") + ".c",
                  encoding="utf-8").read().splitlines()
    assert lines and all("malloc(" in source[line - 1] for line in lines), lines


def test_main_program_is_the_first_mapping_with_its_build_id(exact):
    p = heap(exact).proto
    first = p.mapping[0]
    assert p.string_table[first.filename] == victim("v_blocks")
    notes = subprocess.run(["readelf", "-n", victim("v_blocks")], capture_output=True, text=True,
                           check=True).stdout
    assert p.string_table[first.build_id] in notes and first.build_id
    assert first.has_functions


def test_ids_and_addresses_stay_the_same_between_requests(exact):
    places = [{(s.labels["bytes"], tuple(s.addresses)) for s in heap(exact).samples
               if s.has("keep_blocks|churn_blocks")} for _ in range(2)]
    assert places[0] == places[1] and places[0]


def test_memory_of_the_agent_is_not_the_programs(start):
    """Of the agent's threads libc keeps a table each, made on the thread that creates the first."""
    target = start([victim("v_blocks"), "1"], **EXACT)
    target.expect("ready")
    assert cpu(target, 1) and target.get("/goroutine?debug=2").status == 200
    profile = heap(target, "/allocs")
    own = [s for s in profile.samples if any(n.startswith("pa_") for n in s.names)]
    assert profile.samples and not own, own
    agent = json.loads(target.get("/agent?format=json").text)
    assert agent["drops"]["lost_reentrant"] == 0, agent["drops"]


def test_freed_blocks_leave_the_heap(start):
    target = start([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    assert heap(target).total("inuse_space", "keep_blocks") == 8 << 20
    target.ask("drop", "dropped")
    after = heap(target)
    assert after.total("inuse_space", "keep_blocks") == 0
    assert after.total("alloc_space", "keep_blocks") == 8 << 20
    assert target.finish() == 0


def test_known_stacks_are_counted_to_the_byte_without_events(start):
    target = start([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    for _ in range(2):  # the collector learns how to walk the stacks, then the stacks
        target.ask("churn", "churned")
        heap(target)
    before = json.loads(target.get("/agent?format=json").text)
    for _ in range(3):
        target.ask("churn", "churned")
    profile = heap(target)
    assert profile.total("alloc_space", "churn_blocks") == 6 * (8 << 20)
    assert profile.total("inuse_space", "churn_blocks") == 0
    assert profile.total("inuse_space", "keep_blocks") == 8 << 20
    after = json.loads(target.get("/agent?format=json").text)
    counted = after["events"]["alloc_events"] - before["events"]["alloc_events"]
    assert counted >= 3 * (8 << 10)
    assert after["events"]["events_read"] - before["events"]["events_read"] < counted / 10
    target.ask("drop", "dropped")
    assert heap(target).total("inuse_space", "keep_blocks") == 0
    assert target.finish() == 0


def test_realloc_moves_a_block_to_its_new_caller(start):
    target = start([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    grown = int(target.ask("grow", "grown").split()[1])
    profile = heap(target)
    assert profile.total("inuse_space", "grow_blocks") == grown == 8 << 20
    assert profile.total("inuse_space", "keep_blocks") == 4 << 20


@pytest.mark.parametrize("rate, tolerance", [
    (8192, 0.05),    # 8,192 blocks sampled: 4.5 standard deviations
    (524288, 0.40),  # 128 blocks: as good as the default rate can promise for 64 MiB
])
def test_sampled_heap_is_near_the_truth(start, rate, tolerance):
    target = start([victim("v_blocks")], heap_rate=rate)
    target.expect("ready")
    profile = heap(target)
    assert profile.proto.period == rate
    kept = 64 << 20
    assert profile.total("inuse_space", "keep_blocks") == pytest.approx(kept, rel=tolerance)
    assert profile.total("alloc_space", "churn_blocks") == pytest.approx(kept, rel=tolerance)
    assert profile.total("inuse_space", "churn_blocks") == 0
    assert profile.total("inuse_space") == pytest.approx(kept, rel=tolerance + 0.05)


def test_sampled_values_are_scaled_by_size_and_rate(start):
    rate, size = 65536, 16384
    target = start([victim("v_blocks"), "256", str(size)], heap_rate=rate)
    target.expect("ready")
    sample = next(s for s in heap(target).samples if s.has("keep_blocks"))
    scale = 1 / (1 - math.exp(-size / rate))
    seen = sample.values["alloc_objects"] / scale
    assert abs(seen - round(seen)) < 1.1 / scale, sample  # whole numbers before it
    assert sample.values["alloc_space"] == pytest.approx(256 << 20, rel=0.10)


def test_rate_0_switches_the_heap_off(start):
    target = start([victim("v_blocks"), "8"], heap_rate=0)
    target.expect("ready")
    assert heap(target).samples == []


def test_debug_file_beside_a_stripped_program_is_found(start, tmp_path):
    program, debug = tmp_path / "v_blocks", tmp_path / ".debug" / "v_blocks.debug"
    debug.parent.mkdir()
    shutil.copy(victim("v_blocks"), program)
    move_debug_information(program, debug)
    target = start([program, "8"], **EXACT)
    target.expect("ready")
    assert heap(target).total("inuse_space", "keep_blocks") == 8 << 20


def stripped(tmp_path):
    program = tmp_path / "v_blocks"
    shutil.copy(victim("v_blocks"), program)
    subprocess.run(["strip", "--strip-all", program], check=True)
    return program


def address_of(program, symbol):
    table = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[0], 16) for line in table.splitlines()
                if line.split()[-1] == symbol)


def test_functions_of_a_stripped_program_are_called_by_their_start(start, tmp_path):
    target = start([stripped(tmp_path), "8"], **EXACT)
    target.expect("ready")
    profile = heap(target)
    name = f"v_blocks+{address_of(victim('v_blocks'), 'keep_blocks'):#x}"
    assert profile.total("inuse_space", re.escape(name)) == 8 << 20
    assert profile.proto.mapping[0].has_functions
    assert not profile.proto.mapping[0].has_line_numbers
    assert name in target.get("/heap?debug=1").text


def test_stripped_program_keeps_its_numbers_and_claims_no_names(start, tmp_path):
    program = stripped(tmp_path)
    target = start([program, "8"], **EXACT, unnamed="none")
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space") >= 8 << 20
    assert profile.mapping_files[0] == str(program)
    assert not profile.proto.mapping[0].has_functions
    assert profile.total("inuse_space", "keep_blocks") == 0
    assert not any("v_blocks+0x" in name for s in profile.samples for name in s.names)


def test_program_replaced_while_it_runs_keeps_its_names(start, tmp_path):
    program = tmp_path / "a program"
    shutil.copy(victim("v_blocks"), program)
    target = start([program, "8"], **EXACT)
    target.expect("ready")
    program.unlink()
    shutil.copy("/bin/true", program)
    profile = heap(target)
    assert profile.total("inuse_space", "keep_blocks") == 8 << 20
    assert profile.mapping_files[0] == str(program)


def test_symbols_none_sends_addresses_alone(start):
    target = start([victim("v_blocks"), "8"], **EXACT, symbols="none")
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space") >= 8 << 20
    assert not any(m.has_functions for m in profile.proto.mapping)


def test_symbols_names_has_functions_and_no_lines(start):
    target = start([victim("v_blocks"), "8"], **EXACT, symbols="names")
    target.expect("ready")
    profile = heap(target)
    assert profile.total("inuse_space", "keep_blocks") == 8 << 20
    assert not any(line.line for loc in profile.proto.location for line in loc.line)


def test_stack_depth_cuts_at_the_limit_and_says_so(start):
    target = start([victim("v_errno"), "0", "1"], heap_rate=4096, stack_depth=10)
    # The program does not say when it has begun.
    deep = until("it descends", lambda: [s for s in heap(target).samples if s.has("descend.*")])
    assert max(len(s.addresses) for s in deep) <= 11
    assert any(s.names[-1] == "[stack depth limit]" for s in deep)


def test_inlined_callers_of_libc_are_in_order(start):
    """strdup inside libc allocates for its caller."""
    target = start([victim("v_blocks"), "1"], **EXACT)
    target.expect("ready")
    for s in heap(target).samples:
        if "main" in s.names and "keep_blocks" in s.names:
            assert s.names.index("keep_blocks") < s.names.index("main")


def test_output_of_a_heap_heavy_run_is_unchanged():
    env = environment(free_port(), heap_rate=1)
    status, out, err = run([victim("v_blocks"), "16"], env)
    assert (status, err) == (0, b"")
    assert out.startswith(b"ready 16777216 16777216")
