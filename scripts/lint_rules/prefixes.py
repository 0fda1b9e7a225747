# SPDX-License-Identifier: Apache-2.0
"""A name tells its file: agent/record/ring.c and ring.h define pa_ring, pa_ring_* and PA_RING_*.

The longest prefix that a file owns wins. A file also defines names of the family that its own name
begins with: maps_jail.c may define pa_maps_*, but not what belongs to maps_text.c. What else a
file owns is in WORDS, and a folder's common names in FOLDER_WORDS.
"""
import re
from collections import namedtuple
from pathlib import Path

from lint_rules.common import PRODUCT, complain, folder_of
from lint_rules.functions import blank, definitions, is_built, read

SELF = "scripts/lint_rules/prefixes.py"
# Further words, without pa_, that a file or a pair of files owns; each is a term of its own.
WORDS = {
    "agent/base/arena": ["map", "unmap"],
    "agent/base/base": ["agent", "align_up", "api", "app", "boot", "cache_line", "cold", "count",
                        "export", "hidden", "inline", "large", "large_data", "noinline", "no_asan",
                        "ns_per", "paged", "printf", "signal", "tls", "wiped"],
    "agent/base/env": ["settings"],
    "agent/base/lock": ["futex", "unlock", "assert_held"],
    "agent/base/own_maps": ["own_map"],
    "agent/base/thread_slot": ["assert_agent"],
    "agent/core/bridge": ["hook_status"],
    "agent/modules/maps": ["build_id", "module", "segment"],
    "agent/profile/allocator_scan": ["allocator"],
    "agent/profile/bucket_table": ["bucket"],
    "agent/profile/contention": ["mutex_profile"],
    "agent/profile/custom_table": ["custom_profile"],
    "agent/profile/heap": ["allocs_profile"],
    "agent/profile/snapshot": ["sample"],
    "agent/profile/snapshot_take": ["profile_stats"],
    "agent/profile/tables_lock": ["tables"],
    "agent/record/disposition": ["sigaction_fn"],
    "agent/record/event": ["deferred"],
    "agent/record/frame_cache": ["rule", "read_word_fn"],
    "agent/record/handler_frame": ["code"],
    "agent/record/labels": ["label"],
    "agent/record/lock_waits": ["wait", "waiter"],
    "agent/record/stack": ["reader", "walk"],
    "agent/record/switches": ["count_event", "count_events", "record"],
    "agent/record/thread": ["assert_program", "role", "wait"],
    "agent/serve/delta_clients": ["client"],
    "agent/serve/render_thread": ["job"],
    "agent/serve/tcp_table": ["tcp"],
    "agent/serve/token_guesses": ["token_guesser"],
    "agent/serve/waiting_requests": ["waiting_request"],
    "agent/stacks/stack_table": ["futex_condition", "futex_kind", "futex_lock", "futex_park",
                                 "futex_undecided", "futex_unknown", "loc", "pseudo", "stack"],
    "agent/symbols/symbols": ["frame", "function"],
    "proto/encode": ["sink"],
    "proto/mappings": ["mapping"],
    "proto/tags": ["tag"],
}
FOLDER_WORDS = {
    "agent/arch": ["address_limit", "arch", "call", "calm_flags", "code_reader", "cursor",
                   "define_gate", "define_hop", "entry", "fpu", "fresh_fpu", "gate", "page",
                   "pair", "plt", "red_zone", "reg", "regs", "return_on_stack", "sigframe",
                   "slow", "sys", "syscall_bytes"],
    "hooks": ["call_hooks", "cond_hooks", "define_targets", "fixed_hooks", "hooks",
              "libgcc_hooks", "mutex_hooks", "nexts", "rwlock_hooks", "sem_hooks", "send",
              "signal_mask", "syscall_function", "variadic", "variadic_hooks", "wait_hooks",
              "wake_hook"],
}
TYPE = re.compile(r"^(?:struct|union|enum) (pa_\w+) \{", re.M)
MACRO = re.compile(r"^#define (PA_\w+)", re.M)
ENUM = re.compile(r"^enum[^;{]*\{(.*?)\}", re.M | re.S)
VARIABLE = re.compile(r"^extern [^;(]*?\b(pa_\w+)(?:\[.*?\])?(?: PA_HIDDEN)?;", re.M)
TYPEDEF = re.compile(r"^typedef [^;]*?\(?\*?(pa_\w+)\)?(?:\([^;]*\))?;", re.M)
Name = namedtuple("Name", "path text")


def stem(path):
    return str(path.with_suffix(""))


def names_of(path, text):
    """What others see of a file: functions, and the types, constants and variables of a header."""
    found = {one.name for one in definitions(path, text)
             if not one.static or path.suffix == ".h"}
    text = blank(text)
    if path.suffix == ".h":
        found |= {name for pattern in (TYPE, MACRO, VARIABLE, TYPEDEF)
                  for name in pattern.findall(text)}
        found |= {name for body in ENUM.findall(text)
                  for name in re.findall(r"\b(PA_\w+)", re.sub(r"=[^,}]*", "", body))}
    return sorted(name for name in found
                  if name.lower().startswith("pa_") and not name.endswith("_H"))


def has_prefix(name, word):
    name = name.lower()[len("pa_"):]
    return name == word or name.startswith(word + "_")


def owners_of(paths):
    """{word: {stem of a path, or folder}}"""
    owners = {}
    for path in paths:
        owners.setdefault(path.stem, set()).add(stem(path))
    for where, words in {**WORDS, **FOLDER_WORDS}.items():
        for word in words:
            owners.setdefault(word, set()).add(where)
    return owners


def is_owner(path, word, owners):
    family = any(path.stem.startswith(word + "_") and Path(owner).parent == path.parent
                 for owner in owners[word])
    return family or stem(path) in owners[word] or any(
        folder_of(path).startswith(owner) for owner in owners[word] if owner in FOLDER_WORDS)


def prefix_faults(names, owners):
    """[(name, text)]"""
    found = []
    for one in names:
        words = [word for word in owners if has_prefix(one.text, word)]
        word = max(words, key=len, default=None)
        if not word:
            found.append((one, "has no file's prefix"))
        elif not is_owner(one.path, word, owners):
            found.append((one, f"has the prefix of {' and '.join(sorted(owners[word]))}"))
    return found


def check_prefixes():
    paths = [path for path in PRODUCT if is_built(path)]
    owners = owners_of(paths)
    names = [Name(path, name) for path in paths for name in names_of(path, read(path))]
    for one, fault in prefix_faults(names, owners):
        complain(one.path, f"{one.text} {fault}")
    for where, words in {**WORDS, **FOLDER_WORDS}.items():
        for word in words:
            if not any(stem(one.path) == where or folder_of(one.path).startswith(where)
                       for one in names if has_prefix(one.text, word)):
                complain(SELF, f"{where} does not use the prefix {word}")
    ring, tick = Path("x/ring.h"), Path("x/ring_tick.c")
    owners = owners_of([ring, tick])
    for path, text, count in ((ring, "pa_ring_put", 0), (ring, "PA_RING_MAX", 0),
                              (tick, "pa_ring_tick_put", 0), (tick, "pa_ring_put", 0),
                              (ring, "pa_ring_tick_put", 1), (ring, "pa_rings", 1)):
        if len(prefix_faults([Name(path, text)], owners)) != count:
            complain(SELF, f"does not find {count} faults in {text} of {path}")
