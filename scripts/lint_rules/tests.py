# SPDX-License-Identifier: Apache-2.0
"""Where tests are, and how they find what they share.

The rules are functions of names and text, so that they are tested with some that break them.
"""
import re
from pathlib import Path

from lint_rules.common import complain, sources

SELF = "scripts/lint_rules/tests.py"
UNIT = "test/unit"
# Sources that are not below agent/, and those whose tests are not in a folder of that name.
MIRRORED = {"proto": "proto", "hooks": "hooks", "agent": "agent", "lib": "test/lib/c"}


def source_folder(test):
    """Of a unit test: the folder whose files it tests."""
    name = Path(test).relative_to(UNIT).parent.as_posix()
    return MIRRORED.get(name, f"agent/{name}")


def is_mirrored(test, files):
    """Whether test_a_b.c has an a_b or an a in the folder that its own stands for.

    agent/arch has a folder a machine, with the same names in each.
    """
    folder = source_folder(test)
    below = folder + ("/*/" if folder == "agent/arch" else "/")
    here = {Path(file).stem for file in files
            if Path(file).match(f"{folder}/*") or Path(file).match(f"{below}*")}
    words = Path(test).stem.removeprefix("test_").split("_")
    return any("_".join(words[:n]) in here for n in range(1, len(words) + 1))


def misplaced(tests, files):
    """The unit tests that are not where their sources are, or whose bare name is another's, too."""
    seen, found = set(), []
    for test in tests:
        name = Path(test).name
        fits = (name.startswith("test_") and Path(test).parent != Path(UNIT)
                and is_mirrored(test, files))
        if name in seen or not fits:
            found.append(test)
        seen.add(name)
    return found


def check_unit_folders():
    files = [str(path) for path in sources("agent", "proto", "hooks", "test/lib/c")]
    for test in misplaced([str(path) for path in sources(UNIT)], files):
        complain(test, "is not in the folder of what it tests, or has the name of another test")
    files = ["agent/base/arena.c", "proto/text.h", "agent/arch/x86_64/prologue.c"]
    good = ["test/unit/base/test_arena_grows.c", "test/unit/proto/test_text.c",
            "test/unit/arch/test_prologue.c"]
    bad = ["test/unit/test_arena.c", "test/unit/record/test_arena.c", "test/unit/base/arena.h",
           "test/unit/base/test_aren.c", "test/unit/proto/test_arena_grows.c"]
    if misplaced(good + bad, files) != bad:
        complain(SELF, f"finds {misplaced(good + bad, files)} misplaced, not {bad}")


# ------------------------------------------------------------------ imports of tests

def path_tricks(text):
    """The lines of a Python text that change where modules are looked for."""
    return [line for line in text.splitlines()
            if re.search(r"\bsys\.path\b|\bsite\.addsitedir\b", line.split("#")[0])]


def test_imports(text):
    """The lines that import from a test module: what tests share is in test/lib."""
    return [line for line in text.splitlines()
            if re.match(r"\s*(from|import) (\w+\.)*test_\w+", line)]


def check_test_imports():
    scripts = [path for path in Path("scripts").iterdir() if path.is_file()]
    for path in [*sources("test", "scripts", suffixes=(".py",)), *scripts]:
        if str(path) != SELF:
            text = path.read_text(encoding="utf-8")
            for line in path_tricks(text) + test_imports(text):
                complain(path, f"`{line.strip()}`: tests import from test/lib, which pytest.ini "
                               "and the Makefile put on the path")
    bad = ["import sys; sys.path.insert(0, 'a')", "sys.path.append(b)", "sys.path += c"]
    if path_tricks("\n".join(bad + ["import sys", "a.path.insert(b)"])) != bad:
        complain(SELF, "does not find what changes sys.path")
    bad = ["from test_cpu import times", "import e2e.test_cpu"]
    if test_imports("\n".join(bad + ["from lib.test import a", "import test"])) != bad:
        complain(SELF, "does not find what imports from a test")
