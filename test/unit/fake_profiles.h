/*
 * Stands in for the profile side behind agent/serve/ in unit tests: snapshots with a number in
 * them, encoders that write it, one known function. A render thread runs the real jobs.
 */
#ifndef FAKE_PROFILES_H
#define FAKE_PROFILES_H

#include <errno.h>
#include <pthread.h>

#include "agent/base/arena.h"
#include "agent/profile/core.h"
#include "agent/profile/snapshot.h"
#include "agent/profile/symbols.h"
#include "agent/profile/tracer.h"
#include "agent/serve/collect.h"
#include "proto/text.h"

#define KNOWN_FROM 0x1000 /* addresses of the one known function */
#define KNOWN_TO 0x2000

struct pa_bridge *pa_core_bridge;

static struct {
	struct pa_settings settings;
	struct pa_bridge bridge;
	struct pa_counters counters;
	int taken;              /* snapshots so far; the newest has this number */
	bool take_fails;
	int cpu_error;          /* of the next start */
	unsigned cpu_rate_hz;
	int cpu_running;
	int rolls, details;     /* rollcalls so far, and those in detail */
	PA_ATOMIC(int) watches; /* so far; acq_rel, as is the next */
	PA_ATOMIC(int) watching[PA_KIND_COUNT]; /* that were not taken back yet */
	struct pa_custom customs[2]; /* profiles of the program's own, */
	uint32_t custom_total;       /* so many of them */
	int synced;
	int watched;            /* snapshots that were taken while their kind was watched */
	int64_t debug;          /* of the last text */
	int64_t in_use;         /* third value of the next snapshots */
	size_t seen_count;      /* samples that were encoded last, and the values of the first */
	int64_t seen[PA_KIND_VALUES];
	int encode_error;
	size_t encode_bytes;    /* more than the line */
	int rests;
	int tracing;            /* traces being taken */
	int trace_error;        /* of the next begin */
	struct pa_tracer_item *trace_items; /* what is read of the next trace, and of the flight */
	size_t trace_count;     /* so many of them are left */
	uint64_t trace_lost;
} fake;

static union {
	struct pa_stack stack;
	char room[sizeof(struct pa_stack) + sizeof(uint32_t)]; /* one location */
} fake_stack = { .stack = { .hash = 3, .depth = 1 } };

const struct pa_stack *pa_sites_overflow(void)
{
	return NULL;
}

const struct pa_loc *pa_sites_loc(uint32_t id)
{
	static const struct pa_loc loc = { .pc = KNOWN_FROM };
	(void)id;
	return &loc;
}

static struct pa_snapshot *fake_take(const struct pa_kind *kind)
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

struct pa_snapshot *pa_snapshot_take(enum pa_kind_id kind)
{
	if (!fake.take_fails)
		fake.watched += pa_load_acquire(&fake.watching[kind]) > 0;
	return fake_take(&pa_kinds[kind]);
}

struct pa_snapshot *pa_snapshot_take_custom(uint32_t id)
{
	return fake_take(pa_kind_custom(id));
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	if (snapshot)
		pa_unmap(snapshot, snapshot->bytes);
}

struct pa_snapshot *pa_snapshot_threads(bool detail)
{
	fake.rolls++;
	fake.details += detail;
	return pa_snapshot_take(PA_KIND_GOROUTINE);
}

void pa_snapshot_watch(enum pa_kind_id kind)
{
	pa_add_acq_rel(&fake.watches, 1);
	pa_add_acq_rel(&fake.watching[kind], 1);
}

void pa_snapshot_unwatch(enum pa_kind_id kind)
{
	pa_add_acq_rel(&fake.watching[kind], -1);
}

int pa_snapshot_cpu_start(unsigned rate_hz)
{
	fake.cpu_rate_hz = rate_hz;
	if (!fake.cpu_error)
		fake.cpu_running++;
	return fake.cpu_error;
}

struct pa_snapshot *pa_snapshot_cpu_stop(void)
{
	fake.cpu_running--;
	return pa_snapshot_take(PA_KIND_CPU);
}

void pa_snapshot_sync(void)
{
	fake.synced++;
}

size_t pa_snapshot_count(enum pa_kind_id kind)
{
	return kind == PA_KIND_CPU ? 0 : 20 + kind;
}

size_t pa_snapshot_count_custom(uint32_t id)
{
	return pa_load_relaxed(&fake.customs[id].count);
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

int pa_tracer_begin(struct pa_snapshot **threads)
{
	*threads = NULL;
	if (!fake.trace_error)
		fake.tracing++;
	return fake.trace_error;
}

size_t pa_tracer_read(struct pa_tracer_item *items, size_t max)
{
	size_t count = fake.trace_count < max ? fake.trace_count : max;
	if (count)
		memcpy(items, fake.trace_items, count * sizeof(*items));
	fake.trace_items += count;
	fake.trace_count -= count;
	return count;
}

void pa_tracer_stop(void)
{
}

void pa_tracer_end(void)
{
	fake.tracing--;
}

uint64_t pa_tracer_lost(void)
{
	return fake.trace_lost;
}

struct pa_tracer_item *pa_tracer_flight_copy(size_t *count, size_t *bytes)
{
	struct pa_tracer_item *copy = pa_map(*bytes = PA_PAGE_BYTES);
	*count = fake.trace_count;
	memcpy(copy, fake.trace_items, *count * sizeof(*copy));
	return copy;
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

void pa_symbols_rest(void)
{
	fake.rests++;
}

struct pa_function *pa_symbols_at(uintptr_t address)
{
	static struct pa_function known = { .name = "app::hot<int>()" };
	return address >= KNOWN_FROM && address < KNOWN_TO ? &known : NULL;
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

static struct pa_custom *fake_custom(uint32_t id)
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
	struct pa_custom *custom = &fake.customs[fake.custom_total];
	custom->id = fake.custom_total++;
	snprintf(custom->name, sizeof(custom->name), "%s", name);
	pa_store_relaxed(&custom->count, count);
}

static void *fake_render(void *unused)
{
	(void)unused;
	pa_collect_run();
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
	if (pa_collect_submit(&work, 20 * PA_NS_PER_S, &job) != 0 ||
		pa_collect_read(job, 1, &bytes) != 0)
		abort();
	pa_collect_leave(job);
}

static void fake_reset(void)
{
	fake_settle();
	fake.taken = fake.cpu_running = fake.rests = 0;
	fake.rolls = fake.details = fake.watched = fake.synced = 0;
	fake.debug = fake.in_use = 0;
	pa_store_relaxed(&fake.watches, 0);
	for (int kind = 0; kind < PA_KIND_COUNT; kind++)
		pa_store_relaxed(&fake.watching[kind], 0);
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
	pa_core_bridge = &fake.bridge;
	return 0;
}

#endif
