/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/core.h"
#include "agent/profile/contention.h"
#include "agent/profile/cpu.h"
#include "agent/profile/custom_table.h"
#include "agent/profile/goroutine.h"
#include "agent/profile/heap.h"
#include "agent/profile/profile_lookup.h"
#include "agent/profile/threadcreate.h"
#include "agent/profile/wall.h"
#include "agent/record/profile_names.h"

static void assert_types(const struct pa_profile_ops *kind, size_t count,
	const char *const pairs[][2])
{
	assert_int_equal(kind->value_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(kind->values[i].type, pairs[i][0]);
		assert_string_equal(kind->values[i].unit, pairs[i][1]);
	}
}

static const char *const heap_types[][2] = { { "alloc_objects", "count" },
	{ "alloc_space", "bytes" }, { "inuse_objects", "count" }, { "inuse_space", "bytes" } };

static void allocs_shows_allocated_space_first(void **unused)
{
	const struct pa_profile_ops *kind = pa_profile_lookup("allocs");
	(void)unused;
	assert_non_null(kind);
	assert_ptr_equal(kind, &pa_allocs_profile);
	assert_string_equal(kind->description, "A sampling of all past memory allocations");
	assert_string_equal(kind->default_sample_type, "alloc_space");
	assert_types(kind, 4, heap_types);
	assert_string_equal(kind->period_type.type, "space");
	assert_string_equal(kind->period_type.unit, "bytes");
	assert_true(kind->named);
}

static void heap_has_no_default_sample_type(void **unused)
{
	const struct pa_profile_ops *kind = pa_profile_lookup("heap");
	(void)unused;
	assert_non_null(kind);
	assert_ptr_equal(kind, &pa_heap_profile);
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
	const struct pa_profile_ops *kind = pa_profile_lookup("profile");
	(void)unused;
	assert_non_null(kind);
	assert_ptr_equal(kind, &pa_cpu_profile);
	assert_string_equal(kind->description,
		"CPU profile. You can specify the duration in the seconds GET parameter. After you "
		"get the profile file, use the go tool pprof command to investigate the profile.");
	assert_null(kind->default_sample_type);
	assert_types(kind, 2, types);
	assert_string_equal(kind->period_type.type, "cpu");
	assert_string_equal(kind->period_type.unit, "nanoseconds");
	assert_false(kind->named);
}

static void assert_named(const char *name, const struct pa_profile_ops *expected,
	const char *description)
{
	const struct pa_profile_ops *kind = pa_profile_lookup(name);
	assert_non_null(kind);
	if (expected)
		assert_ptr_equal(kind, expected);
	assert_string_equal(kind->description, description);
	assert_null(kind->default_sample_type);
	assert_true(kind->named);
}

static void assert_counts(const struct pa_profile_ops *kind, const char *type)
{
	const char *const types[][2] = { { type, "count" } };
	assert_types(kind, 1, types);
	assert_string_equal(kind->period_type.type, type);
	assert_string_equal(kind->period_type.unit, "count");
}

static void contention_is_counted_and_timed(void **unused)
{
	static const char *const types[][2] = { { "contentions", "count" },
		{ "delay", "nanoseconds" } };
	(void)unused;
	assert_named("block", &pa_block_profile,
		"Stack traces that led to blocking on synchronization primitives");
	assert_named("mutex", &pa_mutex_profile, "Stack traces of holders of contended mutexes");
	for (int i = 0; i < 2; i++) {
		const struct pa_profile_ops *kind = pa_profile_lookup(i ? "mutex" : "block");
		assert_types(kind, 2, types);
		assert_string_equal(kind->period_type.type, "contentions");
		assert_string_equal(kind->period_type.unit, "count");
	}
}

static void threads_are_counted_under_go_s_names(void **unused)
{
	(void)unused;
	assert_named("goroutine", &pa_goroutine_profile,
		"Stack traces of all current goroutines. Use debug=2 as a query parameter to "
		"export in the same format as an unrecovered panic.");
	assert_counts(pa_profile_lookup("goroutine"), "goroutine");
	assert_named("threadcreate", &pa_threadcreate_profile,
		"Stack traces that led to the creation of new OS threads");
	assert_counts(pa_profile_lookup("threadcreate"), "threadcreate");
}

static void names_of_the_list_are_those_of_its_kinds(void **unused)
{
	size_t i = 0;
	(void)unused;
#define NAMED(id)                                           \
	assert_string_equal(pa_profile_list[i]->name, #id); \
	assert_true(pa_profile_list[i]->named &&pa_profile_list[i]->description);
#define DELTA(id) \
	NAMED(id) \
	assert_true(pa_profile_list[i]->has_delta_clients);
#define OTHER(id) assert_false(pa_profile_list[i]->named);
#define X(id, how)                                                                \
	assert_ptr_equal(pa_profile_list[i], &pa_##id##_profile);                 \
	how(id) assert_int_equal(pa_profile_lookup_index(pa_profile_list[i]), i); \
	i++;
	PA_PROFILE_NAMES(X)
#undef X
	assert_null(pa_profile_list[i]);
}

static void kinds_are_found_by_name_and_number(void **unused)
{
	const struct pa_profile_ops *kind;
	(void)unused;
	for (size_t n = 0; (kind = pa_profile_lookup_nth(n)); n++)
		assert_ptr_equal(pa_profile_lookup(kind->name), kind);
}

/* Rates of contention, and hooks of an allocator inside the program. */
static void contention_and_allocations_have_to_be_watched(void **unused)
{
	const struct pa_profile_ops *const watched[] = { &pa_heap_profile, &pa_allocs_profile,
		&pa_block_profile, &pa_mutex_profile };
	(void)unused;
	for (size_t i = 0; pa_profile_list[i]; i++) {
		bool expected = false;
		for (size_t n = 0; n < PA_COUNT(watched); n++)
			expected |= watched[n] == pa_profile_list[i];
		assert_int_equal(pa_profile_list[i]->watch != NULL, expected);
	}
}

static void unknown_names_are_no_kind(void **unused)
{
	(void)unused;
	assert_null(pa_profile_lookup(""));
	assert_null(pa_profile_lookup("Heap"));
	assert_null(pa_profile_lookup("heap/"));
	assert_null(pa_profile_lookup("cpu"));
}

/* ---- profiles of the program's own ---- */

static struct pa_custom_set customs[] = { { .id = 0, .name = "example.com/my.custom" },
	{ .id = 1, .name = "with-dash" } };
static uint32_t total;

static struct pa_custom_set *custom_of(uint32_t id)
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
	assert_null(pa_profile_lookup("with-dash"));
	assert_null(pa_custom_profile.member(0));
	total = PA_COUNT(customs);
	for (uint32_t id = 0; id < total; id++) {
		const struct pa_profile_ops *kind = pa_custom_profile.member(id);
		assert_named(customs[id].name, NULL, "");
		assert_counts(kind, customs[id].name);
		assert_int_equal(kind->id, id);
		assert_ptr_equal(pa_profile_lookup(customs[id].name), kind);
		assert_ptr_equal(pa_custom_profile.member(id), kind);
	}
	assert_null(pa_custom_profile.member(total));
	assert_null(pa_profile_lookup("my.custom"));
	assert_null(pa_profile_lookup("example.com/my.custom/"));
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
		cmocka_unit_test(names_of_the_list_are_those_of_its_kinds),
		cmocka_unit_test(kinds_are_found_by_name_and_number),
		cmocka_unit_test(contention_and_allocations_have_to_be_watched),
		cmocka_unit_test(unknown_names_are_no_kind),
		cmocka_unit_test(profiles_of_the_program_are_kinds_of_their_own),
	};
	pa_core_bridge = &bridge;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
