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

const struct pa_kind pa_kinds[PA_KIND_COUNT] = {
	[PA_KIND_ALLOCS] = {
		.id = PA_KIND_ALLOCS,
		.name = "allocs",
		.description = "A sampling of all past memory allocations",
		.default_sample_type = "alloc_space",
		HEAP_VALUES,
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
};

const struct pa_kind *pa_kind_find(const char *name)
{
	for (size_t i = 0; i < PA_KIND_COUNT; i++) {
		if (strcmp(pa_kinds[i].name, name) == 0)
			return &pa_kinds[i];
	}
	return NULL;
}
