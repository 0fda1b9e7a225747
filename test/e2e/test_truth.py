# SPDX-License-Identifier: Apache-2.0
"""The fast part of `make truth`: a few compilers and forms of debug information."""
import pytest

from truth import lines

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
