# SPDX-License-Identifier: Apache-2.0
"""`pprofagent run` and `env`: settings, and the program that is started."""
import os
import shutil
import signal
import subprocess

import pytest

from lib.command import COMMAND, command, command_env
from lib.harness import AGENT, BUILD, Target, free_port, until, victim


@pytest.fixture
def start_run():
    """start_run(words...) -> a Target that `pprofagent run` has become."""
    targets = []

    def begin(*words, port=None, **settings):
        targets.append(Target([COMMAND, "run", *words], command_env(**settings), port))
        return targets[-1]

    yield begin
    for target in targets:
        target.kill()


def said(target, text):
    """It is all that came on stderr."""
    until("its line is read", lambda: target.err.endswith("\n"))
    assert target.err == text


def variables(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(v.decode().split("=", 1) for v in file.read().split(b"\0") if v)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_run_becomes_the_program_and_says_where(start_run, shell, tmp_path):
    try:
        subprocess.run([*shell.split(), "-c", ":"], check=True)
    except OSError:
        pytest.skip(f"no {shell}")
    port = free_port()
    script = tmp_path / "pprofagent"
    script.write_text(f"#!/usr/bin/env -S {shell}\n" + COMMAND.read_text().split("\n", 1)[1])
    script.chmod(0o755)
    for name in ("libpprofagent.so", "libpprofagent-core.so"):
        (tmp_path / name).symlink_to(BUILD / name)
    target = Target([script, "run", "--address", f"127.0.0.1:{port}", "--", victim("v_park"),
                     "a b"], command_env(), port)
    try:
        target.expect("ready")
        assert target.answers().get("/cmdline").text == victim("v_park") + "\0a b"
        said(target, f"pprofagent: http://127.0.0.1:{port}/debug/pprof/\n")
        assert os.readlink(f"/proc/{target.pid}/exe") == os.path.realpath(victim("v_park"))
        assert variables(target.pid)["LD_PRELOAD"] == str(AGENT)
    finally:
        target.kill()


def test_options_are_settings(start_run):
    port = free_port()
    target = start_run(f"--address=127.0.0.1:{port}", "--block", "--mutex=5", "--heap-rate", "4096",
                       "--only", "sleep,v_*", "--no-children", victim("v_park"), "--block",
                       port=port)
    target.expect("ready")
    page = target.answers().get("/agent").text
    for line in ("BLOCK_RATE: 1 (default off)", "MUTEX_FRACTION: 5 (default 0)",
                 "HEAP_RATE: 4096 (default 524288)", "PROGRAMS: sleep,v_* (default none)",
                 "CHILDREN: off (default on)"):
        assert f"  PPROFAGENT_{line}\n" in page
    assert "--block" in target.get("/cmdline").text


def test_preloaded_objects_stay_and_the_agent_is_first(start_run):
    other = next(BUILD.glob("victim/p_*.so"))
    target = start_run("--address", "127.0.0.1:0", victim("v_park"), X_LD_PRELOAD=other)
    target.expect("ready")
    assert variables(target.pid)["LD_PRELOAD"] == f"{AGENT}:{other}"
    said(target, "pprofagent: serving on a free port: `pprofagent list` shows it\n")
    again = start_run("--address", "off", victim("v_park"), X_LD_PRELOAD=f"{other}:{AGENT}")
    again.expect("ready")
    assert variables(again.pid)["LD_PRELOAD"] == f"{other}:{AGENT}"
    said(again, "pprofagent: no port: PPROFAGENT_ADDRESS is off\n")


def test_run_passes_status_and_signals_on(start_run):
    quiet = ("--address", "off")
    assert command("run", *quiet, "sh", "-c", "exit 7").status == 7
    target = start_run(*quiet, victim("v_park"))
    target.expect("ready")
    os.kill(target.pid, signal.SIGTERM)
    assert target.finish() == -signal.SIGTERM


def test_program_that_cannot_be_started(tmp_path):
    script = tmp_path / "plain"
    script.write_text("echo no\n")
    for words, status, text in (
            (["nosuchprogram"], 127, "nosuchprogram: no such program"),
            (["/nosuch/x"], 127, "/nosuch/x: no such program"),
            (["--", "-x"], 127, "-x: no such program"),
            ([script], 126, f"{script}: cannot be executed"),
            ([tmp_path], 126, f"{tmp_path}: cannot be executed")):
        done = command("run", *words)
        assert (done.status, done.out, done.err) == (status, "", f"pprofagent: {text}\n")


def test_bad_settings_are_refused_in_the_words_of_the_agent():
    for words, settings, text in (
            (["--address", "localhost"], {}, 'PPROFAGENT_ADDRESS="localhost": missing port in '
             'address (want host:port, :port or off); not serving'),
            (["--address", ":99999"], {}, 'PPROFAGENT_ADDRESS=":99999": port 99999 out of range '
             "0-65535; not serving"),
            (["--block=0"], {}, 'PPROFAGENT_BLOCK_RATE="0": rate must be a positive integer; '
             "block profiling off"),
            (["--mutex=x"], {}, 'PPROFAGENT_MUTEX_FRACTION="x": must be an integer >= 0; using 0'),
            (["--heap-rate=-1"], {}, 'PPROFAGENT_HEAP_RATE="-1": must be a size >= 0 bytes; using '
             "524288"),
            (["--only", "x" * 5000], {}, None),
            ([], {"log": "loud"}, 'PPROFAGENT_LOG="loud": must be off, error or info; using error'),
            ([], {"enabled": "maybe"}, 'PPROFAGENT_ENABLED="maybe": must be 0, 1, true or false; '
             "using true"),
            ([], {"log": "off", "cpu_hz": "0"}, 'PPROFAGENT_CPU_HZ="0": must be 1-1000; using 100'),
            ([], {"enabled": "false", "cpu_hz": "0"},
             'PPROFAGENT_CPU_HZ="0": must be 1-1000; using 100'),
            ([], {"adress": "x"}, "PPROFAGENT_ADRESS: unknown setting (did you mean "
             "PPROFAGENT_ADDRESS?); ignored")):
        for start in (["run", *words, "true"], ["env", *words]):
            done = command(*start, env=command_env(**settings))
            assert (done.status, done.out) == (2, ""), start
            if text:
                assert done.err == f"pprofagent: {text}\n", start


def test_wrong_usage_says_what_is_wrong():
    for words, text in ((["run"], "which program?"), (["run", "--"], "which program?"),
                        (["run", "--nosuch", "true"], "unknown option --nosuch"),
                        (["run", "--address"], "--address needs a value"),
                        (["run", "--no-children=x", "true"], "--no-children takes no value"),
                        (["run", "--block=", "true"],
                         "--block= needs a value; --block alone records all"),
                        (["run", "--only", "a\nb", "true"], "--only: the value has a line break"),
                        (["env", "true"], "env takes options only"),
                        (["env", "-x"], "unknown option -x")):
        done = command(*words)
        assert (done.status, done.out) == (2, ""), words
        assert done.err == (f"pprofagent: {text}\npprofagent: `pprofagent help {words[0]}` says "
                            "how it is used\n")


def test_env_prints_lines_for_other_tools():
    done = command("env", "--address", ":6060", "--block", "--mutex=10", "--only", "a *")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"LD_PRELOAD={AGENT}", "PPROFAGENT_ADDRESS=:6060", "PPROFAGENT_BLOCK_RATE=1",
        "PPROFAGENT_MUTEX_FRACTION=10", "PPROFAGENT_PROGRAMS=a *"]
    assert command("env").out == f"LD_PRELOAD={AGENT}\n"
    assert command("--lib").out == f"{AGENT}\n"


def test_files_at_exit_are_left_to_the_program(tmp_path):
    done = command("run", "--address", "off", "true",
                   env=command_env(heapprofile=tmp_path / "%e"))
    assert done.status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["true"]


def test_run_where_the_agent_cannot_run(tmp_path):
    """The program runs all the same."""
    shutil.copy(COMMAND, tmp_path)
    shutil.copy(next(BUILD.glob("victim/p_*.so")), tmp_path / AGENT.name)
    done = command("run", "echo", "yes", path=tmp_path / COMMAND.name)
    assert (done.status, done.out) == (0, "yes\n")
    assert done.err.splitlines()[0] == \
        "pprofagent: the agent does not run here: `pprofagent check echo` says why"


def test_library_with_a_blank_in_its_path_is_refused(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "pprofagent").write_bytes(COMMAND.read_bytes())
    (folder / "libpprofagent.so").write_bytes(AGENT.read_bytes())
    done = command("run", "true", path=folder / "pprofagent", shell=["sh"])
    assert (done.status, done.err) == (
        1, f"pprofagent: {folder}/libpprofagent.so: LD_PRELOAD can hold no path with a blank or a "
           "colon\n")
    (folder / "libpprofagent.so").unlink()
    done = command("--lib", path=folder / "pprofagent", shell=["sh"])
    assert done.status == 1 and "no libpprofagent.so in " in done.err


def test_run_is_no_program_of_the_agent_itself(start_run):
    """Below a shell under the agent: the tools of the script are not profiled, the program is."""
    port = free_port()
    target = start_run("--address", f"127.0.0.1:{port}", victim("v_park"), X_LD_PRELOAD=AGENT,
                       port=port)
    target.expect("ready")
    until("it serves", lambda: target.answers())
    said(target, f"pprofagent: http://127.0.0.1:{port}/debug/pprof/\n")
