# SPDX-License-Identifier: Apache-2.0
"""`pprofagent check`: what it says of programs and processes of all kinds, and what to do."""
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lib.command import COMMAND, command, command_env, links_to
from lib.family import port_of
from lib.harness import AGENT, CORE, until, victim

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
GLIBC = Path("/lib64/ld-linux-x86-64.so.2")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(name, flags...) -> a program that does nothing."""
    folder = tmp_path_factory.mktemp("programs")
    source = folder / "a.c"
    source.write_text("int main(void) { return 0; }\n")

    def compiled(name, *flags, compiler="gcc"):
        subprocess.run([compiler, "-o", folder / name, source, *flags], check=True)
        return folder / name

    return compiled


def check(program, **kwargs):
    done = command("check", program, **kwargs)
    assert done.err == ""
    assert done.out.endswith("It works.\n" if done.status == 0 else "It does not work.\n")
    return done.status, done.out


def refused(program, text, remedy="", **kwargs):
    """Something says NO, and that this is it."""
    status, out = check(program, **kwargs)
    assert status == 1
    assert f"  NO    {text}" in out, out
    assert remedy in out
    return out


def elf(path, bits=64, machine=62, interpreter=b""):
    """A file whose headers are those of such a program."""
    size, offset = (56, 64) if bits == 64 else (32, 52)
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    if bits == 64:
        header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, offset, 0, 0, 64, size, 1, 64, 0,
                             0)
        segment = struct.pack("<IIQQQQQQ", 3 if interpreter else 1, 4, offset + size, 0, 0,
                              len(interpreter), len(interpreter), 1)
    else:
        header = struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, offset, 0, 0, 52, size, 1, 40, 0,
                             0)
        segment = struct.pack("<IIIIIIII", 3 if interpreter else 1, offset + size, 0, 0,
                              len(interpreter), len(interpreter), 4, 1)
    path.write_bytes(ident + header + segment + interpreter)
    path.chmod(0o755)
    return path


@pytest.fixture(params=["all tools", "few tools", "busybox"])
def tools(request, tmp_path):
    """The environment of a machine that has these tools."""
    if request.param == "all tools":
        return {}
    if request.param == "few tools":
        return {"env": command_env(X_PATH=links_to(tmp_path / "path",
                                                   without=["readelf", "curl", "wget"]))}
    if not shutil.which("busybox"):
        pytest.skip("busybox is not installed")
    (tmp_path / "path").mkdir()
    subprocess.run([shutil.which("busybox"), "--install", "-s", tmp_path / "path"], check=True)
    return {"shell": ["busybox", "sh"], "env": command_env(X_PATH=tmp_path / "path")}


def test_ordinary_program(build, tools):
    status, out = check(build("plain", "-g"), **tools)
    assert status == 0
    assert f"  ok    dynamically linked, x86-64, {GLIBC}\n" in out
    if not tools:
        assert "  ok    functions have names and lines\n" in out
    assert f"{AGENT}\n  ok    the agent starts in a program of this machine\n" in out
    assert "  ok    settings: PPROFAGENT_ADDRESS: localhost:6053\n" in out


def test_programs_that_ignore_the_agent(build, tools, tmp_path):
    static = build("static", "-static")
    refused(static, "statically linked: static programs ignore LD_PRELOAD", "link it dynamically",
            **tools)
    go = tmp_path / "go"
    go.write_bytes(static.read_bytes() + b"\xff Go buildinf:")
    refused(go, "a static Go program: static programs ignore LD_PRELOAD",
            'import _ "net/http/pprof"', **tools)
    musl = elf(tmp_path / "musl", interpreter=b"/lib/ld-musl-x86_64.so.1\0")
    refused(musl, "it uses another libc: musl (/lib/ld-musl-x86_64.so.1)", **tools)
    bionic = elf(tmp_path / "bionic", interpreter=b"/system/bin/linker64\0")
    refused(bionic, "its loader is not that of glibc: /system/bin/linker64", **tools)
    small = elf(tmp_path / "small", bits=32, machine=3, interpreter=b"/lib/ld-linux.so.2\0")
    refused(small, "it is for x86 (32 bits), the agent for x86-64 (64 bits)", **tools)
    arm = elf(tmp_path / "arm", machine=183, interpreter=b"/lib/ld-linux-aarch64.so.1\0")
    refused(arm, "it is for AArch64 (64 bits), the agent for x86-64 (64 bits)", **tools)
    lost = elf(tmp_path / "lost", interpreter=b"/lib/ld-linux-lost.so.9\0")
    refused(lost, "its loader is not there: /lib/ld-linux-lost.so.9", "install the libc", **tools)


@needs_root
def test_programs_with_more_rights(build):
    for mode, text, remedy in ((0o4755, "setuid: the agent stays inert in it", "as user 65534"),
                               (0o2755, "setgid: the agent stays inert in it", "as group 65534")):
        program = build("raised")
        os.chown(program, 65534, 65534)
        program.chmod(mode)
        refused(program, text, remedy)
        program.unlink()


@pytest.mark.parametrize("compiler,flag", [("gcc", "address"), ("gcc", "thread"), ("gcc", "leak"),
                                           ("clang", "address")])
def test_sanitizers(build, compiler, flag):
    refused(build(f"{compiler}_{flag}", f"-fsanitize={flag}", compiler=compiler),
            "built with a sanitizer: the agent stays inert in it", "-fsanitize")


def test_allocators_inside():
    for name, text in (("v_inner_jemalloc", "jemalloc is linked into it"),
                       ("v_inner_tcmalloc", "tcmalloc is linked into it")):
        status, out = check(victim(name))
        assert status == 0 and f"  note  {text}" in out
        assert "PPROFAGENT_ALLOCATOR_HOOKS=on" in out
    status, out = check(victim("v_park"))
    assert status == 0 and "linked into it" not in out
    status, out = check("/usr/bin/redis-server")
    assert status == 0 and "an allocator as a shared library" in out


def test_names_and_debug_files(build):
    out = check(build("bare", "-s"))[1]
    assert "stripped, without a debug file: functions are called FILE+0xOFFSET" in out
    assert "install its debug package: /usr/lib/debug/.build-id/" in out
    assert "functions have names, and no lines" in check(build("symbols"))[1]
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    notes = subprocess.run(["readelf", "-n", libc], capture_output=True, text=True).stdout
    build_id = notes.split("Build ID: ")[1].split()[0]
    file = f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    expected = f"stripped, and its debug file is there: {file}\n" if os.path.exists(file) else \
        f"install its debug package: {file}\n"
    assert expected in check(libc)[1]


def test_rust_and_go_with_cgo(build, tmp_path):
    rust = sorted(Path(victim("x")).parent.glob("v_*"))
    rust = [path for path in rust if b"RUST_BACKTRACE" in path.read_bytes()]
    if rust:
        status, out = check(rust[0])
        assert status == 0 and "  note  a Rust program: " in out
    cgo = tmp_path / "cgo"
    cgo.write_bytes(build("dynamic").read_bytes() + b"\xff Go buildinf:")
    cgo.chmod(0o755)
    status, out = check(cgo)
    assert status == 0 and "  note  Go with cgo: " in out


def test_missing_library(build, tmp_path):
    subprocess.run(["gcc", "-shared", "-o", tmp_path / "libgone.so", "-xc", "/dev/null"],
                   check=True)
    program = build("gone", "-Wl,--no-as-needed", f"-L{tmp_path}", "-lgone")
    refused(program, "libraries that it needs are not found", "install libgone.so")


def test_scripts(build, tmp_path):
    script = tmp_path / "script"
    script.touch(mode=0o755)
    plain = build("interpreter")
    for line, text, status in ((f"#!{plain}", f"interpreter, {plain}", 0),
                               (f"#! /usr/bin/env -S {plain} x", f"interpreter, {plain}", 0),
                               ("#!/bin/sh", "dash starts other programs", 1),
                               ("#!/nosuch", "the interpreter is not there", 1),
                               ("text", "no program that the kernel can start", 1)):
        script.write_text(line + "\n")
        assert check(script)[0] == status
        assert text in check(script)[1]


def test_launchers_and_names():
    refused("timeout", "timeout starts other programs: it is not profiled itself",
            "PPROFAGENT_PROGRAMS='timeout'")
    assert check("timeout", env=command_env(programs="time*"))[0] == 0
    refused(victim("v_park"), "PPROFAGENT_PROGRAMS does not name v_park",
            env=command_env(programs="nginx,redis*"))


def test_settings(build):
    program = build("settings")
    out = check(program, env=command_env(address=":6060", block_rate="5", cpu_hz="7"))[1]
    assert ("  ok    settings: PPROFAGENT_ADDRESS: :6060, PPROFAGENT_BLOCK_RATE: 5 (default off), "
            "PPROFAGENT_CPU_HZ: 7 (default 100)\n") in out
    refused(program, "settings that the agent refuses:", 'PPROFAGENT_CPU_HZ="0": must be 1-1000',
            env=command_env(cpu_hz="0"))
    refused(program, "PPROFAGENT_ENABLED=0: the agent does nothing", env=command_env(enabled="0"))


def test_agent_that_does_not_start(build, tmp_path):
    program = build("core")
    for name in (COMMAND, AGENT):
        shutil.copy(name, tmp_path)
    path = tmp_path / "pprofagent"
    refused(program, "the agent does not start here", "cannot open libpprofagent-core.so",
            path=path)
    (tmp_path / CORE.name).write_bytes(CORE.read_bytes()[:100000])
    refused(program, "the agent does not start here", "the file is cut short", path=path)
    refused(program, "the agent does not start here", "limits of memory",
            shell=["sh", "-c", 'ulimit -v 400000; exec "$@"', "sh"])


def test_no_such_program(tmp_path):
    for name in ("nosuchprogram", tmp_path / "x", tmp_path):
        done = command("check", name)
        assert (done.status, done.out) == (1, "")
        assert done.err == f"pprofagent: {name}: no such program\n"


# ------------------------------------------------------------------ processes

def test_process_that_serves(start):
    target = start([victim("v_park")], heap_rate=1)
    until("its thread is named", lambda: port_of(target.pid))
    status, out = check(target.pid)
    assert status == 0
    assert out.startswith(f"process {target.pid} (v_park)\n  ok    the agent is in it\n"
                          f"  ok    it serves http://127.0.0.1:{target.port}/debug/pprof/\n")
    assert "  ok    PPROFAGENT_HEAP_RATE: 1 (default 524288)\n" in out


def test_processes_without_a_port(start):
    bare = start([victim("v_park")], wait=False, preload=())
    bare.expect("ready")
    refused(bare.pid, "the agent is not in it", "start it with `pprofagent run`")
    off = start([victim("v_park")], wait=False, address="off")
    off.expect("ready")
    until("its thread is there", lambda: "records, and serves no port" in check(off.pid)[1])
    refused(off.pid, "the agent records, and serves no port: PPROFAGENT_ADDRESS=off")


@pytest.mark.parametrize("settings,argv,text", [
    ({}, ["timeout", "60", "sleep", "60"], "timeout starts other programs"),
    ({"programs": "nginx"}, [victim("v_park")], "PPROFAGENT_PROGRAMS=nginx does not name v_park"),
    ({"enabled": "0"}, [victim("v_park")], "PPROFAGENT_ENABLED is false there"),
])
def test_inert_process_and_why(start, settings, argv, text):
    target = start(argv, wait=False, **settings)
    until("it has begun", lambda: os.readlink(f"/proc/{target.pid}/exe").endswith(
        os.path.basename(argv[0])) and "libpprofagent.so" in Path(
            f"/proc/{target.pid}/maps").read_text())
    refused(target.pid, f"the agent is inert: {text}")
