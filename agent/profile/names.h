/*
 * Names of threads, which are any bytes: as text for a profile.
 *
 * Context: PA_AGENT; a pure function.
 */
#ifndef PA_NAMES_H
#define PA_NAMES_H

#include "../record/event.h"

/* A NUL, and three bytes in place of each bad one. */
#define PA_NAMES_BYTES (PA_THREAD_NAME_BYTES * 3 + 1)

/*
 * The name, which may lack a NUL when it is PA_THREAD_NAME_BYTES long, as UTF-8 with a NUL: each
 * bad byte becomes U+FFFD, and what does not fit into size (at least 1) is left out. Returns its
 * length.
 */
PA_AGENT size_t pa_names_clean(char *out, size_t size, const char name[PA_THREAD_NAME_BYTES]);

#endif
