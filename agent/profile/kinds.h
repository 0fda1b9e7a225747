/*
 * The one list of profile kinds: names, sample types, texts. Constant data, any context; but those
 * of the program's own profiles, which are made when they are first asked for (PA_AGENT).
 */
#ifndef PA_KINDS_H
#define PA_KINDS_H

#include "../base/base.h"

enum pa_kind_id {
	PA_KIND_ALLOCS,
	PA_KIND_BLOCK,
	PA_KIND_GOROUTINE, /* threads: Go's name, so that every client knows it */
	PA_KIND_HEAP,
	PA_KIND_MUTEX,
	PA_KIND_CPU,
	PA_KIND_THREADCREATE,
	PA_KIND_COUNT,
	PA_KIND_WALL = PA_KIND_COUNT, /* not in the list: wall.h */
	PA_KIND_CUSTOM /* not in the list: one kind for each profile of the program's own */
};

#define PA_KIND_VALUES 4

struct pa_value_type {
	const char *type, *unit; /* "alloc_space", "bytes" */
};

struct pa_kind {
	enum pa_kind_id id;
	const char *name;        /* in the URL: "heap"; "profile" for CPU */
	const char *description; /* Go's text for the index */
	const char *default_sample_type; /* NULL: none */
	uint32_t value_count;
	struct pa_value_type values[PA_KIND_VALUES];
	struct pa_value_type period_type;
	bool named;              /* served as /debug/pprof/NAME by the named-profile rules */
	uint32_t custom;         /* PA_KIND_CUSTOM: id of the profile */
};

extern const struct pa_kind pa_kinds[PA_KIND_COUNT];

/* The kind of that name, also of a profile of the program's own, or NULL. */
PA_AGENT const struct pa_kind *pa_kind_find(const char *name);

/* The kind of a profile of the program's own, always the same. NULL: there is none of that id, or
 * no memory. */
PA_AGENT const struct pa_kind *pa_kind_custom(uint32_t id);

#endif
