/* Requests and their answers, and CPU profiles. What differs by kind: test_profiles_kinds.c. */
#include "ask_profiles.h"

static void cpu(const char *query)
{
	const struct pa_request request = request_of(query);
	pa_profiles_cpu(&http, &request);
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

static void gc_zero_does_nothing(void **unused)
{
	(void)unused;
	named("heap", "gc=0");
	is_binary("attachment; filename=\"heap\"", "proto heap 1 duration 0\n");
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
	http.crowded = true;
	named("heap", "");
	is_error(503, "too many profiles are being taken; try again\n");
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
	http.crowded = true;
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
		TEST(gc_zero_does_nothing),
		TEST(delta_subtracts_two_snapshots),
		TEST(delta_ignores_gc),
		TEST(delta_takes_signs_and_zeros),
		TEST(delta_rejects_bad_seconds),
		TEST(delta_rejects_debug),
		TEST(delta_ends_when_the_client_leaves),
		TEST(huge_seconds_do_not_overflow),
		TEST(failed_snapshot_is_500),
		TEST(failed_first_snapshot_is_500),
		TEST(failed_encoder_is_500),
		TEST(long_profile_has_no_length),
		TEST(lost_client_gets_no_end),
		TEST(head_does_no_work),
		TEST(head_of_a_delta_does_not_wait),
		TEST(crowd_is_503),
		TEST(cpu_profile_waits_its_seconds),
		TEST(bad_cpu_seconds_are_thirty),
		TEST(second_cpu_profile_is_refused),
		TEST(taken_signal_is_refused_with_its_reason),
		TEST(cpu_profile_ends_when_the_client_leaves),
		TEST(cpu_crowd_is_503_and_stops),
		TEST(lost_cpu_profile_is_500),
		TEST(head_of_cpu_does_not_wait),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}
