# SPDX-License-Identifier: Apache-2.0
"""Code that is not as compilers make it: of JITs and interpreters, and written by hand."""
import subprocess

import pytest

from lib.fault_rows import MORE_S, TIMES_BARE, have, row

NODE = r"""
function f(n) { let s = 0; for (let i = 0; i < n; i++) s += Math.sqrt(i) * (i % 7); return s; }
const end = Date.now() + 3000; let a = [], n = 0;
while (Date.now() < end || n < 50) {
  f(20000); a = Array.from({length: 500}, (_, i) => ({i, s: 'x' + i})); n++;
}
const crypto = require('crypto'), zlib = require('zlib');
let h = crypto.createHash('sha256').update('a'.repeat(1e6)).digest('hex');
zlib.gzip('b'.repeat(1e5), (e, z) =>
  console.log(h.slice(0, 8), zlib.gunzipSync(z).length, f(1000).toFixed(3)));
"""


@row("F104", "JIT: node", severity=1)
def test_node(case, tmp_path):
    have("node")
    (tmp_path / "a.js").write_text(NODE)
    case.same(["node", tmp_path / "a.js"])


@row("F104b", "JIT: node worker threads, children, wasm", severity=1)
def test_node_workers(case, tmp_path):
    have("node")
    (tmp_path / "b.js").write_text(r"""
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (isMainThread) {
  const wasm = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,
    100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
  const add = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports.add;
  let s = 0; for (let i = 0; i < 1e6; i++) s = add(s, i);
  const { execFileSync } = require('child_process');
  let left = 4, got = 0;
  for (let i = 0; i < 4; i++) new Worker(__filename).on('message', m => got += m)
    .on('exit', () => { if (!--left)
      console.log(got, s, execFileSync('echo', ['child']).toString().trim()); });
} else {
  let x = 0; for (let i = 0; i < 3e7; i++) x = (x * 31 + i) | 0; parentPort.postMessage(x);
}
""")
    case.same(["node", tmp_path / "b.js"])


JAVA = r"""
import java.util.*;
import java.util.concurrent.*;
public class T {
  static int depth(int n) { return depth(n + 1) + 1; }
  static Object no;
  public static void main(String[] a) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Long>> all = new ArrayList<>();
    for (int t = 0; t < 4; t++) all.add(pool.submit(() -> {
      long s = 0; Map<Integer, String> m = new HashMap<>();
      for (int i = 0; i < 3000000; i++) {
        m.put(i % 1000, "v" + (i & 63)); s += m.get(i % 1000).length();
      }
      return s; }));
    for (Future<Long> f : all) System.out.println(f.get());
    int npe = 0, so = 0;
    for (int i = 0; i < 20000; i++)
      try { no.hashCode(); } catch (NullPointerException e) { npe++; }
    for (int i = 0; i < 50; i++)
      try { depth(0); } catch (StackOverflowError e) { so++; }
    System.gc();
    Process p = new ProcessBuilder("echo", "child").start();
    System.out.println(new String(p.getInputStream().readAllBytes()).trim() + " " + p.waitFor());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
    System.out.println(npe + " " + so); pool.shutdown();
  }
}
"""


@row("F104c", "JIT: java", severity=1)
@pytest.mark.parametrize("options", [[], ["-Xint"], ["-XX:+UseSerialGC", "-Xss512k"],
                                     ["-Xcomp", "-XX:TieredStopAtLevel=1"]], ids=" ".join)
def test_java(case, tmp_path, options):
    have("java", "javac")
    (tmp_path / "T.java").write_text(JAVA if "-Xint" not in options else
                                     JAVA.replace("3000000", "200000"))
    subprocess.run(["javac", "-d", tmp_path, tmp_path / "T.java"], check=True, capture_output=True)
    argv = ["java", *options, "-cp", tmp_path, "T"]
    # Memory: the heap of java grows with time, not with the agent.
    bare = case.bare(argv, again=True)
    under = case.under(argv, TIMES_BARE * bare.wall_s + MORE_S)
    case.note(f"{bare.end} -> {under.end}, {bare.wall_s:.2f} -> {under.wall_s:.2f} s")
    assert not under.timed_out, under
    assert (under.status, under.out, under.err) == (bare.status, bare.out, bare.err)
    assert under.out.splitlines()[-1] == b"hook"


@row("F104d", "JIT: PHP, perl and python in profiles", severity=1)
@pytest.mark.parametrize("argv", [
    ["php", "-d", "opcache.enable_cli=1", "-d", "opcache.jit_buffer_size=32M", "-r",
     "$a=[];for($i=0;$i<2000000;$i++){$a[$i%1000]=str_repeat('x',$i%50);}echo count($a),\"\\n\";"],
    ["perl", "-e", "my %h;for my $i(1..600000){$h{$i%5000}.='x' x ($i%3)}print scalar(keys %h),"
     "\"\\n\";print((join ',',(map{$_*2}grep{$_%2}(1..9))),\"\\n\")"],
    ["/usr/bin/python3", "-c", "import re,json\nx=[json.dumps({'a':list(range(50))}) for i in "
     "range(5000)]\nprint(len(''.join(x)),len(re.findall('4',x[0])))"]], ids=lambda a: a[0])
def test_interpreters(case, argv):
    have(argv[0])
    case.same(argv)


@row("F106", "hand-written assembly: openssl", severity=1)
def test_openssl(case):
    have("openssl")
    argv = ["openssl", "speed", "-seconds", "1", "-bytes", "1024", "sha256", "aes-128-cbc"]
    bare, under = case.both(argv)
    assert under.status == bare.status == 0
    rows = [[line.split()[0] for line in o.out.splitlines() if line.endswith(b"k")]
            for o in (bare, under)]
    assert rows[0] == rows[1] and rows[0]
    case.same(["openssl", "dgst", "-sha512", "/usr/bin/openssl"])
    bare, under = case.both(["openssl", "speed", "-seconds", "1", "rsa2048"])
    assert under.status == bare.status == 0


@row("F106b", "hand-written assembly: ffmpeg encodes and decodes", severity=1)
def test_ffmpeg(case, tmp_path):
    have("ffmpeg")
    video = tmp_path / "v.mkv"
    make = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i",
            "testsrc2=size=640x360:rate=25:duration=3", "-f", "lavfi", "-i",
            "sine=frequency=440:duration=3", "-c:v", "mpeg4", "-c:a", "aac", "-flags", "+bitexact",
            "-fflags", "+bitexact"]
    subprocess.run([*make, str(video)], check=True, stdin=subprocess.DEVNULL)
    decode = ["ffmpeg", "-v", "error", "-nostdin", "-i", video, "-vf", "scale=320:180", "-f",
              "framemd5", "-"]
    _, under = case.same(decode)
    assert under.out.count(b"\n") > 75
