# SPDX-License-Identifier: Apache-2.0
"""The pure parts of `make bench PEERS=1`: what it reads from profiles, and its table."""
import struct
from collections import Counter
from types import SimpleNamespace

import pytest

from bench.peers import runs, samples, systems, table, works


def run(cpu=1.0, wall=1.0, rss=2.0, failed="", got=None, share=None):
    return SimpleNamespace(cpu=cpu, wall=wall, rss=rss, failed=failed, got=got, share=share)


def test_ratios_are_of_the_same_round_and_their_median_counts():
    results = {"bare": [run(1), run(10), run(2)], "slow": [run(3), run(20), run(8)]}
    lines = table.work_lines("pairs", results)
    assert lines[0] == "pairs: bare 2000 ms CPU"
    assert lines[3].split() == ["slow", "3.00", "1.00", "2.0"]


def test_a_failed_and_a_late_system_have_no_ratio():
    results = {"bare": [run()], "crash": [run(failed="exit -11")],
               "slow": [run(wall=7, failed="late")]}
    lines = table.work_lines("pairs", results)
    assert lines[3].split() == ["crash", "exit", "-11"]
    assert lines[4].split() == ["slow", ">", "7"]


def test_the_best_exact_system_is_one_that_worked():
    results = {"bare": [run()], "agent": [run(2)], "a": [run(8)], "b": [run(5)],
               "c": [run(1, failed="exit 1")], "sampled": [run(1)]}
    lines = table.work_lines("pairs", results, "agent", ["agent", "a", "b", "c"])
    assert lines[-1].strip() == "agent: 0.40 of the best that records every allocation, b"
    assert "best" not in table.work_lines("pairs", results, "agent", ["agent", "c"])[-1]


def test_go_is_compared_with_go():
    results = {"bare": [run(1)], "Go, no profile": [run(4)], "Go, heap 1": [run(6)]}
    lines = table.work_lines("pairs", results, "agent", ["Go, heap 1"])
    assert [line.split()[3] for line in lines[3:]] == ["1.00", "1.50"]


def test_samples_and_shares_are_shown_where_there_are_some():
    results = {"bare": [run()], "cpu": [run(got=0.98765, share=0.0123)]}
    assert table.work_lines("CPU", results)[3].split()[-2:] == ["0.988", "1.2%"]


def test_records_of_libprofiler_are_read_up_to_its_trailer():
    header, records = [0, 3, 0, 10000, 0], [5, 2, 0x401010, 0x402000, 1, 1, 0x401100]
    data = struct.pack("<15Q", *header, *records, 0, 1, 0) + b"00400000-00500000 r-xp\n"
    functions = samples.functions_of("0000000000401000 t spin_0\n0000000000401100 t spin_1\n"
                                     "0000000000402000 T main\n")
    stacks = list(samples.libprofiler_stacks(data))
    assert stacks == [(5, (0x401010, 0x402000)), (1, (0x401100,))]
    assert [samples.function_at(functions, stack[0]) for _, stack in stacks] == ["spin_0",
                                                                                "spin_1"]
    assert samples.function_at(functions, 1) == "?"


def test_each_block_of_perf_script_is_a_sample():
    text = ("  7\n\t401010 spin_2\n\t7f start_thread\n\n  8\n\t401000 spin_2\n\n"
            "  7\n\tffff native_write\n\n")
    assert samples.perf_counts(text) == Counter({"2": 2, "other": 1})


def test_collapsed_stacks_are_counted():
    assert samples.collapsed_counts("[t tid=1];spin_1;cpu_ns 7\nmain.spin3 2\n") == Counter(
        {"1": 7, "3": 2})


@pytest.mark.parametrize("counts, worst", [
    ({"0": 25, "1": 25, "2": 25, "3": 25, "other": 9}, 0),
    ({"0": 50, "1": 25, "2": 25}, 0.25),
    ({"other": 9}, None),
])
def test_worst_share_is_the_distance_from_equal_parts(counts, worst):
    assert samples.worst_share(counts, 4) == worst


def test_settings_are_for_the_program_and_not_for_the_command_of_the_profiler():
    system = systems.System("x", (systems.CPU,), prefix=("wrap", "{out}"),
                            env={"A": "{hz} {period}"})
    assert systems.applied(system, ["work", "1"], "/tmp/o", 100) == [
        "wrap", "/tmp/o", "env", "A=100 10000000", "work", "1"]


def test_a_system_is_missing_what_is_not_there(tmp_path):
    system = systems.System("x", (), needs=("no such command", "libx.so.1", "", str(tmp_path)))
    assert systems.missing(system, {}) == ["no such command", "libx.so.1",
                                           "its variable is not set"]
    assert systems.missing(system, {"libx.so.1": "/lib"})[1] == "its variable is not set"


def test_cost_has_the_exit_code_of_its_status():
    assert runs.cost_of("1.5 2.25 2048 0\n") == (1.5, 2.25, 2.0, 0)
    assert runs.cost_of("0 0 0 11")[3] == -11


def test_every_kind_has_a_work_and_every_name_is_one():
    names = [work.name for work in works.all_works()]
    assert len(set(names)) == len(names)
    assert {work.kind for work in works.all_works()} == {systems.HEAP, systems.LOCKS, systems.CPU}
    systems_named = [system.name for system in systems.all_systems()]
    assert len(set(systems_named)) == len(systems_named)
    for system in systems.all_systems():
        assert set(system.works) <= set(names), system.name
