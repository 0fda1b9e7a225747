/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core.h"
#include "agent/profile/cpu.h"
#include "agent/profile/recording.h"
#include "agent/profile/snapshot_take.h"
#include "agent/symbols/symbols.h"
#include "agent/symbols/symbols_resolve.h"
#include "agent/serve/render_thread.h"
#include "agent/serve/api_profiles.h"
#include "agent/serve/delta_endpoint.h"
#include "proto/folded.h"
#include "proto/text.h"
#include "proto/top.h"
#include "test/lib/c/fake_kinds.h"

static struct pa_settings settings = { .cpu_hz = 100 };
static struct pa_bridge bridge;

static struct {
	PA_ATOMIC(int) spawned, taken, freed;
	const struct pa_profile_ops *kind;
	bool with_detail, no_snapshot, claimed;
	int encoder_error, cpu_error;
	size_t bytes; /* that the encoder writes */
	PA_ATOMIC(int) cpu_stops;
} fake;

static struct {
	char text[64];
	size_t bytes, stop_at;
} out;

static struct pa_snapshot a_snapshot;

struct pa_snapshot *pa_snapshot_take(const struct pa_profile_ops *kind, bool detail)
{
	pa_add_relaxed(&fake.taken, 1);
	fake.kind = kind;
	fake.with_detail = detail;
	a_snapshot.kind = kind;
	return fake.no_snapshot ? NULL : &a_snapshot;
}

struct pa_snapshot *pa_snapshot_new(size_t bytes)
{
	(void)bytes;
	return NULL;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	pa_add_relaxed(&fake.freed, snapshot != NULL);
}

int pa_cpu_start(unsigned rate_hz)
{
	return rate_hz == 100 ? fake.cpu_error : -EINVAL;
}

bool pa_cpu_claim(void)
{
	fake.claimed = true;
	return true;
}

void pa_cpu_disclaim(void)
{
	fake.claimed = false;
}

int pa_cpu_start_claimed(const struct pa_profile_ops *kind, unsigned rate_hz)
{
	(void)kind;
	return pa_cpu_start(rate_hz);
}

struct pa_snapshot *pa_cpu_stop(const struct pa_profile_ops *kind)
{
	assert_ptr_equal(kind, &pa_cpu_profile);
	pa_add_relaxed(&fake.cpu_stops, 1);
	a_snapshot.kind = &pa_cpu_profile;
	return fake.no_snapshot ? NULL : &a_snapshot;
}

size_t pa_snapshot_count(const struct pa_profile_ops *kind)
{
	return kind == &pa_heap_profile ? 7 : 0;
}

void pa_memstats_read(struct pa_memstats *stats)
{
	*stats = (struct pa_memstats){ 0 };
}

void pa_recording_rates_changed(void)
{
}

static int write_much(const struct pa_sink *sink, char letter)
{
	char piece[1000];
	memset(piece, letter, sizeof(piece));
	for (size_t left = fake.bytes; left; left -= left < 1000 ? left : 1000)
		if (!sink->write(sink->arg, piece, left < 1000 ? left : 1000))
			return -ECANCELED;
	return fake.encoder_error;
}

int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug, const struct pa_sink *sink)
{
	(void)snapshot;
	return write_much(sink, (char)('0' + debug));
}

int pa_encode_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	(void)snapshot;
	return write_much(sink, 'p');
}

int pa_folded_write(const struct pa_snapshot *snapshot, uint32_t value, const struct pa_sink *sink)
{
	(void)snapshot;
	(void)value;
	return write_much(sink, 'f');
}

int pa_top_write(const struct pa_snapshot *snapshot, uint32_t value, uint32_t rows,
	const struct pa_sink *sink)
{
	(void)rows;
	return pa_folded_write(snapshot, value, sink);
}

void pa_symbols_resolve_name_unnamed(bool on)
{
	(void)on;
}

void pa_symbols_init(enum pa_env_symbols mode)
{
	(void)mode;
}

void pa_symbols_end_request(void)
{
}

uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	(void)loc;
	(void)frames;
	(void)max;
	return 0;
}

int64_t pa_delta_endpoint_idle(void)
{
	return -1;
}

static int spawn(void *(*run)(void *), void *arg, const char *name)
{
	pthread_t thread;
	(void)name;
	pa_add_relaxed(&fake.spawned, 1);
	return -pthread_create(&thread, NULL, run, arg) || -pthread_detach(thread);
}

static bool write_out(void *arg, const void *bytes, size_t count)
{
	size_t kept = sizeof(out.text) - 1 < count ? sizeof(out.text) - 1 : count;
	(void)arg;
	memcpy(out.text, bytes, kept);
	out.bytes += count;
	return !out.stop_at || out.bytes < out.stop_at;
}

static uint32_t no_custom(void)
{
	return 0;
}

/* By whichever thread is the last to be done with it. */
static void await_freed(int count)
{
	while (pa_load_acquire(&fake.freed) != count)
		sched_yield();
}

static int reset(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	bridge.settings = &settings;
	bridge.spawn = spawn;
	bridge.custom_total = no_custom;
	pa_api_profiles_init();
	memset(&out, 0, sizeof(out));
	fake.bytes = 3;
	fake.encoder_error = fake.cpu_error = 0;
	fake.no_snapshot = fake.with_detail = false;
	pa_store_relaxed(&fake.taken, 0);
	pa_store_relaxed(&fake.freed, 0);
	return 0;
}

static int write_profile(const char *name, int64_t debug)
{
	return bridge.api.write(name, debug, write_out, NULL);
}

static void form_is_what_debug_says(void **unused)
{
	(void)unused;
	assert_int_equal(write_profile("heap", 0), 0);
	assert_int_equal(out.text[0], 'p');
	assert_int_equal(write_profile("heap", 1), 0);
	assert_int_equal(out.text[0], '1');
	assert_int_equal(write_profile("mutex", 2), 0);
	assert_int_equal(out.text[0], '2');
	assert_ptr_equal(fake.kind, &pa_mutex_profile);
	/* As over HTTP: only heap and allocs have a text for less than nothing. */
	assert_int_equal(write_profile("allocs", -1), 0);
	assert_int_equal(out.text[0], '0' - 1);
	assert_int_equal(write_profile("block", -1), 0);
	assert_int_equal(out.text[0], 'p');
	await_freed(5);
}

static void dump_of_threads_has_detail(void **unused)
{
	(void)unused;
	assert_int_equal(write_profile("goroutine", 1), 0);
	assert_false(fake.with_detail);
	assert_int_equal(write_profile("goroutine", 2), 0);
	assert_true(fake.with_detail);
}

static void large_profiles_pass_through_a_small_buffer(void **unused)
{
	(void)unused;
	fake.bytes = 5 * PA_RENDER_THREAD_BYTES + 17;
	assert_int_equal(write_profile("heap", 0), 0);
	assert_int_equal(out.bytes, fake.bytes);
}

static void writer_that_stops_ends_it(void **unused)
{
	(void)unused;
	fake.bytes = 5 * PA_RENDER_THREAD_BYTES;
	out.stop_at = 1000;
	assert_int_equal(write_profile("heap", 0), -ECANCELED);
	out.stop_at = 0;
	fake.bytes = 3;
	assert_int_equal(write_profile("heap", 0), 0);
}

static void errors_are_told(void **unused)
{
	(void)unused;
	assert_int_equal(write_profile("nosuch", 0), -EINVAL);
	assert_int_equal(write_profile("profile", 0), -EINVAL);
	fake.encoder_error = -EIO;
	assert_int_equal(write_profile("heap", 0), -EIO);
	fake.encoder_error = 0;
	fake.no_snapshot = true;
	assert_int_equal(write_profile("heap", 0), -ENOMEM);
	assert_int_equal(bridge.api.cpu_stop(write_out, NULL), -ENOMEM);
}

static void cpu_profile_is_the_one_that_was_stopped(void **unused)
{
	(void)unused;
	fake.cpu_error = -EBUSY;
	assert_int_equal(bridge.api.cpu_start(), -EBUSY);
	fake.cpu_error = 0;
	assert_int_equal(bridge.api.cpu_start(), 0);
	assert_int_equal(bridge.api.cpu_stop(write_out, NULL), 0);
	assert_int_equal(out.text[0], 'p');
	assert_int_equal(fake.taken, 0);
	await_freed(1);
}

static int spawn_nothing(void *(*run)(void *), void *arg, const char *name)
{
	(void)run;
	(void)arg;
	(void)name;
	return 0;
}

static int spawn_fails(void *(*run)(void *), void *arg, const char *name)
{
	(void)spawn_nothing(run, arg, name);
	return -EAGAIN;
}

/* A request that comes before the thread has run must find the profile taken. */
static void cpu_profile_of_the_start_is_claimed_before_its_thread_runs(void **unused)
{
	(void)unused;
	bridge.cpu_from_start = true;
	bridge.spawn = spawn_fails;
	pa_api_profiles_init();
	assert_false(fake.claimed);
	bridge.spawn = spawn_nothing;
	pa_api_profiles_init();
	assert_true(fake.claimed);
	bridge.cpu_from_start = false;
}

static void counts_are_those_of_the_index(void **unused)
{
	(void)unused;
	assert_int_equal(bridge.api.count("heap"), 7);
	assert_int_equal(bridge.api.count("nosuch"), -1);
}

static void one_render_thread_serves_all(void **unused)
{
	(void)unused;
	assert_int_equal(write_profile("heap", 0), 0);
	assert_int_equal(fake.spawned, 1);
	assert_false(pa_render_thread_claim());
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(form_is_what_debug_says),
		TEST(dump_of_threads_has_detail),
		TEST(large_profiles_pass_through_a_small_buffer),
		TEST(writer_that_stops_ends_it),
		TEST(errors_are_told),
		TEST(cpu_profile_is_the_one_that_was_stopped),
		TEST(cpu_profile_of_the_start_is_claimed_before_its_thread_runs),
		TEST(counts_are_those_of_the_index),
		TEST(one_render_thread_serves_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
