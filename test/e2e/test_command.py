# SPDX-License-Identifier: Apache-2.0
"""The command pprofagent: which processes it finds, for people and for Prometheus."""
import json
import os
import re
import signal

import pytest

from lib.command import COMMAND, command, command_env, links_to, listed, named_copy
from lib.command_fixtures import machine, name, park, small_machine  # noqa: F401 (fixtures)
from lib.family import Family
from lib.harness import Target, free_port, run, until, victim

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# ------------------------------------------------------------------ list

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


@pytest.mark.parametrize("address,url", [
    ("unix:{}/a b", "unix:{}/a b"), ("[::1]:{}", "http://[::1]:{}"), (":{}", "http://[::1]:{}"),
    ("[::ffff:127.0.0.1]:{}", "http://127.0.0.1:{}")])
def test_addresses_of_all_kinds(start, tmp_path, address, url):
    place = tmp_path if "unix" in address else free_port()
    url = url.format(place)
    target = start([victim("v_park")], wait=False, address=address.format(place))
    target.expect("ready")
    entry = until("it serves", lambda: (e := listed().get(target.pid)) and e["url"] and e)
    assert (entry["url"], entry["network"], entry["dropped"]) == (url, None, 0)
    for name in (target.pid, url):
        assert command("get", name, "cmdline", "-o", "-").out == victim("v_park")
    targets = command("targets").out
    assert (str(target.pid) in targets) == (not url.startswith("unix:"))
    if url.startswith("unix:"):
        path = links_to(tmp_path / "path", without=["curl"])
        done = command("get", target.pid, "heap", env=command_env(X_PATH=path))
        assert (done.status, done.err) == (1, "pprofagent: for a unix socket curl is needed\n")
        assert command("web", target.pid).status == 1


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
    assert (tmp_path / "t.json").stat().st_mode & 0o777 == 0o644
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
