# SPDX-License-Identifier: Apache-2.0
"""Everything that a program can see of the agent: what is listed here, and no more."""
import re
import socket
import subprocess
from collections import Counter

import pytest

from lib.fault_rows import program, row
from lib.harness import AGENT, CORE, PREFIX, SIGNAL, SONAMES, Later, listening, sampling, until

OURS = r"\S*/libpprofagent(-core)?\.so"
# Names of our threads. "pprofagent": the collector, there from the start.
THREADS = r"(pprofagent|pprof:\d+|civetweb-master|civetweb-worker)"
ANY = ("main", "idle", "asked", "profiled", "left", "end")
SERVED = ("asked", "profiled", "left", "end")

# What may be there under the agent and not without it: section, what, how many, when, and why.
MORE = (
    ("library", OURS, 2, ANY, "the two objects: the agent by LD_PRELOAD, the core by dlopen()"),
    ("mapping", OURS, 12, ANY, "their segments"),
    ("mapping", "anonymous", 80, ANY, "our memory is in mappings of our own, and so are stacks"),
    ("thread", "pprofagent", 1, ("idle",), "the collector"),
    ("thread", "pprofagent", 2, ("main",), "the same, and the server thread until it listens"),
    ("thread", "f_visible", 1, ("main",), "the collector, before it has its name"),
    ("thread_status", "f_visible .*", 9, ("main",), "the same"),
    ("thread", r"pprof:\d+", 1, ("main", "idle"), "waits for the first connection"),
    ("thread", THREADS, 12, SERVED, "those, and the server's until 30 s after the last request"),
    ("thread", r"\?", 12, SERVED, "one of ours that ended while it was looked at"),
    ("thread_status", r"\? .*", 99, SERVED, "the same"),
    ("thread_status", THREADS + r" .*", 99, ANY, "what each has for itself: all signals blocked"),
    ("signal", "SigCgt: 33", 1, ANY,
     "SIGSETXID: glibc catches it from the first pthread_create() on, whose ever it is"),
    ("signal", f"SigCgt: {SIGNAL}", 1, ("profiled",), "the handler of the samples"),
    ("timer", f"signal: {SIGNAL}", 99, ("profiled",), "one for each thread"),
    ("environment", r"LD_PRELOAD=\S*libpprofagent\.so", 1, ANY, "the user's"),
    ("environment", r"PPROFAGENT_ADDRESS=\S*", 1, ANY, "the user's"),
    ("environment", r"PPROFAGENT_(HEAP_RATE|BLOCK_RATE|MUTEX_FRACTION)=\d+", 3, ANY, "the user's"),
    ("environment", r"PPROFAGENT_PARENT=\d+", 1, ANY, "tells children which process served"),
)

ORDERED = ("library", "environment", "descriptor")
# What may be missing then.
LESS = (
    ("signal", "SigIgn: 33", "it is caught instead, see above; how it is inherited is an accident"),
)
HEAP_BYTES = 4096  # ld.so allocates a table for each thread (dtv), setenv() the environment

# Every kind of answer. symbol is asked for by POST as well.
PATHS = ("/heap", "/heap?debug=1", "/heap?gc=1", "/allocs", "/goroutine", "/goroutine?debug=1",
         "/goroutine?debug=2", "/threadcreate", "/block", "/mutex", "/delta_heap", "/delta_block",
         "/delta_mutex", "/cmdline", "/agent", "/symbol?0x0", "/debug/pprof/")
LONG_PATHS = ("/profile?seconds=1", "/trace?seconds=1", "/debug/fgprof?seconds=1",
              "/heap?seconds=1")


# ------------------------------------------------------------------ a run


class Run:
    """f_visible, bare or under the agent, in folders where it could leave files."""

    def __init__(self, case, folder, arguments, agent):
        self.case = case
        self.folders = [folder / name for name in ("cwd", "tmp")]
        for path in self.folders:
            path.mkdir(exist_ok=True)
        argv = ["env", f"TMPDIR={self.folders[1]}", program("f_visible"), *arguments]
        self.target = case.start(argv, cwd=self.folders[0], wait=False) if agent \
            else case.start_bare(argv, cwd=self.folders[0])
        self.at_main = self.lines("ready")

    def lines(self, last="done"):
        """What it prints until that line: words of a section and the rest."""
        found = []
        while True:
            line = self.target.line()
            if line == last:
                return found
            found.append(tuple(line.split(" ", 1)))

    def ask(self, text):
        self.target.tell(text)
        return self.lines()

    def end(self):
        """{handler: what it sees}, in the order in which they run; and nothing is left behind."""
        assert self.target.finish() == 3 and self.target.err == ""
        assert [path for folder in self.folders for path in folder.iterdir()] == []
        text = b"".join(self.target.out_lines).decode().split("\ndone\n")
        blocks = [block.strip("\n").split("\n") for block in text if "\nend " in "\n" + block]
        return [(lines[0], [tuple(line.split(" ", 1)) for line in lines[1:]]) for lines in blocks]


def both(case, tmp_path, arguments=()):
    """(bare, under the agent, whose server is ready and was not asked)"""
    runs = [Run(case, tmp_path, arguments, agent) for agent in (False, True)]
    pid = runs[1].target.pid
    until("the agent listens", lambda: listening(pid))
    return runs


# ------------------------------------------------------------------ what differs


def allowed(section, what, when):
    """The place in MORE of what may be there; None: it may not."""
    for place, (part, pattern, _, states, _) in enumerate(MORE):
        if part == section and when in states and re.fullmatch(pattern, what):
            return place
    return None


def differences(bare, agent, when):
    """What is seen under the agent and may not be, or is not seen any more, or has another place
    among the others of its section; and how often each line of MORE was needed."""
    more, wrong, needed = Counter(agent) - Counter(bare), [], Counter()
    for (section, what), count in more.items():
        place = allowed(section, what, when)
        if place is None:
            wrong.append(f"+ {section} {what}")
        else:
            needed[place] += count
    wrong += [f"- {section} {what}" for section, what in Counter(bare) - Counter(agent)
              if not any((section, what) == line[:2] for line in LESS)]
    wrong += [f"+ {count} of {MORE[place]}" for place, count in needed.items()
              if count > MORE[place][2]]
    for section in ORDERED:
        left, right = [[line for line in look if line[0] == section and line in bare]
                       for look in (bare, agent)]
        if left != right:
            wrong.append(f"another order of {section}: {right}")
    return wrong, needed


def without_heap(look):
    """(what it says of the allocator, the rest)"""
    heap = [re.match(r"in use (\d+) mapped (\d+)", what) for section, what in look
            if section == "heap"]
    numbers = [(int(m.group(1)), int(m.group(2))) for m in heap if m]
    assert len(numbers) == 1
    return numbers[0], [line for line in look if line[1:] != (heap[-1].group(0),)]


class Looks:
    """Compares looks of two runs, and remembers what was seen for the note."""

    def __init__(self, runs):
        self.runs, self.seen = runs, {}

    def compare(self, when, bare=None, agent=None):
        bare = self.runs[0].ask("look") if bare is None else bare
        agent = self.runs[1].ask("look") if agent is None else agent
        assert len(bare) > 100, bare
        (used, mapped), bare = without_heap(bare)
        (more_used, more_mapped), agent = without_heap(agent)
        wrong, needed = differences(bare, agent, when)
        assert not wrong, when + ":\n" + "\n".join(wrong)
        assert 0 <= more_used - used <= HEAP_BYTES and mapped == more_mapped
        self.seen[when] = {MORE[place][:2]: count for place, count in needed.items()}


def ask_everything(target):
    later = [Later(target, path) for path in LONG_PATHS]
    for path in PATHS:
        assert target.get(path).status == 200, path
    assert target.get("/symbol", method="POST", body=b"0x0").status == 200
    for each in later:
        assert each.answer().status == 200
    until("no sample is taken", lambda: not sampling(target))


class Profile:
    """A CPU profile is being taken until the end of the with block, and given up then."""

    def __init__(self, target):
        self.target, self.socket = target, None

    def __enter__(self):
        self.socket = socket.create_connection(("127.0.0.1", self.target.port))
        self.socket.sendall(f"GET {PREFIX}/profile?seconds=600 HTTP/1.1\r\n"
                            "Host: localhost\r\n\r\n".encode())
        until("samples are taken", lambda: sampling(self.target))

    def __exit__(self, *_):
        self.socket.close()
        until("no sample is taken", lambda: not sampling(self.target))


@row("F109", "all that a program can see of its process, and its end", severity=1,
     modes=("idle", "full"), naive="libraries, descriptors, signals", fast=True)
@pytest.mark.parametrize("arguments", [[], ["threads"]], ids=["alone", "threads"])
def test_visible(case, tmp_path, arguments):
    runs = both(case, tmp_path, arguments)
    looks = Looks(runs)
    looks.compare("main", *[run.at_main for run in runs])
    looks.compare("idle")
    ask_everything(runs[1].target)
    looks.compare("asked")
    with Profile(runs[1].target):
        looks.compare("profiled")
    looks.compare("left")
    ends = [run.end() for run in runs]
    assert [name for name, _ in ends[0]] == [name for name, _ in ends[1]]
    assert len(ends[0]) == 6
    for (_, bare), (_, agent) in zip(*ends):
        looks.compare("end", bare, agent)
    case.note(str(looks.seen))


# ------------------------------------------------------------------ names


def defined(*argv):
    """Names that nm lists, without their versions."""
    done = subprocess.run(["nm", *argv], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()
            if len(line.split()) > 2}


def libc_path():
    done = subprocess.run(["ldd", program("f_visible")], capture_output=True, text=True, check=True)
    return re.search(r"libc\.so\.6 => (\S+)", done.stdout).group(1)


@row("F109b", "names: what dlsym() and dlopen() find", severity=1, modes=("idle",), fast=True)
def test_names(case, tmp_path):
    """Every symbol that the two objects have, whatever it is, and every one of libc."""
    hooks = defined("-D", "--defined-only", AGENT)
    names = hooks | defined("--defined-only", AGENT) | defined("--defined-only", CORE)
    assert {"mg_start", "dwarf_begin", "lzma_decode", "inflate", "pb_encode"} <= names
    names |= defined("-D", "--defined-only", libc_path())
    (tmp_path / "names").write_text("\n".join(sorted(names)))
    (tmp_path / "sonames").write_text("\n".join(
        (*SONAMES, "libpthread.so.0", "libdl.so.2", "librt.so.1", "libm.so.6")))
    runs = both(case, tmp_path)
    ask_everything(runs[1].target)
    bare, agent = [{what.split()[0]: what.split()[-1] for _, what in
                    run.ask(f"symbols {tmp_path / 'names'}")} for run in runs]
    changed = {name: (bare.get(name), agent.get(name)) for name in names
               if bare.get(name) != agent.get(name)}
    assert {name for name, (_, found) in changed.items() if found != str(AGENT)} == set(), changed
    assert set(changed) <= hooks, set(changed) - hooks
    assert len(bare) > 2000
    opened = [run.ask(f"opened {tmp_path / 'sonames'}") for run in runs]
    assert set(opened[1]) == set(opened[0])
    case.note(f"{len(names)} names, {len(changed)} are hooks")


# ------------------------------------------------------------------ keys

@row("F109c", "keys of thread-specific data, before and after requests", severity=2,
     modes=("idle", "full"), naive="1023", fast=True)
def test_keys(case, tmp_path):
    runs = both(case, tmp_path)
    ask_everything(runs[1].target)
    counts = [run.ask("keys") for run in runs]
    assert counts[0] == counts[1] == [("keys", "1024")]


@row("F109d", "a program that has all keys is served", severity=2, modes=("idle",), fast=True)
def test_all_keys_taken(case):
    target = case.start([program("f_keys"), "keep"], wait=False)
    target.expect("1024")
    target.answers()
    ask_everything(target)
    assert target.finish() == 0 and target.err == ""
