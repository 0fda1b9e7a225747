# SPDX-License-Identifier: Apache-2.0
"""Real programs of many processes, bare and under the agent: what the rows of section R share.

A scenario is a function that is given a Side and returns what has to be equal on both sides:

    def life(side):
        return {"version": side.done(["git", "--version"])}

    def test_life(case):
        compare(case, life)
"""
import http.client
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from lib.fault_rows import MORE_S, POLLED, TIMES_BARE, finish
from lib.harness import DEADLINE_S, PREFIX, environment, free_port, listening, request, until

STEP_S = 120.0  # for one step of a scenario; a hang, not a figure that is measured

# Every process on a port of its own at once: a child waits for its parent's for some seconds.
ANY_PORT = "127.0.0.1:0"

POLLERS = 3


def version(*argv):
    """The first line that a program has to say of its version."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def become(user):
    """preexec_fn: gives up root for a user, all groups too."""
    entry = pwd.getpwnam(user)

    def apply():
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    return apply


def parents():
    """The parent of each process, by pid; zombies too."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            found[int(entry)] = int(text.rpartition(")")[2].split()[1])
    return found


def family(pid):
    """A process and all that descend from it."""
    above, members = parents(), [pid]
    for member in members:
        members += [child for child, parent in above.items() if parent == member]
    return [member for member in members if member in above]


def zombies(pids):
    return [pid for pid in pids if state_of(pid) == "Z"]


def state_of(pid):
    """R, S, Z ...; None: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def cpu_s(pid):
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def agent_port(pid, apart=()):
    """The port of the agent in a process, or None. apart: ports of the program's own."""
    try:
        addresses = listening(pid)
    except OSError:
        return None
    for address in addresses:
        host, _, port = address.rpartition(":")
        if host == "0100007F" and int(port, 16) not in apart:
            return int(port, 16)
    return None


class Swarm:
    """Asks the agents of all processes of a family for every profile, several at once and in no
    order, until the end of the with block."""

    def __init__(self, pid, apart=()):
        self.pid, self.apart, self.answers, self.asked, self.failures = pid, apart, 0, set(), []
        self._ports = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(random.Random(i),))
                         for i in range(POLLERS)]
        self._threads.append(threading.Thread(target=self._look_on))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look_on(self):
        while not self._over.wait(0.1):
            pid = self.pid() if callable(self.pid) else self.pid
            found = {member: self._ports.get(member) or agent_port(member, self.apart)
                     for member in (family(pid) if pid else [])}
            self._ports = {member: port for member, port in found.items() if port}

    def _ask_on(self, dice):
        while not self._over.wait(0.002):
            known = list(self._ports.items())
            if known:
                self._ask(*dice.choice(known), dice.choice(POLLED))

    def _ask(self, pid, port, path):
        try:
            answer = request(port, PREFIX + path, timeout=20)
        except (OSError, http.client.HTTPException):
            self._ports.pop(pid, None)  # gone with its process
            return
        self.answers += 1
        self.asked.add(pid)
        # Two of the threads may want a CPU profile of one process.
        if answer.status != 200 and not (answer.status == 500 and path.startswith("/profile")):
            self.failures.append((pid, path, answer.status, answer.text))


class Side:
    """Where a scenario takes place: bare, or in the mode of a case. A with block: its folder and
    all processes that it owns end with it."""

    def __init__(self, case, bare, user=None, **settings):
        self.case, self.bare, self.user, self.settings = case, bare, user, settings
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.folder.chmod(0o755)
        if user:
            shutil.chown(self.folder, user)
        self.port = free_port()
        self._owned = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in [*self._owned, *self._left_over()]:
            for member in reversed(family(pid)):
                try:
                    os.kill(member, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left_over(self):
        """What names our folder in its arguments: daemons that hang before they say their pid."""
        found = []
        for pid in parents():
            try:
                if bytes(self.folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
            except OSError:
                continue
        return found

    def own(self, pid):
        """A daemon that ends with the side, with all its children."""
        self._owned.append(pid)
        return pid

    @property
    def environment(self):
        if self.bare:
            return environment(preload=())
        return self.case.environment(self.port, **self.settings)

    def done(self, argv, given=b"", agent=True, cwd=None, env=None,
             deadline_s=STEP_S):
        """(status, stdout, stderr) of a program from start to end, the folder's name left out.
        agent: False: bare on either side, for what only helps."""
        variables = self.environment if agent else environment(preload=())
        outcome = finish(argv, {**variables, **(env or {})}, given, deadline_s,
                         cwd=cwd or self.folder,
                         preexec_fn=become(self.user) if self.user else None)
        assert not outcome.timed_out, f"{argv} hangs\n{outcome}"
        return (outcome.status, self.plain(outcome.out), self.plain(outcome.err))

    def tool(self, *argv, given=b""):
        """What a helper without an agent prints; it must succeed."""
        status, out, err = self.done(argv, given, agent=False)
        assert status == 0, (argv, status, out, err)
        return out

    def plain(self, text):
        return text.replace(str(self.folder).encode(), b"FOLDER").decode(errors="replace")

    def start(self, argv, **kwargs):
        """A harness.Target; nothing is waited for."""
        kwargs.setdefault("preexec", become(self.user) if self.user else None)
        if self.bare:
            return self.case.start_bare(argv, **kwargs)
        return self.case.start(argv, wait=False, port=self.port, **self.settings, **kwargs)

    def swarm(self, pid, apart=()):
        """The poller of the whole family of a process, where the mode has one. pid: a number, or
        a function that gives it as soon as there is one."""
        return Swarm(pid, apart) if self.case.polls and not self.bare else _NoSwarm()

    def fire(self, target):
        return _NoSwarm() if self.bare else self.case.fire(target)


class _NoSwarm:
    answers, asked, failures = 0, (), ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def gone(pid, what, deadline_s=DEADLINE_S):
    """Waits for the end of a process that is not our child; the time that it took."""
    begin = time.monotonic()
    until(f"{what} (pid {pid}) is gone", lambda: state_of(pid) in (None, "Z"), deadline_s)
    return time.monotonic() - begin


_bare = {}


def timed(scenario, side):
    begin = time.monotonic()
    with side:
        return scenario(side), time.monotonic() - begin


def both(case, scenario, **kwargs):
    """(bare, under): what the scenario returns on each side; under has to be there in time (P2).
    Bare is remembered for the row's other modes, and asked again when under is late: the machine
    may have got busy."""
    key = (case.number, scenario)
    if key not in _bare:
        _bare[key] = timed(scenario, Side(case, bare=True, **kwargs))
    for again in (False, True):
        bare, bare_s = _bare[key]
        under, under_s = timed(scenario, Side(case, bare=False, **kwargs))
        case.note(f"{bare_s:.2f} -> {under_s:.2f} s")
        if under_s <= TIMES_BARE * bare_s + MORE_S:
            return bare, under
        if not again:
            _bare[key] = timed(scenario, Side(case, bare=True, **kwargs))
    raise AssertionError(f"not in time: {bare_s:.2f} s bare, {under_s:.2f} s under")


def compare(case, scenario, **kwargs):
    """As both, of a scenario that returns what happened by name; all of it has to be equal."""
    bare, under = both(case, scenario, **kwargs)
    for what, was in bare.items():
        assert under[what] == was, f"{what}\nbare  {was}\nunder {under[what]}"
    return bare, under
