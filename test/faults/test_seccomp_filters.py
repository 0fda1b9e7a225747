# SPDX-License-Identifier: Apache-2.0
"""Filters of system calls (seccomp) that are in force when a program starts, for each call that the
agent makes: what is killed or refused is done without."""
import subprocess

import pytest

from lib.fault_rows import program, row

WORK = [program("f_filtered"), "work", "0.1"]


def calls():
    """The product's own list, by a program that is built with it."""
    done = subprocess.run([program("f_filtered"), "list"], capture_output=True, text=True,
                          check=False)
    return done.stdout.split()


@row("F100d", "a launcher's filter kills a call that the agent makes", severity=1, fast=True,
     modes=("full",))
@pytest.mark.parametrize("how", ["own", "fork"])
def test_a_few_killed_calls(case, how):
    for name in ("socket", "unshare", "timer_create", "rt_tgsigqueueinfo"):
        filtered = [program("f_filtered"), "kill", name, how]
        case.same([*filtered, *WORK])
        case.same([*filtered, "/bin/true"])


@row("F100e", "the same for every one of them", severity=1, modes=("idle", "full"))
@pytest.mark.parametrize("how", ["own", "fork"])
@pytest.mark.parametrize("action", ["kill", "trap", "errno"])
def test_each_call(case, action, how):
    for name in calls():
        filtered = [program("f_filtered"), action, name, how]
        case.same([*filtered, *WORK])
        if name != "futex":  # by which the program waits for its thread, if that is not over
            case.same([*filtered, *WORK, "thread"])
        case.same([*filtered, "/bin/true"])
