# SPDX-License-Identifier: Apache-2.0
"""Flags of the user and of distributions: those that are unfit for the two objects do not reach
them."""
import os
import re
import shutil
import subprocess

import pytest

from lib.harness import BUILD, ROOT

# Calls in each function, no unwind tables; one name for both forms of libc's functions.
CFLAGS = ("-O0 -pg -finstrument-functions -fsanitize=undefined -fprofile-arcs -ftest-coverage "
          "-fno-asynchronous-unwind-tables -fno-unwind-tables")
CPPFLAGS = "-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64"


def make(folder, *words):
    subprocess.run(["make", "-s", "-C", str(ROOT), f"B={folder}", "SETUP_DONE=1", *words],
                   capture_output=True, text=True, check=True)


def names(path, *flags):
    out = subprocess.run(["nm", *flags, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in out.splitlines()}


def test_objects_have_their_names_and_tables_and_no_foreign_calls(tmp_path):
    for name, both in (("obj/hooks/hook_memory.o", {"mmap", "mmap64"}),
                       ("core/agent/base/newer_libc.o", {"stat", "stat64"})):
        path = tmp_path / name
        make(tmp_path, path, f"CFLAGS={CFLAGS}", f"CPPFLAGS={CPPFLAGS}")
        assert both <= names(path, "--defined-only")
        foreign = re.compile(r"mcount|__fentry__|__cyg_|__(ubsan|asan|gcov)_")
        assert not [name for name in names(path, "-u") if foreign.match(name)]
        sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True,
                                  check=True).stdout
        assert ".eh_frame" in sections


@pytest.mark.parametrize("compiler, level", [
    *(("gcc", level) for level in ("-O0", "-Og", "-Os")),
    *(("clang", level) for level in ("-O0", "-O1", "-Og", "-Os", "-Oz"))])
def test_hot_hooks_leave_no_frame_at_any_level(tmp_path, compiler, level):
    """A call in place of a jump would put the hook at the begin of each stack."""
    path = tmp_path / "obj/hooks/hook_malloc.o"
    make(tmp_path, path, f"CC={compiler}", f"CFLAGS={level}")
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=malloc", path],
                          capture_output=True, text=True, check=True).stdout
    assert re.search(r"\tjmp\s", code) and not re.search(r"\tcall\s", code), code


def test_link_adds_no_constructor_that_changes_the_floating_point_mode(tmp_path):
    """gcc before 13 adds crtfastmath.o to shared objects too."""
    shutil.copytree(BUILD / "obj", tmp_path / "obj")
    make(tmp_path, tmp_path / "libpprofagent.so", "LDFLAGS=-Ofast -ffast-math -pg")
    assert names(tmp_path / "libpprofagent.so") == names(BUILD / "libpprofagent.so")


@pytest.mark.parametrize("ldflags", [
    "-Wl,-z,pack-relative-relocs", "-Wl,-O1,-z,pack-relative-relocs,--sort-common",
    "-Wl,-z -Wl,pack-relative-relocs", "-fuse-ld=lld -Wl,--pack-dyn-relocs=relr"])
def test_relocations_are_those_that_an_old_loader_reads(tmp_path, ldflags):
    """ld.so before 2.36 refuses GLIBC_ABI_DT_RELR, and without that name leaves out relocations."""
    for folder in ("obj", "core", "proto", "ui", "third_party"):
        os.symlink(BUILD / folder, tmp_path / folder)
    for name in ("libpprofagent.so", "libpprofagent-core.so"):
        make(tmp_path, tmp_path / name, f"LDFLAGS={ldflags}")
        shown = subprocess.run(["readelf", "-dVW", tmp_path / name], capture_output=True, text=True,
                               check=True).stdout
        assert "(NEEDED)" in shown and "Name: GLIBC_2" in shown
        assert not re.search(r"\(RELR|GLIBC_ABI", shown)
