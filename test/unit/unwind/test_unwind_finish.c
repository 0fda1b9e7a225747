/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of threads that sleep: the kernel told pc and sp, and the frames hang on bp. */
#include "agent/arch/arch.h"
#include "test/lib/c/unwind_stack.h"

#include <signal.h>

#include "agent/core/core.h"

/* The signal handler does all the work of the collector: the interrupted code is idle. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}

/* A function's beginning as compilers make it without optimization. */
#define FRAME(name)                      \
#name ":\n"                      \
	      ".cfi_startproc\n"         \
	      "	push %rbp\n"             \
	      ".cfi_def_cfa_offset 16\n" \
	      ".cfi_offset %rbp, -16\n"  \
	      "	mov %rsp, %rbp\n"        \
	      ".cfi_def_cfa_register %rbp\n"
#define END                      \
	"	leave\n"               \
	".cfi_def_cfa %rsp, 8\n" \
	"	ret\n"                 \
	".cfi_endproc\n"

/* clang-format off */
__asm__(".text\n"
	"nap:\n" /* the system call: it has a frame of its own, and lets bp be */
	".cfi_startproc\n"
	"	sub $24, %rsp\n"
	".cfi_def_cfa_offset 32\n"
	"nap_pc:\n"
	"	ud2\n"
	"	add $24, %rsp\n"
	".cfi_def_cfa_offset 8\n"
	"	ret\n"
	".cfi_endproc\n"

	"nap_saving_bp:\n"
	".cfi_startproc\n"
	"	push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbp, -16\n"
	"	xor %ebp, %ebp\n"
	"	ud2\n"
	"	pop %rbp\n"
	".cfi_def_cfa_offset 8\n"
	"	ret\n"
	".cfi_endproc\n"

	FRAME(frame_nap) /* with room, a saved register, and arguments for the call */
	"	push %rbx\n"
	".cfi_offset %rbx, -24\n"
	"	sub $24, %rsp\n"
	"	push $1\n"
	"	push $2\n"
	"	xor %ebx, %ebx\n"
	"	call nap\n"
	"frame_nap_called:\n"
	"	add $16, %rsp\n"
	"	mov -8(%rbp), %rbx\n"
	END

	FRAME(frame_alloca)
	"	mov $64, %eax\n"
	"	sub %rax, %rsp\n"
	"	call nap\n"
	"frame_alloca_called:\n"
	END

	FRAME(frame_alloca_saving_bp)
	"	mov $64, %eax\n"
	"	sub %rax, %rsp\n"
	"	call nap_saving_bp\n"
	END

	FRAME(frame_direct)
	"	call frame_nap\n"
	"called_directly:\n"
	END

	FRAME(frame_indirect)
	"	sub $16, %rsp\n"
	"	call *%rdi\n"
	"called_indirectly:\n"
	END

	FRAME(frame_by_plt)
	"	call plt_nap\n"
	"called_by_plt:\n"
	END

	FRAME(frame_by_bnd_plt)
	"	call plt_nap_bnd\n"
	END

	FRAME(frame_by_word)
	"	call *word_nap(%rip)\n"
	"called_by_word:\n"
	END

	FRAME(frame_by_jump)
	"	call jump_nap\n"
	"called_by_jump:\n"
	END

	FRAME(frame_without_a_call)
	"	jmp frame_nap\n"
	"not_called:\n"
	END

	FRAME(frame_last) /* a call that does not return is its last instruction */
	"	call nap\n"
	"frame_last_end:\n"
	".cfi_endproc\n"

	"frame_by_rbx:\n" /* no rule describes it */
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbx, -16\n"
	"	mov %rsp, %rbx\n"
	".cfi_def_cfa_register %rbx\n"
	"	sub $64, %rsp\n"
	"	call frame_nap\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	".cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	".cfi_endproc\n"

	"jump_nap:\n"
	"	jmp frame_nap\n"
	"jump_nap_end:\n"
	"	.skip 16, 0x90\n"
	"plt_nap:\n"
	"	jmp *word_nap(%rip)\n"
	"	.skip 16, 0x90\n"
	"plt_nap_bnd:\n"
	"	endbr64\n"
	"	.byte 0xf2\n" /* bnd, a word that binutils 2.44 no longer knows for x86-64 */
	"	jmp *word_nap(%rip)\n"
	"	.skip 16, 0x90\n"
	".data\n"
	".p2align 3\n"
	"word_nap: .quad frame_nap\n"
	"no_code: .quad 0x9090909090909090\n"
	"	.byte 0xff, 0xd0\n" /* call *%rax */
	"no_code_called: .quad 0\n"
	".text\n");
/* clang-format on */

void frame_alloca(void);
void frame_alloca_saving_bp(void);
void frame_direct(void);
void frame_indirect(void (*f)(void));
void frame_by_plt(void);
void frame_by_bnd_plt(void);
void frame_by_word(void);
void frame_by_jump(void);
void frame_by_rbx(void);
void frame_nap(void);
extern const char nap_pc[], frame_nap_called[], frame_alloca_called[], called_directly[],
	called_indirectly[], called_by_plt[], called_by_word[], called_by_jump[], not_called[],
	jump_nap[], jump_nap_end[], no_code_called[], frame_last_end[];
extern void (*word_nap)(void);

/* ---- real stacks ---- */

/* All registers but pc and sp are a lure. */
static void handle_nap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	struct pa_regs regs;
	pa_arch_from_context(&regs, interrupted);
	for (int i = 0; i < PA_REGS_COUNT; i++)
		if (i != PA_REG_PC && i != PA_REG_SP)
			regs.gpr[i] = regs.gpr[PA_REG_SP] + 64;
	struct pa_deferred *deferred = make_event(NULL, 0, true);
	finish_from(&regs, NULL, 0, true);
	deferred->few_regs = 1;
	finish();
	run.trap_result = run.result;
	memcpy(run.trap_pcs, run.pcs, sizeof(run.pcs));
	capture();
	interrupted->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
}

static NO_FRAME_POINTER void sleep_in(void (*f)(void))
{
	struct sigaction action = { .sa_sigaction = handle_nap, .sa_flags = SA_SIGINFO }, old;
	sigaction(SIGILL, &action, &old);
	f();
	sigaction(SIGILL, &old, NULL);
}

static void assert_whole(void)
{
	int at = 0;
	while (at < run.expected_depth && (uintptr_t)run.expected[at] != run.trap_pcs[0])
		at++;
	assert_in_range(at, 3, 5);
	assert_same_stack(run.trap_pcs, run.trap_result, 0, at);
}

static void assert_broken(uint32_t depth)
{
	assert_int_equal(run.trap_result.depth, depth);
	assert_false(run.trap_result.complete || run.trap_result.cut);
}

static void indirect(void)
{
	frame_indirect(frame_nap);
	NOT_A_TAIL_CALL();
}

static void frames_are_followed_through_every_kind_of_call(void **arg)
{
	(void)arg;
	void (*const functions[])(void) = { frame_direct, indirect, frame_by_plt, frame_by_bnd_plt,
		frame_by_word, frame_nap };
	for (unsigned i = 0; i < PA_COUNT(functions); i++) {
		memset(&run.trap_result, 0, sizeof(run.trap_result));
		sleep_in(functions[i]);
		assert_ptr_equal(run.trap_pcs[0], nap_pc);
		assert_ptr_equal(run.trap_pcs[1], frame_nap_called);
		assert_whole();
	}
}

static void frame_of_unknown_size_ends_the_stack(void **arg)
{
	(void)arg;
	sleep_in(frame_alloca);
	assert_ptr_equal(run.trap_pcs[1], frame_alloca_called);
	assert_broken(2);
}

static void bp_that_was_saved_on_the_way_is_known(void **arg)
{
	(void)arg;
	sleep_in(frame_alloca_saving_bp);
	assert_whole();
}

static void call_of_another_function_ends_the_stack(void **arg)
{
	(void)arg;
	sleep_in(frame_by_jump);
	assert_broken(2);
}

static void hook_that_jumped_on_is_passed(void **arg)
{
	(void)arg;
	static struct pa_bridge bridge;
	bridge.text_lo = (uintptr_t)jump_nap;
	bridge.text_hi = (uintptr_t)jump_nap_end;
	pa_core_bridge = &bridge;
	sleep_in(frame_by_jump);
	pa_core_bridge = NULL;
	assert_whole();
}

static void complex_frame_behind_it_has_bp_too(void **arg)
{
	(void)arg;
	/* libunwind goes from the first frame on, and finds rbx in the second. */
	sleep_in(frame_by_rbx);
	assert_whole();
}

/* ---- made-up stacks ---- */

/* sp = 0x10000, and a lure in bp. */
static void finish_made_up(uintptr_t pc, const uintptr_t *words, size_t count)
{
	struct pa_deferred *deferred = make_event(NULL, 0, false);
	deferred->regs.gpr[PA_REG_PC] = pc;
	deferred->regs.gpr[PA_REG_SP] = deferred->stack_at = 0x10000;
	deferred->regs.gpr[PA_REG_BP] = 0x10010;
	deferred->few_regs = 1;
	deferred->stack_bytes = (uint32_t)(count * sizeof(*words));
	memcpy(deferred + 1, words, deferred->stack_bytes);
	finish();
}

/* The stack of frame_nap at its call, returning to the given address and then to 0. */
static uint32_t depth_with_return_to(const void *return_address)
{
	uintptr_t words[12] = { 2, 1, 3, 3, 3, 0xb, 0x10048, (uintptr_t)return_address };
	finish_made_up((uintptr_t)frame_nap_called, words, PA_COUNT(words));
	assert_int_equal(run.result.complete, run.result.depth != 1);
	assert_false(run.result.unmapped);
	return run.result.depth;
}

static void return_addresses_are_those_of_calls_of_the_function(void **arg)
{
	(void)arg;
	assert_int_equal(depth_with_return_to(called_directly), 2);
	assert_int_equal(depth_with_return_to(called_indirectly), 2);
	assert_int_equal(depth_with_return_to(called_by_plt), 2);
	assert_int_equal(depth_with_return_to(called_by_word), 2);
	assert_int_equal(depth_with_return_to(called_by_jump), 1);
	assert_int_equal(depth_with_return_to(frame_nap_called), 1); /* of a call of nap */
	assert_int_equal(depth_with_return_to(called_directly + 1), 1);
	assert_int_equal(depth_with_return_to(not_called), 1);
	assert_int_equal(depth_with_return_to(no_code_called), 1);
	assert_int_equal(depth_with_return_to(NULL), 1);
}

static void words_of_the_linker_are_read_when_they_are_needed(void **arg)
{
	(void)arg;
	word_nap = frame_direct;
	assert_int_equal(depth_with_return_to(called_by_plt), 1);
	assert_int_equal(depth_with_return_to(called_by_word), 1);
	word_nap = frame_nap;
	assert_int_equal(depth_with_return_to(called_by_plt), 2);
	assert_int_equal(depth_with_return_to(called_by_word), 2);
}

static void frame_outside_the_copy_ends_the_stack(void **arg)
{
	(void)arg;
	const uintptr_t words[] = { 2, 1, 3, 3, 3, 0xb, 0x10048 };
	finish_made_up((uintptr_t)frame_nap_called, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_false(run.result.complete);
	assert_true(run.result.is_short);
}

/* With bp they would all come to the null behind it. */
static void other_frames_never_use_a_bp_that_is_not_known(void **arg)
{
	(void)arg;
	const uintptr_t words[] = { 0, 0x10020, 0x10010, 0, 0, 0, 0 };
	const struct bytes programs[] = {
		BYTES(0x0d, 6, 0x0e, 16),               /* cfa = bp + 16, bp not saved */
		BYTES(0x0e, 16, 0x86, 2, 0x0d, 6),      /* its code is none */
		BYTES(0x0f, 5, 0x76, 0x78, 6, 0x23, 0), /* cfa = *(bp - 8) */
		BYTES(0x0f, 3, 0x76, 0x78, 6, 0x10, 6, 2, 0x76, 0), /* realigned */
		BYTES(0x0c, 6, 32, 0x90, 2),                        /* complex: pc at bp + 16 */
	};
	for (unsigned i = 0; i < PA_COUNT(programs); i++) {
		pa_frame_cache_new_epoch(run.frames);
		uint8_t *image = image_make(CIE_PLAIN, programs[i]);
		finish_made_up((uintptr_t)image + IMAGE_TEXT_AT + 9, words, PA_COUNT(words));
		struct pa_deferred *deferred =
			(struct pa_deferred *)((struct pa_event *)run.record + 1);
		bool broke = run.result.depth == 1 && !run.result.complete;
		deferred->few_regs = 0;
		finish();
		image_drop(image);
		if (!broke)
			fail_msg("program %u goes on", i);
		if (!run.result.complete)
			fail_msg("program %u does not go on with bp", i);
	}
}

/* The same code with other information: only what the code does is proven. */
static void frames_of_other_shapes_are_not_proven(void **arg)
{
	(void)arg;
	const uintptr_t words[] = { 0x10020, (uintptr_t)called_indirectly, 0x10000, 0, 0, 0, 0, 0 };
	const struct bytes code = BYTES(0x55, 0x48, 0x89, 0xe5, 0x0f, 0x05, 0xc9, 0xc3);
	const struct {
		uint32_t depth;
		struct bytes program;
	} rows[] = {
		{ 2, BYTES(0x0e, 16, 0x86, 2, 0x0d, 6) },
		{ 1, BYTES(0x0e, 16, 0x0d, 6) },                       /* bp is not saved */
		{ 1, BYTES(0x0e, 24, 0x86, 2, 0x0d, 6) },              /* not all of the frame */
		{ 1, BYTES(0x0f, 5, 0x76, 16, 6, 0x23, 16, 0x86, 2) }, /* *(bp + 16) + 16 */
	};
	for (unsigned i = 0; i < PA_COUNT(rows); i++) {
		pa_frame_cache_new_epoch(run.frames);
		uint8_t *image = image_make(CIE_PLAIN, rows[i].program);
		memset(image + IMAGE_TEXT_AT, 0x90, IMAGE_TEXT_BYTES);
		memcpy(image + IMAGE_TEXT_AT, code.at, code.count);
		finish_made_up((uintptr_t)image + IMAGE_TEXT_AT + 6, words, PA_COUNT(words));
		image_drop(image);
		if (run.result.depth != rows[i].depth)
			fail_msg("row %u: depth %u", i, run.result.depth);
	}
}

static void frame_behind_a_complex_one_is_proven(void **arg)
{
	(void)arg;
	/* pc at cfa - 16 */
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0x0e, 16, 0x90, 2));
	uintptr_t words[14] = { (uintptr_t)frame_nap_called, 0, 2, 1, 3, 3, 3, 0xb, 0x10058,
		(uintptr_t)called_directly };
	finish_made_up((uintptr_t)image + IMAGE_TEXT_AT + 9, words, PA_COUNT(words));
	image_drop(image);
	assert_int_equal(run.result.depth, 3);
	assert_true(run.result.complete);
}

static void call_that_does_not_return_keeps_its_function(void **arg)
{
	(void)arg;
	const uintptr_t words[] = { 0x10020, (uintptr_t)called_indirectly, 0, 0, 0, 0, 0, 0 };
	finish_made_up((uintptr_t)frame_last_end, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 2);
	assert_true(run.result.complete);
}

static void code_without_information_needs_bp(void **arg)
{
	(void)arg;
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uintptr_t words[] = { 0, 0, 0x10020, 0, 0, 0 };
	finish_made_up((uintptr_t)page + 8, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_false(run.result.complete);
	munmap(page, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_are_followed_through_every_kind_of_call, setup),
		cmocka_unit_test_setup(frame_of_unknown_size_ends_the_stack, setup),
		cmocka_unit_test_setup(bp_that_was_saved_on_the_way_is_known, setup),
		cmocka_unit_test_setup(call_of_another_function_ends_the_stack, setup),
		cmocka_unit_test_setup(hook_that_jumped_on_is_passed, setup),
		cmocka_unit_test_setup(complex_frame_behind_it_has_bp_too, setup),
		cmocka_unit_test_setup(return_addresses_are_those_of_calls_of_the_function, setup),
		cmocka_unit_test_setup(words_of_the_linker_are_read_when_they_are_needed, setup),
		cmocka_unit_test_setup(frame_outside_the_copy_ends_the_stack, setup),
		cmocka_unit_test_setup(other_frames_never_use_a_bp_that_is_not_known, setup),
		cmocka_unit_test_setup(frames_of_other_shapes_are_not_proven, setup),
		cmocka_unit_test_setup(frame_behind_a_complex_one_is_proven, setup),
		cmocka_unit_test_setup(call_that_does_not_return_keeps_its_function, setup),
		cmocka_unit_test_setup(code_without_information_needs_bp, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
