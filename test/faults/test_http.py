# SPDX-License-Identifier: Apache-2.0
"""The HTTP port, F120 to F129 of the matrix."""
import concurrent.futures
import random
import re
import socket
import threading
import time

from lib.addresses import has_ipv6, is_on_loopback
from lib.fault_rows import have, row, status_numbers
from lib.go_tools import Pprof
from lib.harness import (PREFIX, Later, environment, free_port, listening, raw_request, run,
                         sampling, until, victim)
from lib.http_clients import (ALSO_POST, BAD_HOSTS, BAD_SECONDS, GET, GOOD_HOSTS, METHODS,
                              NOT_LATER_S, PATHS, QUIET, SECONDS_TEXT, TRICKS, VISITORS, Clients,
                              address_of, answered_after, ask, begin_profile, blocks, ends_well,
                              expected, head, parse, raw, start)


@row("F120", "slowloris: more half-open clients than the server has places", severity=2,
     naive="29.5 s")
def test_half_open_clients(case):
    target = blocks(case)
    half = head(f"GET {PREFIX}/heap HTTP/1.1")[:-4]
    with case.fire(target, QUIET), Clients(target.port) as clients:
        for i in range(VISITORS + 4):
            clients.add((b"", half[:1], half)[i % 3])
        spent = answered_after(target)
        case.note(f"answer after {spent:.2f} s")
        assert spent <= NOT_LATER_S
    ends_well(target)


@row("F120b", "clients that send one byte now and then", severity=2, naive="29.5 s")
def test_dribbling_clients(case):
    target = blocks(case)
    over = threading.Event()
    slow = head(f"GET {PREFIX}/heap HTTP/1.1", "X-Slow: " + "x" * 4000)

    def dribble(s):
        try:
            for byte in slow:
                if over.wait(0.2):
                    return
                s.send(bytes([byte]))
        except OSError:
            pass
    with Clients(target.port) as clients:
        threads = [threading.Thread(target=dribble, args=(clients.add(),)) for _ in range(55)]
        for thread in threads:
            thread.start()
        try:
            with case.fire(target, QUIET):
                spent = answered_after(target)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        case.note(f"answer after {spent:.2f} s")
        assert spent <= NOT_LATER_S
    ends_well(target)


@row("F121", "Host and Origin", severity=2, naive="all 200", fast=True)
def test_hosts_and_origins(case):
    target = blocks(case)
    table = {f"good {host}": (ask(GET, host=host), (200,)) for host in GOOD_HOSTS}
    # What HTTP itself forbids may be a 400.
    table.update({f"bad {name}": (what, (403, 400) if name in ("two", "two that differ", "empty")
                                  else (403,)) for name, what in BAD_HOSTS.items()})
    with case.fire(target, QUIET):
        expected(target, table)
    ends_well(target)


@row("F121b", "go tool pprof by each name", severity=2)
def test_pprof_by_each_name(case, tmp_path):
    have("go")
    target = blocks(case, heap_rate=4096)
    pprof = Pprof("go", tmp_path)
    with case.fire(target, QUIET):
        for name in ("localhost", "127.0.0.1"):
            out, _ = pprof("-top", f"http://{name}:{target.port}{PREFIX}/heap")
            assert "keep_blocks" in out
    ends_well(target)


@row("F122", "methods and paths", severity=3, naive="all 200")
def test_methods_and_paths(case):
    target = blocks(case)
    with case.fire(target, QUIET):
        for path, get in PATHS.items():
            for method in METHODS:
                status, headers, body = raw(target, f"{method} {path} HTTP/1.1",
                                            "Content-Length: 0")
                good = method in ("GET", "HEAD") or (method == "POST" and path in ALSO_POST)
                assert status == (get if good else 405), (method, path, status)
                if not good:
                    allow = dict(headers)["Allow"]
                    assert ("POST" in allow) == (path in ALSO_POST) and "GET" in allow, allow
                assert method != "HEAD" or body == b"", (path, body[:100])
    ends_well(target)


@row("F123", "values of seconds", severity=3, naive="all 200", fast=True)
def test_values_of_seconds(case):
    target = blocks(case)
    with case.fire(target, QUIET):
        for name in ("heap", "allocs", "block", "mutex", "goroutine", "threadcreate"):
            for value in BAD_SECONDS:
                got = raw(target, f"GET {PREFIX}/{name}?seconds={value} HTTP/1.1")
                assert (got[0], got[2].decode()) == (400, SECONDS_TEXT), (name, value, got)
            assert target.get(f"/{name}?seconds=").status == 200, name
            got = target.get(f"/{name}?seconds=1&debug=1")
            assert (got.status, got.text) == (
                400, "seconds and debug params are incompatible\n"), name
    ends_well(target)


@row("F123b", "a bad seconds of the CPU profile means 30, of which a client need not wait",
     severity=3)
def test_seconds_of_the_cpu_profile(case):
    target = start(case, "v_spin")
    with case.fire(target, QUIET):
        for value in ("-1", "0", "1.5", "abc", "", "1e18", "1000000000000000000"):
            with Clients(target.port) as clients:
                begin_profile(target, clients, f"seconds={value}")
        until("the last one is over", lambda: not sampling(target))
    ends_well(target)


@row("F124", "64 CPU profiles at once", severity=2)
def test_many_cpu_profiles(case):
    target = start(case, "v_spin", "50")
    target.get("/cmdline")
    before = status_numbers(target.pid, "Threads")["Threads"]
    with case.fire(target, QUIET):
        one = Later(target, "/profile?seconds=3")
        until("it is being taken", lambda: sampling(target))
        with concurrent.futures.ThreadPoolExecutor(63) as pool:
            others = list(pool.map(lambda _: target.get("/profile?seconds=3"), range(63)))
        answer = one.answer()
    assert answer.status == 200
    statuses = [a.status for a in others]
    assert statuses == [500] * 63, sorted(set(statuses))
    assert {a.text for a in others} == {
        "Could not enable CPU profiling: cpu profiling already in use\n"}
    after = status_numbers(target.pid, "Threads")["Threads"]
    case.note(f"{before} -> {after} threads")
    assert after <= before
    ends_well(target)


@row("F125", "a client leaves in the middle of a CPU profile", severity=2, fast=True)
def test_client_leaves(case):
    target = start(case, "v_spin", "50")
    with case.fire(target, QUIET):
        for how in ("close", "reset"):
            with Clients(target.port) as clients:
                client = begin_profile(target, clients, "seconds=30")
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            begin = time.monotonic()
            until("the next one may begin", lambda: not sampling(target))
            case.note(f"{how}: over after {time.monotonic() - begin:.2f} s")
    ends_well(target)


@row("F126", "bodies of symbol: too long, a million addresses, garbage", severity=2)
def test_bodies_of_symbol(case):
    target = blocks(case)
    rng = random.Random(126)

    def post(body):
        begin = time.monotonic()
        answer = target.get("/symbol", method="POST", body=body)
        return answer, time.monotonic() - begin
    for path in (*QUIET, *QUIET, "/symbol?0x1"):
        target.get(path)  # what is there once is not the bodies'
    post(b"1+" * (1 << 18))
    before = status_numbers(target.pid, "VmRSS")["VmRSS"]
    with case.fire(target, QUIET):
        for body in (b"x" * (10 << 20), b"+".join([b"0x1"] * 1000000)):
            try:
                answer, spent = post(body)
                assert answer.status == 413
            except ConnectionError:
                pass  # it stopped reading
        most, spent = post(b"1+" * (1 << 19))
        assert most.status == 200 and most.text == "num_symbols: 1\n"
        case.note(f"1 MiB of addresses: {spent:.2f} s")
        for _ in range(20):
            answer, _ = post(rng.randbytes(rng.randrange(1, 100000)))
            assert answer.status == 200 and answer.text.startswith("num_symbols: 1\n")
    after = status_numbers(target.pid, "VmRSS")["VmRSS"]
    case.note(f"{before} -> {after} KiB")
    assert after - before < 8 << 10
    ends_well(target)


@row("F127", "paths that try something", severity=2, naive="CRLF decoded", fast=True)
def test_tricks(case):
    target = blocks(case)
    with case.fire(target, QUIET):
        for path in TRICKS:
            answer = raw_request(target.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                 .encode("latin-1"))
            status, headers, body = parse(answer)
            got = dict(headers)
            assert status in (400, 404, 301, 200), (path, status)
            assert "X-Evil" not in got, (path, headers)
            assert b"root:" not in body, path
            location = got.get("Location", "/debug/")
            assert location.startswith("/debug/") and "X-Evil" not in location, (path, location)
            if "%2f" in path or ".." in path:
                assert status != 200, path
        for line in (b"GET\r\n\r\n", b"\r\n\r\n", b"GET /debug/pprof/heap\r\n\r\n", b"\0" * 100,
                     b"GET /debug/pprof/heap HTTP/9.9\r\nHost: localhost\r\n\r\n",
                     b"GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\nX\0Y: 1\r\n\r\n",
                     b"GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n X-Fold: 1\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            status, _, _ = parse(raw_request(target.port, line))
            assert status != 200 or b"Fold" in line, line
    ends_well(target)


@row("F129", "where it listens", severity=2)
def test_where_it_listens(case):
    bare = run([victim("v_blocks"), "1"], environment(preload=()))
    port = free_port()
    any_host, second = ("::", [address_of("::1", port)]) if has_ipv6() else ("0.0.0.0", [])
    listen = {f"127.0.0.1:{port}": [address_of("127.0.0.1", port)],
              f"localhost:{port}": [address_of("127.0.0.1", port), *second],
              f"[::1]:{port}": second,
              f":{port}": [address_of(any_host, port)],
              f"0.0.0.0:{port}": [address_of("0.0.0.0", port)],
              "unix:/tmp/socket": [], "/tmp/socket": [], "": None, "off": []}
    for address, wanted in listen.items():
        target = case.start([victim("v_blocks"), "1"], wait=False, address=address, log="off")
        target.expect("ready")
        if wanted is None:  # the default port; taken, any other of the loopback
            until("it listens", lambda: is_on_loopback(listening(target.pid)))
        elif wanted:
            until(f"{address}: {wanted}", lambda: listening(target.pid) == wanted)
        assert wanted is None or listening(target.pid) == wanted, address
        assert (target.finish(), target.out.encode(), target.err) == bare[:2] + ("",)


@row("F129b", "its port is taken", severity=2)
def test_port_is_taken(case):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        target = case.start([victim("v_blocks"), "1"], wait=False, port=port)
        target.expect("ready")
        until("it says so", lambda: target.err.endswith("\n"))
        assert re.fullmatch(rf"pprofagent: listen 127.0.0.1:{port}: address already in use.*\n",
                            target.err)
        assert all(a.startswith("0100007F:") for a in listening(target.pid))
        assert target.finish() == 0
        quiet = case.start([victim("v_blocks"), "1"], wait=False, port=port, log="off")
        quiet.expect("ready")
        until("it listens elsewhere", lambda: listening(quiet.pid))
        ends_well(quiet)
