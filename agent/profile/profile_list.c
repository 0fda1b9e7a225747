/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_list.h"

#include "../record/profile_names.h"

#define X(name, how) extern const struct pa_profile_ops pa_##name##_profile PA_HIDDEN;
PA_PROFILE_NAMES(X)
#undef X

#define X(name, how) &pa_##name##_profile,
const struct pa_profile_ops *const pa_profile_list[PA_PROFILE_LIST_MAX + 1] = { PA_PROFILE_NAMES(X)
		NULL };
#undef X

/* At least the last element is NULL. */
#define X(name, how) +1
_Static_assert(0 PA_PROFILE_NAMES(X) <= PA_PROFILE_LIST_MAX, "tables by kind are full");
#undef X
