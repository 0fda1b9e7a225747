import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402
import tracing  # noqa: E402


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


def go_tools():
    """The distribution's go and the one on PATH, each version once."""
    found = {}
    for path in ("/usr/bin/go", shutil.which("go")):
        if path and os.path.exists(path):
            version = subprocess.run([path, "env", "GOVERSION"], capture_output=True, text=True,
                                     check=True).stdout.strip()
            found.setdefault(version, path)
    return found


@pytest.fixture(scope="session", params=sorted(go_tools().items()), ids=lambda tool: tool[0])
def pprof(request, tmp_path_factory):
    """pprof(ARGUMENT...) runs `go tool pprof` without local symbolization files of its own and
    returns (stdout, stderr); it must succeed."""
    _, go = request.param
    folder = tmp_path_factory.mktemp("pprof")

    def run(*arguments, fails=False):
        env = dict(os.environ, PPROF_TMPDIR=str(folder), GOTOOLCHAIN="local")
        env.pop("LD_PRELOAD", None)
        done = subprocess.run([go, "tool", "pprof", *arguments], env=env, capture_output=True,
                              text=True, timeout=180, check=False, stdin=subprocess.DEVNULL)
        if fails:
            assert done.returncode != 0, done.stdout
        else:
            assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture(scope="module", params=sorted(go_tools().items()), ids=lambda tool: tool[0])
def tool(request, tmp_path_factory):
    return tracing.GoTrace(*request.param, tmp_path_factory.mktemp("trace"))
