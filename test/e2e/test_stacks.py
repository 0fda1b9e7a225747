# SPDX-License-Identifier: Apache-2.0
"""Stacks of programs whose unwind information is elsewhere than usual, or that have deep frames."""
import pytest

from lib.compiled import compiled, move_debug_information
from lib.harness import EXACT, until
from lib.profiles import THREAD_ROOTS, counts, cpu, heap

# No frame pointers; main does not return, so that its instructions do not show its frame.
LEVELS = r"""
#include <stdio.h>
#include <stdlib.h>
#define NOINLINE __attribute__((noinline))
volatile unsigned sink;
NOINLINE int leaf(int i)
{
	for (int k = 0; k < 1000; k++)
		sink += k ^ i;
	return i;
}
NOINLINE int level3(int i)
{
	char b[200 + i % 3];
	b[i % 9] = 1;
	__asm__ volatile("" : : "r"(b) : "memory");
	return leaf(i) + 3 + b[i % 9];
}
NOINLINE int level2(int i) { volatile int k = i; return level3(k) + 2 * k; }
NOINLINE int level1(int i) { volatile int k = i; return level2(k) + 1 + k; }
int main(void)
{
	int sum = 0;
	puts("ready");
	fflush(stdout);
	for (;;)
		for (int i = 0; i < 100; i++)
			sum += level1(i);
	return sum;
}
"""

NO_TABLES = ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables")

# Functions that only burn, each with hundreds of instructions, below frames of 40 KiB.
DEEP = r"""
#include <stdio.h>
#define NOINLINE __attribute__((noinline))
volatile unsigned sink;
#define STEP sink = sink * 3 + 1; sink ^= sink >> 5;
#define STEPS STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP STEP
NOINLINE void burn(void) { STEPS STEPS STEPS STEPS STEPS STEPS STEPS STEPS STEPS STEPS }
NOINLINE void below(void)
{
	volatile char room[40 << 10];
	room[0] = 1;
	for (int i = 0; i < 100; i++)
		burn();
	room[1] = room[0];
}
NOINLINE void below_that(void) { volatile char room[50 << 10]; room[0] = 1; below(); room[1] = 2; }
int main(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		below_that();
}
"""


def complete(profile):
    """Share of the samples whose stack begins where the process does."""
    return profile.complete_share(r"_start")


def assert_levels_are_whole(target):
    target.expect("ready")
    cpu(target, 1)  # rules are learnt
    profile = cpu(target, 1)
    assert complete(profile) == 1.0, profile.samples
    for sample in profile.samples:
        if "leaf" in sample.names:
            at = sample.names.index("leaf")
            assert sample.names[at:at + 5] == ["leaf", "level3", "level2", "level1", "main"]
    assert profile.total("samples", "leaf") > 0


@pytest.mark.parametrize("flags", [
    ("-Wl,--no-eh-frame-hdr",), NO_TABLES, (*NO_TABLES, "-gz=zlib"),
    (*NO_TABLES, "-gdwarf-4", "-no-pie"), (*NO_TABLES, "-gdwarf-3"),
], ids=["no_eh_frame_hdr", "debug_frame", "compressed", "not_pie", "dwarf3"])
def test_tables_that_are_only_in_the_file_are_used(start, tmp_path, flags):
    program = compiled(tmp_path, "gcc", "-O2", "-g", "-fomit-frame-pointer", *flags, source=LEVELS,
                       name="levels")
    assert_levels_are_whole(start([program]))


@pytest.mark.parametrize("flag", ["-Wl,--build-id", "-Wl,--build-id=none"])
def test_tables_that_are_only_in_the_debug_file_are_used(start, tmp_path, flag):
    program = compiled(tmp_path, "gcc", "-O2", "-g", "-fomit-frame-pointer", *NO_TABLES, flag,
                       source=LEVELS, name="levels")
    move_debug_information(program, f"{program}.debug")
    assert_levels_are_whole(start([program]))


def test_frames_larger_than_a_copy_are_passed(start, tmp_path):
    """Each instruction of burn is met for the first time once; copies follow what is needed."""
    program = compiled(tmp_path, "gcc", "-O2", "-g", "-fomit-frame-pointer", source=DEEP,
                       name="deep")
    target = start([program], cpu_hz=1000)
    target.expect("ready")
    cpu(target, 1)  # the first copies are too short
    profile = cpu(target, 1)
    assert profile.total("samples", "burn") > 0
    assert complete(profile) == 1.0, profile.samples


# Threads that sleep below buffers of some KiB each.
SLEEPERS = r"""
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
static int sockets[2], pipes[2];
static void keep(char *b, long n) { __asm__ volatile("" : : "r"(b), "r"(n) : "memory"); }
#define LEVEL(kib)                                                   \
	__attribute__((noinline)) static long recv_##kib(void)        \
	{                                                            \
		char buffer[kib << 10];                              \
		long n = recv(sockets[0], buffer, sizeof(buffer), 0); \
		keep(buffer, n);                                     \
		return n + buffer[0];                                \
	}                                                            \
	__attribute__((noinline)) static void *outer_##kib(void *arg) \
	{                                                            \
		keep(arg, recv_##kib());                             \
		return arg;                                          \
	}
LEVEL(4) LEVEL(32) LEVEL(64) LEVEL(256) LEVEL(1024) LEVEL(4096)
int main(void)
{
	pthread_t thread;
	void *(*const starts[])(void *) = { outer_4, outer_32, outer_64, outer_256, outer_1024,
		outer_4096 };
	socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets);
	for (int i = 0; i < 6; i++)
		pthread_create(&thread, NULL, starts[i], NULL);
	puts("ready");
	fflush(stdout);
	return getchar() == 'x';
}
"""


@pytest.mark.parametrize("frames", ["-fomit-frame-pointer", "-fno-omit-frame-pointer"])
def test_sleepers_below_large_buffers_are_followed_to_their_start(start, tmp_path, frames):
    program = compiled(tmp_path, "gcc", "-O2", "-g", frames, source=SLEEPERS, name="sleepers")
    target = start([program])
    target.expect("ready")
    levels = {f"recv_{kib}" for kib in (4, 32, 64, 256, 1024, 4096)}

    def dump():
        return {name: s for s in counts(target, "goroutine").samples for name in s.names
                if name in levels}
    # A thread that has just been created may not have come to its call yet.
    found = until("all threads sleep", lambda: found if (found := dump()).keys() == levels else {})
    for name, sample in found.items():
        at = sample.names.index(name)
        outer = name.replace("recv", "outer")
        assert sample.names[at:-1] == [name, outer, "start_thread"], sample
        assert sample.names[-1] in THREAD_ROOTS, sample


# Addresses on the stack that no call returns to: the byte in front of them is another function's,
# or another line's.
ENTERED = r"""
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
static sigjmp_buf back;
static ucontext_t from, coroutine;
void *volatile kept;
__attribute__((noinline)) static void handler(int signal)
{
	kept = malloc(1000);
	siglongjmp(back, signal);
}
__asm__(".text\n.type before, @function\nbefore:\n.cfi_startproc\nnop\nret\n.cfi_endproc\n"
	".size before, . - before\n"
	".globl first\n.type first, @function\nfirst:\n.cfi_startproc\nmovl (%rdi), %eax\nret\n"
	".cfi_endproc\n.size first, . - first\n");
/* A coroutine as of Boost.Context: no table describes where its function would return to. */
__asm__(".globl enter\n.type enter, @function\nenter:\nmovq %rdi, %rsp\n"
	"leaq 1f(%rip), %rax\npushq %rax\njmp *%rsi\n1: xorl %edi, %edi\ncall _exit@PLT\nhlt\n"
	".size enter, . - enter\n");
void enter(void *stack_end, void (*function)(void));
int first(const int *at);
__attribute__((noinline)) static int later(const int *at)
{
	kept = 0;
	return *at;
}
__attribute__((noinline)) static void work(void)
{
	kept = malloc(2000);
	swapcontext(&coroutine, &from);
}
__attribute__((noinline)) static void boost_work(void)
{
	for (int i = 0; i < 4; i++) /* the later stacks are walked by the thread alone */
		kept = malloc(3000);
	puts("ready");
	fflush(stdout);
	exit(getchar() == 'x');
}
int main(void)
{
	signal(SIGSEGV, handler);
	if (!sigsetjmp(back, 1))
		return first(NULL) + 1;
	if (!sigsetjmp(back, 1))
		return later(NULL) + 1;
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = malloc(65536);
	coroutine.uc_stack.ss_size = 65536;
	makecontext(&coroutine, work, 0);
	swapcontext(&from, &coroutine);
	enter((char *)malloc(65536) + 65536, boost_work);
}
"""


def test_addresses_behind_no_call_are_named_by_themselves(start, tmp_path):
    program = compiled(tmp_path, "gcc", "-O1", "-g", source=ENTERED, name="entered")
    target = start([program], **EXACT)
    target.expect("ready")
    samples = heap(target).samples
    interrupted = {s.names[2]: s for s in samples if s.names[0] == "handler"}
    assert interrupted.keys() == {"first", "later"}, samples
    line = 1 + ENTERED[:ENTERED.index("return *at")].count("\n")
    assert interrupted["later"].lines[2] == line
    assert {s.names[3] for s in interrupted.values()} == {"main"}
    # The start of the function that a coroutine's first one returns to: libc aligns its functions.
    roots = {s.addresses[-1] for s in samples if s.names[0] == "work"}
    assert len(roots) == 1, samples
    assert roots.pop() % 16 == 0, samples
    assert {tuple(s.names[1:]) for s in samples if s.names[0] == "boost_work"} == {("enter",)}


# A function of Microsoft's ABI saves vector registers, and its table says where.
MS_ABI = r"""
#include <stdio.h>
#include <stdlib.h>
void *volatile kept;
__attribute__((noinline)) static void leaf(void) { kept = malloc(1000); }
__attribute__((noinline, ms_abi)) static int foreign(int n) { leaf(); return n + 1; }
__attribute__((noinline)) static int outer(int n) { return foreign(n) + 2; }
int main(void)
{
	outer(3);
	puts("ready");
	fflush(stdout);
	return getchar() == 'x';
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_functions_that_save_vector_registers_are_passed(start, tmp_path, compiler):
    program = compiled(tmp_path, compiler, "-O1", source=MS_ABI, name="foreign")
    target = start([program], **EXACT)
    target.expect("ready")
    sample, = (s for s in heap(target).samples if s.names[0] == "leaf")
    assert sample.names[1:4] == ["foreign", "outer", "main"], sample
    assert sample.names[-1] == "_start", sample
