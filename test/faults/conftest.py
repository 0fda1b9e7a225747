# SPDX-License-Identifier: Apache-2.0
"""Runs the rows of the fault matrix: modes, the naive agent that has to fail, the table."""
import http.client
import subprocess

import pytest

from lib import fault_rows


def is_row(item):
    return hasattr(getattr(item, "function", None), "pa_row")


def pytest_collection_modifyitems(config, items):
    kept = []
    for item in items:
        if not is_row(item):
            kept.append(item)
            continue
        # That a row can fail is shown where all are asked: the naive agent hangs for a while.
        marker, mode = item.get_closest_marker("fast"), item.callspec.params["case"]
        fast = marker and mode != "naive" and mode in marker.args
        if config.getoption("--faults") == "all" or fast:
            kept.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", metafunc.function.pa_modes, indirect=True)


@pytest.fixture
def case(request):
    number, title, severity = request.function.pa_row
    made = fault_rows.Case(number, request.param)
    yield made
    made.close()
    entry = fault_rows.TABLE.setdefault(number, {"title": title, "severity": severity})
    entry.setdefault(request.param, []).append(" ".join(made.notes))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """With the naive agent a row passes when its check fails."""
    if not is_row(pyfuncitem) or pyfuncitem.callspec.params["case"] != "naive":
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    try:
        pyfuncitem.obj(**arguments)
    except (AssertionError, OSError, http.client.HTTPException,
            subprocess.SubprocessError) as error:
        arguments["case"].note("it has to fail: " + (str(error).splitlines() or ["?"])[0])
        return True
    pytest.fail(f"the naive agent passes; it should: {pyfuncitem.function.pa_naive}")


verdicts = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if is_row(item) and (report.when == "call" or not report.passed):
        key = (item.function.pa_row[0], item.callspec.params["case"])
        verdicts.setdefault(key, []).append(report.outcome)


def word(number, mode):
    """passed, failed or skipped for a row in a mode: the worst of its tests."""
    outcomes = verdicts.get((number, mode), [])
    for outcome in ("failed", "passed", "skipped"):
        if outcome in outcomes:
            return outcome
    return None


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--faults") != "all" or not fault_rows.TABLE:
        return
    terminalreporter.section("fault matrix: bare against the agent")
    for number in sorted(fault_rows.TABLE):
        entry = fault_rows.TABLE[number]
        terminalreporter.write_line(f"{number} (severity {entry['severity']}) {entry['title']}")
        for mode in (*fault_rows.AGENT_MODES, "naive"):
            if word(number, mode):
                notes = "; ".join(note for note in entry.get(mode, []) if note)
                terminalreporter.write_line(f"    {mode:5} {word(number, mode):7} {notes[:150]}")
