/*
 * Is a shared object all there? The loader maps what its headers promise, and a file that was cut
 * (a full disk, an upgrade under way) ends the program by SIGBUS when it is touched.
 */
#ifndef PA_WHOLE_H
#define PA_WHOLE_H

#include "base/base.h"

/* True when no part of the file is missing, or when the loader will say what is wrong with it. */
PA_AGENT bool pa_whole_file(const char *path);

#endif
