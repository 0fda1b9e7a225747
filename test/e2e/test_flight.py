# SPDX-License-Identifier: Apache-2.0
"""Answers of the flight recorder: one at a time, whatever their clients do."""
import json
import socket

import pytest

from lib.harness import DEADLINE_S, PREFIX, until
from lib.trace_client import begin, check

MIB = 1 << 20


@pytest.fixture
def flown(start):
    """A program with more in its flight recorder than the sockets of a slow client hold."""
    target = begin(start, flight="64M")
    target.ask("storm 20 4000", "storm")
    assert len(target.get("/trace?flight=1").body) > MIB / 4
    return target


class SlowClient:
    """Has asked for the flight recorder, knows that the answer has begun, and reads no more."""

    def __init__(self, target):
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        # Of small segments Linux makes a small buffer on the other side: tcp_sndbuf_expand().
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.socket.connect(("127.0.0.1", target.port))
        self.socket.sendall(f"GET {PREFIX}/trace?flight=1 HTTP/1.1\r\n"
                            "Host: localhost\r\n\r\n".encode())
        self.status = int(self.socket.recv(12)[9:])

    def is_cut_off(self):
        """Reads what is there; True: the server has closed, before the end of the answer."""
        last = b""
        while True:
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return True
            if not piece:
                return not last.endswith(b"0\r\n\r\n")
            last = (last + piece)[-5:]


def kept(target):
    return json.loads(target.get("/agent?format=json").text)["kept_for_clients"]


def test_clients_that_read_nothing_are_one_at_a_time(flown):
    slow = [SlowClient(flown) for _ in range(7)]
    assert [client.status for client in slow] == [200] + [503] * 6
    refused = flown.get("/trace?flight=1")
    assert refused.status == 503 and "one at a time" in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert 0 < kept(flown)["flight_bytes"] < 4 * MIB


def test_client_that_leaves_makes_room(flown):
    slow = SlowClient(flown)
    assert slow.status == 200 and kept(flown)["flight_bytes"]
    slow.socket.close()
    until("the answer is given up", lambda: not kept(flown)["flight_bytes"])
    check(flown.get("/trace?flight=1").body)


def test_client_that_reads_nothing_is_cut_off_once_another_asks(flown):
    slow = SlowClient(flown)
    assert flown.get("/trace?flight=1").status == 503
    until("the answer is given up", lambda: not kept(flown)["flight_bytes"])
    assert slow.is_cut_off()
    check(flown.get("/trace?flight=1").body)
