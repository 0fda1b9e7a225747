/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the profile side behind agent/serve/ in unit tests: snapshots with a number in
 * them, encoders that write it, one known function. A render thread runs the real jobs.
 */
#ifndef FAKE_PROFILES_H
#define FAKE_PROFILES_H

#include <errno.h>
#include <pthread.h>

#include "agent/arch/arch.h"
#include "agent/base/arena.h"
#include "agent/core/core.h"
#include "agent/profile/goroutine.h"
#include "agent/profile/cpu.h"
#include "agent/profile/recording.h"
#include "agent/profile/snapshot.h"
#include "agent/profile/snapshot_take.h"
#include "agent/symbols/symbols.h"
#include "agent/profile/trace_queue.h"
#include "agent/serve/render_thread.h"
#include "proto/folded.h"
#include "proto/text.h"
#include "proto/top.h"
#include "test/lib/c/fake_kinds.h"
#include "test/lib/c/fake_symbols.h"

#define KNOWN_FROM 0x1000 /* addresses of the one known function */
#define KNOWN_TO 0x2000

/* Threads in traces from this one on: above PID_MAX_LIMIT (proc(5)), so that none is the process
 * of the test, which the trace has, too. */
#define FAKE_TID ((int32_t)1 << 22)

struct pa_bridge *pa_core_bridge;

static struct {
	struct pa_settings settings;
	struct pa_bridge bridge;
	struct pa_counters counters;
	int taken; /* snapshots so far; the newest has this number */
	bool take_fails;
	int cpu_error; /* of the next start */
	unsigned cpu_rate_hz;
	int cpu_running;
	int cpu_shared; /* of them, those that share */
	int cpu_shared_error;
	int memory_reads;                       /* of the process, so far */
	int heap_reads;                         /* of libc's heap */
	int dumps, details;                     /* thread dumps so far, and those in detail */
	uint64_t block_rate_ns, mutex_fraction; /* that apply now */
	struct pa_custom_set customs[2];        /* profiles of the program's own, */
	uint32_t custom_total;                  /* so many of them */
	int synced;
	int watched;       /* snapshots that were taken while their kind was watched */
	int64_t debug;     /* of the last text */
	uint32_t value;    /* of the last folded stacks or top, */
	uint32_t rows;     /* and how many */
	int64_t in_use;    /* third value of the next snapshots */
	size_t seen_count; /* samples that were encoded last, and the values of the first */
	int64_t seen[PA_PROFILE_OPS_VALUES];
	int encode_error;
	size_t encode_bytes; /* more than the line */
	int rests;
	int tracing;     /* traces being taken */
	int trace_error; /* of the next begin */
	struct pa_trace_queue_item
		*trace_items; /* what is read of the next trace, and of the flight */
	size_t trace_count;   /* so many of them are left */
	uint64_t trace_lost;
	uint64_t flight_lost; /* before the first piece */
	bool flight_fails;
	size_t flight_piece;          /* items at once; 0: as many as are asked for */
	void (*on_flight_read)(void); /* or NULL */
} fake;

static union {
	struct pa_stack stack;
	char room[sizeof(struct pa_stack) + sizeof(uint32_t)]; /* one location */
} fake_stack = { .stack = { .hash = 3, .depth = 1 } };

const struct pa_stack *pa_stack_table_overflow(void)
{
	return NULL;
}

const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	static const struct pa_loc loc = { .pc = KNOWN_FROM };
	(void)id;
	return &loc;
}

static struct pa_snapshot *fake_take(const struct pa_profile_ops *kind)
{
	if (fake.take_fails)
		return NULL;
	struct pa_snapshot *snapshot = pa_map(PA_PAGE_BYTES);
	*snapshot = (struct pa_snapshot){
		.kind = kind,
		.time_ns = ++fake.taken * PA_NS_PER_S,
		.samples = (struct pa_sample *)(snapshot + 1),
		.sample_count = 1,
		.bytes = PA_PAGE_BYTES,
	};
	snapshot->samples[0] = (struct pa_sample){
		.stack = &fake_stack.stack,
		.values = { fake.taken, 0, fake.in_use },
	};
	return snapshot;
}

struct pa_snapshot *pa_snapshot_take(const struct pa_profile_ops *kind, bool detail)
{
	bool all_threads = detail && kind == &pa_goroutine_profile;
	fake.dumps += all_threads;
	fake.details += all_threads;
	if (!fake.take_fails && pa_profile_lookup_index(kind) < PA_PROFILE_LIST_MAX)
		fake.watched += fake_watching(kind) > 0;
	return fake_take(kind);
}

struct pa_snapshot *pa_snapshot_new(size_t bytes)
{
	struct pa_snapshot *snapshot = pa_map(bytes);
	if (snapshot)
		snapshot->bytes = bytes;
	return snapshot;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	if (snapshot)
		pa_unmap(snapshot, snapshot->bytes);
}

struct pa_snapshot *pa_goroutine_take(bool detail)
{
	fake.dumps++;
	fake.details += detail;
	return pa_snapshot_take(&pa_goroutine_profile, false);
}

static bool fake_proc_is_hidden;

size_t pa_goroutine_now(void)
{
	return !fake_proc_is_hidden;
}

uint64_t pa_recording_block_rate_ns(void)
{
	return fake.block_rate_ns;
}

uint64_t pa_recording_mutex_fraction(void)
{
	return fake.mutex_fraction;
}

int pa_cpu_start(unsigned rate_hz)
{
	fake.cpu_rate_hz = rate_hz;
	if (!fake.cpu_error)
		fake.cpu_running++;
	return fake.cpu_error;
}

int pa_cpu_start_shared(unsigned rate_hz, const struct pa_profile_ops **kind)
{
	*kind = &pa_cpu_profile;
	fake.cpu_rate_hz = rate_hz;
	if (!fake.cpu_shared_error)
		fake.cpu_shared++;
	return fake.cpu_shared_error;
}

struct pa_snapshot *pa_cpu_stop(const struct pa_profile_ops *kind)
{
	if (fake.cpu_shared)
		fake.cpu_shared--;
	else
		fake.cpu_running--;
	return pa_snapshot_take(kind, false);
}

void pa_snapshot_sync(void)
{
	fake.synced++;
}

size_t pa_snapshot_count(const struct pa_profile_ops *kind)
{
	size_t index = pa_profile_lookup_index(kind);
	if (index == PA_PROFILE_LIST_MAX)
		return pa_load_relaxed(&fake.customs[kind->id].count);
	return kind == &pa_cpu_profile ? 0 : 20 + index;
}

struct pa_profile_stats pa_profile_stats(void)
{
	return (struct pa_profile_stats){
		.live_objects = 77,
		.block_records = 78,
		.mutex_records = 79,
		.create_records = 80,
		.contentions_dropped = 81,
		.creations_dropped = 82,
	};
}

bool pa_trace_queue_is_taken(void)
{
	return fake.trace_error == -EBUSY;
}

int pa_trace_queue_begin(struct pa_snapshot **threads)
{
	*threads = NULL;
	if (!fake.trace_error)
		fake.tracing++;
	return fake.trace_error;
}

size_t pa_trace_queue_read(struct pa_trace_queue_item *items, size_t max)
{
	size_t count = fake.trace_count < max ? fake.trace_count : max;
	if (count)
		memcpy(items, fake.trace_items, count * sizeof(*items));
	fake.trace_items += count;
	fake.trace_count -= count;
	return count;
}

void pa_trace_queue_stop(void)
{
}

void pa_trace_queue_end(void)
{
	fake.tracing--;
}

uint64_t pa_trace_queue_lost(void)
{
	return fake.trace_lost;
}

bool pa_trace_queue_flight_begin(struct pa_trace_queue_flight *flight)
{
	*flight = (struct pa_trace_queue_flight){ .lost = fake.flight_lost,
		.event_end = fake.trace_count };
	return !fake.flight_fails;
}

size_t pa_trace_queue_flight_read(struct pa_trace_queue_flight *flight,
	struct pa_trace_queue_item *items, size_t max)
{
	size_t piece = fake.flight_piece && fake.flight_piece < max ? fake.flight_piece : max;
	size_t count = pa_trace_queue_read(items, piece);
	flight->event += count;
	if (fake.on_flight_read)
		fake.on_flight_read();
	return count;
}

static int fake_write(const char *form, const struct pa_snapshot *snapshot,
	const struct pa_sink *sink)
{
	char line[128], filler[1024] = "";
	snprintf(line, sizeof(line), "%s %s %lld duration %lld\n", form, snapshot->kind->name,
		(long long)(snapshot->sample_count ? snapshot->samples[0].values[0] : 0),
		(long long)snapshot->duration_ns);
	fake.seen_count = snapshot->sample_count;
	if (fake.seen_count)
		memcpy(fake.seen, snapshot->samples[0].values, sizeof(fake.seen));
	if (fake.encode_error)
		return fake.encode_error;
	if (!sink->write(sink->arg, line, strlen(line)))
		return -ECANCELED;
	for (size_t at = 0; at < fake.encode_bytes; at += sizeof(filler)) {
		if (!sink->write(sink->arg, filler, sizeof(filler)))
			return -ECANCELED;
	}
	return 0;
}

int pa_encode_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	return fake_write("proto", snapshot, sink);
}

int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug, const struct pa_sink *sink)
{
	fake.debug = debug;
	return fake_write("text", snapshot, sink);
}

int pa_folded_write(const struct pa_snapshot *snapshot, uint32_t value, const struct pa_sink *sink)
{
	fake.value = value;
	return fake_write("folded", snapshot, sink);
}

int pa_top_write(const struct pa_snapshot *snapshot, uint32_t value, uint32_t rows,
	const struct pa_sink *sink)
{
	fake.value = value;
	fake.rows = rows;
	return fake_write("top", snapshot, sink);
}

void pa_symbols_end_request(void)
{
	fake.rests++;
}

struct pa_function *pa_symbols_at(uintptr_t address)
{
	static struct pa_function known = { .name = "app::hot<int>()" };
	return address >= KNOWN_FROM && address < KNOWN_TO ? &known : NULL;
}

uint32_t pa_stack_table_loc_count(void)
{
	return 0;
}

uint32_t pa_symbols_lacking(void)
{
	return 47;
}

void pa_memstats_read(struct pa_memstats *stats)
{
	*stats = (struct pa_memstats){ .rss = 1 };
	fake.memory_reads++;
}

void pa_memstats_read_heap(struct pa_memstats *stats)
{
	stats->heap_known = true;
	fake.heap_reads++;
}

uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	if (!max)
		abort();
	frames[0] = (struct pa_frame){ .function = pa_symbols_at(loc->pc) };
	return 1;
}

static size_t fake_hook_status(struct pa_hook_status *out, size_t max)
{
	if (max < 2)
		abort();
	out[0] = (struct pa_hook_status){ .name = "malloc", .active = true };
	out[1] = (struct pa_hook_status){ .name = "free", .why = "the program has \"its own\"" };
	return 2;
}

static size_t fake_memory_bytes(void)
{
	return 4321;
}

/* Made once: an id has the same name in all tests. */
static const struct pa_profile_ops *fake_custom_kind(uint32_t id)
{
	static struct pa_profile_ops kinds[PA_COUNT(fake.customs)];
	if (id >= fake.custom_total)
		return NULL;
	kinds[id].name = fake.customs[id].name;
	kinds[id].description = "";
	kinds[id].value_count = 1;
	kinds[id].values[0].type = fake.customs[id].name;
	kinds[id].text = PA_PROFILE_OPS_TEXT_COUNT;
	kinds[id].named = true;
	kinds[id].id = id;
	return &kinds[id];
}

static struct pa_custom_set *fake_custom(uint32_t id)
{
	return id < fake.custom_total ? &fake.customs[id] : NULL;
}

static uint32_t fake_custom_total(void)
{
	return fake.custom_total;
}

/* With the id that comes next. Kinds are made once: an id has the same name in all tests. */
static inline void fake_add_custom(const char *name, uint32_t count)
{
	struct pa_custom_set *custom = &fake.customs[fake.custom_total];
	custom->id = fake.custom_total++;
	snprintf(custom->name, sizeof(custom->name), "%s", name);
	pa_store_relaxed(&custom->count, count);
}

static void *fake_render(void *unused)
{
	(void)unused;
	pa_render_thread_run(NULL);
	return NULL;
}

static int fake_nothing(void *arg, const struct pa_sink *sink)
{
	(void)arg;
	(void)sink;
	return 0;
}

static void fake_drop(void *arg)
{
	(void)arg;
}

/* Jobs run one after the other: when this one is done, so are those that a client left. */
static void fake_settle(void)
{
	const struct pa_job_work work = { .run = fake_nothing, .drop = fake_drop };
	struct pa_job *job;
	const char *bytes;
	if (pa_render_thread_submit(&work, 20 * PA_NS_PER_S, &job) != 0 ||
		pa_render_thread_read(job, 1, &bytes) != 0)
		abort();
	pa_render_thread_leave(job);
}

static void fake_reset(void)
{
	fake_settle();
	fake.taken = fake.memory_reads = fake.heap_reads = fake.cpu_running = fake.rests = 0;
	fake.cpu_shared = fake.cpu_shared_error = 0;
	fake.settings.cpu_shared = false;
	fake.settings.thread_label = PA_ENV_THREAD_LABEL_NAME;
	fake.dumps = fake.details = fake.watched = fake.synced = 0;
	fake.debug = fake.in_use = 0;
	fake_forget_watches();
	fake.custom_total = 0;
	fake.take_fails = false;
	fake.cpu_error = fake.encode_error = 0;
	fake.encode_bytes = 0;
}

static int fake_start(void **unused)
{
	pthread_t thread;
	(void)unused;
	if (pthread_create(&thread, NULL, fake_render, NULL) != 0)
		return -1;
	fake_reset();
	fake.settings = (struct pa_settings){ .cpu_hz = 123, .serving = true };
	fake.bridge = (struct pa_bridge){
		.settings = &fake.settings,
		.ring = pa_ring_create(1 << 16),
		.counters = &fake.counters,
		.program_malloc = malloc,
		.hook_status = fake_hook_status,
		.memory_bytes = fake_memory_bytes,
		.custom = fake_custom,
		.custom_total = fake_custom_total,
	};
	fake_kinds.custom = fake_custom_kind;
	pa_core_bridge = &fake.bridge;
	return 0;
}

#endif
