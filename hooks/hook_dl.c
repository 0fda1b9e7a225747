/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen and dlclose: notify the collector that the set of modules changed, and invalidate the
 * frame cache after an unload.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "../agent/arch/arch.h"
#include "../agent/base/clock.h"
#include "../agent/record/switches.h"
#include "../agent/record/registry.h"
#include "../agent/record/sample.h"
#include "../agent/record/thread.h"
#include "real.h"

#include "../agent/base/banned.h"

/* Longest wait of one dlclose for the collector; and of all of them: this long at first, then a
 * share of elapsed time. */
#define CATCH_UP_NS (100 * PA_NS_PER_MS)
#define CATCH_UP_FIRST_NS (300 * PA_NS_PER_MS)
#define CATCH_UP_SHARE 8

static struct {
	PA_ATOMIC(uint64_t) unloads;  /* the loader's count at the last check; acq_rel by swap */
	PA_ATOMIC(int64_t) first_ns;  /* when dlclose first waited, 0 = not yet; relaxed */
	PA_ATOMIC(int64_t) waited_ns; /* by all of them; relaxed: a small excess is harmless */
} state;

static bool is_program(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

static PA_SLOW void record_modules(enum pa_event_flag flags)
{
	PA_CALM_FLAGS();
	int saved_errno = errno;
	struct pa_thread *self = &pa_thread_self;
	if (!self->registered)
		pa_registry_add(self);
	struct pa_event event = {
		.kind = PA_EVENT_MODULES,
		.flags = (uint8_t)flags,
		.tid = self->tid,
		.time_ns = pa_clock_mono_ns(),
	};
	/* Lost when the ring is full: the collector also refreshes the maps at an unknown pc. */
	(void)pa_sample_plain(&event, NULL, 0);
	errno = saved_errno;
}

static int first_module(struct dl_phdr_info *info, size_t size, void *unloads)
{
	(void)size;
	*(uint64_t *)unloads = info->dlpi_subs;
	return 1;
}

/* Number of modules that the loader has unloaded so far. Takes the loader's lock: not for signal
 * handlers. */
static uint64_t loader_unloads(void)
{
	uint64_t unloads = 0;
	dl_iterate_phdr(first_module, &unloads);
	return unloads;
}

/*
 * A jump keeps the caller's return address, by which the loader finds the caller's RUNPATH and
 * namespace. So the event precedes the call, and the collector refreshes the maps when it reads it.
 */
void *dlopen(const char *file, int flags)
{
	if (is_program())
		record_modules(0);
	return PA_REAL(dlopen)(file, flags);
}

void *dlmopen(long space, const char *file, int flags)
{
	if (is_program())
		record_modules(0);
	return PA_REAL(dlmopen)(space, file, flags);
}

/* Time that may be spent waiting now without slowing the program down much. */
static int64_t catch_up_budget_ns(int64_t now_ns)
{
	int64_t first_ns = pa_load_relaxed(&state.first_ns);
	if (!first_ns) {
		pa_store_relaxed(&state.first_ns, now_ns);
		return CATCH_UP_NS;
	}
	int64_t left_ns = CATCH_UP_FIRST_NS + (now_ns - first_ns) / CATCH_UP_SHARE -
		pa_load_relaxed(&state.waited_ns);
	return left_ns < CATCH_UP_NS ? left_ns : CATCH_UP_NS;
}

/*
 * Recorded stacks may be in the library that is about to be unloaded: only the current maps can
 * resolve them. Usually nothing is pending, or the collector is quick. Bounded, since dlclose may
 * be called by the loader for a constructor, on which the collector depends; and bounded in total,
 * since a program that closes libraries repeatedly while the ring is full would only wait. Beyond
 * that, a few stacks may lack the names of an unloaded library.
 */
static void wait_for_collector(void)
{
	int saved_errno = errno;
	int64_t begin_ns = pa_clock_mono_ns();
	int64_t budget_ns = catch_up_budget_ns(begin_ns);
	if (budget_ns > 0) {
		(void)pa_ring_wait_done(pa_record.ring, budget_ns);
		pa_add_relaxed(&state.waited_ns, pa_clock_mono_ns() - begin_ns);
	} else {
		PA_COUNT_EVENT(unloads_unawaited);
	}
	errno = saved_errno;
}

PA_ENTRY int dlclose(void *handle)
{
	PA_CALM_FLAGS();
	if (is_program())
		wait_for_collector();
	int result = PA_REAL(dlclose)(handle);
	if (!is_program())
		return result;
	uint64_t unloads = loader_unloads();
	if (pa_swap_acq_rel(&state.unloads, unloads) != unloads) {
		if (pa_record.frames)
			pa_frame_cache_new_epoch(pa_record.frames);
		record_modules(PA_EVENT_UNLOADED);
	}
	return result;
}
