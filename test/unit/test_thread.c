#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/unit/record_fixture.h"

static void main_thread_is_met_with_its_bounds(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_thread_meet(&pa_thread_self);
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	assert_int_equal(pa_thread_self.tid, getpid());
	assert_in_range(sp, pa_thread_self.stack_lo, pa_thread_self.stack_hi - 1);
}

static void *started(void *size)
{
	struct pa_thread *self = &pa_thread_self;
	pa_thread_started(self, &(struct pa_stack_size){ (size_t)size, 4096, false });
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	void *base;
	size_t bytes;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &base, &bytes);
	pthread_attr_destroy(&attr);
	/* Inside what is really the stack, and wide enough to hold us. */
	assert_in_range(self->stack_lo, (uintptr_t)base, sp);
	assert_in_range(self->stack_hi, sp, (uintptr_t)base + bytes);
	assert_int_equal(self->tid, syscall(SYS_gettid));
	return NULL;
}

static void bounds_of_a_new_thread_lie_inside_its_stack(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
#ifdef __SANITIZE_THREAD__
	skip(); /* it makes stacks larger than it was asked to, for TLS of its own */
#endif
	const size_t sizes[] = { 16 << 10, 64 << 10, 1 << 20, 8 << 20 };
	for (size_t i = 0; i < PA_COUNT(sizes); i++) {
		pthread_t thread;
		pthread_attr_t attr;
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, sizes[i]);
		assert_int_equal(pthread_create(&thread, &attr, started, (void *)sizes[i]), 0);
		pthread_join(thread, NULL);
		pthread_attr_destroy(&attr);
	}
}

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
	assert_true(pa_thread_may_extend(self, sp));
	pa_thread_extend_stack(sp);
	assert_int_equal(self->stack_lo, lo + 100 * PA_PAGE_BYTES);
	assert_false(pa_thread_may_extend(self, sp));
	assert_false(pa_thread_may_extend(self, lo - 8));
	munmap((void *)lo, 200 * PA_PAGE_BYTES);
}

static void stack_is_not_extended_over_a_hole(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	uintptr_t lo = map_pages(200), hole = lo + 150 * PA_PAGE_BYTES;
	struct pa_thread *self = at_the_top_of(lo, 200);
	mprotect((void *)hole, PA_PAGE_BYTES, PROT_NONE);
	pa_thread_extend_stack(lo + 100 * PA_PAGE_BYTES);
	assert_true(self->stack_lo > hole);
	munmap((void *)hole, PA_PAGE_BYTES);
	pa_thread_extend_stack(lo + 100 * PA_PAGE_BYTES);
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
	pa_thread_cut_stack(lo - PA_PAGE_BYTES, lo);
	pa_thread_cut_stack(hi, hi + PA_PAGE_BYTES);
	pa_thread_cut_stack(0, 0);
	assert_int_equal(self->stack_lo, lo);
	pa_thread_cut_stack(lo, lo + PA_PAGE_BYTES);
	assert_int_equal(self->stack_lo, lo + PA_PAGE_BYTES);
	pa_thread_cut_stack(lo + 50 * PA_PAGE_BYTES, lo + 51 * PA_PAGE_BYTES - 1);
	assert_int_equal(self->stack_lo, lo + 51 * PA_PAGE_BYTES);
	assert_false(pa_thread_may_extend(self, lo + 20 * PA_PAGE_BYTES));
	pa_thread_cut_stack(0, UINTPTR_MAX);
	assert_int_equal(self->stack_lo, hi);
	memset(self, 0, sizeof(*self));
	pa_thread_cut_stack(0, UINTPTR_MAX);
	assert_int_equal(self->stack_hi, 0);
}

static void *met_only(void *unused)
{
	(void)unused;
	pa_thread_meet(&pa_thread_self);
	assert_int_equal(pa_thread_self.stack_hi, 0);
	assert_int_not_equal(pa_thread_self.tid, getpid());
	return NULL;
}

static void thread_that_did_not_come_through_us_has_unknown_bounds(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, met_only, NULL), 0);
	pthread_join(thread, NULL);
}

static void *be_agent(void *unused)
{
	(void)unused;
	pa_thread_become_agent();
	assert_true(pa_thread_is_agent((int32_t)syscall(SYS_gettid)));
	assert_true(pa_thread_self.heap_left == 0);
	return NULL;
}

static void agent_threads_are_known_and_others_are_not(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, be_agent, NULL), 0);
	pthread_join(thread, NULL);
	assert_false(pa_thread_is_agent(getpid()));
}

static void random_bits_differ_between_calls_and_are_balanced(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	int ones = 0;
	uint64_t last = pa_thread_random(&pa_thread_self);
	for (int i = 0; i < 10000; i++) {
		uint64_t next = pa_thread_random(&pa_thread_self);
		assert_true(next != last);
		ones += __builtin_popcountll(next);
		last = next;
	}
	assert_in_range(ones, 315000, 325000);
}

static void child_knows_its_own_tid(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_thread_meet(&pa_thread_self);
	pid_t child = fork();
	if (child == 0) {
		pa_thread_atfork_child();
		_exit(pa_thread_self.tid == getpid() && pa_record.pid == getpid() ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_thread_is_met_with_its_bounds),
		cmocka_unit_test(bounds_of_a_new_thread_lie_inside_its_stack),
		cmocka_unit_test(stack_is_extended_to_where_the_thread_stands),
		cmocka_unit_test(stack_is_not_extended_over_a_hole),
		cmocka_unit_test(stack_ends_above_what_is_taken_out_of_it),
		cmocka_unit_test(thread_that_did_not_come_through_us_has_unknown_bounds),
		cmocka_unit_test(agent_threads_are_known_and_others_are_not),
		cmocka_unit_test(random_bits_differ_between_calls_and_are_balanced),
		cmocka_unit_test(child_knows_its_own_tid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
