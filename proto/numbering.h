/*
 * The ids of one profile's locations and functions: 1, 2, ... in order of first use.
 *
 * Context: PA_AGENT, the render thread only (the marks of functions are its own). Memory: 8 bytes a
 * location and a function, whatever the number of samples.
 */
#ifndef PA_NUMBERING_H
#define PA_NUMBERING_H

#include "../agent/profile/sites.h"
#include "../agent/profile/symbols.h"
#include "grow.h"

struct pa_numbering {
	struct pa_grow ids;       /* uint32_t: id in the profile by id in sites.h; 0: none yet */
	struct pa_grow order;     /* uint32_t: the other way round, from profile id - 1 */
	uint32_t loc_count;
	struct pa_grow functions; /* struct pa_function *, by id - 1 */
	uint32_t function_count;
};

/* 0 or -ENOMEM. *numbering is zeroed before. */
PA_AGENT int pa_numbering_init(struct pa_numbering *numbering);

/* Also takes the marks off the functions. */
PA_AGENT void pa_numbering_free(struct pa_numbering *numbering);

/* Numbers the locations of stack that have no id yet; they are the last ones then. 0, -ENOMEM. */
PA_AGENT int pa_numbering_stack(struct pa_numbering *numbering, const struct pa_stack *stack);

/* Ids in the profile, by location id: of locations in stacks that were numbered. */
PA_AGENT const uint32_t *pa_numbering_ids(const struct pa_numbering *numbering);

/* The location with that id in the profile. */
PA_AGENT const struct pa_loc *pa_numbering_loc(const struct pa_numbering *numbering, uint32_t id);

/* Afterwards the function's mark is its id. 0 or -ENOMEM. */
PA_AGENT int pa_numbering_function(struct pa_numbering *numbering, struct pa_function *function);

PA_AGENT const struct pa_function *pa_numbering_get(const struct pa_numbering *numbering,
	uint32_t id);

#endif
