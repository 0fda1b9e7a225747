# SPDX-License-Identifier: Apache-2.0
"""Requests and controls: recording, errors, labels, comparisons, threads, files, the address."""
import gzip
import re
import threading
import xml.etree.ElementTree
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lib.browser import PHONE, WIDE
from lib.harness import CONTENTION, EXACT, PREFIX, pairs, request, until, victim
from lib.made_profiles import Made
from lib.profiles import HEAP_TYPES, Profile


@pytest.fixture(scope="module")
def blocks(begin_target):
    target = begin_target([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    return target


# ------------------------------------------------------------------ the index, and what is fetched


def test_index_links_each_row_to_its_graph(page, blocks):
    page.port = blocks.port
    page.driver.get(f"http://127.0.0.1:{blocks.port}{PREFIX}/")
    names = [a.text for a in page.driver.find_elements(By.CSS_SELECTOR, "a[href$='debug=1']")]
    links = page.driver.find_elements(By.LINK_TEXT, "graph")
    assert len(links) == len(names) >= 10
    rows = page.driver.find_elements(By.CSS_SELECTOR, "a[href$='debug=1']")
    assert [a.location["y"] for a in links] == [a.location["y"] for a in rows]
    links[names.index("allocs")].click()
    page.ready()
    assert page.at("profile").get_attribute("value") == "allocs"
    assert page.at("type").get_attribute("value") == "alloc_space"  # its default_sample_type


def test_heap_has_its_four_values(page, blocks):
    page.open(blocks, "view=table")
    assert list(page.options("type")) == [name.split("/")[0] for name in HEAP_TYPES]
    profile = Profile(blocks.get("/heap").body)
    for name in page.options("type"):
        page.select("type", name)
        until(name, lambda: f"type={name}" in page.address())
        for function in ("keep_blocks", "churn_blocks"):
            value = profile.total(name, function)
            if function in page.table():
                assert page.table()[function][1] == value, (name, function)
            else:
                assert value == 0


def test_profiles_are_chosen_and_texts_are_shown(page, blocks):
    page.open(blocks)
    names = page.options("profile")
    assert {"heap", "allocs", "profile", "goroutine", "block", "mutex", "threadcreate", "trace",
            "cmdline", "fgprof"} <= set(names)
    page.select("profile", "cmdline").ready()
    assert page.text("list").strip() == f"{victim('v_blocks')} 8"
    page.select("profile", "goroutine").ready()
    page.view("table")
    assert "main" in page.table()
    assert page.options("pid") == {"": f"v_blocks {blocks.pid}"}


def test_recording_shows_progress_and_can_be_cancelled(page, blocks):
    page.open(blocks, "profile=profile&seconds=30", ready=False)
    until("it records", lambda: re.fullmatch(r"recording, \d+ s left", page.text("status")))
    until("it advances", lambda: float(page.at("progress").get_attribute("value") or 0) > 0.01)
    page.click("cancel")
    until("it is cancelled", lambda: page.text("status") == "cancelled")
    assert not page.shown("progress") and not page.shown("cancel")
    # The agent notices, and records for the next one.
    page.type("seconds", "1")
    page.at("seconds").send_keys(Keys.ENTER)
    until("it is drawn", lambda: page.shown("graph") or page.shown("error"))
    assert not page.shown("error"), page.text("error")
    assert "seconds=1" in page.address()


def test_errors_of_the_server_are_shown_in_its_own_words(page, blocks):
    page.open(blocks)
    page.type("seconds", "0").click("fetch")  # the browser refuses: at least 1
    assert not page.shown("error")
    page.open(blocks, "profile=nosuch", ready=False)
    until("the error", lambda: page.shown("error"))
    assert page.text("error") == "404 Not Found: Unknown profile"
    page.open(blocks, "profile=heap&seconds=abc", ready=False)
    until("the error", lambda: page.shown("error"))
    assert page.text("error") == (
        '400 Bad Request: invalid value for "seconds" - must be a positive integer')
    page.select("profile", "allocs").ready()  # and it goes on
    page.complaints()  # the statuses


def test_process_that_is_not_reached_is_no_other_one(page, blocks):
    page.open(blocks, f"pid={blocks.pid}&view=table")  # its own
    assert "keep_blocks" in page.table()
    for view in ("table", "threads"):
        page.open(blocks, f"pid=1&view={view}", ready=False)
        until("the error", lambda: page.shown("error"))
        assert not page.shown("list") and not page.shown("graph")
    page.complaints()  # statuses


def test_broken_files_are_refused_with_the_reason(page, idle, made_file):
    page.open(idle)
    good = Made().add(["f"], [1, 2])
    raw = gzip.decompress(good.bytes())
    for n, (data, why) in enumerate(((b"", "not a profile: it has no values"),
                      (b"hello", "not a profile"), (raw[:-3], "not a profile: it is cut off"),
                      (gzip.compress(raw[:20]), "not a profile"), (good.bytes()[:-9], ""))):
        page.give_file(made_file(data, f"broken{n}"))
        assert page.shown("error"), n
        assert page.text("error").startswith(f"broken{n}: {why}"), (data, page.text("error"))
    page.give_file(made_file(good)).ready()
    assert page.view("table").table() == {"f": (2, 2)}


# ------------------------------------------------------------------ labels


LABELLED = (Made().add(["f", "main"], [1, 100], {"thread": "conn1", "tid": 11})
            .add(["g", "main"], [2, 300], {"thread": "conn2", "tid": 12, "tenant": "acme"})
            .add(["g", "main"], [1, 600]))


def test_labels_filter(page, idle, made_file):
    page.open(idle).give_file(made_file(LABELLED)).view("table")
    assert list(page.labels()) == ["thread", "tid", "tenant"]
    assert [o.text for o in page.labels()["thread"].options] == ["all", "conn2 (30.00%)",
                                                                 "conn1 (10.00%)"]
    page.labels()["thread"].select_by_value("=conn2")
    assert page.table() == {"g": (300, 300), "main": (0, 300)}
    assert "only=thread" in page.address()
    page.labels()["tid"].select_by_value("=11")
    assert page.table() == {}
    page.labels()["thread"].select_by_value("")
    assert page.table() == {"f": (100, 100), "main": (0, 100)}
    page.labels()["tid"].select_by_value("")
    assert page.table()["main"] == (0, 1000)


def test_labels_group(page, idle, made_file):
    page.open(idle).give_file(made_file(LABELLED))
    assert list(page.options("group")) == ["", "thread", "tid", "tenant"]
    page.select("group", "tenant")
    page.find_box("tenant: (none)")
    assert "cum 700B (70.00%)" in page.info() and "callers" not in page.info()
    page.click_box("tenant: acme")
    page.find_box("g")
    assert "cum 300B (30.00%)" in page.info()
    page.select("group", "")
    page.find_box("g")
    assert "cum 900B (90.00%)" in page.info()


def test_threads_and_pids_of_the_agent_are_labels(page, begin_target):
    target = begin_target([victim("v_park")], **CONTENTION)
    target.expect("ready")
    threads = pairs(target.ask("states", "states"))
    page.open(target, "profile=goroutine&view=table")
    assert {"thread", "tid"} <= set(page.labels())
    page.labels()["thread"].select_by_value("=mutex")
    assert "park_mutex" in page.table() and "park_cond" not in page.table()
    page.labels()["thread"].select_by_value("")
    page.labels()["tid"].select_by_value(f"={threads['cond']}")
    assert "park_cond" in page.table() and "park_mutex" not in page.table()


# ------------------------------------------------------------------ threads


def test_threads_are_grouped_with_states_and_the_holder_is_a_link(page, begin_target):
    target = begin_target([victim("v_park")], **CONTENTION)
    target.expect("ready")
    threads = pairs(target.ask("states", "states"))
    page.open(target, "view=threads")
    heads = [head.text for head in page.driver.find_elements(By.TAG_NAME, "h2")]
    for state in ("1 × mutex lock, held by …", "1 × semaphore wait", "1 × barrier wait",
                  "1 × join …", "1 × system call epoll_wait"):
        assert state in heads, heads
    line = page.at(f"thread-{threads['mutex']}")
    assert re.search(r"mutex: mutex lock 0x[0-9a-f]+, held by", line.text)
    line.find_element(By.TAG_NAME, "button").click()
    assert page.read("document.activeElement.id") == f"thread-{target.pid}"
    assert "here" in page.at(f"thread-{target.pid}").get_attribute("class")
    page.type("find", "park_sem")
    until("one is left", lambda: len(page.driver.find_elements(By.TAG_NAME, "h2")) == 1)
    assert "park_sem  " in page.text("list")


def dump(target):
    """The head without the thread, and the frames, of each thread."""
    for block in target.get("/goroutine?debug=2").text.strip().split("\n\n"):
        head, _, frames = block.partition("\n")
        yield (re.search(r"\[([^\]]*)", head)[1].split(" 0x")[0],
               frames.partition("created by ")[0])


def test_equal_stacks_of_threads_are_one_group(page, begin_target):
    target = begin_target([victim("v_park")])
    target.expect("ready")
    target.ask("many 200", "many")
    page.open(target, "view=threads")
    stacks = Counter(names for names in dump(target))
    assert page.text("list").startswith(f"201 threads, {len(stacks)} stacks")
    heads = [head.text for head in page.driver.find_elements(By.TAG_NAME, "h2")]
    assert sorted(int(head.split()[0]) for head in heads) == sorted(stacks.values())


# ------------------------------------------------------------------ comparisons

BEFORE = Made().add(["f", "main"], [4, 400]).add(["g", "main"], [1, 100])
AFTER = (Made().add(["f", "main"], [1, 150]).add(["g", "main"], [1, 100])
         .add(["new", "main"], [2, 200]))


def differs(page):
    page.find_box("f")
    assert "flat -250B (-50.00%)" in page.info()  # of the 500 before
    page.find_box("new")
    assert "flat 200B (40.00%)" in page.info()
    page.view("table")
    assert page.table() == {"f": (-250, -250), "new": (200, 200), "main": (0, -50), "g": (0, 0)}


def test_compare_with_a_file(page, idle, made_file):
    page.open(idle).give_file(made_file(AFTER, "after")).give_file(made_file(BEFORE, "before"),
                                                                  "other")
    differs(page)


def test_compare_with_an_earlier_fetch(page, idle, made_file):
    page.open(idle).give_file(made_file(BEFORE, "before")).give_file(made_file(AFTER, "after"))
    found = [value for value, text in page.options("base").items() if text == "before"]
    page.select("base", found[0])
    differs(page)
    page.select("base", "")
    assert page.table()["main"] == (0, 450)


def test_compare_with_what_was_fetched_before(page, blocks):
    page.open(blocks, "view=table")
    page.click("fetch").ready()
    until("the fetch before is there", lambda: len(page.options("base")) == 2)
    page.select("base", list(page.options("base"))[1])
    assert page.table()["keep_blocks"] == (0, 0)


# ------------------------------------------------------------------ files and the command


def test_saved_profile_is_what_was_sent(page, idle, made_file, blocks):
    page.open(idle).give_file(made_file(LABELLED))
    assert page.saved("save", r".*\.pb\.gz") == LABELLED.bytes()
    assert page.saved("folded", r".*\.folded").decode() == "main;f 100\nmain;g 900\n"
    svg = xml.etree.ElementTree.fromstring(page.saved("svg", r".*\.svg").decode())
    titles = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert "g: flat 900B (90.00%), cum 900B (90.00%)" in titles
    page.open(idle, "view=table")  # an image of what was not drawn yet
    assert ">all</text>" in page.saved("svg", r".*\.svg").decode()
    page.open(blocks)
    Profile(page.saved("save", rf"heap-{blocks.pid}\.pb\.gz"))


def test_command_for_go_tool_pprof(page, blocks):
    page.open(blocks, "profile=allocs&seconds=1")
    page.open_files()
    assert page.at("command").get_attribute("value") == (
        f'go tool pprof -http=: "http://127.0.0.1:{blocks.port}{PREFIX}/allocs?seconds=1"')
    page.click("copy").type("find", "")
    page.at("find").send_keys(Keys.CONTROL + "v")
    assert page.at("find").get_attribute("value").startswith("go tool pprof -http=: ")


# ------------------------------------------------------------------ the address


def test_address_has_the_whole_state(page, blocks):
    page.open(blocks).select("profile", "allocs").ready()
    page.select("type", "alloc_objects").select("order", "flame").type("find", "churn")
    page.click_box("churn_blocks")
    address = page.address()
    boxes = page.read("document.getElementById('boxes').toDataURL()")
    page.driver.switch_to.new_window("tab")
    page.driver.get(address)
    page.resize(WIDE)
    page.ready()
    assert [page.at(name).get_attribute("value") for name in ("profile", "type", "order", "find")] \
        == ["allocs", "alloc_objects", "flame", "churn"]
    height = page.at("boxes").size["height"]
    assert page.point(2, height // 18 - 4) and "match" in page.text("matches")
    assert "100.00% match" == page.text("matches")
    assert page.read("document.getElementById('boxes').width") and boxes
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])


def test_back_undoes(page, blocks):
    page.open(blocks).view("table")
    page.select("type", "inuse_objects").view("graph")
    page.driver.back()
    until("the table", lambda: page.shown("list"))
    page.driver.back()
    until("the type", lambda: page.at("type").get_attribute("value") == "inuse_space")
    page.driver.back()
    until("the graph", lambda: page.shown("graph"))


# ------------------------------------------------------------------ the window


@pytest.mark.parametrize("view", ["graph", "table", "sandwich", "threads"])
def test_phone_shows_all_without_scrolling_sideways(page, blocks, view):
    page.resize(PHONE)
    page.open(blocks, f"view={view}&focus=keep_blocks")
    assert not page.overflows()
    for name in ("pid", "profile", "fetch", "type", "find", "group", "base"):
        box = page.at(name).rect
        assert 0 <= box["x"] and box["x"] + box["width"] <= PHONE[0], name


def test_dark_and_light(page, idle, made_file):
    page.open(idle).give_file(made_file(BEFORE))

    def brightness():
        colour = page.read("getComputedStyle(document.body).backgroundColor")
        x, row = page.find_box("f")
        return (sum(map(int, re.findall(r"\d+", colour)[:3])) / 3, sum(page.colour(x, row)) / 3)
    light = brightness()
    page.scheme("dark")
    until("it is dark", lambda: brightness()[1] < light[1] - 60)
    assert light[0] > 200 and brightness()[0] < 60


# ------------------------------------------------------------------ access, and what must not run


def test_token_is_asked_for_and_kept_out_of_addresses(page, begin_target):
    target = begin_target([victim("v_blocks"), "8"], wait=False, token="s3cret")
    target.expect("ready")

    def answers():
        try:
            return request(target.port, f"{PREFIX}/ui").status == 200
        except OSError:
            return False
    until("the port answers", answers)
    page.open(target, "view=table", ready=False)
    until("the token is asked for", lambda: page.shown("login"))
    assert page.text("error") == "401 Unauthorized: the token is missing or wrong"
    page.type("token", "wrong")
    page.press(Keys.ENTER)
    until("it is refused", lambda: page.shown("error") and page.shown("login"))
    page.type("token", "s3cret")
    page.press(Keys.ENTER)
    until("the table", lambda: page.shown("list"))
    assert "keep_blocks" in page.table() and not page.shown("login")
    page.driver.refresh()  # this tab keeps it
    page.ready()
    page.open_files()
    assert page.at("command").get_attribute("value").endswith('/heap?token=$PPROFAGENT_TOKEN"')
    page.driver.execute_script("sessionStorage.clear()")
    page.open(target, "view=table", query="?token=s3cret")
    assert "s3cret" not in page.address() and "keep_blocks" in page.table()
    page.driver.execute_script("sessionStorage.clear()")
    page.complaints()  # the statuses


HOSTILE = ["<img src=x onerror=\"document.title='owned'\">", "</script><script>owned=1</script>",
           "\"><svg onload=owned=1>", "javascript:owned=1", "${owned=1}", "'; owned=1; //",
           "\u202ereversed", "a\nb\tc\x01", "`+owned+`", "<style>*{display:none}</style>", "&lt;",
           "constructor", "__proto__", "toString"]


def test_hostile_names_execute_nothing(page, idle, made_file):
    made = Made()
    for n, name in enumerate(HOSTILE):
        made.add([name, "main"], [1, 100], {"thread": name, name: name, "n": n})
    page.open(idle).give_file(made_file(made, "<img src=x onerror=owned=1>.pb.gz"))
    for name in HOSTILE:
        page.find_box(name)
        assert page.info().startswith(name)
    page.select("group", "thread")
    page.view("table")
    assert set(page.table()) == {*HOSTILE, "main"}
    for n, name in enumerate(HOSTILE[:4], 1):
        page.labels()["thread"].select_by_index(n)
        assert set(page.table()) == {name, "main"}
    page.labels()["thread"].select_by_index(0)
    for name in HOSTILE[:3]:
        page.view("table")
        page.read("[...document.querySelectorAll('tbody button')]"
                  ".find(each => each.textContent === arguments[0]).click()", name)
        page.find_box(name)
    svg = page.saved("svg", r".*\.svg").decode()
    tags = {each.tag.split("}")[1] for each in xml.etree.ElementTree.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "title", "rect", "text"}
    assert len(page.saved("folded", r".*\.folded").decode().splitlines()) == len(HOSTILE)
    assert page.read("typeof owned") == "undefined"
    assert page.driver.title.endswith("pprof")
    assert page.read("[document.images.length, document.scripts.length, "
                     "document.querySelectorAll('style, main svg').length]") == [0, 1, 0]


class Hostile(BaseHTTPRequestHandler):
    """A server whose texts are markup: the page, its files, and an index and dumps of its own."""
    files = {}

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix(PREFIX + "/")
        status, kind, body, policy = 200, "text/plain", b"", None
        if path in self.files:
            kind, body, policy = self.files[path]
        elif path == "agent":
            body = b'{"agent": {"pid": 7}}'
        elif path == "processes":
            body = b'{"processes": [{"pid": 7, "depth": 0, "state": "serving", "program": "<b>"}]}'
        elif path == "":
            kind = "text/html"
            body = (b"<style>x</style><table><tr><td>1</td><td><a href='heap'><img src=x "
                    b"onerror=owned=1><script>owned=1</script>heap</a></td></tr></table>")
        elif path == "goroutine":
            body = (b"goroutine 7 [<img src=x onerror=owned=1>, held by 9] "
                    b"<script>owned=1</script>:\n<img src=x onerror=owned=1>(...)\n\t<b>:1 +0x1\n")
        else:
            status, body = 500, b"<img src=x onerror=owned=1>"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_hostile_answers_execute_nothing(page, idle):
    for name in ("ui", "ui.css", "ui.js"):
        answer = request(idle.port, f"{PREFIX}/{name}")
        Hostile.files[name] = (answer.headers["Content-Type"], answer.body,
                               answer.headers["Content-Security-Policy"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.open(server.server_port, ready=False)
        until("the error", lambda: page.shown("error"))
        assert page.text("error").endswith(": <img src=x onerror=owned=1>")
        page.click("threads-view")
        until("the threads", lambda: page.shown("list"))
        assert "<img src=x onerror=owned=1>, held by 9" in page.text("list")
        assert page.options("pid") == {"": "<b> 7"}
        assert page.read("typeof owned") == "undefined"
        assert page.read("document.images.length") == 0
    finally:
        server.shutdown()
        server.server_close()
    page.complaints()  # the status 500


@pytest.mark.parametrize("name, kind", [("ui", "text/html"), ("ui.css", "text/css"),
                                        ("ui.js", "text/javascript")])
def test_files_have_a_strict_policy(idle, name, kind):
    answer = request(idle.port, f"{PREFIX}/{name}")
    packed = request(idle.port, f"{PREFIX}/{name}", headers={"Accept-Encoding": "gzip"})
    assert answer.status == packed.status == 200
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert "Content-Encoding" not in answer.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == answer.body
    policy = dict(part.strip().split(" ", 1)
                  for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
                      "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
                      "frame-ancestors": "'none'"}


def test_page_is_small(idle):
    assert sum(len(request(idle.port, f"{PREFIX}/{name}").body)
               for name in ("ui", "ui.css", "ui.js")) < 40_000
