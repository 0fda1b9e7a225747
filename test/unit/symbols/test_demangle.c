/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/symbols/demangle.h"

static void names_are_demangled_in_full(void **unused)
{
	static const struct {
		const char *mangled, *plain;
	} names[] = {
		{ "_Z3foov", "foo()" },
		{ "_ZN3app3hotIiEEvT_", "void app::hot<int>(int)" },
		{ "_ZNKSt6vectorIiSaIiEE4sizeEv",
			"std::vector<int, std::allocator<int> >::size() const" },
		{ "_ZN3foo3barEv.constprop.0", "foo::bar() [clone .constprop.0]" },
		{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const" },
		{ "_RNvC6_123foo3bar", "123foo::bar" },
		{ "_RNvNtCs9ltgdHTiPiY_4core3fmt5write", "core::fmt::write" },
		{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
		{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
		{ "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar"
		  "17h930b740aa94f1d3aE",
			"<Test + 'static as foo::Bar<Test>>::bar" },
	};
	char out[4096];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		assert_true(pa_demangle(names[i].mangled, out, sizeof(out)));
		assert_string_equal(out, names[i].plain);
	}
}

static void other_names_leave_the_buffer_alone(void **unused)
{
	static const char *const names[] = { "", "i", "main", "_Z", "_ZN", "_R", "_RNv", "Z3foov",
		"_Z3fo", "__libc_start_main", "_ZTS",
		"_RNCNvC0a4main0B3_" /* a crate without a name is a part of no bytes, at NULL */ };
	char out[64] = "untouched";

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		assert_false(pa_demangle(names[i], out, sizeof(out)));
		assert_string_equal(out, "untouched");
	}
}

static void a_result_that_does_not_fit_is_cut_at_the_end(void **unused)
{
	char out[16] = "old";

	(void)unused;
	assert_true(pa_demangle("_Z3fooiiiii", out, 16));
	assert_string_equal(out, "foo(int, int...");
	strcpy(out, "old");
	assert_false(pa_demangle("_Z3foov", out, PA_DEMANGLE_LEAST - 1));
	assert_string_equal(out, "old");
}

/* "_Z" + "1f" + n times part + tail, as long as fits into length. */
static void make_name(char *name, const char *head, const char *part, const char *tail,
	size_t length)
{
	strcpy(name, head);
	while (strlen(name) + strlen(part) + strlen(tail) <= length)
		strcat(name, part);
	strcat(name, tail);
}

static void names_above_the_limit_stay_mangled(void **unused)
{
	static char name[2 * PA_DEMANGLE_MAX], out[8192];

	(void)unused;
	make_name(name, "_Z1f", "i", "", PA_DEMANGLE_MAX);
	assert_true(pa_demangle(name, out, sizeof(out)));
	assert_int_equal(strlen(out), 4096);
	assert_string_equal(out + 4093, "...");
	assert_memory_equal(out, "f(int, int, ", 12);
	make_name(name, "_Z1f", "i", "", PA_DEMANGLE_MAX + 1);
	assert_false(pa_demangle(name, out, sizeof(out)));
}

/* Each type is twice the one before: 2^39 names of text. */
static void a_name_that_stands_for_endless_text_is_cut(void **unused)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[PA_DEMANGLE_MAX] = "_Z1g1AIiiE", out[8192];

	(void)unused;
	for (int i = 0; i < 36; i++) {
		sprintf(name + strlen(name), "S_IS%c_S%c_E", digits[i], digits[i]);
		if (i < 4)
			assert_true(pa_demangle(name, out, sizeof(out)));
	}
	assert_true(pa_demangle(name, out, sizeof(out)));
	assert_string_equal(out + strlen(out) - 3, "...");
}

static void *demangle_hostile_names(void *unused)
{
	static const char *const parts[][3] = { { "_Z1f", "P", "i" }, { "_Z1f", "A_", "i" },
		{ "_Z1f", "M1a", "i" }, { "_Z1f", "PF", "i" }, { "_Z1fI", "N1a", "E" },
		{ "_Z1fI", "J", "E" }, { "_Z1fIX", "ng", "E" }, { "_ZZ", "Z", "E" },
		{ "_Z1f", "Dp", "i" }, { "_RIC1a", "R", "u" }, { "_RIC1a", "F", "u" },
		{ "_RN", "Nv", "C1a" } };
	static char name[PA_DEMANGLE_MAX + 1], out[4096];

	for (size_t i = 0; i < PA_COUNT(parts); i++) {
		make_name(name, parts[i][0], parts[i][1], parts[i][2], PA_DEMANGLE_MAX);
		pa_demangle(name, out, sizeof(out));
		make_name(name, parts[i][0], parts[i][1], parts[i][2], 1024);
		pa_demangle(name, out, sizeof(out));
	}
	return unused;
}

/* What the render thread has; under the thread sanitizer frames are several times as large. */
#ifdef __SANITIZE_THREAD__
#define STACK_BYTES ((size_t)8 << 20)
#else
#define STACK_BYTES ((size_t)1 << 20)
#endif

static void hostile_names_need_no_more_stack_than_there_is(void **unused)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)unused;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	assert_int_equal(pthread_create(&thread, &attributes, demangle_hostile_names, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_demangled_in_full),
		cmocka_unit_test(other_names_leave_the_buffer_alone),
		cmocka_unit_test(a_result_that_does_not_fit_is_cut_at_the_end),
		cmocka_unit_test(names_above_the_limit_stay_mangled),
		cmocka_unit_test(a_name_that_stands_for_endless_text_is_cut),
		cmocka_unit_test(hostile_names_need_no_more_stack_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
