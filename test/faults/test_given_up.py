# SPDX-License-Identifier: Apache-2.0
"""What a program gives up for itself, and what only a program of one thread may do."""
import os
import re

import pytest

from lib.fault_rows import program, row
from lib.harness import PREFIX, answers, request, until, victim
from lib.profiles import cpu

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@row("F130", "namespaces for programs of one thread", severity=1, modes=("idle", "full"),
     fast=True)
@pytest.mark.parametrize("argv", [["user", "1"], ["alone", "4"], ["mount", "4"]])
def test_namespaces(case, argv):
    case.same([program("f_given"), *argv])


@row("F130b", "namespaces, one after the other", severity=1, modes=("idle", "full"))
@pytest.mark.parametrize("argv", [["alone", "40"], ["mount", "40"]])
def test_namespaces_again_and_again(case, argv):
    """Our threads are at any point of their way back when the next one is entered."""
    case.same([program("f_given"), *argv])


@row("F131", "capabilities, new privileges and ids are given up", severity=2, fast=True)
@pytest.mark.parametrize("what", ["caps", "raw"])
def test_given_up(case, what):
    case.same([program("f_given"), what])


@row("F132", "no descriptor leads out of a jail", severity=2, fast=True)
def test_jail(case, tmp_path):
    case.same([program("f_given"), "jail", tmp_path])


@row("F133", "a folder that the program left is not busy", severity=2, fast=True)
def test_folder(case, tmp_path):
    case.same([program("f_given"), "busy", tmp_path])


@row("F134", "a pid namespace whose /proc is the outer one", severity=1, modes=("idle",), fast=True)
def test_outer_proc(case):
    """/proc shows other numbers: all threads of the program are there, and none of ours."""
    spinning = [victim("v_spin"), "60", "30"]
    target = case.start(["unshare", "--pid", "--fork", *spinning], wait=False)
    target.expect("ready")
    until("it answers", lambda: answers(target, "/heap"))
    profile = cpu(target)
    assert {s.labels["thread"] for s in profile.samples} == {"spin-0", "spin-1"}
    text = request(target.port, PREFIX + "/goroutine?debug=2").body.decode()
    assert len(re.findall(r"^goroutine ", text, re.M)) == 3
    assert "pprofagent" not in text and "no answer" not in text
    assert target.finish() == 0 and target.err == ""
