# SPDX-License-Identifier: Apache-2.0
"""Places that lack what a program usually has: each profile is whole there, or refused with the
reason (agent/docs/environments.md has the table)."""
import os
import re
import shutil
from pathlib import Path

import pytest

from lib import host
from lib.harness import (AGENT, BUILD, PREFIX, Later, environment, free_port, request, run,
                         until, victim)
from lib.host import as_root
from lib.profiles import Profile

STRANGER = ["setpriv", f"--reuid={host.STRANGER}", f"--regid={host.STRANGER}", "--clear-groups"]
IS_OPEN = all(folder.stat().st_mode & 1 for folder in [BUILD, *BUILD.parents])
strangers = pytest.mark.skipif(not IS_OPEN, reason="others may not enter the build's folder")
CONTAINER_FILTER = str(BUILD / "faults" / "f_container")

# A root that has /usr, the build as /b, and nothing else; at $1.
BARE_ROOT = ('mount -t tmpfs none "$1" && mkdir "$1/usr" "$1/b" "$1/proc" && '
             'ln -s usr/lib usr/lib64 usr/bin "$1" && mount --bind /usr "$1/usr" && '
             f'mount --bind "{BUILD}" "$1/b" && %s mount -o remount,ro "$1" && '
             'root=$1 && shift && exec chroot "$root" "$@"')


def mounted(script):
    return ["unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh"]


def bare_root(tmp_path, script=""):
    return ["unshare", "-m", "sh", "-c", BARE_ROOT % script, "sh", str(tmp_path)]


PLACES = {
    "hidepid=2": ["unshare", "-mpf", "sh", "-c",
                  'mount -t proc -o hidepid=2 none /proc && exec "$@"', "sh", *STRANGER],
    "subset=pid": ["unshare", "-mpf", "sh", "-c",
                   'mount -t proc -o subset=pid none /proc && exec "$@"', "sh"],
    "read-only root": mounted("mount -o remount,bind,ro /"),
    "user without a name": STRANGER,
    "PID 1": ["unshare", "-pf", "--mount-proc"],
    "PID 1 of a user namespace": ["unshare", "-Urpf", "--mount-proc"],
    "container, by its user": ["unshare", "-pf", "--mount-proc", *STRANGER, CONTAINER_FILTER],
    "filter put on just before": [CONTAINER_FILTER],
    "few descriptors": ["prlimit", "--nofile=32"],
}

# What a profile must have: (path, value, function).
PROFILES = [("/heap", "alloc_space", "busy_keep"), ("/profile?seconds=1", "cpu", "busy_burn"),
            ("/goroutine", "goroutine", "busy"), ("/mutex?seconds=1", "contentions", "busy"),
            ("/block?seconds=1", "contentions", "busy_hold"),
            ("/threadcreate", "threadcreate", "main")]
TEXTS = [("/goroutine?debug=2", r"busy\+?.*"), ("/cmdline", r"/v_busy$"), ("/agent", "^agent:"),
         ("/", r"full goroutine stack dump"), ("/processes?format=json", r'"program":"v_busy"')]
NO_THREADS = "/proc does not list the threads of this process\n"
REFUSED = {
    "/profile?seconds=1": (500, "Could not enable CPU profiling: " + NO_THREADS),
    "/debug/fgprof?seconds=1": (500, "failed to collect profile: " + NO_THREADS),
    "/goroutine": (500, "failed to collect profile: " + NO_THREADS),
    "/goroutine?seconds=1": (500, "failed to collect profile: " + NO_THREADS),
    "/goroutine?debug=2": (500, "failed to collect profile: " + NO_THREADS),
    "/cmdline": (500, "/proc does not show the command line\n"),
    "/processes": (500, "/proc does not show the processes\n"),
    "/heap?tree=1": (502, "/proc does not show the processes\n"),
}


def in_place(start, place, at=BUILD):
    """The program there, under the agent; what makes the place runs without it."""
    target = start([*place, "/usr/bin/env", f"LD_PRELOAD={at}/libpprofagent.so",
                    f"{at}/victim/v_busy"], wait=False, preload=(), heap_rate=4096)
    target.expect("ready")

    def is_open():
        try:
            return request(target.port, PREFIX + "/agent").status
        except OSError:
            return None
    until("its port is open", is_open)
    return target


def answers_of(target, paths):
    later = [(path, Later(target, path if path != "/" else PREFIX + "/")) for path in paths]
    return {path: one.answer() for path, one in later}


def assert_whole(target):
    got = answers_of(target, [row[0] for row in [*PROFILES, *TEXTS]])
    for path, answer in got.items():
        assert answer.status == 200, (path, answer)
    for path, value, function in PROFILES:
        assert Profile(got[path].body).total(value, function) > 0, path
    for path, pattern in TEXTS:
        assert re.search(pattern, got[path].text, re.M), (path, got[path])


@strangers
@as_root
@pytest.mark.parametrize("name", PLACES)
def test_all_profiles_are_whole(start, name):
    target = in_place(start, PLACES[name])
    assert_whole(target)
    assert target.get("/agent").text.count("proc_shows_mappings: yes\n") == 1
    assert target.finish() == 0 and target.err == ""


@as_root
def test_root_without_tmp_and_dev_and_etc(start, tmp_path):
    target = in_place(start, bare_root(tmp_path, 'mount -t proc none "$1/proc" &&'), "/b")
    assert_whole(target)
    assert target.finish() == 0 and target.err == ""


@as_root
def test_without_proc_there_are_profiles_without_names_or_reasons(start, tmp_path):
    """The smallest container: /usr and the program."""
    target = in_place(start, bare_root(tmp_path), "/b")
    got = answers_of(target, [*REFUSED, "/heap", "/mutex?seconds=1", "/threadcreate", "/"])
    for path, refusal in REFUSED.items():
        assert (got[path].status, got[path].text) == refusal, path
    for path in ("/heap", "/mutex?seconds=1", "/threadcreate"):
        profile = Profile(got[path].body)
        assert profile.samples and all(s.addresses[0] for s in profile.samples), path
    assert "full goroutine stack dump" in got["/"].text
    assert target.get("/agent").text.count("proc_shows_mappings: no\n") == 1
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ no descriptor above a limit


def files_without_names(target):
    """Kinds of those that the agent's threads have open, and what the standard streams are."""
    folder = Path(f"/proc/{target.pid}/task/{agent_thread(target.pid)}/fd")
    links = {int(fd.name): os.readlink(fd) for fd in folder.iterdir()}
    kinds = sorted(link.split("[")[0] + link.split(":", 1)[1] * link.startswith("anon")
                   for link in links.values() if not link.startswith("/"))
    return kinds, [links.get(fd) for fd in range(3)]


def agent_thread(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("pprof:"):
            return task.name
    raise AssertionError("no thread of the agent")


def test_limit_gives_no_file_the_number_of_a_standard_stream(start):
    """A file with such a number would be replaced by /dev/null: the socket, or the pipe by which
    libunwind verifies addresses."""
    argv = ["/usr/bin/env", f"LD_PRELOAD={AGENT}", victim("v_busy")]
    free = start(argv, preload=())
    limited = start(["prlimit", "--nofile=64", *argv], preload=())
    for target in (free, limited):
        assert target.get("/heap").status == 200
    until("both have the same files", lambda: files_without_names(free) ==
          files_without_names(limited))
    kinds, streams = files_without_names(limited)
    assert "pipe:" in kinds and "socket:" in kinds
    assert streams == ["/dev/null"] * 3


# ------------------------------------------------------------------ no agent, and one line

NO_CORE = "pprofagent: cannot open libpprofagent-core.so: No such file or directory; not serving\n"
MANY = 'for i in 1 2 3 4 5 6 7 8; do "$0" & done; wait'
INNER = f"sh -c '{MANY}' \"$0\"; :"


@pytest.mark.parametrize("starter", [["sh", "-c", MANY], ["sh", "-c", INNER],
                                     ["xargs", "-P4", "-n1"], ["timeout", "9"], ["env"]],
                         ids=["sh", "sh in sh", "xargs", "timeout", "env"])
def test_missing_core_is_said_once(tmp_path, starter):
    shutil.copy(AGENT, tmp_path)
    sleeper = tmp_path / "sleeper"  # until the agent has found that it has no core: its thread ends
    sleeper.write_text("#!/usr/bin/python3\nimport os, time\n"
                       "while len(os.listdir('/proc/self/task')) > 1: time.sleep(0.01)\n")
    sleeper.chmod(0o755)
    env = environment(preload=(tmp_path / AGENT.name,))
    status, _, err = run([*starter, sleeper], env, b"1 2 3 4\n")
    assert (status, err.decode()) == (0, NO_CORE)


@strangers
@as_root
def test_missing_thread_is_said_where_profiles_are_asked_for():
    """RLIMIT_NPROC has no room for the agent's first thread."""
    argv = ["prlimit", "--nproc=1", *STRANGER, "/usr/bin/env", f"LD_PRELOAD={AGENT}",
            "/usr/bin/python3", "-c", "print(6*7)"]
    said = "pprofagent: cannot start: pthread_create: Resource temporarily unavailable; not serving"
    file = Path(f"/tmp/pprofagent-test-{os.getpid()}")  # a stranger may write there
    for settings, line in (({}, ""), ({"log": "info"}, said + "\n"),
                           ({"heapprofile": file}, said + ", and no profiles are written\n")):
        status, out, err = run(argv, environment(free_port(), preload=(), **settings))
        assert (status, out, err.decode()) == (0, b"42\n", line)
    assert not file.exists()
