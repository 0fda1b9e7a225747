# SPDX-License-Identifier: Apache-2.0
"""Layers, doors of libraries, and headers that compile alone."""
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lint_rules.common import B, COMPILERS, PRODUCT, complain, folder_of, sources

FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes",
         "-Wmissing-prototypes", "-Werror", f"-I{B}/proto",
         "-isystem", f"{B}/third_party/include"]
RANK = {"agent/base": 0, "agent/arch": 0, "agent/arch/x86_64": 0, "agent/arch/none": 0,
        "agent/record": 1, "agent/core": 2, "agent/modules": 3, "agent/stacks": 4,
        "agent/unwind": 4, "agent/symbols": 5, "agent/profile": 5, "proto": 6, "agent/serve": 7}
# Who may include a library's headers: one door each.
DOORS = {
    r"civetweb\.h": ["agent/serve/http.c"],
    r"zlib\.h": ["proto/gzip.c", "proto/gunzip.c", "agent/symbols/symbols_files.c",
                 "agent/symbols/symbols_inflate.c"],
    r"(pb(_\w+)?|.*\.pb)\.h": ["proto/encode.c", "proto/merge.c",
                                     "proto/merge_part.c", "proto/merge_message.c"],
    r"libunwind.*\.h": ["agent/unwind/unwind.c"],
    r"lzma\.h": ["agent/symbols/symbols_files.c"],
    r"(elfutils/.*|dwarf|libelf|gelf)\.h": ["agent/symbols/symbols_unit.h",
                                            "agent/symbols/symbols_unit.c",
                                            "agent/symbols/symbols_split.c",
                                            "agent/symbols/symbols_dwarf.c"],
    r"libiberty/.*|demangle\.h": ["agent/symbols/demangle.c"],
}


# ------------------------------------------------------------------ layers and doors

def check_own_include(path, name):
    target = Path(os.path.normpath(path.parent / name))
    here, there = folder_of(path), folder_of(target)
    if name.endswith(".pb.h"):
        return
    if not target.exists():
        complain(path, f'includes "{name}", which is not there')
    elif there == "hooks" and here != "hooks":
        complain(path, f"includes {target}: nobody includes hooks/")
    elif here in ("hooks", "agent") and there in RANK and RANK[there] > RANK["agent/core"]:
        complain(path, f"includes {target}: only base/, arch/, record/ and core/ are on this "
                       "side of the wall")
    elif here in RANK and there in RANK and RANK[there] > RANK[here]:
        complain(path, f"includes {target}, which is downstream")
    elif here in RANK and there == "agent" and target.name != "pprofagent.h":
        complain(path, f"includes {target}")


def check_door(path, name):
    for pattern, doors in DOORS.items():
        if re.fullmatch(pattern, name) and str(path) not in doors:
            complain(path, f"includes <{name}>, whose door is {' and '.join(doors)}")


def check_includes():
    for path in PRODUCT:
        for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]',
                                     path.read_text(encoding="utf-8"), re.M):
            own = kind == '"'
            if own:
                check_own_include(path, name)
            if not own or name.endswith(".pb.h"):
                check_door(path, name)


# ------------------------------------------------------------------ headers alone

def check_headers():
    jobs = [(compiler, path) for path in sources("agent", "hooks", "proto", suffixes=(".h",))
            for compiler in COMPILERS if shutil.which(compiler)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        def compile_alone(job):
            compiler, path = job
            unit = Path(folder) / f"{compiler}{str(path).replace('/', '_')}.c"
            unit.write_text(f'#include "{path.resolve()}"\n', encoding="utf-8")
            machine = ["-DPA_ARCH_NONE"] if folder_of(path) == "agent/arch/none" else []
            return job, subprocess.run([compiler, *FLAGS, *machine, "-fsyntax-only", unit],
                                       check=False, capture_output=True, text=True)
        for (compiler, path), done in pool.map(compile_alone, jobs):
            if done.returncode:
                complain(path, f"does not compile alone with {compiler}: "
                         + done.stderr.strip().split("\n", 1)[0])
