/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "agent/record/custom_set.h"
#include "test/lib/c/record_fixture.h"

#define VALUE(n) ((const void *)(uintptr_t)(n))

#define KNOWN_PC 0x1000 /* a stack of one frame */

static void boot_with(size_t ring_bytes)
{
	const struct pa_rule end = { .kind = PA_RULE_END };
	fixture_boot(ring_bytes, 1);
	pa_frame_cache_insert(pa_record.frames, KNOWN_PC, false, &end,
		pa_frame_cache_epoch(pa_record.frames));
}

static int boot(void **unused)
{
	(void)unused;
	boot_with(4 << 20);
	return 0;
}

static struct pa_cursor here(void)
{
	return (struct pa_cursor){ .pc = KNOWN_PC, .sp = (uintptr_t)__builtin_frame_address(0) };
}

static int add(struct pa_custom_set *custom, uintptr_t value)
{
	return pa_custom_set_add(&pa_thread_self, custom, VALUE(value), 0, here());
}

static bool take(struct pa_custom_set *custom, uintptr_t value)
{
	return pa_custom_set_remove(&pa_thread_self, custom, VALUE(value));
}

static uint32_t count(struct pa_custom_set *custom)
{
	return pa_load_relaxed(&custom->count);
}

/* Profiles are never freed: each test has its own. */
static struct pa_custom_set *make(const char *name)
{
	struct pa_custom_set *custom = NULL;
	assert_int_equal(pa_custom_set_new(name, &custom), 0);
	assert_string_equal(custom->name, name);
	assert_int_equal(count(custom), 0);
	return custom;
}

static struct fixture_event event;

static void assert_next(enum pa_event_kind kind, const struct pa_custom_set *custom,
	uintptr_t value)
{
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, kind);
	assert_int_equal(event.head.value[0], custom->id);
	assert_int_equal(event.head.object, value);
}

/* ---- profiles ---- */

static void profiles_are_found_by_name_and_id(void **unused)
{
	uint32_t total = pa_custom_set_total();
	(void)unused;
	assert_null(pa_custom_set_find("example.com/a"));
	struct pa_custom_set *a = make("example.com/a"), *b = make("example.com/a.b");
	assert_int_equal(a->id, total);
	assert_int_equal(b->id, total + 1);
	assert_ptr_equal(pa_custom_set_find("example.com/a"), a);
	assert_ptr_equal(pa_custom_set_find("example.com/a.b"), b);
	assert_ptr_equal(pa_custom_set_get(a->id), a);
	assert_null(pa_custom_set_get(total + 2));
	assert_null(pa_custom_set_find(""));
	assert_int_equal(pa_custom_set_total(), total + 2);
}

static void name_that_is_taken_is_refused(void **unused)
{
	static const char *const built_in[] = { "agent", "allocs", "block", "cmdline",
		"delta_block", "delta_heap", "delta_mutex", "goroutine", "heap", "mutex", "profile",
		"symbol", "threadcreate", "trace", "ui", "ui.css", "ui.js" };
	struct pa_custom_set *custom = NULL;
	uint32_t total;
	(void)unused;
	make("taken");
	total = pa_custom_set_total();
	assert_int_equal(pa_custom_set_new("taken", &custom), -EEXIST);
	for (size_t i = 0; i < PA_COUNT(built_in); i++)
		assert_int_equal(pa_custom_set_new(built_in[i], &custom), -EEXIST);
	assert_null(custom);
	assert_int_equal(pa_custom_set_total(), total);
	make("heap2");
}

static void bad_names_are_refused(void **unused)
{
	static const char *const bad[] = { "", "a\n", "\r", "a\tb", "\x7f", "\xff", "caf\xe9",
		"\xc3", "\xed\xa0\x80" };
	char name[PA_CUSTOM_SET_NAME_BYTES + 1];
	struct pa_custom_set *custom = NULL;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_int_equal(pa_custom_set_new(bad[i], &custom), -EINVAL);
	memset(name, 'x', sizeof(name));
	name[PA_CUSTOM_SET_NAME_BYTES] = '\0';
	assert_int_equal(pa_custom_set_new(name, &custom), -EINVAL);
	/* A character that ends behind the last byte. */
	memcpy(name + PA_CUSTOM_SET_NAME_BYTES - 2, "\xc3\xa9", 3);
	assert_int_equal(pa_custom_set_new(name, &custom), -EINVAL);
	assert_null(custom);
	memcpy(name + PA_CUSTOM_SET_NAME_BYTES - 3, "\xc3\xa9", 3);
	make(name);
	make("a b \"quoted\" \xc3\xa9");
}

/* ---- values ---- */

static void values_are_recorded_with_stack_and_skip(void **unused)
{
	struct pa_custom_set *custom = make("recorded");
	struct pa_cursor from = PA_CURSOR_OF_CALLER();
	(void)unused;
	errno = 77;
	assert_int_equal(pa_custom_set_add(&pa_thread_self, custom, VALUE(0x10), 3, from), 0);
	assert_int_equal(count(custom), 1);
	assert_true(take(custom, 0x10));
	assert_int_equal(count(custom), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(pa_thread_self.depth, 0);
	assert_next(PA_EVENT_ADD, custom, 0x10);
	assert_int_equal(event.head.skip, 3);
	assert_int_equal(event.head.tid, pa_thread_self.tid);
	/* The caller is not in the frame cache yet: the collector completes the stack. */
	assert_true(event.head.flags & PA_EVENT_DEFERRED);
	assert_int_equal(event.deferred.regs.gpr[PA_REG_PC], from.pc);
	assert_next(PA_EVENT_REMOVE, custom, 0x10);
	assert_int_equal(event.head.depth, 0);
	assert_false(fixture_next(&event));
}

static void negative_skip_is_none(void **unused)
{
	struct pa_custom_set *custom = make("negative");
	(void)unused;
	pa_custom_set_add(&pa_thread_self, custom, VALUE(1), -1, here());
	assert_next(PA_EVENT_ADD, custom, 1);
	assert_int_equal(event.head.skip, 0);
}

static void value_is_in_a_profile_once(void **unused)
{
	struct pa_custom_set *a = make("once a"), *b = make("once b");
	(void)unused;
	assert_int_equal(add(a, 5), 0);
	assert_int_equal(add(a, 5), -EEXIST);
	assert_int_equal(add(b, 5), 0);
	assert_int_equal(add(a, 0), 0); /* NULL is a value */
	assert_int_equal(count(a), 2);
	assert_int_equal(count(b), 1);
	assert_next(PA_EVENT_ADD, a, 5);
	assert_next(PA_EVENT_ADD, b, 5);
	assert_next(PA_EVENT_ADD, a, 0);
	assert_false(fixture_next(&event));
}

static void value_that_is_not_in_is_not_removed(void **unused)
{
	struct pa_custom_set *a = make("missing a"), *b = make("missing b");
	(void)unused;
	assert_false(take(a, 6));
	assert_int_equal(add(a, 6), 0);
	assert_false(take(b, 6));
	assert_true(take(a, 6));
	assert_false(take(a, 6));
	assert_int_equal(add(a, 6), 0);
	assert_int_equal(count(a), 1);
	assert_next(PA_EVENT_ADD, a, 6);
	assert_next(PA_EVENT_REMOVE, a, 6);
	assert_next(PA_EVENT_ADD, a, 6);
	assert_false(fixture_next(&event));
}

/* Nothing reads the ring. */
static void value_whose_event_is_lost_is_not_in(void **unused)
{
	struct pa_custom_set *custom = make("full");
	uintptr_t added = 0;
	int error;
	(void)unused;
	boot_with(64 << 10);
	while ((error = add(custom, added)) == 0 && added < 10000)
		added++;
	assert_int_equal(error, -ENOMEM);
	assert_true(added > 0);
	assert_int_equal(count(custom), added);
	assert_int_equal(fixture_count(&pa_record.counters.lost_custom_ring), 1);
	assert_false(take(custom, added));
	/* It leaves all the same. */
	while (fixture_count(&pa_record.counters.lost_custom_ring) == 1 && added)
		assert_true(take(custom, --added));
	assert_int_equal(fixture_count(&pa_record.counters.lost_custom_ring), 2);
	assert_int_equal(count(custom), added);
	assert_false(take(custom, added));
	while (fixture_next(&event))
		;
	assert_int_equal(add(custom, added), 0);
}

/* Threads that meet at the same values: what each was told has to add up. */
#define THREADS 4
#define ROUNDS 3000
static struct {
	struct pa_custom_set *custom;
	PA_ATOMIC(int) in; /* successful adds - successful removes */
	PA_ATOMIC(uint32_t) running;
} meet;

static void *add_and_take(void *arg)
{
	uint32_t random = (uint32_t)(uintptr_t)arg;
	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		uintptr_t value = random >> 24 & 7;
		if (random >> 30 & 1)
			pa_add_relaxed(&meet.in, add(meet.custom, value) == 0);
		else
			pa_add_relaxed(&meet.in, -(int)take(meet.custom, value));
	}
	pa_add_acq_rel(&meet.running, -1u);
	return NULL;
}

static void events_of_one_value_come_in_the_order_of_what_was_done(void **unused)
{
	pthread_t threads[THREADS];
	int in[8] = { 0 }, sum = 0;
	(void)unused;
	meet.custom = make("many threads");
	pa_store_relaxed(&meet.running, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_take, (void *)(i + 1)),
			0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (fixture_next(&event)) {
		int *now = &in[event.head.object];
		assert_int_equal(*now, event.head.kind == PA_EVENT_REMOVE);
		*now = event.head.kind == PA_EVENT_ADD;
	}
	for (int i = 0; i < 8; i++)
		sum += in[i];
	assert_int_equal(fixture_count(&pa_record.counters.lost_custom_ring), 0);
	assert_int_equal(sum, pa_load_relaxed(&meet.in));
	assert_int_equal(sum, count(meet.custom));
}

/* ---- fork ---- */

/* 0, or the number of the check that failed. */
static int child_of_quiet_parent(struct pa_custom_set *custom)
{
	pa_ring_atfork_child(pa_record.ring, false);
	pa_custom_set_atfork_child();
	if (count(custom) != 100 || pa_custom_set_find("forked") != custom)
		return 1;
	if (add(custom, 7) != -EEXIST || !take(custom, 7) || add(custom, 1000) != 0)
		return 2;
	return count(custom) == 100 ? 0 : 3;
}

static int status_of(pid_t pid)
{
	int status = -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static void forked_child_keeps_profiles_and_values(void **unused)
{
	struct pa_custom_set *custom = make("forked");
	(void)unused;
	for (uintptr_t i = 0; i < 100; i++)
		assert_int_equal(add(custom, i), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(child_of_quiet_parent(custom));
	assert_int_equal(status_of(pid), 0);
	assert_true(take(custom, 7));
	assert_int_equal(count(custom), 99);
}

static PA_ATOMIC(bool) churn_ends;

static void *churn(void *arg)
{
	struct pa_custom_set *custom = arg;
	/* The ring has to tell all of it. */
	for (uintptr_t i = 0; i < 10000 && !pa_load_relaxed(&churn_ends); i++) {
		add(custom, 1000 + i % 5000);
		take(custom, 1000 + (i + 2500) % 5000);
	}
	return NULL;
}

/* Its parent's other thread is somewhere in the middle. What says that a value is in has to be true
 * of the count, of the next add, and of the events. */
static int child_of_busy_parent(struct pa_custom_set *custom)
{
	static uint8_t in[6000];
	uint32_t sum = 0;
	alarm(20); /* what is broken may hang */
	pa_ring_atfork_child(pa_record.ring, false);
	pa_custom_set_atfork_child();
	while (fixture_next(&event)) {
		if (event.head.value[0] == custom->id)
			in[event.head.object] = event.head.kind == PA_EVENT_ADD;
	}
	for (uintptr_t value = 0; value < PA_COUNT(in); value++)
		sum += in[value];
	if (sum != count(custom))
		return 1;
	for (uintptr_t value = 0; value < PA_COUNT(in); value++) {
		if (take(custom, value) != in[value])
			return 2;
	}
	return count(custom) == 0 ? 0 : 3;
}

static void child_that_is_forked_in_the_middle_is_consistent(void **unused)
{
	pthread_t thread;
	(void)unused;
	for (int i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "busy %d", i);
		struct pa_custom_set *custom = make(name);
		pa_store_relaxed(&churn_ends, false);
		assert_int_equal(pthread_create(&thread, NULL, churn, custom), 0);
		while (count(custom) < 50u * (uint32_t)i)
			;
		pid_t pid = fork();
		if (pid == 0)
			_exit(child_of_busy_parent(custom));
		pa_store_relaxed(&churn_ends, true);
		pthread_join(thread, NULL);
		assert_int_equal(status_of(pid), 0);
		while (fixture_next(&event))
			;
	}
}

/* The last: there is no room for another test's profile. */
static void table_of_profiles_is_full_at_its_limit(void **unused)
{
	struct pa_custom_set *custom = NULL;
	char name[32];
	(void)unused;
	for (uint32_t i = pa_custom_set_total(); i < PA_CUSTOM_SET_MAX; i++) {
		snprintf(name, sizeof(name), "one of many %u", i);
		make(name);
	}
	assert_int_equal(pa_custom_set_new("one more", &custom), -ENOSPC);
	assert_int_equal(pa_custom_set_new("heap", &custom), -EEXIST);
	assert_int_equal(pa_custom_set_total(), PA_CUSTOM_SET_MAX);
	assert_null(custom);
	assert_int_equal(add(pa_custom_set_get(PA_CUSTOM_SET_MAX - 1), 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(profiles_are_found_by_name_and_id, boot),
		cmocka_unit_test_setup(name_that_is_taken_is_refused, boot),
		cmocka_unit_test_setup(bad_names_are_refused, boot),
		cmocka_unit_test_setup(values_are_recorded_with_stack_and_skip, boot),
		cmocka_unit_test_setup(negative_skip_is_none, boot),
		cmocka_unit_test_setup(value_is_in_a_profile_once, boot),
		cmocka_unit_test_setup(value_that_is_not_in_is_not_removed, boot),
		cmocka_unit_test_setup(value_whose_event_is_lost_is_not_in, boot),
		cmocka_unit_test_setup(events_of_one_value_come_in_the_order_of_what_was_done,
			boot),
		cmocka_unit_test_setup(forked_child_keeps_profiles_and_values, boot),
		cmocka_unit_test_setup(child_that_is_forked_in_the_middle_is_consistent, boot),
		cmocka_unit_test_setup(table_of_profiles_is_full_at_its_limit, boot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
