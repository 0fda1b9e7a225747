# SPDX-License-Identifier: Apache-2.0
"""How programs are loaded, and what they are loaded with."""
import os
import re
import shutil
import subprocess

import pytest

from lib.compiled import SQLITE, compiled
from lib.fault_rows import AGENT, HZ, MORE_S, PYTHON, TIMES_BARE, have, program, row
from lib.harness import (EXACT, PREFIX, answers, listening, request, status_of, until,
                         victim)
from lib.host import open_folder
from lib.profiles import heap

LIB = "/usr/lib/x86_64-linux-gnu/"
# ------------------------------------------------------------------ other ways to be a program


@row("F92", "static binary", severity=4, fast=True)
def test_static(case, tmp_path):
    _, under = case.same([compiled(tmp_path, "gcc", "-static")])
    assert under.out == b"hello 60000\n"


@row("F92b", "static binaries: busybox, static PIE, Go without libc", severity=4)
def test_other_static(case, tmp_path):
    have("busybox")
    case.same(["busybox", "sh", "-c", "echo a | busybox sed s/a/b/; exit 4"])
    case.same([compiled(tmp_path, "gcc", "-static-pie", name="pie")])
    case.same(["/usr/sbin/ldconfig", "-V"])


@row("F93", "musl binary", severity=2)
def test_musl(case, tmp_path):
    """agent/docs/limits.md: it does not start, since its loader wants every symbol at once. That
    loader says so."""
    have("musl-gcc")
    hello = compiled(tmp_path, "musl-gcc")
    bare, under = case.both([hello])
    assert (bare.status, bare.out) == (3, b"hello 60000\n")
    assert (under.status, under.out) == (127, b"")
    assert all(line.startswith(b"Error ") for line in under.err.splitlines())
    case.same([compiled(tmp_path, "musl-gcc", "-static", name="static")])


def as_nobody():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


@row("F94", "setuid binaries", severity=2, fast=True)
@pytest.mark.parametrize("argv", [["su", "-c", "true", "root"], ["sudo", "-n", "true"],
                                  ["ping", "-c1", "-W1", "127.0.0.1"], ["passwd", "-S"],
                                  ["mount"], ["newgrp", "nosuchgroup"]], ids=lambda a: a[0])
def test_setuid(case, argv):
    have(argv[0])
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")

    def clean(text):
        return re.sub(rb"[\d./]+ ?ms", b"ms", text)
    # As it is when a shell of that user has the agent in its environment.
    case.same(argv, clean=clean, preexec_fn=as_nobody, cwd="/", stdin=b"")


@row("F94b", "setuid program of our own: it stays inert", severity=2)
def test_setuid_stays_inert(case):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    code = ("import os;print(os.geteuid(),len(os.listdir('/proc/self/task')),"
            "any('pprofagent' in l for l in open('/proc/self/maps')))")
    with open_folder() as folder:
        copy = folder / "sleeper"
        shutil.copy(PYTHON, copy)
        os.chmod(copy, 0o4755)
        _, under = case.same([copy, "-I", "-c", code], preexec_fn=as_nobody, cwd="/")
    assert under.out == b"0 1 False\n"


# ------------------------------------------------------------------ sanitizers


@row("F95", "ASan program, libasan first", severity=4)
def test_asan(case, tmp_path):
    hello = compiled(tmp_path, "gcc", "-fsanitize=address")
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True,
                          check=True).stdout.strip()
    _, under = case.same([hello], preload=(os.path.realpath(asan), AGENT))
    assert under.status == 3


@row("F95d", "no port that answers nobody in an ASan program", severity=2, modes=("idle",))
def test_asan_has_no_port(case, tmp_path):
    source = tmp_path / "waits.c"
    source.write_text('#include <stdio.h>\nint main(void){puts("ready");fflush(stdout);'
                      'return getchar() != EOF;}')
    subprocess.run(["gcc", "-fsanitize=address", "-o", tmp_path / "waits", source], check=True)
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True,
                          check=True).stdout.strip()
    target = case.start([tmp_path / "waits"], wait=False, preload=(os.path.realpath(asan), AGENT))
    target.expect("ready")
    assert status_of(target.pid, "Threads") == "1" and listening(target.pid) == []
    assert target.finish() == 0


@row("F95b", "the agent before libasan: ASan says so", severity=4, modes=("idle",))
def test_asan_last(case, tmp_path):
    _, under = case.both([compiled(tmp_path, "gcc", "-fsanitize=address")])
    assert under.status == 1 and b"ASan runtime does not come first" in under.err


@row("F95e", "the agent before libasan, which is told to run on", severity=2)
def test_asan_that_does_not_verify_the_order(case, tmp_path):
    """LeakSanitizer ignores the blocks of the loader by their caller, which a hook of malloc is
    not: none may come from the agent's start."""
    hello = compiled(tmp_path, "gcc", "-fsanitize=address")
    _, under = case.same(["/usr/bin/env", "ASAN_OPTIONS=verify_asan_link_order=0", hello])
    assert under.status == 3


@row("F95c", "programs with other sanitizers, by gcc and clang", severity=1)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("kind", ["thread", "leak", "undefined", "memory", "address"])
def test_sanitizers(case, tmp_path, compiler, kind):
    if (compiler, kind) == ("gcc", "address"):
        pytest.skip("F95")
    if (compiler, kind) == ("gcc", "memory"):
        pytest.skip("there is none")
    _, under = case.same([compiled(tmp_path, compiler, "-g", f"-fsanitize={kind}")])
    assert under.out == b"hello 60000\n"


# ------------------------------------------------------------------ tools on top


@row("F96", "strace -f", severity=3)
def test_strace(case):
    have("strace")
    case.same(["strace", "-f", "-o", "/dev/null", *SQLITE])
    bare, under = case.both(["strace", "-f", "-o", "/dev/null", *SQLITE[:2], "select 1"])
    assert under.out == bare.out == b"1\n"


@row("F96b", "ltrace", severity=3)
def test_ltrace(case):
    have("ltrace")
    bare, under = case.both(["ltrace", "-o", "/dev/null", "-e", "puts", *SQLITE[:2], "select 1"])
    assert (under.status, under.out) == (bare.status, bare.out)


@row("F96c", "gdb -batch -ex run", severity=3)
def test_gdb(case):
    have("gdb")
    bare, under = case.both(["gdb", "-nx", "-batch", "-ex", "set breakpoint pending on",
                             "-ex", "run", "-ex", "print 6*7", "--args", *SQLITE[:2],
                             "select 'answer', 1;"])
    for outcome in (bare, under):
        assert outcome.status == 0 and b"answer|1\n" in outcome.out, outcome
        assert b"exited normally" in outcome.out and b"$1 = 42" in outcome.out
        assert b"SIG" not in outcome.out


# ------------------------------------------------------------------ other preloads

PARTNERS = {
    "jemalloc": (LIB + "libjemalloc.so.2", {}),
    "tcmalloc": (LIB + "libtcmalloc_minimal.so.4", {}),
    "eatmydata": (LIB + "libeatmydata.so", {}),
    "faketime": (LIB + "faketime/libfaketime.so.1", {"FAKETIME": "-1d"}),
    "faketime, threads": (LIB + "faketime/libfaketimeMT.so.1", {"FAKETIME": "+400d x2"}),
    "nss_wrapper": (LIB + "libnss_wrapper.so", {}),
    "fakeroot": (LIB + "libfakeroot/libfakeroot-sysv.so", {}),
    "stdbuf": ("/usr/libexec/coreutils/libstdbuf.so", {"_STDBUF_O": "L"}),
    "memusage": (LIB + "libmemusage.so", {}),
    "pcprofile": (LIB + "libpcprofile.so", {}),
    "segfault": (LIB + "libSegFault.so", {}),
    "malloc_debug": (LIB + "libc_malloc_debug.so.0", {"MALLOC_CHECK_": "3"}),
}


@row("F97", "preload partners, before and after the agent", severity=2)
@pytest.mark.parametrize("order", ["after", "before"])
@pytest.mark.parametrize("name", PARTNERS)
def test_partners(case, name, order):
    path, variables = PARTNERS[name]
    if not os.path.exists(path):
        pytest.skip(f"no {path}")
    both = (AGENT, path) if order == "after" else (path, AGENT)
    for argv in (SQLITE, [PYTHON, "-c", "import threading,json\n"
                          "t=[threading.Thread(target=json.loads,args=('[1]'*1,)) "
                          "for i in range(20)]\n[x.start() for x in t];[x.join() for x in t]\n"
                          "print(sum(len(str(i)) for i in range(100000)))"]):
        bare = case.bare(argv, again=True, env={"LD_PRELOAD": path, **variables})
        under = case.under(argv, TIMES_BARE * bare.wall_s + MORE_S, preload=both, env=variables)
        assert not under.timed_out
        if name == "memusage":  # it prints what was allocated; with the agent's part
            assert (under.status, under.out) == (bare.status, bare.out)
            continue
        assert (under.status, under.out, under.err) == (bare.status, bare.out, bare.err)


@row("F97d", "a program that defines putenv() and getenv() itself, as ksh93", severity=1, fast=True)
def test_own_environment_functions(case):
    case.same([program("f_own_environment")])


@row("F97c", "an auditor that looks at each call through a PLT (LD_AUDIT)", severity=1, fast=True)
def test_auditor(case):
    case.same([program("f_time_stamps")], env={"LD_AUDIT": program("p_audit.so")})


@row("F97b", "wrappers that preload: fakeroot, faketime, eatmydata, stdbuf", severity=2)
@pytest.mark.parametrize("argv", [
    ["fakeroot", "id", "-u"],
    ["fakeroot", "sh", "-c", "touch $0; chown 12:34 $0; stat -c %u:%g $0; rm $0", "/tmp/f97b"],
    ["faketime", "2001-02-03 04:05:06", "date", "+%F %H"],
    ["eatmydata", "sqlite3", ":memory:", "select 5"],
    ["stdbuf", "-oL", "sqlite3", ":memory:", "select 6"],
    ["env", "-i", "sh", "-c", "echo $LD_PRELOAD"]], ids=lambda a: " ".join(a[:2]))
def test_wrappers(case, argv):
    have(argv[0])
    case.same(argv)


@row("F97e", "a program with functions of its own under names of POSIX: open, close, write ...",
     severity=1, fast=True)
def test_own_names(case):
    target = case.start([program("f_own_names")], log="info")
    target.expect("ready")
    with case.fire(target):
        for path in ("/heap", "/profile?seconds=1", "/goroutine?debug=2", "/trace?seconds=0.1"):
            assert request(target.port, PREFIX + path).status == 200
    assert target.finish() == 0
    assert "called" not in target.err and target.line() == "end"


# ------------------------------------------------------------------ sandboxes


@row("F100", "filter by seccomp: man", severity=1)
def test_seccomp_of_man(case):
    have("man")
    case.same(["man", "-P", "cat", "ls"])


@row("F100b", "a thread in a sandbox of its own, asked for profiles from outside", severity=1,
     naive="killed by SIGSYS", fast=True)
def test_profiles_of_a_sandboxed_thread(case):
    """Its filter does not allow the return from a signal handler: no signal may come."""
    target = case.start([program("f_seccomp"), "kill", "wait"], wait=False)
    target.expect("inside")
    paths = ("/heap", "/goroutine?debug=2", "/profile?seconds=1", "/threadcreate", "/mutex")
    for path in paths if case.mode != "idle" else ():
        until(f"{path} answers", lambda p=path: answers(target, p))
    assert target.finish() == 0 and target.err == ""
    assert target.line() == "worked"


@row("F100c", "a filter of seccomp in a program that allocates and locks", severity=1,
     modes=("idle", "full"))
@pytest.mark.parametrize("how", ["kill", "errno", "trap"])
def test_sandbox(case, how):
    _, under = case.same([program("f_seccomp"), how])
    assert under.out == b"worked\n"


@row("F100f", "a filter for all threads that kills what our own threads do", severity=1, fast=True)
@pytest.mark.parametrize("where", ["alone", "busy"])
def test_sandbox_of_all_threads(case, where):
    _, under = case.same([program("f_seccomp"), "kill", where])
    assert under.out == b"worked\n"


@row("F100g", "filters for all threads, and of one, by either call", severity=1)
@pytest.mark.parametrize("where", ["all", "busy", "alone", "prctl"])
@pytest.mark.parametrize("how", ["kill", "errno", "trap"])
def test_sandboxes(case, how, where):
    _, under = case.same([program("f_seccomp"), how, where])
    assert under.out == b"worked\n"


@row("F100h", "strict mode of a program with one thread", severity=1, fast=True)
def test_strict_mode(case):
    _, under = case.same([program("f_seccomp"), "strict"])
    assert under.out == b"worked\n"


@row("F100j", "threads whose system calls go to a handler: syscall user dispatch", severity=1,
     fast=True)
def test_syscall_user_dispatch(case):
    """A system call in the agent's signal handler would be one of the emulated code."""
    case.same([program("f_dispatch")], settings=HZ)


# ------------------------------------------------------------------ files that move


@row("F101", "chroot and privilege drop", severity=3)
@pytest.mark.parametrize("asked", [True, False], ids=["asked before", "not asked before"])
def test_chroot(case, tmp_path, asked):
    """Names still come, from the files outside; nothing is opened in the jail."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    jail = tmp_path / "jail"
    jail.mkdir()
    target = case.start([program("f_jail"), jail], heap_rate=1)
    if asked:
        heap(target)
    target.ask("go", "jailed")
    with case.fire(target):
        target.ask("work", "worked")
    profile = heap(target)
    assert profile.total("inuse_objects", "kept_outside") == 1000
    assert profile.total("inuse_objects", "kept_in_jail") == 1000
    stacks = [s for s in profile.samples if s.has("kept_in_jail")]
    assert all(s.has("main") for s in stacks)
    assert list(jail.iterdir()) == []
    assert target.finish() == 0 and target.err == ""


@row("F102", "binary replaced while it runs, path with spaces, deleted", severity=3)
@pytest.mark.parametrize("what", ["replaced", "deleted", "folder moved",
                                  "deleted before the first look"])
def test_replaced(case, tmp_path, what):
    folder = tmp_path / "a b  (deleted)\tc"
    folder.mkdir()
    path = folder / "my program (deleted)"
    shutil.copy(victim("v_blocks"), path)
    target = case.start([path, "4"], wait=what != "deleted before the first look", **EXACT)
    target.expect("ready")
    if what == "replaced":
        other = folder / "new"
        shutil.copy(victim("v_spin"), other)
        os.rename(other, path)
    elif what == "folder moved":
        os.rename(folder, tmp_path / "elsewhere")
    else:
        path.unlink()
    target.answers()
    with case.fire(target):
        profile = heap(target)
    build_id = re.search(r"Build ID: (\w+)", subprocess.run(
        ["readelf", "-n", victim("v_blocks")], capture_output=True, text=True,
        check=True).stdout)
    assert profile.total("inuse_space") >= 4 << 20
    if build_id:
        ids = [profile.text(m.build_id) for m in profile.proto.mapping]
        assert build_id.group(1) in ids
    # The code of the running program, never of the new file.
    assert profile.total("inuse_space", "keep_blocks") in (4 << 20, 0)
    assert not any(s.has("spin") for s in profile.samples)
    if what == "replaced":
        assert profile.total("inuse_space", "keep_blocks") == 4 << 20, \
            "the running image is still in memory"
    assert target.finish() == 0 and target.err == ""


@row("F103", "dlclose'd frames", severity=3, fast=True)
def test_closed_library(case):
    target = case.start([victim("v_plugin")], **EXACT)
    assert target.expect("ready") == "ready same"
    with case.fire(target):
        profile = heap(target)
    ones = [s for s in profile.samples if any("p_one.so" in f for f in s.mappings)]
    assert sum(s.values["inuse_space"] for s in ones) == 4 << 20
    assert not any(s.has("two_keep") for s in ones)
    assert profile.total("inuse_space", "two_keep") == 4 << 20
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ wrong paths


@row("F107", "relative or wrong preload path", severity=4, fast=True)
def test_wrong_path(case, tmp_path):
    argv = [PYTHON, "-c", "print(6*7)"]
    for path in ("/nowhere/libpprofagent.so", "libpprofagent.so", "./libpprofagent.so"):
        bare = case.bare(argv)
        under = case.under(argv, 60, preload=(path,), cwd=tmp_path)
        assert (under.status, under.out) == (bare.status, bare.out)
        assert re.fullmatch(rb"ERROR: ld.so: object '[^']*' from LD_PRELOAD cannot be preloaded "
                            rb"\(cannot open shared object file\): ignored.\n", under.err)


@row("F107b", "relative path, and the program goes elsewhere", severity=4, fast=True)
def test_relative_path(case):
    argv = [PYTHON, "-c", "import os,sys;os.chdir('/');print(1,flush=True);sys.stdin.read()"]
    target = case.start(argv, preload=("./libpprofagent.so",), cwd=AGENT.parent)
    with case.fire(target):
        assert target.get("/heap").status == 200
    assert target.finish() == 0 and target.err == ""


@row("F107c", "the core is not beside the agent, or is not one", severity=2, fast=True)
@pytest.mark.parametrize("core", ["missing", "empty", "text", "cut", "another library", "folder"])
def test_core(case, tmp_path, core):
    """One line on stderr, nothing served, and the program is as it was."""
    shutil.copy(AGENT, tmp_path)
    path = tmp_path / "libpprofagent-core.so"
    real = AGENT.parent / path.name
    if core == "empty":
        path.write_bytes(b"")
    elif core == "text":
        path.write_text("not a library\n")
    elif core == "cut":
        path.write_bytes(real.read_bytes()[:20000])
    elif core == "another library":
        shutil.copy(LIB + "libz.so.1", path)
    elif core == "folder":
        path.mkdir()
    argv = [victim("v_fork"), "storm", "50"]
    bare, under = case.both(argv, preload=(tmp_path / AGENT.name,))
    assert (under.status, under.out) == (bare.status, bare.out)
    assert not under.err or re.fullmatch(rb"pprofagent: [^\n]*; not serving\n", under.err), under
    bare, under = case.both([program("f_numbers")], preload=(tmp_path / AGENT.name,))
    assert (under.status, under.out) == (bare.status, bare.out)
    assert re.fullmatch(rb"pprofagent: [^\n]*; not serving\n", under.err), under


@row("F107d", "agent and core of different versions", severity=2, modes=("full",))
def test_agent_twice(case, tmp_path):
    """Two copies of the agent in one LD_PRELOAD: the program runs, one of them serves."""
    shutil.copy(AGENT, tmp_path)
    shutil.copy(AGENT.parent / "libpprofagent-core.so", tmp_path)
    bare, under = case.both(SQLITE, preload=(AGENT, tmp_path / AGENT.name))
    assert (under.status, under.out) == (bare.status, bare.out)


# ------------------------------------------------------------------ unwind tables of made code

@row("F148", "unwind tables registered by a library that brings libgcc in a scope of its own",
     severity=1, fast=True)
def test_registered_frames(case):
    _, under = case.same([program("f_frames"), program("p_frames.so")])
    assert under.out == 2 * (b"before: 0 0 0 0 0 0\nregistered: 1 1 1 1 1 1\n1 1 1 1\n"
                             b"taken back: 0 0 0 0 0 0\n") + b"end\n"
    _, under = case.same([program("f_frames"), program("p_ownframes.so"), "libgcc_s.so.1"])
    assert under.out == 2 * b"registered 1\ntaken back 1\n" + b"end\n"


@row("F149", "an unwind table registered only if libgcc is there, which comes later", severity=1,
     fast=True)
def test_weak_frames(case):
    """The agent's own function is there; libgcc aborts for tables that it was not told of."""
    _, under = case.same([program("f_frames"), program("p_weakframes.so"), "libgcc_s.so.1"])
    assert under.out == b"end\n"
    case.same([program("f_frames"), "libgcc_s.so.1", program("p_weakframes.so")])
    case.same([program("f_frames"), program("p_weakframes.so"), program("p_frames.so")])
