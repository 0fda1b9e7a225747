# SPDX-License-Identifier: Apache-2.0
"""How many samples CPU profiles hold, by thread or by the function at the top of it.

Each function takes the path of a profile and returns counts. The work has one function for each of
its threads (b_spin.c): the parts are comparable, whether a profile has threads or only addresses.
"""
import gzip
import os
import re
import struct
import subprocess
from bisect import bisect_right
from collections import Counter
from pathlib import Path

SPIN = re.compile(r"spin_(\d+)|main\.spin(\d+)")


def spin_of(names):
    """The number of the function of a thread among the names of a stack; "other"."""
    for name in names:
        match = SPIN.search(name)
        if match:
            return match[1] or match[2]
    return "other"


def of_pprof(path):
    from lib.profiles import profile_pb2  # made by make
    profile = profile_pb2.Profile()
    profile.ParseFromString(gzip.decompress(Path(path).read_bytes()))
    names = {f.id: profile.string_table[f.name] for f in profile.function}
    stacks = {loc.id: [names[line.function_id] for line in loc.line] for loc in profile.location}
    counts = Counter()
    for sample in profile.sample:
        counts[spin_of(n for i in sample.location_id for n in stacks[i])] += sample.value[0]
    return counts


def libprofiler_stacks(data):
    """(count, addresses) of each record: words of 8 bytes, a header of 5, a last record with the
    address 0, text behind it."""
    words = struct.unpack_from(f"<{len(data) // 8}Q", data)
    at = 2 + words[1]
    while at + 2 < len(words):
        count, depth = words[at], words[at + 1]
        addresses = words[at + 2:at + 2 + depth]
        if count == 0 and depth == 1 and addresses == (0,):
            return
        yield count, addresses
        at += 2 + depth


def functions_of(nm_text):
    """Sorted (address, name) of the functions in the output of nm."""
    found = re.findall(r"^([0-9a-f]+) [tT] (\S+)$", nm_text, re.M)
    return sorted((int(address, 16), name) for address, name in found)


def function_at(functions, address):
    i = bisect_right(functions, (address, "\U0010ffff")) - 1
    return functions[i][1] if i >= 0 else "?"


def of_libprofiler(path):
    """The program is not position independent: its addresses are those of nm."""
    program = Path(os.environ.get("B", "build")) / "bench" / "b_spin"
    text = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    functions = functions_of(text)
    counts = Counter()
    for count, addresses in libprofiler_stacks(Path(path).read_bytes()):
        counts[spin_of(function_at(functions, a) for a in addresses)] += count
    return counts


def perf_counts(text):
    """Of `perf script -F tid,ip,sym`: one block of lines for each sample."""
    blocks = (block.splitlines() for block in text.split("\n\n") if block.strip())
    return Counter(spin_of(block) for block in blocks)


def of_perf(path):
    text = subprocess.run(["perf", "script", "-i", path, "-F", "tid,ip,sym"], capture_output=True,
                          text=True, check=True).stdout
    return perf_counts(text)


def collapsed_counts(text):
    counts = Counter()
    for line in text.splitlines():
        stack, count = line.rsplit(" ", 1)
        counts[spin_of(stack.split(";"))] += int(count)
    return counts


def of_collapsed(path):
    return collapsed_counts(Path(path).read_text(encoding="utf-8"))


def worst_share(counts, threads):
    """Largest difference of a thread's part from an equal one, in parts of the whole; None: no
    sample is of a thread's function."""
    parts = [counts.get(str(i), 0) for i in range(threads)]
    whole = sum(parts)
    return max(abs(part / whole - 1 / threads) for part in parts) if whole else None
