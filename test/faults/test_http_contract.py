# SPDX-License-Identifier: Apache-2.0
"""What the port promises, S1 to S14 of its contract."""
import concurrent.futures
import gzip
import os
import shutil
import subprocess
import threading
import time

import pytest

from lib.addresses import is_on_loopback
from lib.fault_rows import row
from lib.harness import PREFIX, free_port, listening, sampling, status_of, until, victim
from lib.http_clients import (BAD_HOSTS, GET, NOT_LATER_S, PATH, PATHS, QUIET, WORKERS, Clients,
                              addresses_of_code, answered_after, ask, blocks, ends_well, expected,
                              head, raw, start)


@row("S1", "by default nobody but this machine may connect", severity=2, modes=("idle", "full"),
     fast=True)
def test_loopback_by_default(case):
    env = {name: value for name, value in case.environment(None).items()
           if name != "PPROFAGENT_ADDRESS"}
    process = subprocess.Popen([victim("v_blocks"), "1"], env=env, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout.readline().startswith(b"ready")
        found = until("it listens", lambda: listening(process.pid))
        assert is_on_loopback(found), found
    finally:
        process.stdin.close()
        assert process.wait(30) == 0
        process.stdout.close()


@row("S2", "names given by PPROFAGENT_HOSTS, and only those", severity=2, naive="all 200",
     fast=True)
def test_hosts_of_the_setting(case):
    target = blocks(case, hosts="db.example, other:81")
    with case.fire(target, QUIET):
        expected(target, {
            "name": (ask(GET, host="db.example"), (200,)),
            "name, port": (ask(GET, host="DB.example:6053"), (200,)),
            "with its port": (ask(GET, host="other:81"), (200,)),
            "with another": (ask(GET, host="other:82"), (403,)),
            "below": (ask(GET, host="x.db.example"), (403,)),
            "above": (ask(GET, host="db.example.com"), (403,)),
            "part": (ask(GET, host="db"), (403,)),
            "the list": (ask(GET, host="db.example, other:81"), (403,)),
            "localhost": (ask(GET), (200,)),
        })
    ends_well(target)


@row("S3", "requests that come from other sites", severity=2, naive="all 200", fast=True)
def test_requests_from_other_sites(case):
    target = blocks(case)
    bad = ("Origin: http://evil.com", "Origin: null", "Origin:", "origin: https://evil.com",
           "Origin: http://localhost.evil.com", "Origin: http://localhost:1",
           "Sec-Fetch-Site: cross-site", "sec-fetch-site: CROSS-SITE",
           "Origin: http://localhost\r\nOrigin: http://evil.com")
    good = ("Origin: http://localhost", "Sec-Fetch-Site: none", "Sec-Fetch-Site: same-origin")
    table = {line: (ask(GET, line), (403,)) for line in bad}
    table.update({line: (ask(GET, line), (200,)) for line in good})
    with case.fire(target, QUIET):
        expected(target, table)
    ends_well(target)


@row("S4", "methods that are none", severity=3, naive="all 200", fast=True)
def test_strange_methods(case):
    target = blocks(case)
    table = {method: (ask(f"{method} {PATH} HTTP/1.1"), (400, 405))
             for method in ("get", "GETX", "GE", "CONNECT", "G\x01T", "PRI", "X" * 300)}
    with case.fire(target, QUIET):
        expected(target, table)
    ends_well(target)


@row("S5", "headers of every answer", severity=2, naive="none of them", fast=True)
def test_headers_of_every_answer(case):
    target = blocks(case)
    seen = set()
    asked = [ask(f"{method} {path} HTTP/1.1") for method in ("GET", "HEAD", "PUT")
             for path in (*PATHS, "/debug/pprof/heap?seconds=x", "/debug/pprof/%00")]
    asked += list(BAD_HOSTS.values()) + [ask(GET, "X: " + "x" * 8200), ask("GET  HTTP/1.1")]
    with case.fire(target, QUIET):
        for args, kwargs in asked:
            status, headers, _ = raw(target, *args, **kwargs)
            got = dict(headers)
            seen.add(status)
            assert got.get("X-Content-Type-Options") == "nosniff", (args, headers)
            assert got.get("Cache-Control") == "no-store", (args, headers)
            names = [name for name, _ in headers]
            assert len(names) == len(set(names)), (args, names)
        for word in ("X-Evil-Word", "evil%0d%0aSet-Cookie:1"):
            for path in (f"/heap?debug={word}", f"/{word}", f"//heap?gc={word}",
                         f"/cmdline?{word}={word}"):
                _, headers, _ = raw(target, f"GET {PREFIX}{path} HTTP/1.1", f"X-A: {word}",
                                    f"User-Agent: {word}")
                assert "evil" not in str(headers).lower(), (path, headers)
    assert {200, 301, 400, 403, 404, 405, 431} <= seen, seen
    ends_well(target)


@row("S6", "symbol names code and nothing else; lengths that lie", severity=2, fast=True)
def test_symbol_tells_nothing_else(case):
    target = blocks(case)
    text = open(f"/proc/{target.pid}/maps", encoding="utf-8").read()
    data = [line.split("-")[0] for line in text.splitlines() if "x" not in line.split()[1]]
    post = f"POST {PREFIX}/symbol HTTP/1.1"
    with case.fire(target, QUIET):
        asked = "+".join("0x" + address for address in data)
        assert target.get("/symbol?" + asked[:7000].rpartition("+")[0]).text == "num_symbols: 1\n"
        assert target.get("/symbol", method="POST", body=asked).text == "num_symbols: 1\n"
        table = {
            "negative": (ask(post, "Content-Length: -1"), (400, 411)),
            "letters": (ask(post, "Content-Length: abc"), (400, 411)),
            "huge": (ask(post, "Content-Length: 99999999999999999999999"), (400, 411, 413)),
            "too long": (ask(post, "Content-Length: 1048577"), (413,)),
            "both": (ask(post, "Content-Length: 3", "Transfer-Encoding: chunked"),
                     (400, 408, 411)),
            "coding": (ask(post, "Transfer-Encoding: gzip"), (400, 411, 413)),
        }
        expected(target, table)
    ends_well(target)


@row("S7", "limits: header, time to send it, heavy dumps at once", severity=2)
def test_limits(case):
    target = blocks(case)
    with case.fire(target, QUIET):
        fits = raw(target, GET, "X-Long: " + "x" * 7000)
        assert fits[0] == 200
        for much in (8192, 9000, 40000, 300000):
            try:
                status = raw(target, GET, "X-Long: " + "x" * much)[0]
            except ConnectionError:
                status = 0  # it stopped reading
            assert status in (431, 0), (much, status)
        many = raw(target, GET, *(f"X-{i}: x" for i in range(300)))
        assert many[0] in (431, 200), many
        with Clients(target.port) as clients:
            late = clients.add(b"GET / HT")
            late.settimeout(60)
            begin = time.monotonic()
            assert late.recv(100) == b""
            case.note(f"late one closed after {time.monotonic() - begin:.1f} s")
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: target.get("/goroutine?debug=2").status, range(40)))
        case.note(f"{answers.count(200)} of 40 dumps, {answers.count(503)} told to come later")
        assert set(answers) <= {200, 503} and 200 in answers
    ends_well(target)


@row("S8", "clients leave in the middle of each kind that takes time", severity=2)
def test_clients_leave_deltas(case):
    target = start(case, "v_spin", "50")
    paths = [f"{PREFIX}/{name}?seconds=30" for name in
             ("heap", "allocs", "block", "mutex", "goroutine", "threadcreate")]
    with case.fire(target, QUIET):
        for path in (*paths, "/debug/fgprof?seconds=30"):
            # More of them than there are places, again and again: none may keep its place.
            for _ in range(3):
                with Clients(target.port) as clients:
                    for _ in range(WORKERS):
                        clients.add(head(f"GET {path} HTTP/1.1"))
                    time.sleep(0.1)  # what they ask for begins, or not: both will do
            spent = answered_after(target)
            assert spent <= NOT_LATER_S, (path, spent)
        until("all places are free", lambda: target.get("/heap?seconds=1").status == 200)
        until("no signal is taken", lambda: not sampling(target) or case.polls)
    ends_well(target)


@row("S9", "the token", severity=2, naive="all 200", fast=True)
def test_token(case):
    secret = "S3cret-" + "x" * 40
    target = case.start([victim("v_blocks"), "1"], wait=case.mode == "naive", token=secret)
    target.expect("ready")

    def status(*args):
        try:
            return raw(target, *args)[0]
        except OSError:
            return 0
    until("the port answers", lambda: status(GET))
    query = f"GET {PATH}?token=%s HTTP/1.1"
    table = {
        "none": (ask(GET), (401,)),
        "header": (ask(GET, f"Authorization: Bearer {secret}"), (200,)),
        "lower case": (ask(GET, f"authorization: bearer {secret}"), (200,)),
        "query": (ask(query % secret), (200,)),
        "short": (ask(query % secret[:-1]), (401,)),
        "long": (ask(query % (secret + "x")), (401,)),
        "empty": (ask(query % ""), (401,)),
        "NUL": (ask(query % (secret + "%00")), (401,)),
        "basic": (ask(GET, f"Authorization: Basic {secret}"), (401,)),
        "another's host": (ask(query % secret, host="evil.com"), (403,)),
        "the page, a constant": (ask(f"GET {PREFIX}/ui HTTP/1.1"), (200,)),
        "unknown path": (ask(f"GET {PREFIX}/nosuch HTTP/1.1"), (401,)),
        "other method": (ask(f"PUT {PATH} HTTP/1.1"), (401,)),
    }
    with case.fire(target, QUIET):
        expected(target, table)
        for path in ("/agent", "/agent?format=json", "/", "/cmdline", "/nosuch",
                     "/heap?seconds=x", "/heap?debug=1"):
            answer = target.get(path, headers={"Authorization": f"Bearer {secret}"})
            assert secret not in answer.text and secret not in str(answer.headers), path
        # A redirect does not carry it on either.
        moved = raw(target, f"GET /debug/pprof?token={secret} HTTP/1.1")
        assert moved[0] == 301 and secret not in str(moved)
    ends_well(target)


@row("S10", "nothing at all in programs with more rights than their caller", severity=1,
     modes=("idle", "full"))
def test_setuid_programs(case, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can make such a program")
    # Below /tmp itself: the tests' own folder cannot be entered by others.
    copy = shutil.copy(victim("v_blocks"), f"/tmp/setuid-{os.getpid()}-{free_port()}")
    try:
        os.chmod(copy, 0o4755)
        target = case.start([copy, "1"], wait=False, preexec=lambda: os.setuid(65534))
        target.expect("ready")
        assert status_of(target.pid, "Threads") == "1" and listening(target.pid) == []
        assert "libpprofagent" not in open(f"/proc/{target.pid}/maps", encoding="utf-8").read()
        status = target.finish()
        # The loader says so where it cannot have the library at all.
        assert status == 0 and "pprofagent:" not in target.err
    finally:
        os.unlink(copy)


SECRET = "Sesam-oeffne-dich-4711"
HOLDER = f"""
import sys
word = sys.argv[0][:0] + "".join(chr(c) for c in {[ord(c) for c in SECRET]})
def work(argument):
    keep = [argument + str(i) for i in range(1000)]
    print("ready", flush=True)
    sys.stdin.readline()
    return keep
work(word)
"""


@row("S12", "no contents of memory, no arguments, no environment", severity=2)
def test_secrets(case):
    target = case.start(["/usr/bin/python3", "-c", HOLDER], X_SECRET_OF_TEST=SECRET + "-environ",
                        heap_rate=1)
    target.expect("ready")
    paths = ("/", "/heap", "/heap?debug=1", "/allocs", "/allocs?debug=1", "/block?debug=1",
             "/mutex?debug=1", "/goroutine", "/goroutine?debug=1", "/goroutine?debug=2",
             "/threadcreate?debug=1", "/agent", "/agent?format=json", "/profile?seconds=1",
             "/symbol", "/delta_heap")
    with case.fire(target, QUIET):
        for path in paths:
            answer = target.get(PREFIX + path)
            assert answer.status == 200, path
            body = answer.body
            if body.startswith(b"\x1f\x8b"):
                body = gzip.decompress(body)
            assert SECRET.encode() not in body, path
            assert b"SECRET_OF_TEST" not in body, path
        for path in ("/environ", "/debug/environ", "/proc/self/environ", "/debug/vars"):
            assert target.get(path if path.startswith("/debug") else path).status == 404
    ends_well(target)


@row("S13", "paths that are not there", severity=3, naive="all 200", fast=True)
def test_unknown_paths(case):
    target = blocks(case)
    with case.fire(target, QUIET):
        for path in ("/nosuch", "/heap2", "/hea", "/HEAP", "/heap/", "/environ",
                     "/cmdline/x", "/" + "x" * 3000):
            answer = target.get(path)
            assert (answer.status, answer.text) == (404, "Unknown profile\n"), path
    ends_well(target)


@row("S14", "half sent bodies, and clients that read nothing", severity=2)
def test_slow_bodies_and_slow_readers(case):
    target = blocks(case)
    body = addresses_of_code(target, 60000)
    half = head(f"POST {PREFIX}/symbol HTTP/1.1", "Content-Length: 1000") + b"0x1"
    whole = head(f"POST {PREFIX}/symbol HTTP/1.1", f"Content-Length: {len(body)}") + body
    with case.fire(target, QUIET):
        with Clients(target.port) as clients:
            for _ in range(3 * WORKERS):
                clients.add(half)
            spent = answered_after(target)
        with Clients(target.port) as clients:
            for _ in range(2 * WORKERS):
                threading.Thread(target=clients.add, args=(whole, 2304), daemon=True).start()
            until("they are all there", lambda: len(clients.sockets) == 2 * WORKERS)
            read = answered_after(target)
        case.note(f"bodies {spent:.2f} s, readers {read:.2f} s")
    assert max(spent, read) <= NOT_LATER_S
    ends_well(target)
