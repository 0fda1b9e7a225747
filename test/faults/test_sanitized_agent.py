# SPDX-License-Identifier: Apache-2.0
"""Strange input to an agent that is built with the sanitizers."""
import concurrent.futures
import os
import random
import socket
import subprocess

from lib.fault_rows import BUILD, have, row
from lib.harness import PREFIX, ROOT, until, victim
from lib.http_clients import PATHS, head


def asan_agent():
    """Builds the agent with the sanitizers; (preload, variables)."""
    have("make", "gcc")
    built = BUILD / "asan-agent"
    subprocess.run(["make", "-s", "-C", ROOT, "asan-agent", f"B={BUILD}", "SETUP_DONE=1"],
                   check=True, stdout=subprocess.DEVNULL, timeout=900,
                   env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")})
    libasan = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, text=True,
                             capture_output=True).stdout.strip()
    return (libasan, built / "libpprofagent.so")


def asan_start(case, argv, folder, **settings):
    preload = asan_agent()
    return case.start(argv, preload=preload, **settings,
                      X_ASAN_OPTIONS=f"detect_leaks=0:halt_on_error=1:log_path={folder}/asan",
                      X_UBSAN_OPTIONS=f"print_stacktrace=1:log_path={folder}/ubsan")


def reports(folder):
    return [path.read_text(errors="replace")[:3000] for path in sorted(folder.glob("*san*"))]


SEEDS = [
    *(head(f"GET {path} HTTP/1.1") for path in PATHS),
    *(head(f"GET {PREFIX}/{name}?{query} HTTP/1.1") for name in
      ("heap", "allocs", "block", "mutex", "goroutine", "threadcreate", "profile", "agent",
       "delta_heap", "delta_block", "symbol", "cmdline")
      for query in ("debug=1", "seconds=1", "debug=0&gc=1", "format=json",
                    "format=top&n=0", "format=folded&thread=pool")),
    head("GET /debug/fgprof?seconds=1&format=folded HTTP/1.1"),
    head("GET /pprof/heap HTTP/1.0", "Authorization: Bearer abc", "User-Agent: x"),
    head(f"POST {PREFIX}/symbol HTTP/1.1", "Content-Length: 11") + b"0x1234+0x56",
    head(f"POST {PREFIX}/symbol HTTP/1.1", "Transfer-Encoding: chunked") + b"3\r\n0x1\r\n0\r\n\r\n",
    head(f"POST {PREFIX}/symbol HTTP/1.1", "Content-Length: 5", "Expect: 100-continue") + b"0x1+2",
    head(f"HEAD {PREFIX}/heap HTTP/1.1", "Origin: http://localhost", "Sec-Fetch-Site: none"),
    head(f"GET {PREFIX}//./x/../heap%2f?seconds=%31&debug=%32#x HTTP/1.1"),
]
WORDS = [b"%00", b"%2f", b"%", b"\r\n", b"\n", b"\0", b"/", b"..", b"?", b"&", b"=", b"+", b"0x",
         b"%zz", b"9" * 40, b"-1", b"A" * 300, b"\xff", b" ", b":", b"HTTP/1.1", b"Host: localhost",
         b"seconds=", b"debug=2", b"Content-Length: 18446744073709551615", b"\r\n\r\n", b";", b"#"]


def mutate(rng, seed):
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 10))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 2:
            data[at:at] = rng.choice(WORDS)
        elif kind == 3:
            del data[at:at + rng.choice((1, 2, 8, 40))]
        elif kind == 4:
            data[at:at] = data[at:at + rng.randrange(40)] * rng.choice((1, 2, 50))
        elif kind == 5:
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
        else:
            other = rng.choice(SEEDS)
            data[at:] = other[rng.randrange(len(other)):]
    return bytes(data)


def send_mutated(port, number, count):
    """Sends count requests; (answers, statuses)."""
    rng = random.Random(f"F128 {number}")
    statuses = {}
    for _ in range(count):
        data = mutate(rng, rng.choice(SEEDS))
        word = "none"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.settimeout(0.3)  # who waits for seconds is left
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                got = s.recv(64)
                while got and s.recv(1 << 20):
                    pass
                word = got[9:12].decode("latin-1") if got else "none"
        except TimeoutError:
            word = "left"
        except OSError:
            word = "reset"
        statuses[word] = statuses.get(word, 0) + 1
    return statuses


REQUESTS, SENDERS = 100_000, 4


@row("F128", "100,000 mutated requests to an agent with sanitizers", severity=1, modes=("full",))
def test_mutated_requests(case, tmp_path):
    target = asan_start(case, [victim("v_spin"), "10", "10"], tmp_path, stack_depth=16)
    with concurrent.futures.ProcessPoolExecutor(SENDERS) as pool:
        parts = [pool.submit(send_mutated, target.port, i, REQUESTS // SENDERS)
                 for i in range(SENDERS)]
        total = {}
        for part in parts:
            for word, count in part.result().items():
                total[word] = total.get(word, 0) + count
    case.note(" ".join(f"{word} {count}" for word, count in sorted(total.items())))
    assert reports(tmp_path) == []
    until("it answers still", lambda: target.get("/cmdline").status == 200)
    assert target.process.poll() is None
    assert total.get("200", 0) > REQUESTS // 50, total
    assert target.finish() == 0
    assert reports(tmp_path) == []


@row("S11", "broken debug information, read by an agent with sanitizers", severity=1,
     modes=("full",))
def test_broken_debug_information(case, tmp_path):
    have("objcopy")
    rng = random.Random(11)
    whole, stripped = tmp_path / "v.debug", tmp_path / "v"
    subprocess.run(["objcopy", "--only-keep-debug", victim("v_blocks"), whole], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={whole}",
                    victim("v_blocks"), stripped], check=True)
    good = whole.read_bytes()
    for turn in range(40):
        data = bytearray(good)
        for _ in range(rng.choice((1, 10, 100, 1000))):
            at = rng.randrange(len(data)) if turn % 4 else rng.randrange(64)
            data[at] = rng.choice((0, 0xff, 0x7f, 0x80, rng.randrange(256)))
        if turn % 5 == 4:
            del data[rng.randrange(len(data)):]
        whole.write_bytes(data)
        target = asan_start(case, [stripped, "1"], tmp_path)
        for path in ("/heap", "/goroutine?debug=2"):
            assert target.get(path).status == 200, turn
        assert target.finish() == 0, (turn, target.err)
        assert reports(tmp_path) == [], turn
    case.note("40 files")
