/*
 * Where the program and the core lie.
 *
 * Context: PA_BOOT, in the constructor. The texts are the caller's, PA_PLACE_BYTES each at most.
 */
#ifndef PA_PLACE_H
#define PA_PLACE_H

#include "base/base.h"

#define PA_PLACE_BYTES 4096

/* Basename of the executable, in path; "" when unknown. A file that was replaced while we start has
 * a mark behind its name. */
PA_BOOT const char *pa_place_program(char *path, size_t size);

/* A file that lies beside us. Absolute, since the program may change its directory before we look.
 * False: unknown. */
PA_BOOT bool pa_place_core(char *path, const char *name);

#endif
