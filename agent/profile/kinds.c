#include "kinds.h"

#include <string.h>

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

const struct pa_kind *pa_kind_find(const char *name)
{
	for (size_t i = 0; i < PA_KIND_COUNT; i++) {
		if (strcmp(pa_kinds[i].name, name) == 0)
			return &pa_kinds[i];
	}
	return NULL;
}
