# SPDX-License-Identifier: Apache-2.0
"""Asks Go's net/http/pprof and the agent the same questions, and prints what came of it.

    make conformance                 the table; exit status 1 if anything is different
    make conformance ROWS=1          with each row

A row is equal, decided (the difference is in decided.py, with its reason), or DIFFERENT.
"""
import sys

from conformance import comparison, consumers, contract
from conformance.comparison import DECIDED, DIFFERENT, EQUAL

WIDTH = 100


def short(value, length=WIDTH):
    text = repr(value)
    return text if len(text) <= length else text[:length - 3] + "..."


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def print_counts(outcome):
    title("By row of the contract: asked, equal, decided, DIFFERENT "
          f"({' + '.join(outcome.gos)})")
    line = []
    for one in [*contract.IDS, *sorted({i for i in contract.asked_ids() if i.startswith("M-")})]:
        mine = [v for v in outcome.verdicts.values() if v.key.split(" ")[0] == one]
        if mine:
            states = [v.state for v in mine]
            cell = f"{one} {len(mine)}/{states.count(EQUAL)}/{states.count(DECIDED)}"
            bad = states.count(DIFFERENT)
            line.append(f"{cell}/{bad}!" if bad else cell)
        else:
            line.append(f"{one} *")
    for start in range(0, len(line), 6):
        print("  " + "".join(f"{cell:<16}" for cell in line[start:start + 6]).rstrip())
    print("  * compared in every answer of its kind, or tested elsewhere:")
    for one, (path, name, remark) in contract.PLACES.items():
        print(f"    {one:<4} {path} {name}" + (f" ({remark})" if remark else ""))


def print_rows(outcome):
    title("Each row")
    for v in outcome.verdicts.values():
        print(f"  {v.state:<9} {v.go:<10} {v.key[:WIDTH]}")


def example(verdict, reason):
    """(name, (Go's, the agent's)) of a fact that a decision explains, the most telling one."""
    names = {name for d in verdict.decisions if d.reason == reason for name in d.facts}
    mine = sorted(names & set(verdict.explained), key=lambda n: (n != "status", n != "body", n))
    return mine[0], verdict.explained[mine[0]]


def print_decided(outcome):
    title("Decided differences")
    groups = {}
    for v in outcome.of(DECIDED):
        for d in v.decisions:
            groups.setdefault((d.source, d.reason), []).append(v)
    for (source, reason), verdicts in groups.items():
        gos = sorted({v.go for v in verdicts})
        print(f"  {reason}")
        print(f"    {source}; {len({v.key for v in verdicts})} rows; {', '.join(gos)}")
        name, (theirs, ours) = example(verdicts[0], reason)
        print(f"    {verdicts[0].key[:WIDTH]}")
        print(f"      {name}: Go {short(theirs, 60)}\n      {' ' * len(name)}  the agent "
              f"{short(ours, 60)}")


def print_different(outcome):
    title("DIFFERENT")
    groups = {}
    for v in outcome.of(DIFFERENT):
        groups.setdefault(repr(sorted(v.differences.items())), []).append(v)
    for verdicts in groups.values():
        for key in dict.fromkeys(v.key for v in verdicts):
            print(f"  {key[:WIDTH]} ({', '.join(v.go for v in verdicts if v.key == key)})")
        for name, (theirs, ours) in verdicts[0].differences.items():
            print(f"    {name}\n      Go         {short(theirs)}\n      the agent  {short(ours)}")
    for d, go in outcome.stale():
        print(f"  decided, and not so: {d.reason} ({go}): {d.rows}")


def print_rules(found, counted):
    title("What consumers insist on")
    for rule in consumers.RULES:
        times = f", {counted[rule]} times" if rule in counted else ""
        print(f"  {rule.who:<10} {rule.text}\n{'':13}{rule.place()}{times}")
        for text in found.get(rule, [])[:5]:
            print(f"{'':13}BROKEN {text}")


def main():
    outcome = comparison.run()
    found, counted = outcome.complaints()
    print_counts(outcome)
    if "--rows" in sys.argv:
        print_rows(outcome)
    print_decided(outcome)
    print_rules(found, counted)
    different = outcome.of(DIFFERENT)
    if different or outcome.stale():
        print_different(outcome)
    states = [v.state for v in outcome.verdicts.values()]
    keys = {v.key for v in outcome.verdicts.values()}
    print(f"\n{len(keys)} rows asked of {', '.join(outcome.gos)} and the agent in "
          f"{outcome.took_s:.0f} s: {states.count(EQUAL)} equal, {states.count(DECIDED)} decided, "
          f"{len(different)} DIFFERENT; {len(consumers.RULES)} rules, {len(found)} broken; "
          f"{len(outcome.stale())} decisions of no use")
    return 1 if different or found or outcome.stale() or contract.missing() else 0


if __name__ == "__main__":
    sys.exit(main())
