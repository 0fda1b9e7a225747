# SPDX-License-Identifier: Apache-2.0
"""debug=1 texts of heap and allocs, as Go writes them."""
import re

import pytest

from lib.harness import EXACT, victim

HEADER = re.compile(r"heap profile: (\d+): (\d+) \[(\d+): (\d+)\] @ heap/(\d+)")
RECORD = re.compile(r"(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)+)")
FRAME = re.compile(r"#\t(0x[0-9a-f]+)\t(.+?)\+0x[0-9a-f]+\t+(.+)")


@pytest.fixture(scope="module")
def target(shared_start):
    target = shared_start([victim("v_blocks"), "8"], **EXACT)
    target.expect("ready")
    return target


def text_of(target, path):
    answer = target.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Disposition" not in answer.headers
    return answer.text


def records(text):
    """[(numbers, pcs, frame lines)]"""
    found = []
    for line in text.split("\n# runtime.MemStats")[0].splitlines()[1:]:
        record = RECORD.fullmatch(line)
        if record:
            found.append(([int(n) for n in record.groups()[:4]], record.group(5).split(), []))
        elif line.startswith("#"):
            found[-1][2].append(line)
    return found


@pytest.mark.parametrize("path", ["/heap?debug=1", "/allocs?debug=1", "/heap?debug=2",
                                  "/heap?debug=-1"])
def test_first_line_has_the_totals(target, path):
    text = text_of(target, path)
    header = HEADER.fullmatch(text.splitlines()[0])
    assert header, text.splitlines()[0]
    objects, size, all_objects, all_size, rate = (int(n) for n in header.groups())
    assert rate == 2  # twice the sampling rate
    rows = records(text)
    sums = [sum(r[0][i] for r in rows) for i in range(4)]
    assert [objects, size, all_size] == [sums[0], sums[1], sums[3]]
    assert all_objects - sums[2] in (0, 1)  # Go adds one when nothing was freed
    assert objects >= 8192 and size >= 8 << 20 and all_size >= 16 << 20


def test_records_are_by_bytes_in_use_descending(target):
    sizes = [r[0][1] for r in records(text_of(target, "/heap?debug=1"))]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 8 << 20


def test_record_has_its_counts_and_named_frames(target):
    numbers, pcs, lines = records(text_of(target, "/heap?debug=1"))[0]
    assert numbers == [8192, 8 << 20, 8192, 8 << 20]
    frames = [FRAME.fullmatch(line) for line in lines]
    assert all(frames), lines
    names = [f.group(2) for f in frames]
    assert "keep_blocks" in names[:2] and "main" in names
    place = frames[names.index("keep_blocks")].group(3)
    assert re.fullmatch(r".*v_blocks\.c:\d+", place)
    returns = {int(pc, 16) for pc in pcs}  # as recorded; a frame is the call before it
    assert {int(f.group(1), 16) + 1 for f in frames} <= returns


def test_numbers_are_not_scaled(start):
    sampled = start([victim("v_blocks"), "64"], heap_rate=65536)
    sampled.expect("ready")
    text = text_of(sampled, "/heap?debug=1")
    assert HEADER.fullmatch(text.splitlines()[0]).group(5) == "131072"
    numbers, _, _ = records(text)[0]
    assert 500 < numbers[0] < 1700  # 1024 expected; scaled it would be 65536


def test_tail_is_gos_memstats_with_maxrss_last(target):
    tail = text_of(target, "/heap?debug=1&gc=1").split("\n# runtime.MemStats\n")[1].splitlines()
    values = dict(line[2:].split(" = ", 1) for line in tail)
    for name in ("Alloc", "TotalAlloc", "Sys", "Mallocs", "Frees", "HeapAlloc", "HeapSys",
                 "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects", "NumGC"):
        assert re.fullmatch(r"\d+", values[name]), name
    assert values["NumGC"] == "0"
    assert tail[-1].startswith("# MaxRSS = ")
    assert int(values["MaxRSS"]) > 8 << 20


def test_heap_of_libc_is_counted_on_request_alone(target):
    """Its allocator is locked meanwhile."""
    text = text_of(target, "/heap?debug=1")
    assert "# HeapAlloc = " in text
    assert "# HeapSys = " not in text


def test_pprof_reads_the_text_form(target, pprof, tmp_path):
    path = tmp_path / "heap.txt"
    path.write_text(text_of(target, "/heap?debug=1"))
    out, _ = pprof("-top", "-sample_index=inuse_space", str(path))
    assert "Type: inuse_space" in out
