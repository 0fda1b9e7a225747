/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator_notes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../base/assert.h"
#include "../base/clock.h"
#include "../core/core.h"

#define NAME_BYTES 64
#define OWNER_BYTES 128
#define TIME_BYTES 80

enum view {
	VIEW_SEEN,    /* by the malloc hooks */
	VIEW_BUT_NEW, /* the same, but for operator new */
	VIEW_HOOKED,  /* by its own hooks, which are in */
	VIEW_SECONDS, /* by its own hooks, on request */
	VIEW_NONE
};

static enum view view_of(const struct pa_allocators_item *allocator)
{
	PA_ASSERT(allocator->module);
	if (allocator->serves_malloc)
		return allocator->serves_new ? VIEW_BUT_NEW : VIEW_SEEN;
	struct pa_allocator_hooks_stats hooks = pa_allocator_hooks_stats();
	if (!pa_allocator_hooks_can(allocator) || hooks.failed)
		return VIEW_NONE;
	return hooks.in ? VIEW_HOOKED : VIEW_SECONDS;
}

/* "jemalloc 5.3.0" */
static const char *name_with_version(const struct pa_allocators_item *allocator,
	char out[NAME_BYTES])
{
	const char *version = allocator->scan.version;
	snprintf(out, NAME_BYTES, "%s%s%s", pa_allocator_scan_name(allocator->scan.kind),
		version[0] ? " " : "", version);
	return out;
}

/* "this program allocates with jemalloc 5.3.0, linked statically" */
static const char *say_owner(const struct pa_allocators_item *allocator, char out[OWNER_BYTES])
{
	char name[NAME_BYTES];
	const char *base = strrchr(allocator->module->path, '/');
	name_with_version(allocator, name);
	if (allocator->module->is_main)
		snprintf(out, OWNER_BYTES, "this program allocates with %s, linked statically",
			name);
	else
		snprintf(out, OWNER_BYTES, "%.30s allocates with %s",
			base ? base + 1 : allocator->module->path, name);
	return out;
}

static const char *own_profiler_of(enum pa_allocator_kind kind)
{
	switch (kind) {
	case PA_ALLOCATOR_JEMALLOC: return "its own profiler (MALLOC_CONF=prof:true)";
	case PA_ALLOCATOR_GPERFTOOLS: return "its own profiler (HEAPPROFILE)";
	case PA_ALLOCATOR_TCMALLOC: return "its own profiler (MallocExtension)";
	case PA_ALLOCATOR_MIMALLOC: return "its own statistics (MIMALLOC_SHOW_STATS=1)";
	default: return "its own statistics";
	}
}

static void say_time(int64_t wall_ns, char out[TIME_BYTES])
{
	time_t seconds = (time_t)(wall_ns / PA_NS_PER_S);
	struct tm tm = { 0 };
	gmtime_r(&seconds, &tm);
	snprintf(out, TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void say_hooked(const char *owner, char out[PA_ALLOCATOR_NOTES_BYTES])
{
	struct pa_allocator_hooks_stats hooks = pa_allocator_hooks_stats();
	char since[TIME_BYTES];
	say_time(hooks.since_wall_ns, since);
	if (hooks.before_bytes)
		snprintf(out, PA_ALLOCATOR_NOTES_BYTES,
			"%s: its heap is seen since %s; %llu bytes that were allocated before are "
			"not in this profile",
			owner, since, (unsigned long long)hooks.before_bytes);
	else
		snprintf(out, PA_ALLOCATOR_NOTES_BYTES,
			"%s: its heap is seen since %s; what was allocated before is not in this "
			"profile",
			owner, since);
}

/* Why it is not seen, or "". */
static const char *reason_of(const struct pa_allocators_item *allocator)
{
	const struct pa_allocator_scan *scan = &allocator->scan;
	bool has_hooks =
		scan->kind == PA_ALLOCATOR_JEMALLOC || scan->kind == PA_ALLOCATOR_GPERFTOOLS;
	if (!allocator->module->is_main)
		return "";
	if (scan->stripped)
		return " (the program is stripped)";
	if (has_hooks && pa_core_bridge->settings->allocator_hooks == PA_ENV_HOOKS_OFF)
		return " (PPROFAGENT_ALLOCATOR_HOOKS=off)";
	if (has_hooks && pa_allocator_hooks_stats().failed)
		return " (it refused the agent's hooks)";
	return has_hooks && pa_core_bridge->settings->heap_rate_bytes ?
		" (its hooks are not safe here)" :
		"";
}

static void say_unseen(const struct pa_allocators_item *allocator, const char *owner,
	char out[PA_ALLOCATOR_NOTES_BYTES])
{
	bool replaces = !allocator->module->is_main && allocator->scan.has_malloc;
	snprintf(out, PA_ALLOCATOR_NOTES_BYTES, "%s: its heap is not seen%s; %s, or use %s", owner,
		reason_of(allocator),
		replaces ? "load it after the agent (LD_PRELOAD)" : "build without it",
		own_profiler_of(allocator->scan.kind));
}

static void say_view(const struct pa_allocators_item *allocator, char out[PA_ALLOCATOR_NOTES_BYTES])
{
	char owner[OWNER_BYTES], name[NAME_BYTES];
	say_owner(allocator, owner);
	name_with_version(allocator, name);
	switch (view_of(allocator)) {
	case VIEW_SEEN:
		snprintf(out, PA_ALLOCATOR_NOTES_BYTES, "%s: malloc and free are seen", name);
		break;
	case VIEW_BUT_NEW:
		snprintf(out, PA_ALLOCATOR_NOTES_BYTES,
			"operator new of this program is that of %s: what it allocates is not "
			"seen, malloc is; run without it, or use %s",
			name, own_profiler_of(allocator->scan.kind));
		break;
	case VIEW_HOOKED: say_hooked(owner, out); break;
	case VIEW_SECONDS:
		snprintf(out, PA_ALLOCATOR_NOTES_BYTES,
			"%s: its heap is seen only in profiles with seconds=N, what is allocated "
			"in that time; PPROFAGENT_ALLOCATOR_HOOKS=on: always, which makes its "
			"calls slower",
			owner);
		break;
	case VIEW_NONE: say_unseen(allocator, owner, out); break;
	}
}

bool pa_allocator_notes_get(uint32_t index, const char **path, char text[PA_ALLOCATOR_NOTES_BYTES])
{
	const struct pa_allocators_item *allocator = pa_allocators_get(index);
	if (!allocator)
		return false;
	*path = allocator->module->path;
	say_view(allocator, text);
	return true;
}

void pa_allocator_notes(void (*note)(void *arg, const char *text), void *arg)
{
	char text[PA_ALLOCATOR_NOTES_BYTES];
	const struct pa_allocators_item *allocator;
	for (uint32_t i = 0; (allocator = pa_allocators_get(i)); i++) {
		if (view_of(allocator) == VIEW_SEEN || pa_load_relaxed(&allocator->module->dead))
			continue;
		say_view(allocator, text);
		note(arg, text);
	}
}
