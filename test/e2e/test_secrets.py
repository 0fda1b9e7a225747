# SPDX-License-Identifier: Apache-2.0
"""What a program wipes from its stack is in no copy of it that the agent made."""
import pytest

from lib.harness import Later, until, victim

KEY = bytes((i * 37 + 11 & 0xff) ^ 0x5a for i in range(32))


def copies(pid):
    """Mappings that have the key in them."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, mode = line.split()[:2]
            lo, hi = (int(end, 16) for end in area.split("-"))
            if mode[0] != "r" or "[v" in line:
                continue
            memory.seek(lo)
            try:
                data = memory.read(hi - lo)
            except OSError:
                continue
            found += [line] * data.count(KEY)
    return found


@pytest.mark.parametrize("what, path", [
    ("alloc", "/heap"), ("burn", "/profile?seconds=2"), ("sleep", "/goroutine?debug=2"),
    ("sleep", "/debug/fgprof?seconds=2")])
def test_wiped_key_is_in_no_copy_of_the_stack(start, what, path):
    target = start([victim("v_secret")], heap_rate=1)
    target.tell(what)
    if what == "sleep":
        until("the key is on the stack", lambda: copies(target.pid))
    later = None if what == "alloc" else Later(target, path)
    target.expect("wiped")
    answer = later.answer() if later else target.get(path)
    assert answer.status == 200
    target.get("/")  # by now all events were read
    assert copies(target.pid) == []


def test_ring_is_in_no_core_dump(start):
    target = start([victim("v_secret")], buffer="1M")
    flags = {}
    for line in open(f"/proc/{target.pid}/smaps"):
        if "-" in line.split()[0]:
            area = line.split()[0]
        if line.startswith("VmFlags:"):
            lo, hi = (int(end, 16) for end in area.split("-"))
            flags[hi - lo] = line.split()[1:]
    ring = [words for size, words in flags.items() if 1 << 20 <= size < 2 << 20]
    assert any("dd" in words for words in ring)
