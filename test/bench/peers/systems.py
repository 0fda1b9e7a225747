# SPDX-License-Identifier: Apache-2.0
"""How a program is run under each profiler."""
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import samples

B = Path(os.environ.get("B", "build")).resolve()
HEAP, LOCKS, CPU = "heap", "locks", "cpu"
RATE = "524288"
SETTINGS = ("PPROFAGENT_", "LD_", "MALLOC_", "BENCH_")


@dataclass(frozen=True)
class System:
    """A way to run a command: {out} in words and values is a file in a folder of the run, {hz} the
    rate of a CPU profile. needs: programs on PATH, files, or lib*.so* that the loader finds."""
    name: str
    kinds: tuple
    needs: tuple = ()
    prefix: tuple = ()
    env: dict = field(default_factory=dict)
    exact: bool = False           # records every allocation
    works: tuple = ()             # only these; (): all of its kinds
    count: object = None          # file -> samples by thread or function (samples.py); CPU
    go: bool = False              # runs the Go program instead
    skip: int = 0                 # words of the command that the prefix stands for


def loader_libraries():
    text = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True,
                          check=False).stdout
    return dict(re.findall(r"^\s+(\S+) .*=> (\S+)$", text, re.M))


def missing(system, libraries):
    """What the system needs and this machine lacks."""
    def there(need):
        if not need:
            return False
        if "/" in need:
            return Path(need).exists()
        return need in libraries if ".so" in need else shutil.which(need) is not None
    return [need or "its variable is not set" for need in system.needs if not there(need)]


def agent(**more):
    return {"LD_PRELOAD": str(B / "libpprofagent.so"), "PPROFAGENT_ADDRESS": "127.0.0.1:0",
            **{f"PPROFAGENT_{name}": value for name, value in more.items()}}


def preload(library, **more):
    return {"LD_PRELOAD": library, **more}


def async_profiler(events):
    return preload(os.environ.get("ASYNC_PROFILER", ""),
                   ASPROF_COMMAND=f"start,{events},file={{out}},collapsed,threads")


def all_systems():
    """The bare program comes first. Paths: ASYNC_PROFILER (libasyncProfiler.so), BYTEHOUND
    (libbytehound.so), MEMRAY (its command)."""
    bytehound, memray = os.environ.get("BYTEHOUND", ""), os.environ.get("MEMRAY", "memray")
    native = (os.environ.get("ASYNC_PROFILER", ""),)
    tcmalloc, jemalloc, profiler = "libtcmalloc.so.4", "libjemalloc.so.2", "libprofiler.so.0"
    jemalloc_prof = "prof:true,lg_prof_sample:19,prof_final:true,prof_prefix:{out}"
    return [
        System("bare", (HEAP, LOCKS, CPU)),
        System("agent", (HEAP, LOCKS), env=agent()),
        System("agent, all waits", (LOCKS,), env=agent(BLOCK_RATE="1", MUTEX_FRACTION="1")),
        System("agent, rate 1", (HEAP,), env=agent(HEAP_RATE="1"), exact=True),
        System("heaptrack", (HEAP,), ("heaptrack",), ("heaptrack", "-o", "{out}"), exact=True),
        System("bytehound", (HEAP,), (bytehound,),
               env=preload(bytehound, MEMORY_PROFILER_OUTPUT="{out}"), exact=True),
        System("memray", (HEAP,), (memray,), (memray, "run", "--native", "-q", "-f", "-o", "{out}"),
               exact=True, works=("python",), skip=1),
        System("async-profiler, nativemem=0", (HEAP,), native,
               env=async_profiler("nativemem=0"), exact=True),
        System("async-profiler, nativemem=512k", (HEAP,), native,
               env=async_profiler("nativemem=512k")),
        System("massif", (HEAP,), ("valgrind",),
               ("valgrind", "-q", "--tool=massif", "--massif-out-file={out}"), exact=True),
        System("tcmalloc", (HEAP,), (tcmalloc,), env=preload(tcmalloc)),
        System("tcmalloc, sampler 512k", (HEAP,), (tcmalloc,),
               env=preload(tcmalloc, TCMALLOC_SAMPLE_PARAMETER=RATE)),
        System("tcmalloc, HEAPPROFILE", (HEAP,), (tcmalloc,),
               env=preload(tcmalloc, HEAPPROFILE="{out}"), exact=True),
        System("jemalloc", (HEAP,), (jemalloc,), env=preload(jemalloc)),
        System("jemalloc, prof 512k", (HEAP,), (jemalloc,),
               env=preload(jemalloc, MALLOC_CONF=jemalloc_prof)),
        System("mutrace", (LOCKS,), ("mutrace",), ("mutrace", "--all")),
        System("Go, no profile", (HEAP, CPU), ("go",), env={"BENCH_HEAP_RATE": "0"}, go=True),
        System("Go, heap 512k", (HEAP,), ("go",), env={"BENCH_HEAP_RATE": RATE}, go=True),
        System("Go, heap 1", (HEAP,), ("go",), env={"BENCH_HEAP_RATE": "1"}, go=True, exact=True),
        System("agent, CPU", (CPU,), env=agent(CPUPROFILE="{out}", CPU_HZ="{hz}",
                                               SYMBOLS="names"),
               count=samples.of_pprof),
        System("libprofiler", (CPU,), (profiler,),
               env=preload(profiler, CPUPROFILE="{out}", CPUPROFILE_FREQUENCY="{hz}"),
               count=samples.of_libprofiler),
        System("perf record", (CPU,), ("perf",),
               ("perf", "record", "-q", "-e", "cpu-clock", "-F", "{hz}", "-g", "-o", "{out}"),
               count=samples.of_perf),
        System("async-profiler, ctimer", (CPU,), native,
               env=async_profiler("event=ctimer,interval={period}"),
               count=samples.of_collapsed),
        System("Go, CPU", (CPU,), ("go",), env={"BENCH_CPU": "{out}", "BENCH_HZ": "{hz}"},
               go=True, count=samples.of_pprof),
    ]


def filled(text, out, hz):
    for name, value in (("{out}", out), ("{hz}", hz), ("{period}", 10 ** 9 // hz)):
        text = text.replace(name, str(value))
    return text


def environment(work_env):
    """What every program of a work gets; no setting of a profiler is in it."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}, **work_env}


def applied(system, command, out, hz):
    """The words of the command under the system, whose files begin with out."""
    settings = [f"{name}={filled(value, out, hz)}" for name, value in system.env.items()]
    prefix = [filled(word, out, hz) for word in system.prefix]
    return [*prefix, *(["env", *settings] if settings else []), *command[system.skip:]]
