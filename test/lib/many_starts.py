# SPDX-License-Identifier: Apache-2.0
"""Works that start many short programs, for scripts/bench: wall ns of each under an environment."""
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

FILES = 200
COMMANDS = 1000
IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")


def run(argv, folder, env=None):
    subprocess.run(argv, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def wall_ns(argv, folder, env):
    before = time.monotonic_ns()
    run(argv, folder, env)
    return time.monotonic_ns() - before


def write_sources(folder):
    for i in range(FILES):
        (folder / f"f{i}.c").write_text(
            f"#include <stdio.h>\nint f{i}(int x) {{ return printf(\"%d\", x + {i}); }}\n",
            encoding="utf-8")
    (folder / "Makefile").write_text(
        "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))\nall: $(OBJECTS)\n"
        "%.o: %.c\n\tgcc -O1 -c -o $@ $<\n", encoding="utf-8")


def build(folder, env):
    for made in folder.glob("*.o"):
        made.unlink()
    return wall_ns(["make", "-j2"], folder, env)


def clone(folder, env):
    if not (folder / ".git").exists():
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "files"]):
            run(["git", *IDENTITY, *command], folder)
    try:
        return wall_ns(["git", "clone", "--no-local", "-q", str(folder), "copy"], folder, env)
    finally:
        shutil.rmtree(folder / "copy", ignore_errors=True)


def loop(folder, env):
    return wall_ns(["bash", "-c", f"for i in {{1..{COMMANDS}}}; do /bin/true; done"], folder, env)


# Name in test/bench/budgets.json -> what it is, and what does it
WORKS = {"starts-git": ("git clone of a local repository, wall", clone),
         "starts-make": (f"make -j2 of {FILES} files, wall", build),
         "starts-bash": (f"bash loop of {COMMANDS} commands, wall", loop)}


def cost_of(work, environment):
    """Variant -> wall ns."""
    def cost(variant):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_sources(folder)
            return WORKS[work][1](folder, environment(variant))
    return cost
