/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "agent/arch/arch.h"
#include "agent/base/arena.h"
#include "agent/base/kept_pages.h"

#define MANY 40

static const size_t sizes[] = { 1, PA_PAGE_BYTES + 1, (size_t)16 << 10, (size_t)20 << 10,
	PA_KEPT_PAGES_LARGEST_BYTES };

static int drop_kept(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), 0);
	return 0;
}

static void assert_zero(const char *region, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(region[i], 0);
}

static void a_region_is_kept_and_is_zero_again(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(sizes); i++) {
		char *first = pa_kept_pages_map(sizes[i]);
		size_t mapped = pa_map_bytes();
		assert_zero(first, sizes[i]);
		memset(first, 0xCD, sizes[i]);
		pa_kept_pages_unmap(first, sizes[i]);
		assert_int_equal(pa_map_bytes(), mapped);
		char *second = pa_kept_pages_map(sizes[i]);
		assert_ptr_equal(second, first);
		assert_zero(second, sizes[i]);
		pa_kept_pages_unmap(second, sizes[i]);
		pa_kept_pages_trim();
		assert_int_equal(pa_map_bytes(), 0);
	}
}

static void a_region_of_few_bytes_has_room_for_more_the_next_time(void **unused)
{
	const size_t most = (size_t)16 << 10;

	(void)unused;
	char *few = pa_kept_pages_map(1);
	few[0] = 1;
	pa_kept_pages_unmap(few, 1);
	char *more = pa_kept_pages_map(most);
	assert_ptr_equal(more, few);
	assert_zero(more, most);
	memset(more, 1, most);
	pa_kept_pages_unmap(more, most);
}

static void regions_in_use_are_apart(void **unused)
{
	char *regions[MANY];

	(void)unused;
	for (size_t i = 0; i < MANY; i++) {
		regions[i] = pa_kept_pages_map(sizes[i % PA_COUNT(sizes)]);
		memset(regions[i], (int)i + 1, sizes[i % PA_COUNT(sizes)]);
	}
	for (size_t i = 0; i < MANY; i++) {
		const size_t bytes = sizes[i % PA_COUNT(sizes)];
		for (size_t at = 0; at < bytes; at++)
			assert_int_equal(regions[i][at], i + 1);
		pa_kept_pages_unmap(regions[i], bytes);
	}
}

static void not_more_are_kept_than_one_request_needs(void **unused)
{
	char *regions[MANY];

	(void)unused;
	for (size_t i = 0; i < MANY; i++)
		regions[i] = pa_kept_pages_map(1);
	size_t mapped = pa_map_bytes();
	for (size_t i = 0; i < MANY; i++)
		pa_kept_pages_unmap(regions[i], 1);
	assert_in_range(pa_map_bytes(), 1, mapped / 3);
}

static void larger_ones_are_not_kept(void **unused)
{
	const size_t bytes = PA_KEPT_PAGES_LARGEST_BYTES + 1;

	(void)unused;
	char *region = pa_kept_pages_map(bytes);
	region[bytes - 1] = 1;
	pa_kept_pages_unmap(region, bytes);
	assert_int_equal(pa_map_bytes(), 0);
}

static void no_bytes_and_no_memory_are_no_region(void **unused)
{
	(void)unused;
	assert_null(pa_kept_pages_map(0));
	assert_null(pa_kept_pages_map(SIZE_MAX));
	pa_kept_pages_unmap(NULL, 1);
	assert_int_equal(pa_map_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_region_is_kept_and_is_zero_again, drop_kept),
		cmocka_unit_test_teardown(a_region_of_few_bytes_has_room_for_more_the_next_time,
			drop_kept),
		cmocka_unit_test_teardown(regions_in_use_are_apart, drop_kept),
		cmocka_unit_test_teardown(not_more_are_kept_than_one_request_needs, drop_kept),
		cmocka_unit_test_teardown(larger_ones_are_not_kept, drop_kept),
		cmocka_unit_test_teardown(no_bytes_and_no_memory_are_no_region, drop_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
