# SPDX-License-Identifier: Apache-2.0
"""tree=1: one profile of a process and all its descendants."""
import gzip
import http.client
import os
import resource
import signal
import threading

import pytest

from lib.family import (PYTHON, Family, port_of, processes, start_inert_parent,
                        wait_for_agents)
from lib.harness import (EXACT, PREFIX, Later, request, sampling, until, victim)
from lib.profiles import CPU_TYPES, HEAP_TYPES, SOME, Profile

VALUES = [name.split("/")[0] for name in HEAP_TYPES]


@pytest.fixture
def family(start):
    return Family(start)


@pytest.fixture(scope="module")
def still(shared_start):
    """A process, its child and its grandchild, which do nothing."""
    family = Family(shared_start, **EXACT)
    family.pids = [family.pid, *family.serving("line", 2)]
    return family


def tree(target, path, name=None):
    """The merged profile; name: of the file."""
    answer = target.get(path + ("&" if "?" in path else "?") + "tree=1")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream", answer
    if name:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    return Profile(answer.body, merged=True)


def missing(profile):
    return [text for text in profile.comments if text.startswith("missing: ")]


def stacks(profile, pid=None):
    """What the samples say, in any order; pid: the samples of that process."""
    left_out = ("pid", "program")
    return sorted((tuple(s.names), tuple(s.addresses), tuple(s.mappings),
                   tuple(s.values.items()),
                   tuple(sorted((k, v) for k, v in s.labels.items() if k not in left_out)))
                  for s in profile.samples if pid is None or s.labels["pid"] == pid)


# ------------------------------------------------------------------ whole trees

def test_heap_of_a_tree_is_the_sum_of_the_single_heaps(still):
    single = {pid: Profile(still.get(f"/heap?pid={pid}").body) for pid in still.pids}
    merged = tree(still, "/heap", "heap")
    assert merged.types == HEAP_TYPES and not missing(merged)
    for value in VALUES:
        assert merged.total(value) == sum(profile.total(value) for profile in single.values())
    assert set(merged.by_label("pid", "inuse_space")) == set(still.pids)
    assert set(merged.by_label("program", "inuse_space")) == {"v_generations"}
    for pid, profile in single.items():
        assert stacks(merged, pid) == stacks(profile)
    assert merged.mapping_files[0] == victim("v_generations")


@pytest.mark.parametrize("name", ["allocs", "block", "mutex", "goroutine", "threadcreate",
                                  "delta_heap"])
def test_all_kinds_are_merged(still, name):
    merged = tree(still, f"/{name}", name)
    assert not missing(merged)
    if name in ("goroutine", "allocs", "delta_heap"):
        assert set(merged.by_label("pid", merged.types[0].split("/")[0])) == set(still.pids)


def test_cpu_profile_has_the_time_of_all(family):
    pids = family.serving("burn", 2)
    merged = tree(family, "/profile?seconds=1", "profile")
    assert merged.types == CPU_TYPES and not missing(merged)
    assert 0.9e9 < merged.proto.duration_nanos < 10e9
    samples = merged.by_label("pid", "samples")
    for pid in pids:
        assert samples[pid] > SOME


def test_changes_during_seconds(still):
    asked = Later(still.target, "/heap?seconds=2&tree=1")
    assert still.get("/cmdline").status == 200
    answer = asked.answer()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="heap-delta"'
    merged = Profile(answer.body, merged=True)
    assert not missing(merged) and merged.total("inuse_space", "keep_child") == 0
    assert merged.proto.duration_nanos >= 1.9e9


def test_tree_of_a_descendant(still):
    """Asked through its ancestor: pid=N and tree=1."""
    answer = still.get(f"/heap?tree=1&pid={still.pids[1]}")
    merged = Profile(answer.body, merged=True)
    assert set(merged.by_label("pid", "inuse_space")) == set(still.pids[1:])


def test_process_without_descendants_is_a_tree(still):
    answer = request(port_of(still.pids[-1]), f"{PREFIX}/heap?tree=1")
    merged = Profile(answer.body, merged=True)
    assert set(merged.by_label("pid", "inuse_space")) == {still.pids[-1]}


def test_programs_are_named(start):
    code = ("import subprocess,sys;p=subprocess.Popen(['sleep','100']);"
            "print('ready',flush=True);input()")
    target = start([PYTHON, "-c", code])
    target.expect("ready")
    until("it serves", lambda: any(e["program"] == "sleep" and e["state"] == "serving"
                                   for e in processes(target).values()))
    assert set(tree(target, "/goroutine").by_label("program", "goroutine")) == {
        "python3", "sleep"}


def test_sixty_processes(family):
    """Each profile has the mappings of its process, and no samples, which cost the most."""
    family.serving("fork", 60)
    merged = tree(family, "/block")
    named = {int(text.split()[2]) for text in missing(merged)}
    programs = merged.mapping_files.count(victim("v_generations"))
    # What does not confirm itself in time, on a machine with other work, is named.
    assert programs + len(named) == 61 and len(named) < 10


def test_go_tool_pprof_reads_it_and_selects_by_pid(still, pprof):
    url = f"http://127.0.0.1:{still.port}{PREFIX}/heap?tree=1"
    for number, pid in enumerate(still.pids[1:], 1):
        out, _ = pprof("-top", "-sample_index=inuse_space", f"-tagfocus=pid={pid}", url)
        kept = [line.split()[0] for line in out.splitlines() if line.endswith("keep_child")]
        # The grandchild has what its parent had, too.
        assert kept == [f"{number * (number + 1) // 2}MB"]
    out, _ = pprof("-top", "-sample_index=inuse_space", "-tagfocus=program=v_generations", url)
    assert "keep_child" in out


def test_processes_beyond_the_limit_of_descriptors_are_counted(family):
    """Half of the descriptors are left for clients."""
    family.serving("fork", 13)
    assert not missing(tree(family, "/block"))
    resource.prlimit(family.pid, resource.RLIMIT_NOFILE, (24, 24))
    merged = tree(family, "/block")
    assert missing(merged) == ["missing: 2 processes beyond the first 12"]
    assert merged.mapping_files.count(victim("v_generations")) == 12


# ------------------------------------------------------------------ parameters

@pytest.mark.parametrize("path,text", [
    ("/heap?debug=1", "tree and debug params are incompatible"),
    ("/goroutine?debug=2", "tree and debug params are incompatible"),
    ("/heap?format=folded", "tree and format params are incompatible"),
    ("/trace?seconds=1", '"tree" parameter is not supported for this profile type'),
    ("/heap?seconds=x", 'invalid value for "seconds" - must be a positive integer'),
    ("/heap?seconds=0", 'invalid value for "seconds" - must be a positive integer')])
def test_what_cannot_be_merged_is_400(still, path, text):
    answer = still.get(f"{path}&tree=1")
    assert (answer.status, answer.text) == (400, text + "\n")
    assert answer.headers["X-Go-Pprof"] == "1"


def test_other_answers_are_as_without_tree(still):
    for path in ("/cmdline", "/nothing", "/symbol?0x1"):
        mark = "&" if "?" in path else "?"
        with_tree, without = still.get(f"{path}{mark}tree=1"), still.get(path)
        assert (with_tree.status, with_tree.body) == (without.status, without.body)
    head = still.get("/heap?tree=1", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Disposition"] == 'attachment; filename="heap"'
    assert still.get("/heap?tree=1&debug=1", method="HEAD").status == 400
    assert still.get("/heap?tree=1", method="POST", body="x").status == 405
    for value in ("0", "-1", "x", ""):
        Profile(still.get(f"/heap?tree={value}").body)


def test_token_is_asked_for_and_passed_on(start):
    target = start([victim("v_generations")], wait=False, token="sesame")
    target.expect("ready")
    until("it answers", lambda: port_of(target.pid))
    target.tell("fork 1")
    child = int(target.expect("child").split()[1])
    wait_for_agents([child])
    bearer = {"Authorization": "Bearer sesame"}
    assert target.get("/heap?tree=1").status == 401
    for path, headers in (("/goroutine?tree=1", bearer), ("/goroutine?tree=1&token=sesame", {})):
        answer = until("it is in the list", lambda: (lambda answer: answer if set(
            Profile(answer.body, merged=True).by_label("pid", "goroutine")) == {
                target.pid, child} else None)(target.get(path, headers=headers)))
        assert not missing(Profile(answer.body, merged=True))


def test_own_error_is_the_answer(family):
    child = family.serving("burn", 1)[0]
    first = Later(family.target, "/profile?seconds=600")
    until("it is sampled", lambda: sampling(family.target))
    answer = family.get("/profile?seconds=1&tree=1")
    assert (answer.status, answer.text) == (
        500, "Could not enable CPU profiling: cpu profiling already in use\n")
    until("the child has left off", lambda: family.get(
        f"/profile?seconds=1&pid={child}").status == 200)
    os.kill(family.pid, signal.SIGKILL)
    first.thread.join()


# ------------------------------------------------------------------ processes that fail

def comment_of(pid, what, program="v_generations"):
    return f"missing: process {pid} ({program}) {what}"


def test_error_of_a_descendant_is_named(family):
    busy, free = family.serving("burn", 2)
    first = Later(family.target, f"/profile?seconds=600&pid={busy}")
    until("it is sampled", lambda: sampling(Status(busy)))
    merged = tree(family, "/profile?seconds=1")
    assert missing(merged) == [comment_of(
        busy, "answers 500 Could not enable CPU profiling: cpu profiling already in use")]
    assert merged.by_label("pid", "samples")[free] > SOME
    merged = tree(family, "/profile?seconds=1&share=1")
    assert not missing(merged)
    os.kill(busy, signal.SIGKILL)
    assert first.answer().status == 502


class Status:
    """As a Target, for sampling()."""

    def __init__(self, pid):
        self.pid = pid


def test_process_that_ends_meanwhile_is_named(family):
    ends, stays = family.serving("burn", 2)
    asked = Later(family.target, "/profile?seconds=2&tree=1")
    until("both are sampled", lambda: sampling(Status(ends)) and sampling(Status(stays)))
    os.kill(ends, signal.SIGKILL)
    merged = Profile(asked.answer().body, merged=True)
    assert missing(merged) == [comment_of(ends, "ends without an answer")]
    assert merged.by_label("pid", "samples")[stays] > SOME


def test_process_that_does_not_answer_is_named(family):
    stopped, stays = family.serving("fork", 2)
    os.kill(stopped, signal.SIGSTOP)
    merged = tree(family, "/goroutine")
    assert missing(merged) == [comment_of(stopped, "does not answer")]
    assert set(merged.by_label("pid", "goroutine")) == {family.pid, stays}
    os.kill(stopped, signal.SIGCONT)
    until("it answers again", lambda: not missing(tree(family, "/goroutine")))


def test_inert_process_is_named(start):
    target, inert = start_inert_parent(start)
    until("sleep serves", lambda: any(e["program"] == "sleep" and e["state"] == "serving"
                                      for e in processes(target).values()))
    assert missing(tree(target, "/goroutine")) == [
        comment_of(inert, "does not serve", "timeout")]


# A process with the name of an agent's thread that proves to be itself, and answers as it is told.
FAKE = """
import ctypes, os, socket, sys, time
pid = os.fork()
if pid == 0:
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(8)
    ctypes.CDLL(None).prctl(15, b'pprof:%d' % s.getsockname()[1])
    start = open('/proc/self/stat').read().rsplit(')', 1)[1].split()[19]
    page = 'HTTP/1.0 200 OK\\r\\n\\r\\n{"agent":{"pid":%d,"process_start_ticks":%s,' % (
        os.getpid(), start)
    os.write(1, b'child %d\\n' % os.getpid())
    while True:
        c = s.accept()[0]
        asked = c.recv(9999)
        if b'/agent?' in asked:
            c.sendall(page.encode())
        else:
            answer = open(sys.argv[1], 'rb').read()
            if answer == b'silent':
                kept = c
                continue
            try:
                c.sendall(answer)
                while b'endless' in answer:
                    c.sendall(b'x' * 100000)
            except OSError:
                pass
        c.close()
else:
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module")
def fake(shared_start, tmp_path_factory):
    """A program and its child, the fake agent, which answers what is in the file."""
    file = tmp_path_factory.mktemp("tree") / "answer"
    target = shared_start([PYTHON, "-c", FAKE, file], children="off")
    child = int(target.expect("child").split()[1])
    until("it is in the list", lambda: child in processes(target))
    return target, child, file


def answer_of(body, status=b"200 OK"):
    return b"HTTP/1.0 " + status + b"\r\nX: y\r\n\r\n" + body


def other_types(body):
    profile = Profile(body).proto
    profile.sample_type[0].type, profile.sample_type[1].type = (
        profile.sample_type[1].type, profile.sample_type[0].type)
    return gzip.compress(profile.SerializeToString())


@pytest.mark.parametrize("what,text", [
    ("nothing", "ends without an answer"),
    ("no http", "ends without an answer"),
    ("error", "answers 418 I am \ufffd."),
    ("empty", "has a damaged profile"),
    ("cut off", "has a damaged profile"),
    ("bad ids", "has a damaged profile"),
    ("other types", "has a profile of other types"),
    ("endless", "has a profile of more than 4 MiB"),
    pytest.param("silent", "does not answer", marks=pytest.mark.slow)])
def test_fake_agent_is_named_and_does_no_harm(fake, what, text):
    target, child, file = fake
    body = target.get("/heap").body
    raw = Profile(body).raw
    file.write_bytes({
        "nothing": b"", "silent": b"silent",
        "no http": b"220 mail.example.com\r\n\r\n",
        "error": answer_of(b"I am \x07.\nsecond line\n", b"418 Teapot"),
        "empty": answer_of(b""),
        "endless": answer_of(b"endless"),
        "cut off": answer_of(body[:-20]),
        "bad ids": answer_of(gzip.compress(raw + b"\x22\x02\x08\x7f")),
        "other types": answer_of(other_types(body))}[what])
    merged = tree(target, "/heap")
    assert missing(merged) == [comment_of(child, text, f"pprof:{port_of(child)}")]
    assert set(merged.by_label("pid", "inuse_space")) == {target.pid}
    assert target.get("/heap").status == 200


# ------------------------------------------------------------------ clients

def test_client_that_leaves_ends_the_work_everywhere(family):
    pids = [family.pid, *family.serving("burn", 2)]
    connection = http.client.HTTPConnection("127.0.0.1", family.port)
    connection.request("GET", f"{PREFIX}/profile?seconds=600&tree=1")
    for pid in pids:
        until("the process is sampled", lambda: sampling(Status(pid)))
    connection.close()
    for pid in pids:
        until("sampling has ended", lambda: not sampling(Status(pid)), deadline_s=5)
    assert not missing(tree(family, "/profile?seconds=1"))


def test_many_trees_at_once(still):
    """More than there are workers: each waits for its turn, or is told that there are too many."""
    answers, lock = [], threading.Lock()

    def ask():
        answer = still.get("/goroutine?tree=1", timeout=60)
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    good = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 503} and len(good) >= 10
    for answer in good:
        profile = Profile(answer.body, merged=True)
        assert set(profile.by_label("pid", "goroutine")) | {
            int(text.split()[2]) for text in missing(profile)} == set(still.pids)


def test_waiting_trees_take_no_worker(still):
    waiting = [Later(still.target, "/heap?seconds=3&tree=1") for _ in range(10)]
    assert Profile(still.get("/heap").body).total("inuse_space", "keep_parent") == 8 << 20
    assert all(later.running() for later in waiting)
    assert {later.answer().status for later in waiting} == {200}
