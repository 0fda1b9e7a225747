"""Libraries that come and go: names stay with the code that they belong to."""
from harness import EXACT, victim
from profiles import heap


def test_memory_of_an_unloaded_library_keeps_its_name(start):
    target = start([victim("v_plugin")], **EXACT)
    assert target.expect("ready") == "ready same"
    profile = heap(target)
    assert profile.total("inuse_space", "two_keep") == 4 << 20
    # Its file is known by the mapping of the time; what lies there now must not lend its names.
    ones = [s for s in profile.samples if any("p_one.so" in f for f in s.mappings)]
    assert sum(s.values["inuse_space"] for s in ones) == 4 << 20
    assert not any(s.has("two_keep") for s in ones)
    assert not any(s.has("one_keep") and any("p_two.so" in f for f in s.mappings)
                   for s in profile.samples)


def test_library_loaded_later_is_named(start):
    target = start([victim("v_plugin")], **EXACT)
    target.expect("ready")
    stacks = [s for s in heap(target).samples if s.has("two_keep")]
    assert sum(s.values["inuse_space"] for s in stacks) == 4 << 20
    for stack in stacks:
        assert stack.names[:2] == ["two_keep", "plugin_keep"] and stack.has("main"), stack
        assert any(f.endswith("p_two.so") for f in stack.mappings)


def test_both_libraries_are_mappings_of_the_profile(start):
    target = start([victim("v_plugin")], **EXACT)
    target.expect("ready")
    files = heap(target).mapping_files
    assert files[0] == victim("v_plugin")
    assert any(f.endswith("libc.so.6") for f in files)
    assert any(f.endswith("p_two.so") for f in files)
