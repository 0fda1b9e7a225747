/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of profile is one file and one line: this file has the operations of a kind that the agent
 * does not have, and a list with a line for it. Collector, mailbox, encoder, texts and routes are
 * the real ones, and show it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "agent/profile/delta.h"
#include "agent/serve/render_thread.h"
#include "agent/serve/routes.h"
#include "agent/symbols/symbols.h"
#include "test/lib/c/fake_symbols.h"
#include "test/lib/c/collector.h"
#include "test/lib/c/fake_http.h"
#include "test/lib/c/wire.h"

/* ---- the kind: threads created, by creator, and their weight in grams ---- */

static struct {
	const struct pa_stack *stacks[8];
	int64_t counts[8];
	size_t used;
	uint64_t dropped;
	int watches, watched, forks;
} creations;

static void add_creation(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	size_t i = 0;
	(void)kind;
	(void)event;
	while (i < creations.used && creations.stacks[i] != stack)
		i++;
	if (i == PA_COUNT(creations.stacks)) {
		creations.dropped++;
		return;
	}
	creations.stacks[i] = stack;
	creations.counts[i]++;
	creations.used += i == creations.used;
}

static size_t creations_room(const struct pa_profile_ops *kind)
{
	(void)kind;
	return creations.used;
}

static size_t copy_creations(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)kind;
	(void)threads;
	for (size_t i = 0; i < creations.used; i++)
		out[i] = (struct pa_sample){ .stack = creations.stacks[i],
			.values = { creations.counts[i] },
			.bytes_label = -1 };
	return creations.used;
}

static struct pa_profile_ops_loss lost_creations(const struct pa_profile_ops *kind)
{
	(void)kind;
	return (struct pa_profile_ops_loss){ .events = creations.dropped };
}

static void say_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say, void *arg)
{
	(void)kind;
	say(arg, creations.dropped, "creations that the test has no room for");
}

static size_t count_creations(const struct pa_profile_ops *kind)
{
	(void)kind;
	return creations.used;
}

static void watch_creations(const struct pa_profile_ops *kind, bool sampled, bool on)
{
	(void)kind;
	(void)sampled;
	creations.watches += on ? 1 : -1;
	creations.watched += on;
}

static void fork_creations(const struct pa_profile_ops *kind, bool kept)
{
	(void)kind;
	creations.forks += kept;
}

static const struct pa_profile_ops spawned_profile = {
	.name = "spawned",
	.description = "Threads that the test has seen",
	PA_PROFILE_OPS_COUNTS("spawned"),
	.text = PA_PROFILE_OPS_TEXT_COUNT,
	.named = true,
	.has_seconds = true,
	.has_delta_clients = true,
	.events = PA_PROFILE_OPS_EVENT(PA_EVENT_CREATE),
	.add = add_creation,
	.room = creations_room,
	.samples = copy_creations,
	.lost = lost_creations,
	.drops = say_drops,
	.count = count_creations,
	.watch = watch_creations,
	.atfork_child = fork_creations,
};

const struct pa_profile_ops *const pa_profile_list[PA_PROFILE_LIST_MAX + 1] = { &pa_heap_profile,
	&pa_cpu_profile, &pa_mutex_profile, &pa_threadcreate_profile, &pa_goroutine_profile,
	&pa_custom_profile, &spawned_profile, NULL };

/* ---- a client ---- */

uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	(void)loc;
	(void)frames;
	(void)max;
	return 0;
}

uint32_t pa_symbols_lacking(void)
{
	return 0;
}

struct pa_function *pa_symbols_at(uintptr_t address)
{
	(void)address;
	return NULL;
}

void pa_symbols_end_request(void)
{
}

static void *run_render(void *unused)
{
	pa_render_thread_run(NULL);
	return unused;
}

static struct pa_http http;

static int get(const char *path, const char *query)
{
	static const struct pa_access guard = { .host = "", .hosts = "", .token = "" };
	const struct pa_request request = {
		.method = PA_REQUEST_METHOD_GET, .path = path, .query = query, .peer = "127.0.0.1"
	};
	http_free(&http);
	http = http_new();
	pa_routes_init(NULL, &guard);
	pa_routes_handlers.answer(&http, &request);
	assert_true(http.begun && http.ended);
	return http.head.status;
}

enum { SAMPLE = 2, STRING = 6, VALUE = 2 };

/* The answer is a profile of that sample type; returns the first value of its only sample. */
static uint64_t only_value(const char *type)
{
	static unsigned char raw[1 << 16];
	z_stream stream = { .next_in = (unsigned char *)http.bytes,
		.avail_in = (uInt)http.count,
		.next_out = raw,
		.avail_out = sizeof(raw) };
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	struct wire_span profile = { raw, raw + stream.total_out };
	inflateEnd(&stream);
	struct wire_span text = wire_message(profile, STRING, 1);
	assert_int_equal(text.end - text.at, strlen(type));
	assert_memory_equal(text.at, type, strlen(type));
	struct wire_span values = wire_message(wire_message(profile, SAMPLE, 0), VALUE, 0);
	return wire_varint(&values);
}

/* ---- tests ---- */

static void send_creations(uintptr_t pc, int count)
{
	for (int i = 0; i < count; i++)
		send_create(pc);
}

static void it_is_taken(void **unused)
{
	(void)unused;
	send_creations(PC(1), 3);
	struct pa_snapshot *snapshot = pa_snapshot_take(&spawned_profile, false);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, &spawned_profile);
	assert_int_equal(snapshot->period, 1);
	assert_int_equal(snapshot->sample_count, 1);
	assert_int_equal(find_sample(snapshot, PC(1))->values[0], 3);
	pa_snapshot_free(snapshot);
	/* Each kind that takes an event has it. */
	snapshot = pa_snapshot_take(&pa_threadcreate_profile, false);
	assert_int_equal(find_sample(snapshot, PC(1))->values[0], 3);
	pa_snapshot_free(snapshot);
}

static void it_is_served_as_proto_and_text(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/spawned", ""), 200);
	assert_string_equal(http.disposition, "attachment; filename=\"spawned\"");
	assert_int_equal(only_value("spawned"), 3);
	assert_int_equal(get("/debug/pprof/spawned", "debug=1"), 200);
	assert_ptr_equal(strstr(http.bytes, "spawned profile: total 3\n3 @ 0x"), http.bytes);
}

static void create_more(void)
{
	assert_int_equal(creations.watches, 1);
	send_creations(PC(1), 2);
}

static void its_changes_are_served(void **unused)
{
	(void)unused;
	http_free(&http);
	http = http_new();
	http.on_wait = create_more;
	const struct pa_request request = { .method = PA_REQUEST_METHOD_GET,
		.path = "/debug/pprof/spawned",
		.query = "seconds=1" };
	pa_routes_handlers.answer(&http, &request);
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.disposition, "attachment; filename=\"spawned-delta\"");
	assert_int_equal(only_value("spawned"), 2);
	assert_int_equal(creations.watches, 0);

	assert_int_equal(get("/debug/pprof/delta_spawned", ""), 200);
	assert_int_equal(only_value("spawned"), 5);
	send_creations(PC(1), 4);
	assert_int_equal(get("/debug/pprof/delta_spawned", ""), 200);
	assert_int_equal(only_value("spawned"), 4);
	assert_int_equal(get("/debug/pprof/delta_threadcreate", ""), 404);
}

static void it_is_in_the_index(void **unused)
{
	(void)unused;
	assert_int_equal(get("/debug/pprof/", ""), 200);
	assert_non_null(strstr(http.bytes,
		"<tr><td>1</td><td><a href='spawned?debug=1'>spawned</a></td></tr>"));
	assert_non_null(strstr(http.bytes, "Threads that the test has seen"));
}

static void its_losses_are_told_in_all_profiles(void **unused)
{
	(void)unused;
	for (uintptr_t i = 2; i < 12; i++)
		send_creations(PC(i), 1);
	struct pa_snapshot *snapshot = pa_snapshot_take(&spawned_profile, false);
	assert_int_equal(find_sample(snapshot, PA_PSEUDO_LOST)->values[0], 3);
	pa_snapshot_free(snapshot);
	snapshot = take_heap();
	assert_non_null(find_comment(snapshot, "dropped 3: creations that the test has no room"));
	pa_snapshot_free(snapshot);
}

static void a_forked_child_is_told(void **unused)
{
	int status;
	(void)unused;
	assert_true(bridge.atfork.prepare(PA_NS_PER_S));
	pid_t child = fork();
	if (child == 0) {
		bridge.atfork.child(true);
		_exit(creations.forks);
	}
	bridge.atfork.parent();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
	pthread_t thread;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_taken),
		cmocka_unit_test(it_is_served_as_proto_and_text),
		cmocka_unit_test(its_changes_are_served),
		cmocka_unit_test(it_is_in_the_index),
		cmocka_unit_test(its_losses_are_told_in_all_profiles),
		cmocka_unit_test(a_forked_child_is_told),
	};
	start_collector(1 << 20);
	if (pthread_create(&thread, NULL, run_render, NULL) != 0)
		return 1;
	http = http_new();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
