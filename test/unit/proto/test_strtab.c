/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/base/arena.h"
#include "agent/base/kept_pages.h"
#include "proto/scratch.h"
#include "proto/strtab.h"

#define MANY 20000

/* Stands in for the kernel: fails from the call number fail_at on. */
static struct {
	size_t calls, fail_at, open;
} kernel;

PA_APP void *pa_map(size_t bytes)
{
	if (kernel.fail_at && ++kernel.calls >= kernel.fail_at)
		return NULL;
	kernel.open += bytes;
	return calloc(1, bytes);
}

PA_APP void pa_unmap(void *memory, size_t bytes)
{
	kernel.open -= memory ? bytes : 0;
	free(memory);
}

static int reset(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static void empty_text_is_number_zero(void **unused)
{
	struct pa_strtab table = { 0 };

	(void)unused;
	assert_int_equal(pa_strtab_init(&table), 0);
	assert_int_equal(table.count, 1);
	assert_string_equal(pa_strtab_text(&table, 0), "");
	assert_int_equal(pa_strtab_index(&table, ""), 0);
	assert_int_equal(pa_strtab_index(&table, NULL), 0);
	assert_int_equal(table.count, 1);
	pa_strtab_free(&table);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

static void equal_texts_share_a_number(void **unused)
{
	struct pa_strtab table = { 0 };
	char copy[] = "malloc";

	(void)unused;
	assert_int_equal(pa_strtab_init(&table), 0);
	assert_int_equal(pa_strtab_index(&table, "malloc"), 1);
	assert_int_equal(pa_strtab_index(&table, "free"), 2);
	assert_int_equal(pa_strtab_index(&table, copy), 1);
	assert_int_equal(table.count, 3);
	pa_strtab_free(&table);
}

static void many_texts_keep_their_numbers(void **unused)
{
	static char texts[MANY][16];
	struct pa_strtab table = { 0 };

	(void)unused;
	assert_int_equal(pa_strtab_init(&table), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "function_%d", i);
		assert_int_equal(pa_strtab_index(&table, texts[i]), i + 1);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(pa_strtab_index(&table, texts[i]), i + 1);
		assert_ptr_equal(pa_strtab_text(&table, (uint32_t)i + 1), texts[i]);
	}
	assert_int_equal(table.count, MANY + 1);
	pa_strtab_free(&table);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

static void text_is_found_without_being_added(void **unused)
{
	static char texts[100][16];
	struct pa_strtab table = { 0 };

	(void)unused;
	assert_int_equal(pa_strtab_init(&table), 0);
	assert_int_equal(pa_strtab_find(&table, ""), 0);
	assert_int_equal(pa_strtab_find(&table, NULL), 0);
	assert_int_equal(pa_strtab_find(&table, "malloc"), -1);
	assert_int_equal(table.count, 1);
	for (int i = 0; i < 100; i++) {
		snprintf(texts[i], sizeof(texts[i]), "function_%d", i);
		assert_int_equal(pa_strtab_find(&table, texts[i]), -1);
		assert_int_equal(pa_strtab_index(&table, texts[i]), i + 1);
		assert_int_equal(pa_strtab_find(&table, texts[i / 2]), i / 2 + 1);
	}
	assert_int_equal(table.count, 101);
	pa_strtab_free(&table);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

static void table_without_memory_says_so_and_stays_whole(void **unused)
{
	static char texts[MANY][16];
	struct pa_strtab table = { 0 };
	int64_t index = 0;
	int count;

	(void)unused;
	assert_int_equal(pa_strtab_init(&table), 0);
	kernel.fail_at = 1;
	for (count = 0; count < MANY; count++) {
		snprintf(texts[count], sizeof(texts[count]), "function_%d", count);
		index = pa_strtab_index(&table, texts[count]);
		if (index < 0)
			break;
	}
	assert_int_equal(index, -ENOMEM);
	for (int i = 0; i < count; i++)
		assert_int_equal(pa_strtab_index(&table, texts[i]), i + 1);
	kernel.fail_at = 0;
	assert_int_equal(pa_strtab_index(&table, texts[count]), count + 1);
	pa_strtab_free(&table);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_text_is_number_zero, reset),
		cmocka_unit_test_setup(equal_texts_share_a_number, reset),
		cmocka_unit_test_setup(many_texts_keep_their_numbers, reset),
		cmocka_unit_test_setup(text_is_found_without_being_added, reset),
		cmocka_unit_test_setup(table_without_memory_says_so_and_stays_whole, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
