/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that glibc 2.28, the oldest one that the agent supports, does not have.
 *
 * newer_libc.c defines some of them under their own names, for the agent and for the libraries in
 * the core; no other object sees these definitions. stat and its family: functions of libc since
 * 2.33, before that of each object. gettid: 2.30. explicit_bzero: 2.25; the preloaded object has to
 * start with older ones, to say that they are too old.
 *
 * The others are weak references (those of hooks to libc are in hooks/real.h): NULL where libc does
 * not have them. A weak reference that scripts/libc_floor does not know has no symbol version.
 *
 * Context: as marked; those that newer_libc.c defines PA_SIGNAL. No lock, no memory.
 */
#ifndef PA_NEWER_LIBC_H
#define PA_NEWER_LIBC_H

#include "base.h"

/* sigabbrev_np of 2.32: "HUP" for SIGHUP; NULL for real-time signals and what is no signal. */
PA_SIGNAL const char *pa_newer_libc_signal(int number);

/*
 * strerrordesc_np of 2.32: the text of an error in English, whichever the program's locale. Before
 * 2.32 from the table that libc exported until then. Never NULL.
 */
PA_APP const char *pa_newer_libc_error(int error);

/* What the agent would use and this libc does not have: "mallinfo2 _dl_find_object", or "". */
#define PA_NEWER_LIBC_MISSING_BYTES 128
PA_SIGNAL void pa_newer_libc_missing(char out[PA_NEWER_LIBC_MISSING_BYTES]);

/* True when this version ("2.31") is older than the agent's floor, 2.28. */
PA_BOOT bool pa_newer_libc_is_too_old(const char *version);

#endif
