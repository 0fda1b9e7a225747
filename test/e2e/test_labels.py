# SPDX-License-Identifier: Apache-2.0
"""Labels of threads: set by the program with pprofagent.h, seen in CPU and goroutine profiles."""
import os
import re
import signal

import pytest

from lib.harness import PREFIX, environment, listening, request, run, until, victim
from lib.profiles import Profile, counts, cpu, heap

# The labels that each of the program's functions runs under, and nothing else runs under them.
BURNERS = {
    "burn_worker": {"worker": "burner", "k2": "v 2"},
    "burn_inner": {"k": "inner", "z": "1"},
    "burn_outer": {"k": "outer", "z": "1"},
    "burn_plain": {},
    "burn_heir": {"from": "parent", "k": '"quoted"'},
}
HEIRS = {"burn_heir": 1, "sleep_heir": 2, "wait_heir": 1}

# What the calls do, and what they do where there is no agent.
CHECKED = """none
set 0
all a=2 k=v z=1
two a=2 k=v
odd -22
after odd a=2 k=v z=1
inner a=2 k=v z=1
k v
do odd -22
outer a=2 k=outer z=1
inner a=2 k=inner z=1
k inner
do 0
outer again a=2 k=outer z=1
do 0
child a=2 k=v z=1
child set 0
child a=2 k=child z=1
after child a=2 k=v z=1
clear 0
cleared
ran 2
"""
CHECKED_BARE = """none
set -38
all
two
odd -38
after odd
inner
k none
do odd -38
outer
inner
k none
do -38
outer again
do -38
child
child set -38
child
after child
clear -38
cleared
ran 2
"""


@pytest.fixture(scope="module")
def labelled(shared_start):
    target = shared_start([victim("v_labels"), "run"])
    target.expect("ready")
    return target


def own(sample):
    """The program's labels of a sample: without ours."""
    return {k: v for k, v in sample.labels.items() if k not in ("thread", "tid")}


# ------------------------------------------------------------------ the calls


def test_calls_set_nest_restore_and_inherit():
    status, out, err = run([victim("v_labels"), "check"], environment())
    assert (status, out.decode(), err) == (0, CHECKED, b"")


@pytest.mark.parametrize("how", ["bare", "disabled"])
def test_calls_without_an_agent_say_so_and_the_program_goes_on(how):
    env = environment(preload=()) if how == "bare" else environment(enabled="false")
    status, out, err = run([victim("v_labels"), "check"], env)
    assert (status, out.decode(), err) == (0, CHECKED_BARE, b"")


# ------------------------------------------------------------------ CPU


def test_cpu_samples_have_the_labels_that_their_thread_had(labelled):
    profile = cpu(labelled, 2)
    for function, labels in BURNERS.items():
        samples = [s for s in profile.samples if function in s.names]
        # Between the code that burns and the change of the labels lie a few instructions.
        right = sum(s.values["samples"] for s in samples if own(s) == labels)
        assert right >= 0.98 * sum(s.values["samples"] for s in samples) > 0, function
        assert all(s.labels["thread"] and s.labels["tid"] for s in samples)
    assert all(own(s).keys() <= {"bytes"} for s in heap(labelled).samples)


def test_pprof_shows_labels_as_tags_and_can_select_by_them(labelled, pprof, tmp_path):
    body = labelled.get("/profile?seconds=1").body
    path = tmp_path / "cpu"
    path.write_bytes(body)
    tags, _ = pprof("-tags", str(path))
    assert re.search(r"^ *worker: Total .*\n.*burner$", tags, re.M)
    assert re.search(r"^ *k2: Total .*\n.*v 2$", tags, re.M)
    top, _ = pprof("-top", "-tagfocus=worker=burner", str(path))
    assert "burn_worker" in top and "burn_inner" not in top and "burn_heir" not in top


# ------------------------------------------------------------------ goroutine


def test_goroutine_samples_have_the_labels_also_of_sleepers(labelled):
    samples = counts(labelled, "goroutine").samples
    for function, count in HEIRS.items():
        found = [own(s) for s in samples if function in s.names]
        assert found == [BURNERS["burn_heir"]] * count, function
    main = [own(s) for s in samples if "main" in s.names]
    assert main == [{}]


def test_goroutine_text_groups_by_labels(labelled):
    text = labelled.get("/goroutine?debug=1").text
    records = re.split(r"\n\n", text.partition("\n")[2])
    line = r'# labels: {"from":"parent", "k":"\"quoted\""}'
    for function, count in HEIRS.items():
        record = [r for r in records if f"\t{function}+" in r]
        assert len(record) == 1 and record[0].startswith(f"{count} @ 0x"), text
        assert record[0].split("\n")[1] == line, text
    main = [r for r in records if "\tmain+" in r]
    assert len(main) == 1 and "# labels:" not in main[0], text
    total = int(re.match(r"goroutine profile: total (\d+)\n", text)[1])
    assert sum(int(n) for n in re.findall(r"^(\d+) @", text, re.M)) == total


def test_dump_of_all_threads_has_the_labels_behind_the_name(labelled):
    text = labelled.get("/goroutine?debug=2").text
    heads = [block.split("\n")[0] for block in text.split("\n\n") if "\nsleep_heir(" in block]
    assert len(heads) == 2
    for head in heads:
        assert re.fullmatch(r'goroutine \d+ \[[^]]+\] '
                            r'\{thread: "v_labels", from: "parent", k: "\\"quoted\\""\}:', head)
    main = next(block for block in text.split("\n\n") if "\nmain(" in block)
    assert re.match(r'goroutine \d+ \[[^]]+\] \{thread: "v_labels"\}:\n', main)


def test_delta_of_goroutine_is_by_labels(labelled):
    names = {function for s in counts_delta(labelled).samples for function in s.names}
    assert not names & {"sleep_heir", "wait_heir"}


def counts_delta(target):
    answer = target.get("/goroutine?seconds=1")
    assert answer.status == 200, answer
    return Profile(answer.body)


# ------------------------------------------------------------------ fork


def test_forked_child_keeps_the_labels_of_its_thread(start):
    target = start([victim("v_labels"), "run"])
    target.expect("ready")
    child = int(target.ask("fork", "fork").split()[1])
    port = int(until("the child serves", lambda: listening(child))[0].split(":")[1], 16)
    profile = Profile(request(port, PREFIX + "/profile?seconds=1").body)
    samples = [s for s in profile.samples if "burn_child" in s.names]
    assert samples and all(own(s) == {"from": "fork"} for s in samples)
    os.kill(child, signal.SIGKILL)
    assert target.finish() == 0
