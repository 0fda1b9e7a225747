# SPDX-License-Identifier: Apache-2.0
"""An execution trace in the viewer of `go tool trace`: which rows there are, what is on them, and
from where to where the arrows go."""
import os
import signal
import subprocess
import urllib.request

import pytest

from lib.go_tools import environment, go_tools, version_of
from lib.harness import free_port, pairs, until

PROGRAM = """
import queue, threading, time
q = queue.Queue()
def producer():
    while True:
        time.sleep(0.005)
        q.put(1)
def consumer():
    while True:
        q.get()
        end = time.perf_counter() + 0.002
        while time.perf_counter() < end:
            pass
threads = [threading.Thread(target=f, daemon=True) for f in (producer, consumer)]
for thread in threads:
    thread.start()
print("threads", *(f"{t._target.__name__} {t.native_id}" for t in threads), flush=True)
input()
"""
# The rows with the number of their slices, and the arrows: [start, end, row and slice that it comes
# from, row and slice that it goes to], a slice being [start, end].
MODEL = """(() => {
    const view = document.querySelector('tr-ui-timeline-view'), model = view && view.model;
    if (!model || !model.bounds || model.bounds.isEmpty)
        return null;
    const of = slice => [slice.parentContainer.name, [slice.start, slice.end]];
    return {
        rows: Object.fromEntries(model.getAllThreads().map(each =>
            [each.name, each.sliceGroup.length])),
        arrows: model.flowEvents.map(each =>
            [each.start, each.start + each.duration, ...of(each.startSlice), ...of(each.endSlice)]),
    };
})()"""
SLACK_MS = 0.001


@pytest.fixture
def viewer(page, begin_target, tmp_path):
    """Opens a page of `go tool trace` with a trace of the program: its model, and the threads."""
    versions = {version: go for version, go in go_tools().items() if version_of(version) >= (1, 22)}
    if not versions:
        pytest.skip("the viewer of older versions has no rows of threads")
    target = begin_target(["/usr/bin/python3", "-c", PROGRAM])
    threads = pairs(target.expect("threads"))
    path = tmp_path / "trace"
    path.write_bytes(target.get("/trace?seconds=1").body)
    port = free_port()
    tool = subprocess.Popen([list(versions.values())[-1], "tool", "trace",
                             f"-http=127.0.0.1:{port}", str(path)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env=environment(BROWSER="/bin/true"),
                            start_new_session=True)

    def is_up():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
        except OSError:
            return None

    def look(view):
        until("go tool trace answers", is_up)
        page.driver.get(f"http://127.0.0.1:{port}/trace?view={view}")
        return until("the viewer has drawn", lambda: page.read(MODEL))

    yield look, target, threads
    os.killpg(tool.pid, signal.SIGKILL)  # the go command runs the tool as a child
    tool.wait()


def test_threads_are_on_their_rows_and_arrows_go_from_waker_to_woken(viewer):
    look, target, threads = viewer
    model = look("thread")
    producer, consumer = (f"Thread {threads[name]}" for name in ("producer", "consumer"))
    assert f"Thread {target.pid}" in model["rows"]
    assert model["rows"][producer] > 10 and model["rows"][consumer] > 10
    woken = [arrow for arrow in model["arrows"] if (arrow[2], arrow[4]) == (producer, consumer)]
    assert len(woken) > 10, model["arrows"][:20]
    for start, end, _, (begun, ended), _, (woken_at, _) in woken:
        assert begun - SLACK_MS <= start <= ended + SLACK_MS  # the waker ran then
        assert abs(end - woken_at) <= SLACK_MS and start <= end  # and the woken one from then on
