/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector for tests: a real ring, the real tables, a thread that runs pa_collector_run;
 * stand-ins of the maps and of the unwinder. Events are made by hand. Include cmocka.h first.
 */
#ifndef COLLECTOR_H
#define COLLECTOR_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/profile/collector.h"
#include "agent/profile/contention.h"
#include "agent/profile/cpu.h"
#include "agent/profile/custom_table.h"
#include "agent/profile/goroutine.h"
#include "agent/profile/heap.h"
#include "agent/profile/profile_list.h"
#include "agent/profile/snapshot.h"
#include "agent/profile/snapshot_take.h"
#include "agent/profile/threadcreate.h"
#include "agent/unwind/unwind.h"
#include "test/lib/c/fake_maps.h"

#define TEXT 0x400000
#define TEXT_END 0x500000
#define AGENT_TID 4242
#define HOOKS 0x600000 /* code of the agent's own */
#define HOOKS_END 0x601000

/* Each test has stacks and objects of its own: the tables live as long as the process. */
#define PC(n) (TEXT + 0x100 * (uintptr_t)(n))
#define OBJECT(n) (0x7f0000000000 + 0x40 * (uintptr_t)(n))

static struct pa_settings settings = {
	.heap_rate_bytes = 524288, .cpu_hz = 100, .stack_depth = 128
};
static struct pa_counters counters;
static struct pa_bridge bridge;

/* What the stand-in of the unwinder answers, and what it was asked. */
static struct {
	struct pa_unwind_result result;
	uintptr_t more[4]; /* pcs that it finds behind the event's own */
	uint32_t more_count;
	struct pa_deferred deferred; /* of the last event */
	uint32_t max;
	int calls;
} fake_unwind;

int pa_unwind_init(void)
{
	return 0;
}

void pa_unwind_reset(void)
{
}

void pa_unwind_follow_tables(struct pa_frame_cache *frames)
{
	(void)frames;
}

struct pa_unwind_result pa_unwind_finish(const struct pa_event *event,
	struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max)
{
	uint32_t depth = 0;
	(void)frames;
	fake_unwind.calls++;
	fake_unwind.max = max;
	fake_unwind.deferred = *pa_event_deferred(event);
	for (; depth < event->depth && depth < max; depth++)
		pcs[depth] = pa_event_pcs(event)[depth];
	for (uint32_t i = 0; i < fake_unwind.more_count && depth < max; i++)
		pcs[depth++] = fake_unwind.more[i];
	fake_unwind.result.depth = depth;
	return fake_unwind.result;
}

static struct {
	int result, starts, stops, charges;
	unsigned rate_hz;
} fake_tick;

static int tick_start(unsigned rate_hz)
{
	fake_tick.rate_hz = rate_hz;
	fake_tick.starts++;
	return fake_tick.result;
}

static void tick_stop(void)
{
	fake_tick.stops++;
}

static void tick_charge(void)
{
	fake_tick.charges++;
}

/*
 * Dumps of these threads; call plays their part, and its absence is a program whose threads do not
 * answer.
 */
static struct {
	struct pa_thread_dump_entry entries[8];
	uint32_t count, generation;
	int begin_error, call_error, begins, calls;
	void (*call)(const struct pa_thread_dump *dump);
} fake_dump;

static int dump_begin(struct pa_thread_dump *dump)
{
	fake_dump.begins++;
	for (uint32_t i = 0; i < fake_dump.count; i++)
		pa_store_relaxed(&fake_dump.entries[i].state, PA_THREAD_DUMP_LISTED);
	*dump = (struct pa_thread_dump){ .generation = ++fake_dump.generation,
		.count = fake_dump.count,
		.entries = fake_dump.entries };
	return fake_dump.begin_error;
}

static int dump_call(struct pa_thread_dump *dump)
{
	fake_dump.calls++;
	if (fake_dump.call && !fake_dump.call_error)
		fake_dump.call(dump);
	for (uint32_t i = 0; i < dump->count; i++) {
		uint32_t asked = PA_THREAD_DUMP_LISTED;
		pa_cas_acq_rel(&dump->entries[i].state, &asked, PA_THREAD_DUMP_SILENT);
	}
	return fake_dump.call_error;
}

static struct {
	uint64_t block_rate_ns, mutex_fraction;
	int calls;
} fake_contend;

static void contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	fake_contend.block_rate_ns = block_rate_ns;
	fake_contend.mutex_fraction = mutex_fraction;
	fake_contend.calls++;
}

/* Profiles of the program's own. */
static struct {
	struct pa_custom_set profiles[2];
	uint32_t total;
} fake_customs = {
	.profiles = { { .id = 0, .name = "example.com/one" }, { .id = 1, .name = "two" } },
	.total = 2,
};

static struct pa_custom_set *custom_of(uint32_t id)
{
	return id < fake_customs.total ? &fake_customs.profiles[id] : NULL;
}

static uint32_t custom_total(void)
{
	return fake_customs.total;
}

/* fake_maps.h has the rest of maps.h. */
int pa_maps_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	memcpy(to, (const void *)from, bytes);
	return true;
}

static void await_agent_threads(int64_t timeout_ns)
{
	(void)timeout_ns;
}

static bool is_agent_thread(int32_t tid)
{
	return tid == AGENT_TID;
}

static void *run_collector(void *unused)
{
	(void)unused;
	pa_collector_run();
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, arg) != 0 || pthread_detach(thread) != 0)
		abort();
}

static void after_wait(void)
{
}

static void start_collector(size_t ring_bytes)
{
	bridge = (struct pa_bridge){ .version = PA_BRIDGE_VERSION,
		.settings = &settings,
		.counters = &counters,
		.tick_start = tick_start,
		.tick_stop = tick_stop,
		.tick_charge = tick_charge,
		.contend_rates = contend_rates,
		.dump_begin = dump_begin,
		.dump_call = dump_call,
		.text_lo = HOOKS,
		.text_hi = HOOKS_END,
		.is_agent_thread = is_agent_thread,
		.await_agent_threads = await_agent_threads,
		.after_wait = after_wait,
		.custom = custom_of,
		.custom_total = custom_total };
	bridge.ring = pa_ring_create(ring_bytes);
	pa_core_bridge = &bridge;
	fake_map(TEXT, TEXT_END);
	if (!bridge.ring || pa_collector_init() != 0)
		abort();
	start_thread(run_collector, NULL);
}

/* Waits for room as hooks do, for ever. */
static void send_bytes(const void *bytes, size_t size)
{
	void *record;
	while (!(record = pa_ring_reserve(bridge.ring, size)))
		pa_ring_wait_room(bridge.ring, size, PA_NS_PER_MS);
	memcpy(record, bytes, size);
	pa_ring_publish(bridge.ring, record, size, size);
}

static inline void send_event(struct pa_event event, const uintptr_t *pcs)
{
	char bytes[sizeof(event) + UINT8_MAX * sizeof(*pcs)];
	if (!event.time_ns)
		event.time_ns = pa_clock_mono_ns();
	memcpy(bytes, &event, sizeof(event));
	if (pcs)
		memcpy(bytes + sizeof(event), pcs, event.depth * sizeof(*pcs));
	send_bytes(bytes, sizeof(event) + event.depth * sizeof(*pcs));
}

/* An allocation with a stack of one return address. */
static inline void send_alloc(uintptr_t pc, uint64_t size, uintptr_t object)
{
	struct pa_event event = {
		.kind = PA_EVENT_ALLOC, .depth = 1, .value = { size }, .object = object
	};
	send_event(event, &pc);
}

static inline void send_object(enum pa_event_kind kind, uintptr_t object)
{
	send_event((struct pa_event){ .kind = kind, .object = object }, NULL);
}

static inline void send_cpu(uintptr_t pc, int32_t tid, const char *name, uint64_t ticks)
{
	struct pa_event event = {
		.kind = PA_EVENT_CPU,
		.flags = PA_EVENT_LEAF,
		.depth = 1,
		.tid = tid,
		.value = { ticks },
	};
	for (size_t i = 0; i < sizeof(event.name) && name[i]; i++)
		event.name[i] = name[i];
	send_event(event, &pc);
}

/* PA_EVENT_BLOCK or _MUTEX with a stack of one return address. */
static inline void send_quotient(enum pa_event_kind kind, uintptr_t pc, uint64_t count, uint64_t of,
	uint64_t ns)
{
	struct pa_event event = {
		.kind = kind, .depth = 1, .tid = 1, .value = { ns }, .contentions = { count, of }
	};
	send_event(event, &pc);
}

/* contentions in halves. */
static inline void send_contention(enum pa_event_kind kind, uintptr_t pc, double contentions,
	uint64_t ns)
{
	send_quotient(kind, pc, (uint64_t)(2 * contentions), 2, ns);
}

static inline void send_create(uintptr_t pc)
{
	send_event((struct pa_event){ .kind = PA_EVENT_CREATE, .depth = 1, .tid = 1 }, &pc);
}

static inline void send_dump(uint32_t generation, uint32_t index, const uintptr_t *pcs,
	uint16_t depth)
{
	struct pa_event event = {
		.kind = PA_EVENT_DUMP,
		.flags = PA_EVENT_LEAF,
		.depth = depth,
		.tid = 1,
		.value = { (uint64_t)generation << 32 | index },
	};
	send_event(event, pcs);
}

/* The thread of that index does as it is asked. */
static inline void answer_dump(const struct pa_thread_dump *dump, uint32_t index, uintptr_t pc)
{
	send_dump(dump->generation, index, &pc, 1);
	pa_store_release(&dump->entries[index].state, PA_THREAD_DUMP_ANSWERED);
}

/* The last sample whose innermost location has this raw pc, NULL when there is none. */
static inline const struct pa_sample *find_sample(const struct pa_snapshot *snapshot,
	uintptr_t raw_pc)
{
	const struct pa_sample *found = NULL;
	for (size_t i = 0; snapshot && i < snapshot->sample_count; i++) {
		const struct pa_stack *stack = snapshot->samples[i].stack;
		if (stack->depth && pa_stack_table_loc(stack->locs[0])->raw_pc == raw_pc)
			found = &snapshot->samples[i];
	}
	return found;
}

/* Everything sent so far has been read. */
static inline struct pa_snapshot *take_heap(void)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(&pa_heap_profile, false);
	assert_non_null(snapshot);
	return snapshot;
}

static inline void assert_in_use(uintptr_t pc, int64_t allocs, int64_t in_use)
{
	struct pa_snapshot *snapshot = take_heap();
	const struct pa_sample *sample = find_sample(snapshot, pc);
	assert_non_null(sample);
	assert_int_equal(sample->values[0], allocs);
	assert_int_equal(sample->values[2], in_use);
	pa_snapshot_free(snapshot);
}

static inline const char *find_comment(const struct pa_snapshot *snapshot, const char *text)
{
	for (size_t i = 0; i < snapshot->comment_count; i++) {
		if (strstr(snapshot->comments[i], text))
			return snapshot->comments[i];
	}
	return NULL;
}

#endif
