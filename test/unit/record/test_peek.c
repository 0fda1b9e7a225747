/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "agent/arch/arch.h"
#include "agent/record/peek.h"
#include "test/lib/c/record_fixture.h"

#define PAGES 12

/* Pages with a pattern, of which those from hole on cannot be read. */
static char *pages_with_a_hole(size_t hole)
{
	char *pages = mmap(NULL, PAGES * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < PAGES * PA_PAGE_BYTES; i++)
		pages[i] = (char)(i * 31 + (i >> 8));
	mprotect(pages + hole * PA_PAGE_BYTES, (PAGES - hole) * PA_PAGE_BYTES, PROT_NONE);
	return pages;
}

static void copies_what_is_there(void **unused)
{
	(void)unused;
	static char copy[PAGES * PA_PAGE_BYTES];
	char *pages = pages_with_a_hole(PAGES);
	const size_t from[] = { 0, 1, 4090, 4096, 8000 }, bytes[] = { 1, 8, 4096, 9000, 36000 };
	for (size_t i = 0; i < PA_COUNT(from); i++)
		for (size_t j = 0; j < PA_COUNT(bytes); j++) {
			memset(copy, 0, sizeof(copy));
			assert_int_equal(pa_peek(copy, (uintptr_t)pages + from[i], bytes[j]),
				bytes[j]);
			assert_memory_equal(copy, pages + from[i], bytes[j]);
			assert_int_equal(copy[bytes[j]], 0);
		}
	munmap(pages, PAGES * PA_PAGE_BYTES);
}

static void copy_ends_at_a_page_that_cannot_be_read(void **unused)
{
	(void)unused;
	static char copy[PAGES * PA_PAGE_BYTES];
	for (size_t hole = 0; hole < PAGES; hole++) {
		char *pages = pages_with_a_hole(hole);
		size_t readable = hole * PA_PAGE_BYTES;
		errno = 77;
		assert_int_equal(pa_peek(copy, (uintptr_t)pages, sizeof(copy)), readable);
		assert_int_equal(errno, 77);
		assert_memory_equal(copy, pages, readable);
		munmap(pages, PAGES * PA_PAGE_BYTES);
		assert_int_equal(pa_peek(copy, (uintptr_t)pages, sizeof(copy)), 0);
	}
}

static void addresses_that_are_none_are_not_read(void **unused)
{
	(void)unused;
	static const uintptr_t wild[] = { 0, 8, 4095, 0x7fffffffffff, (uintptr_t)1 << 47,
		0x8000000000000000, UINTPTR_MAX };
	char copy[64];
	for (size_t i = 0; i < PA_COUNT(wild); i++)
		assert_int_equal(pa_peek(copy, wild[i], sizeof(copy)), 0);
}

static void code_that_may_only_be_executed_is_not_read(void **unused)
{
	(void)unused;
	char copy[8];
	char *code = mmap(NULL, PA_PAGE_BYTES, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pa_peek(copy, (uintptr_t)code, sizeof(copy)), 0);
	munmap(code, PA_PAGE_BYTES);
}

static PA_ATOMIC(bool) over;

static void *unmap_again_and_again(void *pages)
{
	while (!pa_load_relaxed(&over)) {
		munmap(pages, PAGES * PA_PAGE_BYTES);
		mmap(pages, PAGES * PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	return NULL;
}

static void memory_that_comes_and_goes_is_no_fault(void **unused)
{
	(void)unused;
	static char copy[PAGES * PA_PAGE_BYTES];
	char *pages = pages_with_a_hole(PAGES);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, unmap_again_and_again, pages), 0);
	for (int i = 0; i < 20000; i++)
		pa_peek(copy, (uintptr_t)pages, sizeof(copy));
	pa_store_relaxed(&over, true);
	pthread_join(thread, NULL);
}

static void *copy_own_stack(void *main_has_ended)
{
	char copy[64], *text = "on a thread";
	pthread_join(*(pthread_t *)main_has_ended, NULL);
	if (pa_peek(copy, (uintptr_t)text, 12) != 12 || strcmp(copy, text) != 0)
		_exit(1);
	_exit(0);
}

static void memory_is_read_when_the_main_thread_has_ended(void **unused)
{
	(void)unused;
	int status;
	static pthread_t main_thread;
#ifdef __SANITIZE_THREAD__
	skip(); /* it knows no thread that is created in a child and outlives its main thread */
#endif
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		main_thread = pthread_self();
		pthread_create(&thread, NULL, copy_own_stack, &main_thread);
		pthread_exit(NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void pages_are_readable_when_all_of_them_are(void **unused)
{
	(void)unused;
	char *pages = pages_with_a_hole(8);
	uintptr_t at = (uintptr_t)pages;
	assert_true(pa_peek_is_readable(at, at + 8 * PA_PAGE_BYTES));
	assert_false(pa_peek_is_readable(at, at + 9 * PA_PAGE_BYTES));
	munmap(pages + 3 * PA_PAGE_BYTES, PA_PAGE_BYTES);
	assert_false(pa_peek_is_readable(at, at + 8 * PA_PAGE_BYTES));
	assert_true(pa_peek_is_readable(at, at + 3 * PA_PAGE_BYTES));
	munmap(pages, PAGES * PA_PAGE_BYTES);
}

/* Where the main thread's stack begins now: the mapping that has the address. */
static uintptr_t stack_start(void)
{
	char line[512];
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), lo = 0, hi = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &lo, &hi) == 2 && here >= lo && here < hi)
			break;
	fclose(maps);
	return lo;
}

static void stack_does_not_grow_when_it_is_asked_for(void **unused)
{
	(void)unused;
	uintptr_t before = stack_start(), below = before - 16 * PA_PAGE_BYTES;
	assert_false(pa_peek_is_readable(below, before + PA_PAGE_BYTES));
	assert_int_equal(stack_start(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_what_is_there),
		cmocka_unit_test(copy_ends_at_a_page_that_cannot_be_read),
		cmocka_unit_test(addresses_that_are_none_are_not_read),
		cmocka_unit_test(code_that_may_only_be_executed_is_not_read),
		cmocka_unit_test(memory_that_comes_and_goes_is_no_fault),
		cmocka_unit_test(memory_is_read_when_the_main_thread_has_ended),
		cmocka_unit_test(pages_are_readable_when_all_of_them_are),
		cmocka_unit_test(stack_does_not_grow_when_it_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
