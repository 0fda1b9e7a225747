/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arch/arch.h"
#include "test/lib/c/unwind_stack.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* Functions whose frames compilers make rarely. Each calls what it is given in rdi. */
__asm__(".text\n"
	"call_with_rbx_frame:\n" /* as ld.so's lazy binding: cfa = rbx + 16 */
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset %rbx, -16\n"
	"	mov %rsp, %rbx\n"
	".cfi_def_cfa_register %rbx\n"
	"	sub $64, %rsp\n"
	"	call *%rdi\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	".cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	".cfi_endproc\n"

	"call_without_rbx:\n" /* keeps its caller's rbx on the stack, and loses it */
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset %rbx, -16\n"
	"	xor %ebx, %ebx\n"
	"	call *%rsi\n"
	"	pop %rbx\n"
	".cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	".cfi_endproc\n"

	"call_realigned:\n" /* as gcc does it: cfa = *(bp - 8), caller's bp = *bp */
	".cfi_startproc\n"
	"	lea 8(%rsp), %r10\n"
	".cfi_def_cfa %r10, 0\n"
	"	and $-64, %rsp\n"
	"	push -8(%r10)\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	".cfi_escape 0x10,6,2,0x76,0\n"
	"	push %r10\n"
	".cfi_escape 0x0f,3,0x76,0x78,6\n"
	"	sub $40, %rsp\n"
	"	call *%rdi\n"
	"	add $40, %rsp\n"
	"	pop %r10\n"
	".cfi_def_cfa %r10, 0\n"
	"	pop %rbp\n"
	"	lea -8(%r10), %rsp\n"
	".cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	".cfi_endproc\n"

	"trap:\n" /* raises SIGILL with a frame that only CFI knows */
	".cfi_startproc\n"
	"	sub $24, %rsp\n"
	".cfi_adjust_cfa_offset 24\n"
	"trap_pc:\n"
	"	ud2\n"
	"	add $24, %rsp\n"
	".cfi_adjust_cfa_offset -24\n"
	"	ret\n"
	".cfi_endproc\n"

	"trap_with_rbx_frame:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset %rbx, -16\n"
	"	mov %rsp, %rbx\n"
	".cfi_def_cfa_register %rbx\n"
	"	sub $16, %rsp\n"
	"	ud2\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	".cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	".cfi_endproc\n");

void call_with_rbx_frame(void (*f)(void), void (*g)(void));
void call_without_rbx(void (*f)(void), void (*g)(void));
void call_realigned(void (*f)(void));
void trap(void);
void trap_with_rbx_frame(void);
extern const char trap_pc[];

/* ---- stacks of real programs ---- */

static NO_FRAME_POINTER int capture_in_compare(const void *a, const void *b)
{
	if (!run.result.depth)
		capture();
	return *(const int *)a - *(const int *)b;
}

static NO_FRAME_POINTER void sort_deep_down(int levels)
{
	int numbers[] = { 3, 1, 4, 1, 5, levels };
	if (levels)
		sort_deep_down(levels - 1);
	else
		qsort(numbers, PA_COUNT(numbers), sizeof(numbers[0]), capture_in_compare);
	NOT_A_TAIL_CALL();
}

static void stack_through_libc_is_what_backtrace_says(void **arg)
{
	(void)arg;
	sort_deep_down(10);
	assert_in_range(run.result.depth, 15, PCS);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

/* A library went after the event was recorded: what is learnt now may be about another one. */
static void rules_for_an_event_before_an_unload_are_not_kept(void **arg)
{
	(void)arg;
	sort_deep_down(1);
	struct pa_event *event = (struct pa_event *)run.record;
	pa_frame_cache_new_epoch(run.frames);
	event->value[1] = pa_frame_cache_epoch(run.frames) - 1;
	finish();
	assert_true(run.result.complete);
	for (uint32_t i = 1; i < run.result.depth; i++)
		assert_int_equal(pa_frame_cache_find(run.frames, run.pcs[i], false).kind,
			PA_RULE_NONE);
}

static void rules_are_learnt_once(void **arg)
{
	(void)arg;
	sort_deep_down(1);
	unsigned reads = fake.reads;
	run.result.depth = 0;
	for (uint32_t i = 0; run.pcs[i]; i++) {
		struct pa_rule rule = pa_frame_cache_find(run.frames, run.pcs[i], false);
		assert_int_not_equal(rule.kind, PA_RULE_NONE);
	}
	/* The stack copy is one read; nothing of any module is read again. */
	finish();
	assert_int_equal(fake.reads, reads);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

static void stack_is_finished_without_a_cache(void **arg)
{
	(void)arg;
	struct pa_frame_cache *frames = run.frames;
	run.frames = NULL;
	sort_deep_down(3);
	run.frames = frames;
	assert_same_stack(run.pcs, run.result, 0, 1);
}

static void *capture_in_thread(void *arg)
{
	sort_deep_down(2);
	return arg;
}

static void stack_of_a_thread_is_complete(void **arg)
{
	(void)arg;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, capture_in_thread, NULL), 0);
	pthread_join(thread, NULL);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

static void pcs_of_the_event_come_first(void **arg)
{
	(void)arg;
	static const uintptr_t own[] = { 0x1111, 0x2222, 0x3333 };
	struct pa_regs regs = { .gpr = { [PA_REG_PC] = 0, [PA_REG_SP] = stack_limit() - 8 } };
	finish_from(&regs, own, 3, false);
	assert_int_equal(run.result.depth, 3);
	assert_memory_equal(run.pcs, own, sizeof(own));
	assert_true(run.result.complete); /* a null return address */
	run.max = 2;
	finish();
	assert_int_equal(run.result.depth, 2);
	assert_true(run.result.cut);
	assert_false(run.result.complete);
}

static void event_without_a_deferred_part_is_as_it_is(void **arg)
{
	(void)arg;
	static const uintptr_t own[] = { 0x1111, 0x2222 };
	struct pa_event *event = (struct pa_event *)run.record;
	make_event(own, 2, false);
	event->flags = 0;
	finish();
	assert_true(run.result.complete && !run.result.cut && run.result.depth == 2);
	event->flags = PA_EVENT_BROKEN;
	finish();
	assert_true(!run.result.complete && !run.result.cut && run.result.depth == 2);
	event->flags = PA_EVENT_CUT;
	finish();
	assert_true(!run.result.complete && run.result.cut && run.result.depth == 2);
}

static void depth_is_limited(void **arg)
{
	(void)arg;
	run.max = 5;
	sort_deep_down(4);
	assert_int_equal(run.result.depth, 5);
	assert_true(run.result.cut);
	assert_false(run.result.complete);
	assert_int_equal(run.pcs[4], (uintptr_t)run.expected[5]);
	assert_int_equal(run.pcs[5], 0);
}

/*
 * One frame of sort_deep_down and what it calls; sanitizers put room around each variable, and
 * qsort of glibc 2.37 and newer has a buffer of 1 KiB in its own.
 */
#ifdef __SANITIZE_ADDRESS__
#define FRAME_BYTES 4096
#elif __GLIBC_PREREQ(2, 37)
#define FRAME_BYTES (1024 + 200)
#else
#define FRAME_BYTES 200
#endif

static void short_copy_gives_a_short_stack(void **arg)
{
	(void)arg;
	run.copy_bytes = 512;
	sort_deep_down(30);
	assert_false(run.result.complete);
	assert_false(run.result.cut);
	assert_in_range(run.result.depth, 2, run.expected_depth - 5);
	/* What it lacks begins behind the copy, within one frame. */
	assert_in_range(run.result.stack_bytes, 512 + 8, 512 + FRAME_BYTES);
	for (uint32_t i = 0; i < run.result.depth; i++)
		assert_int_equal(run.pcs[i], (uintptr_t)run.expected[i + 1]);
}

/* ---- signals ---- */

static bool few_regs; /* events say that pc and sp are all that is true */

static void handle_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	struct pa_regs regs;
	pa_arch_from_context(&regs, interrupted);
	finish_from(&regs, NULL, 0, true);
	if (few_regs) {
		((struct pa_deferred *)((struct pa_event *)run.record + 1))->few_regs = 1;
		finish();
	}
	run.trap_result = run.result;
	memcpy(run.trap_pcs, run.pcs, sizeof(run.pcs));
	capture();
	interrupted->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
}

static void with_trap_handler(void (*f)(void))
{
	struct sigaction action = { .sa_sigaction = handle_trap, .sa_flags = SA_SIGINFO }, old;
	sigaction(SIGILL, &action, &old);
	f();
	sigaction(SIGILL, &old, NULL);
}

/* Its CFA depends on an unknown register: it must not be guessed. */
static void frame_by_an_unknown_register_ends_the_stack(void **arg)
{
	(void)arg;
	few_regs = true;
	with_trap_handler(trap_with_rbx_frame);
	few_regs = false;
	assert_int_equal(run.trap_result.depth, 1);
	assert_false(run.trap_result.complete);
}

static void sleeper_with_plain_frames_is_followed(void **arg)
{
	(void)arg;
	few_regs = true;
	with_trap_handler(trap);
	few_regs = false;
	assert_true(run.trap_result.depth > 1);
	assert_int_equal(run.trap_pcs[0], (uintptr_t)trap_pc);
}

static void interrupted_leaf_is_followed_to_main(void **arg)
{
	(void)arg;
	with_trap_handler(trap);
	int at = 0;
	while (at < run.expected_depth && run.expected[at] != (void *)trap_pc)
		at++;
	assert_in_range(at, 3, 5);
	assert_same_stack(run.trap_pcs, run.trap_result, 0, at);
}

static void handler_is_followed_through_the_signal_frame(void **arg)
{
	(void)arg;
	with_trap_handler(trap);
	assert_same_stack(run.pcs, run.result, 0, 1);
	uint32_t at = 0;
	while (run.pcs[at] && run.pcs[at] != (uintptr_t)trap_pc)
		at++;
	assert_int_equal(pa_frame_cache_find(run.frames, run.pcs[at - 1], false).kind,
		PA_RULE_SIGNAL);
	struct pa_rule rule = pa_frame_cache_find(run.frames, run.pcs[at], true);
	assert_int_equal(rule.kind, PA_RULE_SP);
	assert_int_equal(rule.cfa_offset, 32);
}

/* ---- frames that no rule describes ---- */

static void interrupted_complex_frame_has_all_registers(void **arg)
{
	(void)arg;
	with_trap_handler(trap_with_rbx_frame);
	assert_int_equal(pa_frame_cache_find(run.frames, run.trap_pcs[0], true).kind,
		PA_RULE_COMPLEX);
	int at = 0;
	while (at < run.expected_depth && (uintptr_t)run.expected[at] != run.trap_pcs[0])
		at++;
	assert_same_stack(run.trap_pcs, run.trap_result, 0, at);
}

static void complex_frame_behind_a_signal_frame_is_stepped(void **arg)
{
	(void)arg;
	with_trap_handler(trap_with_rbx_frame);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

static void complex_frame_with_restored_registers_is_stepped(void **arg)
{
	(void)arg;
	/* The second function's frame holds the first one's rbx. */
	call_with_rbx_frame((void (*)(void))call_without_rbx, capture);
	assert_int_equal(pa_frame_cache_find(run.frames, run.pcs[1], false).kind, PA_RULE_COMPLEX);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

static void complex_frame_with_unknown_registers_ends_the_stack(void **arg)
{
	(void)arg;
	call_with_rbx_frame(capture, NULL);
	assert_int_equal(run.result.depth, 1);
	assert_int_equal(run.pcs[0], (uintptr_t)run.expected[1]);
	assert_false(run.result.complete || run.result.cut);
}

static void realigned_frame_needs_only_bp(void **arg)
{
	(void)arg;
	call_realigned(capture);
	assert_same_stack(run.pcs, run.result, 0, 1);
}

/* An interrupted frame in the image, on a made-up stack, with rbx = sp = 0x10000. */
static void finish_in_image(const uint8_t *image, const uintptr_t *words, size_t count)
{
	struct pa_deferred *deferred = make_event(NULL, 0, true);
	deferred->regs.gpr[PA_REG_PC] = (uintptr_t)image + IMAGE_TEXT_AT + 4;
	deferred->regs.gpr[PA_REG_SP] = deferred->regs.gpr[3] = deferred->stack_at = 0x10000;
	deferred->stack_bytes = (uint32_t)(count * sizeof(*words));
	memcpy(deferred + 1, words, deferred->stack_bytes);
	finish();
}

static void complex_signal_frame_makes_its_caller_a_leaf(void **arg)
{
	(void)arg;
	/* The return address is in the middle of trap(), whose frame has grown just there: it has
	 * the row after that when interrupted, and the one before when it was a call. */
	struct bytes cie = BYTES(0, 0, 0, 0, 1, 'z', 'R', 'S', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 3, 16,
		0x90, 1, 0);
	const uintptr_t interrupted[] = { 0, (uintptr_t)trap_pc, 1, 2, 3, 0 };
	uint8_t *image = image_make(cie, BYTES(0));
	finish_in_image(image, interrupted, PA_COUNT(interrupted));
	assert_int_equal(run.result.depth, 2);
	assert_int_equal(run.pcs[1], (uintptr_t)trap_pc);
	assert_true(run.result.complete);
	const uintptr_t called[] = { 0, (uintptr_t)trap_pc, 0, 1, 2, 3 };
	image_fill(image, CIE_PLAIN, BYTES(0x0c, 3, 16));
	finish_in_image(image, called, PA_COUNT(called));
	assert_int_equal(run.result.depth, 2);
	assert_true(run.result.complete);
	image_drop(image);
}

static void complex_frame_is_stepped_by_what_its_module_says_now(void **arg)
{
	(void)arg;
	const uintptr_t words[] = { 1, 0, 2, 1, 1, 1 };
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0x0c, 3, 32)); /* cfa = rbx + 32 */
	finish_in_image(image, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_false(run.result.complete);
	image_fill(image, CIE_PLAIN, BYTES(0x0c, 3, 16));
	finish_in_image(image, words, PA_COUNT(words));
	assert_true(run.result.complete);
	image_drop(image);
}

/* ---- fork ---- */

static int status_of(pid_t child)
{
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void child_goes_on_learning(void **arg)
{
	(void)arg;
	pid_t child = fork();
	if (!child) {
		pa_unwind_reset();
		_exit(pa_unwind_init() != 0 ||
			pa_unwind_learn((uintptr_t)trap_pc, true).cfa_offset != 32);
	}
	assert_int_equal(status_of(child), 0);
}

/* The fork that the agent cannot hold back: its other thread is inside libunwind, here where it
 * steps the second of two frames and asks for its CFI. */
static void child_of_a_fork_inside_libunwind_keeps_out_of_it(void **arg)
{
	(void)arg;
	pid_t child = fork();
	if (!child) {
		fake.on_read = pa_unwind_reset;
		call_with_rbx_frame((void (*)(void))call_without_rbx, capture);
		fake.on_read = NULL;
		struct pa_rule rule = pa_unwind_learn((uintptr_t)trap_pc, true);
		finish();
		_exit(pa_unwind_init() != -EDEADLK || rule.kind != PA_RULE_COMPLEX ||
			run.result.complete);
	}
	assert_int_equal(status_of(child), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stack_through_libc_is_what_backtrace_says, setup),
		cmocka_unit_test_setup(rules_for_an_event_before_an_unload_are_not_kept, setup),
		cmocka_unit_test_setup(rules_are_learnt_once, setup),
		cmocka_unit_test_setup(stack_is_finished_without_a_cache, setup),
		cmocka_unit_test_setup(stack_of_a_thread_is_complete, setup),
		cmocka_unit_test_setup(pcs_of_the_event_come_first, setup),
		cmocka_unit_test_setup(event_without_a_deferred_part_is_as_it_is, setup),
		cmocka_unit_test_setup(depth_is_limited, setup),
		cmocka_unit_test_setup(short_copy_gives_a_short_stack, setup),
		cmocka_unit_test_setup(interrupted_leaf_is_followed_to_main, setup),
		cmocka_unit_test_setup(frame_by_an_unknown_register_ends_the_stack, setup),
		cmocka_unit_test_setup(sleeper_with_plain_frames_is_followed, setup),
		cmocka_unit_test_setup(handler_is_followed_through_the_signal_frame, setup),
		cmocka_unit_test_setup(interrupted_complex_frame_has_all_registers, setup),
		cmocka_unit_test_setup(complex_frame_behind_a_signal_frame_is_stepped, setup),
		cmocka_unit_test_setup(complex_frame_with_restored_registers_is_stepped, setup),
		cmocka_unit_test_setup(complex_frame_with_unknown_registers_ends_the_stack, setup),
		cmocka_unit_test_setup(realigned_frame_needs_only_bp, setup),
		cmocka_unit_test_setup(complex_signal_frame_makes_its_caller_a_leaf, setup),
		cmocka_unit_test_setup(complex_frame_is_stepped_by_what_its_module_says_now, setup),
		cmocka_unit_test_setup(child_goes_on_learning, setup),
		cmocka_unit_test_setup(child_of_a_fork_inside_libunwind_keeps_out_of_it, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
