# SPDX-License-Identifier: Apache-2.0
"""Code that the program makes at run time: its names, from /tmp/perf-PID.map, and its stacks."""
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.fault_rows import have
from lib.harness import EXACT, listening, until, victim
from lib.profiles import cpu, heap

MIB = 1 << 20


class Maker:
    """A running v_jit, and its map."""

    def __init__(self, target):
        self.target = target
        _, pid, address, self.size = target.line().split()
        self.pid, self.address = int(pid), int(address, 16)
        self.maps = []

    @property
    def map(self):
        path = Path(f"/tmp/perf-{self.pid}.map")
        if path not in self.maps:
            self.maps.append(path)
        return path

    def do(self, *commands):
        for command in commands:
            self.pid = int(self.target.ask(command, command.split(" ")[0]).split()[1])
            assert self.map

    def line(self, name):
        return f"{self.address:x} {self.size} {name}\n"

    def kept(self):
        """MiB that are kept by each name of the code that was made."""
        sums = {}
        for s in heap(self.target).samples:
            if "keep_below" in s.names:
                name = s.names[s.names.index("keep_below") + 1]
                sums[name] = sums.get(name, 0) + s.values["inuse_space"] // MIB
        return sums


    def follow(self, name):
        """Keeps 1 MiB again and again until one has the new name: the agent looks at the map ten
        times a second at most. How many it were, of the name before and of the new one."""
        kept = []

        def seen():
            self.do("keep 1")
            kept.append(1)
            return name in self.kept()

        until(f"the map is followed to {name}", seen)
        return len(kept)


@pytest.fixture
def maker(start):
    makers = []

    def begin(**settings):
        makers.append(Maker(start([victim("v_jit")], **EXACT, **settings)))
        return makers[-1]

    yield begin
    for one in makers:
        one.target.kill()
        for path in one.maps:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


# ------------------------------------------------------------------ names

def test_code_has_the_name_in_the_map(maker):
    jit = maker()
    jit.do("map a name (of code) <b>&amp;", "keep 3")
    profile = heap(jit.target)
    [stack] = [s for s in profile.samples if s.has("keep_below")]
    assert stack.names[:4] == ["keep_below", "a name (of code) <b>&amp;", "call_code", "obey"]
    assert stack.mappings[1] == "[jit]"
    assert stack.has("main")
    # Names are true, so that readers do not look for better ones.
    mapping = next(m for m in profile.proto.mapping if profile.text(m.filename) == "[jit]")
    assert mapping.has_functions and not mapping.has_filenames and not mapping.has_line_numbers


def test_name_that_comes_late_is_found(maker):
    jit = maker()
    jit.do("keep 1")
    assert list(jit.kept()) == [hex(jit.address + 5)]
    jit.do("map late")
    assert jit.kept() == {"late": 1}


def test_all_forms_show_the_name(maker):
    jit = maker()
    jit.do("map the_code", "keep 1")
    assert "the_code" in jit.target.get("/heap?debug=1").text
    named = jit.target.get(f"/symbol?{jit.address + 2:#x}").text
    assert named == f"num_symbols: 1\n{jit.address + 2:#x} the_code\n"
    unnamed = jit.target.get(f"/symbol?{jit.address + 0x200:#x}").text
    assert unnamed == "num_symbols: 1\n"


def test_pprof_shows_the_name(maker, pprof):
    jit = maker()
    jit.do("map the_code", "keep 2")
    text, _ = pprof("-traces", "-sample_index=inuse_space", jit.target.url("/heap"))
    lines = [line.split()[-1] for line in text.splitlines() if line.strip()]
    at = lines.index("keep_below")
    assert lines[at + 1:at + 3] == ["the_code", "call_code"]


def test_samples_keep_the_name_of_the_code_that_was_there(maker):
    jit = maker()
    jit.do("map first", "keep 2")
    assert jit.kept() == {"first": 2}
    jit.do("make plain", "map second")
    between = jit.follow("second")
    jit.do("keep 3")
    kept = jit.kept()
    assert set(kept) == {"first", "second"}
    assert kept["first"] >= 2 and kept["second"] >= 4
    assert kept["first"] + kept["second"] == 5 + between


def test_map_that_is_written_anew_names_later_samples_only(maker):
    jit = maker()
    jit.map.write_text(jit.line("of_first_map"))
    jit.do("keep 2")
    assert jit.kept() == {"of_first_map": 2}
    jit.map.write_text(jit.line("of_second_map_"))
    between = jit.follow("of_second_map_")
    jit.do("keep 3")
    kept = jit.kept()
    assert kept["of_first_map"] >= 2 and kept["of_second_map_"] >= 4
    assert kept["of_first_map"] + kept["of_second_map_"] == 5 + between
    jit.map.unlink()
    assert jit.kept() == kept


def test_children_know_the_names_of_inherited_code(start, maker):
    jit = maker()
    jit.do("map inherited", "keep 1", "fork", "keep 2")
    child = jit.pid
    assert child != jit.target.pid
    port = port_of_child(jit, child)
    jit.target.port = port
    assert jit.kept() == {"inherited": 3}
    jit.do("make plain", "map of_child")
    between = jit.follow("of_child")
    jit.do("keep 4")
    kept = jit.kept()
    assert kept["inherited"] >= 3 and kept["of_child"] >= 5
    assert kept["inherited"] + kept["of_child"] == 7 + between


def port_of_child(jit, child):
    [address] = until("the child listens", lambda: listening(child))
    return int(address.split(":")[1], 16)


# ------------------------------------------------------------------ maps that are not to be trusted

def symlink(jit, tmp_path):
    (tmp_path / "other").write_text(jit.line("wrong"))
    jit.map.symlink_to(tmp_path / "other")


def hard_link(jit, tmp_path):
    # In /tmp as the map is: links do not lead to other file systems.
    other = Path(f"/tmp/v_jit-{jit.pid}")
    other.write_text(jit.line("wrong"))
    jit.maps.append(other)
    os.link(other, jit.map)


def foreign(jit, tmp_path):
    if os.geteuid():
        pytest.skip("only root gives files away")
    jit.map.write_text(jit.line("wrong"))
    os.chown(jit.map, 12345, 12345)


def fifo(jit, tmp_path):
    os.mkfifo(jit.map)


def directory(jit, tmp_path):
    jit.map.mkdir()


def old(jit, tmp_path):
    jit.map.write_text(jit.line("wrong"))
    os.utime(jit.map, (0, 1e9))


def half_line(jit, tmp_path):
    jit.map.write_text(jit.line("wrong").rstrip())


def no_numbers(jit, tmp_path):
    jit.map.write_bytes(b"\n\0\n" + b"x" * 100000 + b"\n0x 1 wrong\n- - wrong\nffffffffffffffff " +
                        b"ffffffffffffffff wrong\n")


@pytest.mark.parametrize("make", [symlink, hard_link, foreign, fifo, directory, old, half_line,
                                  no_numbers], ids=lambda make: make.__name__)
def test_such_maps_name_nothing(maker, tmp_path, make):
    jit = maker()
    make(jit, tmp_path)
    jit.do("keep 1")
    assert list(jit.kept()) == [hex(jit.address + 5)]


def test_names_of_any_bytes_give_a_valid_profile(maker):
    jit = maker()
    jit.map.write_bytes(f"{jit.address:x} 40 ".encode() + b"\xff\xfe<script>\x1b[1m\xc3\n")
    jit.do("keep 1")
    assert jit.kept() == {"??<script>?[1m?": 1}


def test_sparse_map_of_gigabytes_costs_little(maker):
    jit = maker()
    jit.map.write_text(jit.line("at the start"))
    os.truncate(jit.map, 3 << 30)
    jit.do("keep 1")
    assert list(jit.kept()) == [hex(jit.address + 5)]  # the time is up before its start
    counters = jit.target.get("/agent?format=json").text
    assert '"perf_maps_cut":' in counters and '"perf_maps_cut":0' not in counters.replace(" ", "")
    with jit.map.open("ab") as file:
        file.write(b"\n" + jit.line("at the end").encode())
    assert jit.kept() == {"at the end": 1}


# ------------------------------------------------------------------ registered unwind tables

THROUGH = ["keep_below", "the_code", "call_code", "obey", "main"]


def kept_stacks(jit):
    """{names of a stack from keep_below on, up to main: MiB}"""
    sums = {}
    for s in heap(jit.target).samples:
        if "keep_below" in s.names:
            names = tuple(s.names[s.names.index("keep_below"):][:5])
            sums[names] = sums.get(names, 0) + s.values["inuse_space"] // MIB
    return sums


def events(jit):
    return json.loads(jit.target.get("/agent?format=json").text)["events"]


@pytest.mark.parametrize("how", ["register", "info"])
@pytest.mark.parametrize("shape", ["plain", "opaque"])
def test_registered_tables_lead_through_the_code(maker, shape, how):
    jit = maker()
    jit.do(f"make {shape}", "map the_code", how, "keep 3")
    assert kept_stacks(jit) == {tuple(THROUGH): 3}


def test_without_a_table_the_stack_ends_at_the_code(maker):
    jit = maker()
    jit.do("make opaque", "map the_code", "keep 3")
    [(names, kept)] = kept_stacks(jit).items()
    assert names[:2] == ("keep_below", "the_code") and kept == 3
    assert "main" not in names


def test_cpu_samples_go_through_registered_code(maker):
    jit = maker(cpu_hz=1000)
    jit.do("make opaque", "map the_code", "register")
    with ThreadPoolExecutor(1) as pool:
        burning = pool.submit(jit.do, "burn 1000")
        profile = cpu(jit.target, seconds=1)
        burning.result()
    stacks = [s for s in profile.samples if s.has("burn_below")]
    assert sum(s.values["samples"] for s in stacks) > 50
    assert all(s.has("the_code") and s.has("call_code") and s.has("main") for s in stacks)


@pytest.mark.parametrize("how", ["register", "info"])
def test_tables_that_are_taken_back_are_not_used(maker, how):
    """The code that is written over the old code has other frames, and no table."""
    jit = maker()
    jit.do("make opaque", "map the_code", how, "keep 3")
    assert kept_stacks(jit) == {tuple(THROUGH): 3}
    jit.do("deregister", "make pointer", "keep 4")
    assert kept_stacks(jit) == {tuple(THROUGH): 7}
    jit.do("make opaque", "keep 2")
    assert sum(kept for names, kept in kept_stacks(jit).items() if "main" not in names) == 2


def test_each_code_has_the_table_of_its_time(maker):
    """Again and again other code at the same address, with a table and without, while stacks of the
    code before may not have been finished: those end at the code."""
    jit = maker()
    jit.do("make opaque", "map the_code")
    for _ in range(50):
        jit.do("make opaque", "register", "keep 1", "deregister", "make pointer", "keep 1",
               "make plain", "info", "keep 1", "deregister")
    stacks = kept_stacks(jit)
    cut = stacks.pop(("keep_below", "the_code", "[no unwind information]"), 0)
    assert stacks == {tuple(THROUGH): 150 - cut}
    seen = events(jit)
    assert seen["unwind_tables_late"] <= cut
    assert seen["unwind_tables_full"] == seen["unwind_tables_cut"] == 0


def test_table_that_comes_after_the_code_was_seen_is_used(maker):
    jit = maker()
    jit.do("make opaque", "map the_code", "keep 1")
    assert sum(kept_stacks(jit).values()) == 1
    jit.do("register", "keep 1")  # the collector learns of the table with these events
    assert sum(kept_stacks(jit).values()) == 2
    jit.do("keep 5")
    assert kept_stacks(jit)[tuple(THROUGH)] >= 5


def test_children_know_the_tables_of_inherited_code(maker):
    jit = maker()
    jit.do("make opaque", "map the_code", "register", "keep 1")
    assert kept_stacks(jit) == {tuple(THROUGH): 1}
    jit.do("fork", "keep 2", "map the_code")
    jit.target.port = port_of_child(jit, jit.pid)
    assert kept_stacks(jit) == {tuple(THROUGH): 3}
    jit.do("deregister", "make pointer", "keep 2")
    assert kept_stacks(jit) == {tuple(THROUGH): 5}


# ------------------------------------------------------------------ real programs

WORK_JS = """
function leafwork(n) { let s = 0; for (let i = 0; i < n; i++) s += Math.sqrt(i); return s; }
for (;;) leafwork(100000);
"""


def jit_share(profile):
    """Weights of frames in code made at run time: of those with a name, and of all."""
    named = every = 0
    for s in profile.samples:
        for loc_name, mapping in zip(s.names[-len(s.mappings):], s.mappings):
            if mapping == "[jit]":
                every += s.values["samples"]
                named += s.values["samples"] * (not loc_name.startswith("0x"))
    return named, every


def test_node_functions_have_names(start, tmp_path):
    have("node")
    (tmp_path / "work.js").write_text(WORK_JS)
    target = start(["node", "--perf-basic-prof", tmp_path / "work.js"], cwd=tmp_path)
    try:
        profile = cpu(target, seconds=2)
        assert profile.total("samples", r"JS:.*work\.js:.*") > 0
        named, every = jit_share(profile)
        assert named == every > 0
    finally:
        Path(f"/tmp/perf-{target.pid}.map").unlink(missing_ok=True)


def test_java_methods_have_names_after_jcmd(start, tmp_path):
    have("java", "javac", "jcmd")
    (tmp_path / "T.java").write_text(
        "public class T { static double leafwork(int n) { double s = 0;"
        " for (int i = 0; i < n; i++) s += Math.sqrt(i); return s; }"
        " public static void main(String[] a) { double s = 0;"
        " for (;;) { s += leafwork(100000); if (s < 0) System.out.println(s); } } }")
    subprocess.run(["javac", "-d", tmp_path, tmp_path / "T.java"], check=True, capture_output=True)
    target = start(["java", "-cp", tmp_path, "T"], cwd=tmp_path)
    try:

        def settled():
            """The map has the code of its moment: the compilers replace it for a while."""
            subprocess.run(["jcmd", str(target.pid), "Compiler.perfmap"], check=True,
                           capture_output=True, timeout=60)
            profile = cpu(target, seconds=1)
            named, every = jit_share(profile)
            works = profile.total("samples", r".*T\.leafwork.*|.*T\.main.*") > 0
            return works and named >= 0.9 * every > 0

        until("the code that runs is in the map", settled)
    finally:
        Path(f"/tmp/perf-{target.pid}.map").unlink(missing_ok=True)
