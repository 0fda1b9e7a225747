# SPDX-License-Identifier: Apache-2.0
"""Functions, files and lines of profiles against llvm-symbolizer: the same program compiled in many
ways, and every address of its profiles looked up by both."""
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.compiled import move_debug_information
from lib.harness import Later, Target, environment, free_port, sampling, until
from lib.profiles import Profile, heap
from truth.figures import Figure

HERE = Path(__file__).resolve().parent
UNNAMED = "[unnamed function]"
ROUNDS = 400  # lines on stdin: more than the program gets through in a second

LANGUAGES = {"c": ("gcc", "clang"), "cpp": ("g++", "clang++"), "rs": ("rustc",)}
LEVELS = ("-O0", "-O2", "-O3", "-O2 -flto")
RUST_LEVELS = ("-Copt-level=0", "-Copt-level=2", "-Copt-level=3", "-Copt-level=2 -Clto")


def dwz(path):
    run("dwz", path)


def debug_file(path):
    move_debug_information(path, path.with_suffix(".debug"))


# name: (flags of the compiler, what is done to the program afterwards)
FORMS = {
    "-g": ("-g", None),
    "-g1": ("-g1", None),
    "-gdwarf-4": ("-g -gdwarf-4", None),
    "-gsplit-dwarf": ("-g -gsplit-dwarf", None),
    "-gz": ("-g -gz", None),
    "dwz": ("-g -gdwarf-4", dwz),  # it knows not all that clang writes of version 5
    "debug file": ("-g", debug_file),
}
RUST_FORMS = {
    "-g": ("-g", None),
    "-Cdebuginfo=1": ("-Cdebuginfo=1", None),
    "split packed": ("-g -Csplit-debuginfo=packed", None),
    "split unpacked": ("-g -Csplit-debuginfo=unpacked", None),
    "dwz": ("-g", dwz),
    "debug file": ("-g", debug_file),
}


def variants():
    """(language, compiler, level, form) of each way."""
    for language, compilers in LANGUAGES.items():
        levels, forms = (RUST_LEVELS, RUST_FORMS) if language == "rs" else (LEVELS, FORMS)
        yield from itertools.product((language,), compilers, levels, forms)


class Unavailable(Exception):
    """This machine has not what the variant takes."""


def run(*argv, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False,
                          **kwargs)
    if done.returncode:
        raise Unavailable(f"{argv[0]}: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def compiled(folder, language, compiler, level, form):
    """(the program, the file that the reference looks into)."""
    flags, finish = (RUST_FORMS if language == "rs" else FORMS)[form]
    if not shutil.which(compiler):
        raise Unavailable(f"no {compiler}")
    program = folder / "chains"
    # The objects of split debug information stay where the compiler ran.
    env = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
    run(compiler, *level.split(), *flags.split(), "-o", program, HERE / f"chains.{language}",
        cwd=folder, env=env)
    reference = program.with_suffix(".whole")
    shutil.copy(program, reference)
    if (folder / "chains.dwp").exists():
        shutil.copy(folder / "chains.dwp", folder / "chains.whole.dwp")
    if finish:
        finish(program)
    return program, reference


# ------------------------------------------------------------------ what the agent says

def profiles_of(program):
    """Every allocation, and a second of CPU time."""
    port = free_port()
    target = Target([program], environment(port, heap_rate=1, cpu_hz=1000), port)
    try:
        target.expect("ready")
        target.answers()
        allocations = heap(target)
        later = Later(target, "/profile?seconds=1")
        until("the profile has begun", lambda: sampling(target))
        target.process.stdin.write(b"\n" * ROUNDS)
        target.process.stdin.flush()
        return allocations, Profile(later.answer().body)
    finally:
        target.kill()


def chains_of(profile, program):
    """{offset in the program's file: ((function, file, line), ...) innermost first}."""
    proto, found = profile.proto, {}
    for location in proto.location:
        mapping = proto.mapping[location.mapping_id - 1] if location.mapping_id else None
        if not mapping or profile.text(mapping.filename) != str(program):
            continue
        offset = location.address - mapping.memory_start + mapping.file_offset
        functions = [(proto.function[line.function_id - 1], line.line) for line in location.line]
        found[offset] = tuple((profile.text(function.system_name),
                               os.path.normpath(profile.text(function.filename) or "?"), number)
                              for function, number in functions)
    return found


# ------------------------------------------------------------------ what the reference says

def addresses_of(program, offsets):
    """{offset in the file: address} by the program headers."""
    rows = [line.split() for line in run("readelf", "-lW", program).splitlines()]
    loaded = [(int(r[1], 16), int(r[4], 16), int(r[2], 16)) for r in rows if r[:1] == ["LOAD"]]
    return {offset: next(offset - start + address for start, size, address in loaded
                         if start <= offset < start + size) for offset in offsets}


def frames(block):
    lines = block.splitlines()
    for name, place in zip(lines[::2], lines[1::2]):
        file, line, _ = place.rsplit(":", 2)
        yield name, os.path.normpath(file) if file != "??" else "?", int(line)


def reference_chains(reference, offsets):
    """As chains_of. Offsets are those of the program, whose segments lie alike."""
    addresses = addresses_of(reference, offsets)
    blocks = run("llvm-symbolizer", "--inlines", "--no-demangle", "-e", reference,
                 input="".join(f"{addresses[o]:#x}\n" for o in offsets))
    return {offset: tuple(frames(block))
            for offset, block in zip(offsets, blocks.strip("\n").split("\n\n"))}


def merged_functions(reference):
    """{name: address}: where equal functions were made one, each of their names is right."""
    rows = [line.split() for line in run("readelf", "-sW", reference).splitlines()]
    return {r[7]: r[1] for r in rows if len(r) > 7 and r[3] == "FUNC"}


# ------------------------------------------------------------------ both

def is_same_name(own, other, symbols):
    """The reference has no names for what LTO moves between split units, and calls entries of the
    procedure linkage table as the function before them."""
    return (own == other or own == UNNAMED and other == "??" or own.endswith("@plt")
            or own in symbols and symbols[own] == symbols.get(other))


class Comparison:
    """Shares of the locations: with the functions of the reference, and with its files and lines as
    well. wrong: the others, with what both say."""

    def __init__(self, own, reference, symbols):
        self.count, self.wrong, names, lines = len(own), {}, 0, 0
        for offset, chain in own.items():
            other = reference[offset]
            same_names = len(chain) == len(other) and all(
                is_same_name(a[0], b[0], symbols) for a, b in zip(chain, other))
            same_lines = [frame[1:] for frame in chain] == [frame[1:] for frame in other]
            names += same_names
            lines += same_names and same_lines
            if not (same_names and same_lines):
                self.wrong[offset] = chain, other
        self.names, self.lines = names / max(self.count, 1), lines / max(self.count, 1)


def compare(folder, language, compiler, level, form):
    program, reference = compiled(folder, language, compiler, level, form)
    own = {}
    for profile in profiles_of(program):
        own.update(chains_of(profile, program))
    return Comparison(own, reference_chains(reference, own), merged_functions(reference))


def figure(variant):
    """The share of the locations that are equal to the reference's."""
    language, compiler, level, form = variant
    row = f"{compiler} {level} ({language})"
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = compare(Path(folder), *variant)
        except Unavailable as error:
            return Figure(row, form, None, remarks=(str(error)[-60:],))
    remarks = (f"{offset:#x}: {own}, reference: {reference}"
               for offset, (own, reference) in list(found.wrong.items())[:2])
    return Figure(row, form, found.lines, count=found.count, remarks=tuple(remarks))


def figures(match="", jobs=1):
    wanted = [v for v in variants() if re.search(match, " ".join(v))]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(figure, wanted)
