/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of the program and of the core.
 *
 * Context: PA_BOOT, in the constructor, unless stated otherwise. No lock. The caller owns the
 * texts, of at most PA_OBJECT_PATHS_BYTES each.
 */
#ifndef PA_OBJECT_PATHS_H
#define PA_OBJECT_PATHS_H

#include "base/base.h"

#define PA_OBJECT_PATHS_BYTES 4096

/* Basename of the executable, in path; "" when unknown. " (deleted)" follows the name of a file
 * that was replaced during start-up. */
PA_BOOT const char *pa_object_paths_program(char *path, size_t size);

/* The file name of this object, as the loader knows and keeps it; NULL: unknown. */
PA_BOOT const char *pa_object_paths_own(void);

/* The absolute path of a file in the directory of this object, whose name is own. False: unknown,
 * or too long. Any thread, when own is absolute. */
PA_APP bool pa_object_paths_beside(char *path, const char *own, const char *name);

#endif
