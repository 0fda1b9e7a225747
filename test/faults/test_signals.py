# SPDX-License-Identifier: Apache-2.0
"""Signals, masks and dispositions."""
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.fault_rows import PYTHON, have, limited, profiled, program, row
from lib.harness import ROOT, SIGNAL, Later, until, victim
from lib.profiles import Profile, counts, cpu

SOURCES = ROOT / "test/faults/programs"


def until_profile(target):
    """A CPU profile; the poller's last one may still be under way."""
    def ask():
        answer = target.get("/profile?seconds=1")
        return answer if answer.status == 200 else None
    return until("a CPU profile", ask)


# ------------------------------------------------------------------ signals that wait


@row("F20", "sigwait program", severity=1, naive="rc 138", fast=True)
def test_sigwait(case):
    _, under = case.same([program("f_sigwait")])
    assert under.out == b"got 5\n"


@row("F20b", "sigwait and its kin for all signals", severity=1, fast=True)
def test_wait_for_all(case):
    case.same([victim("v_masks"), "wait"])


# ------------------------------------------------------------------ the program sends our signal

SENT = ("order", "handlers", "waiter", "direct", "suspend", "fd", "calls", "exec", "fork",
        "default")


@row("F21", "the program sends the agent's signal to itself while all are blocked", severity=1,
     fast=True)
@pytest.mark.parametrize("way", SENT)
def test_sent(case, way):
    _, under = case.same([program("f_sent"), way])
    assert under.out


@row("F21b", "the same while profiles are taken", severity=1)
@pytest.mark.parametrize("way", [way for way in SENT if way != "exec"])
def test_sent_in_a_profile(case, way):
    argv = [program("f_sent"), way, "ready"]
    bare = case.start_bare(argv)
    bare.expect("ready")
    assert bare.finish() == 0
    target = case.start(argv)
    target.expect("ready")
    with case.fire(target, ("/goroutine?debug=2", "/profile?seconds=1")):
        asking = Later(target, "/profile?seconds=1")
        target.get("/goroutine?debug=2")
        assert target.finish() == 0
        asking.thread.join(60)  # without an answer: the program is over
    assert (target.out, target.err) == (bare.out, bare.err)


@row("F22", "a thread cancels itself", severity=1, fast=True)
@pytest.mark.parametrize("way", ["deferred", "any", "disabled"])
def test_cancel_itself(case, way):
    case.same([program("f_cancelself"), way])


# ------------------------------------------------------------------ the program's own timers

COUNT_TICKS = """
import signal, sys, time
n = 0
def tick(*_):
    global n
    n += 1
signal.signal(signal.SIGPROF, tick)
print("ready", flush=True)
signal.setitimer(signal.ITIMER_PROF, .1, .1)
end = time.process_time() + 1.05
while time.process_time() < end:
    pass
signal.setitimer(signal.ITIMER_PROF, 0)
print("ticks", n)
"""


@row("F24", "ITIMER_PROF of Python", severity=2, naive="its timer is taken away")
def test_itimer_of_python(case):
    # The timer counts the CPU time of the whole process, so the agent's own is in it.
    bare, under = (int(out.split()[-1]) for out in profiled(case, [PYTHON, "-c", COUNT_TICKS]))
    case.note(f"{bare} -> {under} ticks")
    assert abs(under - bare) <= (1 if case.mode != "fire" else 4)


GPROF = """
#include <stdio.h>
#include <time.h>
static volatile unsigned long work;
__attribute__((noinline)) void burn(void) { for (int i = 0; i < 100000; i++) work++; }
int main(void)
{
	puts("ready");
	fflush(stdout);
	struct timespec used = { 0, 0 };
	while (used.tv_sec < 2) {
		burn();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	}
	printf("ended\\n");
	return 0;
}
"""


@row("F23", "reading the time stamp counter raises SIGSEGV (PR_SET_TSC)", severity=1, fast=True)
def test_denied_time_stamps(case):
    _, under = case.same([program("f_time_stamps")])
    assert under.out == b"ok\n" * 2


@row("F25", "gprof's own profile", severity=3, naive="its timer is taken away")
def test_gprof(case, tmp_path):
    have("gprof")
    (tmp_path / "burn.c").write_text(GPROF)
    subprocess.run(["gcc", "-pg", "-O1", "-o", "burn", "burn.c"], cwd=tmp_path, check=True)

    def seconds():
        text = subprocess.run(["gprof", "-b", "-p", "burn", "gmon.out"], cwd=tmp_path, check=True,
                              capture_output=True, text=True).stdout
        (tmp_path / "gmon.out").unlink()
        return max(float(line.split()[1]) for line in text.splitlines()
                   if re.match(r"\s*\d+\.\d+\s+\d+\.\d+\s", line))
    bare_run = case.start_bare([tmp_path / "burn"], cwd=tmp_path)
    assert bare_run.finish(60) == 0
    bare = seconds()
    target = case.start([tmp_path / "burn"], wait=False, cwd=tmp_path)
    target.expect("ready")
    with case.fire(target, ("/profile?seconds=1",)):
        assert target.finish(60) == 0
    under = seconds()
    case.note(f"{bare} -> {under} s in gmon.out")
    assert abs(under - bare) <= 0.1 * bare


# ------------------------------------------------------------------ the program's own handlers


def own_handler(case, number, way):
    target = case.start([program("f_own_signal"), str(number), way])
    target.expect("ready")

    def yes(*words):
        for word in words:
            assert target.ask(word, word) == f"{word} yes"
    return target, yes


@row("F26", "SIGPROF is the program's", severity=2, naive="its handler is replaced", fast=True)
@pytest.mark.parametrize("way", ["sigaction", "signal"])
def test_own_sigprof(case, way):
    target, yes = own_handler(case, signal.SIGPROF, way)
    yes("set", "same", "quiet")
    with case.fire(target, ("/profile?seconds=1", "/goroutine?debug=2")):
        if not case.polls:
            profile = target.get("/profile?seconds=1")
            assert profile.status == 200 and Profile(profile.body).samples
        yes("same", "quiet", "raise", "blocked", "same", "default")
    assert target.finish() == 0 and target.err == ""


@row("F26b", "the agent's signal is the program's", severity=2, fast=True)
@pytest.mark.parametrize("way", ["sigaction", "signal"])
def test_own_handler_for_the_agents_signal(case, way):
    target, yes = own_handler(case, SIGNAL, way)
    yes("set", "same", "quiet")
    with case.fire(target, ("/profile?seconds=1", "/goroutine?debug=2")):
        answer = target.get("/profile?seconds=1")
        assert answer.status == 500 and "profil" in answer.text, answer
        yes("same", "quiet", "raise", "blocked", "same", "default")
        case.note(answer.text.strip())
    until("the signal can be had again",
          lambda: target.get("/profile?seconds=1").status == 200)
    assert target.finish() == 0 and target.err == ""


@row("F26c", "the agent's signal becomes the program's in a profile", severity=1)
@pytest.mark.parametrize("way", ["sigaction", "signal"])
def test_own_handler_in_a_profile(case, way):
    target, yes = own_handler(case, SIGNAL, way)
    with case.fire(target, ("/profile?seconds=1",)):
        asking = Later(target, "/profile?seconds=1")
        for _ in range(50):
            yes("quiet", "set", "same", "quiet", "default")
        yes("set", "same")
        assert asking.answer().status in (200, 500)
        until("the profiles are over", lambda: target.get("/profile?seconds=1").status == 500)
        yes("same", "quiet", "raise", "blocked")
    assert target.finish() == 0 and target.err == ""


# ------------------------------------------------------------------ masks and dispositions


def without_glibcs_own(text):
    """glibc's two signals (cancellation, setuid) come with the first thread of a process."""
    def clean(match):
        return b"%s%016x" % (match.group(1), int(match.group(2), 16) & ~(3 << 31))
    return re.sub(rb"(Sig\w+:\t|ShdPnd:\t)([0-9a-f]{16})", clean, text)


@row("F28", "masks and dispositions at main()", severity=2, naive="SigIgn differs", fast=True)
def test_masks(case):
    if case.mode != "fire":  # a profile in progress is seen in SigCgt
        case.same([victim("v_masks")], clean=without_glibcs_own)
    case.same([victim("v_masks"), "handler"])


@row("F28b", "masks that come back by other ways", severity=2, fast=True)
def test_masks_back(case):
    case.same([program("f_masks_back")])


@row("F28c", "dispositions of children while profiles come and go", severity=2)
def test_children_of_profiled(case):
    children = ("import subprocess,time\nseen=set()\nend=time.time()+4\nprint('ready',flush=True)\n"
                "while time.time()<end:\n"
                "  t=subprocess.run(['grep','-E','Sig(Blk|Ign)','/proc/self/status'],"
                "capture_output=True,text=True,env={}).stdout\n"
                "  seen.add(t.replace('\\t',' '))\nprint(seen)")
    bare, under = profiled(case, [PYTHON, "-c", children])
    assert under == bare


# ------------------------------------------------------------------ threads that block all signals


@row("F30", "threads with all signals blocked", severity=3, fast=True)
def test_blocked_threads(case):
    target = case.start([program("f_blocked")])
    target.expect("ready")
    with case.fire(target, ("/goroutine?debug=2", "/profile?seconds=1")):
        for _ in range(3):
            begin = time.monotonic()
            profile = counts(target, "goroutine")
            took = time.monotonic() - begin
            assert sum(s.values["goroutine"] for s in profile.samples) == 6
            assert took < 2 * (1 if not case.polls else 3), took  # the poller's come first
    found = {name for s in profile.samples for name in s.names}
    case.note(f"{took:.2f} s, {sum('[no answer]' in s.names for s in profile.samples)} no answer")
    assert {"main", "sleep_blocked", "burn_blocked"} <= found
    assert target.finish() == 0
    assert target.out.endswith("early 0\n") and target.err == ""


# ------------------------------------------------------------------ alternate stacks


@row("F31", "recovery from stack overflow on 8 KiB", severity=1)
def test_recovery(case):
    bare, under = profiled(case, [victim("v_sigstack"), "1000"])
    assert under == bare
    assert under.endswith("recovered 1000 1000\n")


@row("F31b", "a handler that works on an alternate stack", severity=1)
@pytest.mark.parametrize("size", ["8192", "16384"])
def test_handler_on_alternate_stack(case, size):
    bare, under = profiled(case, [program("f_alternate"), "work", size])
    assert under == bare and under.endswith("ok\n")


@row("F31c", "alternate stacks that hardly hold a signal", severity=1)
@pytest.mark.parametrize("size", ["2048", "0", "4096"])
def test_small_alternate_stack(case, size):
    bare, under = profiled(case, [program("f_alternate"), "idle", size])
    assert under == bare and under.endswith("ok\n")


@row("F31g", "alternate stacks by the system call, with little beside the signal", severity=1,
     fast=("full",))
@pytest.mark.parametrize("beside", ["128", "700", "1500"])
def test_raw_alternate_stack(case, beside):
    bare, under = profiled(case, [program("f_alternate"), "raw", beside])
    assert under == bare and under.endswith("ok\n")


@row("F31d", "faults on the alternate stacks of four threads", severity=1)
def test_alternate_stacks_of_threads(case):
    bare, under = profiled(case, [program("f_alternate"), "threads", "8192"])
    assert under == bare and under.endswith("ok\n")


@row("F31f", "one alternate stack for all threads, or none where one was", severity=1, fast=True)
@pytest.mark.parametrize("way", ["shared", "overlapping", "unmapped"])
def test_alternate_stack_of_many(case, way):
    target = case.start([program("f_shared_alternate"), way])
    target.expect("ready")
    with case.fire(target, ("/goroutine?debug=2", "/profile?seconds=1")):
        for _ in range(20):
            text = target.get("/goroutine?debug=2").text
            assert "[no answer]" not in text and "idle(" in text, text
    assert target.finish() == 0 and target.err == ""
    assert target.out == "ready\nlived\n"


JAVA = """
public class T {
	static int depth;
	static int deep(int n) { depth = n; return deep(n + 1) + 1; }
	static void run() {
		int nulls = 0, overflows = 0;
		for (int i = 0; i < 20000; i++) {
			try { Object o = i < 0 ? "" : null; o.hashCode(); }
			catch (NullPointerException e) { nulls++; }
			if (i % 100 == 0)
				try { deep(0); } catch (StackOverflowError e) { overflows++; }
		}
		synchronized (T.class) { System.out.println(nulls + " " + overflows); }
	}
	public static void main(String[] a) throws Exception {
		System.out.println("ready");
		Thread[] t = new Thread[4];
		for (int i = 0; i < 4; i++) (t[i] = new Thread(T::run)).start();
		for (Thread x : t) x.join();
	}
}
"""


@row("F31e", "Java's null pointers and stack overflows", severity=1)
def test_java_recovers(case, tmp_path):
    have("javac", "java")
    (tmp_path / "T.java").write_text(JAVA)
    subprocess.run(["javac", "-d", tmp_path, tmp_path / "T.java"], check=True)
    bare, under = profiled(case, ["java", "-Xmx256m", "-cp", tmp_path, "T"])
    assert under == bare == "ready\n" + 4 * "20000 200\n"


# ------------------------------------------------------------------ Go


@row("F32", "Go program with cgo", severity=1)
def test_cgo(case, tmp_path):
    have("go")
    shutil.copy(SOURCES / "cgo.go.txt", tmp_path / "main.go")
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GO111MODULE": "off",
           "GOCACHE": "/tmp/pprofagent-go-cache", "CGO_ENABLED": "1"}
    subprocess.run(["/usr/bin/go", "build", "-o", "cgo", "main.go"], cwd=tmp_path, env=env,
                   check=True)
    bare, under = profiled(case, [tmp_path / "cgo"])
    assert under == bare and under.endswith("sum 499500000\n")


# ------------------------------------------------------------------ limits, stops, crashes


@row("F33", "few signals may be queued", severity=3)
def test_few_queued_signals(case):
    preexec = limited(SIGPENDING=50)
    bare = case.start_bare([program("f_queued")], preexec=preexec)
    bare.expect("ready")
    if bare.ask("go", "room") != "room yes":
        pytest.skip("other programs of this user have signals queued")
    bare.kill()
    target = case.start([program("f_queued")], preexec=preexec)
    target.expect("ready")
    with case.fire(target, ("/profile?seconds=1", "/goroutine?debug=2")):
        assert len(counts(target, "goroutine").samples) > 0
        # Also while a profile takes timers.
        assert target.ask("go", "room") == "room yes"
    answer = until_profile(target)
    assert target.ask("go", "room") == "room yes"
    profile = Profile(answer.body)
    assert any("timer" in comment for comment in profile.comments), profile.comments
    case.note("; ".join(c for c in profile.comments if "timer" in c))
    assert target.finish() == 0 and target.err == ""


@row("F34", "SIGSTOP for 5 s in a profile", severity=3)
def test_stopped(case):
    target = case.start([victim("v_spin")])
    target.expect("ready")
    with case.fire(target, ("/heap", "/goroutine?debug=2")):
        asking = Later(target, "/profile?seconds=2")
        time.sleep(0.5)  # part of the profile, not a wait for something
        target.process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        target.process.send_signal(signal.SIGCONT)
        answer = asking.answer()
    assert answer.status == 200
    profile = Profile(answer.body)
    used_s = profile.total("cpu") / 1e9
    case.note(f"{used_s:.2f} s of CPU in {profile.proto.duration_nanos / 1e9:.2f} s")
    assert all(s.values["cpu"] >= 0 for s in profile.samples)
    assert 0 < used_s <= 2 * 2 + 0.5
    assert cpu(target).samples
    assert target.finish() == 0 and target.err == ""


CRASHES = {
    "kill -SEGV": ["bash", "-c", "kill -SEGV $$"],
    "segv": [victim("v_exit"), "segv"],
    "abort": [victim("v_exit"), "abort"],
    "null": [PYTHON, "-c", "import ctypes; ctypes.string_at(0)"],
    "faulthandler": [PYTHON, "-X", "faulthandler", "-c", "import ctypes; ctypes.string_at(0)"],
    "term": [victim("v_exit"), "term"],
}


@row("F35", "crash reporting", severity=2, fast=True)
@pytest.mark.parametrize("how", CRASHES)
def test_crashes(case, how):
    _, under = case.same(CRASHES[how], clean=lambda text: re.sub(rb"0x[0-9a-f]+", b"0x", text))
    assert under.status < 0


@row("F35b", "core files", severity=2, fast=True)
def test_core(case, tmp_path):
    if not re.match(r"core", Path("/proc/sys/kernel/core_pattern").read_text()):
        pytest.skip("core files go elsewhere here")
    unlimited = limited(CORE=256 << 20)
    bare, under = case.both([victim("v_exit"), "segv"], cwd=tmp_path, preexec_fn=unlimited)
    assert bare.status == under.status == -signal.SIGSEGV
    sizes = [f.stat().st_size for f in tmp_path.glob("core*")]
    case.note(f"core files {sizes}")
    assert sizes
