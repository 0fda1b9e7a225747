# SPDX-License-Identifier: Apache-2.0
"""Options of all tests, and what is left out without them."""
import signal

import pytest

# A shell ignores it for what runs in the background, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("lib")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also the tests that `make test` has "
                     "no time for")
    parser.addoption("--alone", choices=("all", "no", "only"), default="all",
                     help="without or only the tests that nothing else may run beside")
    parser.addoption("--faults", choices=("fast", "all"), default="fast",
                     help="rows of the fault matrix: the fast subset without the naive agent "
                          "(default), or all")


def is_wanted(config, item):
    alone = bool(item.get_closest_marker("alone"))
    return ((config.getoption("--slow") or not item.get_closest_marker("slow"))
            and alone in {"all": (True, False), "no": (False,), "only": (True,)}[
                config.getoption("--alone")])


def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[i for i in items if not is_wanted(config, i)])
    items[:] = [item for item in items if is_wanted(config, item)]
