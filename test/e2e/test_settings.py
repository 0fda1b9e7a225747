# SPDX-License-Identifier: Apache-2.0
"""Every setting: what a bad value says, and that the program runs on."""
import socket

import pytest

from lib.addresses import has_ipv6
from lib.cpu_profiles import Background
from lib.harness import (PREFIX, environment, free_port, listening, request, run, status_of, until,
                         victim)
from lib.profiles import SOME

BAD = [
    ("ADDRESS", "localhost",
     "missing port in address (want host:port, :port or off); not serving"),
    ("ADDRESS", "6060", 'missing port in address (did you mean ":6060"?); not serving'),
    ("ADDRESS", ":99999", "port 99999 out of range 0-65535; not serving"),
    ("ADDRESS", ":http", 'port "http" is not a number; not serving'),
    ("ADDRESS", "http://localhost:6053", "give an address, not a URL; not serving"),
    ("ADDRESS", "[::1]", "missing port in address (want host:port, :port or off); not serving"),
    ("ADDRESS", "[::1:6053", "missing ']' in address; not serving"),
    ("ADDRESS", "::1:6053", "too many colons in address (want [host]:port for IPv6); not serving"),
    ("ADDRESS", "[::x]:6053", '"::x" is not an IPv6 address; not serving'),
    ("ADDRESS", "/foo", 'missing port in address (did you mean "unix:/foo"?); not serving'),
    ("ADDRESS", "unix:foo", "the path of a socket must be absolute; not serving"),
    ("ADDRESS", "unix:/%e", "only %p, the pid, is replaced in the path of a socket; not serving"),
    ("BLOCK_RATE", "0", "rate must be a positive integer; block profiling off"),
    ("BLOCK_RATE", "-1", "rate must be a positive integer; block profiling off"),
    ("BLOCK_RATE", "20 30", "rate must be a positive integer; block profiling off"),
    ("BLOCK_RATE", "invalid", "rate must be a positive integer; block profiling off"),
    ("BLOCK_RATE", "1k", "rate must be a positive integer; block profiling off"),
    ("MUTEX_FRACTION", "x", "must be an integer >= 0; using 0"),
    ("MUTEX_FRACTION", "-1", "must be an integer >= 0; using 0"),
    ("MUTEX_FRACTION", "1 ", "must be an integer >= 0; using 0"),
    ("HEAP_RATE", "-1", "must be a size >= 0 bytes; using 524288"),
    ("HEAP_RATE", "12x", "must be a size >= 0 bytes; using 524288"),
    ("CPU_HZ", "0", "must be 1-1000; using 100"),
    ("CPU_HZ", "1001", "must be 1-1000; using 100"),
    ("CPU_SHARED", "yes", "must be on or off; using off"),
    ("STACK_DEPTH", "9999", "must be 1-512; using 128"),
    ("STACK_DEPTH", "0", "must be 1-512; using 128"),
    ("BUFFER", "5M", "must be a power of two, 64k-1G; using 4M"),
    ("BUFFER", "32k", "must be a power of two, 64k-1G; using 4M"),
    ("SIGNAL", "KILL", "must be a catchable signal; using SIGRTMAX-3"),
    ("SYMBOLS", "all", "must be lines, names or none; using lines"),
    ("THREAD_LABEL", "tid", "must be name, pool or off; using name"),
    ("CHILDREN", "maybe", "must be on or off; using on"),
    ("LOG", "loud", "must be off, error or info; using error"),
]


@pytest.mark.parametrize("name, value, line", BAD, ids=lambda x: str(x)[:20])
def test_bad_value_says_its_line_and_the_program_runs(name, value, line):
    env = environment(**{"address": "off"} | {name.lower(): value})
    status, out, err = run([victim("v_blocks"), "1"], env)
    assert status == 0 and out.startswith(b"ready")
    assert err.decode() == f'pprofagent: PPROFAGENT_{name}="{value}": {line}\n'


def test_bad_value_is_quoted_and_cut():
    env = environment(address="off", cpu_hz="1\n\x1b[31m" + "9" * 100)
    _, _, err = run([victim("v_blocks"), "1"], env)
    line = err.decode()
    assert line.count("\n") == 1 and "\x1b" not in line
    assert '="1\\x0a\\x1b[31m999' in line
    assert "9" * 65 not in line
    assert line.endswith("must be 1-1000; using 100\n")


def test_several_bad_values_say_a_line_each():
    env = environment(address="off", cpu_hz="0", log="loud", buffer="x")
    _, _, err = run([victim("v_blocks"), "1"], env)
    assert len(err.decode().splitlines()) == 3


def test_unknown_name_suggests_the_nearest():
    env = environment(address="off", heap_ratio="1")
    status, _, err = run([victim("v_blocks"), "1"], env)
    assert status == 0
    assert "PPROFAGENT_HEAP_RATIO" in err.decode() and "PPROFAGENT_HEAP_RATE" in err.decode()
    assert err.decode().count("\n") == 1


def test_good_values_say_nothing():
    env = environment(address="off", heap_rate="64k", cpu_hz="250", stack_depth="512",
                      buffer="1M", signal="SIGRTMIN+5", symbols="names", children="off",
                      log="error", enabled="true", programs="*", hosts="a,b",
                      block_rate="20", mutex_fraction="5")
    assert run([victim("v_blocks"), "1"], env)[2] == b""


def test_empty_values_are_unset():
    env = environment(address="off", heap_rate="", cpu_hz="", log="", signal="",
                      mutex_fraction="")
    assert run([victim("v_blocks"), "1"], env)[2] == b""


# What is set for it, and what the agent page shows.
RATES = [
    ({}, "off", "0"),
    ({"block_rate": ""}, "1 (default off)", "0"),
    ({"block_rate": "20", "mutex_fraction": "5"}, "20 (default off)", "5 (default 0)"),
    ({"block_rate": "0", "mutex_fraction": "-1"}, "off", "0"),
    ({"mutex_fraction": ""}, "off", "0"),
]


@pytest.mark.parametrize("given, block, mutex", RATES, ids=lambda x: str(x)[:40])
def test_agent_page_shows_rates_of_contention(start, given, block, mutex):
    page = start([victim("v_blocks"), "1"], **given).get("/agent").text
    assert f"  PPROFAGENT_BLOCK_RATE: {block}\n" in page
    assert f"  PPROFAGENT_MUTEX_FRACTION: {mutex}\n" in page


def test_bad_address_is_never_another_interface(start):
    target = start([victim("v_blocks"), "1"], wait=False, address="[::1:6053")
    target.expect("ready")
    assert listening(target.pid) == []


def test_good_address_listens_there_and_only_there(start):
    target = start([victim("v_blocks"), "1"])
    assert listening(target.pid) == [f"0100007F:{target.port:04X}"]


def test_port_alone_is_all_interfaces(start):
    port = free_port()
    target = start([victim("v_blocks"), "1"], port=port, address=f":{port}")
    any_address = "0" * (32 if has_ipv6() else 8)  # [::] takes IPv4 as well
    assert listening(target.pid) == [f"{any_address}:{port:04X}"]


def test_off_does_not_listen(start):
    target = start([victim("v_blocks"), "1"], wait=False, address="off")
    target.expect("ready")
    assert listening(target.pid) == []
    assert target.finish() == 0 and target.err == ""


def test_disabled_is_completely_inert(start):
    for value in ("0", "false"):
        target = start([victim("v_blocks"), "1"], wait=False, enabled=value)
        target.expect("ready")
        assert status_of(target.pid, "Threads") == "1"
        assert target.finish() == 0 and target.err == ""


def test_address_in_use_takes_another_port_and_says_so(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        target = start([victim("v_blocks"), "1"], wait=False, port=port)
        target.expect("ready")
        until("it says so", lambda: target.err)
        address, = listening(target.pid)
        assert address.startswith("0100007F:")
        other = int(address.split(":")[1], 16)
        assert other != port
        assert request(other, PREFIX + "/cmdline").status == 200
        assert target.finish() == 0
    assert target.err.startswith(
        f"pprofagent: listen 127.0.0.1:{port}: address already in use")
    assert target.err.endswith(f"; serving http://127.0.0.1:{other}/debug/pprof/\n")
    assert target.err.count("\n") == 1


def test_address_of_another_machine_says_so(start):
    target = start([victim("v_blocks"), "1"], wait=False, address="192.0.2.1:6060")
    target.expect("ready")
    until("it says so", lambda: target.err)
    assert target.err == ("pprofagent: listen 192.0.2.1:6060: Cannot assign requested address; "
                          "not serving\n")
    assert listening(target.pid) == []
    assert target.finish() == 0


def test_log_info_prints_the_url(start):
    target = start([victim("v_blocks"), "1"], log="info")
    assert target.finish() == 0
    assert f"http://127.0.0.1:{target.port}/debug/pprof/" in target.err


def test_log_off_prints_nothing():
    env = environment(address="off", cpu_hz="0", log="off")
    assert run([victim("v_blocks"), "1"], env)[2] == b""


@pytest.mark.alone
def test_own_signal_can_be_chosen(start):
    target = start([victim("v_spin")], signal="SIGRTMIN+7")
    running = Background(target, 1, 34 + 7)
    assert running.profile().total("samples", "spin_three") >= SOME


def test_hosts_adds_names_that_may_be_asked_for(start):
    target = start([victim("v_blocks"), "1"], hosts="profiles.example,other.example")
    for host, status in (("profiles.example", 200), ("other.example:80", 200),
                         ("third.example", 403)):
        assert target.get("/cmdline", headers={"Host": host}).status == status


def test_programs_names_the_profiled_processes(start):
    target = start([victim("v_blocks"), "1"], wait=False, programs="v_sp*,other")
    target.expect("ready")
    assert listening(target.pid) == []
    chosen = start([victim("v_blocks"), "1"], programs="v_sp*,v_bl*")
    assert chosen.get("/cmdline").status == 200
