# SPDX-License-Identifier: Apache-2.0
"""The two objects: exports, undefined symbols, dynamic sections, instructions."""
import re
from pathlib import Path
from lint_rules.common import AGENT, B, CORE, PRODUCT, complain, folder_of, output, sources

SELF = "scripts/lint_rules/objects.py"
TLS_MAX = 2048
# What each object may need: a library with a common name would be found in place of the program's.
NEEDED = {AGENT: {"libc.so.6", "ld-linux-x86-64.so.2"},
          CORE: {"libc.so.6", "ld-linux-x86-64.so.2"}}
# The newest version of a symbol that each object may need (FLOOR and FLOOR_AGENT of the Makefile).
FLOOR = {AGENT: "2.17", CORE: "2.28"}
# Dynamic tags that ld.so of the floor does not know: it would leave out relocations, or do them
# wrongly (-z pack-relative-relocs, -z mark-plt).
LATER_TAGS = ("RELR", "X86_64_PLT")


# ------------------------------------------------------------------ exports

def exported(library):
    """Names; an absolute one ("A") is that of a version itself."""
    rows = [line.split() for line in output("nm", "-D", "--defined-only", library).splitlines()]
    return {row[-1].split("@")[0] for row in rows if row[-2] != "A"}


def compare(library, got, wanted):
    for name in sorted(got - wanted):
        complain(library, f"exports {name}, which is not in its list")
    for name in sorted(wanted - got):
        complain(library, f"does not export {name}")


def map_names(path):
    if not Path(path).exists():
        complain(path, "is not there")
        return set()
    text = Path(path).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/|#.*", "", text, flags=re.S)
    between = re.search(r"global:(.*?)(?:local:|\})", text, re.S)
    return set(re.findall(r"[A-Za-z_]\w*(?=\s*;)", between.group(1)))


def check_exports():
    hooks = re.sub(r"/\*.*?\*/", "", Path("hooks/hooks.h").read_text(encoding="utf-8"),
                   flags=re.S)
    listed = set(re.findall(r"\bPA_HOOK\((\w+),", hooks))
    public = Path("agent/pprofagent.h").read_text(encoding="utf-8")
    tables = set(re.findall(r"^extern const struct \w+ (\w+)", public, re.M))
    compare(AGENT, exported(AGENT), listed | tables)
    for name in sorted(map_names("hooks/exports.map") - listed):
        complain("hooks/exports.map", f"names {name}, which is no hook")
    names = map_names("agent/serve/core.map")
    compare(CORE, exported(CORE), names)
    if "pa_core_main" not in names:
        complain("agent/serve/core.map", "does not export pa_core_main")


# ------------------------------------------------------------------ undefined symbols

def allow_list():
    allowed = {}
    for line in Path("scripts/lint-allow.txt").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            allowed[words[0]] = {w for w in words[1:] if w == "*" or w.endswith(".c")}
    return allowed


def undefined(objects):
    """{(object, symbol)}"""
    found, current = set(), None
    for line in output("nm", "-A", "-u", *objects).splitlines():
        current, _, rest = line.partition(":")
        found.add((Path(current).name[:-2] + ".c", rest.split()[-1]))
    return found


# What newer compilers and headers call in place of functions of the list; atoi: with -O0.
OTHER_NAMES = {"bcmp": "memcmp", "atoi": "strtol", "__isoc23_strtol": "strtol",
               "__isoc23_strtoul": "strtoul"}


def check_undefined():
    allowed, used = allow_list(), set()
    objects = [B / "obj" / p.with_suffix(".o") for p in
               sources("agent/record", "hooks", suffixes=(".c",))]
    for source, symbol in sorted(undefined(objects)):
        if symbol.startswith("pa_") or symbol == "_GLOBAL_OFFSET_TABLE_":
            continue
        symbol = OTHER_NAMES.get(symbol, symbol)
        files = allowed.get(symbol, set())
        if "*" not in files and source not in files:
            complain(source, f"uses {symbol}, which scripts/lint-allow.txt does not allow there")
        used.add(symbol)
    for path in PRODUCT:
        if path.suffix == ".c" and folder_of(path) in ("agent/base", "agent"):
            objects.append(B / "obj" / path.with_suffix(".o"))
    for source, symbol in undefined(objects):
        if symbol == "__tls_get_addr":
            complain(source, "uses __tls_get_addr")


# ------------------------------------------------------------------ dynamic sections

def faults_of(library, dynamic, needed):
    """What is wrong with a dynamic section, as readelf -dW prints it."""
    names = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    found = [f"needs {name}" for name in sorted(names - needed)]
    found += [f"has {tag}" for tag in ("RPATH", "RUNPATH", "TEXTREL", "SYMBOLIC")
              if re.search(rf"\({tag}\)|FLAGS\b.*\b{tag}\b", dynamic)]
    found += [f"has {tag}, which ld.so of glibc {FLOOR[library]} does not know"
              for tag in LATER_TAGS if f"({tag})" in dynamic]
    if library == CORE and "STATIC_TLS" in dynamic:
        found.append("takes static TLS, which is the program's by then")
    if "NOW" not in dynamic:
        found.append("is not bound at load time")
    if library == AGENT and "NODELETE" not in dynamic:
        found.append("is not marked nodelete")
    return found


def check_faults_are_found():
    """The check itself: each fault is found, in a section that is else in order."""
    good = " (NEEDED) Shared library: [libc.so.6]\n (FLAGS_1) Flags: NOW NODELETE\n"
    for library in (AGENT, CORE):
        if faults_of(library, good, NEEDED[library]):
            complain("scripts/lint", "finds faults in a dynamic section without any")
    for bad in (" (NEEDED) Shared library: [liblzma.so.5]", " (RUNPATH) Library runpath: [/x]",
                " (RPATH) Library rpath: [/x]", " (TEXTREL) 0x0", " (FLAGS) TEXTREL",
                " (FLAGS) STATIC_TLS", " (FLAGS) SYMBOLIC", " (RELR) 0x488",
                " (X86_64_PLT) 0x1020"):
        if len(faults_of(CORE, good + bad, NEEDED[CORE])) != 1:
            complain("scripts/lint", f"does not find {bad.strip()}")


def above_floor(symbols, floor):
    """[name@version] above the floor, among undefined symbols as nm -D -u prints them."""
    def number(version):
        return [int(part) for part in version.split(".")]

    found = re.findall(r"\s(\S+)@+GLIBC_([\d.]+)$", symbols, re.M)
    return [f"{name}@GLIBC_{version}" for name, version in found
            if number(version) > number(floor)]


def foreign_needs(versions):
    """Versions needed of glibc that are no numbers (GLIBC_ABI_DT_RELR, GLIBC_PRIVATE), which no
    symbol shows; as readelf -VW prints them."""
    return [name for name in re.findall(r"Name: (GLIBC_\S+)", versions)
            if not re.fullmatch(r"GLIBC_[\d.]+", name)]


def check_floor():
    """The Makefile has the same floors, and a library for the linker cannot be bypassed."""
    makefile = Path("Makefile").read_text(encoding="utf-8")
    for library, name in ((AGENT, "FLOOR_AGENT"), (CORE, "FLOOR")):
        if not re.search(rf"^{name} := {re.escape(FLOOR[library])}$", makefile, re.M):
            complain("Makefile", f"{name} is not {FLOOR[library]}")
        symbols = output("nm", "-D", "-u", library)
        if "@GLIBC_" not in symbols:
            complain(library, "needs nothing of libc, or nm has another form")
        for fault in above_floor(symbols, FLOOR[library]):
            complain(library, f"needs {fault}, the floor is {FLOOR[library]}")
        versions = output("readelf", "-VW", library)
        if "Name: GLIBC_2" not in versions:
            complain(library, "needs no version of glibc, or readelf has another form")
        for name in foreign_needs(versions):
            complain(library, f"needs {name}, the floor is {FLOOR[library]}")
    some = " U stat@GLIBC_2.33\n U a@GLIBC_2.3\n w b@GLIBC_2.28.1\n w mallinfo2\n"
    if above_floor(some, "2.28") != ["stat@GLIBC_2.33", "b@GLIBC_2.28.1"]:
        complain(SELF, "does not find versions above the floor")
    some = "  Name: GLIBC_2.17  Flags: none\n  Name: GLIBC_ABI_DT_RELR  Flags: none\n"
    if foreign_needs(some) != ["GLIBC_ABI_DT_RELR"]:
        complain(SELF, "does not find versions that no symbol has")


def strangers(names, shims):
    """Other forms of names that serve/libc_*.c takes from libc, and checks that end the program."""
    forms = {form.format(name) for name in shims for form in (
        "__{}_chk", "__{}_2", "{}64", "__{}64_2", "__{}", "__libc_{}")}
    return {name for name in names if name in forms or name in shims
            or re.fullmatch(r"__\w+_chk|__stack_chk_fail|__chk_fail|__fortify_fail", name)}


def check_shims():
    objects = [B / "core" / p.with_suffix(".o") for p in Path("agent/serve").glob("libc_*.c")]
    shims = {line.split()[-1] for line in output("nm", "--defined-only", "-g", *objects)
             .splitlines() if len(line.split()) == 3}
    shims = {name for name in shims if not name.startswith(("pa_", "__"))}
    if not {"recv", "malloc", "fork"} <= shims:
        complain(SELF, "does not find the names that serve/libc_*.c defines")
    names = {line.split()[-1].split("@")[0] for line in
             output("nm", "-D", "-u", CORE).splitlines()}
    for name in sorted(strangers(names, shims)):
        complain(CORE, f"calls {name} of libc, which serve/libc_*.c should be")
    if strangers({"__recv_chk", "open64", "read", "__memset_chk"}, {"recv", "open"}) != {
            "__recv_chk", "open64", "__memset_chk"}:
        complain(SELF, "does not know the other forms of a name")


def check_objects():
    check_faults_are_found()
    check_shims()
    for library in (AGENT, CORE):
        for line in output("readelf", "-lW", library).splitlines():
            words = line.split()
            if words[:1] == ["TLS"] and int(words[5], 16) > TLS_MAX:
                complain(library, f"{int(words[5], 16)} bytes of TLS, at most {TLS_MAX}")
            if words[:1] == ["GNU_STACK"] and "E" in words[6]:
                complain(library, "executable stack")
        for fault in faults_of(library, output("readelf", "-dW", library), NEEDED[library]):
            complain(library, fault)


# ------------------------------------------------------------------ instructions

VECTOR = re.compile(r"%([xyz]?mm|k)[0-7]|%st\b|\tf(?!xsave64|xrstor64|ninit)[a-z]\w*\s")
STRING = re.compile(r"%es:\(%rdi\)|%ds:\(%rsi\)")
# A function that aligns its stack by way of r10 puts a copy of its return address on it.
COPIES = re.compile(r"\tpush\s+-0x8\(%r10\)")


def disassemble(path):
    """[(function, instruction)]"""
    found, name = [], "?"
    for line in output("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        head = re.fullmatch(r"[0-9a-f]+ <(.*)>:", line)
        if head:
            name = head.group(1)
        elif line.startswith(" "):
            found.append((name, line))
    return found


def check_instructions():
    """Integers only on the program's threads, and nothing that goes by the direction flag."""
    what = ((VECTOR, "uses vector or floating-point registers (-mgeneral-regs-only)"),
            (STRING, "has string instructions (-mstringop-strategy)"),
            (COPIES, "has a second return address on its stack (see PA_SLOW in base/base.h)"))
    for pattern, complaint in what:
        for name in sorted({name for name, line in disassemble(AGENT) if pattern.search(line)}):
            complain(f"{AGENT}: {name}", complaint)
    # What looks at instructions has to see them where they are.
    if not any(VECTOR.search(line) for _, line in
               disassemble(B / "core/agent/profile/contention.o")):
        complain("scripts/lint", "does not see the floating-point numbers of contention.c")
