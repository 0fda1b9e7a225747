# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts on a machine, and the example that comes with it."""
import subprocess

import pytest

from lib.command import command
from lib.harness import BUILD, ROOT, environment, run, until
from lib.profiles import Profile, heap

EXAMPLE = ROOT / "examples/sessions.c"


def make(*words):
    return subprocess.run(["make", "-s", "-C", str(ROOT), f"B={BUILD}", "SETUP_DONE=1", *words],
                          capture_output=True, text=True, check=True).stdout


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
            if path.is_symlink() or path.is_file()}


def test_install_and_uninstall_leave_what_they_say(tmp_path):
    told = make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert "ldconfig was not run, because of DESTDIR" in told
    assert files_below(tmp_path) == {
        "usr/lib/pprofagent/libpprofagent.so", "usr/lib/pprofagent/libpprofagent-core.so",
        "usr/lib/libpprofagent.so", "usr/lib/libpprofagent-core.so", "usr/include/pprofagent.h",
        "usr/bin/pprofagent", "usr/share/man/man1/pprofagent.1",
        "usr/share/man/man7/libpprofagent.7",
        "usr/share/bash-completion/completions/pprofagent",
        "usr/share/zsh/site-functions/_pprofagent"}
    for path in ("usr/bin/pprofagent", "usr/link"):
        if path == "usr/link":
            (tmp_path / path).symlink_to("bin/pprofagent")
        assert command("--lib", path=tmp_path / path).out == \
            f"{tmp_path}/usr/lib/pprofagent/libpprofagent.so\n"
    (tmp_path / "usr/link").unlink()
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files_below(tmp_path) == set()
    assert not (tmp_path / "usr/lib/pprofagent").exists()


def test_installed_command_knows_a_folder_of_its_own_for_the_library(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LIBDIR=/usr/lib/machine")
    assert "\ninstalled='/usr/lib/machine'\n" in (tmp_path / "usr/bin/pprofagent").read_text()


def test_objects_work_by_bare_name_where_the_loader_searches(start, tmp_path):
    """LD_LIBRARY_PATH stands for a folder of ld.so.conf."""
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    target = start(["/usr/bin/env", f"LD_LIBRARY_PATH={tmp_path}/usr/lib",
                    "LD_PRELOAD=libpprofagent.so", "/usr/bin/python3", "-c", "input()"],
                   preload=(), heap_rate=1)
    assert heap(target).samples


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_example_runs_with_the_agent_and_without(start, tmp_path, compiler):
    program = tmp_path / "sessions"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/agent", "-o", program,
                    EXAMPLE], check=True)
    bare = run([program], environment(preload=()))
    assert (bare[0], bare[1].splitlines()[0]) == (0, b"the agent is not here")
    target = start([program])
    answer = until("the profile is there",
                   lambda: (got := target.get("/example.com/sessions")).status == 200 and got)
    profile = Profile(answer.body)
    assert sum(next(iter(one.values.values())) for one in profile.samples) == 10
    assert all(one.has("begin_session") for one in profile.samples)
    target.tell("")
    assert target.finish() == 0
    assert target.out.startswith("the agent is here\n")
