# SPDX-License-Identifier: Apache-2.0
"""Programs under the agent, and HTTP requests to them."""
import http.client
import os
import queue
import random
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PPROFAGENT_BUILD", ROOT / "build"))
# The two objects may be of another build, and want a library before them (`make asan-e2e`).
OBJECTS = Path(os.environ.get("PPROFAGENT_OBJECTS", BUILD))
FIRST = tuple(filter(None, [os.environ.get("PPROFAGENT_FIRST")]))
AGENT = OBJECTS / "libpprofagent.so"
CORE = OBJECTS / "libpprofagent-core.so"
# What the agent contains, and what that needs in turn where it is a shared library.
SONAMES = ("libcivetweb.so.1", "libunwind.so.8", "libunwind-x86_64.so.8", "libdw.so.1",
           "libelf.so.1", "liblzma.so.5", "libz.so.1", "libbz2.so.1.0", "libzstd.so.1",
           "libprotobuf-nanopb.so.0", "libiberty.so", "libstdc++.so.6", "libgcc_s.so.1")
VICTIMS = BUILD / "victim"

DEADLINE_S = 30.0  # for one thing to happen; never a figure that is measured
PREFIX = "/debug/pprof"


# Python 3.12 and newer counts the threads in /proc and warns (agent/docs/limits.md).
QUIET_FORK = ("-W", "ignore::DeprecationWarning")


def victim(name):
    return str(VICTIMS / name)


def free_port():
    """One that nothing else is given before the target takes it: the kernel chooses ports of
    connections, and of listeners that leave it the choice, in ip_local_port_range. Processes of
    pytest-xdist have ports of their own each."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.randrange(10000 + worker, max(low, 20000), workers)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(what, condition, deadline_s=DEADLINE_S):
    """Asks again and again until condition() is true; its value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.01)


def environment(port=None, preload=(AGENT,), **settings):
    """What a program under the agent gets. settings: PPROFAGENT_ names without the prefix, in
    small letters; X_NAME is the variable NAME itself."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("PPROFAGENT_", "LD_", "MALLOC", "GLIBC_"))}
    env.update(LC_ALL="C.UTF-8")
    if preload:
        env["LD_PRELOAD"] = ":".join(str(p) for p in (*FIRST, *preload))
    if port is not None:
        env["PPROFAGENT_ADDRESS"] = f"127.0.0.1:{port}"
    for name, value in settings.items():
        name = name[2:] if name.startswith("X_") else "PPROFAGENT_" + name.upper()
        env[name] = str(value)
    return env


def listening(pid):
    """Local addresses of the TCP sockets that a process (any of its threads) listens on, as
    /proc/net/tcp writes them: the agent's threads have descriptors of their own."""
    inodes = set()
    for folder in Path(f"/proc/{pid}/task").glob("*/fd"):
        for fd in folder.iterdir():
            try:
                inodes.update(re.findall(r"^socket:\[(\d+)\]", os.readlink(fd)))
            except OSError:
                continue
    found = []
    for table in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        found += [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
    return found


def status_of(pid, field):
    """A field of /proc/PID/status."""
    return re.search(rf"^{field}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(),
                     re.M).group(1)


SIGNAL = 61  # SIGRTMAX-3, the agent's own


def sampling(target, number=SIGNAL):
    """True while a CPU profile is being taken: only then the agent's signal has a handler."""
    return int(status_of(target.pid, "SigCgt"), 16) >> (number - 1) & 1


# Every wait and every contended critical section.
CONTENTION = {"block_rate": 1, "mutex_fraction": 1}

# Every allocation, and a ring that holds all of them even while the agent is still starting.
EXACT = {"heap_rate": 1, "buffer": "512M"}


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"Response({self.status}, {self.headers}, {self.body[:200]!r})"


def request(port, path, method="GET", headers=None, body=None, timeout=60.0):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def answers(target, path):
    assert target.process.poll() is None, target.process.returncode
    try:
        return request(target.port, PREFIX + path).status == 200
    except (OSError, http.client.HTTPException):
        return False


def raw_request(port, text, timeout=10.0):
    """Sends bytes as they are; all that comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got
                got += piece
        except (TimeoutError, ConnectionResetError):
            return got


def pairs(line):
    """Of a line "word name number name number ...", or "word name=number ...": {name: number}."""
    words = line.replace("=", " ").split()[1:]
    return {name: int(number) for name, number in zip(words[::2], words[1::2])}


class Later:
    """A request that is under way: answer() waits for what it gives."""

    def __init__(self, target, path):
        self.answered = None
        self.thread = threading.Thread(target=self._run, args=(target, path))
        self.thread.start()

    def _run(self, target, path):
        try:
            self.answered = target.get(path)
        except (OSError, http.client.HTTPException) as error:
            self.answered = error

    def running(self):
        return self.thread.is_alive()

    def answer(self):
        self.thread.join(60)
        assert not isinstance(self.answered, Exception), self.answered
        return self.answered


class Target:
    """A running program. Lines of its stdout are read as they come."""

    def __init__(self, argv, env, port=None, cwd=None, preexec=None, merge=False):
        self.port = port
        self.argv = [str(a) for a in argv]
        self.process = subprocess.Popen(
            self.argv, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=preexec, start_new_session=True)
        self.pid = self.process.pid
        self.out_lines, self.err_text = [], b""
        self._lines = queue.Queue()
        self._readers = [threading.Thread(target=self._read_out, daemon=True),
                         threading.Thread(target=self._read_err, daemon=True)]
        for reader in self._readers:
            reader.start()

    def _read_out(self):
        for line in self.process.stdout:
            self.out_lines.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _read_err(self):
        for line in self.process.stderr:
            self.err_text += line

    # -------------------------------------------------------- its input and output

    def line(self, deadline_s=DEADLINE_S):
        """The next line of stdout, without its newline."""
        try:
            line = self._lines.get(timeout=deadline_s)
        except queue.Empty:
            raise AssertionError(f"{self.argv}: no line within {deadline_s} s") from None
        if line is None:
            self.process.wait(DEADLINE_S)
            for reader in self._readers:
                reader.join(2)
            raise AssertionError(f"{self.argv}: ended, status {self.process.returncode}, "
                                 f"stderr {self.err_text!r}")
        return line.decode().rstrip("\n")

    def expect(self, word):
        line = self.line()
        assert line.split(" ")[0] == word, f"wanted {word!r}, got {line!r}"
        return line

    def tell(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, text, word):
        self.tell(text)
        return self.expect(word)

    def finish(self, deadline_s=DEADLINE_S):
        """Closes its stdin and waits for its end; the exit status as Popen has it."""
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        status = self.process.wait(deadline_s)
        for reader in self._readers:
            reader.join(deadline_s)
        return status

    @property
    def out(self):
        return b"".join(self.out_lines).decode()

    @property
    def err(self):
        return self.err_text.decode()

    def kill(self):
        """Ends it and what it started (it has a session of its own)."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(DEADLINE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except (BrokenPipeError, ValueError, RuntimeError):
                pass

    # -------------------------------------------------------- its port

    def answers(self):
        """Waits until the port answers."""
        def once():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.argv} ended with status {self.process.returncode} "
                                     f"before it answered; stderr {self.err_text!r}")
            try:
                return request(self.port, PREFIX + "/cmdline", timeout=5).status == 200
            except (OSError, http.client.HTTPException):
                return False
        try:
            until(f"port {self.port} of {self.argv} answers", once)
        except AssertionError as error:
            raise AssertionError(f"{error}; it listens on {listening(self.pid)}, "
                                 f"stderr {self.err_text!r}") from None
        return self

    def get(self, path, **kwargs):
        """path below /debug/pprof, as in "/heap"; or a whole one that starts with /debug."""
        if not path.startswith("/debug") and path != "/":
            path = PREFIX + path
        return request(self.port, path, **kwargs)

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{PREFIX + path if path else ''}"


def run(argv, env, stdin=b"", deadline_s=60.0, **kwargs):
    """A program from start to end: (status, stdout, stderr) as bytes."""
    done = subprocess.run([str(a) for a in argv], env=env, input=stdin, capture_output=True,
                          timeout=deadline_s, check=False, **kwargs)
    return done.returncode, done.stdout, done.stderr


def run_both(argv, stdin=b"", deadline_s=60.0, **settings):
    """The same program bare and under the agent (which serves on a free port)."""
    bare = run(argv, environment(preload=()), stdin, deadline_s)
    agent = run(argv, environment(free_port(), **settings), stdin, deadline_s)
    return bare, agent
