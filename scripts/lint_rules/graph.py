# SPDX-License-Identifier: Apache-2.0
"""No circles between files, by the symbols that their objects define and use.

A file uses another one when its object leaves a name undefined that the other's defines. Calls
through pointers do not count: a table that is handed over at run time is how a circle is cut.
"""
from lint_rules.common import B, PRODUCT, complain, folder_of, output

# Files that are compiled into both objects stand here once, by their object on the program's side.
AGENT_FOLDERS = ("agent", "agent/base", "agent/record", "hooks")


def circles(uses):
    """Strongly connected components of more than one node, sorted; uses: {node: {node}}. Tarjan."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(uses.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(uses):
        if node not in index:
            visit(node)
    return sorted(found)


def object_of(path):
    side = "obj" if folder_of(path) in AGENT_FOLDERS else "core"
    return B / side / path.with_suffix(".o")


def names_of(path):
    """(defined, undefined): the names of ours in a file's object."""
    defined, undefined = set(), set()
    for line in output("nm", object_of(path)).splitlines():
        kind, name = line.split()[-2:]
        if name.startswith("pa_"):
            (undefined if kind == "U" else defined if kind.isupper() else set()).add(name)
    return defined, undefined


def uses_of(paths):
    names = {str(path): names_of(path) for path in paths}
    owner = {name: path for path, (defined, _) in names.items() for name in defined}
    return {path: {owner[name] for name in undefined if owner.get(name, path) != path}
            for path, (_, undefined) in names.items()}


def check_circles():
    for circle in circles(uses_of([p for p in PRODUCT if p.suffix == ".c"])):
        complain(circle[0], "uses, by way of others, itself: " + ", ".join(circle))
    if circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) != [["a", "b", "c"]]:
        complain("scripts/lint_rules/graph.py", "does not find a circle")
