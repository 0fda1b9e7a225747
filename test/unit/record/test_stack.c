/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/arch/arch.h"
#include "agent/record/registry.h"
#include "agent/record/stack.h"
#include "agent/record/stack_bounds.h"
#include "test/lib/c/record_fixture.h"

#define CHAINED \
	__attribute__((noinline, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")))

/* Frames between bottom() and the test: all but the first and the last have one return address. */
enum { LEVELS = 20, FRAMES = LEVELS + 2 };

/* Where the deepest function stands, and what the frame pointers say of its callers. */
static struct {
	struct pa_cursor cursor;
	uintptr_t chain[FRAMES];
	void (*at_bottom)(void);
} state;

static CHAINED void bottom(void)
{
	uintptr_t *frame = __builtin_frame_address(0);
	state.cursor = (struct pa_cursor){ frame[1], (uintptr_t)frame + 16, frame[0] };
	for (int i = 0; i < FRAMES; i++) {
		state.chain[i] = frame[1];
		frame = (uintptr_t *)frame[0];
	}
	state.at_bottom();
}

static CHAINED int descend(int levels)
{
	if (levels == 0)
		bottom();
	else
		descend(levels - 1);
	return levels + 1;
}

static void teach(uintptr_t pc, enum pa_rule_kind kind)
{
	const struct pa_rule rule = { .kind = (uint8_t)kind, .cfa_offset = 16, .bp_offset = -16 };
	assert_true(pa_frame_cache_insert(pa_record.frames, pc, false, &rule,
		pa_frame_cache_epoch(pa_record.frames)));
}

/* All levels but the outermost known as frame-pointer code; that one ends the stack. */
static void teach_chain(void)
{
	for (int i = 0; i < FRAMES - 1; i++)
		teach(state.chain[i], PA_RULE_BP);
	teach(state.chain[FRAMES - 1], PA_RULE_END);
}

/* Not inline: with -fsanitize=null gcc 12 tests a TLS address by the flags of an add, which the
 * linker has made a lea. */
static PA_NOINLINE struct pa_thread *registered_thread(void)
{
	pa_registry_add(&pa_thread_self);
	return &pa_thread_self;
}

static enum pa_walk_end walk_now(uintptr_t *pcs, uint32_t max, uint32_t *depth)
{
	struct pa_walk walk = pa_walk_start(registered_thread(), state.cursor, false);
	return pa_walk_run(&walk, pa_record.frames, pcs, max, depth);
}

static void check_warm(void)
{
	uintptr_t pcs[64];
	uint32_t depth;
	teach_chain();
	assert_int_equal(walk_now(pcs, 64, &depth), PA_WALK_COMPLETE);
	assert_int_equal(depth, FRAMES);
	assert_memory_equal(pcs, state.chain, sizeof(state.chain));
}

static void warm_walk_finds_all_callers(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	state.at_bottom = check_warm;
	descend(LEVELS);
}

static void check_foreign(void)
{
	uintptr_t pcs[64];
	uint32_t depth;
	teach_chain();
	/* The thread's bounds do not cover this stack: it is copied, word by word or in pieces. */
	struct pa_thread *self = registered_thread();
	self->stack_lo = self->stack_hi = self->stack_least = 0;
	for (int i = 0; i < 2; i++) {
		uintptr_t room[PA_WALK_ROOM_BYTES / sizeof(uintptr_t)];
		struct pa_walk walk = pa_walk_start(self, state.cursor, false);
		assert_false(pa_walk_is_own(&walk));
		walk.reader.room = i ? (char *)room : NULL;
		assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 64, &depth),
			PA_WALK_COMPLETE);
		assert_memory_equal(pcs, state.chain, sizeof(state.chain));
		assert_false(walk.reader.unreadable);
	}
}

static void unknown_stack_is_walked_on_copies(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	state.at_bottom = check_foreign;
	descend(LEVELS);
}

static void check_cold(void)
{
	uintptr_t pcs[64];
	uint32_t depth;
	teach(state.chain[0], PA_RULE_BP);
	struct pa_walk walk = pa_walk_start(registered_thread(), state.cursor, false);
	assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 64, &depth), PA_WALK_DEFERRED);
	assert_int_equal(depth, 1);
	assert_int_equal(walk.cursor.pc, state.chain[1]);
}

static void walk_stands_at_the_first_unknown_frame(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	state.at_bottom = check_cold;
	descend(LEVELS);
}

static void check_cut(void)
{
	uintptr_t pcs[64];
	uint32_t depth;
	teach_chain();
	assert_int_equal(walk_now(pcs, 5, &depth), PA_WALK_CUT);
	assert_int_equal(depth, 5);
}

static void walk_is_cut_at_the_limit(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	state.at_bottom = check_cut;
	descend(LEVELS);
}

/* Two pages, the second one unreadable; a cursor whose frames lie in the first. */
static char *pages_with_a_hole(void)
{
	char *pages = mmap(NULL, 2 * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + PA_PAGE_BYTES, PA_PAGE_BYTES, PROT_NONE), 0);
	return pages;
}

/* python3's epilogues: bp was popped, and the rule still says that it is at cfa - 48. */
static void frame_pointer_that_was_popped_is_read_from_the_red_zone(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	uintptr_t stack[64] __attribute__((aligned(16))) = { 0 };
	const struct pa_rule popped = { .kind = PA_RULE_SP, .cfa_offset = 16, .bp_offset = -48 };
	const struct pa_rule end = { .kind = PA_RULE_END };
	stack[32 + 1] = 0x5678;  /* the return address, at cfa - 8 */
	stack[32 - 4] = 0xabcd0; /* the popped bp, at cfa - 48 */
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, true, &popped, 0));
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x5678, false, &end, 0));

	uintptr_t pcs[8];
	uint32_t depth;
	struct pa_cursor cursor = { .pc = 0x1234, .sp = (uintptr_t)&stack[32], .bp = 0xabcd0 };
	struct pa_walk walk = pa_walk_start(registered_thread(), cursor, true);
	assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 8, &depth), PA_WALK_COMPLETE);
	assert_int_equal(depth, 2);
	assert_int_equal(walk.cursor.bp, 0xabcd0);

	char room[sizeof(struct pa_deferred) + 512] __attribute__((aligned(16)));
	walk = pa_walk_start(registered_thread(), cursor, true);
	pa_walk_copy(&walk, (struct pa_deferred *)room, 256);
	assert_int_equal(((struct pa_deferred *)room)->stack_at, (uintptr_t)&stack[32] - 128);
}

static void unreadable_stack_ends_the_walk(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	char *pages = pages_with_a_hole();
	const struct pa_rule rule = { .kind = PA_RULE_SP, .cfa_offset = 64 };
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, false, &rule, 0));
	for (uintptr_t at = 0; at < PA_PAGE_BYTES; at += 8)
		*(uintptr_t *)(pages + at) = 0x1234;
	uintptr_t pcs[512], room[PA_WALK_ROOM_BYTES / sizeof(uintptr_t)];
	struct pa_cursor cursor = { .pc = 0x1234, .sp = (uintptr_t)pages };
	for (int i = 0; i < 2; i++) {
		uint32_t depth;
		struct pa_walk walk = pa_walk_start(registered_thread(), cursor, false);
		walk.reader.room = i ? (char *)room : NULL;
		assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 512, &depth),
			PA_WALK_BROKEN);
		assert_int_equal(depth, PA_PAGE_BYTES / 64 + 1);
		assert_true(walk.reader.unreadable);
	}
}

/* A frame of code without unwind information at pc 0x1234, whose bp is given. */
static struct pa_walk walk_of_chain(uintptr_t sp, uintptr_t bp, enum pa_walk_end *end,
	uint32_t *depth)
{
	uintptr_t pcs[8];
	struct pa_cursor cursor = { .pc = 0x1234, .sp = sp, .bp = bp };
	struct pa_walk walk = pa_walk_start(registered_thread(), cursor, false);
	*end = pa_walk_run(&walk, pa_record.frames, pcs, 8, depth);
	return walk;
}

static void frame_pointer_must_lie_in_the_stack(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	const struct pa_rule chain = { .kind = PA_RULE_CHAIN }, last = { .kind = PA_RULE_END };
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, false, &chain, 0));
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x5678, false, &last, 0));
	uintptr_t stack[8] = { 0, 0x5678, 0, 0x5678 }, sp = (uintptr_t)&stack[2];
	uintptr_t hi = registered_thread()->stack_hi, *elsewhere = malloc(64);
	elsewhere[0] = 0;
	elsewhere[1] = 0x5678;
	enum pa_walk_end end;
	uint32_t depth;
	walk_of_chain(sp, sp, &end, &depth);
	assert_int_equal(end, PA_WALK_COMPLETE);
	assert_int_equal(depth, 2);
	const uintptr_t wrong[] = { sp - 16, sp + 4, (uintptr_t)elsewhere, hi, hi - 8, 0, 16,
		(uintptr_t)-8, (uintptr_t)-16 };
	for (size_t i = 0; i < PA_COUNT(wrong); i++) {
		walk_of_chain(sp, wrong[i], &end, &depth);
		assert_int_equal(end, PA_WALK_BROKEN);
		assert_int_equal(depth, 1);
	}
	free(elsewhere);
}

static void return_address_by_a_frame_pointer_must_be_known(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	const struct pa_rule chain = { .kind = PA_RULE_CHAIN };
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, false, &chain, 0));
	/* Known as an interrupted instruction only: not checked whether a call returns there. */
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x5678, true, &chain, 0));
	uintptr_t stack[8] = { 0, 0x5678 }, sp = (uintptr_t)stack;
	enum pa_walk_end end;
	uint32_t depth;
	struct pa_walk walk = walk_of_chain(sp, sp, &end, &depth);
	assert_int_equal(end, PA_WALK_DEFERRED);
	assert_int_equal(depth, 0);
	assert_int_equal(walk.cursor.pc, 0x1234);
	assert_int_equal(walk.cursor.bp, sp);
}

/* Of a coroutine's frame that is the outermost, and says where it would return to. */
static void stack_ends_below_a_guard_page_of_its_own(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_thread *self = registered_thread();
	static char area[4 * 4096] __attribute__((aligned(4096)));
	const struct pa_rule rule = { .kind = PA_RULE_SP, .cfa_offset = 64 };
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, false, &rule, 0));
	uintptr_t lo = (uintptr_t)area, guard = lo + 4096, sp = guard - 56, pcs[8];
	self->stack_lo = self->stack_least = lo;
	self->stack_hi = lo + sizeof(area);
	mprotect((void *)guard, 4096, PROT_NONE);
	pa_stack_bounds_cut(guard, guard + 4096);
	struct pa_cursor cursor = { .pc = 0x1234, .sp = sp };
	struct pa_walk walk = pa_walk_start(self, cursor, false);
	uint32_t depth;
	assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 8, &depth), PA_WALK_BROKEN);
	assert_int_equal(depth, 1);
	assert_true(walk.reader.unreadable);
	mprotect((void *)guard, 4096, PROT_READ | PROT_WRITE);
}

static void wild_registers_end_the_walk(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	const uintptr_t wild[] = { 0, 8, 0x1000, 0x7ffffffff000, (uintptr_t)-16,
		0x8000000000000000 };
	const struct pa_rule rule = { .kind = PA_RULE_BP, .cfa_offset = 16, .bp_offset = -16 };
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, false, &rule, 0));
	for (size_t i = 0; i < PA_COUNT(wild); i++)
		for (size_t j = 0; j < PA_COUNT(wild); j++) {
			uintptr_t pcs[8];
			uint32_t depth;
			struct pa_cursor cursor = { 0x1234, wild[i], wild[j] };
			struct pa_walk walk = pa_walk_start(registered_thread(), cursor, false);
			assert_int_equal(pa_walk_run(&walk, pa_record.frames, pcs, 8, &depth),
				PA_WALK_BROKEN);
		}
}

static struct pa_deferred *copy_at(uintptr_t sp, bool leaf, size_t max_bytes, char *room)
{
	struct pa_cursor cursor = { .pc = 1, .sp = sp };
	struct pa_walk walk = pa_walk_start(&pa_thread_self, cursor, leaf);
	struct pa_deferred *deferred = (struct pa_deferred *)room;
	pa_walk_copy(&walk, deferred, max_bytes);
	return deferred;
}

static struct pa_deferred *copy_of(uintptr_t sp, size_t max_bytes, char *room)
{
	return copy_at(sp, false, max_bytes, room);
}

static void copy_stops_before_unreadable_memory(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	registered_thread();
	char *pages = pages_with_a_hole();
	memset(pages, 0x5a, PA_PAGE_BYTES);
	char *room = malloc(sizeof(struct pa_deferred) + 3 * PA_PAGE_BYTES);
	struct pa_deferred *deferred = copy_of((uintptr_t)pages + 100, 3 * PA_PAGE_BYTES, room);
	assert_int_equal(deferred->stack_at, (uintptr_t)pages + 96);
	assert_int_equal(deferred->stack_bytes, PA_PAGE_BYTES - 96);
	assert_memory_equal(deferred + 1, pages + 96, deferred->stack_bytes);
	deferred = copy_of((uintptr_t)pages + PA_PAGE_BYTES, PA_PAGE_BYTES, room);
	assert_int_equal(deferred->stack_bytes, 0);
	free(room);
}

static void copy_of_the_own_stack_ends_at_its_top(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	char room[sizeof(struct pa_deferred) + 4096] __attribute__((aligned(16)));
	struct pa_thread *self = registered_thread();
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	self->stack_hi = sp + 1024;
	struct pa_deferred *deferred = copy_of(sp, 512, room);
	assert_int_equal(deferred->stack_bytes, 512);
	assert_false(deferred->to_stack_end);
}

static void red_zone_may_begin_below_the_own_stack(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_thread *self = registered_thread();
	char room[sizeof(struct pa_deferred) + 4096] __attribute__((aligned(16)));
	char *pages = mmap(NULL, 3 * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < 3 * PA_PAGE_BYTES; i++)
		pages[i] = (char)(i / 8);
	uintptr_t lo = (uintptr_t)pages + PA_PAGE_BYTES, hi = lo + 1024, sp = lo + 8;
	self->stack_lo = self->stack_least = lo;
	self->stack_hi = hi;
	for (int readable = 1; readable >= 0; readable--) {
		uintptr_t from = readable ? sp - PA_RED_ZONE_BYTES : lo;
		struct pa_deferred *deferred = copy_at(sp, true, 4096, room);
		assert_true(deferred->own_stack);
		assert_true(deferred->to_stack_end);
		assert_int_equal(deferred->stack_at, from);
		assert_int_equal(deferred->stack_bytes, hi - from);
		assert_memory_equal(deferred + 1, (void *)from, hi - from);
		deferred = copy_at(sp, true, 512, room);
		assert_int_equal(deferred->stack_bytes, 512);
		assert_false(deferred->to_stack_end);
		assert_int_equal(mprotect(pages, PA_PAGE_BYTES, PROT_NONE), 0);
	}
	/* Of another stack, right above. */
	struct pa_deferred *deferred = copy_at(hi + 8, true, 512, room);
	assert_false(deferred->own_stack);
	assert_int_equal(deferred->stack_bytes, 512);
	munmap(pages, 3 * PA_PAGE_BYTES);
}

/* Otherwise each sample of that function reads it by a system call, which waits for the kernel's
 * lock of the address space. */
static void red_zone_becomes_a_part_of_the_own_stack(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_thread *self = registered_thread();
	char *pages = mmap(NULL, 3 * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	uintptr_t least = (uintptr_t)pages, lo = least + PA_PAGE_BYTES, hi = lo + PA_PAGE_BYTES;
	const struct pa_cursor at_page_begin = { .sp = lo + 8 }, on_unknown_page = { .sp = lo };
	pa_stack_bounds_set(self, least, lo, hi + PA_PAGE_BYTES);
	pa_walk_start(self, at_page_begin, false);
	assert_int_equal(self->stack_lo, lo);
	pa_walk_start(self, at_page_begin, true);
	assert_int_equal(self->stack_lo, least);

	pa_stack_bounds_set(self, least, hi, hi + PA_PAGE_BYTES);
	assert_int_equal(mprotect(pages, PA_PAGE_BYTES, PROT_NONE), 0);
	struct pa_walk walk = pa_walk_start(self, on_unknown_page, true);
	assert_true(pa_walk_is_own(&walk));
	assert_int_equal(self->stack_lo, lo);
	munmap(pages, 3 * PA_PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warm_walk_finds_all_callers),
		cmocka_unit_test(unknown_stack_is_walked_on_copies),
		cmocka_unit_test(walk_stands_at_the_first_unknown_frame),
		cmocka_unit_test(walk_is_cut_at_the_limit),
		cmocka_unit_test(frame_pointer_that_was_popped_is_read_from_the_red_zone),
		cmocka_unit_test(unreadable_stack_ends_the_walk),
		cmocka_unit_test(frame_pointer_must_lie_in_the_stack),
		cmocka_unit_test(return_address_by_a_frame_pointer_must_be_known),
		cmocka_unit_test(stack_ends_below_a_guard_page_of_its_own),
		cmocka_unit_test(wild_registers_end_the_walk),
		cmocka_unit_test(copy_stops_before_unreadable_memory),
		cmocka_unit_test(copy_of_the_own_stack_ends_at_its_top),
		cmocka_unit_test(red_zone_may_begin_below_the_own_stack),
		cmocka_unit_test(red_zone_becomes_a_part_of_the_own_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
