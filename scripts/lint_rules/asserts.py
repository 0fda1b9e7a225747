# SPDX-License-Identifier: Apache-2.0
"""Asserts of our own invariants: how many, and that those of locks stand where names promise them.

A function whose name ends in _locked needs a lock of base/lock.h that its caller holds: it asserts
that (PA_ASSERT_HELD), and is called only where one is held. Statics may go without the suffix.
"""
import re
from collections import defaultdict
from pathlib import Path

from lint_rules.common import complain, sources
from lint_rules.contexts import product
from lint_rules.functions import blank, definitions, read

SELF = "scripts/lint_rules/asserts.py"
# Asserts per 1,000 lines, in the folders that keep tables.
DENSITY = 15
FOLDERS = ("agent/record", "agent/profile", "agent/stacks", "agent/unwind")
ASSERT = re.compile(r"\bPA_ASSERT(?:_\w+)?\(")
TAKES = re.compile(r"^(pa_lock|pa_lock_timed|pa_latch_enter|pa_requeue_lock|pa_tables_lock\w*)$")
# Under a latch (base/latch.h), which is given up when its holder is gone: nothing to assert.
LATCHED = {"agent/record/altstack.c", "agent/record/disposition.c", "agent/record/requeue.c"}
# Answers whether something is locked (base/own_maps.h: by mlockall).
NO_LOCK = {"pa_own_maps_are_locked"}


# ------------------------------------------------------------------ how many

def density(texts):
    lines = sum(text.count("\n") for text in texts)
    asserts = sum(len(ASSERT.findall(blank(text))) for text in texts)
    return 1000 * asserts / lines if lines else 0


def check_asserts():
    for folder in FOLDERS:
        found = density([read(path) for path in sources(folder)])
        if found < DENSITY:
            complain(folder, f"{found:.1f} asserts per 1,000 lines, at least {DENSITY}")
    text = "/* PA_ASSERT(a); */\n\tPA_ASSERT(b);\n" + "\n" * 98
    if density([text]) != 10:
        complain(SELF, "does not count asserts")


# ------------------------------------------------------------------ locks

def is_locked(name):
    return name.endswith("_locked") and name not in NO_LOCK


def holds(one):
    """It has a lock, or needs none: one thread is all there is."""
    return (is_locked(one.name) or one.word == "PA_BOOT"
            or any(TAKES.match(name) for name in one.calls))


def holder_missing(one, callers, seen=()):
    """The first function on a way to one that holds no lock, or None. Statics ask their callers."""
    if holds(one):
        return None
    above = callers.get((one.path, one.name), ()) if one.static else ()
    if not above or one.name in seen:
        return one
    return next(filter(None, (holder_missing(other, callers, (*seen, one.name))
                              for other in above)), None)


def lock_faults(functions):
    """[(function, fault)]"""
    found, callers = [], defaultdict(list)
    for one in functions:
        for name in one.calls:
            callers[one.path, name].append(one)
    for one in functions:
        held = "PA_ASSERT_HELD" in one.calls
        if is_locked(one.name) and not held and str(one.path) not in LATCHED:
            found.append((one, "does not assert that its lock is held"))
        if held and not (is_locked(one.name) or one.static):
            found.append((one, "asserts that a lock is held: its name should end in _locked"))
        for name in sorted(filter(is_locked, one.calls)):
            missing = holder_missing(one, callers)
            if missing:
                found.append((missing, f"holds no lock, and {name} is called"))
    return found


def check_locks():
    program = product()
    functions = [*program.extern.values(), *program.shared.values(),
                 *(one for names in program.local.values() for one in names.values())]
    for one in functions:
        one.head = f"{program.word(one) or ''} {one.head}"
    found = lock_faults([one for one in functions if not one.macro])
    for text in sorted({f"{one.path}:{one.line}: {one.name} {fault}" for one, fault in found}):
        complain(*text.split(": ", 1))
    head, held = "static void {}(void)\n{{\n", "\tPA_ASSERT_HELD(PA_LOCK_LOAD);\n"
    good = head.format("put_locked") + held + "}\n"
    by_way = good + head.format("put_on") + "\tput_locked();\n}\n"
    for text, count in (
            (good + head.format("put_it") + "\tpa_lock(&l);\n\tput_locked();\n}\n", 0),
            (by_way + head.format("put_it") + "\tpa_lock(&l);\n\tput_on();\n}\n", 0),
            (by_way + head.format("put_it") + "\tput_on();\n}\n", 1),
            (head.format("put_locked") + "}\n", 1),
            ("void pa_a(void)\n{\n" + held + "}\n", 1),
            (head.format("put_it") + "\tput_locked();\n}\n", 1)):
        if len(lock_faults(definitions(Path("a.c"), text))) != count:
            complain(SELF, f"does not find {count} faults in {text!r}")
