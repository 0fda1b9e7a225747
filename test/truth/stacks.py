# SPDX-License-Identifier: Apache-2.0
"""How many stacks of CPU profiles are complete, by program, and where the others end.

    make truth TRUTH_ARGS='--only stacks'
    PYTHONPATH=test PPROFAGENT_BUILD=build python3 -m truth.stacks [--ends] [NAME ...]

A stack is complete when it ends neither in "[no unwind information]" nor at a limit.
Programs that are not installed are left out. JITs have code without unwind information: their
share is shown, and has no limit. --ends: the places where stacks end early.
"""
import argparse
import collections
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.harness import BUILD, Target, environment, free_port, run
from lib.profiles import Profile
from truth.figures import Figure

SECONDS = 5
LEAST = 0.99
JITS = ("luajit", "java")
STEPS = 1_000_000
BROKEN = ("[no unwind information]", "[stack depth limit]", "[stack copy limit]")


def picture(folder):
    """A large JPEG file."""
    out = folder / "picture.jpg"
    if not out.exists():
        ppm = folder / "picture.ppm"
        subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i",
                        "testsrc2=size=8000x8000", "-frames:v", "1", "-y", str(ppm)], check=True)
        with out.open("wb") as file:
            subprocess.run(["cjpeg", str(ppm)], stdout=file, check=True)
    return out


def film(folder):
    out = folder / "film.mp4"
    if not out.exists():
        subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i",
                        "testsrc2=size=1280x720", "-t", "10", "-c:v", "libx264", "-pix_fmt",
                        "yuv420p", "-y", str(out)], check=True)
    return out


def corpus(folder):
    out = folder / "corpus"
    if not out.exists():
        out.write_bytes(b"".join(sorted(p.read_bytes() for p in Path("/usr/bin").glob("[a-f]*")
                                        if p.is_file())[:200])[:30_000_000])
    return out


FFMPEG = ["ffmpeg", "-loglevel", "error", "-nostdin"]
SCRIPTS = {
    "lua": "local t={} for r=1,1e9 do for i=1,1000 do t[i]=(t[i] or 0)+i%7 end end",
    "python": "def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nwhile True: f(22)",
    "perl": "sub f { my $n = shift; $n < 2 ? $n : f($n-1) + f($n-2) } f(20) while 1",
    "awk": "BEGIN { while (1) { for (i = 0; i < 1000; i++) s = s i % 10;"
           " gsub(/1/, \"22\", s); s = \"\" } }",
    "sqlite": "with recursive c(x) as (select 1 union all select x+1 from c limit 200000000) "
              "select count(distinct x % 1000) from c;",
}
JAVA = """public class Burn { static int f(int n) { return n < 2 ? n : f(n-1) + f(n-2); }
public static void main(String[] a) { while (true) f(30); } }"""


def java(folder):
    source = folder / "Burn.java"
    source.write_text(JAVA)
    return ["java", "-Xshare:off", str(source)]


PROGRAMS = {
    "ffmpeg encodes x264": lambda d: [*FFMPEG, "-f", "lavfi", "-i", "testsrc2=size=1280x720",
                                      "-c:v", "libx264", "-f", "null", "-"],
    "ffmpeg decodes h264": lambda d: [*FFMPEG, "-stream_loop", "-1", "-i", film(d), "-f", "null",
                                      "-"],
    "zstd -1": lambda d: ["zstd", "-b1", "-i30", corpus(d)],
    "zstd -9": lambda d: ["zstd", "-b9", "-i30", corpus(d)],
    "xz": lambda d: ["xz", "-k", "-c", "-T1", corpus(d)],
    "openssl aes-256-gcm": lambda d: ["openssl", "speed", "-seconds", "30", "-bytes", "16384",
                                      "-evp", "aes-256-gcm"],
    "openssl sha256": lambda d: ["openssl", "speed", "-seconds", "30", "-bytes", "16384", "-evp",
                                 "sha256"],
    "openssl chacha20": lambda d: ["openssl", "speed", "-seconds", "30", "-bytes", "16384", "-evp",
                                   "chacha20-poly1305"],
    "openssl rsa2048": lambda d: ["openssl", "speed", "-seconds", "30", "rsa2048"],
    "openssl ecdh": lambda d: ["openssl", "speed", "-seconds", "30", "ecdhx25519"],
    "djpeg": lambda d: ["djpeg", "-outfile", "/dev/null", picture(d)],
    "cjpeg": lambda d: ["cjpeg", "-outfile", "/dev/null", d / "picture.ppm"],
    "python3": lambda d: ["/usr/bin/python3", "-c", SCRIPTS["python"]],
    "perl": lambda d: ["perl", "-e", SCRIPTS["perl"]],
    "awk": lambda d: ["awk", SCRIPTS["awk"]],
    "sqlite3": lambda d: ["sqlite3", ":memory:", SCRIPTS["sqlite"]],
    "luajit": lambda d: ["luajit", "-e", SCRIPTS["lua"]],
    "luajit -joff": lambda d: ["luajit", "-joff", "-e", SCRIPTS["lua"]],
    "java": java,
}


def is_whole(sample):
    return sample.names[-1] not in BROKEN


# They end by themselves, soon: the profile is the file that is written at their end.
SHORT = ("djpeg", "cjpeg", "xz")


def profile_of(name, argv, folder, seconds):
    if name in SHORT:
        file = folder / "exit.pb.gz"
        file.unlink(missing_ok=True)
        run(argv, environment(free_port(), cpuprofile=file, cpu_hz=1000), deadline_s=200)
        return Profile(file.read_bytes())
    port = free_port()
    target = Target(argv, environment(port, cpu_hz=1000), port)
    try:
        return Profile(target.answers().get(f"/profile?seconds={seconds}").body)
    finally:
        target.kill()


def in_file(profile, address):
    """libfoo.so+0x123: the file and the offset in it."""
    for m in profile.proto.mapping:
        if m.memory_start <= address < m.memory_limit:
            return f"{Path(profile.text(m.filename)).name}+" \
                   f"{address - m.memory_start + m.file_offset:#x}"
    return hex(address)


def ends(profile):
    """The frames at which stacks end early, by their samples."""
    found = collections.Counter()
    for s in profile.samples:
        if not is_whole(s):
            frames = [in_file(profile, a) for a in s.addresses[:-1]][-3:]
            found[" < ".join(frames) + f" {s.names[-1]}"] += s.values["samples"]
    return found.most_common(12)


def steps():
    """The test that interrupts each instruction, for a million of them."""
    program = BUILD / "checked/unit/test_unwind_steps"
    row = "every instruction is interrupted"
    if not program.exists():
        yield Figure(row, "complete", None)
        return
    done = subprocess.run([program], env={**os.environ, "PA_STEPS": str(STEPS)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = re.search(r"(\d+) stacks, complete (\d+), cut short \d+, wrong (\d+)", done.stdout)
    count, whole, wrong = (int(n) for n in said.groups()) if said else (0, 0, 0)
    share = 1 / max(count, 1)
    yield Figure(row, "complete", whole * share, LEAST, math.inf, count)
    yield Figure(row, "not wrong", 1 - wrong * share)


def complete(name, profile):
    total = profile.total("samples")
    share = sum(s.values["samples"] for s in profile.samples if is_whole(s)) / max(total, 1)
    least = 0.0 if name in JITS else LEAST
    return Figure(name, "complete", share, least, math.inf, total)


def figures(names=(), seconds=SECONDS, see=None):
    """see: called with each profile."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, words_of in PROGRAMS.items():
            if names and not any(n in name for n in names):
                continue
            try:
                words = words_of(folder)
            except (FileNotFoundError, subprocess.CalledProcessError):
                words = [""]
            if not shutil.which(words[0]):
                yield Figure(name, "complete", None)
                continue
            profile = profile_of(name, words, folder, seconds)
            yield complete(name, profile)
            if see:
                see(profile)
    if not names:
        yield from steps()


def show_ends(profile):
    for place, count in ends(profile):
        print(f"      {count:6} {place}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args()
    wrong = 0
    for figure in figures(options.names, options.seconds, show_ends if options.ends else None):
        print(f"{figure.row:40} {figure.count or 0:7} stacks {figure.cell}", flush=True)
        wrong += figure.is_wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
