# SPDX-License-Identifier: Apache-2.0
"""The differences that are decided, each with what Go says and what the agent says.

source: where it was decided. "section 3" and rows are those of the HTTP contract; "M-" are the
manners that the agent owes the program it is a guest in. What is not in here fails.
"""
import re
from dataclasses import dataclass, field

from conformance.rows import CUSTOM
from lib.go_tools import version_of


class Any:
    """Whatever it is."""

    def __repr__(self):
        return "anything"


class OneOf:
    def __init__(self, *values):
        self.values = values

    def __repr__(self):
        return " or ".join(repr(v) for v in self.values)


ANY = Any()


def fits(wanted, value):
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.fullmatch(value) is not None
    if isinstance(wanted, OneOf):
        return any(fits(one, value) for one in wanted.values)
    return wanted is ANY or wanted == value


@dataclass
class Decision:
    """rows: regular expressions of keys. facts: {name: (what Go says, what the agent says)}, each a
    value, a regular expression of a text, OneOf, or ANY. since, before: versions of Go for which it
    holds. maybe: it need not happen in each run."""
    reason: str
    source: str
    rows: list
    facts: dict = field(default_factory=dict)
    since: tuple = (0, 0)
    before: tuple = (9, 0)
    maybe: bool = False

    def is_for(self, go):
        return self.since <= version_of(go) < self.before

    def explains(self, key, go, name, its, own):
        if name not in self.facts or not self.is_for(go):
            return False
        if not any(re.fullmatch(row, key) for row in self.rows):
            return False
        return all(fits(wanted, value) for wanted, value in zip(self.facts[name], (its, own)))


def find(key, go, name, its, own):
    return next((d for d in DECISIONS if d.explains(key, go, name, its, own)), None)


NEW = (1, 22)  # since then only GET, other redirects, and waiters in the mutex profile
TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
UNKNOWN = "Unknown profile\n"
NOT_HERE = {"X-Go-Pprof": (None, "1"), "body": (ANY, UNKNOWN), "status": (ANY, 404)}
REFUSED = {
    "status": (OneOf(200, 301, 307, 400, 404), 405), "Allow": (None, "GET, HEAD"),
    "Content-Type": (ANY, TEXT), "Content-Disposition": (ANY, None), "Location": (ANY, None),
    "X-Content-Type-Options": (None, "nosniff"), "X-Go-Pprof": (None, "1"),
    "body": (ANY, "Method Not Allowed\n"),
}
PAGE = r"(R1|R11|I1) GET /debug/pprof/.*"
HEAP_TEXT = r"(R11|N2|N3|N4) GET (heap|allocs)\?.*ebug=.*"
HEAP_GC_TEXT = r"N4 GET heap\?gc=1&debug=1"
GO_TAIL = ["Alloc", "TotalAlloc", "Sys", "Lookups", "Mallocs", "Frees", "HeapAlloc", "HeapSys",
           "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects", "Stack", "MSpan", "MCache",
           "BuckHashSys", "GCSys", "OtherSys", "NextGC", "LastGC", "PauseNs", "PauseEnd", "NumGC",
           "NumForcedGC", "GCCPUFraction", "DebugGC", "MaxRSS"]
NOT_NATIVE = {"Lookups", "Stack", "MSpan", "MCache", "GCSys", "NextGC", "LastGC", "PauseNs",
              "PauseEnd"}
OUR_TAIL = [name for name in GO_TAIL[:-1] if name not in NOT_NATIVE] + ["RSS", "MaxRSS"]
# What libc counts with its allocator locked.
LOCKED_TAIL = {"HeapSys", "HeapIdle", "HeapInuse", "HeapReleased"}
GO_DUMP = ["", "\tFILE:LINE", "\tFILE:LINE +OFFSET", "NAME(...)", "NAME(VALUES)"]
OUR_DUMP = ["", "\tFILE:LINE +OFFSET", "NAME(...)", "created by NAME in goroutine N",
            "goroutine N [STATE] {NOTE}:"]
SYMBOL_TEXT = ("Maps given program counters to function names. Counters can be specified in a GET "
               "raw query or POST body, multiple counters are separated by '+'.")
THREADS_TEXT = "Stack traces of all current goroutines"
PANIC_TEXT = (" Use debug=2 as a query parameter to export in the same format as an unrecovered "
              "panic.")

METHODS = "GET and HEAD everywhere, POST only on symbol; else 405, Allow, and Go's error headers"
REDIRECTS = "/debug/pprof and unclean paths are 301, which Go answered up to 1.21"
VERSIONS = "Go's own versions differ; the agent does as one of them"
THREADS = "each thread's name and number are labels besides those of the program"
FORMATS = "a profile can be read with curl alone, and drawn without pprof"
THREADCREATE = "threadcreate has the real creators, Go has no stacks there"

DECISIONS = [
    # ---- methods
    Decision(METHODS, "section 3", [r"R9 [A-Za-z]+ (?!symbol).*", r"R12 POST mutex .*"],
             REFUSED, before=NEW),
    Decision(METHODS, "section 3", [r"R9 (?!POST)[A-Z]+ symbol"],
             dict(REFUSED, Allow=(None, "GET, HEAD, POST")), before=NEW),
    Decision(METHODS, "section 3", [r"R9 [A-Za-z]+ .*", r"R12 POST mutex .*"],
             {"X-Go-Pprof": (None, "1")}, since=NEW),
    Decision(METHODS, "section 3", [r"R9 [A-Z]+ //?debug/pprof(/heap)?", r"R9 [A-Z]+ /elsewhere"],
             REFUSED, since=NEW),
    Decision(METHODS, "section 3", [r"R9 (?!POST)[A-Z]+ symbol"],
             {"Allow": ("GET, HEAD", "GET, HEAD, POST")}, since=NEW),
    Decision(METHODS, "section 3", [r"(R9|Y4|Y5) POST symbol.*", r"Y3 .*"],
             {"status": (405, 200), "Allow": ("GET, HEAD", None),
              "body": ("Method Not Allowed\n", re.compile(r"num_symbols: 1\n(?s:.*)"))}, since=NEW),
    # ---- paths
    Decision(REDIRECTS, "section 3", [r"(R2|R3|R10) .*"],
             {"status": (307, 301), "body": (re.compile(r".*Temporary Redirect</a>\.\n\n"),
                                             re.compile(r".*Moved Permanently</a>\.\n\n"))},
             since=NEW),
    Decision("nosniff on every answer", "M-S5", [r"(R2|R3|R10) .*"],
             {"X-Content-Type-Options": (None, "nosniff")}),
    Decision("what a redirect names comes from the agent's tables, never from the request: known "
             "paths, and debug, gc, seconds as numbers", "M-S5",
             [r"R3 GET /debug/pprof//heap\?.*"],
             {"Location": (re.compile(r"/debug/pprof/heap\?.*"),
                           re.compile(r"/debug/pprof/heap(\?debug=1(&seconds=1)?)?")),
              "body": (re.compile(r'<a href="/debug/pprof/heap\?.*\n\n'), re.compile(
                  r'<a href="/debug/pprof/heap(\?debug=1(&amp;seconds=1)?)?">Moved Perm.*\n\n'))}),
    Decision("what a redirect names comes from the agent's tables: what is unknown is 404 at once",
             "M-S5", [r"R3 GET /debug/pprof//(nosuch|\.\.)", r"R3 GET /debug/pprof/\.\.",
                      rf"R3 GET /debug/pprof//{CUSTOM} .*"],
             dict(NOT_HERE, **{"status": (OneOf(301, 307), 404), "Location": (ANY, None),
                               "Content-Type": (HTML, TEXT)})),
    Decision("every unknown path is 404 with the same text", "M-S13",
             [r"R13 .*", r"R10 HEAD /nosuch"],
             {"X-Go-Pprof": (None, "1"), "body": ("404 page not found\n", UNKNOWN)}),
    Decision("gperftools' paths are served as well", "consumers: what pprof asks for",
             [r"R13 GET /pprof/heap"],
             {"status": (404, 200), "Content-Type": (TEXT, "application/octet-stream"),
              "Content-Disposition": (None, 'attachment; filename="heap"'),
              "body": ("404 page not found\n", "<gzip>")}),
    Decision("an encoded slash is no slash: 404, as in Go since 1.22", "M-S13",
             [r"R3 GET /debug/pprof%2Fcmdline"],
             {"X-Go-Pprof": (None, "1"), "body": ("404 page not found\n", UNKNOWN)}, since=NEW),
    Decision(VERSIONS, "as Go since 1.22: an encoded slash is no slash",
             [r"R3 GET /debug/pprof%2Fcmdline"],
             dict(NOT_HERE, status=(200, 404)), before=NEW),
    Decision(VERSIONS, "as Go up to 1.21: encoded dots are cleaned as dots (row R3)",
             [r"R3 GET /debug/pprof/%2e.*"],
             {"status": (404, 301), "Content-Type": (TEXT, HTML), "X-Go-Pprof": ("1", None),
              "Location": (None, "/debug/pprof/heap"),
              "body": (UNKNOWN, '<a href="/debug/pprof/heap">Moved Permanently</a>.\n\n')},
             since=NEW),
    Decision("/ leads to /debug/pprof/", "section 3", [r"R8 GET /"],
             {"status": (404, 301), "Content-Type": (TEXT, HTML),
              "Location": (None, "/debug/pprof/"),
              "body": ("404 page not found\n",
                       '<a href="/debug/pprof/">Moved Permanently</a>.\n\n')}),
    # ---- index
    Decision("symbol is in the index, with its text", "section 3", [PAGE],
             {"index.row symbol": (None, "symbol?debug=1"),
              "index.text symbol": (None, SYMBOL_TEXT)}, before=NEW),
    Decision("symbol is in the index, with its text", "section 3", [r"I2 .*hold"],
             {"symbol": (None, 0)}, before=NEW),
    Decision("the newer texts of the page", "1b Texts, row I6", [PAGE],
             {"index.text goroutine": (THREADS_TEXT, f"{THREADS_TEXT}.{PANIC_TEXT}"),
              "index.word Set debug=1 as a query parameter to export in legacy text format":
              (None, 1)}, before=NEW),
    Decision("the page leads to the state of the agent", "M-P9", [PAGE],
             {"index.link agent": (None, True), "index.word state of the agent": (None, 1)}),
    Decision("the state of the agent has a page", "M-P9", [r"M-P9 GET agent"],
             {"status": (404, 200), "X-Go-Pprof": ("1", None),
              "body": (UNKNOWN, re.compile(r"agent:\n  version: (?s:.*)"))}),
    # ---- who may ask
    Decision("only a good Host is answered", "M-S2", [r"M-S2 .*"],
             {"status": (200, 403), "X-Go-Pprof": (None, "1"),
              "body": ("PROGRAM\x00127.0.0.1:0",
                       OneOf("Host is not localhost, 127.0.0.1, [::1] or in PPROFAGENT_HOSTS\n",
                             "the request names a site, not a path\n"))}),
    Decision("pages of other sites are not answered", "M-S3", [r"M-S3 .*"],
             {"status": (200, 403), "X-Go-Pprof": (None, "1"),
              "body": ("PROGRAM\x00127.0.0.1:0", "requests from other sites are not answered\n")}),
    Decision("a body of symbol has 1 MiB at most", "M-S6", [r"M-S6 .*"],
             {"status": (OneOf(200, 405), 413), "X-Go-Pprof": (None, "1"),
              "Allow": ("GET, HEAD", None), "body": (OneOf("num_symbols: 1\n",
                                                           "Method Not Allowed\n"),
                                                     "the body is longer than 1 MiB\n")}),
    Decision("a header has 8 KiB at most", "M-S7", [r"M-S7 .*"],
             {"status": (200, 431), "X-Go-Pprof": (None, "1"),
              "body": ("num_symbols: 1\nreading request: bufio: buffer full\n",
                       "the request header is longer than 8 KiB\n")}),
    # ---- profiles
    Decision("WriteTimeout is never an error", "section 3", [r"P7 .*"],
             {"status": (400, 200), "Content-Type": (TEXT, "application/octet-stream"),
              "Content-Disposition": (None, OneOf('attachment; filename="profile"',
                                                  'attachment; filename="heap-delta"')),
              "X-Go-Pprof": ("1", None),
              "body": ("profile duration exceeds server's WriteTimeout\n", "<gzip>")}, before=NEW),
    Decision("gc=1 gives memory back and forces no collection: there is none", "section 3",
             [r"N4 only gc.*"], {"heap?gc=1": (1, 0)}),
    Decision("n waiters for 1 s charge n seconds; Go up to 1.21 charges one", "section 3",
             [r"X2 .*"], {"waits charged": ([1], [5])}, before=NEW),
    Decision("names of MemStats only where they mean something here, and RSS", "section 3",
             [HEAP_GC_TEXT], {"text.tail": (GO_TAIL, OUR_TAIL)}),
    Decision("a request does not lock the allocator, but with gc=1", "section 3",
             [rf"(?!{HEAP_GC_TEXT}){HEAP_TEXT}"],
             {"text.tail": (GO_TAIL, [name for name in OUR_TAIL if name not in LOCKED_TAIL])}),
    Decision("largest first, as Go up to 1.22", "row H1", [HEAP_TEXT],
             {"text.order": ("ascending", "descending")}, since=(1, 23)),
    Decision("one byte more where nothing was freed; Go 1.19 has none, and in a Go program "
             "something may have been freed", "row H1", [r"H1 a text .*"],
             {"one more": (OneOf("no", "something was freed"), "yes")},
             maybe=True),
    Decision(THREADCREATE, "section 3", [r"(N2|N3) GET threadcreate\?.*ebug=.*"],
             {"text.frames": (["# PC"], ["# PC NAME+OFFSET FILE:LINE"])}),
    Decision(THREADCREATE, "section 3", [r"(N2|N3) GET threadcreate\?.*ebug=.*"],
             {"text.records": (["N @"], ["N @ PCS"])}, before=(1, 23)),
    Decision(THREADCREATE, "section 3", [r"V1 .*"], {"creators": ([], ["hold", "start"])}),
    Decision(THREADCREATE, "section 3", [r"(R10|N1|N3|N5|D1|D6) GET threadcreate.*"],
             {"proto.names": (False, True)}, since=(1, 23)),
    Decision("a thread's id, name, state and wait; no values of arguments", "section 3, M-S12",
             [r"N2 GET goroutine\?.*ebug=.*"],
             {"dump.lines": (GO_DUMP + ["created by NAME", "goroutine N [STATE]:"], OUR_DUMP)},
             before=(1, 21)),
    Decision("a thread's id, name, state and wait; no values of arguments", "section 3, M-S12",
             [r"N2 GET goroutine\?.*ebug=.*"],
             {"dump.lines": (GO_DUMP + ["created by NAME in goroutine N", "goroutine N [STATE]:"],
                             OUR_DUMP)}, since=(1, 21)),
    Decision(THREADS, "row P9, design", [r"(N1|N3|N5|D1|D6) GET goroutine.*"],
             {"proto.labels": (["k2: text", "worker: text"],
                               ["k2: text", "thread: text", "tid: number", "worker: text"])}),
    Decision(THREADS, "row P9, design", [r"G1 .*"],
             {"labels in the proto": (["k2", "worker"], ["k2", "thread", "tid", "worker"])}),
    Decision(THREADS, "row P9, design", [r"P8 .*"],
             {"labels": (["k2", "worker"], ["k2", "thread", "tid", "worker"]),
              "labels are texts": (True, False)}),
    Decision(FORMATS, "find.md, section 2", [r"Q2 GET .*"],
             {"Content-Type": ("application/octet-stream", TEXT),
              "Content-Disposition": (re.compile(r'attachment; filename="(heap|goroutine)"'), None),
              "body": ("<gzip>", re.compile(
                  r"File: \w+\n(?s:.*)\nType: inuse_space\n(?s:.*) cum%\n(?s:.*)|(.+ \d+\n)+"))}),
    Decision("what a parameter of the agent's own cannot mean is refused, as Go refuses seconds",
             "find.md, section 2", [r"Q3 GET .*"],
             {"status": (200, 400), "X-Go-Pprof": (None, "1"),
              "Content-Type": (OneOf("application/octet-stream", TEXT), TEXT),
              "Content-Disposition": (OneOf('attachment; filename="heap"', None), None),
              "body": (OneOf("<gzip>", "<heap text>"),
                       OneOf("unknown format: there are pprof, folded and top\n",
                             "format and debug params are incompatible\n"))}),
    Decision("a delta of allocs opens on alloc_space, as allocs itself; Go's Merge forgets it",
             "row L1", [r"(D1|D6) GET allocs.*"], {"proto.default": ("", "alloc_space")}),
    Decision("the reader of a body tells its end together with its last bytes, so that a full "
             "buffer is not noticed: as for GET instead", "row Y5",
             [r"Y5 POST symbol .*body=4096"],
             {"body": ("num_symbols: 1\n",
                       "num_symbols: 1\nreading request: bufio: buffer full\n")}, before=NEW),
    Decision("a connection serves one request, so that idle ones hold no worker", "M-S14",
             [r"R11 a connection is kept.*"], {"second": (200, 0)}),
    Decision("the words for a second trace are those that the contract has", "row T5", [r"T5 .*"],
             {"body": ("Could not enable tracing: execution tracer already enabled\n",
                       "Could not enable tracing: runtime error: tracing is already enabled\n")},
             since=NEW),
]
