#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/profile/core.h"
#include "agent/profile/kinds.h"

static void assert_types(const struct pa_kind *kind, size_t count, const char *const pairs[][2])
{
	assert_int_equal(kind->value_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(kind->values[i].type, pairs[i][0]);
		assert_string_equal(kind->values[i].unit, pairs[i][1]);
	}
}

static const char *const heap_types[][2] = {
	{ "alloc_objects", "count" }, { "alloc_space", "bytes" },
	{ "inuse_objects", "count" }, { "inuse_space", "bytes" },
};

static void allocs_shows_allocated_space_first(void **unused)
{
	const struct pa_kind *kind = pa_kind_find("allocs");
	(void)unused;
	assert_non_null(kind);
	assert_int_equal(kind->id, PA_KIND_ALLOCS);
	assert_string_equal(kind->description, "A sampling of all past memory allocations");
	assert_string_equal(kind->default_sample_type, "alloc_space");
	assert_types(kind, 4, heap_types);
	assert_string_equal(kind->period_type.type, "space");
	assert_string_equal(kind->period_type.unit, "bytes");
	assert_true(kind->named);
}

static void heap_has_no_default_sample_type(void **unused)
{
	const struct pa_kind *kind = pa_kind_find("heap");
	(void)unused;
	assert_non_null(kind);
	assert_int_equal(kind->id, PA_KIND_HEAP);
	assert_string_equal(kind->description,
		"A sampling of memory allocations of live objects. You can specify the gc GET "
		"parameter to run GC before taking the heap sample.");
	assert_null(kind->default_sample_type);
	assert_types(kind, 4, heap_types);
	assert_string_equal(kind->period_type.type, "space");
	assert_string_equal(kind->period_type.unit, "bytes");
	assert_true(kind->named);
}

static void cpu_is_called_profile_and_counts_nanoseconds(void **unused)
{
	static const char *const types[][2] = { { "samples", "count" }, { "cpu", "nanoseconds" } };
	const struct pa_kind *kind = pa_kind_find("profile");
	(void)unused;
	assert_non_null(kind);
	assert_int_equal(kind->id, PA_KIND_CPU);
	assert_string_equal(kind->description,
		"CPU profile. You can specify the duration in the seconds GET parameter. After you "
		"get the profile file, use the go tool pprof command to investigate the profile.");
	assert_null(kind->default_sample_type);
	assert_types(kind, 2, types);
	assert_string_equal(kind->period_type.type, "cpu");
	assert_string_equal(kind->period_type.unit, "nanoseconds");
	assert_false(kind->named);
}

static void assert_named(const char *name, enum pa_kind_id id, const char *description)
{
	const struct pa_kind *kind = pa_kind_find(name);
	assert_non_null(kind);
	assert_int_equal(kind->id, id);
	assert_string_equal(kind->description, description);
	assert_null(kind->default_sample_type);
	assert_true(kind->named);
}

static void assert_counts(const struct pa_kind *kind, const char *type)
{
	const char *const types[][2] = { { type, "count" } };
	assert_types(kind, 1, types);
	assert_string_equal(kind->period_type.type, type);
	assert_string_equal(kind->period_type.unit, "count");
}

static void contention_is_counted_and_timed(void **unused)
{
	static const char *const types[][2] = {
		{ "contentions", "count" }, { "delay", "nanoseconds" }
	};
	(void)unused;
	assert_named("block", PA_KIND_BLOCK,
		"Stack traces that led to blocking on synchronization primitives");
	assert_named("mutex", PA_KIND_MUTEX, "Stack traces of holders of contended mutexes");
	for (int i = 0; i < 2; i++) {
		const struct pa_kind *kind = pa_kind_find(i ? "mutex" : "block");
		assert_types(kind, 2, types);
		assert_string_equal(kind->period_type.type, "contentions");
		assert_string_equal(kind->period_type.unit, "count");
	}
}

static void threads_are_counted_under_go_s_names(void **unused)
{
	(void)unused;
	assert_named("goroutine", PA_KIND_GOROUTINE,
		"Stack traces of all current goroutines. Use debug=2 as a query parameter to "
		"export in the same format as an unrecovered panic.");
	assert_counts(pa_kind_find("goroutine"), "goroutine");
	assert_named("threadcreate", PA_KIND_THREADCREATE,
		"Stack traces that led to the creation of new OS threads");
	assert_counts(pa_kind_find("threadcreate"), "threadcreate");
}

/* The index page lists them as they come. */
static void kinds_are_sorted_by_name(void **unused)
{
	(void)unused;
	for (int i = 1; i < PA_KIND_COUNT; i++)
		assert_true(strcmp(pa_kinds[i - 1].name, pa_kinds[i].name) < 0);
}

static void kinds_stand_at_their_ids(void **unused)
{
	(void)unused;
	for (int i = 0; i < PA_KIND_COUNT; i++) {
		assert_int_equal(pa_kinds[i].id, i);
		assert_ptr_equal(pa_kind_find(pa_kinds[i].name), &pa_kinds[i]);
	}
}

static void unknown_names_are_no_kind(void **unused)
{
	(void)unused;
	assert_null(pa_kind_find(""));
	assert_null(pa_kind_find("Heap"));
	assert_null(pa_kind_find("heap/"));
	assert_null(pa_kind_find("cpu"));
}

/* ---- profiles of the program's own ---- */

static struct pa_custom customs[] = {
	{ .id = 0, .name = "example.com/my.custom" }, { .id = 1, .name = "with-dash" }
};
static uint32_t total;

static struct pa_custom *custom_of(uint32_t id)
{
	return id < total ? &customs[id] : NULL;
}

static uint32_t custom_total(void)
{
	return total;
}

static void profiles_of_the_program_are_kinds_of_their_own(void **unused)
{
	(void)unused;
	assert_null(pa_kind_find("with-dash"));
	assert_null(pa_kind_custom(0));
	total = PA_COUNT(customs);
	for (uint32_t id = 0; id < total; id++) {
		const struct pa_kind *kind = pa_kind_custom(id);
		assert_named(customs[id].name, PA_KIND_CUSTOM, "");
		assert_counts(kind, customs[id].name);
		assert_int_equal(kind->custom, id);
		assert_ptr_equal(pa_kind_find(customs[id].name), kind);
		assert_ptr_equal(pa_kind_custom(id), kind);
	}
	assert_null(pa_kind_custom(total));
	assert_null(pa_kind_find("my.custom"));
	assert_null(pa_kind_find("example.com/my.custom/"));
}

int main(void)
{
	static struct pa_bridge bridge = { .custom = custom_of, .custom_total = custom_total };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocs_shows_allocated_space_first),
		cmocka_unit_test(heap_has_no_default_sample_type),
		cmocka_unit_test(cpu_is_called_profile_and_counts_nanoseconds),
		cmocka_unit_test(contention_is_counted_and_timed),
		cmocka_unit_test(threads_are_counted_under_go_s_names),
		cmocka_unit_test(kinds_are_sorted_by_name),
		cmocka_unit_test(kinds_stand_at_their_ids),
		cmocka_unit_test(unknown_names_are_no_kind),
		cmocka_unit_test(profiles_of_the_program_are_kinds_of_their_own),
	};
	pa_core_bridge = &bridge;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
