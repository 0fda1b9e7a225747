/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of each kind: forms by debug, deltas, and what is recorded only while one waits. */
#include "test/lib/c/ask_profiles.h"

static const char *const names[] = { "allocs", "block", "goroutine", "heap", "mutex",
	"threadcreate" };

static const char *line(const char *form, const char *name, long long duration_ns)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s %s 1 duration %lld\n", form, name, duration_ns);
	return text;
}

static const char *file(const char *name, const char *suffix)
{
	static char text[128];

	snprintf(text, sizeof(text), "attachment; filename=\"%s%s\"", name, suffix);
	return text;
}

static bool is_heap(const char *name)
{
	return strcmp(name, "heap") == 0 || strcmp(name, "allocs") == 0;
}

static void each_kind_is_served_as_proto_and_text(void **unused)
{
	const char *const queries[] = { "", "debug=0", "debug=x", "debug=" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		for (size_t j = 0; j < PA_COUNT(queries); j++) {
			again();
			named(names[i], queries[j]);
			is_binary(file(names[i], ""), line("proto", names[i], 0));
			assert_int_equal(fake.memory_reads, 0);
		}
		again();
		named(names[i], "debug=1");
		is_text(line("text", names[i], 0));
		assert_int_equal(fake.debug, 1);
		assert_int_equal(fake.details, 0);
		/* It is costly: only for texts that show it. */
		assert_int_equal(fake.memory_reads, is_heap(names[i]));
	}
}

static void negative_debug_is_text_of_heaps_only(void **unused)
{
	const char *const queries[] = { "debug=-1", "debug=-99999999999999999999" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		for (size_t j = 0; j < PA_COUNT(queries); j++) {
			again();
			named(names[i], queries[j]);
			is_text(line(is_heap(names[i]) ? "text" : "proto", names[i], 0));
			assert_int_equal(fake.memory_reads, is_heap(names[i]));
			assert_int_equal(fake.details, 0);
		}
	}
}

static void debug_two_of_goroutine_asks_for_details(void **unused)
{
	(void)unused;
	named("goroutine", "debug=2");
	is_text(line("text", "goroutine", 0));
	assert_int_equal(fake.debug, 2);
	assert_int_equal(fake.details, 1);
	again();
	named("goroutine", "debug=99999999999999999999");
	is_text(line("text", "goroutine", 0));
	assert_int_equal(fake.details, 1);
}

static void debug_two_of_others_is_text(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		if (strcmp(names[i], "goroutine") == 0)
			continue;
		again();
		named(names[i], "debug=2");
		is_text(line("text", names[i], 0));
		assert_int_equal(fake.debug, 2);
		assert_int_equal(fake.details, 0);
	}
}

static void snapshots_watch_nothing(void **unused)
{
	(void)unused;
	named("block", "debug=1");
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
	again();
	named("mutex", "");
	assert_int_equal(fake.taken, 1);
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
}

static void gc_is_ignored_elsewhere(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		if (strcmp(names[i], "heap") == 0)
			continue;
		again();
		named(names[i], "gc=1");
		is_binary(file(names[i], ""), line("proto", names[i], 0));
	}
}

static void each_kind_has_deltas(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		again();
		named(names[i], "seconds=2");
		is_binary(file(names[i], "-delta"), line("proto", names[i], PA_NS_PER_S));
		assert_int_equal(http.waited_ns, 2 * PA_NS_PER_S);
		assert_int_equal(fake.taken, 2);
	}
}

static const char *const contentions[] = { "block", "mutex" };

/* How many watched while the last request waited. */
static int watches_meanwhile[PA_PROFILE_LIST_MAX];

static void note_watches(void)
{
	for (size_t i = 0; pa_profile_list[i]; i++)
		watches_meanwhile[i] = watches_of(pa_profile_list[i]);
}

static void delta_of_contention_is_recorded_while_it_waits(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(contentions); i++) {
		size_t kind = pa_profile_lookup_index(pa_profile_lookup(contentions[i]));
		again();
		http.on_wait = note_watches;
		named(contentions[i], "seconds=1");
		assert_int_equal(watches_meanwhile[kind], 1);
		assert_int_equal(pa_load_acquire(&fake_kinds.watches), 1);
		/* from before the first snapshot to after the second */
		assert_int_equal(fake.taken, 2);
		assert_int_equal(fake.watched, 2);
	}
}

static void watching_ends_when_the_client_leaves(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(contentions); i++) {
		again();
		http.client_left = true;
		named(contentions[i], "seconds=30");
		is_error(500, "context canceled\n");
		assert_int_equal(fake.watched, 1);
		nobody_watches();
	}
}

static void watching_ends_when_the_first_snapshot_fails(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(contentions); i++) {
		again();
		fake.take_fails = true;
		named(contentions[i], "seconds=1");
		is_error(500, "failed to collect profile\n");
		assert_int_equal(pa_load_acquire(&fake_kinds.watches), 1);
		assert_int_equal(http.waited_ns, 0);
		nobody_watches();
	}
}

static void fail_from_here(void)
{
	fake.take_fails = true;
}

static void watching_ends_when_the_second_snapshot_fails(void **unused)
{
	(void)unused;
	http.on_wait = fail_from_here;
	named("mutex", "seconds=1");
	is_error(500, "failed to collect profile\n");
	assert_int_equal(fake.watched, 1);
}

static void refused_deltas_watch_nothing(void **unused)
{
	(void)unused;
	named("block", "seconds=0");
	is_error(400, "invalid value for \"seconds\" - must be a positive integer\n");
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
	again();
	named("mutex", "seconds=1&debug=2");
	is_error(400, "seconds and debug params are incompatible\n");
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
	again();
	fake_suspend_full = true;
	named("block", "seconds=1");
	fake_suspend_full = false;
	is_error(503, "too many profiles are being taken; try again\n");
	assert_int_equal(fake.taken, 0);
	assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
	/* others were faster */
	again();
	http.suspend_full = true;
	named("block", "seconds=1");
	is_error(503, "too many profiles are being taken; try again\n");
	nobody_watches();
}

/* Each wait brings another request, until one is turned away. */
#define CROWD 20

static struct {
	int waiting, most_watched;
	bool turned_away;
} crowd;

static void join_crowd(void)
{
	struct pa_http other = http_new();
	const struct pa_request request = { .path = "", .query = "seconds=1" };

	crowd.waiting++;
	if (watches_of(&pa_block_profile) > crowd.most_watched)
		crowd.most_watched = watches_of(&pa_block_profile);
	other.on_wait = join_crowd;
	other.suspend_full = crowd.waiting == CROWD;
	pa_profile_endpoints_named(&other, &request, pa_profile_lookup("block"));
	crowd.turned_away |= other.head.status == 503;
	http_free(&other);
}

static void each_delta_watches_for_itself(void **unused)
{
	(void)unused;
	http.on_wait = join_crowd;
	named("block", "seconds=1");
	assert_int_equal(http.head.status, 200);
	assert_true(crowd.turned_away);
	assert_int_equal(crowd.waiting, CROWD);
	assert_int_equal(crowd.most_watched, CROWD);
	nobody_watches();
}

static void head_of_each_kind_is_like_get(void **unused)
{
	const char *const queries[] = { "", "debug=1", "debug=2", "debug=-1", "seconds=1",
		"seconds=0", "seconds=1&debug=1" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		for (size_t j = 0; j < PA_COUNT(queries); j++) {
			again();
			named(names[i], queries[j]);
			struct pa_http got = http;
			http = http_new();
			fake_reset();
			http.head_only = true;
			named(names[i], queries[j]);
			assert_int_equal(http.head.status, got.head.status);
			assert_string_equal(http.head.type, got.head.type);
			assert_string_equal(http.disposition, got.disposition);
			assert_int_equal(http.head.pprof_error, got.head.pprof_error);
			assert_int_equal(fake.taken, 0);
			assert_int_equal(pa_load_acquire(&fake_kinds.watches), 0);
			assert_int_equal(http.waited_ns, 0);
			http_free(&got);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_kind_is_served_as_proto_and_text),
		TEST(negative_debug_is_text_of_heaps_only),
		TEST(debug_two_of_goroutine_asks_for_details),
		TEST(debug_two_of_others_is_text),
		TEST(snapshots_watch_nothing),
		TEST(gc_is_ignored_elsewhere),
		TEST(each_kind_has_deltas),
		TEST(delta_of_contention_is_recorded_while_it_waits),
		TEST(watching_ends_when_the_client_leaves),
		TEST(watching_ends_when_the_first_snapshot_fails),
		TEST(watching_ends_when_the_second_snapshot_fails),
		TEST(refused_deltas_watch_nothing),
		TEST(each_delta_watches_for_itself),
		TEST(head_of_each_kind_is_like_get),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}
