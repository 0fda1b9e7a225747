# SPDX-License-Identifier: Apache-2.0
"""Where the agent listens: IPv6, localhost on both families, unix sockets and their files."""
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from lib.addresses import answers, ask, needs_ipv6, own_network, pid_at
from lib.family import Family, port_of, thread_names, wait_for_agents
from lib.harness import PREFIX, environment, free_port, listening, run, until, victim

# Runs the lines of its stdin.
PYTHON = ["/usr/bin/python3", "-c", "import sys, os\nprint('ready', flush=True)\n"
          "for line in sys.stdin: exec(line)"]
IPV4, IPV6 = "127.0.0.1", "::1"
# The agent looks for it for 300 ms, which is too short on a machine without a free processor.
OWNER = rf"(?: \(pid {os.getpid()} .*\))?"


def started(start, address, argv=None, **settings):
    target = start(argv or PYTHON, wait=False, address=address, **settings)
    target.expect("ready")
    return target


# ------------------------------------------------------------------ IPv6

# The setting, the hosts that are answered, the host of the URL, and what is said of it.
FORMS = [("localhost", {IPV4, IPV6}, "localhost", ""),
         ("[::1]", {IPV6}, "[::1]", ""),
         ("[::]", {IPV4, IPV6}, "localhost", " on all interfaces"),
         ("", {IPV4, IPV6}, "localhost", " on all interfaces"),
         ("0.0.0.0", {IPV4}, "localhost", " on all interfaces")]


@needs_ipv6
@pytest.mark.parametrize("host, answered, url, where", FORMS,
                         ids=[host or "any" for host, *_ in FORMS])
def test_each_form_listens_where_it_says(start, host, answered, url, where):
    port = free_port()
    target = started(start, f"{host}:{port}", log="info")
    line = f"pprofagent: serving http://{url}:{port}{PREFIX}/{where}\n"
    until("it says where", lambda: target.err == line)
    assert {h for h in (IPV4, IPV6) if answers((h, port))} == answered
    assert port_of(target.pid) == port


@needs_ipv6
def test_localhost_of_port_0_has_one_port_on_both_families(start):
    target = started(start, "localhost:0")
    port = until("it serves", lambda: port_of(target.pid))
    assert answers((IPV4, port)) and answers((IPV6, port))


@needs_ipv6
def test_localhost_with_its_ipv6_port_taken_is_ipv4_and_says_so(start):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind((IPV6, 0))
        taken.listen()
        port = taken.getsockname()[1]
        target = started(start, f"localhost:{port}")
        until("it says so", lambda: target.err.endswith("\n"))
        assert re.fullmatch(rf"pprofagent: listen \[::1\]:{port}: address already in use"
                            rf"{OWNER}; serving http://127.0.0.1:{port}{PREFIX}/\n", target.err)
        assert answers((IPV4, port))


@needs_ipv6
def test_localhost_with_its_ipv4_port_taken_takes_no_half_of_it(start):
    with socket.socket() as taken:
        taken.bind((IPV4, 0))
        taken.listen()
        port = taken.getsockname()[1]
        target = started(start, f"localhost:{port}")
        until("it says so", lambda: "address already in use" in target.err)
        assert not answers((IPV6, port))


@needs_ipv6
def test_host_and_origin_hold_on_ipv6_as_on_ipv4(start):
    port = free_port()
    started(start, f"[::]:{port}")
    until("it serves", lambda: answers((IPV6, port)))
    own = f"[::1]:{port}"
    for headers, status in (({"Host": "evil.example"}, 403), ({"Host": "[::2]"}, 403),
                            ({"Host": own}, 200), ({"Host": "localhost"}, 200),
                            ({"Host": own, "Origin": "http://evil.example"}, 403),
                            ({"Host": own, "Origin": f"http://{own}"}, 200),
                            ({"Host": own, "Sec-Fetch-Site": "cross-site"}, 403)):
        for host in (IPV4, IPV6):
            assert ask((host, port), **headers).status == status, (host, headers)
    targets = json.loads(ask((IPV6, port), "/targets", Host=own).body)
    assert targets[0]["targets"] == [own]


@needs_ipv6
def test_children_on_ipv6_are_reached_and_take_the_address_over(start):
    port = free_port()
    family = Family(lambda argv, **settings: started_family(start, port, **settings))
    child = family.more("orphan", 1)[0]
    wait_for_agents([child])
    own = port_of(child)
    assert own != port and pid_at((IPV6, own)) == child and not answers((IPV4, own))

    def listed():
        entries = json.loads(ask((IPV6, port), "/processes?format=json").body)["processes"]
        return {e["pid"]: e["address"] for e in entries if e["state"] == "serving"}
    until("both are listed", lambda: listed() == {family.pid: f"[::1]:{port}",
                                                  child: f"[::1]:{own}"})
    assert f"\n  pid: {child}\n" in ask((IPV6, port), f"/agent?pid={child}").text
    os.kill(family.pid, signal.SIGKILL)
    until("the child has the address", lambda: pid_at((IPV6, port)) == child, deadline_s=10)
    assert not answers((IPV6, own))


def started_family(start, port, **settings):
    target = start([victim("v_generations")], wait=False, port=port, address=f"[::1]:{port}",
                   **settings)
    until("it serves", lambda: answers((IPV6, port)))
    return target


NETWORKS = [("ipv6", "localhost", IPV4, "localhost"), ("ipv6", "", IPV4, "localhost"),
            ("ipv4", "localhost", IPV6, "localhost"), ("ipv6", "[::1]", None, None)]


@pytest.mark.skipif(os.getuid() != 0, reason="makes networks")
@pytest.mark.parametrize("lacks, host, answered, url", NETWORKS, ids=lambda x: str(x))
def test_machine_with_one_family_is_served_on_the_other(start, lacks, host, answered, url):
    target = start(PYTHON, wait=False, address=f"{host}:6060", log="info",
                   preexec=own_network(lacks))
    target.expect("ready")
    until("it says something", lambda: target.err.endswith("\n"))
    if not answered:
        assert target.err == (f"pprofagent: listen {host}:6060: "
                              "Cannot assign requested address; not serving\n")
        return
    assert target.err.startswith(f"pprofagent: serving http://{url}:6060{PREFIX}/")
    ask_there = ("import http.client as h; c = h.HTTPConnection(%r, 6060); "
                 "c.request('GET', '/debug/pprof/cmdline'); print(c.getresponse().status, "
                 "flush=True)")
    target.tell(ask_there % answered)
    target.expect("200")


# ------------------------------------------------------------------ unix sockets

def mode_of(path):
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None


def serving_at(start, path, address=None, **settings):
    target = started(start, address or f"unix:{path}", **settings)
    until("it serves", lambda: pid_at(path) == target.pid)
    return target


def test_unix_socket_is_served_for_its_owner_and_said_in_a_form_to_copy(start, tmp_path):
    target = started(start, f"unix:{tmp_path}/%p.sock", log="info")
    path = tmp_path / f"{target.pid}.sock"
    command = f"curl --unix-socket {path} http://localhost{PREFIX}/"
    until("it says where", lambda: target.err == f"pprofagent: serving unix:{path}: {command}\n")
    assert mode_of(path) == stat.S_IFSOCK | 0o600
    assert ask(path).text == "\0".join(PYTHON)
    assert listening(target.pid) == []
    assert f"\n  url: unix:{path}\n" in ask(path, "/agent").text
    assert not [name for name in thread_names(target.pid) if name.startswith("pprof:")]
    if shutil.which("curl"):
        page = subprocess.run([*command.split(), "--silent"], capture_output=True, check=True)
        assert b"Types of profiles available" in page.stdout


def test_host_and_origin_hold_on_a_unix_socket(start, tmp_path):
    path = tmp_path / "x"
    serving_at(start, path)
    for headers, status in (({"Host": "evil.example"}, 403), ({"Host": "localhost:80"}, 200),
                            ({"Origin": "http://evil.example"}, 403),
                            ({"Sec-Fetch-Site": "cross-site"}, 403)):
        assert ask(path, **headers).status == status, headers


ENDS = ["sys.exit(0)", "os._exit(0)", "import ctypes; ctypes.CDLL(None).quick_exit(0)"]


@pytest.mark.parametrize("end", ENDS, ids=["exit", "_exit", "quick_exit"])
def test_file_is_removed_when_the_program_ends(start, tmp_path, end):
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    target.tell(end)
    assert target.process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_file_of_a_program_that_was_killed_is_taken_by_the_next(start, tmp_path):
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    os.kill(target.pid, signal.SIGKILL)
    target.process.wait(30)
    assert mode_of(path) == stat.S_IFSOCK | 0o600
    target = serving_at(start, path)
    assert target.err == ""
    assert target.finish() == 0 and list(tmp_path.iterdir()) == []


def test_file_that_is_another_ones_now_is_not_removed(start, tmp_path):
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert target.finish() == 0
        assert stat.S_ISSOCK(mode_of(path))


def test_path_in_use_gets_one_beside_it(start, tmp_path):
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        target = started(start, f"unix:{path}")
        beside = tmp_path / f"x.{target.pid}.sock"
        until("it serves", lambda: answers(beside))
        assert target.finish() == 0 and list(tmp_path.iterdir()) == [path]
        assert re.fullmatch(
            rf"pprofagent: listen unix:{path}: address already in use{OWNER}; "
            rf"serving unix:{beside}: curl --unix-socket {beside} http://localhost{PREFIX}/\n",
            target.err)


def say_why(address):
    status, _, err = run(PYTHON, environment(address=address), stdin=b"import time\ntime.sleep(.5)")
    assert status == 0
    return err.decode()


def test_what_is_no_socket_is_left_alone(tmp_path):
    path, link, stale = tmp_path / "file", tmp_path / "link", tmp_path / "stale"
    path.write_text("kept")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(stale))
    link.symlink_to(stale)
    before = {p: os.lstat(p) for p in tmp_path.iterdir()}
    for there in (path, link):
        assert say_why(f"unix:{there}") == (f"pprofagent: listen unix:{there}: the file is there "
                                            "and is not a socket; not serving\n")
    assert {p: os.lstat(p) for p in tmp_path.iterdir()} == before and path.read_text() == "kept"
    assert say_why(f"unix:{tmp_path}/none/x") == (
        f"pprofagent: listen unix:{tmp_path}/none/x: No such file or directory; not serving\n")


def is_listed_at(target_path, pid, path):
    entries = json.loads(ask(target_path, "/processes?format=json").body)["processes"]
    return (pid, "serving", f"unix:{path}") in {
        (e["pid"], e["state"], e["address"]) for e in entries}


def family_at(start, path, address):
    """v_generations; path in terms of its pid."""
    target = start([victim("v_generations")], wait=False, address=address)
    target.expect("ready")
    until("it serves", lambda: pid_at(path(target.pid)) == target.pid)
    return target


def more(target, word):
    target.tell(f"{word} 1")
    return int(target.expect("child").split()[1])


def test_children_have_a_socket_each_and_are_reached_by_it(start, tmp_path):
    def path(pid):
        return tmp_path / f"{pid}.sock"
    target = family_at(start, path, f"unix:{tmp_path}/%p.sock")
    child = more(target, "fork")
    until("the child serves", lambda: pid_at(path(child)) == child)
    until("it is listed", lambda: is_listed_at(path(target.pid), child, path(child)))
    assert is_listed_at(path(target.pid), target.pid, path(target.pid))
    assert f"\n  pid: {child}\n" in ask(path(target.pid), f"/agent?pid={child}").text
    assert f"unix:{path(child)}" in ask(path(target.pid), "/processes").text
    found = json.loads(ask(path(target.pid), "/targets").body)
    assert {t["labels"]["__param_pid"] for t in found} == {str(child), str(target.pid)}
    # The file of another process in its place is not asked.
    path(child).unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path(child)))
        other.listen()
        answer = ask(path(target.pid), f"/agent?pid={child}")
        assert answer.status == 502
        other.settimeout(10)
        with other.accept()[0] as connection:
            connection.settimeout(10)
            assert connection.recv(100) == b""


def test_child_without_a_pid_in_its_path_takes_it_over(start, tmp_path):
    path = tmp_path / "x.sock"
    target = family_at(start, lambda pid: path, f"unix:{path}")
    child = more(target, "orphan")
    own = tmp_path / f"x.{child}.sock"
    until("the child serves", lambda: pid_at(own) == child)
    assert pid_at(path) == target.pid
    os.kill(target.pid, signal.SIGKILL)
    until("the child has the address", lambda: pid_at(path) == child, deadline_s=10)
    assert mode_of(own) is None


def test_children_that_end_remove_nothing_of_their_parent(start, tmp_path):
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    for line in ("os.waitpid(os.fork() or sys.exit(0), 0); print('ended', flush=True)",
                 "import subprocess; subprocess.run(['/bin/true']); print('ended', flush=True)",
                 "import time; (c := os.fork()) or (time.sleep(1), sys.exit(0)); "
                 "os.waitpid(c, 0); print('ended', flush=True)"):
        target.ask(line, "ended")
        assert list(tmp_path.iterdir()) == [path] and pid_at(path) == target.pid


def test_program_that_replaces_itself_has_its_socket_again(start, tmp_path):
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    before = os.lstat(path).st_ctime_ns
    target.tell(f"os.execv({PYTHON[0]!r}, {PYTHON!r})")
    target.expect("ready")
    until("it serves again", lambda: pid_at(path) == target.pid)
    assert os.lstat(path).st_ctime_ns != before
    assert target.finish() == 0 and target.err == "" and list(tmp_path.iterdir()) == []


def test_socket_comes_back_after_the_agent_was_suspended(start, tmp_path):
    """unshare(CLONE_NEWUSER) is for processes of one thread."""
    path = tmp_path / "x.sock"
    target = serving_at(start, path)
    target.ask("import ctypes; r = ctypes.CDLL(None).unshare(0x10000000); print('unshared', r, "
               "flush=True)", "unshared")
    if "unshared 0" not in target.out:
        pytest.skip("no user namespaces here")
    until("it serves again", lambda: answers(path))
    assert target.finish() == 0 and target.err == "" and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="calls chroot")
def test_program_in_another_root_leaves_its_file_and_ends_well(start, tmp_path):
    path, root = tmp_path / "x.sock", tmp_path / "root"
    root.mkdir()
    target = serving_at(start, path)
    target.ask(f"os.chroot({str(root)!r}); print('entered', flush=True)", "entered")
    assert target.finish() == 0 and target.err == ""
    assert stat.S_ISSOCK(mode_of(path))
    serving_at(start, path)
