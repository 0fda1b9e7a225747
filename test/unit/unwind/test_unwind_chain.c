/* SPDX-License-Identifier: Apache-2.0 */
/* Code without unwind information, as JITs make it: frame pointers if plausible, else the end. */
#include "test/lib/c/unwind_stack.h"

#include <stdlib.h>

static uint8_t *map_code(struct bytes code)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	memcpy(page, code.at, code.count);
	return page;
}

static NO_FRAME_POINTER void run_code(uint8_t *code)
{
	((void (*)(void (*)(void)))code)(capture);
	NOT_A_TAIL_CALL();
	expect_from((uintptr_t)__builtin_return_address(0));
}

static void code_with_a_frame_pointer_is_passed(void **arg)
{
	(void)arg;
	/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret */
	uint8_t *code = map_code(BYTES(0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3));
	run_code(code);
	assert_int_equal(run.pcs[0], (uintptr_t)code + 6);
	assert_in_range(run.pcs[1], (uintptr_t)run_code, (uintptr_t)run_code + 200);
	assert_same_stack(run.pcs, run.result, 2, 1);
	munmap(code, 4096);
}

static void code_without_a_frame_pointer_ends_the_stack(void **arg)
{
	(void)arg;
	/* push rbp; xor ebp, ebp; call rdi; pop rbp; ret */
	uint8_t *code = map_code(BYTES(0x55, 0x31, 0xed, 0xff, 0xd7, 0x5d, 0xc3));
	run_code(code);
	assert_int_equal(run.result.depth, 1);
	assert_int_equal(run.pcs[0], (uintptr_t)code + 5);
	assert_false(run.result.complete || run.result.cut || run.result.unmapped);
	munmap(code, 4096);
}

/* A made-up stack of code without unwind information: sp = 0x10000, bp as given. */
static void finish_made_up(const uint8_t *code, uintptr_t bp, const uintptr_t *words, size_t count)
{
	struct pa_deferred *deferred = make_event(NULL, 0, false);
	deferred->regs.gpr[PA_REG_PC] = (uintptr_t)code + 8;
	deferred->regs.gpr[PA_REG_SP] = deferred->stack_at = 0x10000;
	deferred->regs.gpr[PA_REG_BP] = bp;
	deferred->stack_bytes = (uint32_t)(count * sizeof(*words));
	memcpy(deferred + 1, words, deferred->stack_bytes);
	finish();
}

static void implausible_frame_pointers_are_not_followed(void **arg)
{
	(void)arg;
	uint8_t *code = map_code(BYTES(0x90));
	memcpy(code + 14, (const uint8_t[]){ 0xff, 0xd7 }, 2); /* call *rdi */
	uintptr_t pc = (uintptr_t)code + 16;
	const uintptr_t words[] = { 0x10010, pc, 0x10000, pc, 0x10030, 0x123456, 0, 0 };
	static const uintptr_t wrong[] = { 0, 0xfff0, 0xfff8, 0x10001, 0x10014, 0x1003c, 0x10040,
		0x20000, UINTPTR_MAX - 7, UINTPTR_MAX - 15 };
	for (unsigned i = 0; i < PA_COUNT(wrong); i++) {
		finish_made_up(code, wrong[i], words, PA_COUNT(words));
		if (run.result.depth != 1 || run.result.complete || run.result.unmapped)
			fail_msg("bp %lx: depth %u", wrong[i], run.result.depth);
	}
	/* Two good steps, then a frame pointer that points back. */
	finish_made_up(code, 0x10000, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 3);
	assert_false(run.result.complete || run.result.unmapped);
	/* One that points just below its frame, where nothing is the function's own. */
	const uintptr_t below[] = { 0x10008, pc, pc, 0, 0, 0 };
	finish_made_up(code, 0x10000, below, PA_COUNT(below));
	assert_int_equal(run.result.depth, 2);
	/* A return address that is not in code, and is behind no call. */
	finish_made_up(code, 0x10020, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_false(run.result.unmapped || run.result.complete);
	/* A null one. */
	finish_made_up(code, 0x10030, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_true(run.result.complete && !run.result.unmapped);
	munmap(code, 4096);
}

/* What a register of code without CFI points to may look like a frame: an address in code, behind
 * something else than a call. */
static void return_address_that_no_call_left_is_not_believed(void **arg)
{
	(void)arg;
	uint8_t *code = map_code(BYTES(0x90));
	uintptr_t no_call = (uintptr_t)code + 32, start = (uintptr_t)qsort;
	const uintptr_t wrong[] = { no_call, start, (uintptr_t)code };
	for (unsigned i = 0; i < PA_COUNT(wrong); i++) {
		const uintptr_t words[] = { 0x10020, wrong[i], 0, 0, 0, 0 };
		finish_made_up(code, 0x10000, words, PA_COUNT(words));
		assert_int_equal(run.result.depth, 1);
		assert_false(run.result.complete);
		/* No walker believes it from now on. */
		assert_int_equal(pa_frame_cache_find(run.frames, wrong[i], false).kind,
			PA_RULE_NONE);
	}
	munmap(code, 4096);
}

/* The maps may be older than the code, which may have unwind information then. */
static void code_that_the_maps_do_not_know_is_told_and_not_learnt(void **arg)
{
	(void)arg;
	uint8_t *code = map_code(BYTES(0x90)), *fresh = map_code(BYTES(0x90, 0xff, 0xd7));
	uintptr_t pc = (uintptr_t)fresh + 3;
	const uintptr_t called[] = { 0x10010, pc, 0, 0 }, not_called[] = { 0x10010, pc + 8, 0, 0 };
	assert_int_equal(mprotect(fresh, 4096, PROT_READ), 0);
	finish_made_up(code, 0x10000, called, PA_COUNT(called));
	assert_int_equal(run.result.depth, 1);
	assert_int_equal(run.result.unmapped, pc - 1);
	assert_int_equal(pa_frame_cache_find(run.frames, pc, false).kind, PA_RULE_NONE);
	finish_made_up(code, 0x10000, not_called, PA_COUNT(not_called));
	assert_int_equal(run.result.unmapped, 0);
	finish_made_up(fresh, 0x10000, called, PA_COUNT(called));
	assert_int_equal(run.result.depth, 0);
	assert_int_equal(run.result.unmapped, (uintptr_t)fresh + 7);
	assert_int_equal(pa_frame_cache_find(run.frames, (uintptr_t)fresh + 8, false).kind,
		PA_RULE_NONE);
	munmap(code, 4096);
	munmap(fresh, 4096);
}

/* The function that a handler of code without CFI returns to was not called. */
static void handler_without_unwind_information_is_passed(void **arg)
{
	(void)arg;
	/* nops; mov $15, rax; syscall */
	uint8_t *code = map_code(BYTES(0x90));
	memcpy(code + 32, (const uint8_t[]){ 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 }, 9);
	const uintptr_t words[] = { 0x10020, (uintptr_t)code + 32, 0, 0, 0, 0 };
	finish_made_up(code, 0x10000, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 2);
	assert_int_equal(run.pcs[1], (uintptr_t)code + 32);
	munmap(code, 4096);
}

static void signal_frame_that_leads_back_ends_the_stack(void **arg)
{
	(void)arg;
	/* nops, mov $15, eax; syscall */
	uint8_t *code = map_code(BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xb8, 15, 0,
		0, 0, 0x0f, 0x05));
	uintptr_t words[64] = { 0 };
	words[PA_SIGFRAME_PC / 8] = (uintptr_t)code + 8;
	words[PA_SIGFRAME_SP / 8] = 0x10000;
	finish_made_up(code, 0, words, PA_COUNT(words));
	assert_int_equal(run.result.depth, 1);
	assert_false(run.result.complete || run.result.cut);
	munmap(code, 4096);
}

static void random_stacks_never_crash(void **arg)
{
	(void)arg;
	uint8_t *code = map_code(BYTES(0x90));
	uint64_t seed = 20201;
	uintptr_t words[64];
	const uintptr_t pcs[] = { (uintptr_t)qsort + 30, (uintptr_t)finish_made_up + 40,
		(uintptr_t)libc_backtrace + 20, (uintptr_t)capture + 60, (uintptr_t)code,
		(uintptr_t)code + 9 };
	for (int i = 0; i < 20000; i++) {
		for (unsigned k = 0; k < PA_COUNT(words); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			uint64_t high = seed >> 33;
			words[k] = high % 4 == 0 ? 0x10000 + high / 4 % 64 * 8 :
				high % 4 == 1    ? high :
						   pcs[high / 4 % PA_COUNT(pcs)];
		}
		finish_made_up((const uint8_t *)pcs[seed >> 60 & 3] - 8, words[0], words, 64);
		assert_in_range(run.result.depth, 1, PCS);
	}
	munmap(code, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(code_with_a_frame_pointer_is_passed, setup),
		cmocka_unit_test_setup(code_without_a_frame_pointer_ends_the_stack, setup),
		cmocka_unit_test_setup(implausible_frame_pointers_are_not_followed, setup),
		cmocka_unit_test_setup(return_address_that_no_call_left_is_not_believed, setup),
		cmocka_unit_test_setup(code_that_the_maps_do_not_know_is_told_and_not_learnt,
			setup),
		cmocka_unit_test_setup(handler_without_unwind_information_is_passed, setup),
		cmocka_unit_test_setup(signal_frame_that_leads_back_ends_the_stack, setup),
		cmocka_unit_test_setup(random_stacks_never_crash, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
