# SPDX-License-Identifier: Apache-2.0
"""Several processes behind one port: the picker, the state of the address, comparisons."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver.common.by import By

from lib.harness import EXACT, request, until, victim


class Relay(BaseHTTPRequestHandler):
    """What an agent does that relays to its descendants, by their own agents."""
    targets = {}  # by pid, the first is the process itself

    def do_GET(self):
        url = urlsplit(self.path)
        pids = list(self.targets)
        pid = int(parse_qs(url.query).get("pid", pids)[0])
        if url.path.endswith("/processes"):
            rows = [{"pid": pid, "ppid": pids[0] if depth else 1, "depth": depth,
                     "program": f"program{n}", "state": "serving"}
                    for n, (pid, depth) in enumerate(zip(pids, (0, 1, 2)))]
            rows.append({"pid": 1, "ppid": 0, "depth": 0, "program": "init", "state": "inert"})
            answer = None, json.dumps({"processes": rows, "cut": False}).encode()
        else:
            got = request(self.targets[pid].port, self.path)
            answer = got, got.body
        self.send_response(answer[0].status if answer[0] else 200)
        for name, value in (answer[0].headers if answer[0] else {}).items():
            if name in ("Content-Type", "Content-Security-Policy", "Content-Disposition"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer[1])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def family(begin_target):
    """The port of the relay, and the three processes behind it."""
    targets = [begin_target([victim("v_blocks"), str(n)], **EXACT) for n in (8, 16, 24)]
    for target in targets:
        target.expect("ready")
    Relay.targets = {target.pid: target for target in targets}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, targets
    server.shutdown()
    server.server_close()


def kept(page):
    return page.table()["keep_blocks"][1]


def test_processes_are_a_tree_and_one_is_picked(page, family):
    port, (first, second, third) = family
    page.open(port, "view=table")
    assert page.options("pid") == {
        "": f"program0 {first.pid}", str(second.pid): f"\xa0\xa0program1 {second.pid}",
        str(third.pid): f"\xa0\xa0\xa0\xa0program2 {third.pid}"}
    of_first = kept(page)
    page.select("pid", str(third.pid))
    until("another process", lambda: page.idle() and kept(page) != of_first)
    assert f"pid={third.pid}" in page.address()
    page.open_files()
    assert f"heap?pid={third.pid}" in page.at("command").get_attribute("value")
    page.view("threads")
    assert page.driver.find_element(By.ID, f"thread-{third.pid}")
    page.select("pid", "")
    until("the first again", lambda: page.read(
        f"!!document.getElementById('thread-{first.pid}')"))


def test_address_has_the_process(page, family):
    port, (_, second, third) = family
    page.open(port, f"view=table&pid={second.pid}")
    of_second = kept(page)
    page.open(port, "view=table", query=f"?pid={third.pid}")  # as the agent relays the page
    assert page.at("pid").get_attribute("value") == str(third.pid)
    assert kept(page) != of_second


def test_compare_with_another_process(page, family):
    port, (first, second, _) = family
    page.open(port, f"view=table&type=inuse_objects&pid={second.pid}")
    of_second = kept(page)
    page.open(port, "view=table&type=inuse_objects")
    of_first = kept(page)
    page.select("base", f"pid:{second.pid}")
    until("the difference", lambda: page.idle() and kept(page) == of_first - of_second)
    assert of_first != of_second
    page.driver.refresh()  # a link with the comparison
    page.ready()
    assert kept(page) == of_first - of_second
    assert f"base=pid%3A{second.pid}" in page.address()
    assert str(first.pid) in page.driver.title
