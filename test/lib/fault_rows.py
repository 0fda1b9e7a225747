# SPDX-License-Identifier: Apache-2.0
"""A program bare and under the agent, compared: what the fault matrix is made of.

    @row("F01", "command substitution", severity=1, naive="hangs")
    def test_command_substitution(case):
        case.same(["bash", "-c", "x=$(echo hi); echo $x"])

A row runs once for each mode. idle: the agent is loaded, its port open, nobody asks. full: each
allocation, wait and contended critical section is recorded. fire: full, and a poller asks for every
profile in a loop. naive: an agent built as one would build it at first (naive.c); the row has to
fail there, or it sees nothing. The table at the end has what each row measured.
"""
import glob
import http.client
import os
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from lib.harness import AGENT, BUILD, PREFIX, Target, environment, free_port, request

PROGRAMS = BUILD / "faults"
NAIVE = PROGRAMS / "naive.so"
PYTHON = "/usr/bin/python3"

AGENT_MODES = ("idle", "full", "fire")
FULL = {"heap_rate": 1, "block_rate": 1, "mutex_fraction": 1}
HZ = {"cpu_hz": 1000}  # ticks as often as there can be
SETTINGS = {"idle": {}, "full": FULL, "fire": FULL, "naive": {}}

# P2 of the contract: no run takes longer than three times its bare time and 5 s.
TIMES_BARE, MORE_S = 3.0, 5.0
BARE_DEADLINE_S = 120.0

RSS_CAP_KIB = 64 << 10  # P5

POLLED = ("/heap", "/allocs", "/block", "/mutex", "/threadcreate", "/goroutine?debug=2",
          "/profile?seconds=1")

TABLE = {}  # row id -> {"title", "severity", mode: text}; printed by conftest.py


def program(name):
    """A program of test/faults/programs, without its suffix."""
    return str(PROGRAMS / name)


def row(number, title, severity, modes=AGENT_MODES, naive=None, fast=False):
    """Marks a test as a row of the matrix. naive: what the naive agent does there; None: the row is
    not asked of it. fast: part of `make test`, in all modes or in those that are given."""
    def mark(test):
        test.pa_row = (number, title, severity)
        test.pa_modes = tuple(modes) + (("naive",) if naive else ())
        test.pa_naive = naive
        if not fast:
            return test
        return pytest.mark.fast(*(test.pa_modes if fast is True else fast))(test)
    return mark


class Outcome:
    """How a run ended. timed_out: it was killed at its deadline. rss_kib, threads: the most that
    was seen (asked every 20 ms; 0: it was over before)."""

    def __init__(self, status, out, err, wall_s, timed_out, seen):
        self.status, self.out, self.err = status, out, err
        self.wall_s, self.timed_out = wall_s, timed_out
        self.rss_kib, self.threads = seen.get("VmHWM", 0), seen.get("Threads", 0)

    @property
    def end(self):
        return "killed at its deadline" if self.timed_out else f"rc {self.status}"

    def __repr__(self):
        return (f"{self.end} after {self.wall_s:.2f} s, {self.rss_kib} KiB\n"
                f"  stdout {self.out[-2000:]!r}\n  stderr {self.err[-2000:]!r}")


class Watch:
    """Looks at a process until its end, and kills it at its deadline."""

    def __init__(self, pid, deadline_s):
        self.pid, self.seen, self.timed_out = pid, {}, False
        self._end = time.monotonic() + deadline_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.02):
            if time.monotonic() > self._end:
                self.timed_out = True
                os.killpg(self.pid, signal.SIGKILL)
                return
            for name, value in status_numbers(self.pid, "VmHWM", "Threads").items():
                self.seen[name] = max(value, self.seen.get(name, 0))

    def stop(self):
        self._over.set()
        self._thread.join()


class Poller:
    """Asks for every profile, again and again, until the end of the with block."""

    def __init__(self, port, paths=POLLED):
        self.port, self.paths, self.answers, self.failures = port, paths, 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while True:
            for path in self.paths:
                if self._over.is_set():
                    return
                self._ask(path)

    def _ask(self, path):
        try:
            answer = request(self.port, PREFIX + path, timeout=20)
        except (OSError, http.client.HTTPException):
            self._over.wait(0.002)  # not there yet, or gone with its program
            return
        self.answers += 1
        if answer.status != 200:
            self.failures.append((path, answer.status, answer.text))


def finish(argv, env, stdin=b"", deadline_s=BARE_DEADLINE_S, **kwargs):
    """A program from start to end, in a session of its own; an Outcome."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, \
            tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        begin = time.monotonic()
        process = subprocess.Popen([str(a) for a in argv], env=env, stdin=given, stdout=out,
                                   stderr=err, start_new_session=True, **kwargs)
        watch = Watch(process.pid, deadline_s)
        status = process.wait()
        wall_s = time.monotonic() - begin
        watch.stop()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
    return Outcome(status, *texts, wall_s, watch.timed_out, watch.seen)


_bare = {}


class Case:
    """What a row's test is given: its programs bare and in one mode."""

    def __init__(self, number, mode):
        self.number, self.mode, self.notes = number, mode, []
        self._targets = []

    # ------------------------------------------------------------ settings

    @property
    def preload(self):
        return (NAIVE,) if self.mode == "naive" else (AGENT,)

    @property
    def polls(self):
        return self.mode in ("fire", "naive")

    def environment(self, port, preload=None, **settings):
        """preload: (AGENT, other.so) and the like; in naive mode its AGENT is the naive one."""
        if preload is None:
            preload = self.preload
        elif self.mode == "naive":
            preload = tuple(NAIVE if p == AGENT else p for p in preload)
        return environment(port, preload=preload, **{**SETTINGS[self.mode], **settings})

    def note(self, text):
        """A word for the table."""
        self.notes.append(text)

    # ------------------------------------------------------------ whole runs

    def bare(self, argv, again=False, env=None, stdin=b"", deadline_s=BARE_DEADLINE_S, **kwargs):
        """The outcome without an agent; remembered for the row's other modes unless again. env:
        variables besides the usual ones."""
        key = (self.number, tuple(map(str, argv)), stdin, str(sorted((env or {}).items())))
        if again or key not in _bare or kwargs.get("cwd"):
            _bare[key] = finish(argv, {**environment(preload=()), **(env or {})}, stdin,
                                deadline_s, **kwargs)
        return _bare[key]

    def under(self, argv, deadline_s, env=None, stdin=b"", preload=None, settings=None, **kwargs):
        """The outcome in this mode; the poller asks meanwhile when the mode has one."""
        port = free_port()
        variables = {**self.environment(port, preload, **(settings or {})), **(env or {})}
        if not self.polls:
            return finish(argv, variables, stdin, deadline_s, **kwargs)
        with Poller(port) as poller:
            outcome = finish(argv, variables, stdin, deadline_s, **kwargs)
        self.note(f"{poller.answers} answers")
        return outcome

    def both(self, argv, again=False, preload=None, settings=None, **kwargs):
        """(bare, under) of one program; under must end in time (P2), with what it used."""
        bare = self.bare(argv, again=again, **kwargs)
        deadline_s = TIMES_BARE * bare.wall_s + MORE_S
        under = self.under(argv, deadline_s, preload=preload, settings=settings, **kwargs)
        self.note(f"{bare.end} -> {under.end}, {bare.wall_s:.2f} -> {under.wall_s:.2f} s")
        if bare.rss_kib:
            self.note(f"{bare.rss_kib} -> {under.rss_kib} KiB")
        assert not under.timed_out, f"not in time\nbare {bare}\nunder {under}"
        assert under.rss_kib - bare.rss_kib <= RSS_CAP_KIB, f"memory\nbare {bare}\nunder {under}"
        return bare, under

    def same(self, argv, clean=lambda text: text, **kwargs):
        """P1: as both, and status, stdout and stderr have to be equal; clean (bytes -> bytes) takes
        out what differs from run to run."""
        bare, under = self.both(argv, **kwargs)
        left = (bare.status, clean(bare.out), clean(bare.err))
        right = (under.status, clean(under.out), clean(under.err))
        assert right == left, f"not the same\nbare {bare}\nunder {under}"
        return bare, under

    # ------------------------------------------------------------ programs to talk to

    def start(self, argv, wait=True, port=None, preload=None, cwd=None, preexec=None, **settings):
        """A harness.Target in this mode that ends with the test. wait: until its port answers. Use
        `with case.fire(target):` for what shall happen under the mode's poller."""
        port = port or free_port()
        target = Target(argv, self.environment(port, preload, **settings), port, cwd=cwd,
                        preexec=preexec)
        self._targets.append(target)
        return target.answers() if wait else target

    def start_bare(self, argv, cwd=None, preexec=None):
        target = Target(argv, environment(preload=()), None, cwd=cwd, preexec=preexec)
        self._targets.append(target)
        return target

    def fire(self, target, paths=POLLED):
        """The poller on a started program, or nothing where the mode has none."""
        return Poller(target.port, paths) if self.polls else _NoPoller()

    def close(self):
        for target in self._targets:
            target.kill()


class _NoPoller:
    answers, failures = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def status_numbers(pid, *names):
    """Lines of /proc/PID/status that hold a number, by name; {} when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    found = re.findall(r"^(\w+):\s*(\d+)", text, re.M)
    return {name: int(number) for name, number in found if name in names}


def limited(**limits):
    """preexec_fn that sets resource limits: limited(AS=bytes, NOFILE=8)."""
    def apply():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    return apply


def have(*commands):
    """Skips a row whose programs are not installed (`make deps DEPS=faults` installs all)."""
    for command in commands:
        if not any(os.access(os.path.join(folder, command), os.X_OK)
                   for folder in (*os.get_exec_path(), "/usr/sbin", "/sbin", "/")):
            pytest.skip(f"no {command} here (make deps DEPS=faults)")


def newest(pattern):
    """The path of that form with the highest version, which has a / at its end as the pattern has;
    the pattern itself where there is none."""
    def numbers(path):
        return [int(number) for number in re.findall(r"\d+", path)]
    return max(glob.glob(pattern), key=numbers, default=pattern)


def profiled(case, argv, first="ready", **settings):
    """A program that prints a line and goes on by itself, bare and in this mode, where CPU profiles
    and thread stacks are taken all the time. The bare lines, and those under the agent."""
    bare = case.start_bare(argv)
    assert bare.finish(120) == 0, bare.err
    target = case.start(argv, wait=False, **{**HZ, **settings})
    target.expect(first)
    with case.fire(target, ("/profile?seconds=1", "/goroutine?debug=2", "/goroutine")) as poller:
        status = target.finish(180)
    case.note(f"rc {status}, {poller.answers} answers")
    assert status == 0, (target.out, target.err)
    assert target.err == bare.err
    return bare.out, target.out
