/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts thread names, which can be any bytes, to text for profiles.
 *
 * Context: PA_AGENT, any thread; a pure function.
 */
#ifndef PA_THREAD_NAMES_H
#define PA_THREAD_NAMES_H

#include "../record/event.h"

/* Three bytes for each invalid one, and a NUL. */
#define PA_THREAD_NAMES_BYTES (PA_EVENT_NAME_BYTES * 3 + 1)

/*
 * Writes name, which may lack a NUL if it is PA_EVENT_NAME_BYTES long, as UTF-8 with a NUL: each
 * invalid byte becomes U+FFFD; what does not fit into size (at least 1) is left out. Returns the
 * length.
 */
PA_AGENT size_t pa_thread_names_clean(char *out, size_t size, const char name[PA_EVENT_NAME_BYTES]);

#endif
