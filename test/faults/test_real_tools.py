# SPDX-License-Identifier: Apache-2.0
"""Real programs: tools that start many processes or many threads and end."""
import re

from lib.fault_rows import have, row
from lib.real_programs import ANY_PORT, compare, version

# ------------------------------------------------------------------ git

DATED = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in
         (("NAME", "A"), ("EMAIL", "a@b"), ("DATE", "2020-01-01T00:00:00Z"))}


def make_repository(side):
    """Thirty commits of a few hundred files, without an agent."""
    made = side.folder / "made"
    side.tool("git", "init", "-q", "-b", "main", str(made))
    stream = b""
    for at in range(30):
        stream += b"commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 2\n%02d\n" % (
            1577836800 + at, at)
        for number in range(12):
            text = b"".join(b"line %d of %d in %d\n" % (i, number, at) for i in range(400))
            stream += b"M 644 inline d%d/f%d\ndata %d\n%s\n" % (at % 7, number, len(text), text)
    side.tool("git", "-C", str(made), "fast-import", "--quiet", given=stream)
    return made


def git_clone(side):
    made, copy = make_repository(side), side.folder / "copy"

    def git(*words):
        return side.done(["git", "-c", "pack.threads=4", "-c", "gc.autoDetach=false", *words],
                         env={**DATED, "HOME": str(side.folder)})

    happened = {"clone": git("clone", f"file://{made}", copy)}
    happened["fsck"] = git("-C", copy, "fsck", "--full", "--no-progress")
    happened["log"] = git("-C", copy, "log", "--stat", "--format=%H %s")
    (copy / "d0" / "f0").write_text("changed\n")
    happened["commit"] = git("-C", copy, "commit", "-q", "-a", "-m", "changed")
    happened["push"] = git("-C", copy, "push", "origin", "HEAD:refs/heads/other")
    happened["gc"] = git("-C", copy, "gc", "--quiet")
    happened["grep"] = git("-C", copy, "grep", "-c", "--threads=4", "line 7 ")
    happened["bad"] = git("-C", copy, "show", "no-such-thing")
    return happened


@row("R20", "git: clone, fsck, push, gc", severity=1)
def test_git(case):
    have("git")
    case.note(version("git", "--version"))
    bare, _ = compare(case, git_clone, address=ANY_PORT)
    assert bare["clone"] == (0, "", "Cloning into 'FOLDER/copy'...\n")
    assert bare["bad"][0] == 128


# ------------------------------------------------------------------ gcc and make


def c_source(functions):
    """C that keeps an optimizer busy."""
    text = ["#include <stdio.h>\n#include <string.h>\nstruct s { long a, b[8]; double d; };\n"]
    for i in range(functions):
        text.append(f"""
static long f{i}(struct s *s, const char *t, long n)
{{
	long sum = {i};
	for (long j = 0; j < n; j++) {{
		s->b[j & 7] += t[j] * {i + 3} + (sum >> {i % 13 + 1});
		switch ((s->b[j & 7] + j) % {i % 7 + 5}) {{
		case 0: sum ^= s->a; break;
		case 1: s->d = s->d * 1.5 + j; sum += (long)s->d; break;
		case 2: sum += strlen(t + j); break;
		default: sum = sum * 31 + {f"f{i - 1}(s, t, n / 2)" if i else "1"};
		}}
	}}
	return sum;
}}
""")
    text.append(f"long entry(struct s *s) {{ return f{functions - 1}(s, \"abc\", 3); }}\n")
    return "".join(text)


MAKEFILE = """
OBJECTS := $(patsubst %.c,%.o,$(wildcard u*.c))
all: $(OBJECTS)
%.o: %.c
	@gcc -O2 -pipe -c -o $@ $<
"""


def big_file(side):
    (side.folder / "big.c").write_text(c_source(700))
    happened = {"gcc": side.done(["gcc", "-O2", "-S", "-o", "big.s", "big.c"])}
    happened["assembly"] = hash((side.folder / "big.s").read_bytes())
    (side.folder / "bad.c").write_text("int main(void) { return x; }\n")
    happened["bad"] = side.done(["gcc", "-c", "bad.c"])
    return happened


@row("R21", "gcc -O2 of a large file", severity=1)
def test_gcc(case):
    have("gcc")
    case.note(version("gcc", "--version"))
    bare, _ = compare(case, big_file)
    assert bare["gcc"] == (0, "", "") and bare["bad"][0] == 1


def many_files(side):
    for i in range(50):
        (side.folder / f"u{i}.c").write_text(f"int base{i} = {i};\n" + c_source(6))
    (side.folder / "Makefile").write_text(MAKEFILE)
    happened = {"make": side.done(["make", "-j4"])}
    happened["objects"] = [hash((side.folder / f"u{i}.o").read_bytes()) for i in range(50)]
    happened["again"] = side.done(["make", "-j4"])
    return happened


@row("F15", "make -j4 of 50 files", severity=2)
def test_make(case):
    have("make", "gcc")
    case.note(version("make", "--version"))
    bare, _ = compare(case, many_files)
    assert bare["make"] == (0, "", "")


# ------------------------------------------------------------------ ffmpeg


@row("R22", "ffmpeg: filters, encoder and decoder threads", severity=1)
def test_ffmpeg(case, tmp_path):
    have("ffmpeg")
    case.note(version("ffmpeg", "-version")[:24])
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    source = ["-f", "lavfi", "-i", "testsrc=duration=3:size=320x240:rate=25", "-f", "lavfi", "-i",
              "sine=frequency=440:duration=3"]
    made = tmp_path / "made.mkv"
    case.same([*command, *source, "-threads", "4", "-c:v", "mpeg4", "-c:a", "flac", "-flags",
               "+bitexact", "-fflags", "+bitexact", made])
    _, under = case.same([*command, "-threads", "4", "-i", made, "-f", "framemd5", "-"])
    assert under.out.count(b"\n0,") == 75
    case.same([*command, "-threads", "4", "-i", made, "-vf", "scale=640x480,hue=h=90,boxblur=2",
               "-f", "md5", "-"])


# ------------------------------------------------------------------ openssl


@row("R23", "openssl: hand-written assembly, timed by signals", severity=1)
def test_openssl_speed(case):
    have("openssl")
    case.note(version("openssl", "version"))

    def numbers(text):
        return re.sub(rb"[\d.]+(k|s)?|[ -]+", b"", text)
    size = ["-bytes", "1024"]
    for words in ([*size, "sha256"], [*size, "-evp", "aes-256-gcm"], ["rsa2048"],
                  ["-multi", "2", "ecdhp256"]):
        _, under = case.same(["openssl", "speed", "-seconds", "1", *words], clean=numbers)
        assert under.status == 0


def encrypted(side):
    plain = side.folder / "plain"
    plain.write_bytes(bytes(range(256)) * 40000)
    key = ["-pbkdf2", "-pass", "pass:word", "-S", "0011223344556677"]
    happened = {"enc": side.done(["openssl", "enc", "-aes-256-cbc", *key, "-in", plain, "-out",
                                  "secret"])}
    happened["secret"] = hash((side.folder / "secret").read_bytes())
    happened["dec"] = side.done(["openssl", "enc", "-d", "-aes-256-cbc", *key, "-in", "secret",
                                 "-out", "again"])
    happened["equal"] = (side.folder / "again").read_bytes() == plain.read_bytes()
    happened["bad"] = side.done(["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-pass",
                                 "pass:other", "-in", "plain", "-out", "no"])[0]
    happened["digest"] = side.done(["openssl", "dgst", "-sha512", plain])
    happened["key"] = side.done(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                                 "rsa_keygen_bits:2048", "-quiet", "-out", "key"])
    happened["sign"] = side.done(["openssl", "dgst", "-sha256", "-sign", "key", "-out", "signed",
                                  plain])
    return happened


@row("R24", "openssl: files encrypted, decrypted, signed", severity=1)
def test_openssl_files(case):
    have("openssl")
    bare, _ = compare(case, encrypted)
    assert bare["equal"] and bare["bad"] == 1 and bare["sign"][0] == 0
