# SPDX-License-Identifier: Apache-2.0
"""Libraries that come and go: names stay with the code that they belong to."""
import subprocess

from lib.harness import EXACT, run_both, victim
from lib.profiles import heap


def test_memory_of_an_unloaded_library_keeps_its_name(start):
    target = start([victim("v_plugin")], **EXACT)
    assert target.expect("ready") == "ready same"
    profile = heap(target)
    assert profile.total("inuse_space", "two_keep") == 4 << 20
    # Its file is known by the mapping of the time; what lies there now must not lend its names.
    ones = [s for s in profile.samples if any("p_one.so" in f for f in s.mappings)]
    assert sum(s.values["inuse_space"] for s in ones) == 4 << 20
    assert not any(s.has("two_keep") for s in ones)
    assert not any(s.has("one_keep") and any("p_two.so" in f for f in s.mappings)
                   for s in profile.samples)


def test_library_loaded_later_is_named(start):
    target = start([victim("v_plugin")], **EXACT)
    target.expect("ready")
    stacks = [s for s in heap(target).samples if s.has("two_keep")]
    assert sum(s.values["inuse_space"] for s in stacks) == 4 << 20
    for stack in stacks:
        assert stack.names[:2] == ["two_keep", "plugin_keep"] and stack.has("main"), stack
        assert any(f.endswith("p_two.so") for f in stack.mappings)


def test_both_libraries_are_mappings_of_the_profile(start):
    target = start([victim("v_plugin")], **EXACT)
    target.expect("ready")
    files = heap(target).mapping_files
    assert files[0] == victim("v_plugin")
    assert any(f.endswith("libc.so.6") for f in files)
    assert any(f.endswith("p_two.so") for f in files)


def test_library_is_found_by_the_runpath_of_its_caller(tmp_path):
    # The loader looks at who called dlopen: our hook must not be that caller.
    (tmp_path / "lib").mkdir()
    (tmp_path / "part.c").write_text("int part(void) { return 42; }\n")
    (tmp_path / "main.c").write_text(
        "#include <dlfcn.h>\n#include <stdio.h>\n"
        "int main(void) { void *p = dlopen(\"libpart.so\", RTLD_NOW);\n"
        "int (*part)(void) = p ? (int (*)(void))dlsym(p, \"part\") : 0;\n"
        "printf(\"%d\\n\", part ? part() : 0); return p ? dlclose(p) : 1; }\n")
    for argv in (["-shared", "-fPIC", "-o", "lib/libpart.so", "part.c"],
                 ["-o", "main", "main.c", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib"]):
        subprocess.run(["gcc", *argv], cwd=tmp_path, check=True)
    bare, agent = run_both([str(tmp_path / "main")])
    assert bare == (0, b"42\n", b"")
    assert agent == bare
