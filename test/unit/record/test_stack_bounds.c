/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "agent/arch/arch.h"
#include "agent/record/stack_bounds.h"
#include "test/lib/c/record_fixture.h"

/* A stack whose lower part is not known, as the main thread's: pages at lo, all that may be its. */
static struct pa_thread *at_the_top_of(uintptr_t lo, size_t pages)
{
	struct pa_thread *self = &pa_thread_self;
	self->stack_least = lo;
	self->stack_hi = lo + pages * PA_PAGE_BYTES;
	self->stack_lo = self->stack_hi - PA_PAGE_BYTES;
	return self;
}

static uintptr_t map_pages(size_t pages)
{
	void *memory = mmap(NULL, pages * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	return (uintptr_t)memory;
}

static void stack_is_extended_to_where_the_thread_stands(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	uintptr_t lo = map_pages(200);
	struct pa_thread *self = at_the_top_of(lo, 200);
	uintptr_t sp = lo + 100 * PA_PAGE_BYTES + 500;
	assert_true(pa_stack_bounds_may_extend(self, sp));
	pa_stack_bounds_extend(sp);
	assert_int_equal(self->stack_lo, lo + 100 * PA_PAGE_BYTES);
	assert_false(pa_stack_bounds_may_extend(self, sp));
	assert_false(pa_stack_bounds_may_extend(self, lo - 8));
	munmap((void *)lo, 200 * PA_PAGE_BYTES);
}

static void stack_is_not_extended_over_a_hole(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	uintptr_t lo = map_pages(200), hole = lo + 150 * PA_PAGE_BYTES;
	struct pa_thread *self = at_the_top_of(lo, 200);
	mprotect((void *)hole, PA_PAGE_BYTES, PROT_NONE);
	pa_stack_bounds_extend(lo + 100 * PA_PAGE_BYTES);
	assert_true(self->stack_lo > hole);
	munmap((void *)hole, PA_PAGE_BYTES);
	pa_stack_bounds_extend(lo + 100 * PA_PAGE_BYTES);
	assert_true(self->stack_lo > hole);
	munmap((void *)lo, 200 * PA_PAGE_BYTES);
}

static void stack_ends_above_what_is_taken_out_of_it(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	uintptr_t lo = 100 * PA_PAGE_BYTES, hi = 200 * PA_PAGE_BYTES;
	struct pa_thread *self = &pa_thread_self;
	self->stack_lo = self->stack_least = lo;
	self->stack_hi = hi;
	pa_stack_bounds_cut(lo - PA_PAGE_BYTES, lo);
	pa_stack_bounds_cut(hi, hi + PA_PAGE_BYTES);
	pa_stack_bounds_cut(0, 0);
	assert_int_equal(self->stack_lo, lo);
	pa_stack_bounds_cut(lo, lo + PA_PAGE_BYTES);
	assert_int_equal(self->stack_lo, lo + PA_PAGE_BYTES);
	pa_stack_bounds_cut(lo + 50 * PA_PAGE_BYTES, lo + 51 * PA_PAGE_BYTES - 1);
	assert_int_equal(self->stack_lo, lo + 51 * PA_PAGE_BYTES);
	assert_false(pa_stack_bounds_may_extend(self, lo + 20 * PA_PAGE_BYTES));
	pa_stack_bounds_cut(0, UINTPTR_MAX);
	assert_int_equal(self->stack_lo, hi);
	memset(self, 0, sizeof(*self));
	pa_stack_bounds_cut(0, UINTPTR_MAX);
	assert_int_equal(self->stack_hi, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_is_extended_to_where_the_thread_stands),
		cmocka_unit_test(stack_is_not_extended_over_a_hole),
		cmocka_unit_test(stack_ends_above_what_is_taken_out_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
