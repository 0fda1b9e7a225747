# SPDX-License-Identifier: Apache-2.0
"""What a program can see of the agent: nothing."""
import re
import socket
import time
from pathlib import Path

import pytest

from lib.harness import (AGENT, PREFIX, environment, free_port, listening, request, run, run_both,
                         until, victim)
from lib.profiles import Profile, cpu, heap

# What every program here must give with and without the agent: status, stdout and stderr.
PROGRAMS = {
    "family": [victim("v_family")],
    "errno": [victim("v_errno"), "5"],
    "smallstack": [victim("v_smallstack"), "30"],
    "fds": [victim("v_fds")],
    "fds limit": [victim("v_fds"), "limit"],
    "fds list": [victim("v_fds"), "list"],
    "masks wait": [victim("v_masks"), "wait"],
    "masks handler": [victim("v_masks"), "handler"],
    "plugin storm": [victim("v_plugin"), "storm", "200"],
    "exceptions": [victim("v_cxx"), "throw", "10000"],
    "fibers": [victim("v_fiber"), "8192", "64", "50"],
    "recovery from faults": [victim("v_sigstack"), "200"],
    "rust": [victim("v_rust")],
    "first descriptor of python": ["/usr/bin/python3", "-c",
                                   "import os;print(os.open('/etc/passwd',0))"],
    "uid change in all threads": [
        "/usr/bin/python3", "-c",
        "import os,threading as t\n"
        "e=t.Event();[t.Thread(target=e.wait,daemon=True).start() for _ in range(3)]\n"
        "os.setgid(65534);os.setuid(65534)\n"
        "print({l for i in os.listdir('/proc/self/task') for l in "
        "open(f'/proc/self/task/{i}/status') if l.startswith('Uid')})"],
    "itimer of python": [
        "/usr/bin/python3", "-c",
        "import signal,time\nn=[0]\n"
        "def h(*a): n[0]+=1\n"
        "signal.signal(signal.SIGPROF,h);signal.setitimer(signal.ITIMER_PROF,.05,.05)\n"
        "t=time.process_time()\n"
        "while n[0]<5: pass\n"
        "signal.setitimer(signal.ITIMER_PROF,0);print('five')"],
    "environment": ["/usr/bin/python3", "-c",
                    "import os;print(sorted(k for k in os.environ "
                    "if not k.startswith(('PPROFAGENT_','LD_PRELOAD'))))"],
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("rate", [524288, 1])
def test_output_and_status_are_those_without_the_agent(name, rate):
    bare, agent = run_both(PROGRAMS[name], heap_rate=rate)
    assert agent == bare


def without_glibcs_own(text):
    """glibc's two signals (cancellation, setuid) come with the first thread of a process and are
    not the program's."""
    def clean(match):
        return f"{match.group(1)}{int(match.group(2), 16) & ~(3 << 31):016x}"
    return re.sub(r"(Sig\w+:\t|ShdPnd:\t)([0-9a-f]{16})", clean, text)


def test_masks_and_dispositions_are_those_without_the_agent():
    bare, agent = run_both([victim("v_masks")])
    assert without_glibcs_own(agent[1].decode()) == without_glibcs_own(bare[1].decode())
    assert agent[::2] == bare[::2]


def test_every_malloc_family_result_is_glibcs():
    status, out, err = run([victim("v_family")], environment(free_port(), heap_rate=1))
    assert (status, err) == (0, b"")
    assert out.endswith(b"family ok\n")


@pytest.mark.parametrize("argv, last", [
    (["v_errno", "0", "2"], "errno changed 0 of"),
    (["v_cxx", "throw", "0"], "caught "),
    (["v_plugin", "storm", "0"], "storm ok 0"),
    (["v_sigstack", "0"], "recovered "),
    (["v_smallstack", "0"], "smallstack ok "),
    (["v_fiber", "16384", "32", "0"], "fiber ok"),
], ids=lambda x: x[0] if isinstance(x, list) else "")
def test_program_under_profiles_gives_its_result(start, argv, last):
    target = start([victim(argv[0]), *argv[1:]], heap_rate=4096, cpu_hz=1000)
    profile = cpu(target, 1)
    assert profile.samples or argv[0] == "v_plugin"
    heap(target)
    assert target.finish(90) == 0
    assert target.out.splitlines()[-1].startswith(last)
    assert target.err == ""


def test_stacks_of_coroutines_end_at_their_entry(start):
    target = start([victim("v_fiber"), "16384", "16", "0"], cpu_hz=500)
    profile = cpu(target, 1)
    stacks = [s for s in profile.samples if s.has("fiber_alloc")]
    assert stacks
    weight = sum(s.values["samples"] for s in stacks)
    assert sum(s.values["samples"] for s in stacks if s.has("fiber_main")) / weight > 0.95
    assert not any(s.has("main") for s in stacks)


# ------------------------------------------------------------------ descriptors


def test_first_descriptor_is_three_while_requests_come(start):
    target = start([victim("v_fds"), "loop"])
    for _ in range(100):
        assert target.get("/heap").status == 200
    cpu(target, 1)
    assert target.finish() == 0
    assert target.out.endswith("numbers 3 3\n")


def test_program_that_closes_all_descriptors_keeps_its_files_whole(start):
    target = start([victim("v_fds"), "close"], wait=False, heap_rate=4096)
    target.expect("closed")
    for _ in range(50):  # served or not: its files are its own
        try:
            request(target.port, PREFIX + "/heap", timeout=10)
        except OSError:
            pass
    assert target.finish() == 0
    assert target.out.endswith("files ok\n")


def test_no_descriptor_reaches_a_child(start):
    bare = run(["/usr/bin/python3", "-c", LIST_CHILD], environment(preload=()))
    target = start(["/usr/bin/python3", "-c",
                    "import sys;sys.stdin.readline()\n" + LIST_CHILD])
    target.get("/heap")
    target.tell("go")
    assert target.finish() == bare[0]
    assert target.out.encode() == bare[1]


LIST_CHILD = ("import subprocess;print(sorted(int(n) for n in subprocess.run(['ls',"
              "'/proc/self/fd'],capture_output=True,text=True,close_fds=False).stdout.split()))")


def test_program_with_eight_descriptors_gets_all_of_them():
    status, out, err = run([victim("v_fds"), "limit"], environment(free_port()))
    assert (status, err) == (0, b"")
    assert b"-1" not in out


# ------------------------------------------------------------------ the port and bad clients


def test_half_open_clients_do_not_keep_a_good_one_waiting(start):
    target = start([victim("v_blocks"), "1"])
    slow = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(12)]
    try:
        for s in slow:
            s.sendall(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: loc")
        assert target.get("/cmdline", timeout=20).status == 200
    finally:
        for s in slow:
            s.close()


def test_many_parallel_profiles_one_runs(start):
    import concurrent.futures
    target = start([victim("v_spin")])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: target.get("/profile?seconds=2"), range(8)))
    assert sorted(a.status for a in answers) == [200] + [500] * 7
    Profile(next(a for a in answers if a.status == 200).body)


def test_random_bytes_do_not_hurt(start):
    import random
    rng = random.Random(1)
    target = start([victim("v_blocks"), "1"])
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", target.port), timeout=10) as s:
            s.sendall(rng.randbytes(rng.randrange(1, 400)))
    until("it answers still", lambda: target.get("/cmdline").status == 200)
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ limits


def test_address_space_limit_switches_the_agent_off_quietly():
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (24 << 20, 24 << 20))
    bare = run([victim("v_family")], environment(preload=()), preexec_fn=limit)
    agent = run([victim("v_family")], environment(free_port()), preexec_fn=limit)
    assert agent[:2] == bare[:2]


def test_ring_overflow_is_counted_and_nothing_is_corrupt(start):
    """Everything recorded through the smallest ring: seen + lost = produced."""
    target = start([victim("v_blocks"), "32"], heap_rate=1, buffer="64k")
    target.expect("ready")
    profile = heap(target)
    lost, lost_frees = (sum(int(re.search(r"dropped (\d+)", c).group(1))
                            for c in profile.comments if f"{what} dropped: ring full" in c)
                        for what in ("allocations", "frees"))
    # All blocks have the one size; what was lost stands in the profile as well.
    assert profile.total("alloc_objects", "pprofagent.lostEvents") == lost
    seen = sum(s.values["alloc_objects"] for s in profile.samples
               if s.labels["bytes"] == 1024 and not s.has("pprofagent.lostEvents"))
    assert 65536 <= seen + lost <= 65536 + 10
    assert profile.total("inuse_objects", "churn_blocks") <= lost_frees


def test_many_threads_do_not_grow_the_agent(start):
    target = start([victim("v_threads"), "6000"], wait=False)
    assert target.finish(60) == 0
    growth = int(target.out.split()[-1])
    assert growth < 10 << 10, target.out


def turns(target):
    """How often the agent's threads went to sleep."""
    statuses = [(task / "status").read_text() for task in Path(f"/proc/{target.pid}/task").iterdir()
                if task.name != str(target.pid)]
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", s, re.M).group(1))
               for s in statuses)


@pytest.mark.alone
def test_threads_of_the_agent_sleep_while_nothing_happens(start):
    """What they poll is silent. One that is always ready costs 1,000 turns a second."""
    target = start(["/usr/bin/cat"], wait=False)
    until("it listens", lambda: listening(target.pid))
    before = turns(target)
    time.sleep(2)  # the time that is measured
    assert turns(target) - before < 50


def test_libc_below_the_floor_is_said_once_and_the_program_runs():
    """In a program that starts others: the first says it, and none is profiled."""
    preload = (victim("p_libc_2_27.so"), AGENT)
    python = ["/usr/bin/python3", "-c", "import subprocess as s; print(s.run(['/bin/echo', 'one'],"
              "capture_output=True), flush=True); s.run(['/bin/echo', 'two'])"]
    bare = run(python, environment())
    port = free_port()
    under = run(python, environment(port, preload=preload))
    assert under[:2] == bare[:2]
    assert under[2] == b"pprofagent: not profiling: glibc 2.27 is older than 2.28\n"
    assert run(python, environment(port, preload=preload, log="off")) == bare
