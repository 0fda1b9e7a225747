# SPDX-License-Identifier: Apache-2.0
"""The graph: icicle and flame, zoom, search, shades, hover, sandwich."""
import pytest
from selenium.webdriver.common.keys import Keys

from lib.browser import number
from lib.made_profiles import Made

MADE = (Made()
        .add(["leaf", "inline small", "middle", "main"], [3, 300])
        .add(["other", "main"], [1, 100])
        .add(["+0x2040", "other", "main"], [1, 500])
        .add(["recursive", "recursive", "main"], [1, 100]))


@pytest.fixture
def graph(page, idle, made_file):
    return page.open(idle).give_file(made_file(MADE))


def find_row(page, name):
    return page.find_box(name)[1]


def test_icicle_grows_down_and_flame_grows_up(graph):
    main, leaf = find_row(graph, "main"), find_row(graph, "leaf")
    assert (main, leaf) == (1, 4)
    graph.select("order", "flame")
    assert (find_row(graph, "main"), find_row(graph, "leaf")) == (leaf - 1, 0)


def test_hover_says_flat_cum_share_and_line(graph):
    x, row = graph.find_box("middle")
    assert graph.point(x, row) == (
        "middle: flat 0B (0.00%), cum 300B (30.00%). /src/3.c:12 callers and callees")
    x, row = graph.find_box("leaf")
    assert graph.point(x, row).startswith(
        "leaf: flat 300B (30.00%), cum 300B (30.00%). /src/1.c:11")
    x, row = graph.find_box("all")
    assert graph.point(x, row).startswith("all: flat 0B (0.00%), cum 1000B (100.00%)")
    # Away from all boxes: the total.
    assert graph.point(2, graph.at("boxes").size["height"] // 18 - 1).startswith(("Total", "leaf"))


def test_click_zooms_and_a_click_above_zooms_out(graph):
    width = graph.at("boxes").size["width"]
    graph.click_box("middle")
    for row, name in enumerate(["all", "main", "middle", "small (inlined)", "leaf"]):
        assert graph.point(2, row).startswith(name + ":"), row
        assert graph.point(width - 4, row).startswith(name + ":"), row
    assert "zoom=" in graph.address()
    graph.click_box("all")
    assert "zoom=" not in graph.address()
    assert graph.point(width - 4, 2).split(":")[0] != "middle"


def test_keyboard_moves_zooms_and_zooms_out(graph):
    graph.driver.execute_script("document.getElementById('boxes').focus()")
    assert graph.info().startswith("all:")
    graph.press(Keys.ARROW_DOWN)
    assert graph.info().startswith("main:")
    graph.press(Keys.ARROW_DOWN)
    assert graph.info().startswith("other:")  # the widest below
    graph.press(Keys.ARROW_RIGHT)
    assert graph.info().startswith("middle:")
    graph.press(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ENTER)
    assert graph.point(2, 2).startswith("middle:")
    assert "zoom=" in graph.address()
    graph.press(Keys.ESCAPE)  # to main, then to all
    assert graph.point(2, 2).startswith("other:")
    graph.press(Keys.ESCAPE)
    assert "zoom=" not in graph.address()
    graph.press(Keys.HOME)
    assert "all" in graph.read("document.getElementById('info').textContent")


def test_all_controls_are_reached_by_tab(graph):
    graph.driver.execute_script("document.querySelector('a').focus()")
    seen = []
    for _ in range(40):
        graph.press(Keys.TAB)
        seen.append(graph.read("document.activeElement.id || document.activeElement.tagName"))
        if seen[-1] == "boxes":
            break
    assert [name for name in seen if name in ("pid", "profile", "seconds", "fetch", "graph-view",
                                              "type", "find", "order", "group", "base", "boxes")] \
        == ["pid", "profile", "seconds", "fetch", "graph-view", "type", "find", "order", "group",
            "base", "boxes"]


def test_search_marks_matches_and_says_their_share(graph):
    x, row = graph.find_box("middle")
    before = graph.colour(x, row)
    graph.type("find", "^(small|leaf)$")
    assert graph.text("matches") == "30.00% match"
    assert graph.colour(x, row) == before
    assert graph.colour(*graph.find_box("leaf")) == graph.colour(*graph.find_box("small")) != before
    graph.at("find").send_keys(Keys.ENTER)
    assert graph.info().startswith("small (inlined):")
    graph.at("find").send_keys(Keys.ENTER)
    assert graph.info().startswith("leaf:")
    graph.type("find", "recursive")
    assert graph.text("matches") == "10.00% match"  # once, though it is there twice
    graph.type("find", "(")  # no regular expression
    assert graph.text("matches") == "0.00% match"
    graph.type("find", "")
    assert graph.text("matches") == ""


def test_slash_goes_to_the_search(graph):
    graph.driver.execute_script("document.getElementById('boxes').focus()")
    graph.press("/", "other")
    assert graph.at("find").get_attribute("value") == "other"
    assert graph.text("matches") == "60.00% match"


def test_inlined_and_nameless_frames_have_shades_of_their_own(graph):
    x, row = graph.find_box("small")
    assert "(inlined)" in graph.info()
    inlined = graph.colour(x, row)
    x, row = graph.find_box("libmade.so.1+0x2040")
    assert "flat 500B" in graph.info()
    nameless = graph.colour(x, row)
    plain = [graph.colour(*graph.find_box(name)) for name in ("main", "middle", "leaf", "other")]
    red = [c[0] > c[2] + 40 for c in plain]
    assert all(red), plain  # warm
    assert inlined[1] > inlined[0], inlined  # green
    assert max(nameless) - min(nameless) < 20, nameless  # grey


def test_sandwich_has_callers_above_and_callees_below(graph):
    graph.view("table")
    graph.driver.find_element("xpath", "//tbody//button[text()='other']").click()
    main, other, place = (find_row(graph, name) for name in
                          ("main", "other", "libmade.so.1+0x2040"))
    assert main < other < place
    x, row = graph.find_box("other")
    assert "flat 100B (10.00%), cum 600B (60.00%)" in graph.point(x, row)
    graph.click_box("main")  # now its callees
    assert "focus=main" in graph.address()
    assert find_row(graph, "main") < find_row(graph, "leaf")
    graph.view("graph").click_box("leaf")
    graph.driver.find_element("xpath", "//footer/button").click()
    assert "focus=leaf" in graph.address()
    assert find_row(graph, "small") < find_row(graph, "leaf")


def test_values_that_fall_have_the_other_colour(page, idle, made_file):
    made = Made().add(["grew", "main"], [4, 400]).add(["shrank", "main"], [-6, -600])
    page.open(idle).give_file(made_file(made))
    grew, shrank = (page.colour(*page.find_box(name)) for name in ("grew", "shrank"))
    assert grew[0] > grew[2] and shrank[2] > shrank[0], (grew, shrank)
    page.find_box("shrank")
    assert "flat -600B (-60.00%)" in page.info()
    x, row = page.find_box("main")
    assert "cum -200B (-20.00%)" in page.info()
    width = page.at("boxes").size["width"]
    # Of main 60 % fell, 40 % grew.
    assert page.colour(int(width * 0.55), row)[2] > page.colour(int(width * 0.65), row)[2]
    page.view("table")
    assert page.table() == {"main": (0, -200), "shrank": (-600, -600), "grew": (400, 400)}


def test_table_sorts_by_each_column_and_filters(graph):
    graph.view("table")
    assert graph.names() == ["libmade.so.1+0x2040", "leaf", "other", "recursive", "main", "middle",
                             "small"]

    def sort(title):
        graph.driver.find_element("xpath", f"//th/button[starts-with(., '{title}')]").click()
        return graph.names()
    by_cum = sort("cum")
    assert by_cum[:2] == ["main", "other"]
    by_name = sort("function")
    assert by_name == sorted(by_name)
    assert sort("function") == by_name[::-1]
    assert "sort=-text" in graph.address()
    graph.type("find", "^m")
    assert graph.names() == ["middle", "main"]


def test_sample_types_are_chosen_and_the_default_is_honoured(page, idle, made_file):
    types = (("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"),
             ("inuse_space", "bytes"))
    made = Made(types, default="alloc_space").add(["f"], [1, 20, 300, 4000])
    page.open(idle).give_file(made_file(made))
    assert list(page.options("type")) == [name for name, _ in types]
    assert page.at("type").get_attribute("value") == "alloc_space"
    assert page.view("table").table() == {"f": (20, 20)}
    for (name, _), value in zip(types, (1, 20, 300, 4000)):
        page.select("type", name)
        assert page.table() == {"f": (value, value)}
        assert number(page.read("document.querySelector('tbody td').title")) == value
