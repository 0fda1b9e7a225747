# SPDX-License-Identifier: Apache-2.0
"""One browser for all tests of a process; each test has a page of its own."""
import pytest

from lib import harness
from lib.browser import Page, begin
from lib.go_tools import Pprof, go_tools
from lib.made_profiles import Made


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    downloads = tmp_path_factory.mktemp("downloads")
    driver = begin(downloads)
    yield driver, downloads
    driver.quit()


@pytest.fixture
def page(driver):
    page = Page(*driver)
    page.complaints()
    yield page
    if page.port:
        complaints = [each for each in page.complaints() if "/favicon.ico" not in each]
        assert not complaints, complaints


@pytest.fixture(scope="module")
def begin_target():
    """begin_target(argv, **settings): a program under the agent, until the end of the file."""
    targets = []

    def start(argv, wait=True, **settings):
        port = harness.free_port()
        targets.append(harness.Target(argv, harness.environment(port, **settings), port))
        return targets[-1].answers() if wait else targets[-1]

    yield start
    for target in targets:
        target.kill()


@pytest.fixture(scope="module")
def idle(begin_target):
    """A program that does nothing."""
    return begin_target(["/bin/sleep", "1000"])


@pytest.fixture
def made_file(tmp_path):
    """made_file(made): a file with a profile."""
    def write(made, name="made.pb.gz"):
        path = tmp_path / name
        path.write_bytes(made.bytes() if isinstance(made, Made) else made)
        return path
    return write


@pytest.fixture(scope="session")
def pprof(tmp_path_factory):
    return Pprof(list(go_tools().values())[0], tmp_path_factory.mktemp("pprof"))
