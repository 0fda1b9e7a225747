# SPDX-License-Identifier: Apache-2.0
"""What the agent costs in figures that do not depend on the speed of the machine or on its other
load: instructions, system calls, page faults, relocations, bytes. The budgets are in
test/bench/budgets.json; test/e2e/test_budgets.py holds them, and `make bench` prints them."""
import ctypes
import json
import re
import statistics
import subprocess
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from lib.harness import (AGENT, BUILD, CORE, EXACT, ROOT, Target, environment, free_port, listening,
                         until, victim)

BENCH = BUILD / "bench"
BUDGETS = ROOT / "test/bench/budgets.json"
ADDR_NO_RANDOMIZE = 0x40000  # personality(2)
STACKS = 2000
REQUESTS = 7
THREADS = 50


def budgets():
    return json.loads(BUDGETS.read_text(encoding="utf-8"))


# ------------------------------------------------------------------ instructions

def instructions(command, env):
    """That the main thread executes from main() on, as callgrind counts them."""
    env = dict(env)
    preload = env.pop("LD_PRELOAD", None)  # not for valgrind itself
    argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes",
            "--toggle-collect=main", "--trace-children=yes", "env"]
    argv += [f"LD_PRELOAD={preload}"] if preload else []
    text = subprocess.run([*argv, *map(str, command)], env=env, check=True, capture_output=True,
                          text=True).stderr
    return int(re.findall(r"Collected : (\d+)", text)[-1])


def instructions_each(command, few, **settings):
    """Of one turn: what twice as many take more."""
    env = environment(free_port(), programs="*", **settings)
    once, twice = (instructions([*command, turns], env) for turns in (few, 2 * few))
    return (twice - once) / few


# ------------------------------------------------------------------ an idle program

@contextmanager
def same_addresses():
    """Of programs that are started meanwhile. (In the child between fork and exec it would cost
    page faults, which are the program's.)"""
    personality = ctypes.CDLL(None).personality
    before = personality(0xffffffff)
    personality(before | ADDR_NO_RANDOMIZE)
    try:
        yield
    finally:
        personality(before)


@contextmanager
def idle_program(*before, agent=True, **more):
    """b_idle (behind other commands), at the same addresses each time: the kernel maps pages of a
    file in groups, so the number of page faults depends on them."""
    port = free_port()
    env = environment(port, preload=(AGENT,) if agent else (), **more)
    with same_addresses():
        target = Target([*before, BENCH / "b_idle"], env, port)
    try:
        target.faults_before_main = int(target.expect("ready").split()[1])
        if agent and not before:
            until("it listens", lambda: listening(target.pid))
        yield target
    finally:
        target.kill()


def added(figure):
    """What the agent adds to a figure of an idle program."""
    values = []
    for agent in (True, False):
        with idle_program(agent=agent) as target:
            values.append(figure(target))
    return values[0] - values[1]


def faults(target):
    return int(Path(f"/proc/{target.pid}/stat").read_text().rsplit(")", 1)[1].split()[7])


def private_kib(target):
    """Written by the program. (Private_Dirty has pages of a file that was just built, too.)"""
    text = Path(f"/proc/{target.pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+)", text, re.M).group(1))


def private_after_heap_kib():
    with idle_program() as target:
        assert target.answers().get("/heap").status == 200
        asked = private_kib(target)
    with idle_program(agent=False) as target:
        return asked - private_kib(target)


# ------------------------------------------------------------------ system calls

def system_calls(agent):
    """(by the first thread before main, by the other threads until the port is there)"""
    with tempfile.NamedTemporaryFile("r") as trace:
        strace = ["strace", "-f", "-qq", "-o", trace.name]
        if agent:
            strace += ["-E", f"LD_PRELOAD={AGENT}"]
        with idle_program(*strace, agent=False):
            if agent:
                until("it listens", lambda: " listen(" in Path(trace.name).read_text())
        lines = [line.split(maxsplit=1) for line in trace if "<... " not in line]
    main = [call for pid, call in lines if pid == lines[0][0]]
    others = [call for pid, call in lines if pid != lines[0][0]]
    before_main = next(i for i, call in enumerate(main) if call.startswith("getrusage("))
    until_there = next((i for i, call in enumerate(others) if call.startswith("listen(")), 0)
    return before_main, until_there


def calls_of_requests(path, count):
    """(pid, calls of all threads but the first) of a program that is asked so often."""
    with tempfile.NamedTemporaryFile("r") as trace:
        strace = ["strace", "-f", "-qq", "-o", trace.name, "-E", f"LD_PRELOAD={AGENT}"]
        with idle_program(*strace, agent=False) as target:
            answers = target.answers()
            for _ in range(count):
                assert answers.get(path).status == 200
        lines = [line.split(maxsplit=1) for line in trace if "<... " not in line]
    return lines[0][0], [call for pid, call in lines if pid != lines[0][0]]


def request_calls(path):
    """For one request of a program that was asked before: the least of some, since texts about
    memory are read once a second."""
    _, calls = calls_of_requests(path, REQUESTS)
    begins = [i for i, call in enumerate(calls) if call.startswith("accept4(")][-REQUESTS:]
    return min(end - begin for begin, end in zip(begins[2:], begins[3:]))


def process_calls():
    """For one process of three threads in the list of processes."""
    pid, calls = calls_of_requests("/processes", 1)
    of_process = [i for i, call in enumerate(calls) if f"/proc/{pid}/" in call]
    status = next(i for i in of_process if "/status" in calls[i])
    return of_process[-1] - status + 1


def calls_of_a_thread(agent):
    """The median over threads that a program creates, of which the agent's are few."""
    with tempfile.NamedTemporaryFile("r") as trace:
        strace = ["strace", "-f", "-qq", "-o", trace.name]
        if agent:
            strace += ["-E", f"LD_PRELOAD={AGENT}"]
        subprocess.run([*strace, BENCH / "b_create", str(THREADS)],
                       env=environment(free_port(), preload=()), check=True, capture_output=True)
        pids = Counter(line.split()[0] for line in trace if "<... " not in line)
    return statistics.median(pids.values())


# ------------------------------------------------------------------ objects and answers

def readelf(option, path):
    return subprocess.run(["readelf", option, path], check=True, capture_output=True,
                          text=True).stdout


def relocations(path, relative):
    kinds = re.findall(r"^[0-9a-f]{12,16}\s+[0-9a-f]+\s+(R_\w+)", readelf("-rW", path), re.M)
    assert kinds
    return sum((kind == "R_X86_64_RELATIVE") == relative for kind in kinds)


def mapped_kib(path):
    """What the loader maps from the file."""
    sizes = re.findall(r"^\s+LOAD\s+\S+\s+\S+\s+\S+\s+(0x\w+)", readelf("-lW", path), re.M)
    assert sizes
    return sum(int(size, 16) for size in sizes) / 1024


def heap_answer_bytes():
    """Of a heap profile, for each of its stacks."""
    port = free_port()
    target = Target([victim("v_stacks"), STACKS], environment(port, **EXACT), port)
    try:
        target.expect("ready")
        return len(target.answers().get("/heap").body) / STACKS
    finally:
        target.kill()


NEVER = 1 << 40  # bytes between two samples

FIGURES = {
    "malloc-instructions": lambda: instructions_each([BENCH / "b_pairs"], 5000, heap_rate=NEVER),
    "lock-instructions": lambda: instructions_each([BENCH / "b_mutex", "pairs"], 5000),
    "faults-before-main": lambda: added(lambda target: target.faults_before_main),
    "faults-idle": lambda: added(faults),
    "private-idle": lambda: added(private_kib),
    "private-heap": private_after_heap_kib,
    "calls-before-main": lambda: system_calls(True)[0] - system_calls(False)[0],
    "calls-to-serve": lambda: system_calls(True)[1],
    "calls-allocs": lambda: request_calls("/allocs"),
    "calls-mutex": lambda: request_calls("/mutex"),
    "calls-goroutine": lambda: request_calls("/goroutine"),
    "calls-profile": lambda: request_calls("/profile?seconds=1"),
    "calls-process": process_calls,
    "calls-thread": lambda: calls_of_a_thread(True) - calls_of_a_thread(False),
    "relocations-named": lambda: relocations(AGENT, False),
    "relocations-relative": lambda: relocations(AGENT, True),
    "relocations-core": lambda: relocations(CORE, False) + relocations(CORE, True),
    "size": lambda: mapped_kib(AGENT),
    "size-core": lambda: mapped_kib(CORE),
    "heap-answer": heap_answer_bytes,
}
