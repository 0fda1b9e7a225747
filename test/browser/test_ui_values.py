# SPDX-License-Identifier: Apache-2.0
"""The table against `go tool pprof -top` on the same bytes, for profiles of real programs."""
import gzip
import re

import pytest

from lib.harness import CONTENTION, Later, free_port, until, victim
from lib.profiles import Profile, profile_pb2

SQL = """create table t (a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into t select i, hex(randomblob(20)) from n;
create index i on t(b); select count(*) from t x, t y where x.a = y.a and x.b < y.b || 'z';
"""
PYTHON = """
import json, threading
def work():
    kept = []
    while True:
        kept.append(json.dumps({str(i): [i] * 20 for i in range(50)}))
        del kept[:-500]
for n in range(3):
    threading.Thread(target=work, daemon=True, name=f"worker{n}").start()
print("ready", flush=True)
input()
"""


@pytest.fixture(scope="module")
def profiles(begin_target):
    """Ten of them: {name: bytes}."""
    python = begin_target(["/usr/bin/python3", "-c", PYTHON], X_PYTHONMALLOC="malloc")
    redis = begin_target(["/usr/bin/redis-server", "--port", str(free_port()), "--save", ""],
                         heap_rate=4096)
    sqlite = begin_target(["/usr/bin/sqlite3", ":memory:"], heap_rate=8192)
    unnamed = begin_target(["/usr/bin/python3", "-c", PYTHON], X_PYTHONMALLOC="malloc",
                           unnamed="none")
    sqlite.process.stdin.write(SQL.encode() * 5)
    sqlite.process.stdin.flush()
    contend = begin_target([victim("v_park")], **CONTENTION)
    contend.expect("ready")
    contend.ask("states", "states")
    cxx = begin_target([victim("v_cxx")], heap_rate=1)
    later = {name: Later(target, path) for name, (target, path) in {
        "python CPU": (python, "/profile?seconds=2"), "sqlite CPU": (sqlite, "/profile?seconds=2"),
        "python heap, what changed": (python, "/heap?seconds=1"),
        "python wall clock": (python, "/debug/fgprof?seconds=1")}.items()}
    found = {name: each.answer().body for name, each in later.items()}
    found.update({"python without names": unnamed.get("/heap").body,
                  "python heap": python.get("/heap").body, "redis heap": redis.get("/heap").body,
                  "sqlite allocations": sqlite.get("/allocs").body,
                  "threads": contend.get("/goroutine").body,
                  "creations": contend.get("/threadcreate").body,
                  "waits": contend.get("/block").body, "C++ heap": cxx.get("/heap").body})
    return found


def top(pprof, path, index, unit):
    """{function: (flat, cum)} of pprof, and its total. As the page, it looks nothing up."""
    out, _ = pprof("-top", "-symbolize=none", "-nodefraction=0", "-edgefraction=0",
                   "-nodecount=1000000", f"-sample_index={index}", f"-unit={unit}", str(path))
    found = {}
    head, _, rows = out.partition("flat  flat%")
    for line in rows.split("\n")[1:]:
        if line.strip():
            flat, _, _, cum, _, name = line.split(None, 5)
            name = re.sub(r" \((partial-)?inline\)$", "", name)
            assert name not in found, name
            found[name] = (whole(flat), whole(cum))
    return found, whole(re.search(r"of (\S+) total", head)[1])


def whole(text):
    return int(re.match(r"-?\d+", text)[0])


def merged(rows, functions):
    """As pprof: what has no name is one row for each file, [file]. Its cum cannot be added up."""
    named, nameless = {}, {}
    for name, (flat, cum) in rows.items():
        place = re.fullmatch(r"(.*)\+0x-?[0-9a-f]+", name)
        if place and name not in functions:
            nameless[f"[{place[1]}]"] = nameless.get(f"[{place[1]}]", 0) + flat
        else:
            named[name] = (flat, cum)
    return named, nameless


def check(page, pprof, path):
    profile = profile_pb2.Profile()
    profile.ParseFromString(gzip.decompress(path.read_bytes()))
    types = [(profile.string_table[t.type], profile.string_table[t.unit])
             for t in profile.sample_type]
    functions = {profile.string_table[f.name] for f in profile.function}
    assert list(page.options("type")) == [name for name, _ in types]
    for index, (name, unit) in enumerate(types):
        page.select("type", name)
        until(name, lambda: page.at("type").get_attribute("value") == name)
        named, nameless = merged(page.table(), functions)
        wanted, total = top(pprof, path, index, unit)
        flats = {name: flat for name, (flat, _) in wanted.items() if name.startswith("[")
                 and name not in named}
        wanted = {name: row for name, row in wanted.items() if name not in flats}
        assert named == wanted
        assert nameless == flats
        assert total == sum(abs(s.value[index]) for s in profile.sample)
        yield len(named)


def test_flat_and_cum_are_those_of_pprof(page, pprof, profiles, idle, made_file):
    page.open(idle, "view=table")
    assert len(profiles) >= 10
    rows = 0
    for name, body in profiles.items():
        path = made_file(body, name)
        Profile(body)
        page.give_file(path).ready()
        rows += sum(check(page, pprof, path))
    assert rows > 500


# ------------------------------------------------------------------ 100,000 stacks

STACKS, DEPTH, FUNCTIONS = 100_000, 30, 5_000
TOTAL = sum(1 + n % 97 for n in range(STACKS))


def many():
    """A profile of so many different stacks, written without objects: they would take a minute."""
    def varint(number):
        out = bytearray()
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        return bytes(out + bytes([number]))

    def field(tag, data):
        return varint(tag << 3 | 2) + varint(len(data)) + data
    ids = [varint(n) for n in range(FUNCTIONS + 1)]
    parts = [field(1, b"\x08\x01\x10\x02")]
    for n in range(STACKS):
        # From main on they part: two callees each, down to depth 17, where no two are equal.
        places = [ids[1 + ((n >> max(0, 17 - depth)) * 31 + depth * 7) % FUNCTIONS]
                  for depth in range(DEPTH)]
        parts.append(field(2, field(1, b"".join(reversed(places)))
                           + field(2, varint(1 + n % 97))))
    for n in range(1, FUNCTIONS + 1):
        parts.append(field(4, b"\x08" + ids[n] + field(4, b"\x08" + ids[n])))
        parts.append(field(5, b"\x08" + ids[n] + b"\x10" + varint(n + 2)))
    texts = ["", "samples", "count"] + [f"function_{n:04}" for n in range(1, FUNCTIONS + 1)]
    return gzip.compress(b"".join(parts) + b"".join(field(6, t.encode()) for t in texts), 1,
                         mtime=0)


def work(page, do):
    """CPU time of the page's thread while do() is done, in ms: other load does not count."""
    def ticks():
        metrics = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {each["name"]: each["value"] for each in metrics}["TaskDuration"] * 1000
    before = ticks()
    do()
    page.measure("requestAnimationFrame(() => setTimeout(() => done(1)));")
    return ticks() - before


def test_a_hundred_thousand_stacks_stay_fluid(page, idle, made_file, capsys):
    path = made_file(many(), "many")
    page.open(idle)
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    page.open_files()

    def show():
        page.at("open").send_keys(str(path))
        page.measure(f"""const info = document.getElementById('info');
            const look = () => info.textContent.startsWith('Total {TOTAL:,}') && done(1);
            look(), new MutationObserver(look).observe(info, {{childList: true}});""")
    first = work(page, show)
    page.point(40, 1)
    zooms = [work(page, lambda: page.click_at(40, row)) for row in range(1, 8)]
    assert "zoom=" in page.address()
    searched = work(page, lambda: page.type("find", "9"))
    with capsys.disabled():
        print(f" [first drawing {first:.0f} ms, zooms {', '.join(f'{z:.0f}' for z in zooms)} ms, "
              f"search {searched:.0f} ms]", end="")
    page.driver.execute_cdp_cmd("Performance.disable", {})
    page.type("find", "").view("table")
    assert sum(flat for flat, _ in page.table().values()) == TOTAL
    assert first < 1000
    assert max(zooms) < 100
