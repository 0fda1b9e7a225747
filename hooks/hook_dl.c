/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen and dlclose: notify the collector that the set of modules changed, and invalidate the
 * frame cache after an unload.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <paths.h>
#include <string.h>

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
#define WAKE_NS (100 * PA_NS_PER_MS)

static struct {
	PA_ATOMIC(uint64_t) unloads;  /* the loader's count at the last check; acq_rel by swap */
	PA_ATOMIC(int64_t) first_ns;  /* when dlclose first waited, 0 = not yet; relaxed */
	PA_ATOMIC(int64_t) waited_ns; /* by all of them; relaxed: a small excess is harmless */
	PA_ATOMIC(int64_t) woken_ns;  /* when the collector was woken last; relaxed, as above */
	PA_ATOMIC(uint64_t) plain;    /* see note_plain; relaxed: one word */
} state;

static bool is_program(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

/* Longer paths are not announced. */
#define PATH_WORDS 64

struct opened_path {
	uintptr_t words[PATH_WORDS];
	uint32_t used; /* 0: none */
};

/*
 * Events of this file have no stack, and dlclose need not wait for them. state.plain is the end of
 * the last ones in the ring << PLAIN_BITS, and their length.
 */
#define PLAIN_BITS 16

static void note_plain(uint64_t before, uint64_t cells)
{
	uint64_t plain = pa_load_relaxed(&state.plain), after = pa_ring_tail(pa_record.ring);
	uint64_t length = plain & ((1u << PLAIN_BITS) - 1);
	/* Otherwise another thread wrote meanwhile. */
	bool own = after - before == cells;
	bool joined = own && plain >> PLAIN_BITS == before && !((length + cells) >> PLAIN_BITS);
	length = joined ? length + cells : own ? cells : 0;
	pa_store_relaxed(&state.plain, after << PLAIN_BITS | length);
}

/* The end of the events that dlclose has to wait for. */
static uint64_t end_of_stacks(void)
{
	uint64_t plain = pa_load_relaxed(&state.plain), tail = pa_ring_tail(pa_record.ring);
	bool only_plain = tail << PLAIN_BITS >> PLAIN_BITS == plain >> PLAIN_BITS;
	return only_plain ? tail - (plain & ((1u << PLAIN_BITS) - 1)) : tail;
}

/* Soon it closes the files of unloaded libraries. Rarely, for programs that unload all the time. */
static void wake_collector(int64_t now_ns)
{
	if (!pa_load_relaxed(&pa_record.held_files) ||
		now_ns - pa_load_relaxed(&state.woken_ns) < WAKE_NS)
		return;
	pa_store_relaxed(&state.woken_ns, now_ns);
	pa_ring_wake_soon(pa_record.ring);
}

static PA_SLOW void record_modules(enum pa_event_flag flags, const struct opened_path *path)
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
	uint32_t words = path ? path->used : 0;
	uint64_t before = pa_ring_tail(pa_record.ring);
	/* Lost when the ring is full: the collector also refreshes the maps at an unknown pc. */
	if (pa_sample_plain(&event, path ? path->words : NULL, words))
		note_plain(before,
			(sizeof(event) + words * sizeof(*path->words) + PA_RING_CELL_BYTES - 1) /
				PA_RING_CELL_BYTES);
	if (flags & PA_EVENT_UNLOADED)
		wake_collector(event.time_ns);
	errno = saved_errno;
}

static int first_module(struct dl_phdr_info *info, size_t size, void *unloads)
{
	(void)size;
	*(uint64_t *)unloads = info->dlpi_subs;
	return 1;
}

uint64_t pa_hooks_loader_unloads(void)
{
	uint64_t unloads = 0;
	dl_iterate_phdr(first_module, &unloads);
	return unloads;
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
static void wait_for_collector(uint64_t position)
{
	int saved_errno = errno;
	int64_t begin_ns = pa_clock_mono_ns();
	int64_t budget_ns = catch_up_budget_ns(begin_ns);
	if (budget_ns > 0) {
		(void)pa_ring_wait_done(pa_record.ring, position, budget_ns);
		pa_add_relaxed(&state.waited_ns, pa_clock_mono_ns() - begin_ns);
	} else {
		PA_COUNT_EVENT(unloads_unawaited);
	}
	errno = saved_errno;
}

/* Where programs unpack libraries that they delete after dlopen, and descriptors. */
static bool may_go_away(const char *file)
{
	static const char *const places[] = { "/proc/", _PATH_DEV, _PATH_TMP, _PATH_VARTMP,
		_PATH_VARRUN, "/run/" };

	for (size_t i = 0; i < PA_COUNT(places); i++) {
		if (strncmp(file, places[i], strlen(places[i])) == 0)
			return true;
	}
	return false;
}

static bool copy_opened_path(struct opened_path *path, const char *file)
{
	size_t bytes = strnlen(file, sizeof(path->words));
	if (bytes == sizeof(path->words))
		return false;
	path->used = (uint32_t)(bytes / sizeof(*path->words) + 1);
	path->words[path->used - 1] = 0;
	memcpy(path->words, file, bytes);
	return true;
}

/* The collector opens such a file before the program can remove it. */
static PA_SLOW void announce_file(const char *file)
{
	struct opened_path path;
	bool passing = file && may_go_away(file) && copy_opened_path(&path, file);
	record_modules(0, passing ? &path : NULL);
	if (passing)
		wait_for_collector(pa_ring_tail(pa_record.ring));
}

/*
 * A jump keeps the caller's return address, by which the loader finds the caller's RUNPATH and
 * namespace. So the event precedes the call, and the collector refreshes the maps when it reads it.
 */
void *dlopen(const char *file, int flags)
{
	if (is_program())
		announce_file(file);
	return PA_REAL(dlopen)(file, flags);
}

void *dlmopen(long space, const char *file, int flags)
{
	if (is_program())
		announce_file(file);
	return PA_REAL(dlmopen)(space, file, flags);
}

PA_ENTRY int dlclose(void *handle)
{
	PA_CALM_FLAGS();
	if (is_program())
		wait_for_collector(end_of_stacks());
	int result = PA_REAL(dlclose)(handle);
	if (!is_program())
		return result;
	uint64_t unloads = pa_hooks_loader_unloads();
	if (pa_swap_acq_rel(&state.unloads, unloads) != unloads) {
		if (pa_record.frames)
			pa_frame_cache_new_epoch(pa_record.frames);
		record_modules(PA_EVENT_UNLOADED, NULL);
	}
	return result;
}
