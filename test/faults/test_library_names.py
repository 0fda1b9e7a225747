# SPDX-License-Identifier: Apache-2.0
"""What a program sees of the libraries that the agent is made of: nothing."""
import subprocess

from lib.fault_rows import program, row
from lib.harness import SONAMES


def library(path, source, *more):
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, *more],
                   input=source, text=True, check=True)
    return path


def private_library(folder, soname):
    """A plugin in folder that needs a library of that name which lies beside it: opened 42."""
    folder.mkdir()
    library(folder / soname, "int bundled_only(void) { return 42; }", f"-Wl,-soname,{soname}")
    return library(folder / "plugin.so", "int bundled_only(void);"
                   "int plugin_run(void) { return bundled_only(); }", "-x", "none",
                   folder / soname, "-Wl,-rpath,$ORIGIN")


@row("F108", "a plugin brings a library whose name the agent's parts have", severity=1,
     modes=("idle",), fast=True)
def test_private_libraries(case, tmp_path):
    target = case.start([program("f_names")])
    target.expect("ready")
    for soname in SONAMES:
        plugin = private_library(tmp_path / soname, soname)
        assert target.ask(f"open {plugin}", "opened") == "opened 42", soname
    assert target.finish() == 0 and target.err == ""


@row("F108b", "no library is open that the program has not opened", severity=1, modes=("idle",),
     fast=True)
def test_no_library_of_ours(case):
    bare = case.start_bare([program("f_names")])
    target = case.start([program("f_names")])
    for run in (bare, target):
        run.expect("ready")
        for soname in SONAMES:
            run.ask(f"is {soname}", "absent")
    seen = [run.ask("loaded", "loaded").split()[1:] for run in (bare, target)]
    # The agent's own files are first and last.
    ours = [name for name in seen[1] if "libpprofagent" in name]
    assert [name for name in seen[1] if name not in ours] == seen[0]
    assert len(ours) == 2


@row("F108c", "the program's folder of libraries has all names that the agent's parts have",
     severity=1, modes=("idle",), fast=True)
def test_folder_of_libraries(case, tmp_path):
    """What lies there is never opened: it has none of the functions, and says so when it is."""
    for soname in SONAMES:
        library(tmp_path / soname, "#include <stdio.h>\nstatic void __attribute__((constructor))"
                'begin(void) { puts("opened by accident"); fflush(stdout); }',
                f"-Wl,-soname,{soname}")
    target = case.start(["env", f"LD_LIBRARY_PATH={tmp_path}", program("f_names")])
    target.expect("ready")
    assert target.get("/heap").status == 200
    target.ask("is libdw.so.1", "absent")
    assert target.finish() == 0 and target.err == ""


@row("F108d", "static TLS for what the program opens later", severity=1, modes=("idle",),
     fast=True)
def test_static_tls(case, tmp_path):
    """As much as without the agent, to 64 bytes. Each size in a process of its own."""
    sizes = range(1024, 2112, 64)
    for size in sizes:
        library(tmp_path / f"{size}.so", "__thread __attribute__((tls_model(\"initial-exec\")))"
                f"char data[{size}]; int plugin_run(void) {{ data[0]++; return 42; }}")

    def opens(run, size):
        run.expect("ready")
        run.tell(f"open {tmp_path / f'{size}.so'}")
        return run.line() == "opened 42"
    largest = max((s for s in sizes if opens(case.start_bare([program("f_names")]), s)), default=0)
    assert largest, "none of the sizes fits without the agent"
    assert opens(case.start([program("f_names")]), largest)
