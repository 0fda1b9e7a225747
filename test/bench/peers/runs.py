# SPDX-License-Identifier: Apache-2.0
"""One run of a work under a system, and what it cost."""
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers.samples import worst_share
from bench.peers.systems import B, applied, environment
from bench.peers.works import SPIN_MS, SPIN_THREADS


@dataclass(frozen=True)
class Run:
    """Of all processes of the run that were waited for: CPU s; wall s; the largest RSS in MiB.
    failed: why its figures are not those of the work. got: samples by those due."""
    cpu: float = 0
    wall: float = 0
    rss: float = 0
    failed: str = ""
    got: float = None
    share: float = None


def words_of(work, system, folder):
    if system.go:
        return [str(B / "bench" / "work_go"), *map(str, work.go)]
    return work.command(folder)


def drive(work, folder, process):
    """What a server has to do; returns when that is done. The server is killed if it fails."""
    try:
        end = time.monotonic() + 20
        while not (Path(folder) / work.name).exists() and time.monotonic() < end:
            if process.poll() is not None:
                return
            time.sleep(0.01)
        work.drive(folder)
    except (subprocess.SubprocessError, OSError):
        process.kill()


def is_late(process, limit):
    """Waits for the run; ends all of its processes after limit seconds."""
    try:
        process.wait(limit)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def cost_of(text):
    """(CPU s, wall s, RSS in MiB, exit code) of what b_run writes."""
    cpu, wall, rss, status = text.split()
    return float(cpu), float(wall), int(rss) / 1024, os.waitstatus_to_exitcode(int(status))


def run_of(work, system, costs, out):
    cpu, wall, rss, code = cost_of(costs.read_text(encoding="ascii"))
    if code:
        return Run(cpu, wall, rss, f"exit {code}")
    if not system.count:
        return Run(cpu, wall, rss)
    counts, due = system.count(out), min(cpu, SPIN_THREADS * SPIN_MS / 1e3) * work.hz
    return Run(cpu, wall, rss, "", sum(counts.values()) / due, worst_share(counts, SPIN_THREADS))


def run(work, system, limit):
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        out, costs = f"{folder}/profile", Path(folder) / "costs"
        words = applied(system, words_of(work, system, folder), out, work.hz or 100)
        begin = time.monotonic()
        with subprocess.Popen([B / "bench" / "b_run", costs, *words],
                              env=environment(dict(work.env)), start_new_session=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            if work.drive and not system.go:
                threading.Thread(target=drive, args=(work, folder, process)).start()
            if is_late(process, limit):
                return Run(wall=time.monotonic() - begin, failed="late")
        return run_of(work, system, costs, out)
