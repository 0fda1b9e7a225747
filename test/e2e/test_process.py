# SPDX-License-Identifier: Apache-2.0
"""fork, exec, exit and launchers: the program's life is what it was."""
import os
import shutil
import signal
import time

import pytest

from lib.cpu_profiles import Background
from lib.harness import (EXACT, PREFIX, QUIET_FORK, environment, free_port, listening, request,
                         run, run_both, status_of, until, victim)
from lib.profiles import Profile, cpu, heap

PYTHON = "/usr/bin/python3"


def same(bare, agent):
    assert agent == bare, f"bare {bare}\nagent {agent}"


# ------------------------------------------------------------------ fork

@pytest.mark.parametrize("mode", [["tree"], ["storm", "100"], ["threads", "200"], ["raw"],
                                  ["nochild"]], ids=lambda m: m[0])
@pytest.mark.parametrize("rate", [524288, 1])
def test_forking_programs_end_as_without_the_agent(mode, rate):
    bare, agent = run_both([victim("v_fork"), *mode], heap_rate=rate)
    same(bare, agent)
    assert bare[0] == 0


def test_child_forked_while_the_agent_starts_can_open_libraries():
    # A child for which one of our threads held the loader's lock hangs until its alarm. Each run
    # forks all the time from before the agent's thread wakes until its server is up.
    for _ in range(30):
        bare, agent = run_both([victim("v_fork"), "loader", "50"])
        same(bare, agent)
        assert bare[1] == b"loader wrong 0\n"


def test_fork_of_python_passes_the_exit_code():
    code = ("import os,sys;p=os.fork();p or sys.exit(3);"
            "print(os.waitstatus_to_exitcode(os.waitpid(p,0)[1]))")
    bare, agent = run_both([PYTHON, *QUIET_FORK, "-c", code])
    same(bare, agent)
    assert agent[1] == b"3\n"


def test_spawning_many_children_from_python():
    code = "import subprocess;[subprocess.run(['true'],check=True) for _ in range(100)];print('ok')"
    same(*run_both([PYTHON, "-c", code]))


def child_of(target):
    return int(target.expect("child").split()[1])


def port_of(pid):
    found = until(f"process {pid} listens", lambda: listening(pid))
    return int(found[0].split(":")[1], 16)


def test_forked_child_keeps_its_heap_and_serves_on_a_port_of_its_own(start):
    target = start([victim("v_fork"), "serve"], **EXACT)
    child = child_of(target)
    port = port_of(child)
    assert port != target.port
    profile = Profile(request(port, PREFIX + "/heap").body)
    assert profile.total("inuse_space", "keep_before") == 8 << 20
    assert profile.total("inuse_space", "keep_child") == 4 << 20
    parent = heap(target)
    assert parent.total("inuse_space", "keep_before") == 8 << 20
    assert parent.total("inuse_space", "keep_child") == 0
    assert target.finish() == 0


@pytest.mark.parametrize("generations", [1, 2, 5])
def test_children_of_children_keep_the_heap_too(start, generations):
    """Each is forked before the agent of the one before began to work; the first agent is at it."""
    target = start([victim("v_fork"), "line", generations], **EXACT)
    target.expect("ready")
    assert heap(target).total("inuse_space", "keep_before") == 8 << 20
    target.tell("go")
    profile = Profile(request(port_of(child_of(target)), PREFIX + "/heap").body)
    assert profile.total("inuse_space", "keep_before") == 8 << 20
    assert profile.total("inuse_space", "keep_child") == 4 << 20
    assert target.finish() == 0


def test_forked_child_holds_nothing_of_the_parents_port(start):
    target = start([victim("v_fork"), "serve"])
    child = child_of(target)
    assert port_of(child) != target.port
    os.kill(target.pid, signal.SIGKILL)
    target.process.wait(10)

    def refused_or_moved():
        """A connection to a socket that the child had inherited would get no answer."""
        try:
            text = request(target.port, PREFIX + "/agent?format=json", timeout=5).text
        except ConnectionRefusedError:
            return False
        return f'"pid":{child},' in text
    until("the child has moved to the port", refused_or_moved)


def test_children_off_leaves_a_forked_child_alone(start):
    target = start([victim("v_fork"), "serve"], children="off")
    child = child_of(target)
    assert status_of(child, "Threads") == "1"
    assert listening(child) == []
    assert target.get("/cmdline").status == 200


def test_fork_during_a_cpu_profile_leaves_both_well(start):
    target = start([victim("v_fork"), "threads", "4000000"])
    profile = cpu(target, 2)
    assert profile.samples is not None
    assert target.get("/cmdline").status == 200


# ------------------------------------------------------------------ exec


def test_exec_during_a_cpu_profile_does_not_kill_the_new_program(start):
    target = start([victim("v_exec")], cpu_hz=1000)
    target.expect("ready")
    asking = Background(target, 20)
    target.tell("go")
    assert target.line() == "exec ok"
    assert target.finish() == 0
    assert target.err == ""
    asking.ended()


def test_exec_chain_ends_in_one_that_serves(start):
    target = start([victim("v_exec"), "5"])
    target.expect("ready")
    assert target.get("/cmdline").text == victim("v_exec") + "\x000"
    assert target.finish() == 1


def test_children_off_takes_the_agent_out_of_execed_children():
    env = environment(free_port(), children="off")
    code = "import subprocess;print(subprocess.run(['env'],capture_output=True,text=True).stdout)"
    status, out, _ = run([PYTHON, "-c", code], env)
    assert status == 0
    assert "libpprofagent" not in out.decode()


# ------------------------------------------------------------------ exit

@pytest.mark.parametrize("how", ["return", "exit", "thread", "_exit", "quick", "abort", "term",
                                 "handler", "race", "pthread", "atexit", "segv", "exec", "busy"])
def test_every_way_out(how):
    bare, agent = run_both([victim("v_exit"), how])
    same(bare, agent)


def test_exit_with_busy_threads_again_and_again():
    env = environment(free_port(), heap_rate=4096)
    for _ in range(30):
        assert run([victim("v_exit"), "busy"], env)[:2] == (3, b"leaving\n")


def test_exit_during_a_profile_does_not_wait(start):
    target = start([victim("v_spin")])
    target.expect("ready")
    asking = Background(target, 30)
    before = time.monotonic()
    assert target.finish() == 0
    assert time.monotonic() - before < 10  # not the 30 s of the profile
    asking.ended()


# ------------------------------------------------------------------ launchers

@pytest.mark.parametrize("argv, out", [
    (["bash", "-c", "x=$(echo hi); echo $x"], b"hi\n"),
    (["bash", "-c", "(echo sub; exit 3); echo $?"], b"sub\n3\n"),
    (["sh", "-c", "echo a | cat | tr a b"], b"b\n"),
    (["env", "true"], b""),
    (["timeout", "5", "echo", "x"], b"x\n"),
    (["nice", "echo", "x"], b"x\n"),
    (["setsid", "-w", "echo", "x"], b"x\n"),
    (["xargs", "echo"], b"\n"),
], ids=lambda x: " ".join(x)[:30] if isinstance(x, list) else "")
def test_launchers_do_what_they_did(argv, out):
    bare, agent = run_both(argv)
    same(bare, agent)
    assert agent[1] == out and agent[2] == b""


def test_launcher_has_no_thread_and_no_port(start):
    target = start(["bash", "-c", "echo ready; read x; exit 4"], wait=False)
    target.expect("ready")
    assert status_of(target.pid, "Threads") == "1"
    assert listening(target.pid) == []
    assert target.finish() == 4


def test_program_behind_launchers_serves_on_the_port(start):
    target = start(["sh", "-c", f"timeout 60 nice env A=1 {victim('v_blocks')} 1; exit 6"])
    assert target.get("/cmdline").text == victim("v_blocks") + "\x001"
    assert target.finish() == 6


def test_unshare_works_as_without_the_agent():
    bare, agent = run_both(["unshare", "-r", "id", "-u"])
    same(bare, agent)


def test_small_commands_in_a_script():
    script = ("for i in 1 2 3 4 5; do ls / >/dev/null; sed -n 1p /etc/passwd; "
              "grep -c root /etc/group; done")
    same(*run_both(["sh", "-c", script]))


def test_kill_by_signal_is_reported_as_such():
    bare, agent = run_both(["bash", "-c", "kill -SEGV $$"])
    same(bare, agent)
    assert agent[0] == -signal.SIGSEGV


def test_signals_of_the_terminal_end_it(start):
    target = start([victim("v_blocks"), "1"])
    target.expect("ready")
    os.kill(target.pid, signal.SIGINT)
    assert target.process.wait(10) == -signal.SIGINT


def test_stopped_and_continued_in_a_profile(start):
    target = start([victim("v_spin")])
    target.expect("ready")
    running = Background(target, 3)
    os.kill(target.pid, signal.SIGSTOP)
    until("it stopped", lambda: status_of(target.pid, "State").startswith("T"))
    os.kill(target.pid, signal.SIGCONT)
    profile = running.profile()
    assert all(v >= 0 for s in profile.samples for v in s.values.values())


def test_static_and_setuid_programs_are_left_alone():
    for argv in (["su", "-c", "echo hi", "root"], ["ldconfig", "-V"]):
        if not shutil.which(argv[0]):
            continue
        bare, agent = run_both(argv)
        same(bare, agent)
