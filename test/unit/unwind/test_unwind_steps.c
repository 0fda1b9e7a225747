/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every instruction is interrupted (the trap flag of x86-64), and the stack that is then recorded
 * is compared with the true one, which is known from the calls and returns that were executed. The
 * code under test: a random tree of functions with frames of all kinds, assembly without call frame
 * information, and parts of libc.
 *
 * PA_STEPS=N: at least so many steps (default 60,000).
 */
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/modules/maps.h"
#include "agent/record/last_walk.h"
#include "agent/record/registry.h"
#include "agent/record/sample.h"
#include "agent/unwind/unwind.h"
#include "test/lib/c/asm_frames.h"
#include "test/lib/c/record_fixture.h"

#define NO_INLINE __attribute__((noinline, noclone))
#define WITHOUT_BP NO_INLINE __attribute__((optimize("O2", "omit-frame-pointer")))
#define WITH_BP NO_INLINE __attribute__((optimize("O2", "no-omit-frame-pointer")))
/* Behind a call: it stays a call and does not become a jump. */
#define NOT_A_TAIL_CALL() __asm__ volatile("")

/* ------------------------------------------------------------------ the true stack */

enum { SHADOW = 1024, OUTER = 64, SHOWN = 8, HANDLER_STACK = 1 << 20 };
#define TRAP_FLAG 0x100

static struct {
	struct {
		uintptr_t return_address, at;
	} shadow[SHADOW];
	int depth;
	uintptr_t outer[OUTER]; /* return addresses from that of step_through on */
	int outer_depth;
	uint64_t last_pc, last_sp;
	uint8_t last_code[16];
	volatile bool stop, jumps;
	uint64_t steps, whole, missing, wrong;
	uintptr_t pcs[512];
} run;

/* The length of a call instruction at code; 0: another one. */
static unsigned call_bytes(const uint8_t *code, uint64_t bytes)
{
	unsigned rex = (code[0] & 0xf0) == 0x40 || code[0] == 0x3e || code[0] == 0xf2;
	bool is_call = code[rex] == 0xe8 || (code[rex] == 0xff && (code[rex + 1] >> 3 & 7) == 2);
	return is_call && bytes >= 2 && bytes <= 9 ? (unsigned)bytes : 0;
}

static void follow_stack(uintptr_t sp)
{
	while (run.depth && run.shadow[run.depth - 1].at < sp)
		run.depth--;
	uintptr_t top = *(uintptr_t *)sp;
	if (run.last_pc && sp == run.last_sp - 8 && call_bytes(run.last_code, top - run.last_pc)) {
		assert_true(run.depth < SHADOW);
		run.shadow[run.depth].return_address = top;
		run.shadow[run.depth++].at = sp;
	}
}

static uintptr_t true_pc(uint32_t i, uintptr_t pc)
{
	int outer = (int)i - 1 - run.depth;
	if (i == 0)
		return pc;
	if (outer < 0)
		return run.shadow[run.depth - (int)i].return_address;
	return outer < run.outer_depth ? run.outer[outer] : 0;
}

static void show_wrong(uint32_t i, uintptr_t pc, uint32_t depth)
{
	Dl_info info = { .dli_sname = NULL };
	if (run.wrong > SHOWN)
		return;
	dladdr((void *)pc, &info);
	fprintf(stderr, "at %lx (%s+%lx): frame %u of %u is %lx, not %lx\n", pc,
		info.dli_sname ? info.dli_sname : info.dli_fname,
		pc - (uintptr_t)(info.dli_sname ? info.dli_saddr : info.dli_fbase), i, depth,
		i < depth ? run.pcs[i] : 0, true_pc(i, pc));
}

/* In longjmp(3), glibc describes the frame that it jumps to as the caller. */
static bool is_target_of_jump(uint32_t depth, uint32_t expected)
{
	/* Its own frame has no return address on the true stack once sp is that of the frame. */
	if (depth > expected + 1)
		return false;
	for (uint32_t i = 1; i + 1 < depth; i++)
		if (run.pcs[depth - i] != true_pc(expected - i, 0))
			return false;
	return true;
}

static void judge(uintptr_t pc, uint32_t depth, bool complete)
{
	uint32_t expected = (uint32_t)(1 + run.depth + run.outer_depth), i = 0;
	while (i < depth && i < expected && run.pcs[i] == true_pc(i, pc))
		i++;
	if (run.jumps && i == 1 && is_target_of_jump(depth, expected)) {
		run.whole++;
	} else if (i < depth || (complete && depth < expected)) {
		run.wrong++;
		show_wrong(i, pc, depth);
	} else if (complete) {
		run.whole++;
	} else {
		run.missing++;
	}
}

/* ------------------------------------------------------------------ recording it */

static uint32_t record_stack(const struct pa_regs *regs, bool *complete)
{
	const struct pa_event head = { .kind = PA_EVENT_CPU, .flags = PA_EVENT_LEAF };
	assert_true(pa_sample_stack(&head, &pa_thread_self, pa_arch_cursor(regs), regs, false));
	size_t bytes;
	const struct pa_event *event = pa_ring_read(pa_record.ring, &bytes);
	assert_non_null(event);
	struct pa_unwind_result result =
		pa_unwind_finish(event, pa_record.frames, run.pcs, PA_COUNT(run.pcs));
	pa_ring_release(pa_record.ring);
	pa_ring_done(pa_record.ring);
	*complete = result.complete;
	return result.depth;
}

static void handle_step(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	struct pa_regs regs;
	bool complete;
	if (run.stop) {
		interrupted->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	pa_arch_from_context(&regs, interrupted);
	uintptr_t pc = regs.gpr[PA_REG_PC];
	follow_stack(regs.gpr[PA_REG_SP]);
	uint32_t depth = record_stack(&regs, &complete);
	judge(pc, depth, complete);
	run.steps++;
	run.last_pc = pc;
	run.last_sp = regs.gpr[PA_REG_SP];
	memcpy(run.last_code, (const void *)pc, sizeof(run.last_code));
}

/* libc's: libunwind has a backtrace() of its own, which may come first. */
static int outer_frames(void **pcs, int max)
{
	int (*backtrace)(void **, int) =
		(int (*)(void **, int))dlsym(dlopen("libc.so.6", RTLD_LAZY), "backtrace");
	assert_non_null(backtrace);
	return backtrace(pcs, max);
}

static NO_INLINE void step_through(void (*function)(void))
{
	run.outer[0] = (uintptr_t)__builtin_return_address(0);
	run.stop = false;
	run.depth = 0;
	run.last_pc = 0;
	/* The first trap comes behind the instruction that follows popf. */
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" ::: "memory", "cc");
	function();
	run.stop = true;
	NOT_A_TAIL_CALL();
}

/* Everything that function does is interrupted. */
static NO_INLINE void run_stepped(void (*function)(void))
{
	void *pcs[OUTER];
	int count = outer_frames(pcs, OUTER), from = 0;
	while (from < count &&
		((uintptr_t)pcs[from] < (uintptr_t)run_stepped ||
			(uintptr_t)pcs[from] > (uintptr_t)run_stepped + 400))
		from++;
	assert_true(from < count);
	run.outer_depth = count - from;
	memcpy(run.outer, pcs + from, (size_t)run.outer_depth * sizeof(pcs[0]));
	step_through(function);
	NOT_A_TAIL_CALL();
}

/* ------------------------------------------------------------------ code under test */

static volatile uint64_t sink;
static uint64_t random_state = 88172645463325252u;
static int levels;

static inline uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void descend(void);

static WITHOUT_BP void small_frame(void)
{
	sink += draw();
	descend();
	sink++;
}

static WITHOUT_BP void large_frame(void)
{
	volatile char room[5000];
	room[draw() % sizeof(room)] = 1;
	descend();
	sink += (uint64_t)room[7];
}

static WITH_BP void with_frame_pointer(void)
{
	volatile int room[20];
	room[draw() % 20] = 1;
	descend();
	sink += (uint64_t)room[7];
}

static WITHOUT_BP void with_alloca(void)
{
	volatile char *room = alloca(16 + draw() % 500);
	room[3] = 1;
	descend();
	sink += (uint64_t)room[3];
}

static WITHOUT_BP void realigned(void)
{
	__attribute__((aligned(64))) volatile int room[32];
	room[draw() % 32] = 1;
	descend();
	sink += (uint64_t)room[7];
}

static WITHOUT_BP void realigned_with_alloca(void)
{
	__attribute__((aligned(64))) volatile int room[32];
	volatile char *more = alloca(16 + draw() % 500);
	room[draw() % 32] = more[3] = 1;
	descend();
	sink += (uint64_t)room[7] + (uint64_t)more[3];
}

static WITHOUT_BP uint64_t with_arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d,
	uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
	descend();
	return a + b * c + d * e + f * g + h;
}

static WITHOUT_BP void passes_arguments(void)
{
	uint64_t n = draw();
	sink += with_arguments(n, 1, n, 2, 3, n, n, n);
}

static jmp_buf jump_out;

static volatile int levels_to_jump;

static WITHOUT_BP void jumps_out(void)
{
	if (levels_to_jump-- > 0)
		jumps_out();
	run.jumps = true;
	if (levels_to_jump < 0)
		longjmp(jump_out, 1);
	sink++;
}

static WITHOUT_BP void sets_jump(void)
{
	levels_to_jump = 3;
	if (setjmp(jump_out) == 0)
		jumps_out();
	run.jumps = false;
	sink++;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static WITHOUT_BP void sorts(void)
{
	int numbers[12];
	for (unsigned i = 0; i < PA_COUNT(numbers); i++)
		numbers[i] = (int)(draw() % 1000);
	qsort(numbers, PA_COUNT(numbers), sizeof(numbers[0]), compare);
	sink += (uint64_t)numbers[3];
}

static WITHOUT_BP void prints(void)
{
	char text[200];
	sink += (uint64_t)snprintf(text, sizeof(text), "%d %s %f %lx", (int)draw(), "hello",
		(double)draw() / 7, (long)sink);
	sink += (uint64_t)strtod(text, NULL) + strlen(text);
}

static WITHOUT_BP void allocates(void)
{
	void *blocks[8];
	for (unsigned i = 0; i < PA_COUNT(blocks); i++)
		blocks[i] = malloc(draw() % 3000);
	for (unsigned i = 0; i < PA_COUNT(blocks); i++)
		free(blocks[i]);
}

static WITHOUT_BP void asks_kernel(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sink += (uint64_t)now.tv_nsec + (uint64_t)getppid();
}

static WITHOUT_BP void copies(void)
{
	char from[300], to[300];
	size_t bytes = draw() % sizeof(to);
	memset(from, 1, sizeof(from));
	memcpy(to, from, bytes);
	sink += (uint64_t)memcmp(to, from, bytes);
}

static void (*const leaves[])(void) = { asm_leaf, asm_calls_with_sp_in_register,
	asm_calls_what_loses_bp, sets_jump, sorts, prints, allocates, asks_kernel, copies };
static void (*const inner[])(void) = { small_frame, large_frame, with_frame_pointer, with_alloca,
	realigned, realigned_with_alloca, passes_arguments };
static void (*const assembly[])(void (*)(void)) = { asm_pushes, asm_uses_bp, asm_aligns,
	asm_pops_sp, asm_framed };

static WITHOUT_BP void descend(void)
{
	uint64_t number = draw();
	if (levels <= 0 || number % 8 == 0) {
		leaves[draw() % PA_COUNT(leaves)]();
	} else if (levels--, number % 8 < 3) {
		assembly[draw() % PA_COUNT(assembly)](descend);
	} else {
		inner[draw() % PA_COUNT(inner)]();
	}
	NOT_A_TAIL_CALL();
}

static WITHOUT_BP void run_tree(void)
{
	levels = 24;
	descend();
	NOT_A_TAIL_CALL();
}

/* ------------------------------------------------------------------ tests */

/* Those of the fixture end above the test's own frame. */
static void set_stack_bounds(void)
{
	pthread_attr_t attributes;
	void *stack;
	size_t bytes;
	assert_int_equal(pthread_getattr_np(pthread_self(), &attributes), 0);
	assert_int_equal(pthread_attr_getstack(&attributes, &stack, &bytes), 0);
	pthread_attr_destroy(&attributes);
	pa_record.main_stack_hi = (uintptr_t)stack + bytes;
	pa_record.main_stack_lo = pa_record.main_stack_hi - (1 << 20);
}

static void step_on_another_stack(void)
{
	static char stack[HANDLER_STACK];
	const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = handle_step,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };
	assert_int_equal(sigaltstack(&other, NULL), 0);
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
}

static void no_frame_is_wrong_at_any_instruction(void **unused)
{
	(void)unused;
	const char *text = getenv("PA_STEPS");
	uint64_t steps = text ? strtoull(text, NULL, 10) : 60000;
	fixture_boot(4 << 20, 1);
	set_stack_bounds();
	pa_registry_add(&pa_thread_self);
	pa_last_walk_boot();
	pa_thread_self.exit_noted = 1; /* as each thread that has a last walk */
	assert_int_equal(pa_maps_refresh(), 0);
	assert_int_equal(pa_unwind_init(), 0);
	step_on_another_stack();
	run_tree(); /* resolves what is bound lazily */
	while (run.steps < steps)
		run_stepped(run_tree);
	printf("%lu stacks, complete %lu, cut short %lu, wrong %lu\n", run.steps, run.whole,
		run.missing, run.wrong);
	assert_int_equal(run.wrong, 0);
	assert_true(run.missing * 400 <= run.steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_frame_is_wrong_at_any_instruction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
