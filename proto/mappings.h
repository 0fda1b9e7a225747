/*
 * Which Mappings a profile has, their numbers, and what may be claimed of each: one per executable
 * segment of every module that is loaded or that a location of the profile is in. By module id, so
 * the main executable comes first.
 *
 * Context: PA_AGENT, one thread. The calls come in this order: init, refer for each location,
 * number, then id and named for each location. free always.
 */
#ifndef PA_MAPPINGS_H
#define PA_MAPPINGS_H

#include "../agent/profile/sites.h"
#include "../agent/profile/symbols.h"
#include "grow.h"

struct pa_mapping {
	const struct pa_module *module;
	const struct pa_segment *segment;
	bool used;         /* a location is in it */
	bool unnamed;      /* some location has no name */
	bool without_file; /* some frame has no file */
	bool without_line;
	bool inlined;      /* some location has more than one frame */
	char build_id[2 * PA_BUILD_ID_BYTES + 1];
};

struct pa_mappings {
	struct pa_grow modules; /* by module id: struct ref in mappings.c */
	uint32_t module_count;  /* ids 1..module_count are known here */
	struct pa_grow list;
	uint32_t count;
};

/* 0 or -ENOMEM. *mappings is zeroed before. */
PA_AGENT int pa_mappings_init(struct pa_mappings *mappings);
PA_AGENT void pa_mappings_free(struct pa_mappings *mappings);

PA_AGENT void pa_mappings_refer(struct pa_mappings *mappings, const struct pa_loc *loc);

/* Settles ids 1..count. 0 or -ENOMEM. */
PA_AGENT int pa_mappings_number(struct pa_mappings *mappings);

PA_AGENT struct pa_mapping *pa_mappings_get(const struct pa_mappings *mappings, uint32_t id);

/* The mapping that has loc; 0: none (no code, no file, or a module that came since init). */
PA_AGENT uint32_t pa_mappings_id(const struct pa_mappings *mappings, const struct pa_loc *loc);

/* Takes note of what was found of one location in mapping id (0: nothing to note). */
PA_AGENT void pa_mappings_named(struct pa_mappings *mappings, uint32_t id,
	const struct pa_frame *frames, uint32_t count);

#endif
