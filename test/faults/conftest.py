"""Runs the rows of the fault matrix: modes, the naive agent that has to fail, the table."""
import http.client
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import kit  # noqa: E402

SECTIONS = {"a": "processes", "b": "signals", "c": "threads", "d": "mutexes", "e": "memory",
            "f": "descriptors", "g": "loading", "h": "exit", "i": "http", "j": "injected faults",
            "k": "the caller's state", "l": "what is given up", "r": "real programs"}


def pytest_addoption(parser):
    parser.addoption("--faults", choices=("fast", "all"), default="fast",
                     help="rows of the fault matrix: the fast subset without the naive agent "
                          "(default), or all")


def pytest_configure(config):
    config.addinivalue_line("markers", "fast: row of the fault matrix that `make test` runs")
    for letter, what in SECTIONS.items():
        config.addinivalue_line("markers", f"{letter.upper()}: rows about {what}")


def is_row(item):
    return hasattr(getattr(item, "function", None), "pa_row")


def pytest_collection_modifyitems(config, items):
    kept = []
    for item in items:
        if not is_row(item):
            kept.append(item)
            continue
        letter = Path(item.fspath).name.split("_")[1]
        item.add_marker(getattr(pytest.mark, letter.upper()))
        # That a row can fail is shown where all are asked: the naive agent hangs for a while.
        fast = item.get_closest_marker("fast") and item.callspec.params["case"] != "naive"
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
    made = kit.Case(number, request.param)
    yield made
    made.close()
    entry = kit.TABLE.setdefault(number, {"title": title, "severity": severity})
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
    if config.getoption("--faults") != "all" or not kit.TABLE:
        return
    terminalreporter.section("fault matrix: bare against the agent")
    for number in sorted(kit.TABLE):
        entry = kit.TABLE[number]
        terminalreporter.write_line(f"{number} (severity {entry['severity']}) {entry['title']}")
        for mode in (*kit.AGENT_MODES, "naive"):
            if word(number, mode):
                notes = "; ".join(note for note in entry.get(mode, []) if note)
                terminalreporter.write_line(f"    {mode:5} {word(number, mode):7} {notes[:150]}")
