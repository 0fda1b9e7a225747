# SPDX-License-Identifier: Apache-2.0
"""The packages of `make deb`, installed in minimal systems that have nothing else of ours.

`make deb-test` makes these systems (scripts/dist_chroots) and runs this, as root.
"""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.chroots import CHROOTS, inside
from lib.harness import BUILD, ROOT, free_port

SUITES = os.environ.get("DEB_SUITES", "bookworm trixie").split()
PACKAGES = ("pprofagent", "libpprofagent-dev")


def do(suite, *argv):
    done = subprocess.run(inside(suite, *argv), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def files(suite):
    """All of the system that a package could have changed."""
    top = CHROOTS / suite
    return {path.relative_to(top).as_posix() for folder in ("usr", "etc")
            for path in (top / folder).rglob("*")}


@pytest.fixture(scope="module", params=SUITES)
def suite(request):
    """The name of a system in which the packages are installed; purged, they leave nothing."""
    before = files(request.param)
    place = CHROOTS / request.param / "tmp/packages"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in PACKAGES:
        path, = BUILD.glob(f"deb/{name}_*.deb")
        shutil.copy(path, place)
    told = do(request.param, "sh", "-c", "dpkg -i /tmp/packages/*.deb")
    assert "warning" not in told
    yield request.param
    assert "warning" not in do(request.param, "dpkg", "--purge", *PACKAGES)
    assert files(request.param) == before


def test_redis_by_the_package_s_own_test(suite):
    place = Path("tmp/packages/redis")
    shutil.copy(ROOT / "debian/tests/redis", CHROOTS / suite / place)
    told = do(suite, f"PORT={free_port()}", f"/{place}")
    assert told.count("pprofagent ") == 7, told


def test_command_names_the_private_folder(suite):
    told = do(suite, "pprofagent", "--lib").strip()
    assert told == "/usr/lib/x86_64-linux-gnu/pprofagent/libpprofagent.so"


def test_debug_symbols_belong_to_the_objects(suite):
    """The build-ids of the objects that are installed, in the -dbgsym package."""
    debs = BUILD / "deb"
    path, = debs.glob("pprofagent-dbgsym_*.deb")
    listed = subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True, check=True)
    for name in ("libpprofagent.so", "libpprofagent-core.so"):
        notes = subprocess.run(["readelf", "-n", CHROOTS / suite / "usr/lib/x86_64-linux-gnu" /
                                "pprofagent" / name], capture_output=True, text=True, check=True)
        build_id = notes.stdout.split("Build ID: ")[1].split()[0]
        assert f"/.build-id/{build_id[:2]}/{build_id[2:]}.debug" in listed.stdout
