/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include <errno.h>

#include "../base/lock.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "../record/tasks.h"
#include "../stacks/passing_stacks.h"
#include "bucket_table.h"
#include "cpu_names.h"
#include "mailbox.h"

/*
 * One profile in progress. Session 0 is taken alone: by a request that does not share, or by the
 * program. What belongs to one session is in its kind's id.
 */
struct session {
	struct pa_bucket_table records; /* key: see cpu_key_of; count: ticks */
	struct pa_cpu_stats stats;
	/* Ticks after it are not this profile's; 0: none yet. Relaxed: a request follows. */
	PA_ATOMIC(int64_t) end_ns;
	/* A profile is being taken, or is about to; acq_rel by CAS. */
	PA_ATOMIC(uint32_t) busy;
	bool wants_ticks; /* guard: the lock of ticks */
	/* Ticks were off before it: what is due at its end and not delivered is its own. Of a later
	 * one as much was delivered that had been due before its begin. Relaxed: before events. */
	PA_ATOMIC(uint32_t) began_ticks;
};

#define SESSIONS (1 + PA_CPU_SHARED)

static struct {
	struct session sessions[SESSIONS];
	uint64_t all_ticks_dropped;
	bool of_program; /* session 0 is no request's; written by the thread that set busy */
} state;

/* Ticks are on while a session wants them. */
static struct {
	struct pa_lock lock;
	unsigned rate_hz; /* of the session that wanted them first, and so of all; guard: lock */
	bool on;          /* guard: lock */
} ticks = { .lock = PA_LOCK_INIT(PA_LOCK_CPU) };

static const struct pa_profile_ops shared_kinds[PA_CPU_SHARED];

static struct session *session_of(const struct pa_profile_ops *kind)
{
	PA_ASSERT(kind->id < SESSIONS);
	return &state.sessions[kind->id];
}

/* ---- keys: name, labels and tid of a record ---- */

#define TID_BITS 23 /* the kernel's largest tid is 1 << 22 (PID_MAX_LIMIT) */
#define LABELS_BITS 13
_Static_assert(PA_LABELS_SETS == 1u << LABELS_BITS, "ids of labels are below");

static uint64_t cpu_key_of(uint16_t name, uint32_t labels, int32_t tid)
{
	uint64_t set = labels < PA_LABELS_SETS ? labels : 0;
	uint64_t thread = (uint32_t)tid & ((1u << TID_BITS) - 1);
	return ((uint64_t)name << LABELS_BITS | set) << TID_BITS | thread;
}

static int32_t tid_of_key(uint64_t key)
{
	return (int32_t)(key & ((1u << TID_BITS) - 1));
}

static const struct pa_labels *labels_of(uint64_t key)
{
	uint32_t id = key >> TID_BITS & (PA_LABELS_SETS - 1);
	return id ? pa_core_bridge->labels(id) : NULL;
}

/* ---- the profile ---- */

static void forget_profile(struct session *session)
{
	session->stats = (struct pa_cpu_stats){ 0 };
	pa_store_relaxed(&session->end_ns, 0);
}

static void free_profile(struct session *session)
{
	pa_bucket_table_free(&session->records);
	forget_profile(session);
}

static bool is_any_running(void)
{
	bool running = false;
	for (uint32_t i = 0; i < SESSIONS; i++)
		running |= state.sessions[i].stats.period_ns != 0;
	return running;
}

void pa_cpu_begin_locked(const struct pa_profile_ops *kind, int64_t period_ns, uint64_t lost_ticks)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(period_ns > 0);
	struct session *session = session_of(kind);
	free_profile(session);
	if (!is_any_running())
		pa_passing_stacks_drop_locked();
	session->records.max = kind->id ? PA_CPU_SHARED_RECORDS : PA_CPU_RECORDS;
	session->stats.period_ns = period_ns;
	session->stats.lost_before = lost_ticks;
	session->stats.start_wall_ns = pa_clock_wall_ns();
	session->stats.start_mono_ns = pa_clock_mono_ns();
}

void pa_cpu_end_locked(const struct pa_profile_ops *kind)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	free_profile(session_of(kind));
}

static bool is_in_its_time(const struct session *session, int64_t time_ns)
{
	int64_t end_ns = pa_load_relaxed(&session->end_ns);
	return session->stats.period_ns && time_ns >= session->stats.start_mono_ns &&
		(!end_ns || time_ns <= end_ns);
}

static void add_to_session(struct session *session, const struct pa_stack *stack, uint64_t key,
	uint64_t count)
{
	PA_ASSERT(session->stats.period_ns > 0);
	uint32_t index = pa_bucket_table_index(&session->records, stack, key);
	if (index != PA_BUCKET_TABLE_NONE) {
		pa_bucket_table_at(&session->records, index)->count += count;
		return;
	}
	session->stats.ticks_dropped += count;
	state.all_ticks_dropped += count;
}

/* A record of that thread, chosen as often as its ticks are of all of them; NULL: there is none. */
static struct pa_bucket *random_record(const struct session *session, int32_t tid, uint64_t random)
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < session->records.count; i++) {
		const struct pa_bucket *record = pa_bucket_table_at(&session->records, i);
		all += tid_of_key(record->key) == tid ? record->count : 0;
	}
	uint64_t left = all ? random % all : 0;
	for (uint32_t i = 0; all && i < session->records.count; i++) {
		struct pa_bucket *record = pa_bucket_table_at(&session->records, i);
		uint64_t count = tid_of_key(record->key) == tid ? record->count : 0;
		if (left < count)
			return record;
		left -= count;
	}
	return NULL;
}

/* Where the time was used is not known: where the thread used the other time, most likely. */
static void add_rest_locked(const struct pa_event *event, const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	uint64_t random = pa_hash_table_hash((uint64_t)event->time_ns + (uint32_t)event->tid);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct session *session = &state.sessions[i];
		if (!pa_load_relaxed(&session->began_ticks) ||
			!is_in_its_time(session, event->time_ns))
			continue;
		struct pa_bucket *record = random_record(session, event->tid, random);
		if (record)
			record->count += event->value[0];
		else
			add_to_session(session, stack,
				cpu_key_of(pa_cpu_names_id(event->name), 0, event->tid),
				event->value[0]);
	}
}

void pa_cpu_add_locked(const struct pa_event *event, const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	if (event->flags & PA_EVENT_REST) {
		add_rest_locked(event, stack);
		return;
	}
	uint32_t sessions = 0; /* a bit each */
	for (uint32_t i = 0; i < SESSIONS; i++)
		sessions |= (uint32_t)is_in_its_time(&state.sessions[i], event->time_ns) << i;
	if (!sessions)
		return;
	uint64_t key = cpu_key_of(pa_cpu_names_id(event->name), event->labels, event->tid);
	for (; sessions; sessions &= sessions - 1)
		add_to_session(&state.sessions[__builtin_ctz(sessions)], stack, key,
			event->value[0]);
}

size_t pa_cpu_count(const struct pa_profile_ops *kind)
{
	return session_of(kind)->records.count;
}

void pa_cpu_samples(const struct pa_profile_ops *kind, struct pa_sample *out)
{
	const struct session *session = session_of(kind);
	const uint64_t period_ns = (uint64_t)session->stats.period_ns;
	for (uint32_t i = 0; i < session->records.count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(&session->records, i);
		out[i] = (struct pa_sample){
			.stack = bucket->stack,
			.values = {
				pa_bucket_table_times(bucket->count, 1),
				pa_bucket_table_times(bucket->count, period_ns),
			},
			.bytes_label = -1,
			.tid = tid_of_key(bucket->key),
			.thread = pa_cpu_names_at(bucket->key >> (TID_BITS + LABELS_BITS)),
			.labels = labels_of(bucket->key),
		};
	}
}

struct pa_cpu_stats pa_cpu_stats(const struct pa_profile_ops *kind)
{
	return session_of(kind)->stats;
}

struct pa_cpu_totals pa_cpu_totals(void)
{
	const struct pa_cpu_names_stats names = pa_cpu_names_stats();
	struct pa_cpu_totals totals = {
		.ticks_dropped = state.all_ticks_dropped,
		.names_dropped = names.dropped,
		.table_bytes = names.table_bytes,
	};
	for (uint32_t i = 0; i < SESSIONS; i++)
		totals.table_bytes += state.sessions[i].records.bytes;
	return totals;
}

/* ---- start and stop ---- */

static bool are_wanted_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_CPU);
	bool wanted = false;
	for (uint32_t i = 0; i < SESSIONS; i++)
		wanted |= state.sessions[i].wants_ticks;
	return wanted;
}

/* Returns the rate of all sessions. */
static unsigned want_ticks(struct session *session, unsigned rate_hz)
{
	pa_lock(&ticks.lock);
	bool first = !are_wanted_locked();
	if (first)
		ticks.rate_hz = rate_hz;
	pa_store_relaxed(&session->began_ticks, first);
	session->wants_ticks = true;
	unsigned rate = ticks.rate_hz;
	pa_unlock(&ticks.lock);
	return rate;
}

static int switch_on(void)
{
	int error = 0;
	pa_lock(&ticks.lock);
	if (!ticks.on) {
		error = pa_core_bridge->tick_start(ticks.rate_hz);
		ticks.on = !error;
	}
	pa_unlock(&ticks.lock);
	return error;
}

static void drop_ticks_of(struct session *session)
{
	pa_lock(&ticks.lock);
	session->wants_ticks = false;
	if (ticks.on && !are_wanted_locked()) {
		pa_core_bridge->tick_stop();
		ticks.on = false;
	} else if (ticks.on && pa_load_relaxed(&session->began_ticks)) {
		pa_core_bridge->tick_charge();
	}
	pa_unlock(&ticks.lock);
}

static struct pa_snapshot *request_cpu_end(const struct pa_profile_ops *kind)
{
	struct pa_mailbox_request request = { PA_MAILBOX_COPY_AND_END, kind,
		{ .end_ns = pa_clock_mono_ns() } };
	struct pa_snapshot *snapshot = NULL;
	pa_store_relaxed(&session_of(kind)->end_ns, request.argument.end_ns);
	if (pa_mailbox_ask(&request, &snapshot) != 0)
		return NULL;
	return snapshot;
}

static int request_cpu_begin(const struct pa_profile_ops *kind, unsigned rate_hz)
{
	const struct pa_mailbox_request request = { PA_MAILBOX_BEGIN, kind,
		{ .period_ns = PA_NS_PER_S / want_ticks(session_of(kind), rate_hz) } };
	int error = pa_mailbox_ask(&request, NULL);
	if (!error) {
		error = switch_on();
		if (error)
			pa_snapshot_free(request_cpu_end(kind));
	}
	if (error)
		drop_ticks_of(session_of(kind));
	return error;
}

static bool claim_session(const struct pa_profile_ops *kind)
{
	uint32_t expected = 0;
	return pa_cas_acq_rel(&session_of(kind)->busy, &expected, 1);
}

int pa_cpu_start_claimed(const struct pa_profile_ops *kind, unsigned rate_hz)
{
	int error = request_cpu_begin(kind, rate_hz);
	if (error)
		pa_store_release(&session_of(kind)->busy, 0);
	return error;
}

bool pa_cpu_claim(void)
{
	bool claimed = claim_session(&pa_cpu_profile);
	if (claimed)
		state.of_program = pa_core_bridge->cpu_from_start ||
			(pa_core_bridge->slot && !pa_core_bridge->slot());
	return claimed;
}

void pa_cpu_disclaim(void)
{
	pa_store_release(&session_of(&pa_cpu_profile)->busy, 0);
}

int pa_cpu_start(unsigned rate_hz)
{
	if (rate_hz == 0 || rate_hz > PA_NS_PER_S)
		return -EINVAL;
	return pa_cpu_claim() ? pa_cpu_start_claimed(&pa_cpu_profile, rate_hz) : -EBUSY;
}

int pa_cpu_start_shared(unsigned rate_hz, const struct pa_profile_ops **kind)
{
	PA_ASSERT(rate_hz > 0 && rate_hz <= PA_NS_PER_S);
	for (uint32_t i = 0; i < PA_CPU_SHARED; i++) {
		*kind = &shared_kinds[i];
		if (claim_session(*kind))
			return pa_cpu_start_claimed(*kind, rate_hz);
	}
	return -EAGAIN;
}

struct pa_snapshot *pa_cpu_stop(const struct pa_profile_ops *kind)
{
	drop_ticks_of(session_of(kind));
	struct pa_snapshot *snapshot = request_cpu_end(kind);
	pa_store_release(&session_of(kind)->busy, 0);
	return snapshot;
}

/* ---- the kind ---- */

static void add_ticks_locked(const struct pa_profile_ops *kind, const struct pa_event *event,
	const struct pa_stack *stack)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	pa_cpu_add_locked(event, stack);
}

/* Losses of the recording side since the program's start. */
static uint64_t lost_ticks(void)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	return pa_load_relaxed(&counters->lost_cpu_ring) +
		pa_load_relaxed(&counters->lost_cpu_thread);
}

static int begin_profile_locked(const struct pa_profile_ops *kind,
	union pa_profile_ops_argument argument)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	pa_cpu_begin_locked(kind, argument.period_ns, lost_ticks());
	return 0;
}

static size_t copy_ticks(const struct pa_profile_ops *kind, struct pa_sample *out,
	struct pa_thread_info *threads)
{
	(void)threads;
	pa_cpu_samples(kind, out);
	return pa_cpu_count(kind);
}

static void fill_cpu_head(const struct pa_profile_ops *kind, struct pa_snapshot *snapshot,
	int64_t end_ns)
{
	const struct pa_cpu_stats *stats = &session_of(kind)->stats;
	snapshot->period = stats->period_ns;
	if (!stats->period_ns)
		return;
	snapshot->time_ns = stats->start_wall_ns;
	snapshot->duration_ns = end_ns - stats->start_mono_ns;
}

static struct pa_profile_ops_loss lost_since_begin(const struct pa_profile_ops *kind)
{
	const struct pa_cpu_stats *stats = &session_of(kind)->stats;
	if (!stats->period_ns)
		return (struct pa_profile_ops_loss){ 0 };
	uint64_t count = lost_ticks() - stats->lost_before + stats->ticks_dropped;
	return (struct pa_profile_ops_loss){ .events = count,
		.amount = count * (uint64_t)stats->period_ns };
}

static void say_cpu_drops(const struct pa_profile_ops *kind, pa_profile_ops_say_fn *say, void *arg)
{
	(void)kind;
	say(arg, state.all_ticks_dropped, "CPU ticks dropped: sample table full");
	say(arg, pa_cpu_names_stats().dropped, "thread names dropped: name table full");
}

/* Ends the profiles. The names are kept if they are consistent. */
static PA_BOOT void cpu_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	(void)kind;
	pa_lock_reset(&ticks.lock);
	ticks.on = false;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct session *session = &state.sessions[i];
		pa_store_relaxed(&session->busy, 0);
		session->wants_ticks = false;
		if (kept)
			pa_bucket_table_free(&session->records);
		else
			pa_bucket_table_abandon(&session->records);
		forget_profile(session);
	}
	if (!kept)
		pa_cpu_names_abandon();
}

static bool goes_on(uint32_t index)
{
	return index == 0 && state.of_program;
}

/* The threads that took them are gone; a profile that the program takes goes on. */
static void cpu_suspended_locked(const struct pa_profile_ops *kind)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	(void)kind;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct session *session = &state.sessions[i];
		if (goes_on(i) || !pa_load_acquire(&session->busy))
			continue;
		drop_ticks_of(session);
		free_profile(session);
		pa_store_release(&session->busy, 0);
	}
}

static void end_profile_locked(const struct pa_profile_ops *kind)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	pa_cpu_end_locked(kind);
}

#define CPU_KIND(session)                                                                          \
	{                                                                                          \
		.name = "profile",                                                                 \
		.description = "CPU profile. You can specify the duration in the seconds GET "     \
			       "parameter. After you get the profile file, use the go tool pprof " \
			       "command to investigate the profile.",                              \
		.value_count = 2, .values = { { "samples", "count" }, { "cpu", "nanoseconds" } },  \
		.period_type = { "cpu", "nanoseconds" },                                           \
		.events = PA_PROFILE_OPS_EVENT(PA_EVENT_CPU), .add = add_ticks_locked,             \
		.begin = begin_profile_locked, .end = end_profile_locked, .room = pa_cpu_count,    \
		.samples = copy_ticks, .head = fill_cpu_head, .lost = lost_since_begin,            \
		.drops = say_cpu_drops, .atfork_child = cpu_atfork_child,                          \
		.suspended = cpu_suspended_locked, .passing = true, .id = (session),               \
	}

const struct pa_profile_ops pa_cpu_profile = CPU_KIND(0);

/* Not in the list of profiles: events, a fork and a suspension are the matter of the first. */
static const struct pa_profile_ops shared_kinds[PA_CPU_SHARED] = { CPU_KIND(1), CPU_KIND(2),
	CPU_KIND(3), CPU_KIND(4), CPU_KIND(5), CPU_KIND(6), CPU_KIND(7) };
