/* SPDX-License-Identifier: Apache-2.0 */
#include "modules.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "held_files.h"

#define FIRST_KNOWN 512

/* Budget of refreshes triggered by unknown pcs or errors: a share of elapsed time, which
 * accumulates up to the limit. */
#define REFRESH_SHARE 20
#define REFRESH_MAX_NS (100 * PA_NS_PER_MS)

struct known {
	struct pa_module *module;
	int64_t dying_ns; /* start of the refresh that found it dead; 0: live */
};

static struct {
	const struct pa_modules_listener *listener;
	struct known *known; /* all modules that are not forgotten */
	uint32_t count, capacity;
	uint32_t taken;       /* modules up to this id are, or were, in known */
	uint32_t at_start;    /* modules up to this id were found by the first refresh */
	uint32_t dying;       /* number of dying ones in known */
	uint64_t dying_until; /* position in the ring */
	int64_t refreshed_ns; /* start of the last successful refresh */
	int64_t event_ns;     /* timestamp of the current event */
	int64_t budget_ns;    /* remaining budget at budget_at_ns */
	int64_t budget_at_ns;
	bool announced;              /* a dlopen has begun, and no refresh has followed */
	bool again;                  /* a refresh failed, or was over budget */
	PA_ATOMIC(uint32_t) unloads; /* modules with locations that are over; release / acquire */
} state;

static bool has_pc(const struct pa_module *module, uintptr_t pc)
{
	if (pc < module->start || pc >= module->limit)
		return false;
	for (uint32_t i = 0; i < module->segment_count; i++) {
		if (pc >= module->segments[i].start && pc < module->segments[i].limit)
			return true;
	}
	return false;
}

static bool has_known_room(void)
{
	if (state.count < state.capacity)
		return true;
	uint32_t capacity = state.capacity ? state.capacity * 2 : FIRST_KNOWN;
	struct known *known = pa_map(capacity * sizeof(*known));
	if (!known)
		return false;
	if (state.count)
		memcpy(known, state.known, state.count * sizeof(*known));
	pa_unmap(state.known, state.capacity * sizeof(*known));
	state.known = known;
	state.capacity = capacity;
	return true;
}

/* No more locations come for a dead module. */
static void end_module(struct pa_module *module)
{
	state.listener->forgotten(module);
	pa_store_release(&module->over, true);
	if (module->sampled || module->held)
		pa_add_acq_rel(&state.unloads, 1);
}

/* Without memory a later refresh takes them over; some may be dead by then, also in a forked child
 * that starts from scratch. */
static bool take_new(void)
{
	uint32_t before = state.taken;
	while (state.taken < pa_maps_count() && has_known_room()) {
		struct pa_module *module = pa_maps_get(++state.taken);
		if (module->dead)
			end_module(module);
		else
			state.known[state.count++] = (struct known){ module, 0 };
	}
	return state.taken != before;
}

static void note_dead(void)
{
	uint32_t before = state.dying;
	for (uint32_t i = 0; i < state.count; i++) {
		if (!state.known[i].module->dead || state.known[i].dying_ns)
			continue;
		state.known[i].dying_ns = state.refreshed_ns;
		state.dying++;
	}
	if (state.dying == before)
		return;
	state.dying_until = pa_ring_tail(pa_core_bridge->ring);
	pa_maps_forget_pages();
}

static void refresh_maps(void)
{
	int64_t start_ns = pa_clock_mono_ns();
	state.again = pa_maps_refresh() != 0;
	if (state.again)
		return;
	state.refreshed_ns = start_ns;
	bool any_new = take_new();
	note_dead();
	if (any_new)
		state.listener->added();
}

static bool may_refresh(void)
{
	int64_t now_ns = pa_clock_mono_ns();
	state.budget_ns += (now_ns - state.budget_at_ns) / REFRESH_SHARE;
	if (state.budget_ns > REFRESH_MAX_NS)
		state.budget_ns = REFRESH_MAX_NS;
	state.budget_at_ns = now_ns;
	return state.budget_ns > 0;
}

/* Refresh after may_refresh returned true. */
static void refresh_on_budget(void)
{
	refresh_maps();
	state.budget_ns -= pa_clock_mono_ns() - state.budget_at_ns;
}

/* Moves the last one to known[i]. */
static void forget_known(uint32_t i)
{
	end_module(state.known[i].module);
	state.known[i] = state.known[--state.count];
	state.dying--;
}

static bool is_overlapped(const struct pa_module *dead)
{
	for (uint32_t i = 0; i < state.count; i++) {
		const struct pa_module *other = state.known[i].module;
		if (!state.known[i].dying_ns && other->start < dead->limit &&
			dead->start < other->limit)
			return true;
	}
	return false;
}

static void forget_dying(bool only_overlapped)
{
	for (uint32_t i = state.count; state.dying && i-- > 0;) {
		if (!state.known[i].dying_ns)
			continue;
		if (!only_overlapped || is_overlapped(state.known[i].module))
			forget_known(i);
	}
}

static struct pa_module *find_dying(uintptr_t pc)
{
	for (uint32_t i = 0; state.dying && i < state.count; i++) {
		if (state.known[i].dying_ns && has_pc(state.known[i].module, pc))
			return state.known[i].module;
	}
	return NULL;
}

void pa_modules_init(const struct pa_modules_listener *listener)
{
	state.listener = listener;
	state.budget_ns = REFRESH_MAX_NS;
	state.budget_at_ns = pa_clock_mono_ns();
	refresh_maps();
	state.at_start = state.taken;
}

void pa_modules_sampled(struct pa_module *module)
{
	if (module->sampled)
		return;
	module->sampled = true;
	pa_held_files_hold(module, module->id <= state.at_start);
}

uint32_t pa_modules_unloads(void)
{
	return pa_load_acquire(&state.unloads);
}

struct pa_module *pa_modules_find(uintptr_t pc)
{
	struct pa_module *module = find_dying(pc);
	if (!module)
		module = pa_maps_find(pc);
	/* A refresh that began after the event was recorded has covered it already. */
	if (module || state.event_ns < state.refreshed_ns)
		return module;
	if (state.announced)
		refresh_maps();
	else if (may_refresh())
		refresh_on_budget();
	else
		state.again = true;
	state.announced = false;
	return pa_maps_find(pc);
}

void pa_modules_event(int64_t time_ns)
{
	state.event_ns = time_ns;
	/* Dead before the event: its range may belong to a module that is not known yet. */
	for (uint32_t i = state.count; state.dying && i-- > 0;) {
		if (state.known[i].dying_ns && state.known[i].dying_ns <= time_ns)
			forget_known(i);
	}
}

void pa_modules_changed(int64_t time_ns)
{
	/* A refresh that began later has covered this change: many dlopen and dlclose calls cost
	 * one refresh per batch of events. */
	if (time_ns >= state.refreshed_ns)
		refresh_maps();
	state.announced = true;
	forget_dying(true);
}

/* Deleted files are found by the modules that are mapped. */
static void settle_announced(void)
{
	int64_t now_ns = pa_clock_mono_ns();
	if (!pa_held_files_expire(now_ns, false))
		return;
	refresh_maps();
	pa_held_files_expire(now_ns, true);
}

void pa_modules_batch(void)
{
	settle_announced();
	if (state.again && may_refresh())
		refresh_on_budget();
	if (state.dying && pa_ring_passed(pa_core_bridge->ring, state.dying_until))
		forget_dying(false);
}

void pa_modules_abandon(void)
{
	memset(&state, 0, sizeof(state));
}
