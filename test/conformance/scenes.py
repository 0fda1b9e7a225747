# SPDX-License-Identifier: Apache-2.0
"""What one request cannot show. Each scene is played with Go's program and with the agent's, and
returns facts, which must be equal.

A fact says whether something is so, or names it; figures that depend on how busy the machine is are
brought to that form here. The named functions (keeper, first ...) are those of both programs.
"""
import re
import time
from dataclasses import dataclass
from typing import Callable

from conformance import protos, shape
from conformance.ask import begun_answers
from conformance.protos import decode
from conformance.rows import OCTETS
from lib.harness import DEADLINE_S, until

MIB = 1 << 20
SCENES = []


@dataclass(frozen=True)
class Scene:
    id: str
    name: str
    play: Callable
    lane: str

    @property
    def key(self):
        return f"{self.id} {self.name}"


def scene(number, lane):
    def add(function):
        SCENES.append(Scene(number, function.__name__.replace("_", " "), function, lane))
        return function
    return add


def profile(side, path):
    answer = side.get(path)
    assert answer.status == 200, f"{side.name} {path}: {answer}"
    return decode(answer.body)


def about(value, wanted):
    """A time that was measured from outside, against what the profile says of it."""
    return 0.7 * wanted <= value <= 1.3 * wanted + 1e8


def times(side, path):
    """(its time and duration lie between what is seen from outside, the profile)"""
    start_s = time.time()
    p = profile(side, path)
    end_s, end_at_s, length_s = time.time(), p.time_nanos / 1e9, p.duration_nanos / 1e9
    return start_s - 0.1 <= end_at_s <= end_s + 0.1, length_s, end_s - start_s, p


# ------------------------------------------------------------------ index, cmdline, symbol


@scene("I2", "half")
def index_counts_what_has_just_happened(side):
    side.tell("contend first 20 2", "contended")
    counts = shape.counts(side.get("/debug/pprof/").text)
    return {name: counts[name] > 0 for name in ("block", "mutex", "goroutine", "threadcreate")}


@scene("I2", "main")
def index_counts_what_the_profiles_hold(side):
    def text():
        return side.get("/debug/pprof/").text
    later, found = shape.counts(text()), {}
    found.update({name: later.get(name) for name in ("cmdline", "profile", "symbol")})
    # Go counts one after the other: what is allocated between them is in one of them alone.
    found["allocs is heap"] = bool(until("allocs is heap", lambda: (
        lambda counts: counts["allocs"] == counts["heap"])(shape.counts(text()))))
    found["heap counts records"] = bool(until("counts and records are equal", lambda: (
        len(re.findall(r"^\d+: \d+ \[", side.get("heap?debug=1").text, re.M))
        == shape.counts(text())["heap"] > 0)))
    for name in ("block", "mutex"):
        lines = len(re.findall(r"^\d+ \d+ @", side.get(f"{name}?debug=1").text, re.M))
        found[f"{name} counts records"] = shape.counts(text())[name] == lines
    total = re.search(r"total (\d+)", side.get("threadcreate?debug=1").text).group(1)
    found["threadcreate counts threads"] = shape.counts(text())["threadcreate"] == int(total)
    return found


def asked_words(side, name):
    pc = int(side.tell(f"where {name}", "where")[0], 16)
    return pc, f"0x{pc + 4:X}+{pc + 5}+zz+0x1+0{pc + 6:o}"


def without_pc(text, pc):
    return re.sub(r"0x[0-9a-f]+", lambda m: f"PC+{int(m.group(), 16) - pc}", text).replace(
        " main.", " ")


@scene("Y2", "main")
def symbol_names_addresses_of_a_query(side):
    pc, words = asked_words(side, "keeper")
    return {"body": without_pc(side.get("symbol?" + words).text, pc),
            "start": without_pc(side.get(f"symbol?{pc:#x}").text, pc)}


@scene("Y3", "main")
def symbol_names_addresses_of_a_post(side):
    pc, words = asked_words(side, "churner")
    answer = side.get("symbol", "POST", headers=OCTETS, body=words.encode())
    chunked = side.get("symbol", "POST", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(words),
                                                                      words.encode()),
                       headers=dict(OCTETS, **{"Content-Length": None,
                                               "Transfer-Encoding": "chunked"}))
    query_too = side.get("symbol?0x1", "POST", headers=OCTETS, body=words.encode())
    return {"status": answer.status, "type": answer.header("Content-Type"),
            "body": without_pc(answer.text, pc), "chunked is the same": chunked.text == answer.text,
            "the query is not looked at": query_too.text == answer.text}


@scene("Y6", "main")
def symbol_names_the_addresses_of_profiles(side):
    address = protos.location_of(profile(side, "heap?gc=1"), "keeper")
    return {"body": without_pc(side.get(f"symbol?{address:#x}").text, address)}


@scene("R11", "main")
def a_connection_is_kept_for_the_next_request(side):
    asked = side.begin("cmdline", headers={"Connection": "keep-alive"})
    first = asked.answer(leave=False)
    asked.again("GET", "/debug/pprof/symbol")
    return {"first": first.status, "second": asked.answer().status}


# ------------------------------------------------------------------ CPU


def spare_cpu(side, path, **request):
    """Asks for a CPU profile; again, as long as another one is about to end."""
    def once():
        answer = side.get(path, **request)
        return None if b"already in use" in answer.body else answer
    return until("no CPU profile is being taken", once)


def half_a_minute(value):
    def play(side):
        answer = spare_cpu(side, f"profile?seconds={value}", within_s=1.3)
        return {"answered within 1.3 s": answer.status != 0}
    return play


for bad in ("0", "-1", "abc", "0.5", "+1"):
    SCENES.append(Scene("P4", f"seconds={bad} is half a minute", half_a_minute(bad), "half"))


@scene("P2", "thirty")
def half_a_minute_is_the_default(side):
    start_s = time.monotonic()
    answer = side.get("profile")
    p, took_s = decode(answer.body), time.monotonic() - start_s
    return dict(shape.facts(answer, side.program), **{
        "30 s": 29.9 <= took_s, "says 30 s": 29.9 <= p.duration_nanos / 1e9 <= took_s + 0.1})


@scene("P8", "cpu")
def a_cpu_profile_is_of_its_seconds(side):
    side.tell("burn 2500", "burning")
    start_s = time.time()
    p = profile(side, "profile?seconds=2")
    end_s = time.time()
    side.target.expect("burnt")
    samples = protos.samples_with(p, "burner")
    labels = [protos.labels_of(p, s) for s in samples]
    return {
        "lasts 2 s": 1.99 <= p.duration_nanos / 1e9 <= end_s - start_s + 0.1,
        "begins with the request": start_s - 0.1 <= p.time_nanos / 1e9 <= end_s - 1.9,
        "burner": bool(samples),
        "time is count times period": all(s.value[1] == s.value[0] * p.period for s in p.sample),
        "most of it is burner": (sum(s.value[1] for s in samples)
                                 > 0.5 * sum(s.value[1] for s in p.sample)),
        "labels": sorted({key for one in labels for key in one}),
        "labels are texts": all(isinstance(v, str) for one in labels for v in one.values()),
    }


def one_goes_on(side, path):
    """(a request that goes on, what another one is refused with meanwhile). Which one is refused is
    the server's choice: of connections that wait together Go serves the last one first."""
    waiting = [side.begin(path), side.begin(path)]
    first, second = waiting
    while waiting:
        for asked in begun_answers(waiting):
            waiting.remove(asked)
            if asked.status() == 500:
                return (second if asked is first else first), asked.answer()
    raise AssertionError(f"neither of two requests for {path} is refused")


@scene("P6", "cpu")
def a_second_cpu_profile_is_refused(side):
    first, second = one_goes_on(side, "profile?seconds=2")
    return dict(shape.facts(second), first=first.answer().status)


@scene("R15", "cpu")
def a_client_that_leaves_ends_its_cpu_profile(side):
    asked, _ = one_goes_on(side, f"profile?seconds={2 * DEADLINE_S:.0f}")
    asked.leave()
    return {"status of the next": spare_cpu(side, "profile?seconds=1").status}


# ------------------------------------------------------------------ deltas


def begin_delta(side, path):
    """A request for a delta whose first snapshot was taken."""
    until("no other one waits", lambda: not is_delta_waiting(side))
    asked = side.begin(path)
    until(f"{path} has begun", lambda: is_delta_waiting(side))
    return asked


def is_delta_waiting(side):
    if side.is_agent:
        return "  for deltas with seconds, bytes: 0\n" not in side.get("agent").text
    return re.search(r"^goroutine \d+ \[select\b.*\n(?:\S.*\n\t.*\n)*"
                     r"net/http/pprof\.handler\.serveDeltaProfile\(",
                     side.get("goroutine?debug=2").text, re.M) is not None


@scene("R14", "main")
def two_profiles_at_once(side):
    two, one = side.begin("mutex?seconds=2"), side.begin("heap?seconds=1")
    return {"one": one.answer().status, "two": two.answer().status}


@scene("R16", "main")
def a_client_that_leaves_ends_its_delta(side):
    for _ in range(12):  # more than may wait at the same time
        side.begin("heap?seconds=30").leave()
    until("the next is served", lambda: side.get("heap").status == 200)
    return {"status of the next": side.get("heap").status,
            "status of a delta": until("a delta is served", lambda: side.get(
                "block?seconds=1").status == 200)}


@scene("D8", "quiet")
def an_idle_second_has_no_samples(side):
    found = {}
    for name in ("heap", "mutex"):
        p = profile(side, f"{name}?seconds=1")
        found[name] = [len(p.sample), [p.string_table[t.type] for t in p.sample_type]]
    return found


@scene("D8", "exact")
def a_delta_may_be_negative(side):
    side.tell(f"keep 8 {MIB}", "kept")
    profile(side, "heap?gc=1")
    asked = begin_delta(side, "heap?seconds=2")
    side.tell("drop", "dropped")
    return blocks_of(decode(asked.answer().body), "keeper")


@scene("D9", "main")
def times_of_a_delta(side):
    found = {}
    for name in ("heap", "mutex", "goroutine"):
        at_end, length_s, took_s, _ = times(side, f"{name}?seconds=1")
        found[name] = {"ends now": at_end, "length": 0.99 <= length_s <= took_s + 0.1}
    return found


@scene("D10", "main")
def a_delta_has_only_what_happened_in_it(side):
    side.tell("contend first 20 2", "contended")
    asked = begin_delta(side, "mutex?seconds=2")
    side.tell("contend second 20 2", "contended")
    delta, plain = decode(asked.answer().body), profile(side, "mutex")
    return {"delta has the first": bool(protos.samples_with(delta, "first")),
            "delta has the second": bool(protos.samples_with(delta, "second")),
            "delta lasts": delta.duration_nanos > 0,
            "plain has both": all(protos.samples_with(plain, n) for n in ("first", "second"))}


# ------------------------------------------------------------------ contention


def contended(side, name, waiters, of):
    """(ns that the waiters waited, profile before, profile after)"""
    before = profile(side, name)
    waited = int(side.tell(f"contend {of} 200 {waiters}", "contended")[0])
    return waited, before, profile(side, name)


def grown(before, after, name, value):
    return protos.total(after, name, value) - protos.total(before, name, value)


@scene("X2", "exact")
def who_gives_up_is_charged_for_all_who_wait(side):
    waited, before, after = contended(side, "mutex", 5, "first")
    delay = grown(before, after, "first", "delay")
    charged = [n for n in (1, 5) if about(delay, waited * n / 5)]
    return {"waits charged": charged, "contentions": grown(before, after, "first", "contentions")}


@scene("B2", "exact")
def who_waits_is_in_the_block_profile(side):
    waited, before, after = contended(side, "block", 4, "second")
    names = {protos.innermost(after, s) for s in protos.samples_with(after, "taker")}
    return {"delay": about(grown(before, after, "taker", "delay"), waited),
            "contentions": grown(before, after, "taker", "contentions"),
            "innermost": sorted(names)}


# ------------------------------------------------------------------ heap


def largest_record(text, name):
    """What is in use by the largest record whose stack has a function."""
    found = [re.findall(r"^(\d+): (\d+) \[", part, re.M)[0] for part in text.split("\n\n")
             if re.search(rf"\t(main\.)?{name}\+", part)]
    return max(found, key=lambda pair: int(pair[1]), default=None)


def blocks_of(p, name):
    """{value: sum} of the samples of a function's own blocks: Go's collector may start in it, and
    charge it for what that needs."""
    kinds = [p.string_table[t.type] for t in p.sample_type]
    found = dict.fromkeys(kinds, 0)
    for s in protos.samples_with(p, name):
        if protos.labels_of(p, s).get("bytes") == MIB:
            for kind, value in zip(kinds, s.value):
                found[kind] += value
    return found


@scene("H1", "exact")
def every_allocation_is_counted_at_rate_1(side):
    side.tell("drop", "dropped")
    old = profile(side, "heap?gc=1")
    side.tell(f"keep 8 {MIB}", "kept")
    side.tell(f"churn 5 {MIB}", "churned")
    new = profile(side, "heap?gc=1")
    found = {}
    for name in ("keeper", "churner"):
        before, after = blocks_of(old, name), blocks_of(new, name)
        found.update({f"{name} {kind}": after[kind] - before[kind] for kind in after})
    text = side.get("heap?gc=1&debug=1").text
    found["header"] = text.split("\n")[0].split("@")[1]
    found["period"] = new.period
    found["keeper in the text"] = largest_record(text, "keeper")
    return found


@scene("H1", "half")
def a_text_with_nothing_freed_has_one_byte_more(side):
    """So that pprof does not take it for a text without the second pair."""
    side.tell(f"keep 4 {2 * MIB}", "kept")
    text = side.get("heap?gc=1&debug=1").text
    sums = [0, 0, 0, 0]
    for record in re.findall(r"^(\d+): (\d+) \[(\d+): (\d+)\]", text, re.M):
        sums = [a + int(b) for a, b in zip(sums, record)]
    head = [int(n) for n in re.findall(r"\d+", text.split("@")[0])]
    if sums[:2] != sums[2:]:
        return {"one more": "something was freed"}
    return {"one more": "yes" if head[3] == sums[3] + 1 else "no"}


@scene("N4", "main")
def only_gc_of_the_heap_collects(side):
    def collections():
        text = side.get("heap?debug=1").text
        return int(re.search(r"^# NumForcedGC = (\d+)$", text, re.M).group(1))
    found = {}
    for path in ("heap?gc=1", "heap?gc=0", "heap?gc=x", "heap?gc=-1", "allocs?gc=1"):
        before = collections()
        side.get(path)
        found[path] = collections() - before
    return found


@scene("D7", "main")
def a_delta_does_not_collect(side):
    text = [side.get("heap?debug=1").text]
    side.get("heap?seconds=1&gc=1")
    text.append(side.get("heap?debug=1").text)
    forced = [re.search(r"^# NumForcedGC = (\d+)$", t, re.M).group(1) for t in text]
    return {"collected": forced[0] != forced[1]}


@scene("F1", "main")
def addresses_in_texts_and_protos_are_of_one_kind(side):
    text = side.get("mutex?debug=1").text
    part = next(p for p in text.split("\n\n") if re.search(r"\t(main\.)?first\+", p))
    listed = [int(pc, 16) for pc in re.findall(r" (0x[0-9a-f]+)", part.split("\n")[-1]
                                               if "@" in part.split("\n")[-1] else
                                               next(line for line in part.split("\n")
                                                    if "@" in line))]
    lines = {int(pc, 16) for pc in re.findall(r"^#\t(0x[0-9a-f]+)", part, re.M)}
    p = profile(side, "mutex")
    in_proto = {p.location[i - 1].address for s in protos.samples_with(p, "first")
                for i in s.location_id}
    return {"lines are one before the list": lines <= {pc - 1 for pc in listed},
            "locations are one before the list": in_proto <= {pc - 1 for pc in listed},
            "locations lie in their mappings": all(protos.is_inside(p, loc) for loc in p.location),
            "mappings are whole": all(m.memory_start < m.memory_limit for m in p.mapping)}


# ------------------------------------------------------------------ threads


@scene("G1", "main")
def equal_stacks_are_one_row(side):
    text = side.get("goroutine?debug=1").text
    rows = [part for part in text.split("\n\n") if re.search(r"\t(main\.)?parker\+", part)]
    first = [row for row in re.findall(r"^(\d+) @", text, re.M)][:1]
    p = profile(side, "goroutine")
    samples = protos.samples_with(p, "parker")
    return {"rows": len(rows), "count": [re.search(r"(\d+) @", row).group(1) for row in rows],
            "first row": first, "parker in the proto": sum(s.value[0] for s in samples),
            "labels in the text": bool(re.search(r"^# labels: ", text, re.M)),
            "labels in the proto": sorted({k for s in samples for k in protos.labels_of(p, s)})}


@scene("G2", "main")
def each_one_is_in_the_dump(side):
    text = side.get("goroutine?debug=2").text
    blocks = [b for b in text.split("\n\n") if re.search(r"^(main\.)?parker\(", b, re.M)]
    more = side.get("goroutine?debug=3").text
    return {"blocks": len(blocks),
            "each says who made it": all("\ncreated by " in b for b in blocks),
            "debug=3 is the same": more.startswith("goroutine ")}


@scene("V1", "main")
def creators_of_threads(side):
    one, two = (side.get(f"threadcreate?debug={n}").text for n in (1, 2))
    return {"debug=2 is debug=1": one == two, "creators": sorted(
        set(re.findall(r"\t(?:main\.)?(hold|start|park)\+", one)))}


@scene("T5", "custom")
def a_second_trace_is_refused(side):
    if side.get("trace?seconds=0.1").status == 404:
        return shape.facts(side.get("trace?seconds=0.1"))
    first, second = one_goes_on(side, "trace?seconds=1")
    return dict(shape.facts(second), first=first.answer().status)


@scene("U1", "custom")
def a_custom_profile_counts_its_members(side):
    answer = side.get("example.com/my.custom?debug=1")
    counts = shape.counts(side.get("/debug/pprof/").text)
    return {"first line": answer.text.split("\n")[0], "members": answer.text.count("member+"),
            "index": counts.get("example.com/my.custom")}
