#include "snapshot_record.h"

#include "../base/arena.h"
#include "../base/lock.h"
#include "about.h"
#include "core.h"
#include "requests.h"

/* A rollcall, from its begin until the collector has done with it. */
struct call {
	struct pa_requests_roll told;
	size_t bytes;
	struct pa_about details[]; /* by index of the entry */
};

static struct {
	struct pa_lock lock;
	/* Being taken; or left from one whose end the collector did not confirm, so that its memory
	 * may still be read. Guard: the lock, but for a forked child, which may come to life at any
	 * line of its holder: release in new_call. */
	PA_ATOMIC(struct call *) call;
	/* Threads of ours that want the kind; changed under the lock, read without, relaxed. */
	PA_ATOMIC(uint32_t) block_watchers, mutex_watchers;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_ROLL) };

/* ---- rollcall ---- */

static void free_call(void)
{
	struct call *call = pa_load_acquire(&state.call);
	pa_store_release(&state.call, NULL);
	if (call)
		pa_unmap(call, call->bytes);
}

/* False when the collector does not answer. */
static bool end_call(void)
{
	if (pa_load_relaxed(&state.call) &&
	    pa_requests_ask(PA_REQUEST_ROLL_END, PA_KIND_GOROUTINE, 0, NULL) != 0)
		return false;
	free_call();
	return true;
}

static struct call *new_call(void)
{
	struct pa_roll roll;
	if (pa_core_bridge->roll_begin(&roll) != 0)
		return NULL;
	size_t bytes = sizeof(struct call) + roll.count * sizeof(struct pa_about);
	struct call *call = pa_map(bytes);
	if (!call)
		return NULL;
	call->bytes = bytes;
	call->told = (struct pa_requests_roll){ .roll = roll, .details = call->details };
	for (uint32_t i = 0; i < roll.count; i++)
		call->details[i].syscall = -1;
	pa_store_release(&state.call, call);
	return call;
}

static void read_all(struct call *call)
{
	const struct pa_roll *roll = &call->told.roll;
	for (uint32_t i = 0; i < roll->count; i++)
		pa_about_read(roll->entries[i].tid, &call->details[i]);
}

/* detail: of the others everything was read before they got the signal; that stands. */
static void read_silent(struct call *call, bool detail)
{
	const struct pa_roll *roll = &call->told.roll;
	for (uint32_t i = 0; i < roll->count; i++) {
		struct pa_roll_entry *entry = &roll->entries[i];
		uint32_t now = pa_load_acquire(&entry->state);
		struct pa_about about;
		if (now == PA_ROLL_ANSWERED || now == PA_ROLL_GONE)
			continue;
		if (!pa_about_read(entry->tid, &about))
			pa_store_release(&entry->state, PA_ROLL_GONE);
		else if (!detail)
			call->details[i] = about;
	}
}

static struct pa_snapshot *take_call(struct call *call, bool detail)
{
	struct pa_snapshot *snapshot = NULL;
	int64_t told = (int64_t)(uintptr_t)&call->told;
	/* Now, since afterwards they are in our signal handler. */
	if (detail)
		read_all(call);
	if (pa_requests_ask(PA_REQUEST_ROLL_BEGIN, PA_KIND_GOROUTINE, told, NULL) != 0)
		return NULL;
	/* An error, say that the program uses our signal: then nobody answers. */
	(void)pa_core_bridge->roll_call(&call->told.roll);
	read_silent(call, detail);
	if (pa_requests_ask(PA_REQUEST_COPY, PA_KIND_GOROUTINE, 0, &snapshot) != 0)
		return NULL;
	return snapshot;
}

struct pa_snapshot *pa_snapshot_threads(bool detail)
{
	struct pa_snapshot *snapshot = NULL;
	pa_lock(&state.lock);
	struct call *call = end_call() ? new_call() : NULL;
	if (call)
		snapshot = take_call(call, detail);
	end_call();
	pa_unlock(&state.lock);
	return snapshot;
}

/* ---- contention ---- */

/* What the settings leave off is recorded in full while somebody watches. */
static uint64_t effective(uint64_t setting, const PA_ATOMIC(uint32_t) *watchers)
{
	if (setting)
		return setting;
	return pa_load_relaxed(watchers) ? 1 : 0;
}

static uint64_t block_rate_ns(void)
{
	return effective(pa_core_bridge->settings->block_rate_ns, &state.block_watchers);
}

uint64_t pa_snapshot_record_fraction(void)
{
	return effective(pa_core_bridge->settings->mutex_fraction, &state.mutex_watchers);
}

static void change_watchers(PA_ATOMIC(uint32_t) *watchers, uint32_t by)
{
	uint64_t block = block_rate_ns(), mutex = pa_snapshot_record_fraction();
	pa_add_relaxed(watchers, by);
	if (block_rate_ns() != block || pa_snapshot_record_fraction() != mutex)
		pa_core_bridge->contend_rates(block_rate_ns(), pa_snapshot_record_fraction());
}

/* NULL: a kind that is always recorded. */
static PA_ATOMIC(uint32_t) *watchers_of(enum pa_kind_id kind)
{
	switch (kind) {
	case PA_KIND_BLOCK:
		return &state.block_watchers;
	case PA_KIND_MUTEX:
		return &state.mutex_watchers;
	default:
		return NULL;
	}
}

void pa_snapshot_watch(enum pa_kind_id kind)
{
	PA_ATOMIC(uint32_t) *watchers = watchers_of(kind);
	if (!watchers)
		return;
	pa_lock(&state.lock);
	change_watchers(watchers, 1);
	pa_unlock(&state.lock);
}

void pa_snapshot_unwatch(enum pa_kind_id kind)
{
	PA_ATOMIC(uint32_t) *watchers = watchers_of(kind);
	if (!watchers)
		return;
	pa_lock(&state.lock);
	if (pa_load_relaxed(watchers))
		change_watchers(watchers, -1u);
	pa_unlock(&state.lock);
}

void pa_snapshot_rates_changed(void)
{
	pa_lock(&state.lock);
	pa_core_bridge->contend_rates(block_rate_ns(), pa_snapshot_record_fraction());
	pa_unlock(&state.lock);
}

void pa_snapshot_record_trace(bool on)
{
	pa_lock(&state.lock);
	pa_core_bridge->trace_switch(on);
	pa_unlock(&state.lock);
}

void pa_snapshot_record_aside(void)
{
	pa_store_relaxed(&state.block_watchers, 0);
	pa_store_relaxed(&state.mutex_watchers, 0);
	pa_core_bridge->contend_rates(block_rate_ns(), pa_snapshot_record_fraction());
}

void pa_snapshot_record_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	free_call();
	pa_store_relaxed(&state.block_watchers, 0);
	pa_store_relaxed(&state.mutex_watchers, 0);
}
