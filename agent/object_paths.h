/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of the program and of the core.
 *
 * Context: PA_BOOT, in the constructor. No lock. The caller owns the texts, of at most
 * PA_OBJECT_PATHS_BYTES each.
 */
#ifndef PA_OBJECT_PATHS_H
#define PA_OBJECT_PATHS_H

#include "base/base.h"

#define PA_OBJECT_PATHS_BYTES 4096

/* Basename of the executable, in path; "" when unknown. " (deleted)" follows the name of a file
 * that was replaced during start-up. */
PA_BOOT const char *pa_object_paths_program(char *path, size_t size);

/* The path of a file in the directory of this object. Absolute, since the program may change its
 * directory before it is opened. False: unknown. */
PA_BOOT bool pa_object_paths_core(char *path, const char *name);

#endif
