# SPDX-License-Identifier: Apache-2.0
"""Real programs: interpreters and virtual machines."""
import re

import pytest

from lib.fault_rows import PYTHON, finish, have, row
from lib.harness import environment
from lib.real_programs import compare, version

# ------------------------------------------------------------------ bash

BASH = r"""
x=$(echo hi; exit 3); echo "$x $?"
(echo sub; exit 4); echo $?
printf '%s\n' c b a | sort | while read -r l; do printf '%s ' "$l"; done; echo
trap 'echo usr1' USR1; kill -USR1 $$
trap 'echo chld' CHLD; true & wait $!; trap - CHLD
coproc C { while read -r l; do echo "<$l>"; done; }
for i in 1 2 3; do echo $i >&${C[1]}; read -r l <&${C[0]}; echo "$l"; done
eval "exec ${C[1]}>&-"; wait
for i in 1 2 3 4 5 6 7 8; do (exit $i) & p+=($!); done
for i in "${p[@]}"; do wait $i; t=$((t + $?)); done; echo $t
read -t 0.05 l < <(sleep 1); echo "read $?"
diff <(seq 100) <(seq 2 100) | tr '\n' ' '; echo
for i in $(seq 300); do y=$(echo $i); done; echo "$y"
(kill -SEGV $BASHPID) 2>/dev/null; echo $?
(kill -TERM $BASHPID); echo $?
declare -A m; for i in $(seq 20000); do m[$((i % 997))]+=x; done; echo ${#m[@]} ${#m[5]}
ulimit -n; umask; set -m; sleep 30 & kill %1; wait %1; echo $?
trap 'echo bye' EXIT; exec 3< <(echo fd); read -r l <&3; echo "$l"; exit 7
"""


@row("R10", "bash: subshells, traps, coprocesses, jobs", severity=1, naive="hangs")
def test_bash(case):
    """The agent is inert in shells; here it is not."""
    case.note(version("bash", "--version")[:40])
    _, under = case.same(["bash", "--norc", "-c", BASH], settings={"programs": "*"},
                         clean=lambda text: re.sub(rb"line \d+: +\d+|\[1\] \d+", b"", text))
    assert under.status == 7 and under.out.endswith(b"fd\nbye\n")


# ------------------------------------------------------------------ python

# It waits for hardware.
LEFT_OUT = ["-i", "*VSOCK*"]

MODULE_S = 900.0


def python_tests(module):
    def run(side):
        status, out, err = side.done([PYTHON, "-m", "test", "-v", *LEFT_OUT, f"test_{module}"],
                                     deadline_s=MODULE_S)
        text = out + err
        ran = re.findall(r"(?m)^(?:Ran \d+ tests?|OK|FAILED)\b(?: \(.*\))?", text)
        side.case.note(f"rc {status}, {' '.join(ran)}")
        return {"failed": sorted(set(re.findall(r"(?m)^(?:FAIL|ERROR): .*", text))),
                "rc": status, "ran": ran}
    return run


RUNS = {name: python_tests(name) for name in (
    "threading", "subprocess", "signal", "socket", "fork1", "multiprocessing_fork")}


@pytest.mark.parametrize("module", list(RUNS))
@row("R11", "python's own tests", severity=1)
def test_python(case, module):
    have(PYTHON)
    pytest.importorskip("test.test_threading", reason="no libpython3-testsuite here")
    case.note(f"{version(PYTHON, '--version')} {module}")
    compare(case, RUNS[module])


# ------------------------------------------------------------------ node

NODE = r"""
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, spawn } = require('child_process');
const crypto = require('crypto'), zlib = require('zlib'), net = require('net');
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
if (!isMainThread) {
    const cells = new Int32Array(workerData);
    for (let i = 0; i < 20000; i++) Atomics.add(cells, 0, 1);
    parentPort.postMessage(fib(20));
} else (async () => {
    const shared = new SharedArrayBuffer(64);
    const results = await Promise.all([1, 2, 3, 4].map(() => new Promise((done, bad) => {
        const worker = new Worker(__filename, { workerData: shared });
        worker.on('message', done); worker.on('error', bad);
    })));
    console.log('workers', results.join(), new Int32Array(shared)[0]);
    const keys = await Promise.all([...Array(8).keys()].map(i => new Promise(done =>
        crypto.pbkdf2('secret', 'salt' + i, 2000, 32, 'sha512',
            (bad, key) => done(key.toString('hex').slice(0, 8))))));
    console.log('pool', keys.join());
    const text = JSON.stringify([...Array(20000).keys()].map(i => ({ i, s: 'x' + i })));
    console.log('zlib', zlib.gunzipSync(zlib.gzipSync(text)).length);
    console.log('child', execFileSync('echo', ['hi']).toString().trim());
    console.log('exit', await new Promise(done => spawn(process.execPath,
        ['-e', 'process.exit(5)']).on('exit', done)));
    const deep = n => deep(n + 1) + 1;
    let caught = 0;
    for (let i = 0; i < 50; i++) try { deep(0); } catch (e) { caught += e instanceof RangeError; }
    console.log('overflows', caught);
    const server = net.createServer(s => s.pipe(s)).listen(0, '127.0.0.1');
    await new Promise(done => server.on('listening', done));
    const line = net.connect(server.address().port, '127.0.0.1');
    let got = 0;
    line.on('data', d => { got += d.length; if (got >= 1 << 20) line.end(); });
    line.write(Buffer.alloc(1 << 20));
    await new Promise(done => line.on('close', done));
    console.log('echo', got); server.close();
    let sum = 0;
    for (let i = 0; i < 300; i++) sum += [...Array(2000).keys()].map(String).join('').length;
    console.log('garbage', sum, fib(27));
    process.on('SIGUSR2', () => { console.log('usr2'); process.exit(3); });
    process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 20000);
})();
"""


@row("R12", "node: workers, thread pool, children, recursion", severity=1)
def test_node(case, tmp_path):
    have("node")
    case.note("node " + version("node", "--version"))
    (tmp_path / "work.js").write_text(NODE)
    _, under = case.same(["node", tmp_path / "work.js"], again=True)
    assert under.status == 3 and under.out.endswith(b"usr2\n")


# ------------------------------------------------------------------ java

JAVA = r"""
import java.util.concurrent.locks.*;
import java.util.concurrent.atomic.*;
import java.util.*;

public class T {
    static long plain; static final Object monitor = new Object();
    static final ReentrantLock lock = new ReentrantLock();
    static int deep(int n) { return deep(n + 1) + 1; }
    static void join(int count, Runnable work) throws Exception {
        Thread[] all = new Thread[count];
        for (int i = 0; i < count; i++) (all[i] = new Thread(work)).start();
        for (Thread one : all) one.join();
    }
    public static void main(String[] words) throws Exception {
        join(8, () -> { for (int i = 0; i < 50000; i++) synchronized (monitor) { plain++; } });
        System.out.println("monitor " + plain);
        join(8, () -> { for (int i = 0; i < 50000; i++) {
            lock.lock(); try { plain++; } finally { lock.unlock(); } } });
        System.out.println("lock " + plain);
        AtomicInteger caught = new AtomicInteger();
        join(4, () -> { for (int i = 0; i < 20000; i++)
            try { String s = i < 0 ? "" : null; s.length(); }
            catch (NullPointerException e) { caught.incrementAndGet(); } });
        join(2, () -> { for (int i = 0; i < 40; i++)
            try { deep(0); } catch (StackOverflowError e) { caught.incrementAndGet(); } });
        System.out.println("caught " + caught);
        List<byte[]> kept = new ArrayList<>(); long sum = 0;
        for (int i = 0; i < 60000; i++) {
            byte[] piece = new byte[4096]; sum += piece.length;
            if (i % 100 == 0) kept.add(piece);
        }
        System.gc();
        synchronized (monitor) { for (int i = 0; i < 20; i++) monitor.wait(2); }
        Thread sleeper = new Thread(() -> { try { Thread.sleep(60000); }
            catch (InterruptedException e) { System.out.println("interrupted"); } });
        sleeper.start(); sleeper.interrupt(); sleeper.join();
        Process child = new ProcessBuilder("sh", "-c", "exit 9").start();
        System.out.println("garbage " + sum + " " + kept.size() + " child " + child.waitFor());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        System.exit(6);
    }
}
"""

JVM = "/usr/lib/jvm/default-java/bin/"


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    have(JVM + "javac")
    folder = tmp_path_factory.mktemp("java")
    (folder / "T.java").write_text(JAVA)
    assert finish([JVM + "javac", folder / "T.java"], environment(preload=())).status == 0
    return folder


@row("F66", "Java: contended locks, NullPointerException, StackOverflowError", severity=1,
     naive="hangs (trylock hook)")
@pytest.mark.parametrize("collector", ["Serial", "G1", "Parallel"])
def test_java(case, classes, collector):
    case.note(version(JVM + "java", "-version"))
    _, under = case.same([JVM + "java", f"-XX:+Use{collector}GC", "-Xmx128m", "-Xshare:auto",
                          "-cp", classes, "T"])
    assert under.status == 6 and under.out == (
        b"monitor 400000\nlock 800000\ncaught 80080\ninterrupted\n"
        b"garbage 245760000 600 child 9\nhook\n")


# ------------------------------------------------------------------ php

PHP = r"""
function fib($n) { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
$rows = []; for ($i = 0; $i < 50000; $i++) $rows["k$i"] = ['v' => str_repeat('x', $i % 50)];
uasort($rows, fn($a, $b) => strlen($a['v']) <=> strlen($b['v']));
echo count($rows), ' ', strlen(json_encode($rows)), ' ', md5(serialize($rows)), "\n";
echo fib(22), ' ', preg_match_all('/(a+)+b/', str_repeat('aab', 5000)), "\n";
echo shell_exec('echo hi; exit 2');
$p = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
fwrite($pipes[0], str_repeat('y', 30000)); fclose($pipes[0]);
echo strlen(stream_get_contents($pipes[1])), ' ', proc_close($p), "\n";
for ($i = 0, $codes = 0; $i < 20; $i++) {
    $pid = pcntl_fork();
    if ($pid == 0) { $a = array_fill(0, 1000, $i); exit($i); }
    pcntl_waitpid($pid, $status); $codes += pcntl_wexitstatus($status);
}
echo $codes, "\n";
pcntl_async_signals(true);
pcntl_signal(SIGALRM, function () { echo "alarm\n"; exit(4); });
pcntl_alarm(1); while (true) { usleep(100000); }
"""


@row("R13", "php: children, pipes, signals", severity=1)
def test_php(case):
    have("php")
    case.note(version("php", "--version")[:12])
    _, under = case.same(["php", "-n", "-r", PHP])
    assert under.status == 4 and under.out.endswith(b"190\nalarm\n")
