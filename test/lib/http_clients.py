# SPDX-License-Identifier: Apache-2.0
"""What the rows about the HTTP port share: raw requests, bad clients, tables."""
import socket
import struct
import time

from lib.fault_rows import POLLED
from lib.harness import PREFIX, raw_request, sampling, victim

QUIET = tuple(path for path in POLLED if "profile" not in path)  # no CPU profile of the poller's

NOT_LATER_S = 2.5   # S14
WORKERS, VISITORS = 8, 64  # served at once, known at once


def start(case, *argv, **settings):
    return case.start([victim(argv[0]), *argv[1:]], **settings)


def blocks(case, **settings):
    target = start(case, "v_blocks", "1", **settings)
    target.expect("ready")
    return target


def ends_well(target):
    """Whatever the clients did, the program ends as ever and says nothing."""
    assert (target.finish(), target.err) == (0, "")


def head(line, *headers, host="localhost"):
    lines = [line, *([f"Host: {host}"] if host is not None else []), *headers, "", ""]
    return "\r\n".join(lines).encode()


def parse(answer):
    """(status, [(name, value) ...], body) of raw bytes; status 0 when nothing came."""
    if not answer.startswith(b"HTTP/1."):
        assert answer == b"", answer[:200]
        return 0, [], b""
    top, _, body = answer.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    pairs = [tuple(line.split(": ", 1)) for line in lines[1:]]
    return int(lines[0].split()[1]), pairs, body


def raw(target, *args, **kwargs):
    return parse(raw_request(target.port, head(*args, **kwargs)))


def expected(target, table):
    """table: {name: (what raw() is asked, statuses)}; all have to be as they should."""
    got = {name: raw(target, *ask[0], **ask[1])[0] for name, (ask, _) in table.items()}
    wrong = {name: (got[name], allowed) for name, (_, allowed) in table.items()
             if got[name] not in allowed}
    assert not wrong, wrong


def ask(*args, **kwargs):
    return args, kwargs


def answered_after(target, tries=3):
    """Seconds until a good client has its answer; the best of some tries: the machine is shared."""
    best = None
    for _ in range(tries):
        begin = time.monotonic()
        assert target.get("/cmdline", timeout=10).status == 200
        spent = time.monotonic() - begin
        best = spent if best is None else min(best, spent)
        if best < NOT_LATER_S:
            break
    return best


class Clients:
    """Connections of bad clients, closed at the end of the with block."""

    def __init__(self, port):
        self.port, self.sockets = port, []

    def add(self, data=b"", receive_buffer=None):
        s = socket.socket()
        if receive_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        s.settimeout(5)
        s.connect(("127.0.0.1", self.port))
        self.sockets.append(s)
        if data:
            s.sendall(data)
        return s

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()


PATH = PREFIX + "/cmdline"
GET = f"GET {PATH} HTTP/1.1"
GOOD_HOSTS = ("localhost", "127.0.0.1", "[::1]", "localhost:1", "127.0.0.1:65535", "LOCALHOST")
BAD_HOSTS = {
    "none": ask(GET, host=None), "empty": ask(GET, host=""),
    "two": ask(GET, "Host: localhost"), "two that differ": ask(GET, "Host: evil.com"),
    "name in front": ask(GET, host="localhost.evil.com"),
    "address in front": ask(GET, host="127.0.0.1.evil.com"),
    "other": ask(GET, host="evil.com"), "other with port": ask(GET, host="evil.com:6053"),
    "two words": ask(GET, host="localhost evil.com"), "list": ask(GET, host="localhost,evil.com"),
    "user": ask(GET, host="localhost@evil.com"), "no port": ask(GET, host="localhost:"),
    "port of letters": ask(GET, host="localhost:x"), "dot": ask(GET, host="localhost."),
    "octal": ask(GET, host="0177.0.0.1"), "any": ask(GET, host="0.0.0.0"),
    "absolute": ask(f"GET http://localhost{PATH} HTTP/1.1"),
    "absolute, other": ask(f"GET http://evil.com{PATH} HTTP/1.1"),
    "authority": ask("GET localhost:80 HTTP/1.1"), "of 1.0": ask(f"GET {PATH} HTTP/1.0", host=None),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND")
PATHS = {  # and what a GET gives
    "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/allocs": 200,
    "/debug/pprof/block": 200, "/debug/pprof/mutex": 200, "/debug/pprof/goroutine": 200,
    "/debug/pprof/threadcreate": 200, "/debug/pprof/cmdline": 200, "/debug/pprof/symbol": 200,
    "/debug/pprof/agent": 200, "/debug/pprof/nosuch": 404, "/elsewhere": 404,
    "/debug/pprof": 301, "/": 301,
}
ALSO_POST = {"/debug/pprof/symbol"}
SECONDS_TEXT = 'invalid value for "seconds" - must be a positive integer\n'
BAD_SECONDS = ("-1", "0", "1.5", "1e18", "abc", "NaN", "9223372036854775808", "0x1", "%201",
               "1%00", "--1", "+", "%D9%A3")
TRICKS = (
    "/debug/pprof/..%2f..%2fetc/passwd", "/debug/pprof/../../../../etc/passwd",
    "/debug/pprof/%00", "/debug/pprof/heap%00", "/debug/pprof/heap%0d%0aX-Evil:%201",
    "/debug/pprof/heap?debug=1%0d%0aX-Evil:%201", "/debug%2fpprof%2fheap", "//debug//pprof//heap",
    "//evil.com/debug/pprof", "/debug/pprof?debug=1%0d%0aX-Evil:%201&seconds=2",
    "/debug/pprof/%", "/debug/pprof/%2", "/debug/pprof/%zz", "/debug/pprof/..\\..\\etc",
    "/\\evil.com/..", "/debug/pprof/.%2e/", "/%2e%2e/%2e%2e/etc/passwd",
    "/debug/pprof/heap;X-Evil: 1", "/debug/pprof/\x7f", "/debug/pprof/\xff\xfe",
    "/debug/pprof/%ff%fe%0a", "/debug/pprof/heap#x", "/debug/pprof/" + "%2f" * 500,
    "/debug/pprof//heap?debug=1&gc=1%0d%0aX-Evil:1",
)


def addresses_of_code(target, count):
    """count addresses, all in the program's code: each has a line in the answer."""
    text = open(f"/proc/{target.pid}/maps", encoding="utf-8").read()
    begin = next(int(line.split("-")[0], 16) for line in text.splitlines()
                 if line.endswith(target.argv[0]) and " r-xp " in line)
    return "+".join(f"{begin + i % 512:#x}" for i in range(count)).encode()


def begin_profile(target, clients, query):
    """A client whose CPU profile is being taken. That of an earlier one may be ending still."""
    while True:
        client = clients.add(head(f"GET {PREFIX}/profile?{query} HTTP/1.1"))
        client.settimeout(0.2)
        try:
            assert b" 500 " in client.recv(1000)
        except TimeoutError:
            assert sampling(target)
            return client


def address_of(text, port):
    """As /proc/net/tcp and tcp6 write it: words in host order."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    words = struct.iter_unpack("=I", socket.inet_pton(family, text))
    return "".join(f"{word:08X}" for word, in words) + f":{port:04X}"
