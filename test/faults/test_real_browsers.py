# SPDX-License-Identifier: Apache-2.0
"""Browsers, which sandbox themselves and count their threads, and a cache whose threads share
one alternate signal stack."""
import http.client
import re

from lib.fault_rows import PYTHON, have, row
from lib.harness import free_port, until
from lib.real_programs import ANY_PORT, compare, family

USER = "nobody"
PAGE = """<html><body><h1 id=sum></h1><script>
let sum = 0; for (let i = 0; i < 3000000; i++) sum += i % 7;
document.getElementById('sum').textContent = 'sum ' + sum;
</script></body></html>
"""
# Without the last ones chromium looks for hosts outside.
CHROMIUM = ["/usr/bin/chromium", "--headless=new", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-component-update", "--disable-background-networking",
            "--disable-sync"]


def write_page(side):
    page = side.folder / "page.html"
    page.write_text(PAGE)
    page.chmod(0o644)
    return page.as_uri()


def run(side, *argv):
    """Its status and stdout, while the mode's poller asks all of its processes."""
    target = side.start(["/usr/bin/env", f"HOME={side.folder}", "MOZ_HEADLESS=1", *argv])
    with side.swarm(target.pid) as swarm:
        status = target.process.wait(240)
    target.finish()
    if swarm.asked:
        side.case.note(f"{swarm.answers} answers of {len(swarm.asked)} processes")
    return status, b"".join(target.out_lines)


def browse(side, *options):
    """What chromium makes of the page: its status, and the text that a script put there."""
    status, out = run(side, *CHROMIUM, *options, f"--user-data-dir={side.folder}/data",
                      "--dump-dom", write_page(side))
    return {"status": status, "sum": re.findall(rb"sum \d+", out)}


@row("R41", "chromium without its sandbox, as root", severity=1)
def test_chromium_as_root(case):
    have("chromium")
    bare, _ = compare(case, lambda side: browse(side, "--no-sandbox"), address=ANY_PORT)
    assert bare == {"status": 0, "sum": [b"sum 8999994"]}


@row("R42", "chromium in its sandbox, as a user", severity=1)
def test_chromium_as_user(case):
    have("chromium")
    bare, _ = compare(case, browse, user=USER, address=ANY_PORT)
    assert bare == {"status": 0, "sum": [b"sum 8999994"]}


@row("R43", "firefox: content processes with filters that trap, a screenshot", severity=1)
def test_firefox(case):
    have("firefox-esr")

    def photograph(side):
        shot, profile = side.folder / "shot.png", side.folder / "profile"
        profile.mkdir()
        status, _ = run(side, "/usr/bin/firefox-esr", "--headless", "--no-remote", "--profile",
                        str(profile), "--screenshot", str(shot), write_page(side))
        return {"status": status, "shot": shot.exists() and shot.read_bytes()}

    bare, _ = compare(case, photograph, address=ANY_PORT)
    assert bare["status"] == 0 and bare["shot"][:4] == b"\x89PNG"


# ------------------------------------------------------------------ varnish


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def cache(side):
    """1,000 requests to varnish, in front of a server of its own."""
    www, backend, front = side.folder / "www", free_port(), free_port()
    www.mkdir()
    (www / "page.txt").write_text("one line of many\n" * 1000)
    server = side.case.start_bare([PYTHON, "-m", "http.server", "--bind", "127.0.0.1",
                                   str(backend)], cwd=www)
    varnish = side.start(["/usr/sbin/varnishd", "-F", "-n", str(side.folder / "varnish"), "-a",
                          f"127.0.0.1:{front}", "-b", f"127.0.0.1:{backend}", "-s",
                          "malloc,32m"])

    def answers():
        try:
            return ask(front, "/page.txt") == 200
        except OSError:
            return False
    until("varnish answers", answers, deadline_s=60)
    pids = family(varnish.pid)
    with side.swarm(varnish.pid, (front,)) as swarm:
        statuses = {ask(front, f"/page.txt?{i % 50}") for i in range(1000)}
        same = family(varnish.pid) == pids
    varnish.process.terminate()
    status = varnish.process.wait(60)
    server.kill()
    if swarm.asked:
        side.case.note(f"{swarm.answers} answers of {len(swarm.asked)} processes")
    return {"statuses": statuses, "no process was started anew": same, "status": status}


@row("R44", "varnish under load: its threads share one alternate signal stack", severity=1)
def test_varnish(case):
    have("varnishd")
    bare, _ = compare(case, cache, address=ANY_PORT)
    assert bare["statuses"] == {200} and bare["no process was started anew"]
