#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the fuzz targets start from, out of real files: seeds.py DIRECTORY TARGET...

A folder of seeds for each target: libraries compiled here in several ways (whole, or the sections
of their debug information), maps of running programs, call frame information and machine code of
them, mangled names, requests as clients send them.
"""
import lzma
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = """
struct pair { int a, b; };
enum color { RED, GREEN };
static volatile int sink;
static inline __attribute__((always_inline)) int inner(int x) { sink += x; return x * 2; }
static __attribute__((noinline)) int quiet(struct pair *p) { return inner(p->a) + inner(p->b); }
int outer(int x) { struct pair p = { x, GREEN }; for (int i = 0; i < x; i++) { int y = i;
	sink += quiet(&p) + y; } return sink; }
void framed(int n) { volatile char room[n + 1]; room[n] = 1; sink = room[0]; outer(n); }
extern int elsewhere(int); int calls(int x) { return elsewhere(x) + 1; }
"""
SOURCE_CXX = """
namespace ns { template <class T> struct box { T t; T get() const; enum e { A }; };
template <class T> __attribute__((noinline)) T box<T>::get() const { return t + A; }
template struct box<int>; template struct box<long>; }
int go(ns::box<int> &b)
{ try { return b.get(); } catch (int x) { return x; } catch (...) { throw; } }
"""
WAYS = [
    ("gcc", "-O2 -g -gdwarf-5"), ("gcc", "-O2 -g -gdwarf-4"), ("gcc", "-O0 -g -gdwarf-3"),
    ("gcc", "-O2 -g1 -gdwarf-5 -Wl,--hash-style=sysv"), ("gcc", "-O2 -g -gz=zlib"),
    ("gcc", "-O2 -s -Wl,-z,lazy"), ("g++", "-O2 -g -gdwarf-5 -ffunction-sections"),
    ("g++", "-O1 -g -gdwarf-4 -fdebug-types-section"),
    ("gcc", "-O2 -g -fno-omit-frame-pointer -fno-asynchronous-unwind-tables"),
    ("clang", "-O2 -g -gdwarf-5"), ("clang", "-O1 -g -gdwarf-4"),
]
DEBUG = ["info", "abbrev", "str", "line", "line_str", "ranges", "rnglists", "addr", "str_offsets",
         "types"]
MEMORY_AT = 0x10000000


def piece(data):
    data = data[:0xffff]
    return struct.pack("<H", len(data)) + data


def sections(image):
    """{name: (flags, address, contents)} of an ELF file."""
    at, = struct.unpack_from("<Q", image, 40)
    count, names = struct.unpack_from("<HH", image, 60)
    rows = [struct.unpack_from("<IIQQQQ", image, at + 64 * i) for i in range(count)]
    table = image[rows[names][4]:]
    found = {}
    for name, kind, flags, address, offset, size in rows:
        text = table[name:table.index(b"\0", name)].decode()
        found[text] = (flags, address, b"" if kind in (0, 8) else image[offset:offset + size])
    return found


def libraries(folder):
    for i, (compiler, ways) in enumerate(WAYS):
        cxx = compiler == "g++"
        source, target = folder / f"lib.{'cc' if cxx else 'c'}", folder / f"{i}.so"
        source.write_text(SOURCE_CXX if cxx else SOURCE, encoding="utf-8")
        # No startup files: small, and the same on every machine but for the compiler.
        subprocess.run([compiler, "-shared", "-fPIC", "-nostdlib", "-w", "-Wl,--build-id=sha1",
                        "-Wl,-z,max-page-size=4096", *ways.split(), "-o", target.name,
                        source.name], check=True, cwd=folder)
        yield target.read_bytes()


def mapped(image):
    """The file as it lies in memory."""
    at, = struct.unpack_from("<Q", image, 32)
    count, = struct.unpack_from("<H", image, 56)
    memory = bytearray()
    for i in range(count):
        kind, _, offset, address, _, size, total = struct.unpack_from("<IIQQQQQ", image,
                                                                      at + 56 * i)
        if kind == 1:
            memory.extend(bytes(max(0, address + total - len(memory))))
            memory[address:address + size] = image[offset:offset + size]
    return bytes(memory)


def dwarf(image):
    found, flags, parts = sections(image), 0, b""
    for i, name in enumerate(DEBUG):
        flag, _, contents = found.get(f".debug_{name}", (0, 0, b""))
        flags |= (flag >> 11 & 1) << i
        parts += piece(contents)
    return struct.pack("<HB", flags, 0) + parts


def frames(image):
    """Each FDE of .eh_frame with its CIE, as fuzz_cfi.c takes them."""
    contents = sections(image).get(".eh_frame", (0, 0, b""))[2]
    at, cies = 0, {}
    while at + 8 <= len(contents):
        length, back = struct.unpack_from("<II", contents, at)
        body = contents[at + 4:at + 4 + length]
        if not length:
            break
        if back == 0:
            cies[at] = body
        elif at + 4 - back in cies:
            yield b"\0" + piece(cies[at + 4 - back]) + piece(body[12:]) + bytes(range(200))
        at += 4 + length


def cfi(images):
    found = list(dict.fromkeys(row for image in images for row in frames(image)))
    # Expressions, signal frames: of the C library's own.
    libc = next(Path("/usr/lib").glob("*-linux-gnu/libc.so.6")).read_bytes()
    odd = [row for row in frames(libc) if b"zRS" in row or b"\x0f" in row[30:60]]
    return found + odd[:40] + [row[:1].replace(b"\0", b"\6") + row[1:] for row in found[:8]]


def maps(images):
    own = Path("/proc/self/maps").read_text(encoding="utf-8")
    image = mapped(images[0])
    lines = ""
    for at, rights in [(0, "r--p"), (0x1000, "r-xp"), (0x2000, "r--p"), (0x3000, "rw-p")]:
        lines += f"{MEMORY_AT + at:x}-{MEMORY_AT + at + 0x1000:x} {rights} {at:08x} fe:01 77 " \
                 "/lib/a b.so\n"
    loose = "20000000-20001000 rwxp 00000000 00:00 0 \n" \
            "20001000-24009000 r-xp 00000000 00:05 9 /memfd:jit (deleted)\n" \
            "7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [vdso]\n"
    other = lines.replace("77", "78").replace("a b.so", "new\\012line.so (deleted)")
    texts = [(own, own), (lines + loose, other + loose), (loose, lines), ("", other)]
    return [piece(a.encode()) + piece(b.encode()) + image for a, b in texts]


def requests():
    paths = ["/", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap?debug=1&gc=1",
             "/debug/pprof/profile?seconds=5", "/debug/pprof/delta_heap?seconds=1",
             "/debug/pprof/goroutine?debug=2", "/debug//pprof/./x/../heap?seconds=%31",
             "/debug/pprof/my%20own%2Fprofile", "/debug/fgprof?seconds=2&format=folded",
             "/debug/pprof/agent?format=json&token=s3cret", "/pprof/symbol?0x1000+0x1999",
             "/debug/pprof/cmdline", "/debug/pprof/trace?seconds=1", "/%zz", "/favicon.ico"]
    heads = ["Host: localhost:6053\n", "Host: 127.0.0.1\nAuthorization: Bearer s3cret\n",
             "Host: [::1]:1\nOrigin: http://[::1]:1\nSec-Fetch-Site: same-origin\n",
             "Host: evil.com\n", "Host: DB8\nHost: db8\nOrigin: null\n", ""]
    for i, path in enumerate(paths):
        for j, head in enumerate(heads):
            if (i + j) % 3 == 0:
                yield bytes([i % 16, j % 4]) + f"{path}\n{head}\n0x1000+0x1001+zz".encode()


def settings():
    good = {"ADDRESS": ":6060", "BLOCK_RATE": "1", "MUTEX_FRACTION": "5", "HEAP_RATE": "512k",
            "CPU_HZ": "99", "STACK_DEPTH": "64", "BUFFER": "1M", "SIGNAL": "SIGRTMIN+3",
            "SYMBOLS": "names", "PROGRAMS": "redis-*,my[a-z]?", "CHILDREN": "off",
            "HOSTS": "a,b:1", "LOG": "info", "ENABLED": "1", "TOKEN": "x", "PARENT": "12",
            "HEAPPROFILE": "/tmp/%e.%p.%t", "ADRESS": "1", "SIGNALL": "USR1"}
    lines = [f"PPROFAGENT_{name}={value}" for name, value in good.items()]
    bad = [line.replace("=", "=-") for line in lines]
    log = "PPROFAGENT_LOG=info\n"
    return [line.encode() for line in [*(log + each for each in lines + bad), "\n".join(lines),
                                       "\n".join(bad), "PPROFAGENT_ADDRESS=[::1]:6"]]


def names():
    found = set()
    for library in ["libstdc++.so.6", "libLLVM-14.so.1"]:
        for path in Path("/usr/lib").glob(f"*-linux-gnu/{library}"):
            output = subprocess.run(["nm", "-D", path], check=False, capture_output=True).stdout
            found |= {row.split()[-1].split(b"@")[0] for row in output.splitlines()[::97]}
    rust = ["_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "_RNvCs15kBYyAo9fc_7mycrate3foo",
            "_RINvNtC3std3mem8align_ofdE", "_RNCNvC1a4main0B3_", "_RMCs4fqI2P2rA04_13const_h"]
    deep = ["_Z1f" + "PFv" * 100 + "v" + "E" * 100, "_Z1fI" + "S_" * 100 + "E",
            "_Z3fooILi1EEvT_", "_ZN1AcvT_IiEEv", "_Z1fDTfp_Ev", "_ZZ1fvENKUlvE_clEv"]
    return [name for name in found if name.startswith(b"_Z")][:150] + \
        [name.encode() for name in rust + deep]


def texts():
    words = ["/lib/a.so", "main", "_Z1fv", "naïve.c", "ev\xff;l", "a\nb", "\u2028", "\ud7ff", ""]
    row = b"".join(piece(w.encode("utf-8", "surrogatepass")) + bytes(range(1, 6)) for w in words)
    raw = [b"\xed\xa0\x80\xc0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98\x80" * 20, b"x" * 300]
    row += b"".join(piece(word) for word in raw)
    return [bytes([kind]) + row[kind:] * 4 for kind in range(7)]


def packed(images):
    return [lzma.compress(image, check=check, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
            for image in images for check in (lzma.CHECK_CRC32, lzma.CHECK_CRC64)]


def code(images):
    return [found[".text"][2] for found in map(sections, images) if ".text" in found]


def field(number, contents):
    """Of a protobuf message: bytes, or a number below 128."""
    if isinstance(contents, int):
        return bytes([number << 3, contents])
    return bytes([number << 3 | 2, len(contents)]) + contents


def profiles():
    """One whole profile: types, a sample with two labels, its tables, a comment."""
    label = field(1, 1) + field(2, 2)
    sample = (field(1, b"\1\2") + field(2, b"\7\x64") + field(3, label) +
              field(3, field(1, 9) + field(3, 5)))
    mapping = field(1, 1) + field(2, 1) + field(3, 99) + field(5, 6) + field(6, 7) + field(7, 1)
    locations = [field(1, i) + field(2, 1) + field(3, 50 + i) + field(4, field(1, i) + field(2, 3))
                 for i in (1, 2)]
    functions = [field(1, i) + field(2, 7 + i) + field(3, 7 + i) + field(4, 6) for i in (1, 2)]
    texts = (b"", b"samples", b"count", b"cpu", b"ns", b"a comment", b"/bin/x", b"ab12", b"main",
             b"pid")
    whole = b"".join([
        field(1, field(1, 1) + field(2, 2)), field(1, field(1, 3) + field(2, 4)),
        field(11, field(1, 3) + field(2, 4)), field(12, 10), field(9, 1), field(10, 2),
        field(13, 5), field(14, 3), field(2, sample), field(3, mapping),
        *(field(4, one) for one in locations), *(field(5, one) for one in functions),
        *(field(6, text) for text in texts)])
    return [whole, whole[:40] + whole[40:] * 2]


def all_seeds(folder):
    images = list(libraries(folder))
    symbol = [b"0x1000", b"0x1ABC+4096+0o777+0b11+1_0+zz", b"+" * 20, b"0" * 5000 + b"+0x1000"]
    query = [piece(b"debug") + piece(b"0x10_00") + b"a=1&debug=%31;&debug=2+%00&x",
             piece(b"seconds") + piece(b"-9223372036854775808") + b"/a//%2e%2e/./b%2fc/%41/"]
    return {"elf": images, "load": images, "image": map(mapped, images), "query": query,
            "dwarf": map(dwarf, images), "packed": packed(images), "cfi": cfi(images),
            "prologue": code(images), "maps": maps(images), "request": requests(),
            "settings": settings(), "demangle": names(), "text": texts(), "symbol": symbol,
            "merge": profiles()}


def main():
    directory = Path(sys.argv[1])
    work = directory / "work"
    work.mkdir(parents=True, exist_ok=True)
    made = all_seeds(work)
    for target in sys.argv[2:]:
        folder = directory / target
        folder.mkdir(exist_ok=True)
        for i, seed in enumerate(made[target.removeprefix("fuzz_")]):
            (folder / str(i)).write_bytes(seed)


if __name__ == "__main__":
    main()
