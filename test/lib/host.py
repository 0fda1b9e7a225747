# SPDX-License-Identifier: Apache-2.0
"""What only root may do to a host, for tests that need it."""
import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from lib.harness import until

# A user that has no processes (limits count those of a user), not even of tests that run beside.
STRANGER = 10000 + os.getpid() % 50000

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextlib.contextmanager
def open_folder():
    """A folder that every user may enter. pytest closes those above tmp_path, also while a test
    runs: whenever another pytest begins."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o777)
        yield Path(path)


@contextlib.contextmanager
def control_group(controller):
    """A new control group with that controller, below the test's own; skips where there is none."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    paths = dict(line.split(":", 2)[1:] for line in lines)
    old = Path(f"/sys/fs/cgroup/{controller}{paths.get(controller, '/')}")
    unified = Path("/sys/fs/cgroup" + paths.get("", "/"))
    parent = old if controller in paths else unified
    group = parent / f"pprofagent-test-{os.getpid()}"
    try:
        if parent == unified:
            (parent / "cgroup.subtree_control").write_text("+" + controller)
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group with {controller} can be made here: {error}")
    try:
        yield group
    finally:
        until("the control group is empty", lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def enter(group):
    """preexec_fn"""
    return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
