/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/record/alloc.h"
#include "agent/record/own_memory.h"
#include "agent/record/thread.h"

static int set_up(void **unused)
{
	(void)unused;
	pa_thread_self.role = PA_ROLE_AGENT;
	pa_thread_self.heap_left = UINT64_MAX; /* cmocka allocates by itself */
	return 0;
}

static void *alloc(size_t bytes)
{
	unsigned char *block = pa_own_memory_alloc(0, bytes);
	assert_non_null(block);
	assert_int_equal((uintptr_t)block % PA_OWN_MEMORY_ALIGNMENT, 0);
	assert_true(pa_own_memory_has(block));
	assert_true(pa_own_memory_size(block) >= bytes);
	assert_true(pa_alloc_maybe_sampled(block));
	memset(block, 0x5a, bytes);
	return block;
}

static void each_size_has_room_and_no_more_than_a_quarter_too_much(void **unused)
{
	(void)unused;
	for (size_t bytes = 0; bytes <= 70000; bytes += bytes < 1000 ? 1 : 37) {
		void *block = alloc(bytes);
		if (bytes > 64)
			assert_true(pa_own_memory_size(block) <= bytes + bytes / 4 + 1);
		pa_own_memory_free(block);
	}
}

static void blocks_do_not_overlap(void **unused)
{
	(void)unused;
	enum { COUNT = 3000 };
	static unsigned char *blocks[COUNT];
	static size_t sizes[COUNT];
	srand(1);
	for (int i = 0; i < COUNT; i++) {
		sizes[i] = (size_t)rand() % (i % 50 ? 600 : 40000) + 1;
		blocks[i] = alloc(sizes[i]);
		memset(blocks[i], i & 0xff, sizes[i]);
	}
	for (int turn = 0; turn < 3 * COUNT; turn++) {
		int i = rand() % COUNT;
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(blocks[i][at], i & 0xff);
		pa_own_memory_free(blocks[i]);
		sizes[i] = (size_t)rand() % 600 + 1;
		blocks[i] = alloc(sizes[i]);
		memset(blocks[i], i & 0xff, sizes[i]);
	}
	for (int i = 0; i < COUNT; i++)
		pa_own_memory_free(blocks[i]);
}

static void what_is_freed_goes_back_to_the_kernel(void **unused)
{
	(void)unused;
	enum { COUNT = 2000 };
	void *blocks[COUNT];
	size_t before = pa_map_bytes();
	for (int i = 0; i < COUNT; i++)
		blocks[i] = alloc(1000);
	void *large = alloc(3 << 20);
	assert_true(pa_map_bytes() >= before + COUNT * 1000 + (3 << 20));
	pa_own_memory_free(large);
	for (int i = 0; i < COUNT; i++)
		pa_own_memory_free(blocks[i]);
	assert_true(pa_map_bytes() <= before + (64 << 10));
}

static void freed_blocks_are_not_known_any_more(void **unused)
{
	(void)unused;
	void *large = alloc(1 << 20);
	assert_true(pa_own_memory_has(large));
	pa_own_memory_free(large);
	assert_false(pa_own_memory_has(large));
	assert_false(pa_alloc_maybe_sampled(large));
}

static void memory_of_others_is_not_known(void **unused)
{
	(void)unused;
	int local;
	void *other = calloc(1, 100);
	assert_false(pa_own_memory_has(other));
	assert_false(pa_own_memory_has(&local));
	assert_false(pa_own_memory_has(NULL));
	free(other);
}

static void alignments_up_to_half_a_slab_are_kept(void **unused)
{
	(void)unused;
	for (size_t alignment = 16; alignment <= 32768; alignment *= 2) {
		void *block = pa_own_memory_alloc(alignment, 100);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % alignment, 0);
		assert_true(pa_own_memory_has(block));
		pa_own_memory_free(block);
	}
	assert_null(pa_own_memory_alloc(65536, 1));
}

static void too_much_is_refused(void **unused)
{
	(void)unused;
	assert_null(pa_own_memory_alloc(0, SIZE_MAX));
	assert_null(pa_own_memory_alloc(0, PTRDIFF_MAX));
	assert_null(pa_own_memory_alloc(0, (size_t)1 << 60));
}

static void thread_of_the_program_frees_without_the_lock(void **unused)
{
	(void)unused;
	size_t before = pa_map_bytes();
	void *large = alloc(1 << 20);
	pa_thread_self.role = PA_ROLE_PROGRAM;
	pa_own_memory_free(large);
	assert_true(pa_map_bytes() > before); /* put aside */
	pa_thread_self.role = PA_ROLE_AGENT;
	pa_own_memory_free(alloc(1));
	assert_true(pa_map_bytes() <= before + (64 << 10));
}

static void *churn(void *seed)
{
	unsigned state = (unsigned)(uintptr_t)seed;
	void *kept[64] = { 0 };
	pa_thread_self.role = state & 1 ? PA_ROLE_AGENT : PA_ROLE_PROGRAM;
	pa_thread_self.heap_left = UINT64_MAX;
	for (int i = 0; i < 30000; i++) {
		int at = rand_r(&state) % 64;
		if (kept[at])
			pa_own_memory_free(kept[at]);
		size_t bytes = (size_t)rand_r(&state) % 2000;
		kept[at] = pa_own_memory_alloc(0, bytes);
		if (kept[at])
			memset(kept[at], at, bytes);
	}
	for (int i = 0; i < 64; i++)
		if (kept[i])
			pa_own_memory_free(kept[i]);
	return NULL;
}

static void threads_allocate_and_free_at_once(void **unused)
{
	(void)unused;
	pthread_t threads[4];
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void child_goes_on_with_new_lists(void **unused)
{
	(void)unused;
	void *block = alloc(100);
	pid_t child = fork();
	if (child == 0) {
		pa_own_memory_atfork_child();
		void *other = pa_own_memory_alloc(0, 100);
		bool good = other && other != block && pa_own_memory_has(block);
		pa_own_memory_free(block);
		pa_own_memory_free(other);
		_exit(good ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_own_memory_free(block);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(each_size_has_room_and_no_more_than_a_quarter_too_much),
		TEST(blocks_do_not_overlap),
		TEST(what_is_freed_goes_back_to_the_kernel),
		TEST(freed_blocks_are_not_known_any_more),
		TEST(memory_of_others_is_not_known),
		TEST(alignments_up_to_half_a_slab_are_kept),
		TEST(too_much_is_refused),
		TEST(thread_of_the_program_frees_without_the_lock),
		TEST(threads_allocate_and_free_at_once),
		TEST(child_goes_on_with_new_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
