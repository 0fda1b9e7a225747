# SPDX-License-Identifier: Apache-2.0
"""Whose requests are answered: users of this machine, names of hosts, guesses of the token."""
import http.client
import os
import socket
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lib.addresses import answers, needs_ipv6
from lib.harness import AGENT, CORE, free_port, request, until, victim

ALICE, BOB = 12001, 12002
HEAP = "/debug/pprof/heap"
# Without http.client, which takes long to load.
ASK = """
import socket, sys
host, port, path = sys.argv[1:]
try:
    s = socket.socket(socket.AF_UNIX) if host[0] == "/" else socket.create_connection((host, port))
    host[0] == "/" and s.connect(host)
except PermissionError as error:
    print(0, error)
    sys.exit()
s.settimeout(20)
s.sendall(f"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n".encode())
head, _, body = s.makefile("rb").read().partition(b"\\r\\n\\r\\n")
print(head.split()[1].decode(), body[:200])
"""


def ask_as(uid, port, path="/debug/pprof/cmdline", host="127.0.0.1"):
    """(status, beginning of the body) that a user of this machine gets. host: a path that begins
    with / is a unix socket; status 0: it may not connect."""
    done = subprocess.run([sys.executable, "-ISc", ASK, host, str(port), path], user=uid,
                          group=uid, extra_groups=(), capture_output=True, text=True, timeout=60,
                          check=True)
    status, body = done.stdout.split(" ", 1)
    return int(status), body


@pytest.fixture(name="public", scope="module")
def fixture_public():
    """The agent and a program where every user can read them."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        for file in (AGENT, CORE, victim("v_spin")):
            shutil.copy(file, name)
        yield Path(name)


@pytest.fixture(name="of_alice")
def fixture_of_alice(start, public):
    """Starts a program of a user."""
    def become():
        os.setgroups([])
        os.setgid(ALICE)
        os.setuid(ALICE)

    def begin(**settings):
        return start([public / "v_spin"], preexec=become, preload=(public / AGENT.name,),
                     cwd="/", **settings)
    return begin


@pytest.fixture(name="folder_of_alice")
def fixture_folder_of_alice():
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        os.chown(name, ALICE, ALICE)
        yield name


@pytest.mark.skipif(os.getuid() != 0, reason="becomes other users")
class TestUsers:
    def test_of_a_port_that_was_asked_for_all_are_answered(self, of_alice):
        target = of_alice()
        assert [ask_as(uid, target.port)[0] for uid in (ALICE, BOB, 0)] == [200, 200, 200]

    def test_with_user_only_the_own_user_and_root_are(self, of_alice):
        target = of_alice(peers="user")
        assert [ask_as(uid, target.port)[0] for uid in (ALICE, 0)] == [200, 200]
        status, text = ask_as(BOB, target.port, HEAP)
        assert status == 403 and "PPROFAGENT_PEERS" in text

    def test_with_user_it_holds_on_loopback_of_a_port_on_all_addresses(self, of_alice):
        port = free_port()
        target = of_alice(port=port, address=f":{port}", peers="user")
        assert [ask_as(uid, target.port)[0] for uid in (ALICE, BOB)] == [200, 403]

    @needs_ipv6
    @pytest.mark.parametrize("address", ["[::1]", "[::]", ""])
    def test_with_user_it_holds_on_ipv6(self, of_alice, address):
        port = free_port()
        of_alice(port=port, wait=False, address=f"{address}:{port}", peers="user")
        until("it serves", lambda: answers(("::1", port)))
        seen = [ask_as(uid, port, host="::1")[0] for uid in (ALICE, BOB, 0)]
        assert seen == [200, 403, 200]

    @needs_ipv6
    def test_all_are_answered_on_ipv6_that_was_asked_for(self, of_alice):
        port = free_port()
        of_alice(port=port, wait=False, address=f"[::1]:{port}")
        until("it serves", lambda: answers(("::1", port)))
        assert ask_as(BOB, port, host="::1")[0] == 200

    def test_unix_socket_is_for_the_own_user_and_root(self, of_alice, folder_of_alice):
        path = f"{folder_of_alice}/x.sock"
        of_alice(wait=False, address=f"unix:{path}")
        until("it serves", lambda: answers(path))
        assert [ask_as(uid, 0, host=path)[0] for uid in (ALICE, BOB, 0)] == [200, 0, 200]
        # Opened by hand: the peer is checked still.
        os.chmod(path, 0o666)
        status, text = ask_as(BOB, 0, HEAP, host=path)
        assert status == 403 and "PPROFAGENT_PEERS" in text

    def test_unix_socket_for_all_is_for_whom_its_mode_admits(self, of_alice, folder_of_alice):
        path = f"{folder_of_alice}/y.sock"
        of_alice(wait=False, address=f"unix:{path}", peers="all")
        until("it serves", lambda: answers(path))
        assert ask_as(BOB, 0, host=path)[0] == 0
        os.chmod(path, 0o666)
        assert ask_as(BOB, 0, host=path)[0] == 200

    def test_folder_that_it_may_not_write_is_said(self, of_alice):
        target = of_alice(wait=False, address="unix:/x.sock")
        until("it says so", lambda: target.err.endswith("\n"))
        assert target.err == "pprofagent: listen unix:/x.sock: Permission denied; not serving\n"

    def test_agent_page_shows_what_is_in_force(self, of_alice):
        page = of_alice(peers="user").get("/agent").text
        assert "PPROFAGENT_PEERS" in page


def raw(port, text):
    """Status of the answer to these bytes; 0 for none."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(text.encode())
        first = connection.makefile("rb").readline()
    return int(first.split()[1]) if first else 0


def test_port_on_all_addresses_checks_the_host_of_loopback_clients(start):
    port = free_port()
    start([victim("v_spin")], port=port, address=f":{port}")
    for host, status in (("evil.example", 403), (f"localhost:{port}", 200), ("127.0.0.1", 200),
                         ("localhost.evil.example", 403)):
        text = f"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: {host}\r\n\r\n"
        assert raw(port, text) == status, host


def with_token(start, token):
    target = start([victim("v_spin")], wait=False, token=token)

    def once():
        try:
            return request(target.port, "/debug/pprof/cmdline?token=" + token).status == 200
        except OSError:
            return False
    until("it answers", once)
    return target


def test_guesses_of_the_token_are_braked(start):
    target = with_token(start, "right")

    def guess(token):
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=20)
        connection.request("GET", "/debug/pprof/cmdline",
                           headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Retry-After")

    assert guess("right") == (200, None)
    begin = time.monotonic()
    seen = [guess(f"wrong{i}") for i in range(100)]
    allowed = 20 + 2 * (time.monotonic() - begin)
    assert seen[0] == (401, None) and set(seen) == {(401, None), (429, "1")}
    assert 20 <= seen.count((401, None)) <= allowed + 1


def test_no_answer_may_be_embedded_by_other_sites(start):
    target = start([victim("v_spin")])
    for path in ("/", "/heap", "/nosuch", "/agent", "/cmdline"):
        assert target.get(path).headers["Cross-Origin-Resource-Policy"] == "same-origin"
    target = with_token(start, "t")
    assert target.get("/heap").headers["Cross-Origin-Resource-Policy"] == "same-origin"
