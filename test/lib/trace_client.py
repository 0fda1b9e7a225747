# SPDX-License-Identifier: Apache-2.0
"""Traces of programs, and `go tool trace`."""
import http.client
import os
import re
import signal
import subprocess
import time

from lib.go_tools import environment
from lib.harness import PREFIX, free_port, request, until, victim
from lib.trace_reader import Trace

OURS = re.compile(r"^_?pa_|_slow$|^pprofagent_api|^run_thread$")


class Tracing:
    """A trace that is being taken: it is on when this is made."""

    def __init__(self, target, query="seconds=60"):
        self.connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=90)
        self.connection.request("GET", f"{PREFIX}/trace?{query}")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def body(self):
        try:
            return self.answer.read()
        finally:
            self.connection.close()

    def leave(self):
        self.answer.close()
        self.connection.close()


def during(target, work, seconds=1.5, query=""):
    """The trace in which work() happens, as bytes, and what work() gave; a machine that is too
    slow for it gets more time."""
    while True:
        tracing = Tracing(target, f"seconds={seconds}{query}")
        end = time.monotonic() + seconds
        given = work()
        in_time = time.monotonic() < end
        body = tracing.body()
        if in_time:
            return body, given
        seconds *= 3


def begin(start, name="v_trace_work", **settings):
    target = start([victim(name)], **settings)
    target.expect("ready")
    return target


def check(body):
    """A whole trace in which no frame is the agent's."""
    trace = Trace(body)
    assert not [name for name in trace.functions() if OURS.search(name)]
    return trace


class GoTrace:
    """`go tool trace` of one version."""

    def __init__(self, version, go, folder):
        self.go, self.folder = go, folder
        self.parse = "-d" if version.startswith("go1.19") else "-d=parsed"
        stub = folder / "bin"
        stub.mkdir()
        for browser in ("xdg-open", "chrome", "google-chrome", "chromium", "firefox"):
            (stub / browser).symlink_to("/bin/true")
        self.env = environment(BROWSER="true", PATH=f"{stub}:{os.environ['PATH']}")

    def run(self, *words):
        done = subprocess.run([self.go, "tool", *map(str, words)], env=self.env, timeout=180,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, (words, done.stderr[-2000:])
        return done.stdout

    def parsed(self, path):
        return self.run("trace", self.parse, path).decode(errors="replace")

    def top(self, path, kind):
        profile = self.folder / f"{kind}.pprof"
        profile.write_bytes(self.run("trace", f"-pprof={kind}", path))
        return self.run("pprof", "-top", "-cum", "-nodecount=500", "-nodefraction=0",
                        profile).decode()

    def pages(self, path, *wanted):
        """The texts of these pages of the web server."""
        port = free_port()
        server = subprocess.Popen(
            [self.go, "tool", "trace", f"-http=127.0.0.1:{port}", str(path)], env=self.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

        def up():
            assert server.poll() is None, server.stderr.read()
            try:
                return request(port, "/", timeout=60).status == 200
            except OSError:
                return False
        try:
            until("go tool trace serves", up, 120)
            answers = [request(port, page, timeout=120) for page in wanted]
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            server.stderr.close()
        assert [a.status for a in answers] == [200] * len(wanted), answers
        return [a.body.decode(errors="replace") for a in answers]


def names_of(top):
    return set(re.findall(r"%  *([^ %\n]+)(?: \(inline\))?$", top, re.M))
