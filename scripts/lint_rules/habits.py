# SPDX-License-Identifier: Apache-2.0
"""One version, a licence line in every source file, and documents that name targets that exist.

The rules are functions of text, so that they are tested with text that breaks them.
"""
import re
import subprocess
from pathlib import Path

from lint_rules.common import complain

SELF = "scripts/lint_rules/habits.py"
LICENCE = "SPDX-License-Identifier: Apache-2.0"
# Within so many lines: a script begins with its interpreter.
LICENCE_LINES = 2
# What has no comments, or is another's text.
NO_LICENCE = re.compile(r"LICENSE|.*\.md|.*\.json|\.gitignore|changelog|copyright|format")


# ------------------------------------------------------------------ version

def version_fault(header, changelog, debian):
    """What is wrong between version.h, CHANGELOG.md and debian/changelog, or None."""
    defined = re.search(r'^#define PA_VERSION "([^"]+)"', header, re.M)
    newest = re.search(r"^## \[([^\]]+)\]", changelog, re.M)
    if not defined or not newest:
        return "no version in agent/base/version.h or CHANGELOG.md"
    if defined.group(1) != newest.group(1):
        return f"its newest version is {newest.group(1)}, version.h says {defined.group(1)}"
    if not debian.startswith(f"pprofagent ({newest.group(1)}) "):
        return f"its newest version is {newest.group(1)}, that of debian/changelog is not"
    return None


def check_version():
    header = Path("agent/base/version.h").read_text(encoding="utf-8")
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    debian = Path("debian/changelog").read_text(encoding="utf-8")
    fault = version_fault(header, changelog, debian)
    if fault:
        complain("CHANGELOG.md", fault)
    good = '#define PA_VERSION "1.2.0"\n', "# Changelog\n\n## [1.2.0]\n\n## [1.1.0]\n", \
        "pprofagent (1.2.0) stable; urgency=low\n"
    if version_fault(*good):
        complain(SELF, "finds a fault in versions that are equal")
    for bad in ((good[0], "## [1.1.0]\n", good[2]), (good[0], "", good[2]),
                ("", good[1], good[2]), (good[0], good[1], "pprofagent (1.2.0-1) x\n")):
        if not version_fault(*bad):
            complain(SELF, f"does not find what is wrong with {bad!r}")


# ------------------------------------------------------------------ licence

def has_licence(name, text):
    if NO_LICENCE.fullmatch(name):
        return True
    return any(LICENCE in line for line in text.split("\n")[:LICENCE_LINES])


def files():
    """Those that are or will be under version control; all, where there is no git."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() or [str(p) for p in Path(".").rglob("*")
                                           if p.parts[0] not in ("build", ".git")]
    return [Path(name) for name in sorted(names) if Path(name).is_file()]


def check_licence():
    for path in files():
        if not has_licence(path.name, path.read_text(encoding="utf-8")):
            complain(path, f"has no line {LICENCE}")
    line = f"# {LICENCE}\n"
    for name, text, good in (("a.c", f"/* {LICENCE} */\n", True), ("a", "#!/bin/sh\n" + line, True),
                             ("a.md", "", True), ("a.c", "int a;\n", False), ("a.c", "", False),
                             ("a.py", '"""Text."""\nimport re\n' + line, False)):
        if has_licence(name, text) != good:
            complain(SELF, f"takes {name} with {text!r} for the wrong thing")


# ------------------------------------------------------------------ commands in documents

def documents():
    return [*sorted(Path(".").glob("*.md")), *sorted(Path("agent").rglob("*.md"))]


def helped(makefile):
    """The targets that `make help` lists: those with a ## comment."""
    return set(re.findall(r"^## .*\n(?:## .*\n)*([a-z0-9_-]+):", makefile, re.M))


def named(document):
    """The targets that a document names, in `make X` or in a line of its own."""
    return set(re.findall(r"(?:`|^    )make (?:[A-Z_]+=\S+ )*([a-z][a-z0-9_-]*)", document, re.M))


def check_commands():
    makefiles = [Path("Makefile"), *Path("test").rglob("*.mk")]
    targets = set().union(*(helped(path.read_text(encoding="utf-8")) for path in makefiles))
    for path in documents():
        for name in sorted(named(path.read_text(encoding="utf-8")) - targets):
            complain(path, f"names `make {name}`, which `make help` does not list")
    if helped("## one\n## more\na: b\nc:\n") != {"a"}:
        complain(SELF, "does not tell targets with help from others")
    if named("`make a` and `make B=1 c`, make d\n    make e-f   # g\n") != {"a", "c", "e-f"}:
        complain(SELF, "does not find the targets in a document")


# ------------------------------------------------------------------ links and paths in documents

def broken_links(folder, document):
    """The files that a document links to or names by their path, and that are not there."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document)
    found = [link for link in links if "://" not in link and not (folder / link).exists()]
    paths = re.findall(r"`((?:agent|hooks|proto|scripts|test)/[\w./-]+)`", document)
    return found + [path for path in paths if not Path(path).exists()]


def check_links():
    for path in documents():
        for link in broken_links(path.parent, path.read_text(encoding="utf-8")):
            complain(path, f"names {link}, which is not there")
    text = "[a](Makefile) [b](gone.md#x) [c](https://x.y/z) `agent/gone.c` `scripts/lint` `a/b`"
    if broken_links(Path("."), text) != ["gone.md", "agent/gone.c"]:
        complain(SELF, "does not find what is not there")
