# SPDX-License-Identifier: Apache-2.0
"""The versions of Go that are installed, and `go tool pprof` of each."""
import os
import re
import shutil
import subprocess


def environment(**more):
    """No agent, no module, no network, no other toolchain than the one that is asked. With modules
    on, so that a program without go.mod gets the behaviour of its own Go and not that of 1.20."""
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return {**env, "GO111MODULE": "on", "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local",
            "GOWORK": "off", "CGO_ENABLED": "0", **more}


def go_tools():
    """The distribution's go and the one on PATH, each version once: {version: path}."""
    found = {}
    for path in ("/usr/bin/go", shutil.which("go")):
        if path and os.path.exists(path):
            version = subprocess.run([path, "env", "GOVERSION"], capture_output=True, text=True,
                                     env=environment(), check=True).stdout.strip()
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def version_of(name):
    """ "go1.19.8" is (1, 19)."""
    return tuple(int(n) for n in re.match(r"go(\d+)\.(\d+)", name).groups())


class Pprof:
    """pprof(ARGUMENT...) runs `go tool pprof` with a folder of its own for temporary files and
    returns (stdout, stderr); it must succeed, or fail when that is asked for."""

    def __init__(self, go, folder):
        self.go, self.folder = go, folder

    def __call__(self, *arguments, fails=False):
        done = subprocess.run([self.go, "tool", "pprof", *arguments], capture_output=True,
                              env=environment(PPROF_TMPDIR=str(self.folder)), text=True,
                              timeout=180, check=False, stdin=subprocess.DEVNULL)
        assert (done.returncode != 0) == fails, (done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr


def build_tools():
    """Go 1.25 and later compile pprof and trace when they are first asked for, which takes a
    minute: no test is to wait for that."""
    for go in go_tools().values():
        for name in ("pprof", "trace"):
            subprocess.run([go, "tool", name, "-help"], env=environment(), capture_output=True,
                           check=False)


if __name__ == "__main__":
    build_tools()
