# SPDX-License-Identifier: Apache-2.0
import pytest

from lib import harness
from lib.go_tools import Pprof, go_tools
from lib.trace_client import GoTrace

GO_TOOLS = sorted(go_tools().items())


@pytest.fixture
def start():
    """start(argv, wait=True, preload=..., preexec=..., SETTING=...) -> a Target that is killed
    at the end of the test."""
    targets = []

    def begin(argv, wait=True, cwd=None, preexec=None, preload=(harness.AGENT,), port=None,
              **settings):
        port = port or harness.free_port()
        env = harness.environment(port, preload=preload, **settings)
        target = harness.Target(argv, env, port, cwd=cwd, preexec=preexec)
        targets.append(target)
        return target.answers() if wait else target

    yield begin
    for target in targets:
        target.kill()


@pytest.fixture(scope="module")
def shared_start():
    """As start, for a target that all tests of a file look at."""
    targets = []

    def begin(argv, **settings):
        port = harness.free_port()
        target = harness.Target(argv, harness.environment(port, **settings), port)
        targets.append(target)
        return target.answers()

    yield begin
    for target in targets:
        target.kill()


@pytest.fixture(scope="session", params=GO_TOOLS, ids=lambda tool: tool[0])
def pprof(request, tmp_path_factory):
    return Pprof(request.param[1], tmp_path_factory.mktemp("pprof"))


@pytest.fixture(scope="module", params=GO_TOOLS, ids=lambda tool: tool[0])
def tool(request, tmp_path_factory):
    return GoTrace(*request.param, tmp_path_factory.mktemp("trace"))
