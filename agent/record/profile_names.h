/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one list of the kinds of profiles, for both objects: to add a kind is to add a file with its
 * struct pa_profile_ops (profile/profile_ops.h) and one line here. Constant data, any context.
 *
 * PA_PROFILE_NAMES(X): X(name, how): its operations are pa_NAME_profile. how: NAMED: the program
 * and clients find it by that name; DELTA: and by delta_NAME; OTHER: they do not, or by another
 * name. In this order the kinds say in each profile what they dropped.
 */
#ifndef PA_PROFILE_NAMES_H
#define PA_PROFILE_NAMES_H

#define PA_PROFILE_NAMES(X)    \
	X(heap, DELTA)         \
	X(allocs, NAMED)       \
	X(cpu, OTHER)          \
	X(block, DELTA)        \
	X(mutex, DELTA)        \
	X(threadcreate, NAMED) \
	X(goroutine, NAMED)    \
	X(custom, OTHER)       \
	X(wall, OTHER)

#endif
