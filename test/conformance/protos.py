# SPDX-License-Identifier: Apache-2.0
"""Profiles in their binary form: what can be compared of them, and looking things up in them."""
import os
import re
import time

from lib import profiles
from lib.profiles import profile_pb2


def decode(body):
    profile = profile_pb2.Profile()
    profile.ParseFromString(profiles.unzip(body))
    return profile


def label_kinds(p):
    text = p.string_table
    return sorted({f"{text[label.key]}: " + (f"number {text[label.num_unit]}".strip()
                                             if not label.str else "text")
                   for sample in p.sample for label in sample.label})


def has_good_ids(p):
    return all([entry.id for entry in table] == list(range(1, len(table) + 1))
               for table in (p.mapping, p.location, p.function))


def is_inside(p, location):
    if not location.mapping_id:
        return False
    mapping = p.mapping[location.mapping_id - 1]
    return mapping.memory_start <= location.address < mapping.memory_limit


def has_lines(p):
    return all(line.line > 0 for location in p.location for line in location.line)


def facts(body, program=""):
    p = decode(body)
    text = p.string_table
    kinds = [f"{text[t.type]}/{text[t.unit]}" for t in p.sample_type]
    main = p.mapping[0] if p.mapping else profile_pb2.Mapping()
    return {
        "proto.types": kinds,
        "proto.period": f"{p.period} {text[p.period_type.type]}/{text[p.period_type.unit]}",
        "proto.default": text[p.default_sample_type],
        "proto.duration": "some" if p.duration_nanos > 0 else p.duration_nanos,
        "proto.time": "now" if abs(p.time_nanos / 1e9 - time.time()) < 300 else p.time_nanos,
        "proto.labels": label_kinds(p) if p.sample else None,
        "proto.frames": [text[p.drop_frames], text[p.keep_frames]],
        "proto.notes": [text[c] for c in p.comment] + [text[p.doc_url]],
        "proto.ids": has_good_ids(p),
        "proto.strings": text[0] == "" if text else False,
        "proto.values": all(len(s.value) == len(kinds) for s in p.sample),
        "proto.zeros": sum(1 for s in p.sample if not any(s.value)),
        "proto.main": os.path.basename(text[main.filename]) == os.path.basename(program),
        "proto.deleted": any("(deleted)" in text[m.filename] for m in p.mapping),
        "proto.names": all(text[f.name] and f.system_name for f in p.function),
    }


# ------------------------------------------------------------------ looking into them


def bare(name):
    """Go's main.keeper is C's keeper."""
    return name[len("main."):] if name.startswith("main.") else name


def names_of(p, sample):
    """Innermost first, inlined ones as well."""
    found = []
    for i in sample.location_id:
        location = p.location[i - 1]
        found += [bare(p.string_table[p.function[line.function_id - 1].name])
                  for line in location.line]
    return found


# Where a lock's own functions are, in Go; the agent's stacks begin with their caller.
LOCKS = re.compile(r"(sync|runtime)\..*|pthread_.*")


def innermost(p, sample):
    """The first function of the program itself."""
    return next(name for name in names_of(p, sample) if not LOCKS.fullmatch(name))


def samples_with(p, name):
    return [s for s in p.sample if name in names_of(p, s)]


def total(p, name, kind):
    """Sum of a value over the samples that have a function in their stack."""
    at = [p.string_table[t.type] for t in p.sample_type].index(kind)
    return sum(s.value[at] for s in samples_with(p, name))


def location_of(p, name):
    """Address of some location in a function."""
    for location in p.location:
        for line in location.line:
            if bare(p.string_table[p.function[line.function_id - 1].name]) == name:
                return location.address
    return 0


def labels_of(p, sample):
    text = p.string_table
    return {text[label.key]: text[label.str] if label.str else label.num
            for label in sample.label}
