# SPDX-License-Identifier: Apache-2.0
"""The command pprofagent: what it fetches and draws, and what it says to wrong input."""
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import xml.etree.ElementTree

import pytest

from lib.command import COMMAND, Answers, command, command_env, links_to, listed, named_copy
from lib.command_fixtures import (machine, name, needs_busybox, park,  # noqa: F401 (fixtures)
                                  small_machine)
from lib.family import Family, port_of
from lib.harness import ROOT, Target, free_port, run, until, victim
from lib.profiles import Profile

USAGE = "\\n?pprofagent: `pprofagent help( [a-z]+)?` says how it is used\\n$"


# ------------------------------------------------------------------ get

def test_get_by_pid_name_and_url(park, name, machine, tmp_path):
    for target, file in ((park.pid, f"{name}.{park.pid}.heap.pb.gz"),
                         (name, f"{name}.{park.pid}.heap.pb.gz"),
                         (park.url("/heap"), f"127.0.0.1_{park.port}.heap.pb.gz")):
        done = command("get", target, "heap", cwd=tmp_path, **machine)
        assert (done.status, done.out, done.err) == (0, file + "\n", "")
        assert Profile((tmp_path / file).read_bytes()).samples
        assert [path.name for path in tmp_path.iterdir()] == [file]
        (tmp_path / file).unlink()


def test_get_writes_what_the_server_answers(park, machine, tmp_path):
    done = command("get", park.pid, "cmdline", "-o", "-", **machine)
    assert done.out == park.get("/cmdline").text
    done = command("get", park.pid, "heap?debug=1", "-o", "text", cwd=tmp_path, **machine)
    assert (done.out, done.err) == ("text\n", "")
    assert (tmp_path / "text").read_text().startswith("heap profile: ")
    done = command("get", park.pid, "trace", "-s", "0.1", cwd=tmp_path, **machine)
    assert done.out.endswith(f".{park.pid}.trace.trace\n")
    assert (tmp_path / done.out.strip()).read_bytes().startswith(b"go 1.")


def test_get_of_a_tree_has_all_processes(start, tmp_path):
    family = Family(start, heap_rate=1)
    children = family.serving("fork", 2)
    assert command("get", family.pid, "heap", "--tree", "-o", "f", cwd=tmp_path).status == 0
    profile = Profile((tmp_path / "f").read_bytes(), merged=True)
    assert {family.pid, *children} <= {sample.labels.get("pid") for sample in profile.samples}


def test_get_asks_for_what_it_is_told(tmp_path):
    with Answers(b"x") as server:
        for words, asked in (
                (["heap"], "/debug/pprof/heap"),
                (["cpu", "-s", "3"], "/debug/pprof/profile?seconds=3"),
                (["threads"], "/debug/pprof/goroutine"), (["fgprof", "-s2"], None),
                (["wall", "--seconds=0.5"], "/debug/fgprof?seconds=0.5"),
                (["heap?gc=1", "--tree"], "/debug/pprof/heap?gc=1&tree=1"),
                (["example.com/sessions"], "/debug/pprof/example.com/sessions")):
            done = command("get", server.url, *words, "-o", "f", cwd=tmp_path)
            if asked is None:
                assert done.status == 2
            else:
                assert (done.status, server.requests[-1][0]) == (0, asked), done
        for words, asked in ((["top", "heap", "-n", "5", "-t", "alloc_space"],
                              "/debug/pprof/heap?n=5&type=alloc_space&format=top"),
                             (["folded", "block", "-s", "1"],
                              "/debug/pprof/block?seconds=1&format=folded"),
                             (["threads"], "/debug/pprof/goroutine?debug=2")):
            assert command(words[0], server.url, *words[1:]).out == "x"  + "\n" * (
                words[0] != "folded")
            assert server.requests[-1][0] == asked


@pytest.mark.parametrize("client", ["curl", "wget", pytest.param("busybox", marks=needs_busybox)])
def test_errors_are_in_the_words_of_the_server(park, client, tmp_path, request):
    env = command_env()
    if client == "wget":
        env["PATH"] = links_to(tmp_path / "path", without=["curl"])
    elif client == "busybox":
        env["PATH"] = request.getfixturevalue("small_machine")
    done = command("get", park.pid, "nosuch", cwd=tmp_path, env=env)
    text = "404: Unknown profile" if client != "busybox" else "status 404"
    assert (done.status, done.out, done.err) == (1, "", f"pprofagent: {text}\n")
    assert [path.name for path in tmp_path.iterdir() if path.name != "path"] == []
    with Answers(b"\x1b[31mred\nmore", status=503) as server:
        done = command("top", server.url, "heap", env=env)
        text = "503: ?[31mred" if client != "busybox" else "status 503"
        assert (done.status, done.err) == (1, f"pprofagent: {text}\n")
    done = command("get", f"http://127.0.0.1:{free_port()}", "heap", env=env)
    assert done.status == 1 and re.search("refused|connect to server", done.err)


def test_without_any_client(park, tmp_path):
    path = links_to(tmp_path / "path", without=["curl", "wget"])
    done = command("get", park.pid, "heap", env=command_env(X_PATH=path))
    assert (done.status, done.err) == (1, "pprofagent: neither curl nor wget is here\n")
    assert listed(env=command_env(X_PATH=path))[park.pid]["dropped"] is None
    checked = command("check", park.pid, env=command_env(X_PATH=path))
    assert checked.status == 1
    assert "and does not answer: neither curl nor wget is here\n" in checked.out


WRONG_REQUESTS = [
    (["get"], "which process?"),
    (["get", "1"], "which profile? heap, profile (CPU), goroutine (threads) ..."),
    (["get", "1", "heap", "more"], "one argument too many: more"),
    (["get", "1", "heap", "-x"], "unknown option -x"),
    (["get", "1", "heap", "-s"], "-s needs a value"),
    (["get", "1", "heap", "-s", "x"], "-s: not a number of seconds: x"),
    (["get", "1", "heap", "-s", "-1"], "-s: not a number of seconds: -1"),
    (["get", "1", "heap", "-o", ""], "-o: the value is empty"),
    (["get", "1", "heap", "--tree=1"], "--tree takes no value"),
    (["get", "1", "a b"], "no name of a profile: a b"),
    (["get", "1", "/heap"], "no name of a profile: /heap"),
    (["get", "ftp://x", "heap"], "ftp://x: http:// or https://"),
    (["get", "", "heap"], "which process?"),
    (["top", "1", "heap", "-n", "many"], "-n: not a number: many"),
    (["top", "1", "heap", "-o", "x"], "unknown option -o"),
    (["flame", "1"], "which profile? heap, profile (CPU), goroutine (threads) ..."),
    (["folded", "1", "heap", "-n", "1"], "unknown option -n"),
    (["top", "1", "heap", "--tree"], "unknown option --tree"),
    (["threads"], "which process?"),
    (["threads", "1", "heap"], "one argument too many: heap"),
    (["web"], "which process?"),
    (["list", "all"], "list takes options only"),
    (["list", "--tree"], "unknown option --tree"),
    (["list", "--json=1"], "--json takes no value"),
    (["targets", "x"], "targets takes options only"),
    (["targets", "--watch", "5"], "--watch needs -o FILE"),
    (["targets", "--watch", "0", "-o", "x"], "--watch: not a number of seconds: 0"),
    (["targets", "-o"], "-o needs a value"),
    (["check"], "which program or process?"),
    (["check", "-x"], "check takes no option"),
    (["check", "a", "b"], "one argument too many: b"),
    (["help", "nosuch"], "no command: nosuch"),
    (["nosuch"], "no command: nosuch"),
]


def test_wrong_usage_says_what_is_wrong():
    for words, text in WRONG_REQUESTS:
        done = command(*words)
        assert (done.status, done.out) == (2, ""), words
        assert done.err.startswith(f"pprofagent: {text}\n") and re.search(USAGE, done.err), words
    done = command()
    assert (done.status, done.out) == (2, "") and "run CMD..." in done.err


def test_processes_that_cannot_be_asked(park, name, start, tmp_path):
    for words, text in (
            (["4194305"], "no process has the pid 4194305"),
            (["nosuchname"], "no program under the agent is called nosuchname: `pprofagent list`"),
            ([os.getpid()], f"process {os.getpid()} has no agent that runs: `pprofagent check "
             f"{os.getpid()}` says why")):
        done = command("get", *words, "heap")
        assert (done.status, done.err) == (1, f"pprofagent: {text}\n")
    twin = start(park.argv)
    until("its thread is named", lambda: port_of(twin.pid))
    done = command("get", name, "heap")
    lines = done.err.splitlines()
    assert (done.status, lines[0]) == (
        2, f"pprofagent: several programs are called {name}; say which by its PID:")
    assert [int(line.split()[0]) for line in lines[2:]] == sorted([park.pid, twin.pid])
    done = command("get", park.pid, "heap", "-o", tmp_path)
    assert (done.status, done.err) == (1, f"pprofagent: {tmp_path} is a folder\n")
    done = command("get", park.pid, "heap", "-o", "/nosuch/x")
    assert (done.status, done.err) == (1, "pprofagent: /nosuch/x: cannot be written there\n")


def test_output_goes_through_links_and_to_pipes(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with Answers(b"new") as server:
        assert command("get", server.url, "heap", "-o", "link", cwd=tmp_path).status == 0
        assert (tmp_path / "file").read_text() == "new" and (tmp_path / "link").is_symlink()
        reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
        assert command("get", server.url, "heap", "-o", "pipe", cwd=tmp_path).out == "pipe\n"
        assert reader.communicate(timeout=30)[0] == "new"
        done = command("get", server.url, "heap", "-o", "-x", cwd=tmp_path)
        assert (done.out, (tmp_path / "-x").read_text()) == ("./-x\n", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link", "pipe", "-x"}


def test_interrupted_get_leaves_no_files(tmp_path):
    hold = threading.Event()
    with Answers(b"x", hold=hold) as server:
        target = Target([COMMAND, "get", server.url, "heap", "-o", "x"],
                        command_env(X_TMPDIR=tmp_path), cwd=tmp_path)
        until("it asks", lambda: server.requests)
        os.killpg(target.pid, signal.SIGTERM)
        assert target.finish() == 143
        assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ the token

SHIM = '#!/bin/sh\nprintf "%s\\n" "$*" >>"$SEEN"\nexec {} "$@"\n'


@pytest.mark.parametrize("client", ["curl", "wget"])
def test_token_is_sent_and_on_no_command_line(start, tmp_path, client):
    secret = "a\"b\\c$d'e"
    target = start([victim("v_park")], token=secret, wait=False)
    target.expect("ready")
    until("it serves", lambda: port_of(target.pid))
    path = links_to(tmp_path / "path", without=["curl"],
                    **{client: SHIM.format(shutil.which(client))})
    seen = tmp_path / "seen"
    settings = {"X_PATH": path, "X_SEEN": seen}
    done = command("get", target.pid, "cmdline", "-o", "-", env=command_env(**settings))
    assert (done.status, done.err) == (1, "pprofagent: 401: the token is missing or wrong\n")
    env = command_env(token=secret, **settings)
    done = command("get", target.pid, "cmdline", "-o", "-", env=env)
    assert (done.status, done.err) == (0, "") and "v_park" in done.out
    assert listed(env=env)[target.pid]["dropped"] == 0
    assert seen.read_text() and secret not in seen.read_text() and "b\\c" not in seen.read_text()


# ------------------------------------------------------------------ text and pictures

def test_stacks_as_text(park, machine):
    done = command("threads", park.pid, **machine)
    assert done.status == 0 and done.out.startswith(f"goroutine {park.pid} [")
    assert re.search(r"^main\(\.\.\.\)$", done.out, re.M)
    for type_name in ("inuse_space", "alloc_objects"):
        done = command("folded", park.pid, "heap", "-t", type_name, **machine)
        assert done.out == park.get(f"/heap?format=folded&type={type_name}").text
        assert re.search(r"^[^ ]*main;.* \d+$", done.out, re.M)
    done = command("top", park.pid, "heap", "-n", "3", **machine)
    assert done.status == 0
    lines = done.out.splitlines()
    assert "Type: inuse_space" in lines and "Showing top 3 nodes out of" in done.out
    assert len(lines) - lines.index("      flat  flat%   sum%        cum   cum%") == 4


HOSTILE = (b"main;<script>alert('1')</script>&\";\xff\xfe\x1b[31m\xc2\x9b 30\n"
           b"main;]]>;" + 3 * b"\xe2\x82\xac" + b"\xed\xa0\x80\xef\xbf\xbf name with blanks 60\n"
           b"main;operator<< <int, char> 10\n"
           b"main;less -20\n\nno number\n")


@pytest.mark.parametrize("small", [False, pytest.param(True, marks=needs_busybox)])
def test_flame_graph_is_well_formed_and_has_all_frames(tmp_path, small, request):
    env = command_env(**({"X_PATH": request.getfixturevalue("small_machine")} if small else {}))
    with Answers(HOSTILE) as server:
        done = command("flame", server.url, "heap", "-t", "a_space", "-o", "x.svg", cwd=tmp_path,
                       env=env)
        assert (done.status, done.out, done.err) == (0, "x.svg\n", "")
        assert server.requests[0][0] == "/debug/pprof/heap?type=a_space&format=folded"
    root = xml.etree.ElementTree.fromstring((tmp_path / "x.svg").read_bytes())
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    frames = {g[0].text: g[1] for g in root.iter("{http://www.w3.org/2000/svg}g")}
    assert set(frames) == {
        "all: 80 bytes, 100.00%", "main: 80 bytes, 100.00%",
        "<script>alert('1')</script>&\": 30 bytes, 25.00%", "???[31m??: 30 bytes, 25.00%",
        "]]>: 60 bytes, 50.00%", "€€€?????? name with blanks: 60 bytes, 50.00%",
        "operator<< <int, char>: 10 bytes, 8.33%", "less: -20 bytes, 16.67%"}
    boxes = {text.split(":")[0]: box.attrib for text, box in frames.items()}
    widths = {name: float(box["width"]) for name, box in boxes.items()}
    assert widths["all"] == widths["main"] == 1180.0 and widths["]]>"] == 590.0
    assert float(boxes["main"]["y"]) < float(boxes["all"]["y"])  # the root is at the bottom
    assert boxes["less"]["fill"].endswith("230)")  # blue


@pytest.mark.parametrize("profile,value,shown", [
    ("heap", 1536, "1.50 KiB"), ("heap", 3 << 30, "3.00 GiB"), ("profile", 12345678, "12.35 ms"),
    ("block", 999, "999 ns"), ("fgprof", 1500000, "1.50 s"), ("goroutine", 1234567, "1,234,567")])
def test_values_of_flame_graphs_have_units(profile, value, shown):
    with Answers(b"main %d\n" % value) as server:
        done = command("flame", server.url, profile, "-o", "-")
    assert f"<title>main: {shown}, 100.00%</title>" in done.out


def test_flame_graph_of_a_program(park, tmp_path):
    done = command("flame", park.pid, "heap", cwd=tmp_path)
    assert done.status == 0 and done.out.endswith(f".{park.pid}.heap.svg\n")
    root = xml.etree.ElementTree.parse(tmp_path / done.out.strip()).getroot()
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("main: ") for title in titles)
    with Answers(b"") as server:
        done = command("flame", server.url, "heap", "-o", "none.svg", cwd=tmp_path)
    assert done.status == 1 and "has no stacks" in done.err
    assert not (tmp_path / "none.svg").exists()


def test_three_commands_of_the_readme_draw_a_running_redis(tmp_path):
    readme = (ROOT / "README.md").read_text()
    lines = readme.split("flame graph of a running redis:\n\n")[1].split("\n\n")[0]
    name = f"p{os.getpid()}redis"
    copy = named_copy(tmp_path, "/usr/bin/redis-server", name)
    script = lines.replace("build/pprofagent", str(COMMAND)).replace("7379", str(free_port()))
    script = script.replace("run redis-server", f"run --address 127.0.0.1:0 {copy} --save ''")
    script = script.replace("flame redis-server", f"flame {name}").replace("-s 5", "-s 1")
    # As a person would, with a moment between the lines.
    wait = f"\nuntil {COMMAND} list --json | grep -q '\"{name}\",\"url\":\"'; do :; done\n"
    script = wait.join(script.strip().split("\n", 1))
    target = Target(["sh", "-c", script], command_env(X_TMPDIR=tmp_path), cwd=tmp_path)
    try:
        target.process.wait(60)  # of the shell: redis stays
        text = (tmp_path / "redis.svg").read_text()
        assert text.count("<title>") > 10 and "<title>main: " in text
    finally:
        target.kill()


def test_web_prints_the_url_and_opens_it(park, tmp_path):
    done = command("web", park.pid)
    url = park.url("/ui")
    assert (done.status, done.out, done.err) == (0, url + "\n", "")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/opened\n')
    browser.chmod(0o755)
    assert command("web", park.pid, env=command_env(X_BROWSER=browser)).out == url + "\n"
    assert (tmp_path / "opened").read_text() == url + "\n"


# ------------------------------------------------------------------ a terminal

def read_terminal(fd, process):
    """All that a program writes to its terminal."""
    got = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:  # EIO: the other side is closed
            piece = b""
        if not piece:
            process.wait(30)
            return got.decode()
        got += piece


def test_progress_line_on_a_terminal_only(tmp_path):
    hold = threading.Event()
    with Answers(b"x" * 10, hold=hold) as server:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([COMMAND, "get", server.url, "profile", "-s", "9", "-o", "f"],
                                   env=command_env(), cwd=tmp_path, stdin=theirs, stdout=theirs,
                                   stderr=theirs)
        os.close(theirs)
        until("it asks", lambda: server.requests)
        shown = os.read(ours, 4096).decode()
        hold.set()
        shown += read_terminal(ours, process)
        os.close(ours)
        label = server.url.removeprefix("http://")
        assert re.match(rf"\r\x1b\[Kprofile of {label}: [01] of 9 s", shown)
        assert shown.endswith("\r\x1b[Kf\r\n") and process.returncode == 0
        done = command("get", server.url, "profile", "-s", "9", "-o", "f", cwd=tmp_path)
        assert (done.out, done.err) == ("f\n", "")


def test_interrupt_at_a_terminal_ends_the_request(tmp_path):
    hold = threading.Event()
    with Answers(b"x", hold=hold) as server:
        process, ours = pty.fork()
        if process == 0:
            os.chdir(tmp_path)
            os.execve(COMMAND, [COMMAND, "get", server.url, "profile", "-o", "f"],
                      command_env(X_TMPDIR=tmp_path))
        until("it asks", lambda: server.requests)
        os.write(ours, b"\x03")
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        os.close(ours)
        assert status in (130, -signal.SIGINT)
        assert list(tmp_path.iterdir()) == []


def test_binary_profile_is_not_written_to_a_terminal():
    with Answers(b"\x1f\x8b\x08") as server:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([COMMAND, "get", server.url, "heap", "-o", "-"],
                                   env=command_env(), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = read_terminal(ours, process)
        os.close(ours)
        assert (shown, process.returncode) == ("pprofagent: it is not text: -o FILE\r\n", 1)
