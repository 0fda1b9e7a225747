# SPDX-License-Identifier: Apache-2.0
"""The list of requests. Each is sent, as it stands, to Go's program and to the agent's.

id: the row of the contract that it comes from, "M-" for the manners of a guest. lane: the pair of
programs that is asked (comparison.py). seconds: it waits, so it is asked together with others of
its lane.
What needs more than one request is in scenes.py.
"""
from dataclasses import dataclass, field

NAMED = ["allocs", "block", "goroutine", "heap", "mutex", "threadcreate"]
CUSTOM = "example.com/my.custom"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Row:
    id: str
    path: str
    method: str = "GET"
    headers: dict = field(default_factory=dict, hash=False)
    body: bytes = None
    version: str = "HTTP/1.1"
    lane: str = "main"
    seconds: bool = False

    @property
    def key(self):
        path = self.path if len(self.path) < 60 else self.path[:40] + f"...({len(self.path)})"
        more = [f"{name}={value}" for name, value in self.headers.items()]
        if self.body is not None:
            text = self.body.decode("ascii", "backslashreplace")
            more.append(f"body={text if len(text) < 30 else len(text)}")
        if self.version != "HTTP/1.1":
            more.append(self.version)
        if self.lane != "main":
            more.append(f"[{self.lane}]")
        return " ".join([self.id, self.method, path, *more])


def routing():
    yield Row("R1", "/debug/pprof/")
    yield Row("R2", "/debug/pprof")
    yield Row("R2", "/debug/pprof?debug=1")
    for path in ("/heap", "/cmdline", "/heap?debug=1", "/heap?seconds=1&debug=1", "/", "/nosuch",
                 "/heap?x=y", "/heap?debug=1&x=y"):
        yield Row("R3", "/debug/pprof/" + path)
    for path in ("/debug/pprof/./heap", "/debug/pprof/.", "/debug/pprof/..",
                 "/debug/pprof/x/../heap", "/debug/pprof/../pprof/cmdline", "//debug/pprof/heap",
                 "/debug//pprof/", "/debug/pprof/%2e/heap", "/debug/pprof/%2e%2e/pprof/heap",
                 "/debug/pprof%2Fcmdline"):
        yield Row("R3", path)
    for name in ("nosuch", "Heap", "heap%20", "%e4", "heap;x", "cmdline%00", "nosuch?seconds=1",
                 "nosuch?debug=1", "nosuch?seconds=x", "x/y", "goroutineleak", CUSTOM):
        yield Row("R4", name)
    yield Row("R5", "%3Cscript%3Escripty%3Cscript%3E")
    for name in ("cmdline/", "heap/", "symbol/", "profile/?seconds=1", "cmdline%2F"):
        yield Row("R6", name)
    for path in ("/debug/pprof/cmdlin%65", "/debug/pprof/%68eap", "/debug/pprof/cmdline?",
                 "/debug/pprof/cmdline?x=y&debug=1"):
        yield Row("R6", path)
    yield Row("R8", "/")
    for path in ("/debug/", "/debug", "/debug/pprofx", "/elsewhere", "/pprof/heap"):
        yield Row("R13", path)


def methods():
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"):
        for path in ("/debug/pprof/", "cmdline", "heap", "heap?seconds=x", "symbol", "nosuch",
                     "/debug/pprof", "//debug/pprof/heap", "/elsewhere"):
            yield Row("R9", path, method)
    yield Row("R9", "profile?seconds=1", "POST", lane="cpu")
    yield Row("R9", "heap", "get")
    for path in ("/debug/pprof/", "/debug/pprof", "cmdline", "symbol", "nosuch", "heap?debug=1",
                 "heap?seconds=x", "/nosuch", *NAMED):
        yield Row("R10", path, "HEAD")
    yield Row("R10", "heap?seconds=1", "HEAD", seconds=True)
    yield Row("R10", "profile?seconds=1", "HEAD", lane="cpu")
    yield Row("R12", "mutex", "POST", FORM, b"debug=1")
    yield Row("R12", "mutex", "GET", FORM, b"debug=1")


def protocol():
    for path in ("cmdline", "heap", "heap?debug=1", "nosuch", "/debug/pprof/"):
        yield Row("R11", path, version="HTTP/1.0")
        yield Row("R11", path, headers={"Accept-Encoding": "gzip"})
        yield Row("R11", path, headers={"Connection": "keep-alive"})
    yield Row("R11", "cmdline", headers={"Host": "127.0.0.1:99"})
    # What a guest in somebody else's program owes: Go answers all of these.
    yield Row("M-S2", "cmdline", headers={"Host": "evil.com"})
    yield Row("M-S2", "cmdline", headers={"Host": "localhost.evil.com"})
    yield Row("M-S2", "cmdline", headers={"Host": ""})
    yield Row("M-S2", "cmdline", headers={"Host": None}, version="HTTP/1.0")
    yield Row("M-S2", "http://localhost/debug/pprof/cmdline")
    yield Row("M-S3", "cmdline", headers={"Origin": "http://evil.com"})
    yield Row("M-S3", "cmdline", headers={"Sec-Fetch-Site": "cross-site"})
    yield Row("M-S6", "symbol", "POST", OCTETS, b"+" * (1 << 20) + b"1")
    yield Row("M-S7", "symbol?" + "1" * 9000)
    yield Row("M-P9", "agent")


def pages():
    yield Row("I1", "/debug/pprof/", lane="quiet")
    yield Row("I1", "/debug/pprof/?debug=1")
    yield Row("C1", "cmdline")
    yield Row("C2", "cmdline", lane="quiet")
    yield Row("C1", "cmdline?debug=1")
    yield Row("Y1", "symbol")
    for words in ("zz", "0x", "0", "0x1", "1", "%30", "1_0", "0X1+0b1+0o7+017", "+", "++", "-1",
                  "99999999999999999999", "zz+0x+", " "):
        yield Row("Y4", "symbol?" + words.replace(" ", "%20"))
        yield Row("Y4", "symbol", "POST", OCTETS, words.encode())
    for body in (b"", b"1" * 4095, b"1" * 4096, b"1" * 4097, b"0x1+" + b"1" * 5000,
                 b"0x1+" + b"1" * 4095 + b"+0x1", b"1" * 4096 + b"+1"):
        yield Row("Y5", "symbol", "POST", OCTETS, body)
    for length in (4095, 4096, 5000):
        yield Row("Y5", "symbol?" + "1" * length)


def timed():
    yield Row("P3", "profile?seconds=1", lane="cpu")
    yield Row("P3", "profile?seconds=01", lane="cpu")
    yield Row("P5", "profile?seconds=1&debug=1", lane="cpu")
    yield Row("P7", "profile?seconds=1", lane="deadline")
    yield Row("P7", "heap?seconds=1", lane="deadline")
    yield Row("T1", "trace", lane="custom")
    yield Row("T2", "trace?seconds=0.1", lane="custom")
    yield Row("T2", "trace?seconds=1e-1", lane="custom")
    yield Row("T3", "trace?seconds=abc", lane="custom")
    yield Row("T3", "trace?seconds=-1", lane="custom")
    yield Row("T3", "trace?seconds=NaN", lane="custom")


def named():
    for name in NAMED:
        for query in ("", "?debug=0", "?debug=x", "?debug=", "?debug", "?Debug=1",
                      "?debug=0&debug=1", "?debug=1;x=2", "?debug=+1", "?debug=1%00",
                      "?debug=%zz", "?debug=0x1"):
            yield Row("N1", name + query)
        for query in ("?debug=1", "?debug=2", "?debug=01", "?debug=%2B1", "?debug=%31",
                      "?%64ebug=1", "?debug=1&debug=0", "?x&debug=1",
                      "?debug=99999999999999999999"):
            yield Row("N2", name + query)
        yield Row("N3", name + "?debug=-1")
        yield Row("N3", name + "?debug=-99999999999999999999")
        for query in ("?seconds=", "?seconds", "?Seconds=1", "?seconds=1;x=2", "?seconds=%zz"):
            yield Row("N5", name + query)
        for value in ("abc", "0", "-1", "1.5", "0x1", "1e0", "+1", "%201", "99999999999999999999",
                      "-99999999999999999999", "1%00"):
            yield Row("D2", f"{name}?seconds={value}")
        yield Row("D4", f"{name}?seconds=1&debug=1")
        yield Row("D4", f"{name}?debug=2&seconds=1")
        yield Row("D4", f"{name}?seconds=1&debug=-1")
        yield Row("D5", f"{name}?seconds=abc&debug=1")
        yield Row("D1", f"{name}?seconds=1", seconds=True)
        yield Row("D6", f"{name}?seconds=1&debug=x&x", seconds=True)
    for query in ("?gc=1", "?gc=0", "?gc=x", "?gc=-1", "?gc=1&debug=1", "?gc=2"):
        yield Row("N4", "heap" + query)
        yield Row("N4", "allocs" + query)
    yield Row("D5", "nosuch?seconds=abc&debug=1")
    yield Row("D6", "mutex?seconds=%2B1", seconds=True)
    yield Row("D6", "mutex?seconds=01", seconds=True)
    yield Row("D6", "mutex?seconds=1&seconds=abc", seconds=True)
    yield Row("D7", "heap?seconds=1&gc=1", seconds=True)
    for name in ("block", "mutex"):
        yield Row("B1" if name == "block" else "X1", name + "?debug=1", lane="quiet")
        yield Row("B1" if name == "block" else "X1", name, lane="quiet")


def formats():
    """Parameters that Go ignores."""
    for query in ("?format=pprof&n=3&type=alloc_space&thread=name", "?format="):
        yield Row("Q1", "heap" + query)
    yield Row("Q2", "heap?format=top")
    yield Row("Q2", "goroutine?format=folded")
    yield Row("Q3", "heap?format=svg")
    yield Row("Q3", "heap?format=top&debug=1")
    yield Row("Q4", "goroutine?thread=off")


def custom():
    for query in ("", "?debug=1", "?debug=2", "?debug=-1", "?gc=1"):
        yield Row("R7" if not query else "U1", CUSTOM + query, lane="custom")
    yield Row("D3", CUSTOM + "?seconds=1", lane="custom")
    yield Row("D3", CUSTOM + "?seconds=1&debug=1", lane="custom")
    yield Row("D5", CUSTOM + "?seconds=abc", lane="custom")
    yield Row("I1", "/debug/pprof/", lane="custom")
    yield Row("R3", "/debug/pprof//" + CUSTOM, lane="custom")
    yield Row("R6", CUSTOM + "/", lane="custom")


ROWS = [row for part in (routing, methods, protocol, pages, timed, named, formats, custom)
        for row in part()]
