# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, redis and nginx on a side of a scenario (real_programs.py)."""
import http.client
import re

from lib.fault_rows import newest
from lib.harness import free_port, until
from lib.real_programs import cpu_s, family, gone, state_of

PG = newest("/usr/lib/postgresql/*/bin/")


class Postgres:
    """A cluster in the folder of a side, run by the user postgres as its makers demand."""

    def __init__(self, side):
        self.side, self.port = side, free_port()
        self.data = side.folder / "data"

    def make(self):
        return self.side.done([PG + "initdb", "-D", self.data, "-A", "trust", "--no-sync"])

    def start(self):
        options = (f"-p {self.port} -k {self.side.folder} -c listen_addresses=127.0.0.1 "
                   "-c fsync=off -c shared_buffers=16MB")
        status = self.side.done([PG + "pg_ctl", "-D", self.data, "-w", "-l",
                                 self.side.folder / "log", "-o", options, "start"])
        self.side.own(self.pid)
        return re.sub(r"\.{2,}", ".", status[1]), status[0], status[2]

    @property
    def pid(self):
        """The postmaster, or None while there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError):
            return None

    def sql(self, text):
        return self.side.tool("psql", "-h", "127.0.0.1", "-p", str(self.port), "-At", "-c", text,
                              "postgres")

    def bench(self, *words):
        out = self.side.tool("pgbench", "-h", "127.0.0.1", "-p", str(self.port), *words,
                             "postgres")
        return re.findall(r"(?:actually processed|failed transactions): \S+", out)

    def stop(self, how="fast"):
        members = family(self.pid)
        status = self.side.done([PG + "pg_ctl", "-D", self.data, "-w", "-m", how, "stop"])
        for pid in members:
            gone(pid, "a process of PostgreSQL")
        return re.sub(r"\.{2,}", ".", status[1]), status[0], status[2]

    def log(self):
        """What the server logged, without times, pids and the port."""
        text = self.side.plain((self.side.folder / "log").read_bytes())
        text = re.sub(r"(?m)^\S+ \S+ \S+ \[\d+\] |at [\d-]+ [\d:]+ UTC|\(PID \d+\)", "", text)
        text = text.replace(str(self.port), "PORT")
        # Two processes end in either order.
        return sorted(line for line in text.splitlines()
                      if not line.startswith(("LOG:  checkpoint", "LOG:  starting")))


class Redis:
    def __init__(self, side):
        self.side, self.port = side, free_port()
        self.target = side.start(["/usr/bin/redis-server", "--port", self.port, "--save", "",
                                  "--dir", side.folder, "--bind", "127.0.0.1",
                                  "--enable-debug-command", "yes"])
        until("redis answers", lambda: self.cli("ping")[:2] == (0, "PONG\n"))

    def cli(self, *words):
        return self.side.done(["redis-cli", "-p", self.port, *words], agent=False)

    def load(self, requests):
        """Sets and gets; processor time a request that redis took."""
        before = cpu_s(self.target.pid)
        out = self.side.tool("redis-benchmark", "-p", str(self.port), "-n", str(requests), "-t",
                             "set,get", "-q")
        assert out.count("requests per second") == 2, out
        rates = [float(rate) for rate in re.findall(r"([\d.]+) requests per second", out)]
        return sum(rates) / 2, (cpu_s(self.target.pid) - before) / (2 * requests)


NGINX_CONF = """
worker_processes 2;
worker_shutdown_timeout 5;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    gzip on;
    gzip_types text/plain;
    server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


class Nginx:
    """A daemon with two workers of the user www-data, or without a daemon."""

    def __init__(self, side):
        self.side, self.port = side, free_port()
        (side.folder / "www").mkdir()
        (side.folder / "www" / "page.txt").write_text("one line of many\n" * 2000)
        (side.folder / "conf").write_text(NGINX_CONF.format(folder=side.folder, port=self.port))
        self.command = ["/usr/sbin/nginx", "-p", side.folder, "-c", side.folder / "conf", "-e",
                        side.folder / "error.log"]

    @property
    def pid(self):
        """The master, or None while there is none."""
        try:
            return int((self.side.folder / "pid").read_text())
        except (OSError, ValueError):
            return None

    def start(self):
        happened = self.side.done(self.command)
        self.side.own(until("nginx has its pid file", lambda: self.pid))
        until("nginx answers", lambda: self.ask(1, keep=False))
        until("both workers are there", lambda: len(self.workers()) == 2)
        return happened

    def workers(self):
        return [pid for pid in family(self.pid)[1:] if state_of(pid) != "Z"]

    def signal(self, word):
        return self.side.done([*self.command, "-s", word], agent=False)

    def ask(self, count, keep):
        """How often the page came as it is; by one connection, or each by its own."""
        good, page = 0, (self.side.folder / "www" / "page.txt").read_bytes()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _ in range(count):
            try:
                connection.request("GET", "/page.txt")
                answer = connection.getresponse()
                good += answer.status == 200 and answer.read() == page
            except ConnectionRefusedError:
                pass
            if not keep:
                connection.close()
        connection.close()
        return good

    def log(self):
        text = self.side.plain((self.side.folder / "error.log").read_bytes())
        lines = [re.sub(r"^\S+ \S+ (\[\w+\]) \d+#\d+: |\d{2,}", r"\1", line)
                 for line in text.splitlines()]
        return sorted(line for line in lines if "signal" not in line)
