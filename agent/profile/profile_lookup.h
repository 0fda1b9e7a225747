/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of profiles by name and by number, including members of families: in the order of
 * profile_list.h, with the members at the place of their family.
 *
 * Context: any of our threads, and threads of the program through pprofagent.h (PA_API). No lock.
 */
#ifndef PA_PROFILE_LOOKUP_H
#define PA_PROFILE_LOOKUP_H

#include "profile_list.h"

/* Returns the kind of that name, or NULL. */
PA_API const struct pa_profile_ops *pa_profile_lookup(const char *name);

/* Index of the kind in pa_profile_list; PA_PROFILE_LIST_MAX: a member of a family. */
PA_API size_t pa_profile_lookup_index(const struct pa_profile_ops *kind);

/* Returns the n-th kind, from 0; NULL: none. */
PA_API const struct pa_profile_ops *pa_profile_lookup_nth(size_t n);

#endif
