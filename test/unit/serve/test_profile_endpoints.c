/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and their answers, and CPU profiles. What differs by kind:
 * test_profile_endpoints_kinds.c. */
#include "agent/arch/arch.h"
#include "agent/profile/recording.h"
#include "agent/profile/snapshot_take.h"
#include "agent/serve/client_budget.h"

#include "test/lib/c/ask_profiles.h"

static void cpu(const char *query)
{
	const struct pa_request request = request_of(query);
	pa_profile_endpoints_cpu(&http, &request);
	assert_true(http.begun);
}

static void plain_request_is_the_proto(void **unused)
{
	(void)unused;
	named("heap", "");
	is_binary("attachment; filename=\"heap\"", "proto heap 1 duration 0\n");
	assert_int_equal(http.head.length, (int64_t)http.count);
	assert_int_equal(fake.rests, 1);
}

static void empty_seconds_is_a_snapshot(void **unused)
{
	(void)unused;
	named("heap", "seconds=");
	is_binary("attachment; filename=\"heap\"", "proto heap 1 duration 0\n");
}

static void gc_drains_before_the_snapshot(void **unused)
{
	(void)unused;
	named("heap", "gc=1");
	is_binary("attachment; filename=\"heap\"", "proto heap 2 duration 0\n");
}

static void the_allocator_counts_its_memory_for_gc_alone(void **unused)
{
	const struct {
		const char *name, *query;
		int reads;
	} rows[] = {
		{ "heap", "debug=1", 0 },
		{ "heap", "gc=1", 0 },
		{ "heap", "debug=1&gc=1", 1 },
		{ "allocs", "debug=1&gc=1", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++) {
		again();
		named(rows[i].name, rows[i].query);
		assert_int_equal(fake.heap_reads, rows[i].reads);
	}
}

static void gc_zero_does_nothing(void **unused)
{
	(void)unused;
	named("heap", "gc=0");
	is_binary("attachment; filename=\"heap\"", "proto heap 1 duration 0\n");
}

static void formats_are_texts(void **unused)
{
	(void)unused;
	named("heap", "format=folded&type=two&gc=1");
	is_text("folded heap 2 duration 0\n");
	assert_int_equal(fake.value, 1);
	again();
	named("heap", "format=top&n=3&debug=0");
	is_text("top heap 1 duration 0\n");
	assert_int_equal(fake.value, 3);
	assert_int_equal(fake.rows, 3);
	again();
	named("heap", "format=top&seconds=2");
	is_text("top heap 1 duration 1000000000\n");
	assert_int_equal(fake.rows, 40);
	again();
	cpu("format=folded&seconds=1&debug=x");
	is_text("folded profile 1 duration 0\n");
	again();
	named("heap", "format=pprof&debug=1");
	is_text("text heap 1 duration 0\n");
}

static void a_bad_form_is_400_before_anything_is_done(void **unused)
{
	(void)unused;
	named("heap", "format=top&debug=1");
	is_error(400, "format and debug params are incompatible\n");
	again();
	named("heap", "format=svg&seconds=x");
	is_error(400, "unknown format: there are pprof, folded and top\n");
	again();
	fake.cpu_rate_hz = 0;
	cpu("format=svg");
	is_error(400, "unknown format: there are pprof, folded and top\n");
	assert_int_equal(fake.cpu_rate_hz, 0);
	assert_int_equal(fake.taken, 0);
}

static void delta_subtracts_two_snapshots(void **unused)
{
	(void)unused;
	named("heap", "seconds=7");
	is_binary("attachment; filename=\"heap-delta\"", "proto heap 1 duration 1000000000\n");
	assert_int_equal(http.waited_ns, 7 * PA_NS_PER_S);
	assert_int_equal(fake.taken, 2);
}

static void delta_ignores_gc(void **unused)
{
	(void)unused;
	named("heap", "seconds=1&gc=1");
	assert_int_equal(fake.taken, 2);
}

static void delta_takes_signs_and_zeros(void **unused)
{
	(void)unused;
	named("heap", "seconds=%2B01");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(http.waited_ns, PA_NS_PER_S);
}

static void delta_rejects_bad_seconds(void **unused)
{
	const char *const bad[] = { "seconds=abc", "seconds=0", "seconds=-1", "seconds=1.5",
		"seconds=1e18", "seconds=NaN", "seconds=+1", "seconds=99999999999999999999",
		"seconds=abc&debug=1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		named("heap", bad[i]);
		is_error(400, "invalid value for \"seconds\" - must be a positive integer\n");
		assert_int_equal(fake.taken, 0);
		again();
	}
}

static void delta_rejects_debug(void **unused)
{
	(void)unused;
	named("heap", "seconds=1&debug=1");
	is_error(400, "seconds and debug params are incompatible\n");
	assert_int_equal(fake.taken, 0);
}

static void delta_ends_when_the_client_leaves(void **unused)
{
	(void)unused;
	http.client_left = true;
	named("heap", "seconds=30");
	is_error(500, "context canceled\n");
	assert_int_equal(fake.taken, 1);
}

static void huge_seconds_do_not_overflow(void **unused)
{
	(void)unused;
	named("heap", "seconds=9223372036854775807");
	assert_true(http.waited_ns > 300LL * 24 * 3600 * PA_NS_PER_S);
}

static void failed_snapshot_is_500(void **unused)
{
	(void)unused;
	fake.take_fails = true;
	named("heap", "");
	is_error(500, "failed to collect profile\n");
}

static void failed_first_snapshot_is_500(void **unused)
{
	(void)unused;
	fake.take_fails = true;
	named("heap", "seconds=1");
	is_error(500, "failed to collect profile\n");
}

static void stacks_of_threads_without_proc_are_500_with_the_reason(void **unused)
{
	(void)unused;
	fake.take_fails = fake_proc_is_hidden = true;
	named("goroutine", "");
	is_error(500,
		"failed to collect profile: /proc does not list the threads of this process\n");
	fake_proc_is_hidden = false;
}

static void failed_encoder_is_500(void **unused)
{
	(void)unused;
	fake.encode_error = -ENOMEM;
	named("heap", "");
	is_error(500, "out of memory\n");
}

static void long_profile_has_no_length(void **unused)
{
	(void)unused;
	fake.encode_bytes = 8 << 20;
	named("heap", "");
	assert_true(http.ended);
	assert_int_equal(http.head.length, -1);
	assert_true(http.count > 8 << 20);
}

static void lost_client_gets_no_end(void **unused)
{
	(void)unused;
	fake.encode_bytes = 8 << 20;
	http.accept_writes = 2;
	named("heap", "");
	assert_false(http.ended);
}

static void head_does_no_work(void **unused)
{
	(void)unused;
	http.head_only = true;
	named("heap", "gc=1");
	assert_true(http.ended);
	assert_string_equal(http.disposition, "attachment; filename=\"heap\"");
	assert_int_equal(fake.taken, 0);
	assert_int_equal(http.head.length, -1);
}

static void head_of_a_delta_does_not_wait(void **unused)
{
	(void)unused;
	http.head_only = true;
	named("heap", "seconds=30");
	assert_string_equal(http.disposition, "attachment; filename=\"heap-delta\"");
	assert_int_equal(http.waited_ns, 0);
}

static void crowd_is_503(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	named("heap", "");
	is_error(503, "too many profiles are being taken; try again\n");
}

static size_t bytes_waiting(void)
{
	return pa_client_budget_stats().used[PA_CLIENT_BUDGET_WAITING];
}

static size_t bytes_while_waiting;

static void look_at_the_budget(void)
{
	bytes_while_waiting = bytes_waiting();
}

static void first_half_of_a_delta_counts_while_it_is_kept(void **unused)
{
	(void)unused;
	http.on_wait = look_at_the_budget;
	named("heap", "seconds=1");
	is_binary("attachment; filename=\"heap-delta\"", "proto heap 1 duration 1000000000\n");
	assert_int_equal(bytes_while_waiting, PA_PAGE_BYTES);
	fake_settle();
	assert_int_equal(bytes_waiting(), 0);
	again();
	http.client_left = true;
	named("heap", "seconds=1");
	assert_int_equal(bytes_waiting(), 0);
}

static void delta_without_room_in_the_budget_is_503(void **unused)
{
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, PA_CLIENT_BUDGET_KEPT_BYTES));
	named("block", "seconds=1");
	pa_client_budget_give(PA_CLIENT_BUDGET_WAITING, PA_CLIENT_BUDGET_KEPT_BYTES);
	is_error(503,
		"profiles that are waited for have all the memory that clients are given; "
		"try again\n");
	assert_int_equal(http.waited_ns, 0);
	assert_int_equal(bytes_waiting(), 0);
}

static void end_crowd(void)
{
	http.crowded = http.suspended < 3;
}

static void crowded_one_waits_until_a_worker_may_be_kept(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = end_crowd;
	named("heap", "");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(http.suspended, 3);
}

static void crowded_one_that_leaves_is_let_go(void **unused)
{
	(void)unused;
	http.crowded = http.client_left = true;
	named("heap", "");
	is_error(500, "context canceled\n");
	assert_int_equal(fake.taken, 0);
}

static void nothing_is_answered_after_a_fork(void **unused)
{
	const struct pa_request request = request_of("seconds=1");
	(void)unused;
	http.forked = true;
	pa_profile_endpoints_named(&http, &request, pa_profile_lookup("heap"));
	assert_false(http.begun);
	pa_profile_endpoints_cpu(&http, &request);
	assert_false(http.begun);
	/* As in a forked child. */
	fake_watch(&pa_heap_profile, false, false);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
}

/* ---- CPU ---- */

static void cpu_profile_waits_its_seconds(void **unused)
{
	(void)unused;
	cpu("seconds=3&debug=1");
	is_binary("attachment; filename=\"profile\"", "proto profile 1 duration 0\n");
	assert_int_equal(http.waited_ns, 3 * PA_NS_PER_S);
	assert_int_equal(fake.cpu_rate_hz, 123);
}

static void bad_cpu_seconds_are_thirty(void **unused)
{
	const char *const bad[] = { "", "seconds=", "seconds=0", "seconds=-1", "seconds=abc",
		"seconds=0.5", "seconds=+1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(bad); i++) {
		cpu(bad[i]);
		assert_int_equal(http.waited_ns, 30 * PA_NS_PER_S);
		again();
	}
}

static void second_cpu_profile_is_refused(void **unused)
{
	(void)unused;
	fake.cpu_error = -EBUSY;
	cpu("seconds=1");
	is_error(500, "Could not enable CPU profiling: cpu profiling already in use\n");
	assert_int_equal(http.waited_ns, 0);
}

static void shared_cpu_profile_runs_beside_one_that_does_not_share(void **unused)
{
	(void)unused;
	fake.cpu_error = -EBUSY;
	cpu("seconds=1&share=1");
	is_binary("attachment; filename=\"profile\"", "proto profile 1 duration 0\n");
	assert_int_equal(http.waited_ns, PA_NS_PER_S);
	assert_int_equal(fake.cpu_shared, 0);
}

static void setting_shares_unless_the_request_says_otherwise(void **unused)
{
	const char *const alone[] = { "seconds=1&share=0", "seconds=1&share=x" };
	(void)unused;
	fake.settings.cpu_shared = true;
	fake.cpu_error = -EBUSY;
	cpu("seconds=1");
	assert_int_equal(http.head.status, 200);
	for (size_t i = 0; i < PA_COUNT(alone); i++) {
		again();
		fake.settings.cpu_shared = true;
		fake.cpu_error = -EBUSY;
		cpu(alone[i]);
		assert_int_equal(http.head.status, 500);
	}
}

static void too_many_shared_cpu_profiles_are_refused(void **unused)
{
	(void)unused;
	fake.cpu_shared_error = -EAGAIN;
	cpu("seconds=1&share=1");
	is_error(500, "Could not enable CPU profiling: too many shared profiles at once\n");
}

static void taken_signal_is_refused_with_its_reason(void **unused)
{
	(void)unused;
	fake.cpu_error = -EADDRINUSE;
	cpu("seconds=1");
	assert_int_equal(http.head.status, 500);
	assert_non_null(strstr(http.bytes, "PPROFAGENT_SIGNAL"));
}

static void cpu_profile_ends_when_the_client_leaves(void **unused)
{
	(void)unused;
	http.client_left = true;
	cpu("seconds=30");
	is_error(500, "context canceled\n");
}

static void cpu_crowd_is_503_and_stops(void **unused)
{
	(void)unused;
	http.suspend_full = true;
	cpu("seconds=30");
	is_error(503, "too many profiles are being taken; try again\n");
	assert_int_equal(http.waited_ns, 0);
}

static void lost_cpu_profile_is_500(void **unused)
{
	(void)unused;
	fake.take_fails = true;
	cpu("seconds=1");
	is_error(500, "failed to collect profile\n");
}

static void head_of_cpu_does_not_wait(void **unused)
{
	(void)unused;
	http.head_only = true;
	cpu("");
	assert_string_equal(http.disposition, "attachment; filename=\"profile\"");
	assert_int_equal(http.waited_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_request_is_the_proto),
		TEST(empty_seconds_is_a_snapshot),
		TEST(gc_drains_before_the_snapshot),
		TEST(the_allocator_counts_its_memory_for_gc_alone),
		TEST(gc_zero_does_nothing),
		TEST(formats_are_texts),
		TEST(a_bad_form_is_400_before_anything_is_done),
		TEST(delta_subtracts_two_snapshots),
		TEST(delta_ignores_gc),
		TEST(delta_takes_signs_and_zeros),
		TEST(delta_rejects_bad_seconds),
		TEST(delta_rejects_debug),
		TEST(delta_ends_when_the_client_leaves),
		TEST(huge_seconds_do_not_overflow),
		TEST(failed_snapshot_is_500),
		TEST(failed_first_snapshot_is_500),
		TEST(stacks_of_threads_without_proc_are_500_with_the_reason),
		TEST(failed_encoder_is_500),
		TEST(long_profile_has_no_length),
		TEST(lost_client_gets_no_end),
		TEST(head_does_no_work),
		TEST(head_of_a_delta_does_not_wait),
		TEST(crowd_is_503),
		TEST(first_half_of_a_delta_counts_while_it_is_kept),
		TEST(delta_without_room_in_the_budget_is_503),
		TEST(crowded_one_waits_until_a_worker_may_be_kept),
		TEST(crowded_one_that_leaves_is_let_go),
		TEST(nothing_is_answered_after_a_fork),
		TEST(cpu_profile_waits_its_seconds),
		TEST(bad_cpu_seconds_are_thirty),
		TEST(second_cpu_profile_is_refused),
		TEST(shared_cpu_profile_runs_beside_one_that_does_not_share),
		TEST(setting_shares_unless_the_request_says_otherwise),
		TEST(too_many_shared_cpu_profiles_are_refused),
		TEST(taken_signal_is_refused_with_its_reason),
		TEST(cpu_profile_ends_when_the_client_leaves),
		TEST(cpu_crowd_is_503_and_stops),
		TEST(lost_cpu_profile_is_500),
		TEST(head_of_cpu_does_not_wait),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}
