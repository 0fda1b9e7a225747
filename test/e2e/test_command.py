# SPDX-License-Identifier: Apache-2.0
"""The command pprofagent: what it finds and what it fetches, and what it says to wrong input."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import xml.etree.ElementTree

import pytest

from lib.command import COMMAND, Answers, command, command_env, links_to, named_copy
from lib.family import Family, port_of
from lib.harness import Target, environment, free_port, run, until, victim
from lib.profiles import Profile

BUSYBOX = shutil.which("busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX, reason="busybox is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USAGE = "\\n?pprofagent: `pprofagent help( [a-z]+)?` says how it is used\\n$"


@pytest.fixture(scope="module")
def name():
    return f"p{os.getpid()}park"


@pytest.fixture(scope="module")
def park(shared_start, tmp_path_factory, name):
    """A program that waits, under a name that no other process has."""
    target = shared_start([named_copy(tmp_path_factory.mktemp("park"), victim("v_park"), name)],
                          heap_rate=1)
    target.expect("ready")
    until("its thread is named", lambda: port_of(target.pid))
    return target


@pytest.fixture(scope="module")
def small_machine(tmp_path_factory):
    """A PATH that has busybox only."""
    folder = tmp_path_factory.mktemp("busybox")
    subprocess.run([BUSYBOX, "--install", "-s", str(folder)], check=True)
    return str(folder)


@pytest.fixture(scope="module", params=["dash", pytest.param("busybox", marks=needs_busybox)])
def machine(request):
    """Arguments of command(): a shell, and the tools that it finds."""
    if request.param == "dash":
        return {"shell": ["dash"], "env": command_env()}
    path = request.getfixturevalue("small_machine")
    return {"shell": [BUSYBOX, "sh"], "env": command_env(X_PATH=path)}


# ------------------------------------------------------------------ list

def listed(**kwargs):
    done = command("list", "--json", **kwargs)
    assert (done.status, done.err) == (0, "")
    return {entry["pid"]: entry for entry in json.loads(done.out)}


def test_list_shows_what_the_kernel_says(park, name, machine):
    entry = listed(**machine)[park.pid]
    rss = entry.pop("rss_bytes")
    assert 1 << 20 < rss < 1 << 26 and 0 <= entry.pop("uptime_seconds") < 600
    assert entry == {"pid": park.pid, "ppid": os.getpid(), "depth": 0, "uid": os.geteuid(),
                     "name": name, "url": f"http://127.0.0.1:{park.port}", "network": None,
                     "dropped": 0}
    rows = command("list", **machine).out.splitlines()
    assert rows[0].split() == ["PID", "NAME", "URL", "UPTIME", "RSS", "DROPPED"]
    row = next(row for row in rows if row.split()[0] == str(park.pid))
    assert re.fullmatch(rf" *{park.pid}  {name} +http://127.0.0.1:{park.port} +\d+m?\d*s +"
                        r"\d+\.\dM +0", row)


def test_list_is_a_tree(start):
    family = Family(start)
    line = family.serving("line", 2)
    found = listed()
    assert [found[pid]["depth"] for pid in (family.pid, *line)] == [0, 1, 2]
    rows = [row for row in command("list").out.splitlines() if "v_generations" in row]
    assert {row.index("v_generations") - rows[0].index(rows[0].split()[1])
            for row in rows if int(row.split()[0]) in (family.pid, *line)} == {0, 2, 4}


def test_names_of_programs_stay_text(start):
    hostile = b"<i>\"\\&\x1b[31m\xff"
    code = ("import ctypes\n"
            f"ctypes.CDLL(None).prctl(15, {hostile!r})\n"
            "print('ready',flush=True);input()")
    target = start(["/usr/bin/python3", "-c", code])
    target.expect("ready")
    assert listed()[target.pid]["name"] == "<i>\"\\&?[31m?"
    plain = command("list").out
    assert "\x1b" not in plain and "<i>\"\\&?[31m?" in plain
    assert r'"<i>\"\\&?[31m?"' in command("targets").out


def test_port_that_no_socket_of_the_process_listens_on_is_left_out(start, name):
    code = ("import ctypes,threading\n"
            "def work():\n"
            " ctypes.CDLL(None).prctl(15, b'pprof:1')\n"
            " print('ready',flush=True)\n"
            " input()\n"
            "threading.Thread(target=work).start()")
    target = start(["/usr/bin/python3", "-c", code], wait=False, preload=())
    target.expect("ready")
    assert listed()[target.pid]["url"] is None
    done = command("get", target.pid, "heap")
    assert (done.status, done.err) == (1, f"pprofagent: process {target.pid} (python3) serves on "
                                       f"no port: `pprofagent check {target.pid}` says why\n")


@needs_root
def test_list_of_one_user_and_of_all(park, tmp_path):
    """As another user, who may see the process, and not ask it. The script is open already."""
    script = os.open(COMMAND, os.O_RDONLY)

    def other(*words):
        return command(*words, path=f"/proc/self/fd/{script}", shell=["sh"], pass_fds=[script],
                       user=65534, group=65534, cwd="/",
                       env=command_env(X_TMPDIR="/tmp"))

    try:
        assert str(park.pid) not in other("list").out
        everything = other("list", "--all").out
        row = next(row for row in everything.splitlines() if f" {park.pid} " in row)
        assert row.split()[1] == "0" and f"http://127.0.0.1:{park.port}" in row
        checked = other("check", park.pid)
    finally:
        os.close(script)
    assert checked.status == 1
    assert "  NO    you may not look into it (it is of another user" in checked.out
    assert str(park.pid) in command("list", "--all").out


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
    done = command("folded", park.pid, "fgprof", "-s", "1", **machine)
    assert done.status == 0 and re.search(r"^[^ ]*main;.* \d+$", done.out, re.M)


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


def test_flame_graph_of_a_program(park, tmp_path):
    done = command("flame", park.pid, "fgprof", "-s", "1", cwd=tmp_path)
    assert done.status == 0 and done.out.endswith(f".{park.pid}.fgprof.svg\n")
    root = xml.etree.ElementTree.parse(tmp_path / done.out.strip()).getroot()
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("main: ") for title in titles)
    with Answers(b"") as server:
        done = command("flame", server.url, "heap", "-o", "none.svg", cwd=tmp_path)
    assert done.status == 1 and "has no stacks" in done.err
    assert not (tmp_path / "none.svg").exists()


def test_web_prints_the_url_and_opens_it(park, tmp_path):
    done = command("web", park.pid)
    url = park.url("/ui")
    assert (done.status, done.out, done.err) == (0, url + "\n", "")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/opened\n')
    browser.chmod(0o755)
    assert command("web", park.pid, env=command_env(X_BROWSER=browser)).out == url + "\n"
    assert (tmp_path / "opened").read_text() == url + "\n"


# ------------------------------------------------------------------ targets

def test_targets_for_prometheus(park, name, machine, tmp_path):
    done = command("targets", **machine)
    entries = [e for e in json.loads(done.out)
               if e["labels"]["__meta_pprofagent_pid"] == str(park.pid)]
    assert entries == [{"targets": [f"127.0.0.1:{park.port}"], "labels": {
        "service_name": name, "__process_pid__": str(park.pid),
        "__meta_pprofagent_pid": str(park.pid), "__meta_pprofagent_ppid": str(os.getpid()),
        "__meta_pprofagent_program": name, "__meta_pprofagent_cmdline": park.argv[0]}}]
    assert command("targets", "-o", "t.json", cwd=tmp_path, **machine).status == 0
    assert str(park.pid) in (tmp_path / "t.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_targets_are_watched(start, tmp_path):
    first = start([victim("v_park")])
    file = tmp_path / "t.json"
    watch = Target([COMMAND, "targets", "--watch", "1", "-o", file], command_env())
    try:
        until("the file is there", lambda: file.exists() and str(first.pid) in file.read_text())
        second = start([victim("v_park")])
        until("the second one is in it", lambda: str(second.pid) in file.read_text())
    finally:
        os.kill(watch.pid, signal.SIGTERM)
        assert watch.finish() == 143
    assert list(tmp_path.iterdir()) == [file]


# ------------------------------------------------------------------ namespaces

UP = ("import fcntl,os,socket,struct,sys\n"
      "s=socket.socket()\n"
      "fcntl.ioctl(s,0x8914,struct.pack('16sh14x',b'lo',1))\n"  # SIOCSIFFLAGS, IFF_UP
      "s.close()\n"
      "os.execvp(sys.argv[1],sys.argv[1:])\n")
CONTAINER = ["unshare", "-Urpfn", "--mount-proc", "/usr/bin/python3", "-c", UP]
needs_namespaces = pytest.mark.skipif(
    run([*CONTAINER, "true"], command_env())[0] != 0, reason="no user namespaces here")


@needs_namespaces
def test_container_from_outside_and_inside(start, tmp_path, name):
    program = named_copy(tmp_path, victim("v_park"), name + "c")
    script = (f"sleep 60 | {COMMAND} run --address 127.0.0.1:7777 {program} & read line;"
              f"{COMMAND} list; {COMMAND} get {name}c cmdline -o -; echo end; read line")
    target = Target([*CONTAINER, "sh", "-c", script], command_env())
    try:
        target.expect("ready")
        pid = until("it serves", lambda: next(
            (p for p, e in listed().items() if e["name"] == name + "c" and e["url"]), None))
        entry = listed()[pid]
        assert entry["url"] == "http://127.0.0.1:7777"
        assert re.fullmatch(r"net:\[\d+\]", entry["network"])
        assert entry["dropped"] == 0  # it was asked
        assert command("get", pid, "cmdline", "-o", "-").out == program
        assert str(pid) not in command("targets").out
        done = command("web", pid)
        assert done.status == 1 and f"a browser does not reach process {pid} in net:[" in done.err
        path = links_to(tmp_path / "path", without=["nsenter"])
        done = command("get", pid, "heap", env=command_env(X_PATH=path))
        assert done.status == 1
        assert re.search(r" is in net:\[\d+\], which you may not enter: be root, or", done.err)
        target.tell("")
        assert target.line().split() == ["PID", "NAME", "URL", "UPTIME", "RSS", "DROPPED"]
        row = target.line()
        assert f"{name}c  http://127.0.0.1:7777 " in row
        assert target.line() == program + "end"
        target.tell("")
    finally:
        target.kill()


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


def test_binary_profile_is_not_written_to_a_terminal():
    with Answers(b"\x1f\x8b\x08") as server:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([COMMAND, "get", server.url, "heap", "-o", "-"],
                                   env=command_env(), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = read_terminal(ours, process)
        os.close(ours)
        assert (shown, process.returncode) == ("pprofagent: it is not text: -o FILE\r\n", 1)
