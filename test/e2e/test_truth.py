# SPDX-License-Identifier: Apache-2.0
"""The fast part of `make truth`: a few compilers and forms of debug information, and its table."""
import pytest

from truth import lines
from truth.figures import Figure, table

FAST = [("c", "gcc", "-O2", "-gsplit-dwarf"), ("cpp", "g++", "-O2 -flto", "-g"),
        ("cpp", "clang++", "-O2", "debug file"), ("rs", "rustc", "-Copt-level=2", "-g")]


@pytest.mark.parametrize("variant", FAST, ids=" ".join)
def test_functions_files_and_lines_are_those_of_llvm_symbolizer(variant, tmp_path):
    try:
        found = lines.compare(tmp_path, *variant)
    except lines.Unavailable as error:
        pytest.skip(str(error))
    assert found.count > 10
    assert found.wrong == {}


def test_the_table_shows_what_is_wrong_and_what_is_not_there():
    figures = [Figure("gcc", "-g", 1.0, count=1200), Figure("gcc", "dwz", 0.995, count=34),
               Figure("clang", "-g", None), Figure("empty", "-g", 1.0, count=0)]
    near = Figure("mutex", "block", 1.04, 0.95, 1.05)
    assert [figure.is_wrong for figure in [*figures, near]] == [False, True, False, True, False]
    rows = [line.split() for line in table({"Lines": figures, "Locks": [near]})]
    assert rows == [
        [], ["Lines", "of", "-g", "dwz", "allowed"], ["gcc", "1,234", "100.00", "99.50!", "100"],
        ["clang", "-", "-"], ["empty", "0", "100.00!", "-", "100"],
        [], ["Locks", "of", "block", "allowed"], ["mutex", "104.00", "+-5"]]
