/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

#include <errno.h>
#include <string.h>

#include "agent/base/arena.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static void objects_are_zeroed_aligned_and_apart(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", 4 * MIB);
	char *objects[500];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(objects); i++) {
		size_t bytes = 1 + i * 7 % 900;

		objects[i] = pa_arena_alloc(&arena, bytes);
		assert_non_null(objects[i]);
		assert_int_equal((uintptr_t)objects[i] % 16, 0);
		for (size_t at = 0; at < bytes; at++)
			assert_int_equal(objects[i][at], 0);
		memset(objects[i], (int)(i & 0xff), bytes);
	}
	for (size_t i = 0; i < PA_COUNT(objects); i++)
		for (size_t at = 0; at < 1 + i * 7 % 900; at++)
			assert_int_equal((unsigned char)objects[i][at], i & 0xff);
	pa_arena_free(&arena);
}

static void no_bytes_are_still_an_object_of_their_own(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", MIB);
	void *one = pa_arena_alloc(&arena, 0);
	void *other = pa_arena_alloc(&arena, 0);

	(void)unused;
	assert_non_null(one);
	assert_non_null(other);
	assert_ptr_not_equal(one, other);
	pa_arena_free(&arena);
}

static void chunks_double_from_64_kib_to_1_mib(void **unused)
{
	static const size_t expected_kib[] = { 64, 128, 256, 512, 1024, 1024 };
	struct pa_arena arena = PA_ARENA_INIT("test", 16 * MIB);
	size_t before = 0;

	(void)unused;
	for (size_t chunk = 0; chunk < PA_COUNT(expected_kib);) {
		assert_non_null(pa_arena_alloc(&arena, 4 * KIB));
		if (arena.mapped_bytes == before)
			continue;
		assert_int_equal(arena.mapped_bytes - before, expected_kib[chunk] * KIB);
		before = arena.mapped_bytes;
		chunk++;
	}
	pa_arena_free(&arena);
}

static void a_large_object_leaves_the_chunk_being_filled(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", 16 * MIB);
	char *small = pa_arena_alloc(&arena, 16);
	char *large = pa_arena_alloc(&arena, 5 * MIB);
	char *next = pa_arena_alloc(&arena, 16);

	(void)unused;
	assert_non_null(large);
	large[0] = large[5 * MIB - 1] = 1;
	assert_ptr_equal(next, small + 16);
	pa_arena_free(&arena);
}

static void the_cap_is_used_up_and_never_passed(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", 200 * KIB + 100);
	size_t got = 0;

	(void)unused;
	while (pa_arena_alloc(&arena, 1000))
		got += 1000;
	assert_true(arena.mapped_bytes <= arena.cap_bytes);
	assert_true(got > 190 * KIB);
	assert_null(pa_arena_alloc(&arena, 64 * KIB));
	pa_arena_free(&arena);
}

static void absurd_sizes_are_refused(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", SIZE_MAX);

	(void)unused;
	/* room for a size that wraps around to little */
	assert_non_null(pa_arena_alloc(&arena, 16));
	assert_null(pa_arena_alloc(&arena, SIZE_MAX));
	assert_null(pa_arena_alloc(&arena, SIZE_MAX - 3));
	assert_null(pa_arena_alloc(&arena, (size_t)PTRDIFF_MAX + 1));
	assert_null(pa_arena_strndup(&arena, "x", SIZE_MAX));
	assert_int_equal(arena.mapped_bytes, 64 * KIB);
	pa_arena_free(&arena);
	arena.cap_bytes = MIB;
	assert_null(pa_arena_alloc(&arena, MIB));
	assert_null(pa_arena_alloc(&arena, MIB + 1));
	assert_int_equal(arena.mapped_bytes, 0);
}

static void strndup_copies_len_bytes_and_ends_them(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", MIB);
	char *copy = pa_arena_strndup(&arena, "malloc_consolidate", 6);

	(void)unused;
	assert_string_equal(copy, "malloc");
	assert_string_equal(pa_arena_strndup(&arena, "", 0), "");
	pa_arena_free(&arena);
}

static void free_gives_all_back_and_the_arena_can_start_again(void **unused)
{
	struct pa_arena arena = PA_ARENA_INIT("test", 8 * MIB);
	size_t before = pa_map_bytes();

	(void)unused;
	for (int i = 0; i < 100; i++)
		assert_non_null(pa_arena_alloc(&arena, 20 * KIB));
	assert_int_equal(pa_map_bytes() - before, arena.mapped_bytes);
	pa_arena_free(&arena);
	assert_int_equal(pa_map_bytes(), before);
	assert_int_equal(arena.mapped_bytes, 0);
	assert_non_null(pa_arena_alloc(&arena, 16));
	assert_int_equal(arena.mapped_bytes, 64 * KIB);
	pa_arena_free(&arena);
}

static void map_counts_whole_pages(void **unused)
{
	size_t before = pa_map_bytes();
	char *memory = pa_map(5000);

	(void)unused;
	assert_non_null(memory);
	assert_int_equal(memory[0] | memory[4999] | memory[8191], 0);
	memory[8191] = 1;
	assert_int_equal(pa_map_bytes() - before, 8192);
	pa_unmap(memory, 5000);
	assert_int_equal(pa_map_bytes(), before);
}

static void map_fails_with_null_and_keeps_errno(void **unused)
{
	size_t before = pa_map_bytes();

	(void)unused;
	errno = 4711;
	assert_null(pa_map(0));
	assert_null(pa_map(SIZE_MAX));
	assert_null(pa_map(PTRDIFF_MAX));
	pa_unmap(NULL, 4096);
	pa_unmap((void *)1, 4096);
	assert_int_equal(errno, 4711);
	assert_int_equal(pa_map_bytes(), before);
}

/* A program that maps again what it has unmapped must not find us there. */
static void mappings_are_not_put_into_holes(void **unused)
{
	(void)unused;
	const size_t bytes = 64 << 10;
	char *hole =
		mmap(NULL, 3 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hole, MAP_FAILED);
	munmap(hole + bytes, bytes);
	for (int i = 0; i < 100; i++) {
		void *memory = pa_map(bytes / 4);
		assert_true((char *)memory < hole || (char *)memory >= hole + 3 * bytes);
		if (i % 2)
			pa_unmap(memory, bytes / 4);
	}
	munmap(hole, 3 * bytes);
}

static void aligned_mappings_are_aligned_neighbours(void **unused)
{
	const size_t alignment = 64 << 10;
	size_t before = pa_map_bytes();
	char *first = pa_map_aligned(alignment, alignment);

	(void)unused;
	pa_unmap(pa_map(4096), 4096); /* moves the place to no multiple of it */
	char *second = pa_map_aligned(alignment, alignment);
	char *third = pa_map_aligned(alignment, alignment);
	assert_true((uintptr_t)first % alignment == 0 && (uintptr_t)second % alignment == 0);
	assert_ptr_equal(third, second + alignment);
	for (size_t i = 0; i < 2 * alignment; i++)
		assert_int_equal(second[i], 0);
	pa_unmap(first, alignment);
	pa_unmap(second, 2 * alignment);
	assert_int_equal(pa_map_bytes(), before);
}

static void what_is_in_the_way_of_an_aligned_mapping_does_not_matter(void **unused)
{
	const size_t alignment = 64 << 10;
	char *before = pa_map_aligned(alignment, alignment);
	/* A page in each place that is asked for next. */
	char *wall = mmap(before + alignment + 4096, 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	(void)unused;
	assert_ptr_equal(wall, before + alignment + 4096);
	char *memory = pa_map_aligned(alignment, alignment);
	assert_non_null(memory);
	assert_int_equal((uintptr_t)memory % alignment, 0);
	memory[0] = memory[alignment - 1] = 1;
	pa_unmap(memory, alignment);
	pa_unmap(before, alignment);
	munmap(wall, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* it has shadow memory where mappings of ours are asked for */
		cmocka_unit_test(mappings_are_not_put_into_holes),
#endif
		cmocka_unit_test(objects_are_zeroed_aligned_and_apart),
		cmocka_unit_test(no_bytes_are_still_an_object_of_their_own),
		cmocka_unit_test(chunks_double_from_64_kib_to_1_mib),
		cmocka_unit_test(a_large_object_leaves_the_chunk_being_filled),
		cmocka_unit_test(the_cap_is_used_up_and_never_passed),
		cmocka_unit_test(absurd_sizes_are_refused),
		cmocka_unit_test(strndup_copies_len_bytes_and_ends_them),
		cmocka_unit_test(free_gives_all_back_and_the_arena_can_start_again),
		cmocka_unit_test(map_counts_whole_pages),
		cmocka_unit_test(aligned_mappings_are_aligned_neighbours),
		cmocka_unit_test(what_is_in_the_way_of_an_aligned_mapping_does_not_matter),
		cmocka_unit_test(map_fails_with_null_and_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
