# SPDX-License-Identifier: Apache-2.0
"""Index, cmdline, symbol, the agent page, and what every answer has in common."""
import json
import re
import subprocess
from pathlib import Path

import pytest

from lib.harness import EXACT, PREFIX, raw_request, request, until, victim
from lib.profiles import Profile, heap

ROWS = ["allocs", "cmdline", "heap", "profile", "symbol"]
TEXTS = {
    "allocs": "A sampling of all past memory allocations",
    "cmdline": "The command line invocation of the current program",
    "heap": "A sampling of memory allocations of live objects. You can specify the gc GET "
            "parameter to run GC before taking the heap sample.",
    "profile": "CPU profile. You can specify the duration in the seconds GET parameter. After "
               "you get the profile file, use the go tool pprof command to investigate the "
               "profile.",
    "symbol": "Maps given program counters to function names. Counters can be specified in a "
              "GET raw query or POST body, multiple counters are separated by &#39;+&#39;.",
}


@pytest.fixture(scope="module")
def target(shared_start):
    target = shared_start([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    return target


def is_error(answer, status, text):
    assert (answer.status, answer.text) == (status, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Go-Pprof"] == "1"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Disposition" not in answer.headers


# ------------------------------------------------------------------ index


def test_index_is_gos_page(target):
    answer = request(target.port, PREFIX + "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<title>/debug/pprof/</title>" in answer.text
    assert "Types of profiles available:" in answer.text
    assert "Set debug=1 as a query parameter to export in legacy text format" in answer.text


def test_index_rows_are_sorted_and_counted(target):
    text = request(target.port, PREFIX + "/").text
    rows = re.findall(r"<tr><td>(\d+)</td><td><a href='([^']+)\?debug=1'>([^<]+)</a></td></tr>",
                      text)
    names = [name for _, _, name in rows]
    assert [n for n in names if n in ROWS] == ROWS
    assert names == sorted(names)
    assert all(href == name for _, href, name in rows)
    counts = {name: int(count) for count, _, name in rows}
    assert counts["heap"] == counts["allocs"] > 0
    assert counts["cmdline"] == counts["profile"] == counts["symbol"] == 0


def test_index_describes_each_profile(target):
    text = request(target.port, PREFIX + "/").text
    for name, what in TEXTS.items():
        assert f"<li><div class=profile-name>{name}: </div> {what}</li>" in re.sub(
            r"\s+</li>", "</li>", text), name


@pytest.mark.parametrize("path, to", [
    ("/debug/pprof", "/debug/pprof/"), ("/", "/debug/pprof/"),
    ("/debug/pprof//heap", "/debug/pprof/heap"),
    ("/debug/pprof/./heap", "/debug/pprof/heap"),
])
def test_redirects(target, path, to):
    answer = request(target.port, path)
    assert (answer.status, answer.headers["Location"]) == (301, to)


@pytest.mark.parametrize("path", ["/nosuch", "/cmdline/", "/heap/",
                                  "/%3Cscript%3Escripty%3Cscript%3E", "/nosuch?seconds=abc"])
def test_unknown_profile_is_404_with_gos_text(target, path):
    is_error(target.get(path), 404, "Unknown profile\n")


@pytest.mark.parametrize("path", ["/elsewhere", "/debug/", "/debug/pprofx"])
def test_outside_of_the_prefix_nothing_is_served(target, path):
    assert request(target.port, path).status == 404


# ------------------------------------------------------------------ named profiles


@pytest.mark.parametrize("name", ["heap", "allocs"])
@pytest.mark.parametrize("query", ["", "?debug=0", "?debug=x", "?seconds="])
def test_named_profile_is_a_download(target, name, query):
    answer = target.get(f"/{name}{query}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in answer.headers
    Profile(answer.body)


@pytest.mark.parametrize("seconds", ["abc", "0", "-1", "1.5"])
def test_bad_seconds_of_a_delta_are_400(target, seconds):
    is_error(target.get(f"/heap?seconds={seconds}"), 400,
             'invalid value for "seconds" - must be a positive integer\n')


def test_delta_and_debug_do_not_go_together(target):
    is_error(target.get("/heap?seconds=1&debug=1"), 400,
             "seconds and debug params are incompatible\n")


def test_delta_has_only_what_changed(target):
    answer = target.get("/heap?seconds=1")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="heap-delta"'
    delta = Profile(answer.body)
    assert not any(s.has("keep_blocks|churn_blocks") for s in delta.samples)
    assert all(any(s.values.values()) for s in delta.samples)
    assert delta.proto.duration_nanos >= 900_000_000
    assert delta.types == heap(target).types


# ------------------------------------------------------------------ cmdline and symbol


def test_cmdline_is_argv_with_nul_between(start):
    argv = [victim("v_blocks"), "1", "1024", "%s %n", "", "zwölf", "x" * 5000]
    target = start(argv)
    answer = target.get("/cmdline")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == "\0".join(argv).encode()


def address_of(target, name):
    """Where a function of the (position-independent) program lies now."""
    table = subprocess.run(["nm", target.argv[0]], capture_output=True, text=True,
                           check=True).stdout
    offset = next(int(line.split()[0], 16) for line in table.splitlines()
                  if line.split()[-1] == name)
    with open(f"/proc/{target.pid}/maps", encoding="utf-8") as maps:
        base = next(int(line.split("-")[0], 16) for line in maps
                    if line.rstrip().endswith(target.argv[0]))
    return base + offset


def test_symbol_without_a_query_says_that_there_are_symbols(target):
    answer = target.get("/symbol")
    assert (answer.status, answer.text) == (200, "num_symbols: 1\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_symbol_names_addresses_of_get_and_post(target):
    keep, churn = address_of(target, "keep_blocks"), address_of(target, "churn_blocks")
    asked = f"0x{keep + 4:X}+{churn + 4}"
    wanted = f"num_symbols: 1\n{keep + 4:#x} keep_blocks\n{churn + 4:#x} churn_blocks\n"
    assert target.get("/symbol?" + asked).text == wanted
    posted = target.get("/symbol", method="POST", body=asked,
                        headers={"Content-Type": "application/octet-stream"})
    assert (posted.status, posted.text) == (200, wanted)


def test_symbol_resolves_the_addresses_of_profiles(target):
    profile = heap(target)
    stack = next(s for s in profile.samples if s.has("keep_blocks"))
    address = stack.addresses[stack.names.index("keep_blocks")]
    assert target.get(f"/symbol?{address:#x}").text.endswith(f"{address:#x} keep_blocks\n")


def test_symbol_skips_what_it_cannot_read(target):
    keep = address_of(target, "keep_blocks")
    assert target.get(f"/symbol?zz+0x+{keep:#x}+1").text == (
        f"num_symbols: 1\n{keep:#x} keep_blocks\n")


def test_symbol_tells_nothing_of_memory_that_is_not_code(target):
    with open(f"/proc/{target.pid}/maps", encoding="utf-8") as maps:
        stack = next(line for line in maps if "[stack]" in line).split("-")[0]
    assert target.get(f"/symbol?0x{stack}").text == "num_symbols: 1\n"


def test_symbol_says_when_a_word_is_too_long(target):
    answer = target.get("/symbol", method="POST", body="0x1+" + "1" * 5000)
    assert answer.status == 200
    assert answer.text == "num_symbols: 1\nreading request: bufio: buffer full\n"


def test_symbol_takes_a_million_bytes_and_no_more(target):
    body = "+".join(["0x1"] * 250000)
    assert target.get("/symbol", method="POST", body=body).text == "num_symbols: 1\n"
    assert target.get("/symbol", method="POST", body="+" * (1 << 20) + "1").status == 413


# ------------------------------------------------------------------ methods and doors


@pytest.mark.parametrize("path", ["/", "/heap", "/cmdline", "/profile", "/agent", "/nosuch"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(target, path, method):
    answer = request(target.port, PREFIX + path, method=method)
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_symbol_allows_post_and_says_so(target):
    answer = target.get("/symbol", method="DELETE")
    assert answer.status == 405 and "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/heap", "/cmdline", "/symbol", "/agent"])
def test_head_has_the_headers_of_get_and_no_body(target, path):
    head = request(target.port, PREFIX + path, method="HEAD")
    get = request(target.port, PREFIX + path)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "X-Content-Type-Options", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


def raw_status(target, head):
    answer = raw_request(target.port, head.encode())
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost:1", "127.0.0.1:99",
                                  "LOCALHOST"])
def test_good_hosts_are_served(target, host):
    assert raw_status(target, f"GET {PREFIX}/cmdline HTTP/1.1\r\nHost: {host}\r\n"
                      "Connection: close\r\n\r\n") == 200


@pytest.mark.parametrize("hosts", [
    "", "Host: \r\n", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost.evil.com\r\n",
    "Host: 127.0.0.1.evil.com\r\n", "Host: evil.com\r\n", "Host: evil.com:80\r\n",
    "Host: localhost evil\r\n", "Host: 10.0.0.1\r\n", "Host: localhost\r\nHost: evil.com\r\n",
])
def test_bad_hosts_are_403(target, hosts):
    assert raw_status(target, f"GET {PREFIX}/heap HTTP/1.1\r\n{hosts}"
                      "Connection: close\r\n\r\n") in (400, 403)


def test_absolute_uri_is_not_served(target):
    assert raw_status(target, f"GET http://evil.com{PREFIX}/heap HTTP/1.1\r\nHost: localhost\r\n"
                      "Connection: close\r\n\r\n") in (400, 403)


@pytest.mark.parametrize("header", ["Origin: http://evil.com", "Sec-Fetch-Site: cross-site",
                                    "Origin: null"])
def test_other_sites_are_403(target, header):
    assert raw_status(target, f"GET {PREFIX}/heap HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
                      "Connection: close\r\n\r\n") == 403


def test_http_1_0_is_served(target):
    answer = raw_request(target.port, f"GET {PREFIX}/cmdline HTTP/1.0\r\nHost: localhost\r\n"
                         "\r\n".encode())
    assert answer.split(b"\r\n")[0].split()[1] == b"200"
    assert answer.endswith(b"v_blocks\x008")


def test_every_answer_forbids_sniffing_and_storing(target):
    for path in ("/", "/heap", "/heap?debug=1", "/nosuch", "/cmdline", "/symbol", "/agent",
                 "/heap?seconds=x"):
        answer = request(target.port, PREFIX + path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Cache-Control"] == "no-store", path


@pytest.mark.parametrize("path", ["/debug/pprof/..%2f..%2fetc/passwd", "/debug/pprof/%00",
                                  "/debug/pprof/heap%0d%0aX-Evil:1", "/debug/pprof/../../etc"])
def test_paths_that_try_something_get_nothing(target, path):
    answer = raw_request(target.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                         "Connection: close\r\n\r\n".encode())
    assert int(answer.split()[1]) in (301, 400, 404)
    assert b"X-Evil" not in answer.split(b"\r\n\r\n")[0].replace(b"%0d%0aX-Evil", b"")


def test_token_is_asked_for(start):
    target = start([victim("v_blocks"), "1"], wait=False, token="s3cret")
    target.expect("ready")

    def status(headers, path="/cmdline"):
        try:
            return target.get(path, headers=headers).status
        except OSError:
            return 0
    until("the port refuses without the token", lambda: status({}) == 401)
    assert status({"Authorization": "Bearer s3cret"}) == 200
    assert status({"Authorization": "Bearer s3crex"}) == 401
    assert status({}, "/cmdline?token=s3cret") == 200
    assert status({}, "/cmdline?token=s3cretx") == 401
    assert "s3cret" not in target.get("/agent?token=s3cret").text


# ------------------------------------------------------------------ the agent page


def test_agent_page_shows_settings_and_losses(target):
    answer = target.get("/agent")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    for word in ("PPROFAGENT_HEAP_RATE", "PPROFAGENT_ADDRESS", "sampled allocations",
                 "frees of sampled objects", "allocations dropped: ring full", "size_bytes",
                 "hooks"):
        assert word in answer.text, word


def test_agent_page_names_the_version_of_the_source(target):
    header = Path(__file__).parents[2] / "agent/base/version.h"
    version = re.search(r'PA_VERSION "(.*)"', header.read_text(encoding="utf-8")).group(1)
    assert f"  version: {version}\n" in target.get("/agent").text
    assert json.loads(target.get("/agent?format=json").text)["agent"]["version"] == version


def test_agent_page_as_json_has_the_same(target):
    answer = target.get("/agent?format=json")
    assert answer.headers["Content-Type"].startswith("application/json")
    page = json.loads(answer.text)
    flat = json.dumps(page)
    assert "PPROFAGENT_HEAP_RATE" in flat or "heap_rate" in flat
    assert "alloc_events" in flat or "sampled allocations" in flat


def test_nothing_was_lost_in_a_quiet_program(target):
    dropped = [c for c in heap(target).comments if c.startswith("dropped")]
    assert dropped == []
