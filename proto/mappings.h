/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappings of a profile, their numbers and flags: one per executable segment of each module that is
 * loaded or contains a location of the profile. Ordered by module id, so the main executable comes
 * first.
 *
 * Context: PA_AGENT, one thread. No lock. Order of calls: init, refer for each location, number,
 * then id and named for each location. free always.
 */
#ifndef PA_MAPPINGS_H
#define PA_MAPPINGS_H

#include "../agent/stacks/stack_table.h"
#include "../agent/symbols/symbols.h"
#include "scratch.h"

#define PA_MAPPINGS_BUILD_ID_BYTES (2 * PA_BUILD_ID_BYTES + 1)

struct pa_mapping {
	const struct pa_module *module;
	const struct pa_segment *segment;
	bool used;         /* a location is in it */
	bool unnamed;      /* a location has no name */
	bool without_file; /* a frame has no file */
	bool without_line;
	bool inlined; /* a location has more than one frame */
	char build_id[PA_MAPPINGS_BUILD_ID_BYTES];
};

struct pa_mappings {
	struct pa_scratch modules; /* by module id: struct ref in mappings.c */
	uint32_t module_count;     /* ids 1..module_count are covered */
	struct pa_scratch list;
	uint32_t count;
};

/* Returns 0 or -ENOMEM. *mappings must be zeroed. */
PA_AGENT int pa_mappings_init(struct pa_mappings *mappings);
PA_AGENT void pa_mappings_free(struct pa_mappings *mappings);

PA_AGENT void pa_mappings_refer(struct pa_mappings *mappings, const struct pa_loc *loc);

/* Assigns the ids 1..count. Returns 0 or -ENOMEM. */
PA_AGENT int pa_mappings_number(struct pa_mappings *mappings);

PA_AGENT struct pa_mapping *pa_mappings_get(const struct pa_mappings *mappings, uint32_t id);

/* Mapping that contains loc; 0: none (not code, no file, or a module loaded after init). */
PA_AGENT uint32_t pa_mappings_id(const struct pa_mappings *mappings, const struct pa_loc *loc);

/* Updates the flags of mapping id (0: ignored) with the frames of one location. */
PA_AGENT void pa_mappings_named(struct pa_mappings *mappings, uint32_t id,
	const struct pa_frame *frames, uint32_t count);

/* Writes the build-id of a module in hexadecimal; "" if it has none. */
PA_AGENT void pa_mappings_build_id(const struct pa_module *module,
	char out[PA_MAPPINGS_BUILD_ID_BYTES]);

#endif
