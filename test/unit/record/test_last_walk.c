/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks that use the last one against walks that do not, on the stack of an imitated program: it
 * calls, returns, jumps out of many frames, takes signals, uses bp in all ways that rules have, and
 * gets other code at the same addresses.
 *
 * PA_WALKS=N: so many walks (default 100,000).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/arch/arch.h"
#include "agent/record/last_walk_inline.h"
#include "agent/record/registry.h"
#include "agent/record/stack.h"
#include "test/lib/c/record_fixture.h"

enum { WORDS = 8192, FUNCTIONS = 48, SITES = 4, DEPTH = 90, CODE = 0x100000, RESTORER = 0x200000 };

/* How a function keeps the way to its caller. */
enum form { SIZED, SAVES_BP, FRAMED, KEEPS_CFA, REALIGNS, CHAINS, FORMS };

struct activation {
	int function;
	bool interrupted;           /* by a signal; else at a call */
	struct pa_cursor cursor;    /* in it, at the call */
	struct pa_cursor of_caller; /* restored when it returns */
};

static struct {
	uintptr_t *words; /* the imitated stack, in the thread's own */
	struct {
		enum form form;
		int words; /* size of a frame */
	} functions[FUNCTIONS];
	struct activation activations[DEPTH];
	int depth;
	uint64_t random;
} machine;

static uint64_t draw(uint64_t below)
{
	machine.random ^= machine.random << 13;
	machine.random ^= machine.random >> 7;
	machine.random ^= machine.random << 17;
	return (machine.random >> 11) % below;
}

static void store(uintptr_t at, uintptr_t word)
{
	*(uintptr_t *)at = word;
}

static void teach(uintptr_t pc, bool leaf, struct pa_rule rule)
{
	assert_true(pa_frame_cache_insert(pa_record.frames, pc, leaf, &rule,
		pa_frame_cache_epoch(pa_record.frames)));
}

static struct pa_rule rule_of(int function)
{
	int32_t bytes = machine.functions[function].words * 8;
	if (function == 0)
		return (struct pa_rule){ .kind = PA_RULE_END };
	switch (machine.functions[function].form) {
	case SIZED: return (struct pa_rule){ .kind = PA_RULE_SP, .cfa_offset = bytes };
	case SAVES_BP:
		return (struct pa_rule){
			.kind = PA_RULE_SP, .cfa_offset = bytes, .bp_offset = -24
		};
	case FRAMED:
		return (struct pa_rule){ .kind = PA_RULE_BP, .cfa_offset = 16, .bp_offset = -16 };
	case KEEPS_CFA: return (struct pa_rule){ .kind = PA_RULE_SP_DEREF, .base_offset = 8 };
	case REALIGNS: return (struct pa_rule){ .kind = PA_RULE_REALIGNED, .base_offset = -8 };
	default: return (struct pa_rule){ .kind = PA_RULE_CHAIN };
	}
}

static uintptr_t pc_of(int function, int site)
{
	return (uintptr_t)(CODE + function * 64 + site * 5);
}

/* Other code at the same addresses. */
static void load_code(void)
{
	pa_frame_cache_new_epoch(pa_record.frames);
	for (int i = 0; i < FUNCTIONS; i++) {
		/* Most functions as compilers make them. */
		machine.functions[i].form = draw(8) ? draw(3) : draw(FORMS);
		machine.functions[i].words = 4 + 2 * (int)draw(8);
		for (int site = 0; site < SITES; site++) {
			teach(pc_of(i, site), false, rule_of(i));
			teach(pc_of(i, site), true, rule_of(i));
		}
	}
	teach(RESTORER, false, (struct pa_rule){ .kind = PA_RULE_SIGNAL });
}

/* A function begins whose return address is at cfa - 8. */
static void enter(int function, uintptr_t cfa, uintptr_t bp)
{
	struct activation *new = &machine.activations[machine.depth++];
	uintptr_t sp = cfa - (uintptr_t)machine.functions[function].words * 8;
	*new = (struct activation){
		.function = function, .of_caller = { .sp = cfa, .bp = bp }, .cursor = { .bp = bp }
	};
	switch (machine.functions[function].form) {
	case SIZED: break;
	case SAVES_BP:
		store(cfa - 24, bp);
		new->cursor.bp = draw(2) ? draw(1 << 20) : sp + 8 * draw(20);
		break;
	case FRAMED:
	case CHAINS:
		store(cfa - 16, bp);
		new->cursor.bp = cfa - 16;
		sp -= 16 * draw(4);
		break;
	case KEEPS_CFA:
		sp -= 16 * draw(4);
		store(sp + 8, cfa);
		break;
	default:
		new->cursor.bp = (cfa - 40) & ~(uintptr_t)31;
		store(new->cursor.bp, bp);
		store(new->cursor.bp - 8, cfa);
		sp = new->cursor.bp - 16 - 16 * draw(4);
		break;
	}
	new->cursor.sp = sp;
	new->cursor.pc = pc_of(function, (int)draw(SITES));
}

static struct activation *top(void)
{
	return &machine.activations[machine.depth - 1];
}

static bool has_room(void)
{
	return machine.depth < DEPTH && top()->cursor.sp > (uintptr_t)machine.words + 4096;
}

static void start_program(void)
{
	uintptr_t end = (uintptr_t)(machine.words + WORDS - 64);
	machine.depth = 0;
	enter(0, end & ~(uintptr_t)15, 0);
}

static void call_function(int function)
{
	struct activation *caller = top();
	caller->interrupted = false;
	caller->cursor.pc = pc_of(caller->function, (int)draw(SITES));
	store(caller->cursor.sp - 8, caller->cursor.pc);
	enter(function, caller->cursor.sp, caller->cursor.bp);
}

static void call(void)
{
	call_function(1 + (int)draw(FUNCTIONS - 1));
}

/* The handler returns to the restorer, which has the interrupted registers behind it. */
static void take_signal(void)
{
	struct activation *caller = top();
	caller->interrupted = true;
	uintptr_t context = (caller->cursor.sp - 128 - 1024) & ~(uintptr_t)15;
	store(context + PA_SIGFRAME_PC, caller->cursor.pc);
	store(context + PA_SIGFRAME_SP, caller->cursor.sp);
	store(context + PA_SIGFRAME_BP, caller->cursor.bp);
	store(context - 8, RESTORER);
	enter(1 + (int)draw(FUNCTIONS - 1), context, caller->cursor.bp);
}

static void leave(int frames)
{
	while (frames-- > 0 && machine.depth > 1)
		machine.depth--;
}

static void run_program(void)
{
	uint64_t number = draw(1000);
	if (number == 0 && draw(20) == 0) {
		start_program();
		load_code();
	} else if (number < 5) {
		leave((int)draw((uint64_t)machine.depth)); /* longjmp, an exception */
	} else if (number < 20 && has_room()) {
		take_signal();
	} else if (number < 520 + (uint64_t)(DEPTH - machine.depth) && has_room()) {
		call();
	} else {
		leave(1);
	}
	/* A register that callees have saved changes. */
	if (machine.functions[top()->function].form == SAVES_BP && draw(4) == 0)
		top()->cursor.bp = draw(1 << 20);
}

struct result {
	enum pa_walk_end end;
	uint32_t depth;
	struct pa_cursor cursor;
	uintptr_t pcs[PA_LAST_WALK_FRAMES];
};

typedef enum pa_walk_end walk_fn(struct pa_walk *walk, const struct pa_frame_cache *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth);

static void walk_from(const struct pa_cursor *cursor, bool leaf, uint32_t max, walk_fn *run,
	struct result *result)
{
	struct pa_walk walk = pa_walk_start(&pa_thread_self, *cursor, leaf);
	assert_true(pa_walk_is_own(&walk));
	result->end = run(&walk, pa_record.frames, result->pcs, max, &result->depth);
	result->cursor = walk.cursor;
}

/* Both ways. */
static uint32_t check_walk(const struct pa_cursor *cursor, bool leaf, uint32_t max)
{
	static struct result by_rules, by_last;
	walk_from(cursor, leaf, max, pa_walk_run, &by_rules);
	walk_from(cursor, leaf, max, pa_walk_run_by_last, &by_last);
	assert_int_equal(by_last.end, by_rules.end);
	assert_int_equal(by_last.depth, by_rules.depth);
	assert_memory_equal(by_last.pcs, by_rules.pcs, by_rules.depth * sizeof(uintptr_t));
	if (by_rules.end == PA_WALK_DEFERRED)
		assert_memory_equal(&by_last.cursor, &by_rules.cursor, sizeof(by_rules.cursor));
	return by_rules.depth;
}

static void boot(uintptr_t *words)
{
	fixture_boot(64 << 10, 1);
	pa_registry_add(&pa_thread_self);
	pa_thread_self.stack_least = pa_thread_self.stack_lo = (uintptr_t)words;
	pa_thread_self.stack_hi = (uintptr_t)(words + WORDS);
	pa_last_walk_boot();
	pa_last_walk_atfork_child();
	pa_thread_self.exit_noted = 1;
	machine.random = 88172645463325252u;
	machine.words = words;
	load_code();
	start_program();
}

static void walks_find_the_same_with_and_without_the_last_one(void **unused)
{
	(void)unused;
	const char *text = getenv("PA_WALKS");
	uint64_t walks = text ? strtoull(text, NULL, 10) : 100000, frames = 0, reused = 0;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot(words);
	for (uint64_t i = 0; i < walks; i++) {
		struct pa_last_walk *last = pa_thread_self.last_walk;
		uint32_t before = last ? last->reused : 0;
		for (uint64_t steps = draw(10); steps > 0; steps--)
			run_program();
		uint32_t max = draw(20) ? PA_LAST_WALK_FRAMES : 1 + (uint32_t)draw(60);
		frames += check_walk(&top()->cursor, draw(3) == 0, max);
		if (last && last->reused > before)
			reused += last->reused - before;
	}
	printf("%lu frames, %lu %% of them reused\n", frames, 100 * reused / frames);
	assert_true(reused > frames / 5);
}

/* ------------------------------------------------------------------ one property each */

static void descend(int count)
{
	start_program();
	while (machine.depth < count)
		call();
}

/* A stack of count frames of the same form. */
static void boot_with(uintptr_t *words, enum form form, int count)
{
	boot(words);
	for (int i = 1; i < FUNCTIONS; i++)
		machine.functions[i].form = form;
	for (int i = 0; i < FUNCTIONS; i++)
		for (int site = 0; site < SITES; site++)
			teach(pc_of(i, site), false, rule_of(i));
	descend(count);
}

/* Walks until the thread has a place with the stack of now. */
static struct pa_last_walk *walk_until_recorded(void)
{
	for (int i = 0; i < 20; i++)
		check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	assert_non_null(pa_thread_self.last_walk);
	assert_int_equal(pa_thread_self.last_walk->count, machine.depth - 1);
	return pa_thread_self.last_walk;
}

static uint32_t reused_now(void)
{
	struct pa_last_walk *last = pa_thread_self.last_walk;
	uint32_t before = last->reused;
	check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	return last->reused - before;
}

static void unchanged_frames_are_not_stepped(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	for (enum form form = SIZED; form <= FRAMED; form++) {
		boot_with(words, form, 50);
		walk_until_recorded();
		assert_int_equal(reused_now(), 49);
		leave(10);
		call();
		call();
		assert_in_range(reused_now(), 39, 41);
	}
}

/* Each of a row of frames, which are compared some at a time. */
static void return_address_that_has_changed_is_seen(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 50);
	walk_until_recorded();
	for (int i = 1; i < machine.depth; i++) {
		const struct activation *caller = &machine.activations[i - 1];
		for (int site = 0; site < SITES; site++) {
			store(caller->cursor.sp - 8, pc_of(caller->function, site));
			check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
		}
		store(caller->cursor.sp - 8, caller->cursor.pc);
	}
}

static void teach_form(int function, enum form form)
{
	machine.functions[function].form = form;
	for (int site = 0; site < SITES; site++)
		teach(pc_of(function, site), false, rule_of(function));
}

/* The frame that has saved it is one of a row of others, at each place. */
static void saved_frame_pointer_among_plain_frames_is_compared(void **unused)
{
	(void)unused;
	enum { ROW = 12, USES_BP = 1, SAVES, PLAIN };
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	for (int outer = 0; outer <= ROW; outer++) {
		boot_with(words, SIZED, 1);
		teach_form(USES_BP, FRAMED);
		teach_form(SAVES, SAVES_BP);
		for (int i = -2; i <= ROW; i++)
			call_function(i < 0 ? USES_BP : i == outer ? SAVES : PLAIN);
		walk_until_recorded();
		/* That of the outer frame, which is then the next one behind the inner. */
		store(machine.activations[3 + outer].of_caller.sp - 24,
			machine.activations[1].of_caller.sp - 16);
		assert_int_equal(check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES),
			machine.depth - 1);
	}
}

/* Return addresses stay where they are, and the rules lead to others. */
static void frame_pointer_that_has_changed_is_seen(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, FRAMED, 50);
	walk_until_recorded();
	for (int i = 3; i < machine.depth; i++) {
		uintptr_t saved_at = machine.activations[i].of_caller.sp - 16;
		uintptr_t saved = *(uintptr_t *)saved_at;
		store(saved_at, *(uintptr_t *)saved);
		uint32_t depth = check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
		assert_int_equal(depth, machine.depth - 1);
		store(saved_at, saved);
	}
}

static void frames_of_another_epoch_are_not_used(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	struct pa_last_walk *last = walk_until_recorded();
	pa_frame_cache_new_epoch(pa_record.frames);
	check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	assert_int_equal(last->count, 0);
}

static void walk_inside_a_walk_uses_none(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	walk_until_recorded();
	pa_thread_self.last_walk_used = true; /* as in a signal handler that interrupts it */
	assert_int_equal(reused_now(), 0);
	pa_thread_self.last_walk_used = false;
	assert_int_equal(reused_now(), 29);
}

/* The part of the stack below is gone: its words must not be read. */
static void frames_outside_of_the_own_stack_are_not_used(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	struct pa_last_walk *last = walk_until_recorded();
	const struct pa_last_walk_frame *frame = &last->frames[3];
	struct pa_cursor cursor = { .pc = frame->pc, .sp = frame->at + 8, .bp = frame->bp };
	uintptr_t pcs[PA_LAST_WALK_FRAMES];
	assert_int_equal(pa_last_walk_follow(last, frame, cursor, cursor.sp, pcs, 99).count, 26);
	assert_int_equal(pa_last_walk_follow(last, frame, cursor, cursor.sp + 8, pcs, 99).count, 0);
}

static void thread_that_ends_frees_its_place(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	for (int i = 0; i < PA_LAST_WALK_PLACES; i++) {
		walk_until_recorded();
		pa_thread_self.last_walk = NULL; /* as another thread */
	}
	check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	for (int i = 0; i < 50; i++)
		check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	assert_null(pa_thread_self.last_walk);
	pa_last_walk_atfork_child(); /* the others do not exist in the child */
	struct pa_last_walk *last = walk_until_recorded();
	pa_last_walk_thread_end(&pa_thread_self);
	for (int i = 0; i < 50; i++)
		check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	assert_null(pa_thread_self.last_walk);
	pa_thread_self.last_walk_used = false; /* as another thread */
	assert_ptr_equal(walk_until_recorded(), last);
}

static void thread_whose_end_is_not_noted_gets_no_place(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	pa_thread_self.exit_noted = 0;
	for (int i = 0; i < 50; i++)
		check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
	assert_null(pa_thread_self.last_walk);
}

/* Nothing stays the same: most walks are made without. */
static void useless_last_walk_is_not_tried_again_soon(void **unused)
{
	(void)unused;
	uintptr_t words[WORDS] __attribute__((aligned(64)));
	boot_with(words, SIZED, 30);
	struct pa_last_walk *last = walk_until_recorded();
	uint32_t tried = 0;
	for (int i = 0; i < 10000; i++) {
		machine.words = words - 2 * (i % 9); /* other addresses each time */
		descend(30);
		check_walk(&top()->cursor, false, PA_LAST_WALK_FRAMES);
		tried += last->limit != 0;
	}
	assert_in_range(tried, 1, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_find_the_same_with_and_without_the_last_one),
		cmocka_unit_test(unchanged_frames_are_not_stepped),
		cmocka_unit_test(return_address_that_has_changed_is_seen),
		cmocka_unit_test(saved_frame_pointer_among_plain_frames_is_compared),
		cmocka_unit_test(frame_pointer_that_has_changed_is_seen),
		cmocka_unit_test(frames_of_another_epoch_are_not_used),
		cmocka_unit_test(walk_inside_a_walk_uses_none),
		cmocka_unit_test(frames_outside_of_the_own_stack_are_not_used),
		cmocka_unit_test(thread_that_ends_frees_its_place),
		cmocka_unit_test(thread_whose_end_is_not_noted_gets_no_place),
		cmocka_unit_test(useless_last_walk_is_not_tried_again_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
