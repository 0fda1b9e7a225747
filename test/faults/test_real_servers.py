# SPDX-License-Identifier: Apache-2.0
"""Real programs: nginx and sshd, which fork, give up their privileges and filter their calls."""
import os
import re
import sys

from lib.fault_rows import have, row
from lib.harness import free_port, request, until
from lib.profiles import Profile
from lib.real_programs import ANY_PORT, Side, agent_port, compare, family, gone, state_of, version
from lib.real_servers import Nginx

# ------------------------------------------------------------------ nginx


def nginx_life(side):
    server = Nginx(side)
    with side.swarm(lambda: server.pid, (server.port,)) as swarm:
        happened = {"start": server.start()}
        happened["many"] = server.ask(500, keep=True), server.ask(500, keep=False)
        old = server.workers()
        happened["reload"] = server.signal("reload")
        for pid in old:
            until("the old worker is gone, not a zombie", lambda: state_of(pid) is None)
        until("two new ones are there", lambda: len(server.workers()) == 2)
        happened["more"] = server.ask(500, keep=False)
        happened["reopen"] = server.signal("reopen")
        until("all three have opened their logs anew",
              lambda: (side.folder / "error.log").read_text().count(": reopening logs") == 3)
        members = family(server.pid)
        happened["quit"] = server.signal("quit")
        took_s = max(gone(pid, "nginx", 10) for pid in members)
    side.case.note(f"gone {took_s:.2f} s after quit")
    assert not swarm.failures, swarm.failures[:5]
    if swarm.asked:
        side.case.note(f"{swarm.answers} answers of {len(swarm.asked)} processes")
    happened["log"] = server.log()
    happened["accesses"] = len((side.folder / "access.log").read_text().splitlines())
    return happened


@row("F09", "nginx daemon, 2 workers", severity=1)
def test_nginx(case):
    have("nginx")
    case.note(version("nginx", "-v"))
    bare, _ = compare(case, nginx_life, address=ANY_PORT)
    assert bare["many"] == (500, 500) and bare["more"] == 500
    assert bare["start"] == bare["quit"] == (0, "", "")


@row("F09b", "the master and the workers of nginx have true profiles", severity=3)
def test_nginx_profiles(case):
    have("nginx")
    with Side(case, bare=False, address=ANY_PORT) as side:
        server = Nginx(side)
        server.start()
        # Functions of its own that a stripped program still names.
        roots = {server.pid: "ngx_master_process_cycle"}
        roots.update(dict.fromkeys(server.workers(), "ngx_process_events_and_timers"))
        for pid, root in roots.items():
            port = until("its agent serves", lambda: agent_port(pid, (server.port,)))
            stacks = Profile(request(port, "/debug/pprof/goroutine").body)
            case.note(f"{stacks.samples[0].names[:1]}")
            assert stacks.total("goroutine", root) == 1, stacks.samples
            heap = Profile(request(port, "/debug/pprof/heap").body)
            assert case.mode == "idle" or heap.total("inuse_space", "ngx_init_cycle") > 50000


# ------------------------------------------------------------------ sshd

SSHD_CONF = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
"""

# Hands on what comes, each piece a while later: the time before the login is long then, and the
# child that talks to strangers, in an empty root, with limits and a filter, is there for seconds.
SLOW_LINE = """
import os, select, socket, sys, time
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    for source in select.select([0, line], [], [])[0]:
        piece = line.recv(65536) if source is line else os.read(0, 65536)
        if not piece:
            sys.exit()
        time.sleep(float(sys.argv[2]))
        os.write(1, piece) if source is line else line.sendall(piece)
"""


def sshd_life(side):
    port = free_port()
    for name in ("host", "client"):
        side.tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", side.folder / name)
    (side.folder / "conf").write_text(SSHD_CONF.format(folder=side.folder, port=port))
    (side.folder / "slow.py").write_text(SLOW_LINE)
    (side.folder / "file").write_bytes(bytes(range(256)) * 20000)
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    target = side.start(["/usr/sbin/sshd", "-D", "-e", "-f", side.folder / "conf"])
    strange = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
               "-o", f"UserKnownHostsFile={side.folder / 'known'}", "-o", "LogLevel=ERROR",
               "-o", "IdentitiesOnly=yes"]
    options = [*strange, "-i", side.folder / "client"]

    def ssh(*words, given=b""):
        return side.done(["ssh", *options, "-p", port, "root@127.0.0.1", *words], given,
                         agent=False)

    def copy(*more):
        done = side.done(["scp", *options, *more, "-q", "-P", port,
                          f"root@127.0.0.1:{side.folder / 'file'}", side.folder / "copy"],
                         agent=False)
        return done, (side.folder / "copy").read_bytes() == (side.folder / "file").read_bytes()

    def slow(seconds):
        line = f"{sys.executable} {side.folder / 'slow.py'} {port} {seconds}"
        return ssh("-o", f"ProxyCommand={line}", "echo slow")

    with side.swarm(target.pid, (port,)) as swarm:
        until("sshd answers", lambda: ssh("true")[0] == 0)
        happened = {"command": ssh("echo out; echo err >&2; cat | wc -c; exit 3",
                                   given=b"x" * 300000)}
        happened["terminal"] = ssh("-tt", "tty | cut -c1-8; stty size")
        happened["slow"] = slow(0.25)
        happened["scp"], happened["old scp"] = copy(), copy("-O")
        happened["stranger"] = side.done(
            ["ssh", *strange, "-i", side.folder / "host", "-p", port, "root@127.0.0.1", "true"],
            agent=False)[0]
        until("all sessions are over", lambda: len(family(target.pid)) == 1)
        target.process.terminate()
        happened["rc"] = target.finish(30)
    assert not swarm.failures, swarm.failures[:5]
    if swarm.asked:
        side.case.note(f"{swarm.answers} answers of {len(swarm.asked)} processes")
    happened["printed"] = target.out, sorted(set(re.sub(
        r"port \d+|SHA256:\S+|session \S+|pid \d+", "", side.plain(target.err_text)).splitlines()))
    return happened


@row("R02", "sshd: logins, quick and slow, scp, strangers", severity=1)
def test_sshd(case):
    have("sshd", "ssh", "scp", "ssh-keygen")
    case.note(version("ssh", "-V"))
    bare, _ = compare(case, sshd_life, address=ANY_PORT)
    assert bare["command"] == (3, "out\n300000\n", "err\n") and bare["slow"] == (0, "slow\n", "")
    assert bare["scp"] == bare["old scp"] == ((0, "", ""), True)
    assert bare["stranger"] == 255
