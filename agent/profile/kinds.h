/*
 * The one list of profile kinds: names, sample types, texts. Constant data, any context.
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
	PA_KIND_COUNT
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
};

extern const struct pa_kind pa_kinds[PA_KIND_COUNT];

/* The kind of that name, or NULL. */
const struct pa_kind *pa_kind_find(const char *name);

#endif
