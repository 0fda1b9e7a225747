# SPDX-License-Identifier: Apache-2.0
"""The command pprofagent, and a server that answers it with what a test wants."""
import http.server
import json
import shutil
import subprocess
import threading

from lib.harness import BUILD, environment

COMMAND = BUILD / "pprofagent"


def command_env(**settings):
    return environment(preload=(), **settings)


class Done:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def __repr__(self):
        return f"Done({self.status}, {self.out!r}, {self.err!r})"


def command(*words, shell=(), env=None, cwd=None, path=COMMAND, **kwargs):
    """Runs it to its end. shell: what interprets it, in place of its first line."""
    argv = [*shell, str(path), *map(str, words)]
    return Done(subprocess.run(argv, env=env or command_env(), cwd=cwd, stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=60, check=False, **kwargs))


def listed(**kwargs):
    """What `pprofagent list` finds: {pid: entry}."""
    done = command("list", "--json", **kwargs)
    assert (done.status, done.err) == (0, "")
    return {entry["pid"]: entry for entry in json.loads(done.out)}


def named_copy(folder, program, name):
    """A program under a name that no other test has, for `pprofagent get NAME`."""
    copy = folder / name
    shutil.copy(program, copy)
    return str(copy)


class Answers:
    """A server: answers every request with status and body, and keeps what was asked."""

    def __init__(self, body=b"", status=200, hold=None):
        self.body, self.status, self.hold, self.requests = body, status, hold, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                if outer.hold:
                    outer.hold.wait(30)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                try:
                    self.wfile.write(outer.body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        if self.hold:
            self.hold.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


# What the script uses, and what ordinary machines have besides.
TOOLS = """awk bash cat chmod cmp curl cut dash dd dirname env getcap getconf grep head id ls mktemp
mv nsenter od readelf readlink rm sed sh sleep sort stat tail timeout tr wget xargs""".split()


def links_to(folder, without=(), **extra):
    """A folder for PATH with those tools but some. extra: NAME=text of a script that stands there
    instead."""
    folder.mkdir()
    for name in set(TOOLS) - set(without) - set(extra):
        if shutil.which(name):
            (folder / name).symlink_to(shutil.which(name))
    for name, text in extra.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return str(folder)
