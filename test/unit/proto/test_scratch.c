/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/arena.h"
#include "agent/base/kept_pages.h"
#include "proto/scratch.h"

static void contents_move_and_new_bytes_are_zero(void **unused)
{
	struct pa_scratch region = { 0 };
	unsigned char *bytes;
	size_t old;

	(void)unused;
	assert_true(pa_scratch(&region, 1));
	old = region.bytes;
	memset(region.at, 0xAB, old);
	assert_true(pa_scratch(&region, old + 1));
	assert_int_equal(region.bytes, 2 * old);
	bytes = region.at;
	for (size_t i = 0; i < region.bytes; i++)
		assert_int_equal(bytes[i], i < old ? 0xAB : 0);
	pa_scratch_free(&region);
	assert_null(region.at);
}

static void region_that_suffices_stays(void **unused)
{
	struct pa_scratch region = { 0 };
	void *at;

	(void)unused;
	assert_true(pa_scratch(&region, 100000));
	at = region.at;
	assert_true(pa_scratch(&region, 100000));
	assert_true(pa_scratch(&region, 1));
	assert_ptr_equal(region.at, at);
	pa_scratch_free(&region);
}

static void impossible_size_leaves_the_region_whole(void **unused)
{
	struct pa_scratch region = { 0 };
	size_t mapped;

	(void)unused;
	assert_true(pa_scratch(&region, 1));
	mapped = pa_map_bytes();
	memset(region.at, 0xCD, region.bytes);
	assert_false(pa_scratch(&region, SIZE_MAX));
	assert_false(pa_scratch(&region, (size_t)1 << 62));
	assert_int_equal(*((unsigned char *)region.at + region.bytes - 1), 0xCD);
	assert_int_equal(pa_map_bytes(), mapped);
	pa_scratch_free(&region);
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_move_and_new_bytes_are_zero),
		cmocka_unit_test(region_that_suffices_stays),
		cmocka_unit_test(impossible_size_leaves_the_region_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
