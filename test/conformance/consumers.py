# SPDX-License-Identifier: Apache-2.0
"""What those who read profiles insist on, beyond what Go itself keeps to: rule by rule, with a
check or with the test that has it.

The checks of single profiles are those of test/lib/profiles.py, and some more. Each rule that is
checked here has in test_rules.py a profile or an answer that breaks it.
"""
import os
from dataclasses import dataclass
from typing import Callable

from conformance import protos
from lib import profiles
from lib.profiles import need

NAMED = ("allocs", "block", "goroutine", "heap", "mutex", "threadcreate", "profile")
SAMPLES_MAX, BYTES_MAX = 16000, 4 << 20


@dataclass(frozen=True)
class Rule:
    who: str
    text: str
    check: Callable = None  # of what kind of thing, by the list that it stands in
    where: str = ""         # else: the test that has it

    def place(self):
        return self.where or f"test/conformance/consumers.py {self.check.__name__}"


# ------------------------------------------------------------------ one profile


def main_program_comes_first(p, program):
    first = p.string_table[p.mapping[0].filename] if p.mapping else ""
    need(os.path.basename(first) == os.path.basename(program), f"mapping 1 is {first}")


def mappings_are_symbolized(p, _):
    used = {location.mapping_id for location in p.location if location.mapping_id}
    for mapping in p.mapping:
        if mapping.id in used:
            need(mapping.has_functions, f"{p.string_table[mapping.filename]}: no has_functions")


def files_have_build_ids(p, _):
    for mapping in p.mapping:
        name = p.string_table[mapping.filename]
        need(not name.startswith("/") or p.string_table[mapping.build_id], f"{name}: no build id")


def is_not_too_large(p, _):
    need(len(p.sample) <= SAMPLES_MAX, f"{len(p.sample)} samples")
    need(p.ByteSize() <= BYTES_MAX, f"{p.ByteSize()} bytes")


def names_are_utf8(p, _):
    for text in p.string_table:
        text.encode("utf-8")
        need("\0" not in text, f"a NUL in {text!r}")


def alone(check):
    """A check of test/lib/profiles.py, which takes the profile alone."""
    def with_program(p, _):
        check(p)
    with_program.__name__ = f"profiles.{check.__name__}"
    return with_program


strings, tables, mappings, locations, samples, times = (alone(check) for check in (
    profiles.check_strings, profiles.check_tables, profiles.check_mappings,
    profiles.check_locations, profiles.check_samples, profiles.check_times))

OF_PROFILES = [
    Rule("pprof", "CheckValid: sample types are there, values match them, stacks and labels are "
         "whole", samples),
    Rule("pprof", "CheckValid: what locations refer to is there", locations),
    Rule("pprof", "CheckValid, Parca: mapping, function and location ids are 1..n in order",
         tables),
    Rule("pprof", "a mapping with has_functions has a name for each location", locations),
    Rule("pprof", "mapping 1 is the program", main_program_comes_first),
    Rule("pprof", "has_functions: else local files or a POST to symbol replace the agent's names",
         mappings_are_symbolized),
    Rule("pprof", "build ids are hexadecimal", mappings),
    Rule("pprof", "each file has its build id, by which its binary is found", files_have_build_ids),
    Rule("Parca", "string_table[0] is empty, keys of labels are not", strings),
    Rule("Parca", "no comment executableInfo=, or one for each mapping: there is none", strings),
    Rule("Pyroscope", "has_functions: else a debuginfod is asked, by runtime addresses",
         mappings_are_symbolized),
    Rule("Pyroscope", "all strings are UTF-8", names_are_utf8),
    Rule("Pyroscope", "no - in a sample type, at most 100 labels a sample", samples),
    Rule("Pyroscope", "no name longer than 65535", strings),
    Rule("Pyroscope", "at most 16000 samples and 4 MiB", is_not_too_large),
    Rule("Pyroscope", "time_nanos is now", times),
]


# ------------------------------------------------------------------ one answer


def is_download(answer):
    return (answer.header("Content-Type") or "").startswith("application/octet-stream")


def is_trace(row):
    """Of another format, which no scraper of profiles asks for."""
    return "/debug/pprof/trace" in row.path or row.path.startswith("trace")


def download_is_a_gzip_proto(row, answer):
    if is_download(answer) and row.method != "HEAD" and not is_trace(row):
        need(answer.status == 200, f"a download with status {answer.status}")
        need(answer.body[:2] == b"\x1f\x8b", "a download that is no gzip")
        protos.decode(answer.body)


def profile_is_a_download(row, answer):
    """But for a negative debug, where Go writes the one under the header of the other."""
    gzip = answer.body[:2] == b"\x1f\x8b"
    need(not gzip or is_download(answer) or "debug=-" in row.path, "a profile that is no download")


def nothing_is_compressed_twice(_, answer):
    need(answer.header("Content-Encoding") is None, "Content-Encoding")


def error_can_be_shown(row, answer):
    if answer.status >= 400:
        need(answer.header("X-Go-Pprof") == "1", "no X-Go-Pprof")
        need(answer.header("Content-Type") == "text/plain; charset=utf-8", "no text")
        need(row.method == "HEAD" or answer.body.strip(), "an error without a text")


def redirect_is_an_old_one(_, answer):
    need(answer.status not in (307, 308), f"status {answer.status}")


def body_is_not_empty(row, answer):
    need(row.method == "HEAD" or answer.body, "an empty body")


def is_neither_sniffed_nor_stored(_, answer):
    need(answer.header("X-Content-Type-Options") == "nosniff", "no nosniff")
    need(answer.header("Cache-Control") == "no-store", "no Cache-Control: no-store")


OF_ANSWERS = [
    Rule("Alloy", "application/octet-stream is 200, gzip and a profile: no text, HTML or JSON",
         download_is_a_gzip_proto),
    Rule("Alloy", "whatever is a profile says application/octet-stream", profile_is_a_download),
    Rule("pprof", "no Content-Encoding on top of the gzip", nothing_is_compressed_twice),
    Rule("pprof", "errors are text/plain with X-Go-Pprof, else the user sees only the status",
         error_can_be_shown),
    Rule("Parca", "308 is an error: redirects are 301", redirect_is_an_old_one),
    Rule("Parca", "an empty body is an error", body_is_not_empty),
    Rule("guest", "nosniff and no-store on each answer (M-S5)", is_neither_sniffed_nor_stored),
]


# ------------------------------------------------------------------ all profiles of a name


def kinds_never_change(bodies):
    """Else they can be neither merged nor subtracted."""
    for name, found in bodies.items():
        kinds = {str((facts["proto.types"], facts["proto.period"].split(" ")[1]))
                 for facts in map(protos.facts, found)}
        need(len(kinds) == 1, f"{name} has {sorted(kinds)}")


def delta_types_are_there(bodies):
    wanted = {"allocs": {"alloc_objects/count", "alloc_space/bytes"},
              "heap": {"alloc_objects/count", "alloc_space/bytes"},
              "mutex": {"contentions/count", "delay/nanoseconds"},
              "block": {"contentions/count", "delay/nanoseconds"}}
    for name, kinds in wanted.items():
        for body in bodies.get(name, []):
            got = set(protos.facts(body)["proto.types"])
            need(kinds <= got, f"{name} lacks {sorted(kinds - got)}")


def stacks_of(body):
    """{addresses of a stack: its first value}"""
    p, found = protos.decode(body), {}
    for s in p.sample:
        stack = tuple(p.location[i - 1].address for i in s.location_id)
        found[stack] = found.get(stack, 0) + s.value[0]
    return found


def scrapes_can_be_subtracted(bodies):
    """Alloy knows stacks again by their addresses, and what only grows must grow."""
    for name in ("allocs", "block", "mutex"):
        first, last = stacks_of(bodies[name][0]), stacks_of(bodies[name][-1])
        for stack, value in first.items():
            need(stack in last, f"{name}: a stack is gone")
            need(last[stack] >= value, f"{name}: {value} became {last[stack]}")


OF_SCRAPES = [
    Rule("pprof", "types and period type of a profile never change", kinds_never_change),
    Rule("Alloy", "deltas by name: alloc_objects and alloc_space; contentions and delay",
         delta_types_are_there),
    Rule("Alloy", "stacks keep their addresses from scrape to scrape, and only grow",
         scrapes_can_be_subtracted),
]

# ------------------------------------------------------------------ tested elsewhere

ELSEWHERE = [
    Rule("pprof", "go tool pprof reads each profile (its own CheckValid)",
         where="test/conformance/test_conformance.py test_pprof_reads"),
    Rule("pprof", "the default view is inuse_space of heap, alloc_space of allocs",
         where="test/conformance/test_conformance.py test_pprof_shows_the_default_view"),
    Rule("pprof", "profiles merge and subtract",
         where="test/conformance/test_conformance.py test_pprof_merges_and_subtracts"),
    Rule("pprof", "http://host:port alone asks for profile?seconds=N",
         where="test/e2e/test_pprof.py test_bare_host_asks_for_the_cpu_profile"),
    Rule("pprof", "the text of an error reaches the user",
         where="test/e2e/test_pprof.py test_error_text_reaches_the_user"),
    Rule("pprof", "names of C++ stay whole: name is demangled, system_name is not",
         where="test/e2e/test_pprof.py test_cxx_names_are_whole"),
    Rule("pprof", "the agent's names and lines are kept, its own are not looked up",
         where="test/e2e/test_pprof.py test_functions_keep_the_agents_names_and_lines"),
    Rule("pprof", "POST symbol knows the addresses of profiles",
         where="test/conformance/scenes.py symbol_names_the_addresses_of_profiles"),
    Rule("pprof", "the text form is read as well",
         where="test/e2e/test_text.py test_pprof_reads_the_text_form"),
    Rule("Parca", "allocs, block, goroutine, mutex and profile?seconds=N are scraped",
         where="test/conformance/rows.py named"),
    Rule("Pyroscope", "inlined frames are lines of one location",
         where="test/conformance/test_conformance.py test_inlined_frames_share_a_location"),
]

RULES = [*OF_PROFILES, *OF_ANSWERS, *OF_SCRAPES, *ELSEWHERE]


# ------------------------------------------------------------------ applying them


def name_of(row):
    """Of the profile that a request asks for, or None."""
    name = row.path.split("?")[0]
    return name if name in NAMED else None


def bodies_by_name(answers):
    """{name: [bodies of whole profiles, deltas left out, in the order of asking]}"""
    found = {}
    for row, answer in answers:
        disposition = answer.header("Content-Disposition") or ""
        if name_of(row) and answer.body[:2] == b"\x1f\x8b" and "-delta" not in disposition:
            found.setdefault(name_of(row), []).append(answer.body)
    return found


def broken(rule, *things):
    """What a check says, or None."""
    try:
        rule.check(*things)
    except profiles.Invalid as complaint:
        return str(complaint)
    return None


def complaints(answers, program, main_answers):
    """({rule: [what breaks it]}, {rule: how many things it was applied to}). main_answers: those of
    one process, where scrapes follow one another."""
    found, counted = {}, {}

    def apply(rule, label, *things):
        counted[rule] = counted.get(rule, 0) + 1
        text = broken(rule, *things)
        if text:
            found.setdefault(rule, []).append(f"{label}: {text}")
    for row, answer in answers:
        for rule in OF_ANSWERS:
            apply(rule, row.key, row, answer)
        if answer.body[:2] == b"\x1f\x8b":
            p = protos.decode(answer.body)
            for rule in OF_PROFILES:
                apply(rule, row.key, p, program)
    for rule in OF_SCRAPES:
        apply(rule, "scrapes", bodies_by_name(main_answers))
    return found, counted
