# SPDX-License-Identifier: Apache-2.0
"""The functions of the product, from its text: names, words, bodies, and the calls in them.

The tree is formatted by clang-format (tools.py): a definition begins in the first column, its body
is between a "{" and a "}" that stand there alone. A macro with arguments is a function as well,
since what it calls is called where it stands.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

from lint_rules.common import PRODUCT, complain

SELF = "scripts/lint_rules/functions.py"
WORDS = ("PA_SIGNAL", "PA_APP", "PA_API", "PA_AGENT", "PA_BOOT")
SKIP = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
DEFINITION = re.compile(r"^([A-Za-z_][^;{}#=]*\))\n\{\n(.*?)^\}", re.M | re.S)
DECLARATION = re.compile(r"^([A-Za-z_][^;{}#=]*\))(?:\s*PA_\w+(?:\([^;{}]*\))?)*;", re.M)
ATTRIBUTES = re.compile(r"\)(?:\s*(?:__attribute__\(\(.*?\)\)|PA_[A-Z]+\([^()]*\)))+$", re.S)
MACRO = re.compile(r"^#define (\w+)\(([^)]*)\)((?:.*\\\n)*.*)$", re.M)
CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
NO_CALLS = {"if", "for", "while", "switch", "return", "sizeof", "_Alignof", "_Static_assert",
            "__attribute__", "_Alignas", "__typeof__"}


@dataclass
class Function:
    """One definition or declaration; head is what stands before its name."""
    name: str
    path: Path
    line: int
    head: str
    body: str = ""
    lines: int = 0
    macro: bool = False
    calls: set = field(default_factory=set)

    @property
    def static(self):
        return bool(re.search(r"\bstatic\b|\bPA_INLINE\b", self.head))

    @property
    def word(self):
        return next((word for word in WORDS if re.search(rf"\b{word}\b", self.head)), None)


def blank(text):
    """The text without comments and strings, each line where it was."""
    return SKIP.sub(lambda match: "\n" * match.group(0).count("\n") or " ", text)


def calls_in(body):
    return {name for name in CALL.findall(body) if name not in NO_CALLS}


def split_head(head):
    """(what stands before the name, the name): the last parentheses are those of its parameters."""
    head = ATTRIBUTES.sub(")", head)
    depth, at = 0, len(head)
    while at:
        at -= 1
        depth += (head[at] == ")") - (head[at] == "(")
        if depth == 0:
            break
    name = re.search(r"\w+$", head[:at])
    return (head[:name.start()], name.group(0)) if name else (head, "")


def definitions(path, text):
    text, found = blank(text), []
    for match in DEFINITION.finditer(text):
        head, name = split_head(match.group(1))
        body = match.group(2)
        line = text.count("\n", 0, match.start(2)) - match.group(1).count("\n", len(head))
        found.append(Function(name, path, line, head, body, body.count("\n"), False,
                              calls_in(body)))
    return found


def macros(path, text):
    return [Function(match.group(1), path, text.count("\n", 0, match.start()) + 1, "static",
                     match.group(3), 0, True, calls_in(match.group(3)))
            for match in MACRO.finditer(blank(text))]


def declarations(path, text):
    text, found = blank(text), []
    for match in DECLARATION.finditer(text):
        head, name = split_head(match.group(1))
        if head.strip() and not head.startswith("typedef"):
            found.append(Function(name, path, text.count("\n", 0, match.end()) + 1, head))
    return found


def read(path):
    return path.read_text(encoding="utf-8")


def product_definitions():
    return [one for path in PRODUCT for one in definitions(path, read(path))]


# ------------------------------------------------------------------ lengths

LINES_MAX = 60


def too_long(functions):
    return [one for one in functions if one.lines > LINES_MAX]


def check_lengths():
    functions = product_definitions()
    lines = sorted(one.lines for one in functions)
    print(f"lint: {len(lines)} functions, lines: median {lines[len(lines) // 2]}, "
          f"90 % have {lines[len(lines) * 9 // 10]} at most, the longest {lines[-1]}")
    for one in too_long(functions):
        complain(f"{one.path}:{one.line}", f"{one.name} has {one.lines} lines, at most {LINES_MAX}")
    text = "int f(int a)\n{\n" + "\ta++;\n" * LINES_MAX + "}\n"
    if too_long(definitions("a.c", text)):
        complain(SELF, "finds a function too long that is not")
    if not too_long(definitions("a.c", text.replace("\ta", "\ta++;\n\ta", 1))):
        complain(SELF, "does not find a function that is too long")


# ------------------------------------------------------------------ names of statics

def is_built(path):
    """One machine at a time is compiled: agent/arch/none has the names of the real ones."""
    return path.parent.name != "none"


def shared_names(functions):
    """[(function, fault)]: statics that gdb's `break NAME` would not find, or not alone."""
    first, found = {}, []
    for one in functions:
        if not one.static or one.macro:
            continue
        if "_" not in one.name:
            found.append((one, "is one bare word: say of what"))
        other = first.setdefault(one.name, one)
        if other is not one and other.path != one.path:
            found.append((one, f"is also in {other.path}"))
    return found


def check_statics():
    functions = [one for one in product_definitions() if is_built(one.path)]
    for one, fault in shared_names(functions):
        complain(f"{one.path}:{one.line}", f"{one.name} {fault}")
    text = "static int {}(void)\n{{\n\treturn 0;\n}}\n"
    for a, b, faults in (("put_a", "put_b", 0), ("put_a", "put_a", 1), ("put", "put_b", 1)):
        functions = [*definitions(Path("a.c"), text.format(a)),
                     *definitions(Path("b.c"), text.format(b))]
        if len(shared_names(functions)) != faults:
            complain(SELF, f"does not find {faults} faults in {a} and {b}")
