/* SPDX-License-Identifier: Apache-2.0 */
/* The writer against made-up programs, whole and with their events damaged. */
#include "test/lib/c/trace_fixture.h"

#include "test/lib/c/trace_schedule.h"

static int set_up(void **unused)
{
	(void)unused;
	world.entry = STACK(IN_WORKER);
	world.stacks[0] = STACK(IN_LOCK, IN_MAIN, IN_START_CALL_MAIN, IN_START_MAIN, IN_START);
	world.stacks[1] = STACK(IN_OTHER, IN_INLINED, IN_WORKER, IN_START_THREAD, IN_CLONE3);
	world.stacks[2] = STACK(IN_NAMELESS, IN_EXTRA, IN_MAIN);
	world.stacks[3] = STACK(IN_WORKER);
	world.stacks[4] = STACK(IN_CLONE3);
	world.stacks[5] = STACK(IN_EXTRA + 1, IN_EXTRA + 2, IN_WORKER, IN_START_THREAD, IN_CLONE3);
	return 0;
}

/* All threads that are there run at the start. */
static struct pa_snapshot snapshot_of_world(void)
{
	static struct pa_sample samples[THREADS_MAX];
	struct pa_snapshot snapshot = { .samples = samples };

	for (size_t i = 0; i < world.players_at_start; i++)
		samples[snapshot.sample_count++] = (struct pa_sample){ .stack = world.stacks[3],
			.tid = world.players[i].tid,
			.thread = i % 3 ? "pool" : NULL };
	return snapshot;
}

static void write_trace(bool with_snapshot)
{
	const struct pa_snapshot snapshot = snapshot_of_world();
	struct pa_gotrace *writer = pa_gotrace_new(&sink);
	size_t parts[] = { 1, 7, 100 };

	out.count = 0;
	assert_non_null(writer);
	pa_gotrace_begin(writer, &made_up_process, with_snapshot ? &snapshot : NULL, START_NS);
	/* Items lie behind each other in what is fed, each with its text. */
	for (size_t at = 0; at < world.item_count;) {
		static struct pa_trace_queue_item feed[100 * 17];
		size_t count = 0, part = parts[dice(PA_COUNT(parts))];
		for (; part-- && at < world.item_count; at++) {
			const struct pa_trace_queue_item *items = world.items[at].items;
			for (size_t i = 0; i < 1 + pa_trace_queue_text_items(items); i++)
				feed[count++] = items[i];
		}
		pa_gotrace_feed(writer, feed, count);
	}
	assert_int_equal(pa_gotrace_finish(writer, START_NS + world.now_ns, 0), 0);
	assert_int_equal(pa_gotrace_write_tables(writer, &sink), 0);
	assert_int_equal(pa_gotrace_stats(writer).bytes, out.count);
	pa_gotrace_free(writer);
}

static void read_or_say(uint32_t seed, const char *what)
{
	if (!trace_read(&trace, out.bytes, out.count))
		fail_msg("seed %u, %s: %s", seed, what, trace.error);
	assert_int_equal(trace.undefined_stacks, 0);
}

/* ---- what was true ---- */

#define NO_THREAD UINT64_MAX
#define UNSEEN (UINT64_MAX - 1)

static uint64_t goroutine_of(int player)
{
	const struct player *at = &world.players[player];

	return at->there_at_the_start ? (uint64_t)at->tid :
					10000000 + (uint64_t)player - world.players_at_start;
}

static int player_of_tid(int32_t tid)
{
	return tid - 100;
}

static uint64_t releaser_of(uint64_t number)
{
	size_t at = world.release_at[number];

	return goroutine_of(player_of_tid(world.items[at].items->tid));
}

/* By what a wait shows that it began, and how it ended. */
struct expected {
	unsigned type, end_type;
	uint64_t by; /* NO_THREAD: by none; UNSEEN: it has not ended */
	bool or_nobody;
};

static unsigned type_of(unsigned wait)
{
	switch (wait) {
	case PA_TRACE_EVENTS_IN_COND: return TRACE_GO_BLOCK_COND;
	case PA_TRACE_EVENTS_IN_SLEEP: return TRACE_GO_SLEEP;
	case PA_TRACE_EVENTS_IN_POLL:
	case PA_TRACE_EVENTS_IN_ACCEPT: return TRACE_GO_BLOCK_NET;
	case PA_TRACE_EVENTS_IN_READ:
	case PA_TRACE_EVENTS_IN_OTHER_CALL: return TRACE_GO_SYS_CALL;
	default: return TRACE_GO_BLOCK_SYNC;
	}
}

static bool is_near(size_t from, size_t to)
{
	return to - from < PA_GOTRACE_WINDOW;
}

/* Was the lock free before the wait was recorded, or was it the last one at the barrier? */
static bool is_no_wait(const struct wait_truth *wait)
{
	return wait->woke && wait->link && wait->wait != PA_TRACE_EVENTS_IN_COND &&
		world.release_at[wait->link] <= wait->block && is_near(wait->block, wait->woke);
}

/* Is no other wait that names the release ended by it first? */
static bool is_first(const struct wait_truth *wait)
{
	for (size_t i = 0; i < world.player_count; i++) {
		const struct player *player = &world.players[i];
		for (size_t n = 0; n < player->wait_count; n++) {
			const struct wait_truth *other = &player->waits[n];
			if (other->link == wait->link && other->woke && other->woke < wait->woke &&
				world.release_at[wait->link] > other->block)
				return false;
		}
	}
	return true;
}

static struct expected expect(const struct wait_truth *wait)
{
	struct expected expected = { type_of(wait->wait), TRACE_GO_UNBLOCK, NO_THREAD, false };

	if (expected.type == TRACE_GO_SYS_CALL)
		expected.end_type = TRACE_GO_SYS_EXIT;
	if (!wait->woke)
		expected.by = UNSEEN;
	else if (wait->link && world.release_at[wait->link] > wait->block) {
		expected.by = releaser_of(wait->link);
		expected.or_nobody =
			!is_near(world.release_at[wait->link], wait->woke) || !is_first(wait);
	}
	return expected;
}

static bool ends_wait(unsigned type)
{
	return type == TRACE_GO_UNBLOCK || type == TRACE_GO_SYS_EXIT;
}

static bool begins_wait(unsigned type)
{
	return type == TRACE_GO_SLEEP || type == TRACE_GO_SYS_CALL ||
		(type >= TRACE_GO_BLOCK_SYNC && type <= TRACE_GO_BLOCK_NET);
}

/* The n-th of those events of the goroutine. */
struct seen {
	uint64_t g;
	unsigned type;
	uint64_t by;
};

static size_t list_waits(struct seen *list)
{
	size_t count = 0;

	for (size_t i = 0; i < trace.event_count; i++) {
		const struct trace_event *e = &trace.events[i];
		if (begins_wait(e->type) || ends_wait(e->type))
			list[count++] = (struct seen){ e->g, e->type, e->by ? e->by : NO_THREAD };
	}
	return count;
}

static int compare_seen(const void *x, const void *y)
{
	const struct seen *a = x, *b = y;

	return a->g < b->g ? -1 : a->g > b->g;
}

/* Moves on behind the wait. */
static const struct seen *check_wait(const struct seen *seen, const struct wait_truth *wait,
	uint32_t seed)
{
	const struct expected expected = expect(wait);

	if (is_no_wait(wait))
		return seen;
	if (seen->type != expected.type)
		fail_msg("seed %u: g %lu does %s, not %s", seed, seen->g,
			trace_shapes[seen->type].name, trace_shapes[expected.type].name);
	seen++;
	if (expected.by == UNSEEN)
		return seen;
	if (seen->type != expected.end_type)
		fail_msg("seed %u: g %lu ends a wait by %s", seed, seen->g,
			trace_shapes[seen->type].name);
	bool good = expected.end_type == TRACE_GO_SYS_EXIT || seen->by == expected.by ||
		(expected.or_nobody && seen->by == NO_THREAD);
	if (!good)
		fail_msg("seed %u: g %lu is woken by %ld, not %ld", seed, seen->g, (long)seen->by,
			(long)expected.by);
	return seen + 1;
}

static void check_waits(uint32_t seed)
{
	static struct seen list[STEPS_MAX * 4];
	size_t count = list_waits(list);

	/* glibc's is a merge sort: the order of one goroutine's events stays. */
	qsort(list, count, sizeof(*list), compare_seen);
	list[count] = (struct seen){ 0 };
	const struct seen *seen = list;
	for (size_t i = 0; i < world.player_count; i++) {
		uint64_t g = goroutine_of((int)i);
		const struct player *player = &world.players[i];
		while (seen->g && seen->g < g)
			fail_msg("seed %u: g %lu waits too often", seed, seen->g);
		for (size_t n = 0; n < player->wait_count; n++) {
			assert_true(is_no_wait(&player->waits[n]) || seen->g == g);
			seen = check_wait(seen, &player->waits[n], seed);
		}
	}
	assert_int_equal(seen - list, count);
}

static void check_lives(void)
{
	assert_int_equal(trace.goroutine_count, world.player_count);
	for (size_t i = 0; i < world.player_count; i++) {
		const struct player *player = &world.players[i];
		uint64_t g = goroutine_of((int)i);
		const struct trace_event *created = trace_event_of(&trace, g, TRACE_GO_CREATE, 0);
		assert_non_null(created);
		assert_string_equal(trace_function(&trace, created->args[1], 0), "worker");
		if (!player->there_at_the_start)
			assert_int_equal(created->by, goroutine_of(player->parent));
		assert_int_equal(trace_event_of(&trace, g, TRACE_GO_END, 0) != NULL,
			player->doing == ENDED);
		bool starts = trace_event_of(&trace, g, TRACE_GO_START, 0) ||
			trace_event_of(&trace, g, TRACE_GO_START_LABEL, 0);
		assert_int_equal(starts, player->doing != NOT_STARTED);
	}
}

static void whole_history_is_told_as_it_was(void **unused)
{
	size_t waits = 0, woken = 0;

	(void)unused;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		play(seed, 1 + seed % 12, 300, 6000);
		write_trace(true);
		read_or_say(seed, "whole");
		check_lives();
		check_waits(seed);
		for (size_t i = 0; i < trace.event_count; i++) {
			waits += begins_wait(trace.events[i].type);
			woken += trace.events[i].type == TRACE_GO_UNBLOCK && trace.events[i].by;
		}
		trace_free(&trace);
	}
	/* The dice were fair. */
	assert_true(waits > 10000);
	assert_true(woken > waits / 3);
}

static void history_of_more_threads_than_rows_is_told_as_it_was(void **unused)
{
	(void)unused;
	for (uint32_t seed = 100; seed < 104; seed++) {
		play(seed, 500, 700, 20000);
		write_trace(true);
		read_or_say(seed, "many");
		check_lives();
		check_waits(seed);
		trace_free(&trace);
	}
}

static void history_without_a_beginning_is_a_trace(void **unused)
{
	(void)unused;
	for (uint32_t seed = 200; seed < 230; seed++) {
		play(seed, 8, 30, 3000);
		/* As of a flight recorder: the first part is gone. */
		world.item_count /= 2;
		memmove(world.items, world.items + world.item_count,
			world.item_count * sizeof(*world.items));
		write_trace(false);
		read_or_say(seed, "without a beginning");
		trace_free(&trace);
	}
}

/* ---- damage ---- */

static void lose(uint32_t percent)
{
	size_t kept = 0;

	for (size_t i = 0; i < world.item_count; i++)
		if (dice(100) >= percent)
			world.items[kept++] = world.items[i];
	world.item_count = kept;
}

/* Each that is chosen changes places with another one, near or far. */
static void displace(uint32_t percent, uint32_t distance)
{
	for (size_t i = 0; i < world.item_count; i++) {
		size_t other = i + 1 + dice(distance);
		if (other >= world.item_count || dice(100) >= percent)
			continue;
		struct texted moved = world.items[i];
		world.items[i] = world.items[other];
		world.items[other] = moved;
	}
}

static void disturb_time(uint32_t percent)
{
	static const int64_t most_ns[] = { 100, 100000, PA_NS_PER_S, 3600 * PA_NS_PER_S };

	for (size_t i = 0; i < world.item_count; i++) {
		int64_t most = most_ns[dice(100) ? dice(2) : dice(PA_COUNT(most_ns))];
		if (dice(100) < percent)
			world.items[i].items->time_ns +=
				(int64_t)((double)most * (dice(2001) / 1000.0 - 1));
	}
}

/* As threads that end and leave their ids to others. */
static void reuse_tids(int32_t tids)
{
	for (size_t i = 0; i < world.item_count; i++)
		world.items[i].items->tid = world.items[i].items->tid % tids + 100;
}

/* What no recorder writes: any field, but the kind of item stays one that there is. */
static void scribble(uint32_t percent)
{
	for (size_t i = 0; i < world.item_count; i++) {
		struct pa_trace_queue_item *item = world.items[i].items;
		if (dice(100) >= percent)
			continue;
		switch (dice(6)) {
		case 0: item->tid = (int32_t)(world.dice >> dice(20)); break;
		case 1:
			item->op = (uint8_t)(1 + dice(PA_TRACE_EVENTS_HEAP));
			/* The program's tasks have ids of their own. */
			if (item->op == PA_TRACE_EVENTS_TASK)
				item->op = PA_TRACE_EVENTS_TICK;
			break;
		case 2: item->object = dice(2) ? 0 : 0x10000; break;
		case 3:
			item->link = item->op == PA_TRACE_EVENTS_TASK ? item->link : dice(5000);
			break;
		case 4: item->wait = (uint8_t)dice(PA_TRACE_EVENTS_WAIT_COUNT); break;
		default: item->stack = item->entry = NULL; break;
		}
	}
}

static void damaged_history_is_still_a_trace(void **unused)
{
	(void)unused;
	for (uint32_t seed = 1000; seed < 1200; seed++) {
		bool many = seed % 20 == 0;
		play(seed, many ? 250 : 1 + seed % 15, many ? 500 : 60, many ? 12000 : 3000);
		lose(dice(51));
		displace(dice(51), seed % 3 ? 30 : 2500);
		disturb_time(dice(51));
		write_trace(seed % 4);
		read_or_say(seed, "damaged");
		trace_free(&trace);
	}
}

static void history_of_few_ids_is_still_a_trace(void **unused)
{
	(void)unused;
	for (uint32_t seed = 2000; seed < 2060; seed++) {
		play(seed, 10, 100, 3000);
		reuse_tids(20);
		lose(seed % 2 ? 0 : dice(51));
		write_trace(seed % 3);
		read_or_say(seed, "few ids");
		trace_free(&trace);
	}
}

static void nonsense_is_still_a_trace(void **unused)
{
	(void)unused;
	for (uint32_t seed = 3000; seed < 3100; seed++) {
		play(seed, 12, 50, 3000);
		scribble(1 + dice(50));
		displace(dice(51), 100);
		write_trace(seed % 2);
		read_or_say(seed, "nonsense");
		trace_free(&trace);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_history_is_told_as_it_was),
		cmocka_unit_test(history_of_more_threads_than_rows_is_told_as_it_was),
		cmocka_unit_test(history_without_a_beginning_is_a_trace),
		cmocka_unit_test(damaged_history_is_still_a_trace),
		cmocka_unit_test(history_of_few_ids_is_still_a_trace),
		cmocka_unit_test(nonsense_is_still_a_trace),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
