# SPDX-License-Identifier: Apache-2.0
"""Builds the two programs, and starts them in pairs: one Go and the agent's."""
import os
import subprocess
from pathlib import Path

from conformance.ask import Asked, ask
from lib import harness
from lib.go_tools import environment as go_environment, go_tools

HERE = Path(__file__).resolve().parent
OUT = harness.BUILD / "conformance"
AGENT = "agent"

# As test/victim/ is built: what the functions do is looked for in profiles.
C_FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-pthread",
           "-fno-builtin", "-fno-optimize-sibling-calls", f"-I{harness.ROOT / 'agent'}"]


def build(command, sources, output, **options):
    newest = max(source.stat().st_mtime for source in sources if source.exists())
    if output.exists() and output.stat().st_mtime > newest:
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(c) for c in command], check=True, **options)
    return output


def build_reference(version, go):
    source, output = HERE / "reference" / "main.go", OUT / f"reference-{version}"
    return build([go, "build", "-o", output, source.name], [source], output, cwd=source.parent,
                 env=go_environment())


def build_victim():
    source, output = HERE / "victim.c", OUT / "victim"
    header = harness.ROOT / "agent" / "pprofagent.h"
    compiler = os.environ.get("CC", "gcc")
    return build([compiler, *C_FLAGS, "-o", output, source], [source, header], output)


def build_references():
    """{version: program}"""
    return {version: build_reference(version, go) for version, go in go_tools().items()}


def start_here(argv, port, settings):
    """The program under the agent of this build."""
    return harness.Target(argv, harness.environment(port, **settings), port)


class Side:
    """One of those that are asked: a running program with a port. start: how the agent's begins."""

    def __init__(self, name, program, arguments=(), settings=None, start=start_here):
        self.name, self.program = name, str(program)
        argv = [program, "127.0.0.1:0", *arguments]
        if name == AGENT:
            self.target = start(argv, harness.free_port(), settings or {})
            self.target.expect("ready")
            self.target.answers()
        else:
            self.target = harness.Target(argv, harness.environment(preload=()))
            self.target.port = int(self.target.expect("ready").split()[1])

    @property
    def is_agent(self):
        return self.name == AGENT

    def tell(self, command, word):
        """The rest of the line that the program answers with."""
        return self.target.ask(command, word).split(" ")[1:]

    def begin(self, path, method="GET", **request):
        return Asked(self.target.port, method, whole(path), **request)

    def get(self, path, method="GET", **request):
        return ask(self.target.port, method, whole(path), **request)

    def end(self):
        self.target.kill()


def whole(path):
    """Paths are below /debug/pprof/; one that begins with a slash stands for itself."""
    if path.startswith(("/", "http:")):
        return path
    return harness.PREFIX + "/" + path
