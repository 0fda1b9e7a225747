/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "agent/base/arena.h"
#include "agent/core/core.h"
#include "agent/modules/maps.h"
#include "agent/profile/memstats.h"

#define BLOCK_BYTES ((size_t)8 << 20)

/* Two modules: one around the C library's mallinfo2, and one that has some other malloc. */
static struct pa_module modules[2];
static struct pa_bridge bridge;
struct pa_bridge *pa_core_bridge = &bridge;
static char other_code[64];

PA_AGENT uint32_t pa_maps_count(void)
{
	return 2;
}

PA_AGENT struct pa_module *pa_maps_get(uint32_t id)
{
	return &modules[id - 1];
}

static void *other_malloc(void)
{
	return other_code;
}

static int reset(void **unused)
{
	uintptr_t libc = (uintptr_t)gnu_get_libc_version;

	(void)unused;
	modules[0] = (struct pa_module){ .id = 1, .start = libc, .limit = libc + 16 };
	modules[1] = (struct pa_module){ .id = 2,
		.start = (uintptr_t)other_code,
		.limit = (uintptr_t)other_code + sizeof(other_code) };
	/* Only its address is looked at: somewhere in libc. */
	bridge.program_malloc = (void *(*)(size_t))(libc + 1);
	return 0;
}

static void heap_of_libc_counts_what_is_allocated(void **unused)
{
	struct pa_memstats before, during;
	char *block;

	(void)unused;
	pa_memstats_read(&before);
	assert_false(before.heap_known);
	pa_memstats_read_heap(&before);
	block = malloc(BLOCK_BYTES);
	assert_non_null(block);
	memset(block, 1, BLOCK_BYTES);
	pa_memstats_read(&during);
	pa_memstats_read_heap(&during);
	assert_true(before.heap_known && during.heap_known);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(during.heap_sys - during.heap_idle >=
		before.heap_sys - before.heap_idle + BLOCK_BYTES);
#endif
	assert_true(during.heap_idle <= during.heap_sys);
	free(block);
}

static void other_allocator_has_no_known_heap(void **unused)
{
	struct pa_memstats stats;

	(void)unused;
	bridge.program_malloc = (void *(*)(size_t))other_malloc();
	pa_memstats_read(&stats);
	pa_memstats_read_heap(&stats);
	assert_false(stats.heap_known);
	bridge.program_malloc = NULL;
	pa_memstats_read(&stats);
	pa_memstats_read_heap(&stats);
	assert_false(stats.heap_known);
	assert_int_equal(stats.heap_sys, 0);
}

static void touched_memory_is_resident_and_private(void **unused)
{
	struct pa_memstats before, during;
	char *block;

	(void)unused;
	pa_memstats_read(&before);
	block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(block, MAP_FAILED);
	memset(block, 1, BLOCK_BYTES);
	pa_memstats_read(&during);
	munmap(block, BLOCK_BYTES);
	assert_true(during.sys >= before.sys + BLOCK_BYTES);
	/* The kernel counts resident pages in batches. */
	assert_true(during.rss >= before.rss + BLOCK_BYTES / 2);
}

static void largest_size_is_what_the_kernel_says(void **unused)
{
	struct pa_memstats stats;
	struct rusage before, after;

	(void)unused;
	getrusage(RUSAGE_SELF, &before);
	pa_memstats_read(&stats);
	getrusage(RUSAGE_SELF, &after);
	assert_true(stats.max_rss >= (uint64_t)before.ru_maxrss * 1024);
	assert_true(stats.max_rss <= (uint64_t)after.ru_maxrss * 1024);
}

static void tables_are_the_profilers_memory(void **unused)
{
	struct pa_memstats before, during;
	void *table;

	(void)unused;
	pa_memstats_read(&before);
	table = pa_map(BLOCK_BYTES);
	pa_memstats_read(&during);
	pa_unmap(table, BLOCK_BYTES);
	assert_int_equal(during.profiler, before.profiler + BLOCK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(heap_of_libc_counts_what_is_allocated, reset),
		cmocka_unit_test_setup(other_allocator_has_no_known_heap, reset),
		cmocka_unit_test_setup(touched_memory_is_resident_and_private, reset),
		cmocka_unit_test_setup(largest_size_is_what_the_kernel_says, reset),
		cmocka_unit_test_setup(tables_are_the_profilers_memory, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
