# SPDX-License-Identifier: Apache-2.0
"""Texts of the command: help, man pages, completion, and that they name the same things."""
import re
import shutil
import subprocess

import pytest

from lib.command import command, command_env
from lib.family import port_of
from lib.harness import BUILD, ROOT, until, victim

COMMANDS = ["run", "list", "top", "flame", "folded", "get", "threads", "web", "check", "targets",
            "env"]
PAGES = ["pprofagent.1", "libpprofagent.7"]


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed")


def test_help_of_each_command_fits_a_terminal():
    general = command("help")
    assert (general.status, general.err) == (0, "")
    assert re.findall(r"^  ([a-z]+) .* {2}", general.out, re.M) == COMMANDS
    for name in COMMANDS:
        done = command("help", name)
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith(f"pprofagent {name}")
        assert max(map(len, done.out.splitlines())) <= 80
        assert command(name, "--help").out == command(name, "-h").out == done.out
    assert command("--help").out == command("help", "help").out == general.out
    version = re.search(r'"(.*)"', (ROOT / "agent/base/version.h").read_text()).group(1)
    assert command("--version").out == f"pprofagent {version}\n"


@pytest.mark.parametrize("page", PAGES)
@needs("man")
def test_man_pages_without_warnings(page):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", BUILD / page],
                          env=command_env(X_MANWIDTH="80"), capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("page", PAGES)
@needs("mandoc")
def test_man_pages_for_mandoc(page):
    done = subprocess.run(["mandoc", "-Tlint", BUILD / page], capture_output=True, text=True,
                          check=False)
    # Of this machine: where the pages are not installed.
    faults = [line for line in done.stdout.splitlines()
              if "referenced manual not found" not in line]
    assert faults == []


@needs("mandoc")
def test_man_pages_have_all_settings_and_limits():
    text = subprocess.run(["mandoc", "-Tascii", "-Owidth=200", BUILD / "libpprofagent.7"],
                          capture_output=True, text=True, check=True).stdout
    text = re.sub(r".\x08", "", text)
    table = (ROOT / "agent/base/env_table.c").read_text()
    for name in re.findall(r'^\t\{ "(PPROFAGENT_\w+)"', table, re.M):
        assert name in text or name.removeprefix("PPROFAGENT") in text, name
    limits = (ROOT / "README.md").read_text().split("## Limits")[1].split("\n## ")[0]
    assert text.split("LIMITS")[1].count(" o ") == limits.count("\n* ")


def completions(words):
    script = (f". {ROOT}/command/completion.bash; COMP_WORDS=({' '.join(words)}); "
              f"COMP_CWORD={len(words) - 1}; _pprofagent; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                          env=command_env(X_PATH=f"{BUILD}:/usr/bin:/bin")).stdout.split()


def test_bash_completes_what_the_help_names():
    assert set(completions(["pprofagent", "''"])) == {*COMMANDS, "help", "--version", "--lib",
                                                      "--help"}
    assert completions(["pprofagent", "th"]) == ["threads"]
    for name in COMMANDS:
        text = command("help", name).out
        options = set(re.findall(r"^  (--?[a-z-]+)", text, re.M))
        if name == "env":
            options = set(completions(["pprofagent", "run", "-"])) - {"--"}
        assert set(completions(["pprofagent", name, "-"])) - {"--"} == options, name
    assert "heap" in completions(["pprofagent", "get", "-s", "5", "1", "''"])
    assert completions(["pprofagent", "get", "1", "hea"]) == ["heap"]
    assert completions(["pprofagent", "get", "1", "heap", "-s", "''"]) == []


def test_bash_completes_processes(start):
    target = start([victim("v_park")])
    until("its thread is named", lambda: port_of(target.pid))
    for name in ("top", "web", "check"):
        assert str(target.pid) in completions(["pprofagent", name, str(target.pid)[:-1]])
    assert "v_park" in completions(["pprofagent", "get", "v_par"])


@needs("zsh")
def test_zsh_completion_names_the_same_options():
    subprocess.run(["zsh", "-n", ROOT / "command/completion.zsh"], check=True)
    text = (ROOT / "command/completion.zsh").read_text()
    for name in COMMANDS:
        assert f"'{name}:" in text and re.search(rf"\b{name}\b.*\) _arguments", text), name
        for option in re.findall(r"^  (--?[a-z-]+)", command("help", name).out, re.M):
            assert re.search(rf"{option}\b", text), option
