# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of the command: a program that it finds, and machines that it runs on."""
import os
import shutil
import subprocess

import pytest

from lib.command import command_env, named_copy
from lib.family import port_of
from lib.harness import until, victim

BUSYBOX = shutil.which("busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX, reason="busybox is not installed")


@pytest.fixture(scope="module")
def name():
    return f"p{os.getpid()}park"


@pytest.fixture(scope="module")
def park(shared_start, tmp_path_factory, name):
    """A program that waits, under a name that no other process has."""
    target = shared_start([named_copy(tmp_path_factory.mktemp("park"), victim("v_park"), name)],
                          heap_rate=1)
    target.expect("ready")
    until("its thread is named", lambda: port_of(target.pid))
    return target


@pytest.fixture(scope="module")
def small_machine(tmp_path_factory):
    """A PATH that has busybox only."""
    folder = tmp_path_factory.mktemp("busybox")
    subprocess.run([BUSYBOX, "--install", "-s", str(folder)], check=True)
    return str(folder)


@pytest.fixture(scope="module", params=["dash", pytest.param("busybox", marks=needs_busybox)])
def machine(request):
    """Arguments of command(): a shell, and the tools that it finds."""
    if request.param == "dash":
        return {"shell": ["dash"], "env": command_env()}
    path = request.getfixturevalue("small_machine")
    return {"shell": [BUSYBOX, "sh"], "env": command_env(X_PATH=path)}
