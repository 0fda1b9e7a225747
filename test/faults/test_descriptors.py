# SPDX-License-Identifier: Apache-2.0
"""Descriptors: their numbers, their limit, and who owns them."""
import ctypes
import errno
import re
import select
import socket
import struct

import pytest

from lib.fault_rows import PYTHON, limited, program, row
from lib.harness import listening, victim

OPEN = [PYTHON, "-c", "import os;print(os.open('/etc/passwd',0))"]

# The agent's descriptors live in a table of their own, by close_range. Kernels before 5.9 and some
# filters do not know that call: then by unshare. Where that is forbidden as well they are numbers
# from 100 up.
CLOSE_RANGE, UNSHARE = 436, 272
OLD_KERNEL, SHARED = (CLOSE_RANGE,), (CLOSE_RANGE, UNSHARE)


def without(*calls, error=errno.ENOSYS):
    """preexec_fn: a seccomp filter by which these calls fail from here on, also for the program
    that follows."""
    allow, fail, load, equal, end = 0x7fff0000, 0x00050000 | error, 0x20, 0x15, 0x06
    code = [struct.pack("HBBI", load, 0, 0, 0)]
    for i, number in enumerate(calls):
        code.append(struct.pack("HBBI", equal, len(calls) - i, 0, number))
    code += [struct.pack("HBBI", end, 0, 0, allow), struct.pack("HBBI", end, 0, 0, fail)]
    memory = ctypes.create_string_buffer(b"".join(code))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code),
                                                    ctypes.addressof(memory)))
    libc = ctypes.CDLL(None, use_errno=True)

    def apply():
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, whole, 0, 0):  # NO_NEW_PRIVS, SECCOMP
            raise OSError(ctypes.get_errno(), "seccomp")
    apply.memory = memory
    return apply


def both(*functions):
    def apply():
        for function in functions:
            function()
    return apply


# ------------------------------------------------------------------ numbers


@row("F85", "first fd number", severity=2, naive="4 and 5", fast=True)
def test_first_number(case):
    _, under = case.same(OPEN)
    assert under.out == b"3\n"


@row("F85b", "the lowest number, whatever call asks for one", severity=2, naive="higher ones",
     fast=True)
def test_lowest_numbers(case):
    _, under = case.same([program("f_numbers")])
    assert under.out.splitlines()[0].split() == [b"3-3"] * 10


@row("F85c", "stdin, stdout and stderr closed: 0 is free", severity=2, naive="lower ones taken")
def test_closed_standard_files(case):
    _, under = case.same([program("f_numbers"), "closed"])
    assert under.out.splitlines()[0].split() == [b"0-0"] * 10


@row("F85d", "started with 0, 1 and 2 closed", severity=1, naive="its output goes to the socket")
def test_started_without_standard_files(case, tmp_path):
    """What the program writes to its stderr must reach nobody else, and no file of the program's
    may be the agent's."""
    code = ("import os,sys\n"
            "a=os.open(sys.argv[1],os.O_RDWR|os.O_CREAT|os.O_TRUNC)\n"
            "for i in range(100000): os.write(a,b'x'*10); bytearray(5000)\n"
            "b=os.open('/dev/null',os.O_RDONLY)\n"
            "os.write(a,b' %d %d' % (a,b))\n")
    seen = {}
    for name in ("bare", "under"):
        path = tmp_path / name
        argv = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PYTHON, "-c", code, str(path)]
        outcome = case.bare(argv) if name == "bare" else case.under(argv, deadline_s=60)
        assert outcome.status == 0 and not outcome.timed_out, outcome
        seen[name] = path.read_bytes()
    case.note(seen["under"][-4:].decode())
    assert seen["under"] == seen["bare"]


@row("F85e", "the lowest number on a kernel without close_range", severity=2, naive="higher ones")
def test_lowest_numbers_without_close_range(case):
    _, under = case.same([program("f_numbers")], again=True, preexec_fn=without(*OLD_KERNEL))
    assert under.out.splitlines()[0].split() == [b"3-3"] * 10


@row("F85f", "numbers from 100 up where a filter forbids a table of its own", severity=2,
     naive="lower ones")
def test_numbers_in_a_shared_table(case):
    """limits.md. What accept() and the like give is low for a moment, until it is moved."""
    bare, under = case.both([program("f_numbers")], again=True, preexec_fn=without(*SHARED))
    assert (under.status, under.err) == (bare.status, bare.err)
    first, listed = under.out.splitlines()
    lowest = {pair.split(b"-")[0] for pair in first.split()}
    assert lowest == {b"3"}, first
    assert [int(n) for n in listed.split()[1:] if int(n) < 100] == [0, 1, 2]


# ------------------------------------------------------------------ the limit


def is_quiet(err):
    """Nothing, or the one line of an agent that cannot serve."""
    return not err or re.fullmatch(rb"pprofagent: [^\n]*; not serving\n", err)


@row("F89", "RLIMIT_NOFILE tight", severity=2, naive="fewer than five", fast=True)
def test_eight_descriptors(case):
    _, under = case.same([victim("v_fds")], preexec_fn=limited(NOFILE=8))
    assert under.out == b"numbers 3 4 5 6 7\n"


@row("F89b", "every descriptor of the limit, again and again", severity=2, naive="fewer",
     fast=True)
@pytest.mark.parametrize("limit", [8, 64])
def test_all_descriptors_of_the_limit(case, limit):
    _, under = case.same([program("f_nofile")], again=True, preexec_fn=limited(NOFILE=limit))
    n = limit - 3
    assert under.out.decode() == f"{n}-{n}, then Too many open files, limit kept\n"


@row("F89f", "no descriptor for the agent", severity=2, naive="fewer")
@pytest.mark.parametrize("limit", [4, 5])
def test_limit_too_low_for_the_agent(case, limit):
    """The limit counts in its own table as well: it says that it does not serve."""
    bare, under = case.both([program("f_nofile")], again=True, preexec_fn=limited(NOFILE=limit))
    assert (under.status, under.out) == (bare.status, bare.out)
    assert is_quiet(under.err)


@row("F89c", "a limit that the program sets itself", severity=2, naive="fewer")
def test_limit_of_its_own(case):
    _, under = case.same([program("f_nofile"), "16"])
    assert under.out.startswith(b"13-13, ")


@row("F89d", "every descriptor of the limit on a kernel without close_range", severity=2,
     naive="fewer")
@pytest.mark.parametrize("limit", [8, 64])
def test_limit_without_close_range(case, limit):
    case.same([program("f_nofile")], again=True, preexec_fn=both(limited(NOFILE=limit),
                                                                 without(*OLD_KERNEL)))


@row("F89e", "RLIMIT_NOFILE tight where a filter forbids a table of its own", severity=2)
@pytest.mark.parametrize("limit", [8, 64, 101, 110])
def test_limit_in_a_shared_table(case, limit):
    """Without numbers from 100 up the agent has none; a low one is moved, or closed, at once."""
    bare, under = case.both([program("f_nofile")], again=True,
                            preexec_fn=both(limited(NOFILE=limit), without(*SHARED)))
    least, most = map(int, re.match(rb"(\d+)-(\d+), then Too many open files, limit kept\n$",
                                    under.out).groups())
    case.note(f"{least}-{most} of {limit - 3}")
    assert under.status == bare.status and is_quiet(under.err)
    assert most <= limit - 3 and least >= min(limit, 100) - 3 - 2


# ------------------------------------------------------------------ whose they are


def talk(port, count, go):
    """What a server on the port answers to so many clients, a line each. They connect before it
    accepts (go tells it to): whoever answers before that is not the server."""
    clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(count)]
    try:
        for i, client in enumerate(clients):
            client.sendall(b"GET /%d HTTP/1.1\r\n\r\n" % i)
            client.shutdown(socket.SHUT_WR)
        early, _, _ = select.select(clients, [], [], 0.5)
        assert not early, f"{len(early)} of {count} clients were answered by somebody else"
        go()
        return [b"".join(iter(lambda c=client: c.recv(4096), b"")) for client in clients]
    finally:
        for client in clients:
            client.close()


def take_over(case, how, polls=True, preexec=None):
    """f_closer under the agent, its clients served as without; its numbers stay its own."""
    clients = 200
    target = case.start([program("f_closer"), how, clients], wait=False, preexec=preexec)
    if polls:
        target.answers()  # its threads wait on its descriptors
    with case.fire(target) as poller:
        target.tell("close")
        port = int(target.expect("port").split()[1])
        answers = talk(port, clients, lambda: target.tell("serve"))
        last = target.line()
        if case.mode == "naive":
            target.kill()
    case.note(f"{poller.answers} answers")
    assert answers == [b"you said GET /%d HTTP/1.1\r\n\r\n" % i for i in range(clients)]
    assert last == f"served {clients}, whole 297"
    assert target.finish() == 0 and target.err == ""


@row("F90", "the program closes the agent's listener and takes its number", severity=1,
     naive="it serves on the program's socket", fast=True)
@pytest.mark.parametrize("how", ["loop", "range", "dup"])
def test_numbers_taken_over(case, how):
    take_over(case, how)


@row("F90b", "the same before the agent has opened its port", severity=1)
@pytest.mark.parametrize("how", ["loop", "range", "dup"])
def test_numbers_taken_over_at_once(case, how):
    take_over(case, how, polls=False)


@row("F90c", "the same on a kernel without close_range", severity=1,
     naive="it serves on the program's socket")
@pytest.mark.parametrize("how", ["loop", "range", "dup"])
def test_numbers_taken_over_without_close_range(case, how):
    take_over(case, how, preexec=without(*OLD_KERNEL))


@row("F90e", "the same where a filter forbids a table of its own", severity=1,
     naive="it serves on the program's socket")
@pytest.mark.parametrize("how", ["loop", "range", "dup"])
def test_numbers_taken_over_in_a_shared_table(case, how):
    if case.mode == "fire":
        pytest.xfail("limits.md: a connection of ours whose number the program takes over is ended")
    take_over(case, how, preexec=without(*SHARED))


@row("F90d", "the agent still serves where its table is its own", severity=3)
def test_served_after_all_was_closed(case):
    target = case.start([victim("v_fds"), "close"])
    target.expect("closed")
    with case.fire(target):
        assert target.get("/heap").status == 200
        assert listening(target.pid)
        assert target.finish() == 0
    assert target.out.endswith("files ok\n")
