# SPDX-License-Identifier: Apache-2.0
"""Profiles of the program's own: made with pprofagent.h, served like Go's custom profiles."""
import re

import pytest

from lib.harness import PREFIX, environment, listening, request, run, until, victim
from lib.profiles import Profile, counts

NAME = "example.com/my.custom"
KIND = NAME.split("/")[0]  # what Profile calls its values
BUILT_IN = ["allocs", "block", "goroutine", "heap", "mutex", "threadcreate"]
UNSUPPORTED = '"seconds" parameter is not supported for this profile type\n'


@pytest.fixture
def custom(start):
    """A program with one empty profile."""
    target = start([victim("v_custom")])
    target.expect("ready")
    assert ask(target, f"new {NAME}") == "0"
    return target


def ask(target, line):
    """What follows the command's word in its answer."""
    word = line.split()[0]
    return target.ask(line, word)[len(word) + 1:]


def text(target, name=NAME):
    answer = target.get(f"/{name}?debug=1")
    assert answer.status == 200
    return answer.text


def total(target, function=None):
    return counts(target, NAME).total(KIND, function)


# ------------------------------------------------------------------ the interface


def test_values_are_added_counted_and_removed(custom):
    assert ask(custom, f"count {NAME}") == "0"
    assert ask(custom, f"add {NAME} 1 0") == "0"
    assert ask(custom, f"add {NAME} 2 0") == "0"
    assert ask(custom, f"other {NAME} 3") == "0"
    assert ask(custom, f"count {NAME}") == "3"
    profile = counts(custom, NAME)
    assert profile.total_at(KIND, "add_one") == 2
    assert profile.total_at(KIND, "add_other") == 1
    assert profile.complete_share() == 1.0
    assert ask(custom, f"remove {NAME} 2") == "0"
    assert ask(custom, f"remove {NAME} 2") == "0"  # Go: no error
    assert ask(custom, f"count {NAME}") == "2"
    assert total(custom, "add_one") == 1
    assert ask(custom, f"remove {NAME} 1") == "0"
    assert ask(custom, f"remove {NAME} 3") == "0"
    assert ask(custom, f"count {NAME}") == "0"
    assert counts(custom, NAME).samples == []


def test_a_duplicate_is_refused_until_it_is_removed(custom):
    assert ask(custom, f"add {NAME} 0 0") == "0"  # NULL is a value
    assert ask(custom, f"other {NAME} 0") == "EEXIST"
    assert total(custom, "add_one") == 1 and total(custom) == 1
    assert ask(custom, f"remove {NAME} 0") == "0"
    assert ask(custom, f"other {NAME} 0") == "0"
    assert total(custom, "add_other") == 1 and total(custom) == 1


def test_skip_leaves_the_innermost_frames_out(custom):
    for skip, leaf in enumerate(("add_one", "caller", "run", "main")):
        assert ask(custom, f"add {NAME} 1 {skip}") == "0"
        assert counts(custom, NAME).samples[0].names[0] == leaf
        ask(custom, f"remove {NAME} 1")
    assert ask(custom, f"add {NAME} 1 1000") == "0"
    assert [s.names for s in counts(custom, NAME).samples] == [["pprofagent.lostEvents"]]


def test_built_in_profiles_take_no_values(custom):
    for name in BUILT_IN:
        assert ask(custom, f"add {name} 1 0") == "EPERM"
        assert ask(custom, f"remove {name} 1") == "EPERM"
    assert ask(custom, "null") == "EINVAL EINVAL EINVAL"
    assert ask(custom, "add nosuch 1 0") == "EINVAL"


def test_names_are_checked(custom):
    assert ask(custom, "new") == "EINVAL"
    assert ask(custom, "new " + "x" * 128) == "EINVAL"
    assert ask(custom, "new bad\x01name") == "EINVAL"
    assert ask(custom, f"new {NAME}") == "EEXIST"
    for name in (*BUILT_IN, "cmdline", "profile", "symbol", "trace", "agent", "ui", "ui.js",
                 "delta_heap"):
        assert ask(custom, f"new {name}") == "EEXIST"
    longest = "x" * 127
    assert ask(custom, f"new {longest}") == "0"
    answer = custom.get(f"/{longest}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{longest}"'
    for i in range(62):
        assert ask(custom, f"new more.{i}") == "0"
    assert ask(custom, "new more.62") == "ENOSPC"


def test_profiles_are_found_and_listed_in_order(custom):
    assert ask(custom, "new zoo") == "0"
    assert ask(custom, "new Upper") == "0"
    for name in (NAME, "zoo", "Upper", "heap"):
        assert ask(custom, f"lookup {name}") == name
    assert ask(custom, "lookup nosuch") == "nothing"
    assert ask(custom, "lookup profile") == "nothing"
    names = sorted([*BUILT_IN, NAME, "zoo", "Upper"])
    assert ask(custom, "list") == f"{len(names)} {','.join(names)}"


def test_without_the_agent_there_are_no_profiles():
    lines = [f"new {NAME}", f"add {NAME} 1 0", f"remove {NAME} 1", f"count {NAME}",
             f"lookup {NAME}", "lookup heap", "list", "null"]
    expected = ["ready", "new ENOSYS", "add ENOSYS", "remove ENOSYS", "count 0",
                "lookup nothing", "lookup nothing", "list 0 ", "null ENOSYS ENOSYS ENOSYS"]
    for env in (environment(preload=()), environment(enabled="0")):
        status, out, err = run([victim("v_custom")], env, "\n".join(lines).encode())
        assert (status, err) == (0, b"")
        assert out.decode().splitlines() == expected


def test_program_writes_the_one_it_asks_for(custom):
    assert ask(custom, "new second") == "0"
    ask(custom, "add second 1 0")
    ask(custom, "add second 2 0")
    custom.tell("write second")
    assert custom.line() == "second profile: total 2"
    while not custom.line().startswith("write 0"):
        pass
    custom.tell(f"write {NAME}")
    assert custom.line() == f"{NAME} profile: total 0"
    custom.expect("write")


# ------------------------------------------------------------------ as it is served


def test_text_is_go_s(custom):
    assert text(custom) == f"{NAME} profile: total 0\n"
    for value in range(3):
        ask(custom, f"add {NAME} {value} 0")
    ask(custom, f"other {NAME} 9")
    lines = text(custom).splitlines()
    assert lines[0] == f"{NAME} profile: total 4"
    assert re.fullmatch(r"3 @(?: 0x[0-9a-f]+)+", lines[1])
    assert re.fullmatch(r"#\t0x[0-9a-f]+\t+add_one\+0x[0-9a-f]+\t+.*/v_custom\.c:\d+", lines[2])
    assert [line.split()[0] for line in lines if " @ " in line] == ["3", "1"]


def test_headers_are_those_of_a_named_profile(custom):
    answer = custom.get(f"/{NAME}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{NAME}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = custom.get(f"/{NAME}?debug=1")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Disposition" not in answer.headers
    assert custom.get(f"/{NAME}", method="HEAD").body == b""
    assert custom.get(f"/{NAME}/").status == 404
    assert custom.get(f"/{NAME}", method="POST").status == 405


def test_deltas_are_refused(custom):
    for query in ("seconds=1", "seconds=1&debug=1", "seconds=30"):
        answer = custom.get(f"/{NAME}?{query}")
        assert (answer.status, answer.text) == (400, UNSUPPORTED)
        assert answer.headers["X-Go-Pprof"] == "1"
    answer = custom.get(f"/{NAME}?seconds=0")
    assert answer.status == 400 and "must be a positive integer" in answer.text
    assert custom.get(f"/{NAME}?seconds=").status == 200


def test_index_lists_it_with_its_count(custom):
    ask(custom, f"add {NAME} 1 0")
    ask(custom, "new with%20space")
    index = custom.get("/debug/pprof/").text
    assert f"<tr><td>1</td><td><a href='{NAME}?debug=1'>{NAME}</a></td></tr>" in index
    assert f"<li><div class=profile-name>{NAME}: </div> </li>" in index
    rows = re.findall(r"<a href='([^']*)\?debug=1'>", index)
    assert "with%20space" in rows
    # Each of them leads somewhere.
    for row in rows:
        if row != "trace" and row != "profile":
            assert custom.get(f"/{row}?debug=1").status == 200
    assert text(custom, "with%20space") == "with space profile: total 0\n"


def test_profile_appears_when_it_is_made(custom):
    assert custom.get("/later.one").status == 404
    assert ask(custom, "new later.one") == "0"
    assert text(custom, "later.one") == "later.one profile: total 0\n"


def test_go_tool_pprof_reads_it(custom, pprof):
    for value in range(5):
        ask(custom, f"add {NAME} {value} 0")
    out, _ = pprof("-top", custom.url(f"/{NAME}"))
    assert f"Type: {NAME}" in out
    assert re.search(r"^\s*5\s+100%\s+100%\s+5\s+100%\s+add_one", out, re.M)


# ------------------------------------------------------------------ many threads, fork


def test_eight_threads_at_once_end_with_an_exact_count(start):
    target = start([victim("v_custom")])
    target.expect("ready")
    assert ask(target, f"new {NAME}") == "0"
    target.tell(f"storm {NAME} 8 100000")
    while not target.out_lines[-1].startswith(b"storm"):
        target.get(f"/{NAME}")  # meanwhile
    assert target.line(120) == "storm errors 0"
    assert ask(target, f"count {NAME}") == "800"
    profile = counts(target, NAME)
    assert profile.total(KIND) == profile.total_at(KIND, "add_in_storm") == 800
    assert text(target).startswith(f"{NAME} profile: total 800\n")


def test_forked_child_keeps_the_profile(custom):
    for value in range(10):
        ask(custom, f"add {NAME} {value} 0")
    custom.tell(f"fork {NAME}")
    words = custom.expect("child").split()
    assert words[2:] == ["count", "11"]
    child = int(words[1])
    found = until("the child listens", lambda: listening(child))
    port = int(found[0].split(":")[1], 16)
    profile = Profile(request(port, f"{PREFIX}/{NAME}").body)
    assert profile.total(KIND, "add_one") == 10
    assert profile.total_at(KIND, "add_child") == 1
    assert total(custom) == total(custom, "add_one") == 10
    assert ask(custom, f"count {NAME}") == "10"
