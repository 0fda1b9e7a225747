# SPDX-License-Identifier: Apache-2.0
"""Decoding and checking of profiles, by the rules of those who read them."""
import gzip
import importlib.util
import re
import time
import zlib

from lib.harness import BUILD


def made_by_make():
    """The module that protoc writes for proto/profile.proto."""
    spec = importlib.util.spec_from_file_location("profile_pb2", BUILD / "e2e" / "profile_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


profile_pb2 = made_by_make()

HEAP_TYPES = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count",
              "inuse_space/bytes"]
CPU_TYPES = ["samples/count", "cpu/nanoseconds"]
CONTENTION_TYPES = ["contentions/count", "delay/nanoseconds"]
# Where threads begin: libc of Debian 13 has no other name for it than the second one.
THREAD_ROOTS = {"clone3", "__clone3"}


class Invalid(AssertionError):
    pass


def need(condition, text):
    if not condition:
        raise Invalid(text)


def unzip(body):
    """One gzip member and nothing behind it."""
    need(body[:2] == b"\x1f\x8b", f"not gzip: {body[:16]!r}")
    inflate = zlib.decompressobj(wbits=31)
    raw = inflate.decompress(body)
    need(inflate.eof, "gzip stream is cut off")
    need(not inflate.unused_data, "bytes after the gzip stream")
    need(gzip.decompress(body) == raw, "gzip checksum")
    return raw


def check_strings(p):
    need(p.string_table and p.string_table[0] == "", "string_table[0] is not empty")
    size = len(p.string_table)
    used = [p.drop_frames, p.keep_frames, p.default_sample_type, p.doc_url, *p.comment,
            p.period_type.type, p.period_type.unit]
    for t in p.sample_type:
        used += [t.type, t.unit]
    for m in p.mapping:
        used += [m.filename, m.build_id]
    for f in p.function:
        used += [f.name, f.system_name, f.filename]
        need(len(p.string_table[f.name]) <= 65535, "symbol longer than 65535")
    for s in p.sample:
        for label in s.label:
            used += [label.key, label.str, label.num_unit]
    need(all(0 <= index < size for index in used), "string index out of range")
    for index in p.comment:
        need(not p.string_table[index].startswith("executableInfo="), "executableInfo comment")


def check_tables(p):
    for what in ("mapping", "location", "function"):
        ids = [entry.id for entry in getattr(p, what)]
        need(ids == list(range(1, len(ids) + 1)), f"{what} ids are not 1..n in order: {ids[:20]}")
    need(all(p.string_table[f.name] for f in p.function), "a function without a name")


def check_doubles(p):
    """Not of a profile that is merged of several."""
    need(len(set(p.string_table)) == len(p.string_table),
         "a string stands twice in the string table")
    # Code made at run time may be written over other code, at the same place.
    made = {m.id for m in p.mapping if p.string_table[m.filename] == "[jit]"}
    places = [(loc.mapping_id, loc.address) for loc in p.location
              if loc.address and loc.mapping_id not in made]
    need(len(set(places)) == len(places), "a location stands twice")


def check_mappings(p):
    # They may overlap: a library that was unloaded, and the next one at its place.
    for m in p.mapping:
        need(m.memory_start < m.memory_limit, f"empty mapping {m.memory_start:#x}")
        build_id = p.string_table[m.build_id]
        need(re.fullmatch(r"([0-9a-f]{2})*", build_id), f"build id {build_id!r}")


def check_locations(p):
    for loc in p.location:
        need(loc.mapping_id <= len(p.mapping), "location of an unknown mapping")
        need(all(0 < line.function_id <= len(p.function) for line in loc.line),
             "line of an unknown function")
        need(loc.line or loc.address, "a location with neither address nor name")
        if loc.mapping_id:
            m = p.mapping[loc.mapping_id - 1]
            need(m.memory_start <= loc.address < m.memory_limit,
                 f"address {loc.address:#x} outside its mapping")
            need(loc.line or not m.has_functions, f"mapping {p.string_table[m.filename]} claims "
                 f"has_functions, {loc.address:#x} has none")


def check_samples(p):
    need(p.sample_type, "no sample types")
    for t in p.sample_type:
        need("-" not in p.string_table[t.type], "a - in a sample type")
        need(p.string_table[t.type] and p.string_table[t.unit], "nameless sample type")
    for s in p.sample:
        need(len(s.value) == len(p.sample_type), "values do not match the sample types")
        need(s.location_id, "a sample without a stack")
        need(all(0 < i <= len(p.location) for i in s.location_id), "unknown location")
        need(len(s.label) <= 100, "more than 100 labels")
        need(all(label.key for label in s.label), "label without a key")
        for label in s.label:
            need(not (label.str and label.num), "label with a text and a number")


def check_times(p, now=None):
    now = now or time.time()
    need(abs(p.time_nanos / 1e9 - now) < 300, f"time_nanos {p.time_nanos} is not now")
    need(p.duration_nanos >= 0, "negative duration")
    need(p.period_type.type, "no period type")
    need(p.period > 0 or not p.sample, "no period")


class Sample:
    def __init__(self, names, values, labels, mappings, addresses, lines):
        self.names = names  # innermost first, inlined frames expanded
        self.values = values
        self.labels = labels
        self.mappings = mappings  # file of each location
        self.addresses = addresses
        self.lines = lines  # number of each of names' lines; 0: none

    def has(self, name):
        return any(re.fullmatch(name, n) for n in self.names)

    def __repr__(self):
        return f"Sample({' < '.join(self.names)}, {self.values}, {self.labels})"


class Profile:
    """A decoded profile that passed every check."""

    def __init__(self, body, merged=False):
        self.raw = unzip(body)
        self.proto = p = profile_pb2.Profile()
        p.ParseFromString(self.raw)  # also checks that texts are UTF-8
        for check in (check_strings, check_tables, check_mappings, check_locations,
                      check_samples, check_times):
            check(p)
        if not merged:
            check_doubles(p)
        self.types = [self._type(t) for t in p.sample_type]
        self.period_type = self._type(p.period_type)
        self.default_type = self.text(p.default_sample_type)
        self.comments = [self.text(c) for c in p.comment]
        self.mapping_files = [self.text(m.filename) for m in p.mapping]
        self.samples = [self._sample(s) for s in p.sample]

    def text(self, index):
        return self.proto.string_table[index]

    def _type(self, t):
        return f"{self.text(t.type)}/{self.text(t.unit)}"

    def _sample(self, s):
        names, mappings, addresses, lines = [], [], [], []
        for i in s.location_id:
            loc = self.proto.location[i - 1]
            addresses.append(loc.address)
            mappings.append(self.mapping_files[loc.mapping_id - 1] if loc.mapping_id else "")
            for line in loc.line:
                names.append(self.text(self.proto.function[line.function_id - 1].name))
                lines.append(line.line)
            if not loc.line:
                names.append(hex(loc.address))
                lines.append(0)
        values = {name.split("/")[0]: v for name, v in zip(self.types, s.value)}
        labels = {self.text(label.key): self.text(label.str) if label.str else label.num
                  for label in s.label}
        return Sample(names, values, labels, mappings, addresses, lines)

    def total(self, value, of=None):
        """Sum of a value, over the samples whose stack has a function (a regular expression)."""
        return sum(s.values[value] for s in self.samples if of is None or s.has(of))

    def total_at(self, value, leaf):
        """Sum of a value, over the samples whose innermost frame is a function."""
        return sum(s.values[value] for s in self.samples if re.fullmatch(leaf, s.names[0]))

    def by_label(self, key, value):
        sums = {}
        for s in self.samples:
            sums[s.labels.get(key)] = sums.get(s.labels.get(key), 0) + s.values[value]
        return sums

    def complete_share(self, roots=r"main|_start|clone3|__clone.*|start_thread|__libc_start.*"):
        """Share of the samples' weight whose stack reaches main or the start of its thread."""
        weight = self.types[0].split("/")[0]
        whole = sum(s.values[weight] for s in self.samples)
        good = sum(s.values[weight] for s in self.samples
                   if any(re.fullmatch(roots, n) for n in s.names[-4:]))
        return good / whole if whole else 0.0


def heap(target, path="/heap"):
    answer = target.get(path)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream", answer
    profile = Profile(answer.body)
    assert profile.types == HEAP_TYPES
    assert profile.period_type == "space/bytes"
    assert profile.proto.duration_nanos == 0
    return profile


# CPU samples at 100 Hz that a thread which only burns has for sure: a machine that is busy with
# other things gives it a twentieth of a processor.
SOME = 5


def cpu(target, seconds=1, path="/profile"):
    answer = target.get(f"{path}?seconds={seconds}")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream", answer
    profile = Profile(answer.body)
    assert profile.types == CPU_TYPES
    assert profile.period_type == "cpu/nanoseconds"
    assert profile.proto.duration_nanos > 0
    assert all(s.values["cpu"] == s.values["samples"] * profile.proto.period
               for s in profile.samples)
    return profile


def download(target, name, path):
    answer = target.get(path)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream", answer
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"', answer
    return Profile(answer.body)


def contention(target, name, seconds=None):
    """The block or mutex profile, or what is added to it within some seconds."""
    if seconds:
        profile = download(target, f"{name}-delta", f"/{name}?seconds={seconds}")
        assert profile.proto.duration_nanos >= 0.9e9 * seconds
    else:
        profile = download(target, name, f"/{name}")
        assert profile.proto.duration_nanos == 0
    assert profile.types == CONTENTION_TYPES
    assert profile.period_type == "contentions/count"
    assert profile.proto.period == 1
    assert not any("libpprofagent" in f for s in profile.samples for f in s.mappings)
    return profile


def counts(target, name, query=""):
    """threadcreate or goroutine."""
    profile = download(target, name, f"/{name}{query}")
    assert profile.types == [f"{name}/count"]
    assert profile.period_type == f"{name}/count"
    assert profile.proto.period == 1
    assert not any("libpprofagent" in f for s in profile.samples for f in s.mappings)
    return profile
