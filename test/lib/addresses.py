# SPDX-License-Identifier: Apache-2.0
"""Clients of IPv6 addresses and unix sockets, and networks that lack one family."""
import ctypes
import fcntl
import http.client
import os
import socket
import struct
from pathlib import Path

import pytest

from lib.harness import PREFIX, Response

CLONE_NEWNET = 0x40000000
SIOCSIFADDR, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8914, 1


def has_ipv6():
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


# As /proc/net/tcp and tcp6 write 127.0.0.1 and ::1.
LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def is_on_loopback(addresses):
    """Of lib.harness.listening: there are some, and each is 127.0.0.1 or ::1."""
    return bool(addresses) and {a.split(":")[0] for a in addresses} <= set(LOOPBACK)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(where, path="/cmdline", **headers):
    """where: (host, port), or the path of a unix socket. path below /debug/pprof."""
    connection = http.client.HTTPConnection(*where, timeout=30) if isinstance(
        where, tuple) else UnixConnection(where)
    try:
        connection.request("GET", PREFIX + path, headers=headers)
        answer = connection.getresponse()
        return Response(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def answers(where):
    try:
        return ask(where).status == 200
    except (OSError, http.client.HTTPException):
        return False


def pid_at(where):
    """Of the process whose agent answers there; None: none does."""
    try:
        text = ask(where, "/agent").text
    except (OSError, http.client.HTTPException):
        return None
    return int(text.split("\n  pid: ")[1].split("\n")[0])


def own_network(*lacks):
    """For preexec: a network of its own with a loopback interface, without these families."""
    def enter():
        if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
            os._exit(99)
        if "ipv6" in lacks:
            for name in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        with socket.socket() as s:
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
            if "ipv4" in lacks:
                fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sH14x", b"lo", socket.AF_INET))
    return enter
