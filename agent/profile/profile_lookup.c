/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_lookup.h"

#include <string.h>

/* Members of a family, or the kind itself for other kinds; NULL: no more. */
static const struct pa_profile_ops *member_of(const struct pa_profile_ops *kind, uint32_t index)
{
	if (kind->member)
		return kind->member(index);
	return index == 0 ? kind : NULL;
}

const struct pa_profile_ops *pa_profile_lookup_nth(size_t n)
{
	const struct pa_profile_ops *kind;

	for (size_t i = 0; pa_profile_list[i]; i++)
		for (uint32_t index = 0; (kind = member_of(pa_profile_list[i], index)); index++)
			if (n-- == 0)
				return kind;
	return NULL;
}

const struct pa_profile_ops *pa_profile_lookup(const char *name)
{
	const struct pa_profile_ops *kind;

	for (size_t i = 0; pa_profile_list[i]; i++)
		for (uint32_t index = 0; (kind = member_of(pa_profile_list[i], index)); index++)
			if (strcmp(kind->name, name) == 0)
				return kind;
	return NULL;
}

size_t pa_profile_lookup_index(const struct pa_profile_ops *kind)
{
	for (size_t i = 0; pa_profile_list[i]; i++)
		if (pa_profile_list[i] == kind)
			return i;
	return PA_PROFILE_LIST_MAX;
}
