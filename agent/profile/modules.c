#include "modules.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "core.h"
#include "sites.h"

#define FIRST_KNOWN 512

/* What refreshes that are only tried because of an unknown pc or an error may take: a share of the
 * time that passes, saved up to so much. */
#define LOOK_SHARE 20
#define LOOK_MAX_NS (100 * PA_NS_PER_MS)

struct known {
	struct pa_module *module;
	int64_t dying_ns; /* when the refresh that found it dead began; 0: lives */
};

static struct {
	struct known *known; /* every module that is not forgotten */
	uint32_t count, capacity;
	uint32_t taken;        /* ids up to this one are, or were, in known */
	uint32_t dying;        /* how many of known */
	uint64_t dying_until;  /* position in the ring */
	int64_t refreshed_ns;  /* when the last good refresh began */
	int64_t event_ns;      /* when the event being read was recorded */
	int64_t look_ns;       /* what may be spent on looking, as of look_at_ns */
	int64_t look_at_ns;
	bool announced;        /* a dlopen has begun, and no refresh has looked for what it maps */
	bool again;            /* a refresh failed, or an unknown pc came when none was allowed */
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

static bool has_room(void)
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

/* Without room they are taken over by a later refresh. Dead ones may be among them then, and in a
 * forked child that starts afresh. */
static bool take_new(void)
{
	uint32_t before = state.taken;
	while (state.taken < pa_maps_count() && has_room()) {
		struct pa_module *module = pa_maps_get(++state.taken);
		if (module->dead)
			pa_sites_forget_module(module);
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

static void refresh(void)
{
	int64_t start_ns = pa_clock_mono_ns();
	state.again = pa_maps_refresh() != 0;
	if (state.again)
		return;
	state.refreshed_ns = start_ns;
	bool any_new = take_new();
	note_dead();
	if (any_new)
		pa_sites_place_again();
}

static bool may_look(void)
{
	int64_t now_ns = pa_clock_mono_ns();
	state.look_ns += (now_ns - state.look_at_ns) / LOOK_SHARE;
	if (state.look_ns > LOOK_MAX_NS)
		state.look_ns = LOOK_MAX_NS;
	state.look_at_ns = now_ns;
	return state.look_ns > 0;
}

/* may_look said so. */
static void look(void)
{
	refresh();
	state.look_ns -= pa_clock_mono_ns() - state.look_at_ns;
}

/* Swaps the last one into the place of known[i]. */
static void forget(uint32_t i)
{
	pa_sites_forget_module(state.known[i].module);
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
			forget(i);
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

void pa_modules_init(void)
{
	state.look_ns = LOOK_MAX_NS;
	state.look_at_ns = pa_clock_mono_ns();
	refresh();
}

struct pa_module *pa_modules_find(uintptr_t pc)
{
	struct pa_module *module = find_dying(pc);
	if (!module)
		module = pa_maps_find(pc);
	/* A refresh that began later than the event was recorded has looked for it already. */
	if (module || state.event_ns < state.refreshed_ns)
		return module;
	if (state.announced)
		refresh();
	else if (may_look())
		look();
	else
		state.again = true;
	state.announced = false;
	return pa_maps_find(pc);
}

void pa_modules_event(int64_t time_ns)
{
	state.event_ns = time_ns;
	/* It was gone before: what is at its place now may be unknown so far. */
	for (uint32_t i = state.count; state.dying && i-- > 0;) {
		if (state.known[i].dying_ns && state.known[i].dying_ns <= time_ns)
			forget(i);
	}
}

void pa_modules_changed(int64_t time_ns)
{
	/* A refresh that began later has seen this change already: a storm of dlopen and dlclose
	 * costs one refresh a batch and not one an event. */
	if (time_ns >= state.refreshed_ns)
		refresh();
	state.announced = true;
	forget_dying(true);
}

void pa_modules_batch(void)
{
	if (state.again && may_look())
		look();
	if (state.dying && pa_ring_passed(pa_core_bridge->ring, state.dying_until))
		forget_dying(false);
}

void pa_modules_abandon(void)
{
	memset(&state, 0, sizeof(state));
}
