# SPDX-License-Identifier: Apache-2.0
"""proto/ is pure: a snapshot and a symbolizer in, bytes out.

What its objects leave undefined: of libc memory, texts, sorting and dates in UTC; of the libraries
zlib and nanopb; of ours memory, tables that never change once they are there, and the symbolizer.
No file, no /proc, no process or thread id, no clock, no state of the agent.
"""
import re

from lint_rules.common import B, complain, output, sources

SELF = "scripts/lint_rules/pure.py"
ALLOWED = re.compile("|".join((
    r"(__)?(mem(cpy|set|move|cmp|chr)|str(n?len|n?cmp|r?chr|c?spn))(_chk)?",
    r"__v?snprintf_chk|v?snprintf|gmtime_r|qsort(_r)?",
    r"malloc|calloc|realloc|free|explicit_bzero|abort",
    r"__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan)_\w+",
    r"(de|in)flate\w*|pb_\w+|perftools_profiles_\w+",
    r"pa_(map|unmap)|pa_(arena|kept_pages|pair_map|utf8)_\w+",
    r"pa_stack_table_(loc|loc_count)|pa_maps_(count|get)",
    r"pa_symbols_\w+|pa_thread_names_clean|pa_heap_scale_(estimate|rounding)",
)))


def impure(names, own):
    """The undefined names that a pure file has no use for; own: what proto/ itself defines."""
    return sorted(name for name in names - own if not ALLOWED.fullmatch(name))


def symbols(path, *flags):
    lines = output("nm", *flags, path).splitlines()
    return {line.split()[-1] for line in lines if len(line.split()) >= 2}


def check_pure():
    objects = [B / "core" / path.with_suffix(".o") for path in sources("proto", suffixes=(".c",))]
    own = set().union(*(symbols(path, "--defined-only", "-g") for path in objects))
    for path in objects:
        for name in impure(symbols(path, "-u"), own):
            complain(path, f"uses {name}: proto/ is given what it needs")
    bad = {"getpid", "syscall", "open", "sysconf", "clock_gettime", "pa_core_bridge",
           "pa_clock_mono_ns", "pa_maps_refresh", "mallinfo2", "dwarf_begin", "pa_memstats_read"}
    good = {"memcpy", "__vsnprintf_chk", "pa_symbols_lookup", "deflate", "pa_text_open"}
    if impure(bad | good, {"pa_text_open"}) != sorted(bad):
        complain(SELF, f"finds {impure(bad | good, {'pa_text_open'})} impure, not {sorted(bad)}")
