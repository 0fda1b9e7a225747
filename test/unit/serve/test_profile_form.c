/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/profile_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/core.h"

static const struct pa_profile_ops heap_kind = { .value_count = 4,
	.values = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
		{ "inuse_objects", "count" }, { "inuse_space", "bytes" } } };
static const struct pa_profile_ops cpu_kind = { .value_count = 2,
	.values = { { "samples", "count" }, { "cpu", "nanoseconds" } } };
static const struct pa_profile_ops count_kind = { .value_count = 1,
	.values = { { "goroutine", "count" } } };

static struct pa_settings settings;
static struct pa_bridge bridge = { .settings = &settings };
struct pa_bridge *pa_core_bridge = &bridge;

static struct pa_render_form form;
static char why[PA_PROFILE_FORM_WHY_BYTES];

static const char *read_query(const char *query)
{
	form = (struct pa_render_form){ 0 };
	return pa_profile_form_read(query, &heap_kind, &form, why);
}

static void the_default_is_all_of_pprof(void **unused)
{
	(void)unused;
	assert_null(read_query("x=y&format=&type=&n=&thread="));
	assert_int_equal(form.format, PA_RENDER_PPROF);
	assert_int_equal(form.value, 3);
	assert_int_equal(form.rows, 40);
	assert_int_equal(form.threads, PA_ENV_THREAD_LABEL_NAME);
	settings.thread_label = PA_ENV_THREAD_LABEL_POOL;
	assert_null(read_query(""));
	assert_int_equal(form.threads, PA_ENV_THREAD_LABEL_POOL);
	assert_null(read_query("thread=name"));
	assert_int_equal(form.threads, PA_ENV_THREAD_LABEL_NAME);
	settings.thread_label = PA_ENV_THREAD_LABEL_NAME;
}

static void each_parameter_is_read(void **unused)
{
	(void)unused;
	assert_null(read_query("format=folded&type=alloc_objects&thread=off"));
	assert_int_equal(form.format, PA_RENDER_FOLDED);
	assert_int_equal(form.value, 0);
	assert_int_equal(form.threads, PA_ENV_THREAD_LABEL_OFF);
	assert_null(read_query("format=top&n=7&thread=pool"));
	assert_int_equal(form.format, PA_RENDER_TOP);
	assert_int_equal(form.rows, 7);
	assert_null(read_query("format=pprof&n=0"));
	assert_int_equal(form.rows, 0);
	assert_null(read_query("n=9223372036854775807"));
	assert_true(form.rows == UINT32_MAX);
}

static void bad_values_are_named(void **unused)
{
	static const char *const bad_rows[] = { "n=-1", "n=x", "n=1.5", "n=9223372036854775808" };
	static const char *const bad_threads[] = { "thread=x", "thread=Pool", "thread=pool%00" };

	(void)unused;
	assert_string_equal(read_query("format=svg"),
		"unknown format: there are pprof, folded and top");
	for (size_t i = 0; i < PA_COUNT(bad_rows); i++)
		assert_string_equal(read_query(bad_rows[i]),
			"invalid value for \"n\" - must be an integer >= 0");
	for (size_t i = 0; i < PA_COUNT(bad_threads); i++)
		assert_string_equal(read_query(bad_threads[i]),
			"invalid value for \"thread\" - must be name, pool or off");
	assert_string_equal(read_query("type=cpu"),
		"unknown type: there are alloc_objects, alloc_space, inuse_objects and "
		"inuse_space");
	assert_string_equal(pa_profile_form_read("type=x", &cpu_kind, &form, why),
		"unknown type: there are samples and cpu");
	assert_string_equal(pa_profile_form_read("type=x", &count_kind, &form, why),
		"unknown type: there is goroutine");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_is_all_of_pprof),
		cmocka_unit_test(each_parameter_is_read),
		cmocka_unit_test(bad_values_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
