/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List of all kinds of profiles.
 *
 * Context: constant data, any context.
 */
#ifndef PA_PROFILE_LIST_H
#define PA_PROFILE_LIST_H

#include "profile_ops.h"

/* Size of tables with one row per kind. */
#define PA_PROFILE_LIST_MAX 16

/* In the order of record/profile_names.h; the rest is NULL. */
extern const struct pa_profile_ops *const pa_profile_list[PA_PROFILE_LIST_MAX + 1] PA_HIDDEN;

#endif
