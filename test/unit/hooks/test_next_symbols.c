/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>

#include "hooks/hooks.h"
#include "hooks/next_symbols.h"

/* All names of the hooks, and what the agent calls besides. */
static const char names[] =
#define NAME(name, ...) #name "\0"
	PA_HOOKS(NAME) PA_NEXTS(NAME)
#undef NAME
	;

/* With a sanitizer its library is next, which has strlen as a plain function, and functions that
 * are left to dlsym. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEXT_IS_LIBC false
#else
#define NEXT_IS_LIBC true
#endif

enum {
#define COUNT(name, ...) PLACE_OF_##name,
	PA_HOOKS(COUNT) PA_NEXTS(COUNT)
#undef COUNT
		PLACES
};

static void all_hooked_symbols_are_found_as_by_dlsym(void **unused)
{
	void *found[PLACES] = { 0 };
	size_t missing = 0;
	const char *name = names;
	(void)unused;
	pa_next_symbols_find(names, found, PLACES);
	for (size_t i = 0; i < PLACES; i++, name += strlen(name) + 1) {
		void *expected = dlsym(RTLD_NEXT, name);
		missing += expected && !found[i];
		if (found[i])
			assert_ptr_equal(found[i], expected);
	}
	if (NEXT_IS_LIBC)
		assert_int_equal(missing, 0);
}

static void what_was_found_and_empty_names_are_left_alone(void **unused)
{
	char own;
	void *found[4] = { &own, NULL, NULL, NULL };
	(void)unused;
	pa_next_symbols_find("malloc\0\0free\0no_such_function\0", found, 4);
	assert_ptr_equal(found[0], &own);
	assert_null(found[1]);
	assert_ptr_equal(found[2], dlsym(RTLD_NEXT, "free"));
	assert_null(found[3]);
}

/* The symbol of libc's strlen is the code that chooses one for the processor. */
static void symbols_that_need_the_loader_are_left_to_dlsym(void **unused)
{
	void *found[2] = { NULL, NULL };
	(void)unused;
	pa_next_symbols_find("strlen\0environ\0", found, 2);
	if (NEXT_IS_LIBC)
		assert_null(found[0]);
	assert_null(found[1]);
}

static void definition_of_libc_is_found(void **unused)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	(void)unused;
	assert_non_null(libc);
	assert_ptr_equal(pa_next_symbols_of_libc("clock_gettime"), dlsym(libc, "clock_gettime"));
	assert_null(pa_next_symbols_of_libc("strlen"));
	assert_null(pa_next_symbols_of_libc("no_such_function"));
	dlclose(libc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hooked_symbols_are_found_as_by_dlsym),
		cmocka_unit_test(what_was_found_and_empty_names_are_left_alone),
		cmocka_unit_test(symbols_that_need_the_loader_are_left_to_dlsym),
		cmocka_unit_test(definition_of_libc_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
