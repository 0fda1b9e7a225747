# SPDX-License-Identifier: Apache-2.0
"""What all rules share: the tree, the build, and the list of complaints."""
import os
import subprocess
from pathlib import Path

B = Path(os.environ.get("B", "build"))
COMPILERS = [os.environ.get("CC", "gcc"), os.environ.get("CLANG", "clang")]
AGENT, CORE = B / "libpprofagent.so", B / "libpprofagent-core.so"

wrong = []


def complain(where, what):
    wrong.append(f"{where}: {what}")


def sources(*folders, suffixes=(".c", ".h")):
    return sorted(p for folder in folders for p in Path(folder).rglob("*")
                  if p.suffix in suffixes and p.is_file())


def output(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    return done.stdout


def folder_of(path):
    return os.path.normpath(path.parent)


PRODUCT = sources("agent", "hooks", "proto")
