# SPDX-License-Identifier: Apache-2.0
"""Checkers that are installed: shellcheck, cppcheck and clang-format."""
import re
import shutil
import subprocess
from pathlib import Path

from lint_rules.common import PRODUCT, B, complain, sources


def run_tool(name, *arguments):
    if not shutil.which(name):
        complain(name, "is not installed (make deps)")
        return
    done = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        text = (done.stdout + done.stderr).strip()
        complain(name, text if text else f"exit status {done.returncode}")


def check_shell():
    scripts = [p for p in [*Path("scripts").iterdir(), *Path(".ci").iterdir(),
                           *Path("debian/tests").iterdir()]
               if p.is_file() and re.match(r"#!.*\b(ba)?sh$", p.open(encoding="utf-8").readline()
                                           .strip())]
    scripts += [B / "pprofagent", Path("command/completion.bash")]  # made of command/*.sh
    run_tool("shellcheck", *sorted(scripts))


def check_c():
    run_tool("cppcheck", "--quiet", "--error-exitcode=1", "--std=c11", "-D_GNU_SOURCE",
             "-D__x86_64__", "--enable=warning,portability", "--inline-suppr",
             "--suppressions-list=scripts/cppcheck.txt", "-j2",
             "--template={file}:{line}: {id}: {message}",
             *[p for p in PRODUCT if p.suffix == ".c"])


def unformatted(name, text):
    """The lines of a C text that clang-format would change, by the tree's .clang-format."""
    done = subprocess.run(["clang-format-14", f"--assume-filename={name}", "--dry-run"],
                          input=text, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line]


def check_format():
    if not shutil.which("clang-format-14"):
        complain("clang-format-14", "is not installed (make deps)")
        return
    if unformatted("a.c", "int a;\n") or not unformatted("a.c", "int  a;\n"):
        complain("clang-format-14", "the rule's own test failed")
    run_tool("clang-format-14", "--dry-run", "-Werror", *PRODUCT, *sources("test"))
