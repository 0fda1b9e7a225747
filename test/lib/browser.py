# SPDX-License-Identifier: Apache-2.0
"""The page at /debug/pprof/ui in a real browser, used as a person does: mouse, keyboard, selects.

Scripts only read what is on the screen."""
import json
import re

from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from lib.harness import PREFIX, until

# As root chromium has no sandbox; without the last ones it looks for hosts outside.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--hide-scrollbars", "--disable-quic", "--no-first-run", "--disable-component-update",
         "--disable-background-networking", "--disable-sync"]
WIDE, PHONE = (1280, 800), (390, 844)
ROW = 18  # pixels of a row of the graph


def begin(downloads):
    """A browser; files that pages save come into that folder."""
    options = Options()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.execute_cdp_cmd("Browser.setDownloadBehavior",
                           {"behavior": "allow", "downloadPath": str(downloads)})
    return driver


class Page:
    def __init__(self, driver, downloads):
        self.driver, self.downloads = driver, downloads
        self.port = None
        self.resize(WIDE)
        self.scheme("light")

    # -------------------------------------------------------- the window

    def resize(self, size):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": name}]})

    def open(self, target, fragment="", ready=True, query=""):
        """fragment: "profile=heap&view=table". From an empty tab: no state of another page."""
        self.port = target if isinstance(target, int) else target.port
        self.driver.get("about:blank")
        self.driver.get(f"http://127.0.0.1:{self.port}{PREFIX}/ui{query}"
                        + (f"#{fragment}" if fragment else ""))
        return self.ready() if ready else self

    def read(self, script, *args):
        return self.driver.execute_script("return " + script, *args)

    def at(self, name):
        return self.driver.find_element(By.ID, name)

    def text(self, name):
        return self.read("document.getElementById(arguments[0]).textContent", name)

    def shown(self, name):
        return self.at(name).is_displayed()

    def address(self):
        return self.driver.current_url

    def idle(self):
        return not self.shown("progress") and any(map(self.shown, ("graph", "list", "error")))

    def ready(self):
        until("the page has drawn", self.idle)
        assert not self.shown("error"), self.text("error")
        return self

    def complaints(self):
        """What the console says since the last time."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE"]

    # -------------------------------------------------------- hands

    def click(self, name):
        self.at(name).click()
        return self

    def press(self, *keys):
        """To what has the focus."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()
        return self

    def type(self, name, text):
        field = self.at(name)
        field.send_keys(Keys.CONTROL + "a")
        field.send_keys(Keys.DELETE, text)
        return self

    def select(self, name, value):
        Select(self.at(name)).select_by_value(value)
        return self

    def options(self, name):
        """{value: text} of a select."""
        return dict(self.read("[...document.getElementById(arguments[0]).options]"
                              ".map(each => [each.value, each.textContent])", name))

    def labels(self):
        """The selects of the labels, by their key."""
        found = {}
        for label in self.driver.find_elements(By.CSS_SELECTOR, "#only label"):
            found[label.text.split()[0]] = Select(label.find_element(By.TAG_NAME, "select"))
        return found

    def view(self, name):
        self.click(f"{name}-view")
        until(f"{name} is shown", lambda: self.read(
            f"document.getElementById('{name}-view').ariaSelected") == "true")
        return self.ready()

    def open_files(self):
        if not self.read("document.getElementById('files').open"):
            self.driver.find_element(By.CSS_SELECTOR, "details summary").click()

    def give_file(self, path, field="open"):
        """Chooses a file of this machine."""
        self.open_files()
        before = self.options("base"), self.text("error")
        self.at(field).send_keys(str(path))
        until("the file is read", lambda: (self.options("base"), self.text("error")) != before)
        return self

    def saved(self, button, pattern):
        """Presses a button that saves a file, and waits for it; its bytes."""
        self.open_files()
        self.at(button).click()

        def there():
            return [path for path in self.downloads.iterdir()
                    if re.fullmatch(pattern, path.name)]
        path = until(f"{pattern} is saved", there)[0]
        data = path.read_bytes()
        path.unlink()
        return data

    # -------------------------------------------------------- eyes

    def info(self):
        return self.text("info")

    def table(self):
        """{function: (flat, cum)}, all rows."""
        while self.driver.find_elements(By.CSS_SELECTOR, "#list > button"):
            ActionChains(self.driver, duration=0).scroll_by_amount(0, 1_000_000).perform()
            self.driver.find_element(By.CSS_SELECTOR, "#list > button").click()
        rows = self.read("[...document.querySelectorAll('tbody tr')].map(row => "
                         "[row.cells[4].textContent, row.cells[0].title, row.cells[2].title])")
        found = {name: (number(flat), number(cum)) for name, flat, cum in rows}
        assert len(found) == len(rows), "a function is there twice"
        return found

    def names(self):
        """The functions of the table, in their order."""
        return self.read("[...document.querySelectorAll('tbody tr')].map(row => "
                         "row.cells[4].textContent)")

    def point(self, x, row):
        """Moves the mouse to a place in the graph; what the page says of it."""
        canvas = self.at("boxes")
        size = canvas.size
        ActionChains(self.driver, duration=0).move_to_element_with_offset(
            canvas, int(x - size["width"] / 2), int(row * ROW + 9 - size["height"] / 2)).perform()
        return self.info()

    def find_box(self, name, step=6):
        """(x, row) inside of a box with that function: the mouse is moved there. It is looked for
        with events that a script sends, which takes no time."""
        found = self.read(FIND_BOX, name, step, ROW)
        assert found, f"no box {name}"
        assert is_of(self.point(*found), name), self.info()
        return tuple(found)

    def click_at(self, x, row):
        self.point(x, row)
        ActionChains(self.driver, duration=0).click().perform()
        return self

    def click_box(self, name):
        return self.click_at(*self.find_box(name))

    def colour(self, x, row):
        """Of the canvas at that place, as a person sees it: (red, green, blue)."""
        return tuple(self.read(
            "[...document.getElementById('boxes').getContext('2d').getImageData("
            "arguments[0], arguments[1], 1, 1).data].slice(0, 3)", x, row * ROW + 2))

    def overflows(self):
        """True if the page is wider than the window."""
        return self.read("document.documentElement.scrollWidth > innerWidth")

    def measure(self, script):
        """Of an asynchronous script that calls done(value)."""
        try:
            return json.loads(self.driver.execute_async_script(
                "const done = value => arguments[0](JSON.stringify(value));" + script))
        except JavascriptException as error:
            raise AssertionError(error) from None


# The middle of the first run of places where the page tells of that function.
FIND_BOX = """((name, step, height) => {
    const canvas = document.getElementById('boxes'), info = document.getElementById('info');
    const {left, top, width, bottom} = canvas.getBoundingClientRect();
    for (let row = 0; top + row * height < bottom; row++) {
        const hits = [];
        for (let x = 3; x < width; x += step) {
            canvas.dispatchEvent(new MouseEvent('mousemove',
                {clientX: left + x, clientY: top + row * height + 9}));
            const text = info.textContent;
            if (text.startsWith(name + ':') || text.startsWith(name + ' ('))
                hits.push(x);
            else if (hits.length)
                break;
        }
        if (hits.length)
            return [Math.floor((hits[0] + hits.at(-1)) / 2), row];
    }
})(...arguments)"""


def is_of(info, name):
    return info.startswith((name + ":", name + " ("))


def number(text):
    return int(text.replace(",", ""))
