/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_unloaded.h"

#include "../base/arena.h"
#include "../base/clock.h"
#include "../modules/held_files.h"
#include "mem_headroom.h"
#include "symbols.h"

/* Pause after a slice, in multiples of its CPU time, and at least. */
#define PAUSE_SHARE 19
#define PAUSE_NS (50 * PA_NS_PER_MS)
/* Until memory is looked at again. */
#define RETRY_NS PA_NS_PER_S
/* Free memory that a slice needs: symbol tables and debug information of one library. */
#define ROOM_BYTES ((uint64_t)24 << 20)

enum { NAMING_NOT, NAMING_BEGUN, NAMING_DONE }; /* naming of struct pa_module */

static struct {
	void (*start)(void);
	int64_t started_ns;         /* the collector: when start was called */
	PA_ATOMIC(uint32_t) named;  /* unloads whose code is named; release / acquire */
	PA_ATOMIC(int64_t) next_ns; /* no slice before; relaxed */
	/* The render thread's. */
	bool (*go_on)(void *arg);
	bool stopped;   /* go_on has ended the slice */
	uint32_t tries; /* slices since the first of these unloads */
	uint32_t *ids;  /* of locations */
	size_t ids_bytes;
} state;

PA_AGENT void pa_symbols_unloaded_begin(void (*start)(void))
{
	state.start = start;
	state.started_ns = 0;
	state.ids = NULL; /* of a slice that was not finished */
	pa_store_relaxed(&state.next_ns, 0);
}

static bool has_work(void)
{
	return pa_modules_unloads() != pa_load_acquire(&state.named);
}

PA_AGENT void pa_symbols_unloaded_look(void)
{
	if (!state.start || !has_work())
		return;
	int64_t now_ns = pa_clock_mono_ns();
	if (now_ns < pa_load_relaxed(&state.next_ns) ||
		(state.started_ns && now_ns - state.started_ns < PAUSE_NS))
		return;
	state.started_ns = now_ns;
	state.start();
}

static bool keep_naming(void *unused)
{
	(void)unused;
	state.stopped = state.go_on && !state.go_on(NULL);
	return !state.stopped;
}

static void begin_modules(void)
{
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);

		if (module && pa_load_acquire(&module->over) && module->naming == NAMING_NOT)
			module->naming = NAMING_BEGUN;
	}
}

static void finish_modules(void)
{
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);

		if (!module || module->naming != NAMING_BEGUN)
			continue;
		pa_held_files_release(module);
		module->naming = NAMING_DONE;
	}
}

/* The locations in modules that have begun. Returns their number; without memory 0. */
static uint32_t collect_ids(void)
{
	uint32_t total = pa_stack_table_loc_count(), count = 0;

	pa_unmap(state.ids, state.ids_bytes);
	state.ids_bytes = total * sizeof(*state.ids);
	state.ids = pa_map(state.ids_bytes);
	for (uint32_t id = 0; state.ids && id < total; id++) {
		const struct pa_module *module = pa_stack_table_loc(id)->module;

		if (module && module->naming == NAMING_BEGUN)
			state.ids[count++] = id;
	}
	return count;
}

static void do_slice(uint32_t unloads)
{
	begin_modules();
	uint32_t count = collect_ids();
	uint32_t lacking = count ? pa_symbols_prepare(state.ids, count, keep_naming, NULL) : 0;
	pa_symbols_end_request();
	pa_unmap(state.ids, state.ids_bytes);
	state.ids = NULL;
	if (state.stopped || (lacking && ++state.tries < PA_SYMBOLS_UNLOADED_TRIES))
		return;
	finish_modules();
	state.tries = 0;
	pa_store_release(&state.named, unloads);
}

PA_AGENT int64_t pa_symbols_unloaded_name(bool (*go_on)(void *arg))
{
	/* Read first: a library that is unloaded meanwhile belongs to the next slice. */
	uint32_t unloads = pa_modules_unloads();
	int64_t begun_ns = pa_clock_mono_ns(), wait_ns = pa_load_relaxed(&state.next_ns) - begun_ns;

	if (!has_work())
		return -1;
	if (wait_ns > 0)
		return wait_ns;
	if (pa_mem_headroom_lacks(ROOM_BYTES)) {
		pa_store_relaxed(&state.next_ns, begun_ns + RETRY_NS);
		return RETRY_NS;
	}
	state.go_on = go_on;
	state.stopped = false;
	int64_t cpu_ns = pa_clock_thread_cpu_ns();
	do_slice(unloads);
	wait_ns = (pa_clock_thread_cpu_ns() - cpu_ns) * PAUSE_SHARE;
	wait_ns = wait_ns > PAUSE_NS ? wait_ns : PAUSE_NS;
	pa_store_relaxed(&state.next_ns, pa_clock_mono_ns() + wait_ns);
	return has_work() ? wait_ns : -1;
}
