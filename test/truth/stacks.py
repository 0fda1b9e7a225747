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
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.harness import BUILD, Target, environment, free_port, run
from lib.profiles import Profile

SECONDS = 5
LEAST = 0.99
# Subroutines in assembler that change rbp, and others below a frame that keeps its stack pointer in
# rcx, end their stacks.
LESS = {"ffmpeg encodes x264": 0.95}
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
    """The test that interrupts each instruction, for a million of them: 1 if it fails."""
    program = BUILD / "checked/unit/test_unwind_steps"
    if not program.exists():
        print("  every instruction: not built (make unit TESTS=test_unwind_steps)")
        return 0
    done = subprocess.run([program], env={**os.environ, "PA_STEPS": str(STEPS)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = [line for line in done.stdout.splitlines() if " stacks, " in line]
    print("  every instruction:", *(said or ["failed"]), flush=True)
    return 0 if done.returncode == 0 else 1


def print_row(name, profile, with_ends):
    """1 if too few are complete."""
    total = profile.total("samples")
    share = sum(s.values["samples"] for s in profile.samples if is_whole(s)) / max(total, 1)
    is_bad = share < LESS.get(name, LEAST) and name not in JITS
    print(f"  {name:24} {total:7} stacks, {100 * share:6.2f} % complete"
          f"{'  TOO FEW' if is_bad else ''}", flush=True)
    if with_ends:
        for place, count in ends(profile):
            print(f"      {count:6} {place}")
    return int(is_bad)


def print_table(names=(), with_ends=False, seconds=SECONDS):
    """The number of programs with too few."""
    bad = 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, words_of in PROGRAMS.items():
            if names and not any(n in name for n in names):
                continue
            try:
                words = words_of(folder)
            except (FileNotFoundError, subprocess.CalledProcessError):
                continue
            if shutil.which(words[0]):
                bad += print_row(name, profile_of(name, words, folder, seconds), with_ends)
    return bad + (0 if names else steps())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ends", action="store_true")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args()
    return 1 if print_table(options.names, options.ends, options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
