/* SPDX-License-Identifier: Apache-2.0 */
/* The file under test defines malloc and its family: here they have other names. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/core.h"

static struct {
	int mallocs, frees, reallocs;
} calls;

static void *next_malloc(size_t bytes)
{
	calls.mallocs++;
	return malloc(bytes);
}

static void *next_realloc(void *block, size_t bytes)
{
	calls.reallocs++;
	return realloc(block, bytes);
}

static void next_free(void *block)
{
	calls.frees++;
	free(block);
}

static void *(*const next_calloc)(size_t, size_t) = calloc;
static int (*const next_posix_memalign)(void **, size_t, size_t) = posix_memalign;
static void *(*const next_aligned_alloc)(size_t, size_t) = aligned_alloc;

#define malloc shim_malloc
#define calloc shim_calloc
#define realloc shim_realloc
#define free shim_free
#define posix_memalign shim_posix_memalign
#define memalign shim_memalign
#define aligned_alloc shim_aligned_alloc
#undef strdup
#define strdup shim_strdup
#define pa_core_bridge test_bridge

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *block, size_t bytes);
void free(void *block);
int posix_memalign(void **block, size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes);
void *aligned_alloc(size_t alignment, size_t bytes);
char *strdup(const char *text);

/* What the file looks at in the bridge, under the names that it sees. */
static struct test_bridge {
	struct {
		void *(*malloc)(size_t);
		void *(*calloc)(size_t, size_t);
		void *(*realloc)(void *, size_t);
		void (*free)(void *);
		int (*posix_memalign)(void **, size_t, size_t);
		void *(*aligned_alloc)(size_t, size_t);
	} memory;
} bridge, *test_bridge;

#include "agent/serve/libc_malloc.c"

static void bridge_is_there(void)
{
	bridge.memory.malloc = next_malloc;
	bridge.memory.calloc = next_calloc;
	bridge.memory.realloc = next_realloc;
	bridge.memory.free = next_free;
	bridge.memory.posix_memalign = next_posix_memalign;
	bridge.memory.aligned_alloc = next_aligned_alloc;
	test_bridge = &bridge;
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&calls, 0, sizeof(calls));
	test_bridge = NULL;
	return 0;
}

static void early_blocks_are_zero_and_apart(void **unused)
{
	(void)unused;
	char *first = malloc(100), *second = calloc(10, 10);
	assert_non_null(first);
	assert_non_null(second);
	assert_true(second >= first + 100 || first >= second + 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(first[i] | second[i], 0);
	assert_int_equal((uintptr_t)first % 16, 0);
	memset(first, 1, 100);
	assert_int_equal(second[0], 0);
	assert_int_equal(calls.mallocs, 0);
}

static void early_blocks_are_recognised_for_ever(void **unused)
{
	(void)unused;
	void *early = malloc(10);
	free(early);
	bridge_is_there();
	free(early);
	assert_int_equal(calls.frees, 0);
	free(NULL);
	assert_int_equal(calls.frees, 0);
}

static void early_blocks_grow_into_real_ones(void **unused)
{
	(void)unused;
	char *early = realloc(NULL, 8);
	memcpy(early, "1234567", 8);
	char *more = realloc(early, 16);
	assert_string_equal(more, "1234567");
	bridge_is_there();
	char *grown = realloc(more, 4000);
	assert_string_equal(grown, "1234567");
	assert_int_equal(calls.mallocs, 1);
	grown = realloc(grown, 8000);
	assert_int_equal(calls.reallocs, 1);
	free(grown);
	assert_int_equal(calls.frees, 1);
}

static void real_blocks_are_the_next_allocators(void **unused)
{
	(void)unused;
	bridge_is_there();
	void *block = malloc(10);
	assert_int_equal(calls.mallocs, 1);
	free(block);
	assert_int_equal(calls.frees, 1);
	block = aligned_alloc(64, 128);
	assert_int_equal((uintptr_t)block % 64, 0);
	free(block);
	block = memalign(4, 100);
	assert_non_null(block);
	free(block);
	assert_int_equal(posix_memalign(&block, 4096, 1), 0);
	assert_int_equal((uintptr_t)block % 4096, 0);
	free(block);
}

static void too_much_is_refused(void **unused)
{
	void *block;
	(void)unused;
	assert_null(malloc((size_t)1 << 30));
	assert_null(malloc(SIZE_MAX));
	assert_null(calloc(SIZE_MAX / 2, 3));
	assert_int_not_equal(posix_memalign(&block, 4096, 16), 0);
}

/* The last test: it leaves nothing. */
static void area_runs_out_without_overlap(void **unused)
{
	char *last = NULL, *block;
	int count = 0;
	(void)unused;
	while ((block = malloc(500))) {
		assert_true(!last || block >= last + 500);
		memset(block, 1, 500);
		last = block;
		count++;
	}
	assert_true(count > 10 && count < 100);
	assert_null(malloc(500));
	assert_null(malloc(1));
}

static void copies_of_texts_are_freed_where_they_came_from(void **unused)
{
	(void)unused;
	bridge_is_there();
	int mallocs = calls.mallocs, frees = calls.frees;
	char *copy = strdup("libz.debug");
	assert_string_equal(copy, "libz.debug");
	free(copy);
	assert_int_equal(calls.mallocs, mallocs + 1);
	assert_int_equal(calls.frees, frees + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(early_blocks_are_zero_and_apart, set_up),
		cmocka_unit_test_setup(early_blocks_are_recognised_for_ever, set_up),
		cmocka_unit_test_setup(early_blocks_grow_into_real_ones, set_up),
		cmocka_unit_test_setup(real_blocks_are_the_next_allocators, set_up),
		cmocka_unit_test_setup(copies_of_texts_are_freed_where_they_came_from, set_up),
		cmocka_unit_test_setup(too_much_is_refused, set_up),
		cmocka_unit_test_setup(area_runs_out_without_overlap, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
