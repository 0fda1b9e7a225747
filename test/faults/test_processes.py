# SPDX-License-Identifier: Apache-2.0
"""Processes that make processes."""
import os
import re
import signal
import socket

import pytest

from lib.fault_rows import PYTHON, free_port, have, program, row
from lib.harness import (PREFIX, QUIET_FORK, Later, listening, request, sampling, status_of, until,
                         victim)
from lib.profiles import Profile


def gone(pid):
    """True when the process is not there, or a zombie."""
    try:
        return status_of(pid, "State")[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# ------------------------------------------------------------------ shells and interpreters


@row("F01", "command substitution", severity=1, naive="hangs", fast=True)
def test_command_substitution(case):
    _, under = case.same(["bash", "-c", "x=$(echo hi); echo $x"])
    assert under.out == b"hi\n"


@row("F02", "subshell exit code", severity=1, naive="hangs", fast=True)
def test_subshell_exit_code(case):
    _, under = case.same(["bash", "-c", "(echo sub; exit 3); echo $?"])
    assert under.out == b"sub\n3\n"


# A name on the user's list is profiled, launcher or not: then fork and its children count.
SHELL = {"programs": "bash,dash,sh"}


@row("F02b", "a shell that is profiled", severity=1, naive="hangs", fast=True)
def test_profiled_shell(case):
    script = ("x=$(echo hi); (echo sub $x; exit 3); echo $?; echo a | cat | tr a b; "
              "for i in 1 2 3 4 5; do (exit $i); echo $?; done; (sleep 0.1; exit 7) & wait $!; "
              "echo $?; trap 'echo bye' EXIT; f() { return 4; }; f; exit 9")
    for shell in ("bash", "dash"):
        _, under = case.same([shell, "-c", script], settings=SHELL)
        assert under.status == 9 and under.out.endswith(b"5\n7\nbye\n")


@row("F03", "fork and exit in the child", severity=1, naive="hangs", fast=True)
def test_fork_and_exit_in_child(case):
    code = ("import os,sys;p=os.fork();p or sys.exit(3);"
            "print(os.waitstatus_to_exitcode(os.waitpid(p,0)[1]))")
    _, under = case.same([PYTHON, *QUIET_FORK, "-c", code])
    assert under.out == b"3\n"


@row("F03b", "fork in a signal handler that interrupted malloc", severity=1,
     naive="waits for its own lock")
@pytest.mark.parametrize("how", [["300"], ["300", "alt"], ["go", "200"], ["abort"]],
                         ids=lambda how: "-".join(how))
def test_fork_in_a_signal_handler(case, how):
    # One thread: libc's fork would take no lock there, but for our threads.
    bare, under = case.same([program("f_sigfork"), *how])
    assert bare.out in (b"forked 300 wrong 0\n", b"forked 200 wrong 0\n", b"reported 7\n")
    assert under.status == 0


# ------------------------------------------------------------------ storms


@row("F05", "fork storm beside threads that allocate", severity=1, naive="3 of 3 hang")
def test_fork_storm_beside_allocating_threads(case):
    for _ in range(3):
        _, under = case.same([victim("v_fork"), "storm", "300"])
        assert under.out == b"storm 300 wrong 0\n"


@row("F06", "fork storm from several threads, with locks and conditions", severity=1,
     naive="hangs")
def test_fork_storm_from_threads_with_locks(case):
    _, under = case.same([program("f_forklocks"), "1000"])
    assert under.out == b"forked 1000 wrong 0\n"


@row("F06b", "children that open libraries and make threads", severity=1, naive="hangs")
def test_children_use_the_loader(case):
    _, under = case.same([victim("v_fork"), "loader", "1000"])
    assert under.out == b"loader wrong 0\n"


@row("F06c", "a tree of forks that all allocate", severity=1, naive="hangs", fast=True)
def test_tree_of_forks(case):
    _, under = case.same([victim("v_fork"), "tree"])
    assert under.out.startswith(b"tree ")


@row("F07", "posix_spawn and vfork storm", severity=1)
def test_spawn_storm(case):
    code = "import subprocess\nfor _ in range(500): subprocess.run(['true'], check=True)"
    bare, under = case.same([PYTHON, "-c", code], again=True)
    assert under.wall_s < 2 * bare.wall_s + 2


@row("F07b", "every form of making a process", severity=1, naive="hangs", fast=True)
def test_every_form(case):
    _, under = case.same([program("f_forms")])
    assert under.out.count(b" 7\n") == under.out.count(b"\n") >= 16


@row("F12", "raw clone and _Fork; the child allocates and calls exit", severity=1, fast=True)
def test_raw_clone(case):
    _, under = case.same([victim("v_fork"), "raw"])
    assert under.out == b"_Fork 7\nvfork 7\nclone 7\n"


@row("F13", "children of CLONE_VM and CLONE_VFORK", severity=1)
def test_clone_vm(case):
    have("stress-ng")

    def counts(text):
        return re.sub(rb"\[\d+\]|[\d.]+s\b|[\d:.]{8,}", b"", text)
    _, under = case.same(["stress-ng", "--quiet", "--clone", "2", "--vfork", "2", "-t", "5"],
                         clean=counts)
    assert under.status == 0


# ------------------------------------------------------------------ daemons and servers


class Daemon:
    """f_daemon, started by case in this mode or bare: pid, and what it said."""

    def __init__(self, case, folder, name, port=None, env=None):
        self.file = folder / name
        if port:
            self.target = case.start([program("f_daemon"), self.file], wait=False, port=port)
        else:
            self.target = case.start_bare([program("f_daemon"), self.file])
        self.status = self.target.finish()
        self.pid = int(until("the daemon says its pid", lambda: self.file.exists()
                             and self.file.read_text().strip()))

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        until("the daemon is gone", lambda: gone(self.pid))


@row("F08", "daemon(): the parent leaves, the child stays", severity=2,
     naive="the child listens, clients wait for ever")
def test_daemon(case, tmp_path):
    bare = Daemon(case, tmp_path, "bare")
    bare.end()
    port = None
    for turn in ("first", "second"):  # the second one can have the port again
        port = port or free_port()
        daemon = Daemon(case, tmp_path, turn, port)
        try:
            assert (daemon.status, daemon.target.err) == (bare.status, bare.target.err)
            until("the port answers in the child",
                  lambda: answers_with(port, daemon.file), deadline_s=15)
            with case.fire(daemon.target):
                for path in ("/heap", "/profile?seconds=1"):
                    answer = until("a profile", lambda p=path: ok(port, p), deadline_s=20)
                    assert len(answer.body) > 100
        finally:
            daemon.end()


def ok(port, path):
    try:
        answer = request(port, PREFIX + path, timeout=5)
    except OSError:
        return None
    return answer if answer.status == 200 else None


def answers_with(port, word):
    answer = ok(port, "/cmdline")
    return answer and str(word) in answer.text


@row("F08b", "a prefork server: its children serve themselves", severity=1,
     naive="hangs")
def test_prefork(case):
    target = case.start([program("f_prefork"), "4"])
    pids = [int(target.expect("child").split()[1]) for _ in range(4)]
    with case.fire(target):
        ports = {}
        for pid in pids:
            found = until(f"child {pid} listens", lambda p=pid: listening(p), deadline_s=15)
            ports[pid] = int(found[0].split(":")[1], 16)
        assert len({target.port, *ports.values()}) == 5
        for pid, port in ports.items():
            text = until("its CPU profile", lambda p=port: ok(p, "/goroutine?debug=2")).text
            assert "wait_for_work" in text or "nanosleep" in text or "read" in text
            heap = until("its heap", lambda p=port: ok(p, "/heap?debug=1")).text
            assert "heap profile" in heap
            os.kill(pid, signal.SIGTERM)
    for _ in pids:
        assert re.fullmatch(r"ended \d+ 15", target.line())
    assert target.finish() == 0
    assert target.err == ""


# ------------------------------------------------------------------ exec


@row("F11", "exec while a CPU profile runs", severity=1, naive="rc 155", fast=True)
def test_exec_in_a_profile(case):
    target = case.start([victim("v_exec")], cpu_hz=1000)
    target.expect("ready")
    with case.fire(target):
        asked = Later(target, "/profile?seconds=5")
        if case.mode != "naive":
            until("the profile runs", lambda: sampling(target))
        else:
            until("the profile runs", lambda: sampling(target, signal.SIGPROF))
        target.tell("go")
        assert target.line() == "exec ok"
        assert target.finish() == 0
    assert target.err == ""
    asked.thread.join(30)
    assert not asked.running()


@row("F11b", "a program that replaces itself again and again", severity=1, naive="fails",
     fast=True)
def test_exec_chain(case):
    case.same([program("f_execs"), "30"])


# ------------------------------------------------------------------ wrappers

CHAINS = {
    "shell": ["sh", "-c", "{}; true"],
    "timeout": ["timeout", "60", "{}"],
    "nice": ["nice", "-n", "1", "{}"],
    "env": ["env", "A=1", "{}"],
    "pipe": ["bash", "-c", "{} | tee /dev/null; exit ${{PIPESTATUS[0]}}"],
    "both ends": ["bash", "-c", "tee /dev/null | {} | tee /dev/null"],
    "script": ["sh", "-c", "sleep 0.3; {}; true"],
    "many": ["setsid", "-w", "sh", "-c", "timeout 60 nice stdbuf -oL env A=1 nohup {}; true"],
    "faketime": ["faketime", "-f", "+0", "{}"],
    "choom": ["choom", "-n", "10", "--", "{}"],
    "dbus-run-session": ["dbus-run-session", "--", "{}"],
    "setpriv": ["setpriv", "--no-new-privs", "{}"],
    "start-stop-daemon": ["start-stop-daemon", "--start", "--startas", "{}", "--pidfile",
                          "/nonexistent/pid"],
}


@row("F14", "the server behind wrappers has the port", severity=3, naive="sh owns the port")
@pytest.mark.parametrize("chain", CHAINS)
def test_wrapper_chain(case, chain):
    have(CHAINS[chain][0])
    argv = [word.format(program("f_server")) for word in CHAINS[chain]]
    target = case.start(argv, wait=False)
    try:
        until("the server says that it is there", lambda: any(
            line.startswith(b"server") for line in target.out_lines))
        text = until("the port answers", lambda: ok(target.port, "/cmdline"), deadline_s=15).text
        assert "f_server" in text.split("\0")[0]
        with case.fire(target):
            assert until("a heap", lambda: ok(target.port, "/heap")).body
    finally:
        target.tell("end")
    assert target.finish() == 0
    assert b"pprofagent" not in target.err_text


@row("F14b", "nobody but the server: many runs of a pipe", severity=3, naive="tee owns the port")
def test_pipe_never_takes_the_port(case):
    for _ in range(10):
        target = case.start(["sh", "-c", f"{program('f_server')} | tee /dev/null"], wait=False)
        text = until("the port answers", lambda t=target: ok(t.port, "/cmdline")).text
        target.tell("end")
        assert target.finish() == 0
        assert text.startswith(program("f_server")), text


@row("F14c", "programs of one pipeline: none complains of the other's port", severity=2,
     fast=True)
def test_pipeline_of_a_shell_is_silent(case):
    # Both live until the first has had its port for a while.
    sleeper = (f"{PYTHON} -c 'import sys,time; time.sleep(0.5); "
               "sys.stdout.write(sys.stdin.read())'")
    _, under = case.same(["sh", "-c", f"echo hi | {sleeper} | {sleeper}; true"])
    assert (under.out, under.err) == (b"hi\n", b"")


# ------------------------------------------------------------------ many, and what they inherit


@row("F15", "a build with many processes", severity=2, naive="2 s more for each")
def test_build(case, tmp_path):
    have("make", "gcc")
    files = 24
    for i in range(files):
        (tmp_path / f"f{i}.c").write_text(f"int f{i}(int x) {{ return x * {i}; }}\n")
    (tmp_path / "Makefile").write_text(
        f"all: $(addsuffix .o,$(basename $(wildcard f*.c)))\n"
        "%.o: %.c\n\t@gcc -O2 -c -o $@ $<; echo done >> log\n")
    argv = ["make", "-s", "-B", "-j4", "-C", str(tmp_path)]
    bare, under = case.same(argv, again=True)
    assert (under.status, under.err) == (0, b"")
    assert (tmp_path / "log").read_text().count("done") == 2 * files
    # sh, gcc, cc1 and as for each file, two processors.
    each_ms = (under.wall_s - bare.wall_s) * 1000 / (4 * files) * 2
    case.note(f"{each_ms:+.1f} ms each")
    # Where each allocation is recorded, compilers wait for their collectors: P2 alone holds there.
    if case.mode in ("idle", "naive"):
        assert each_ms < 40


@row("F15b", "git: commits, gc, log", severity=2)
def test_git(case, tmp_path):
    have("git")
    script = ("set -e; rm -rf r; git init -q r; cd r; git config user.email a@b; "
              "git config user.name a; for i in 1 2 3 4 5 6 7 8; do echo $i > f$i; git add f$i; "
              "git commit -qm c$i; done; git gc -q; git fsck; git log --format=%s | cat; "
              "git clone -q . ../r2; rm -rf ../r2; echo ok")
    _, under = case.same(["sh", "-c", script], cwd=tmp_path, again=True)
    assert under.out.endswith(b"ok\n") and under.err == b""


LIST_FDS = """
import os, subprocess, sys
seen = set()
for i in range(int(sys.argv[1])):
    out = subprocess.run(['bash', '-c', 'ls -l /proc/self/fd'], capture_output=True, text=True,
                         close_fds=False).stdout
    for line in out.splitlines()[1:]:
        name = line.split()[8:]
        seen.add((name[0], name[2].split(':')[0].replace(str(os.getpid()), 'PID')))
print(sorted((n, w) for n, w in seen if not w.startswith('/proc')))
"""


@row("F16", "descriptors of children while requests come", severity=2)
def test_no_descriptor_in_children(case):
    bare, under = case.same([PYTHON, "-c", LIST_FDS, "500"])
    assert b"socket" not in under.out and bare.status == 0


@row("F16b", "descriptors of forked children, at once and later", severity=2)
def test_no_descriptor_in_forked_children(case):
    case.same([program("f_childfds"), "300"])


@row("F17", "no child that the program did not make", severity=2, fast=True)
def test_no_hidden_child(case):
    _, under = case.same([program("f_nochild"), "1000"])
    assert under.out == b"ECHILD 1000 SIGCHLD 0\n"


@row("F18", "forks of a big program during a profile", severity=2)
def test_big_forks(case):
    bare, under = case.both([program("f_bigfork"), "1024"], again=True)
    assert under.status == bare.status == 0 and under.err == b""
    times = [int(re.fullmatch(rb"forks 10 in (\d+) us\n", o.out).group(1)) for o in (bare, under)]
    case.note(f"10 forks {times[0] / 1000:.0f} -> {times[1] / 1000:.0f} ms")
    assert times[1] < 2 * times[0] + 1000000


# ------------------------------------------------------------------ fork in a profile


class Child:
    def __init__(self, pid):
        self.pid = pid


def read_all(connection):
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


@row("F19", "fork in the middle of a profile", severity=2)
def test_fork_in_a_profile(case):
    target = case.start([program("f_forkgo")])
    target.expect("ready")
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as client:
        client.sendall(f"GET {PREFIX}/profile?seconds=1 HTTP/1.0\r\n"
                       "Host: localhost\r\n\r\n".encode())
        until("the profile runs", lambda: sampling(target))
        stays = int(target.ask("stay", "child").split()[1])
        target.ask("leave", "left")
        answer = read_all(client)  # to its end, though one child lives and has no copy of it
    assert not gone(stays)
    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.count(b"HTTP/1.") == 1
    profile = Profile(answer.split(b"\r\n\r\n", 1)[1])
    assert profile.total("samples", "burn") > 0
    assert not sampling(Child(stays))  # nothing of the parent's profile runs on in it
    with case.fire(target):
        port = until("the child listens", lambda: listening(stays), deadline_s=15)[0]
        child = until("its profile", lambda: ok(int(port.split(":")[1], 16),
                                                "/profile?seconds=1"), deadline_s=20)
        assert Profile(child.body).total("samples", "burn") > 0
    assert target.finish() == 0
    assert target.err == ""
