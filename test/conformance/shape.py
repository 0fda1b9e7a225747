# SPDX-License-Identifier: Apache-2.0
"""What can be compared of an answer: facts, {name: value}, with numbers, addresses and names
reduced to their shape.

Each answer has its status, its headers and "body". Where the body is one of Go's forms, "body" says
which, and facts about it follow; else it is the text itself.
"""
import html
import re

from conformance import protos
from conformance.ask import HEADERS

N, X = r"-?\d+", r"0x[0-9a-f]+"
HEAP_RECORD = re.compile(rf"({N}): ({N}) \[({N}): ({N})\] @(.*)")
CYCLES_RECORD = re.compile(rf"({N}) ({N}) @(.*)")
COUNT_RECORD = re.compile(rf"({N}) @(.*)")


def facts(answer, program=""):
    found = {"status": answer.status}
    for name in HEADERS:
        found[name] = answer.header(name)
    form, more = body_facts(answer, program)
    found["body"] = form
    found.update(more)
    # Of the others Go writes what it has not counted yet.
    if not (found["Content-Disposition"] or "").endswith('-delta"'):
        found.pop("proto.zeros", None)
    return found


def body_facts(answer, program):
    if answer.body[:2] == b"\x1f\x8b":
        return "<gzip>", protos.facts(answer.body, program)
    trace = re.match(rb"go 1\.\d+ trace\0+", answer.body)
    if trace:
        return "<trace>", {"trace.head": len(trace.group()) // 16 * 16}
    text = answer.text
    for first, form, read in FORMS:
        if re.match(first, text):
            return form, read(text)
    return text.replace(program, "PROGRAM") if program else text, {}


# ------------------------------------------------------------------ texts of stacks


def kind(line, record):
    """One letter for what a line of such a text is."""
    if line == "":
        return "B"
    if line.startswith("# labels:"):
        return "L"
    if line.startswith("#\t"):
        return "F"
    if line.startswith("# "):
        return "M"
    return "R" if record.fullmatch(line) else "H"


def frame_shape(line):
    """Of "#\\t0xPC\\tFUNCTION+0xOFFSET\\tFILE:LINE", tabs as they align."""
    return re.sub(rf"^#\t{X}\t(\S.*)\+{X}\t+(.*):{N}$", "# PC NAME+OFFSET FILE:LINE",
                  re.sub(rf"^#\t{X}$", "# PC", line))


def label_shape(line):
    body = re.fullmatch(r"# labels: \{(.*)\}", line)
    pairs = re.findall(r'("(?:[^"\\]|\\.)*"):("(?:[^"\\]|\\.)*")(?:, |$)', body.group(1)) if body \
        else []
    rebuilt = ", ".join(f"{key}:{value}" for key, value in pairs)
    good = body and rebuilt == body.group(1)
    keys = [key for key, _ in pairs]
    return "# labels: {SORTED}" if good and keys == sorted(keys) else line


def structure(kinds):
    """The kinds of lines in their order, each run (but of blank lines) and each record as one."""
    text = re.sub(r"([^B])\1+", r"\1", "".join(kinds))
    return re.sub(r"(RL?F?B)+", "(RECORD)", text)


def order(values):
    """How records are sorted, None where the values do not tell."""
    down = all(a >= b for a, b in zip(values, values[1:]))
    up = all(a <= b for a, b in zip(values, values[1:]))
    if down and up:
        return None
    return "descending" if down else "ascending" if up else "none"


def stacks(text, record):
    """(lines, kinds, [(match of a record line, [lines of its frames])])"""
    lines = text.split("\n")[:-1]
    kinds = [kind(line, record) for line in lines]
    records = []
    for line, k in zip(lines, kinds):
        if k == "R":
            records.append((record.fullmatch(line), []))
        elif k == "F" and records:
            records[-1][1].append(line)
    return lines, kinds, records


def stack_facts(text, record):
    lines, kinds, records = stacks(text, record)
    shapes = {re.sub(rf"{N}\b", "N", re.sub(rf"( {X})+$", " PCS", match.group(0)))
              for match, _ in records}
    return records, {
        "text.head": [re.sub(N, "N", line) for line, k in zip(lines, kinds) if k == "H"],
        "text.structure": structure(kinds),
        "text.records": sorted(shapes),
        "text.frames": sorted({frame_shape(line) for _, frames in records for line in frames}),
        "text.labels": sorted({label_shape(line) for line in lines
                               if line.startswith("# labels")}),
        "text.ends": "newline" if text.endswith("\n") else "no newline",
    }


def frame_pcs(records):
    """How far the address of a frame's line lies behind one of its record's list."""
    found = set()
    for match, frames in records:
        listed = {int(pc, 16) for pc in re.findall(X, match.group(match.lastindex))}
        for line in frames:
            pc = int(re.match(rf"#\t({X})", line).group(1), 16)
            found.add(-1 if pc + 1 in listed else 0 if pc in listed else "not listed")
    return sorted(found, key=str)


def heap_facts(text):
    before, mark, tail = text.partition("\n# runtime.MemStats\n")
    records, found = stack_facts(text, HEAP_RECORD)
    head = re.match(rf"heap profile: ({N}): ({N}) \[({N}): ({N})\] @ heap/({N})\n", before)
    sums = [sum(int(match.group(i)) for match, _ in records) for i in (1, 2, 3, 4)]
    totals = [int(head.group(i)) for i in (1, 2, 3, 4)]
    found.update({
        "text.head": re.sub(rf"{N}\b(?!$)", "N", before.split("\n", 1)[0]),
        "text.order": order([int(match.group(2)) for match, _ in records]),
        # Go writes one byte more where the second pair would look like the first.
        "text.totals": totals[:3] == sums[:3] and totals[3] - sums[3] in (0, 1),
        "text.mark": bool(mark),
        "text.tail": re.findall(r"^# (\w+) = ", tail, re.M),
        "text.last": re.sub(N, "N", tail.rstrip("\n").split("\n")[-1]),
        "text.frame pcs": frame_pcs(records),
    })
    return found


def contention_facts(text):
    records, found = stack_facts(text, CYCLES_RECORD)
    found["text.order"] = order([int(match.group(1)) for match, _ in records])
    found["text.frame pcs"] = frame_pcs(records)
    return found


def count_facts(text):
    records, found = stack_facts(text, COUNT_RECORD)
    total = int(re.search(r"total (\d+)\n", text).group(1))
    found["text.order"] = order([int(match.group(1)) for match, _ in records])
    found["text.totals"] = total == sum(int(match.group(1)) for match, _ in records)
    return found


# ------------------------------------------------------------------ goroutine?debug=2

DUMP_LINES = [
    (r"goroutine \d+ \[[^\]]+\]:", "goroutine N [STATE]:"),
    (r"goroutine \d+ \[[^\]]+\] \{.*\}:", "goroutine N [STATE] {NOTE}:"),
    (r"created by \S.* in goroutine \d+", "created by NAME in goroutine N"),
    (r"created by \S.*", "created by NAME"),
    (r"\t.*:\d+ \+0x[0-9a-f]+", "\tFILE:LINE +OFFSET"),
    (r"\t.*:\d+", "\tFILE:LINE"),
    (r".+\(\.\.\.\)", "NAME(...)"),
    (r".+\(.*\)", "NAME(VALUES)"),
    (r"", ""),
]


def dump_shape(line):
    for pattern, shape in DUMP_LINES:
        if re.fullmatch(pattern, line):
            return shape
    return line


def dump_facts(text):
    shapes = [dump_shape(line) for line in text.split("\n")[:-1]]
    return {
        "dump.lines": sorted(set(shapes)),
        "dump.states": all(re.search(r"\[\w", line) for line in text.split("\n")
                           if line.startswith("goroutine ")),
        "dump.end": "blank line" if text.endswith("\n\n") else "last frame",
    }


# ------------------------------------------------------------------ index


def index_facts(text):
    rows = re.findall(r"<tr><td>(\d+)</td><td><a href='([^']*)'>([^<]*)</a></td></tr>", text)
    texts = re.findall(r"<li><div class=profile-name>([^<]*): </div> (.*?)</li>", text, re.S)
    rest = re.sub(r"<tr>.*?</tr>|<li>.*?</li>|<style>.*?</style>", "", text, flags=re.S)
    words = [re.sub(r"\s+", " ", word).strip() for word in re.split(r"<[^>]*>", rest)]
    found = {
        "index.title": re.findall(r"<title>(.*?)</title>", text),
        "index.order": [name for _, _, name in rows] == sorted(name for _, _, name in rows),
    }
    for link in re.findall(r'<a href="([^"]*)">', text):
        found[f"index.link {link}"] = True
    for word in words:
        if word:
            found[f"index.word {word}"] = words.count(word)
    for _, href, name in rows:
        found[f"index.row {name}"] = href
    for name, description in texts:
        found[f"index.text {name}"] = html.unescape(description.strip())
    return found


def counts(text):
    """{name: count} of an index."""
    return {name: int(count) for count, name in
            re.findall(r"<tr><td>(\d+)</td><td><a href='[^']*'>([^<]*)</a>", text)}


FORMS = [
    (r"heap profile: ", "<heap text>", heap_facts),
    (r"--- (contention|mutex):\n", "<contention text>", contention_facts),
    (r"\S+ profile: total \d+\n", "<count text>", count_facts),
    (r"goroutine \d+ \[", "<dump>", dump_facts),
    (r"(<!DOCTYPE html>\s*)?<html>.*Types of profiles(?s:.*)", "<index>", index_facts),
    (r"(?s:.*)Types of profiles available", "<index>", index_facts),
]
