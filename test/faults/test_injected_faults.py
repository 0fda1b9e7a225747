# SPDX-License-Identifier: Apache-2.0
"""System calls that fail, clocks that jump, hours under load."""
import concurrent.futures
import http.client
import subprocess
import sys
import time

import pytest

from lib.fault_rows import BUILD, POLLED, have, program, row
from lib.harness import PREFIX, ROOT, Target, environment, free_port, request, victim
from lib.profiles import Profile

# Functions of hooks/ that are no way of the program into libc.
OWN_OF_HOOKS = {"pa_hooks_boot", "pa_real_resolve", "pa_hooks_thread_create",
                "pa_hooks_note_exit", "pa_hooks_thread_boot", "pa_hooks_open_core"}


def functions(path):
    """(source file, name, address, size) of the functions of an object; no file: not a static
    one."""
    text = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True,
                          check=True).stdout
    source = ""
    for line in text[text.index(".symtab"):].splitlines():
        words = line.split()
        if len(words) < 7 or not words[0].endswith(":"):
            continue
        name = words[7] if len(words) > 7 else ""
        if words[3] == "FILE":
            source = name
        elif words[3] == "FUNC" and words[6] != "UND":
            yield source, name, int(words[1], 16), int(words[2], 0)


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """For f_inject: where the code of the agent lies that is no hook, and all of its core."""
    hooks = set()
    for path in (BUILD / "obj" / "hooks").glob("*.o"):
        for _, name, _, _ in functions(path):
            hooks |= {(path.stem + ".c", name), ("", name)}
    lines = ["libpprofagent-core.so 0 7fffffffffff\n"]
    for source, name, address, size in functions(BUILD / "libpprofagent.so"):
        if (source, name) not in hooks or name in OWN_OF_HOOKS:
            lines.append(f"libpprofagent.so {address:x} {address + max(size, 1):x}\n")
    assert len(lines) > 100
    path = tmp_path_factory.mktemp("inject") / "code"
    path.write_text("".join(lines))
    return path


PAGES = ("/cmdline", "/heap", "/goroutine?debug=2", "/profile?seconds=1", "/block?debug=1",
         "/goroutine", "/agent", "/")


def ask_all(port, quick):
    """Statuses of the pages, or why there is none. Whether they are answered is not the point."""
    end, got = time.monotonic() + (0.3 if quick else 2), []
    for path in PAGES:
        while True:
            try:
                got.append(request(port, PREFIX + path, timeout=4).status)
                break
            except ConnectionRefusedError:
                if got or time.monotonic() > end:
                    return [*got, "refused"]
                time.sleep(0.02)
            except (OSError, http.client.HTTPException) as error:
                got.append(type(error).__name__)
                if len(got) > 1 and got[-2] == got[-1]:
                    return got
                break
    return got


def begin_and_end(target, port=None, quick=False):
    """f_injected from start to end, with requests in between: how it ended, answers, seconds."""
    begin = time.monotonic()
    target.expect("descriptor")
    target.expect("worked")
    worked_s = time.monotonic() - begin
    got = ask_all(port, quick) if port else []
    begin = time.monotonic()
    status = target.finish(60)
    return (status, target.out, target.err), got, worked_s, time.monotonic() - begin


class Injected:
    """Runs of f_injected under f_inject, against the bare one."""

    def __init__(self, case, code, folder):
        self.case, self.code, self.folder = case, code, folder
        self.bare, _, self.worked_s, self.end_s = begin_and_end(
            case.start_bare([program("f_injected")]))
        assert self.bare[0] == 3
        self.runs = self.fired = 0

    def run(self, calls, error, first, last):
        """{call: how often the agent made it}, answers. The program must be as ever."""
        port = free_port()
        report = self.folder / f"report-{calls}-{error}-{first}-{last}"
        env = self.case.environment(port, preload=(), log="off")
        agent = ":".join(map(str, self.case.preload))
        target = Target([program("f_inject"), report, self.code, calls, error, first, last,
                         "env", f"LD_PRELOAD={agent}", program("f_injected")],
                        {k: v for k, v in env.items() if k != "LD_PRELOAD"}, port)
        what = f"{calls} {error} {first}-{last}"
        try:
            end, got, worked_s, end_s = begin_and_end(target, port, quick=error != "0")
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            raise AssertionError(f"{what}: {failure}; {target.err!r}") from None
        finally:
            target.kill()
        assert end == self.bare, f"{what}: bare {self.bare}, now {end}; answers {got}"
        counts = dict(line.split() for line in report.read_text().splitlines())
        more_s = 5 + sum(map(int, counts.values())) * STOP_S
        assert worked_s <= 3 * self.worked_s + more_s and end_s <= 3 * self.end_s + more_s, (
            f"{what}: {worked_s:.1f} s and {end_s:.1f} s, {counts}")
        self.runs += 1
        self.fired += bool(counts) and error != "0"
        return {call: int(count) for call, count in counts.items()}, got


# Each call that the agent makes, with what it may well fail with.
ERRORS = {
    "mmap": "ENOMEM", "munmap": "ENOMEM", "mprotect": "ENOMEM", "madvise": "EINVAL",
    "socket": "EMFILE", "bind": "EACCES", "listen": "EADDRINUSE", "getsockname": "ENOBUFS",
    "setsockopt": "ENOBUFS", "accept4": "EMFILE", "recvfrom": "ECONNRESET", "sendto": "EPIPE",
    "shutdown": "ENOBUFS", "clone3": "EAGAIN", "timer_create": "EAGAIN",
    "timer_settime": "EINVAL", "timer_delete": "EPERM", "openat": "EMFILE", "read": "EIO",
    "pread64": "EIO", "close": "EIO", "newfstatat": "EIO", "readlink": "EACCES",
    "getdents64": "EIO", "getcwd": "ENOENT", "dup3": "EMFILE", "pipe2": "EMFILE",
    "eventfd2": "EMFILE", "fcntl": "EMFILE", "ppoll": "ENOMEM", "close_range": "ENOSYS",
    "unshare": "EPERM", "process_vm_readv": "EPERM", "rt_sigaction": "EINVAL",
    "rt_sigprocmask": "EINVAL", "rt_tgsigqueueinfo": "EAGAIN", "prctl": "EINVAL",
    "sched_getscheduler": "EPERM", "sched_setscheduler": "EPERM", "clock_nanosleep": "EINTR",
    "prlimit64": "EPERM", "lseek": "EINVAL", "set_robust_list": "EINVAL", "futex": "EINTR",
    "sysinfo": "EPERM", "getrusage": "EPERM", "uname": "EPERM", "membarrier": "EPERM",
    "brk": "ENOMEM", "mremap": "ENOMEM", "access": "EACCES", "statfs": "EACCES",
    "getrandom": "EAGAIN", "write": "EPIPE",
}
# Later ones are of the same kind; from so many on the distance grows.
DENSE, FACTOR = 10, 2
FOR_EVER = 10 ** 9
AT_ONCE = 4  # mostly they sleep
STOP_S = 0.005  # what f_inject takes to find out whose call it was
# These, failing for ever, leave libc itself nothing to wait by.
ONCE_ONLY = {"futex"}


def numbers(count):
    """1, 2, 3 ... count, with gaps later on."""
    n = 1
    while n <= count:
        yield n
        n = n + 1 if n < DENSE else n * FACTOR


@row("F130", "each system call of the agent fails", severity=1, modes=("idle", "full"))
@pytest.mark.parametrize("call", ERRORS)
def test_call_fails(case, code, tmp_path, call):
    """The n-th, n = 1, 2, 3 ... until there is none; then all from the n-th on. Idle: asked for
    nothing but the start (the pages are asked for in full)."""
    injected = Injected(case, code, tmp_path)
    seen, got = injected.run(call, "0", 0, 0)
    assert got == [200] * len(PAGES), got
    total = seen.get(call, 0)
    case.note(f"{call}: {total} calls")
    if case.mode == "idle":
        total = min(total, 3)
    runs = [(n, n) for n in numbers(total)]
    runs += [(n, FOR_EVER) for n in (1, 4, 40) if n <= total and call not in ONCE_ONLY]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda ends: injected.run(call, ERRORS[call], *ends), runs))
    case.note(f"{injected.fired} runs with a fault")


@row("F130b", "the first calls of the agent fail", severity=1, fast=True, modes=("full",))
def test_first_calls_fail(case, code, tmp_path):
    injected = Injected(case, code, tmp_path)
    for call, n in (("mmap", 1), ("mmap", 2), ("madvise", 1), ("clone3", 1), ("openat", 1),
                    ("mmap", 5), ("unshare", 1)):
        injected.run(call, ERRORS[call], n, n)
    case.note(f"{injected.fired} runs with a fault")


@row("F130c", "the calls that make a listening port fail", severity=2, fast=True,
     modes=("idle",))
def test_port_cannot_be_made(case, code, tmp_path):
    injected = Injected(case, code, tmp_path)
    for call, error in (("socket", "EMFILE"), ("socket", "EACCES"), ("bind", "EACCES"),
                        ("listen", "EADDRINUSE"), ("getsockname", "ENOBUFS")):
        _, got = injected.run(call, error, 1, FOR_EVER)
        # One that came between listen and getsockname is turned away.
        assert 200 not in got and "TimeoutError" not in got, (call, got)


# ------------------------------------------------------------------ clocks

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def profiles_are_sane(target, begin_s):
    """Values and durations of what took a second at most may not be negative, nor an hour."""
    for path in ("/heap", "/profile?seconds=1", "/block?seconds=1", "/mutex", "/block",
                 "/goroutine", "/delta_heap", "/delta_block"):
        answer = target.get(path, timeout=30)
        assert answer.status == 200, path
        profile = Profile(answer.body)
        assert 0 <= profile.proto.duration_nanos < (time.monotonic() - begin_s + 60) * 1e9, path
        for sample in profile.samples:
            assert all(value >= 0 for value in sample.values.values()), (path, sample.values)
            for name, value in sample.values.items():
                assert name not in ("delay", "cpu") or value < 600 * 10 ** 9, (path, value)


@row("F131", "the clock jumps by an hour, back and forth", severity=3)
def test_clock_jumps(case, tmp_path):
    have("faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    argv = [victim("v_spin"), "50"]
    for preload in ((*case.preload, FAKETIME), (FAKETIME, *case.preload)):
        begin_s = time.monotonic()
        target = case.start(argv, preload=preload, X_FAKETIME_TIMESTAMP_FILE=clock,
                            X_FAKETIME_NO_CACHE="1", X_FAKETIME_DONT_RESET="1",
                            block_rate=1, mutex_fraction=1)
        with case.fire(target, [path for path in POLLED if "profile" not in path]):
            for jump in ("+1h", "-1h", "+0"):
                clock.write_text(jump)
                profiles_are_sane(target, begin_s)
        assert (target.finish(), target.err) == (0, "")


# ------------------------------------------------------------------ hours


@row("F132", "soak: half a minute of it (make soak has the rest)", severity=1, modes=("fire",))
def test_soak(case):
    have("redis-server", "redis-benchmark")
    done = subprocess.run([sys.executable, ROOT / "scripts" / "soak", "--seconds", "30",
                           "--every", "1"], env=dict(environment(preload=()), B=str(BUILD)),
                          capture_output=True, text=True, timeout=300, check=False)
    case.note("; ".join(line for line in done.stdout.splitlines() if "slope" in line))
    assert done.returncode == 0, done.stdout + done.stderr
