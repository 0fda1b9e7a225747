# SPDX-License-Identifier: Apache-2.0
"""Context words (agent/base/base.h): each function has one, and calls only what may run there.

The calls are those that the text has. Statics have no word of their own unless one is written:
what they call is called by those that call them. A static that only its address leads to (in a
table, as a callback) begins a path as well: its word is written, or that of its folder.
"""
from collections import defaultdict

from lint_rules.common import PRODUCT, complain, folder_of
from lint_rules.functions import declarations, definitions, is_built, macros, read

SELF = "scripts/lint_rules/contexts.py"
MAY_CALL = {
    "PA_SIGNAL": {"PA_SIGNAL"},
    "PA_APP": {"PA_SIGNAL", "PA_APP"},
    "PA_API": {"PA_SIGNAL", "PA_APP", "PA_API"},
    "PA_AGENT": {"PA_SIGNAL", "PA_APP", "PA_API", "PA_AGENT"},
    "PA_BOOT": {"PA_SIGNAL", "PA_APP", "PA_BOOT"},
}
# Where functions have a word without one being written: hooks are called by the program, the core
# by its own threads, a setting is read by boot, and what stands in before boot does nothing.
BY_PLACE = {"hooks": "PA_APP", "agent/serve": "PA_AGENT", "agent/profile": "PA_AGENT",
            "agent/symbols": "PA_AGENT", "agent/modules": "PA_AGENT", "agent/stacks": "PA_AGENT",
            "agent/unwind": "PA_AGENT", "proto": "PA_AGENT", "agent/base/env.c": "PA_BOOT",
            "agent/record/process.c": "PA_SIGNAL", "agent/base/newer_libc.c": "PA_SIGNAL",
            "agent/own_calls.c": "PA_SIGNAL"}
# (caller, or its file; what it calls): why it may. "*": whatever it calls.
EXCEPTIONS = {
    ("pa_core_main", "*"): "boots the core, which has no other thread yet",
    ("run_agent", "*"): "boots the core, on the first thread of ours",
    ("boot_in_constructor", "pa_agent_thread"): "in a program of one thread",
    ("pa_core_object_open_locked", "pa_log"): "start-up is not over",
    ("pa_listen_open", "pa_log"): "start-up is not over",
    ("pa_listen_open", "pa_log_quote"): "start-up is not over",
    ("pa_listen_open", "pa_log_quote_all"): "start-up is not over",
    ("pa_seccomp_probe_again", "*"): "boots the agent late, on the program's only thread",
    ("pa_fork_guard_loader", "pa_lock_reset"): "in a copy of the process without handlers",
    ("pa_latch_enter", "pa_futex_wait"): "all signals are blocked, and the wait is bounded",
    ("pa_suspend_resume", "pa_agent_thread"): "in a call that our threads ended for",
    ("start_in_child", "pa_agent_thread"): "in a child, which has one thread",
    ("start_after_proof", "*"): "boots the agent late, on the program's only thread",
    ("pa_own_memory_free", "pa_lock"): "only on threads of the agent's role",
    ("hooks/hook_malloc.c", "pa_own_memory_alloc"): "only on threads of the agent's role",
    ("hooks/own_malloc.c", "pa_own_memory_alloc"): "only on threads of the agent's role",
}


class Program:
    """All functions of the product by name, and what they call."""

    def __init__(self, found, declared):
        self.words = {one.name: one.word for one in declared if one.word}
        self.extern = {one.name: one for one in found if not one.static}
        self.shared = {one.name: one for one in found
                       if one.static and one.path.suffix == ".h"}
        self.local = defaultdict(dict)
        for one in found:
            if one.static:
                self.local[one.path][one.name] = one

    def word(self, one):
        return one.word or (not one.static and self.words.get(one.name)) or None

    def callee(self, caller, name):
        return (self.local[caller.path].get(name) or self.shared.get(name)
                or self.extern.get(name))

    def reached(self, root):
        """{function with a word: the statics on the way there}"""
        seen, found, todo = set(), {}, [(root, ())]
        while todo:
            one, way = todo.pop()
            for name in sorted(one.calls):
                other = self.callee(one, name)
                if not other or id(other) in seen:
                    continue
                seen.add(id(other))
                if self.word(other):
                    found[other.name] = (other, way)
                elif other.static:
                    todo.append((other, way + (name,)))
        return found

    def called_by_address(self):
        """The statics that nothing in their file calls by name."""
        for names in self.local.values():
            called = set().union(*(one.calls for one in names.values()),
                                 *(one.calls for one in self.extern.values()
                                   if one.path in {other.path for other in names.values()}))
            yield from (one for one in names.values()
                        if one.name not in called and one.path.suffix == ".c" and not one.macro)

    def roots(self):
        yield from self.extern.values()
        yield from (one for one in self.shared.values() if one.word)
        yield from (one for names in self.local.values() for one in names.values()
                    if one.word and one.path.suffix == ".c")
        yield from (one for one in self.called_by_address() if not one.word)


def faults(program, by_place):
    """[(caller, callee, text)]"""
    found = []
    for root in program.roots():
        word = (program.word(root) or by_place.get(str(root.path))
                or by_place.get(folder_of(root.path)))
        if not word:
            found.append((root, None, "has no context word"))
            continue
        for name, (other, way) in program.reached(root).items():
            if program.word(other) not in MAY_CALL[word]:
                by = f" by way of {', '.join(way)}" if way else ""
                found.append((root, name, f"is {word} and calls {name}, which is "
                                          f"{program.word(other)}{by}"))
    return found


def mismatches(program):
    return [one for one in program.extern.values()
            if one.word and program.words.get(one.name, one.word) != one.word]


def product():
    paths = [path for path in PRODUCT if is_built(path)]
    found = [one for path in paths for part in (definitions, macros)
             for one in part(path, read(path))]
    return Program(found, [one for path in paths if path.suffix == ".h"
                           for one in declarations(path, read(path))])


def check_contexts():
    program, used = product(), set()
    for one in mismatches(program):
        complain(f"{one.path}:{one.line}", f"{one.name} has another context word in its header")
    for one, name, text in faults(program, BY_PLACE):
        keys = {(one.name, name), (one.name, "*"), (str(one.path), name)} & EXCEPTIONS.keys()
        used |= keys
        if not keys:
            complain(f"{one.path}:{one.line}", f"{one.name} {text}")
    for caller, name in sorted(EXCEPTIONS.keys() - used):
        complain(SELF, f"the exception of {caller} for {name} is not needed")
    check_itself()


def made_up(text, header=""):
    path = PRODUCT[0].with_suffix(".c")
    return Program(definitions(path, text), declarations(path.with_suffix(".h"), header))


def check_itself():
    low, high = "PA_SIGNAL void pa_low(void)\n{\n}\n", "PA_AGENT void pa_high(void)\n{\n}\n"
    way = "static void go_on(void)\n{\n\tpa_high();\n}\n"
    for text, count in (
            (low + high + "PA_AGENT void pa_a(void)\n{\n\tpa_low();\n\tpa_high();\n}\n", 0),
            (low + high + "PA_SIGNAL void pa_a(void)\n{\n\tpa_high();\n}\n", 1),
            (high + way + "PA_APP void pa_a(void)\n{\n\tgo_on();\n}\n", 1),
            (high + "static PA_APP void by_table(void)\n{\n\tpa_high();\n}\n", 1),
            ("void pa_a(void)\n{\n}\n", 1)):
        if len(faults(made_up(text), {})) != count:
            complain(SELF, f"does not find {count} faults in {text!r}")
    if not mismatches(made_up(low, "PA_APP void pa_low(void);\n")):
        complain(SELF, "does not find a word that differs from the header's")
