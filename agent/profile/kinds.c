#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#include "../base/atomic.h"
#include "core.h"

static struct {
	PA_ATOMIC(struct pa_kind *) customs[PA_CUSTOM_MAX]; /* by id, never freed; acq_rel */
} state;

/* In Go's order: clients find the values by position as well as by name. */
#define HEAP_VALUES                                                                               \
	.value_count = 4,                                                                         \
	.values = {                                                                               \
		{ "alloc_objects", "count" },                                                     \
		{ "alloc_space", "bytes" },                                                       \
		{ "inuse_objects", "count" },                                                     \
		{ "inuse_space", "bytes" },                                                       \
	},                                                                                        \
	.period_type = { "space", "bytes" }

/* How often, and for how long in all. */
#define CONTENTION_VALUES                                                                         \
	.value_count = 2,                                                                         \
	.values = { { "contentions", "count" }, { "delay", "nanoseconds" } },                     \
	.period_type = { "contentions", "count" }

/* A profile that counts, in a unit of its own name. */
#define COUNT_VALUES(type)                                                                        \
	.value_count = 1,                                                                         \
	.values = { { (type), "count" } },                                                        \
	.period_type = { (type), "count" }

const struct pa_kind pa_kinds[PA_KIND_COUNT] = {
	[PA_KIND_ALLOCS] = {
		.id = PA_KIND_ALLOCS,
		.name = "allocs",
		.description = "A sampling of all past memory allocations",
		.default_sample_type = "alloc_space",
		HEAP_VALUES,
		.named = true,
	},
	[PA_KIND_BLOCK] = {
		.id = PA_KIND_BLOCK,
		.name = "block",
		.description = "Stack traces that led to blocking on synchronization primitives",
		CONTENTION_VALUES,
		.named = true,
	},
	[PA_KIND_GOROUTINE] = {
		.id = PA_KIND_GOROUTINE,
		.name = "goroutine",
		.description = "Stack traces of all current goroutines. Use debug=2 as a query "
			       "parameter to export in the same format as an unrecovered panic.",
		COUNT_VALUES("goroutine"),
		.named = true,
	},
	[PA_KIND_HEAP] = {
		.id = PA_KIND_HEAP,
		.name = "heap",
		.description = "A sampling of memory allocations of live objects. "
			       "You can specify the gc GET parameter to run GC before taking the "
			       "heap sample.",
		HEAP_VALUES,
		.named = true,
	},
	[PA_KIND_MUTEX] = {
		.id = PA_KIND_MUTEX,
		.name = "mutex",
		.description = "Stack traces of holders of contended mutexes",
		CONTENTION_VALUES,
		.named = true,
	},
	[PA_KIND_CPU] = {
		.id = PA_KIND_CPU,
		.name = "profile",
		.description = "CPU profile. You can specify the duration in the seconds GET "
			       "parameter. After you get the profile file, use the go tool pprof "
			       "command to investigate the profile.",
		.value_count = 2,
		.values = { { "samples", "count" }, { "cpu", "nanoseconds" } },
		.period_type = { "cpu", "nanoseconds" },
	},
	[PA_KIND_THREADCREATE] = {
		.id = PA_KIND_THREADCREATE,
		.name = "threadcreate",
		.description = "Stack traces that led to the creation of new OS threads",
		COUNT_VALUES("threadcreate"),
		.named = true,
	},
};

static struct pa_kind *new_custom(const struct pa_custom *custom)
{
	struct pa_kind *kind = malloc(sizeof(*kind));
	if (!kind)
		return NULL;
	*kind = (struct pa_kind){
		.id = PA_KIND_CUSTOM,
		.name = custom->name,
		.description = "",
		COUNT_VALUES(custom->name),
		.named = true,
		.custom = custom->id,
	};
	return kind;
}

const struct pa_kind *pa_kind_custom(uint32_t id)
{
	const struct pa_custom *custom = pa_core_bridge->custom(id);
	if (!custom)
		return NULL;
	struct pa_kind *kind = pa_load_acquire(&state.customs[id]);
	if (kind)
		return kind;
	struct pa_kind *fresh = new_custom(custom);
	if (!fresh || pa_cas_acq_rel(&state.customs[id], &kind, fresh))
		return fresh;
	free(fresh);
	return kind;
}

const struct pa_kind *pa_kind_find(const char *name)
{
	for (size_t i = 0; i < PA_KIND_COUNT; i++) {
		if (strcmp(pa_kinds[i].name, name) == 0)
			return &pa_kinds[i];
	}
	uint32_t total = pa_core_bridge->custom_total();
	for (uint32_t id = 0; id < total; id++) {
		if (strcmp(pa_core_bridge->custom(id)->name, name) == 0)
			return pa_kind_custom(id);
	}
	return NULL;
}
