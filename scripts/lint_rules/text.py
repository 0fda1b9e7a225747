# SPDX-License-Identifier: Apache-2.0
"""Sizes, words, and the last include."""
import re
from pathlib import Path

from lint_rules.common import PRODUCT, complain, sources
from lint_rules.habits import LICENCE, LICENCE_LINES

LINES_MAX, COLUMNS_MAX = 500, 100
FORBIDDEN = [r"/work\b", r"/root\b", r"/home/\w", r"\bTODO\b", r"\bFIXME\b", r"\bXXX\b(?!\.)"]
FORBIDDEN_PRODUCT = [r"/tmp/(?!pprofagent)", r"\bbrief\b", r"\bthe lead\b"]


def check_text():
    everything = (PRODUCT + sources("test", suffixes=(".c", ".h", ".cpp", ".rs", ".py"))
                  + sources("agent/ui", suffixes=(".js", ".css", ".html"))
                  + sources("command", suffixes=(".sh", ".mk", ".bash", ".zsh", ".1", ".7"))
                  + sources("scripts", ".ci", suffixes=("", ".txt", ".py")) + [Path("Makefile")]
                  + sources("debian", suffixes=("", ".install", ".examples", ".docs", ".dirs",
                                               ".triggers", ".lintian-overrides")))
    for path in everything:
        lines = path.read_text(encoding="utf-8").split("\n")
        count = len(lines) - 1 - any(LICENCE in line for line in lines[:LICENCE_LINES])
        if count > LINES_MAX:
            complain(path, f"{count} lines, at most {LINES_MAX}")
        if lines[-1] != "":
            complain(path, "does not end in a newline")
        for number, line in enumerate(lines, 1):
            width = len(line.expandtabs(8))
            if width > COLUMNS_MAX:
                complain(f"{path}:{number}", f"{width} columns, at most {COLUMNS_MAX}")
            if line != line.rstrip():
                complain(f"{path}:{number}", "blanks at the end of the line")
        words = FORBIDDEN + (FORBIDDEN_PRODUCT if path in PRODUCT else [])
        if str(path) != "scripts/lint_rules/text.py":
            for number, line in enumerate(lines, 1):
                for pattern in words:
                    if re.search(pattern, line):
                        complain(f"{path}:{number}", f"{pattern!r} may not stand here")


def check_banned():
    """banned.h is the last include of every file that runs on the program's threads."""
    for path in sources("agent/record", "hooks", suffixes=(".c",)):
        names = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]',
                           path.read_text(encoding="utf-8"), re.M)
        if not names or not names[-1].endswith("banned.h"):
            complain(path, "banned.h is not its last include")
